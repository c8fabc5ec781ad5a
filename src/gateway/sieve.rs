//! What passes of an answer: lists cut down to what the caller may see, the rest as it is.

use std::time::Instant;

use bytes::Bytes;

use super::Gateway;
use super::answer::Form;
use crate::core::decide::Permit;
use crate::core::listing::{self, Listing};
use crate::core::outcome::{self, Outcome};
use crate::core::refusal::Refusal;
use crate::core::sse::{self, Splitter};
use crate::telemetry::metrics::Phase;

/// How much of an answer that passes is kept, to see how the call ended. A longer one counts by
/// its status.
const OBSERVED: usize = 16 << 10;

/// Filters messages by the decision that also guards calls.
#[derive(Clone, Copy)]
pub(super) struct Sieve<'d> {
    pub(super) gateway: &'d Gateway,
    pub(super) permit: &'d Permit,
}

impl Sieve<'_> {
    /// Reads one message of the upstream.
    pub(super) fn message(&self, message: &[u8]) -> Result<Listing, Refusal> {
        let began = Instant::now();
        let metrics = &self.gateway.metrics;
        let text =
            std::str::from_utf8(message).map_err(|_| Refusal::UpstreamAnswer("not UTF-8"))?;
        let listing = listing::filter(text, self.gateway.options.limits.json_depth, |tool| {
            let visible = self.permit.may_see(tool);
            if visible {
                metrics.learn_tool(self.permit.upstream(), tool);
            }
            visible
        });
        metrics.overhead(Phase::Filter, began.elapsed());
        listing.map_err(|_| Refusal::UpstreamAnswer("unreadable list"))
    }
}

/// An answer on its way, chunk by chunk.
pub(super) struct Flow<'d> {
    sieve: &'d Sieve<'d>,
    form: Form,
    events: Splitter,
    /// The beginning of a plain answer; `None` once it is too long to be looked at.
    observed: Option<Vec<u8>>,
    seen: Option<Outcome>,
}

impl<'d> Flow<'d> {
    pub(super) fn new(sieve: &'d Sieve<'d>, form: Form) -> Self {
        let cap = match form {
            Form::ListEvents => sieve.gateway.options.limits.listing,
            Form::Events | Form::List | Form::Plain | Form::Status => OBSERVED,
        };
        Self { sieve, form, events: Splitter::new(cap), observed: Some(Vec::new()), seen: None }
    }

    pub(super) fn is_filtering(&self) -> bool {
        self.form == Form::ListEvents
    }

    /// Takes a chunk and gives back what may pass now.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Refusal> {
        if self.form == Form::ListEvents {
            self.events.push(&chunk);
            return self.filtered_events();
        }
        self.observe(&chunk);
        Ok(chunk)
    }

    fn filtered_events(&mut self) -> Result<Bytes, Refusal> {
        let mut out = Vec::new();
        let too_big = |_| Refusal::UpstreamAnswer("event too long");
        while let Some(event) = self.events.next_event().map_err(too_big)? {
            let data = sse::data(&event);
            if data.is_empty() {
                out.extend_from_slice(&event);
                continue;
            }
            match self.sieve.message(&data)? {
                Listing::Cut(text) => {
                    self.seen = Some(Outcome::Ok);
                    out.extend_from_slice(&sse::with_data(&event, &text));
                    continue;
                }
                Listing::Failure => self.seen = Some(Outcome::RpcError),
                Listing::List => self.seen = Some(Outcome::Ok),
                Listing::Notice => {}
                // On a GET stream the answers to other requests may be replayed.
                Listing::Result if self.sieve.permit.is_whole_stream() => {}
                Listing::Result => return Err(Refusal::UpstreamAnswer("not a list")),
            }
            out.extend_from_slice(&event);
        }
        Ok(Bytes::from(out))
    }

    fn observe(&mut self, chunk: &[u8]) {
        let Some(observed) = &mut self.observed else {
            return;
        };
        if self.form == Form::Plain {
            observed.extend_from_slice(chunk);
            if observed.len() > OBSERVED {
                self.observed = None;
            }
            return;
        }
        self.events.push(chunk);
        loop {
            match self.events.next_event() {
                Ok(Some(event)) => self.seen = self.outcome_of(&sse::data(&event)).or(self.seen),
                Ok(None) => return,
                Err(sse::TooBig) => {
                    self.observed = None;
                    return;
                }
            }
        }
    }

    fn outcome_of(&self, message: &[u8]) -> Option<Outcome> {
        let text = std::str::from_utf8(message).ok()?;
        outcome::of_answer(text, self.sieve.gateway.options.limits.json_depth)
    }

    /// How the request that opened an event stream ended, once its answer has passed.
    pub(super) fn seen(&self) -> Option<Outcome> {
        self.seen
    }

    /// How the answer ended: by what it says of itself, else by its status.
    pub(super) fn outcome(&self, status: Option<u16>) -> Outcome {
        let plain = self.observed.as_ref().filter(|_| self.form == Form::Plain);
        let said = self.seen.or_else(|| plain.and_then(|message| self.outcome_of(message)));
        said.unwrap_or(match status {
            Some(200..=299) => Outcome::Ok,
            _ => Outcome::RpcError,
        })
    }
}
