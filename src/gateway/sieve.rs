//! What passes of an answer: lists cut down to what the caller may see, ids with their seals, the
//! rest as it is.

use std::time::Instant;

use bytes::Bytes;

use super::answer::Form;
use super::buffers::{Share, shared};
use super::drift::Drift;
use super::story::Context;
use super::unanswered::Held;
use crate::core::capabilities;
use crate::core::decide::Permit;
use crate::core::listing::{self, Asked, Listing, Reading, Shape};
use crate::core::method::Filter;
use crate::core::outcome::{self, Outcome};
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Tasks;
use crate::core::refusal::Refusal;
use crate::core::sse::{self, Splitter};
use crate::core::tasks::{Sealing, Unsealable};
use crate::core::way_back::WayBack;
use crate::telemetry::metrics::Phase;

/// How much of an answer that passes is kept, to see how the call ended. A longer one counts by
/// its status.
const OBSERVED: usize = 16 << 10;

/// Changes messages by the decision that also guards calls.
#[derive(Clone, Copy)]
pub(super) struct Sieve<'d> {
    pub(super) context: Context<'d>,
    pub(super) permit: &'d Permit,
    pub(super) way_back: WayBack,
}

/// A message that may pass.
pub(super) struct Sifted {
    /// Its new text, where it had to change; empty where nothing of it may pass.
    pub(super) text: Option<String>,
    /// How the request ended, where the message is its answer.
    pub(super) outcome: Option<Outcome>,
}

impl Sieve<'_> {
    /// Reads the one message that is the answer.
    pub(super) fn answer(&self, message: &[u8]) -> Result<Sifted, Refusal> {
        let sifted = self.message(message)?;
        if sifted.outcome.is_none() {
            return Err(Refusal::UpstreamAnswer("not an answer"));
        }
        Ok(sifted)
    }

    /// Reads one message of the upstream.
    fn message(&self, message: &[u8]) -> Result<Sifted, Refusal> {
        let began = Instant::now();
        let sifted = self.sift(message);
        self.context.gateway.metrics.overhead(Phase::Filter, began.elapsed());
        sifted
    }

    fn sift(&self, message: &[u8]) -> Result<Sifted, Refusal> {
        let (metrics, limits) = (&self.context.gateway.metrics, &self.context.options().limits);
        let ttl = u64::try_from(limits.list_ttl.as_millis()).unwrap_or(u64::MAX);
        let how = Reading {
            asked: self.asked(),
            max_depth: limits.json_depth,
            max_ttl: ttl,
            way_back: self.way_back,
        };
        // A list that turns up on a stream is judged as one that is asked for now.
        let now = jiff::Timestamp::now().as_second();
        let moment = Some(now).filter(|_| self.permit.is_endless());
        let may_see = |target: Target<'_>| match moment {
            Some(now) => self.permit.may_see_at(target, now),
            None => self.permit.may_see(target),
        };
        let mut drift = Drift::new(self);
        let mut granted = 0;
        let read = listing::filter_bytes(message, how, |target, item| {
            let is_visible = may_see(target);
            granted += usize::from(is_visible);
            if is_visible && target.kind == TargetKind::Tool {
                metrics.learn_tool(self.permit.upstream(), target.name);
            }
            drift.may_show(target, item) && is_visible
        });
        let (text, listing) = read.map_err(Refusal::UpstreamText)?;
        let text = &*text;
        let outcome = self.outcome(listing.shape, text)?;
        if let (Shape::List(_), Some(next)) = (listing.shape, &listing.next) {
            self.way_back.cursor(next).map_err(Refusal::NoWayBack)?;
        }
        drift.remember(&listing);
        self.tell(&listing, granted);
        if listing.shape == Shape::Foreign && how.asked == Asked::List {
            return Ok(Sifted { text: Some(String::new()), outcome });
        }
        let edited = (!listing.edits.is_empty()).then(|| listing.edits.apply(text));
        let edited = self.strip(listing.shape, edited, text)?;
        Ok(Sifted { text: self.seal(edited, text)?, outcome })
    }

    /// Tells the operator what became of a list.
    fn tell(&self, listing: &Listing, granted: usize) {
        let Shape::List(kind) = listing.shape else {
            return;
        };
        let (gateway, tally) = (self.context.gateway, &listing.tally);
        let upstream = self.permit.upstream();
        gateway.lists.left_out(&gateway.metrics, upstream, kind, &tally.left_out);
        if matches!(self.permit.filter(), Filter::List(_)) && listing.next.is_none() {
            gateway.lists.seen(&gateway.metrics, self.permit, kind, tally, granted);
        }
    }

    /// The request that a message of the upstream may be an answer to.
    fn asked(&self) -> Asked {
        match self.permit.filter() {
            _ if self.permit.is_get() => Asked::Unknown,
            Filter::List(_) => Asked::List,
            _ => Asked::Other,
        }
    }

    /// How the request ended. What was asked for as a list must be one.
    fn outcome(&self, shape: Shape, text: &str) -> Result<Option<Outcome>, Refusal> {
        match (self.permit.filter(), shape) {
            (_, Shape::Notice | Shape::Foreign) => Ok(None),
            (_, Shape::Failure) => Ok(Some(Outcome::RpcError)),
            (Filter::List(asked), Shape::List(kind)) if asked == kind => Ok(Some(Outcome::Ok)),
            (Filter::List(_), _) => Err(Refusal::UpstreamAnswer("not the list")),
            (_, Shape::List(_) | Shape::Result | Shape::Welcome) => {
                Ok(outcome::of_answer(text, self.context.options().limits.json_depth))
            }
        }
    }

    /// Leaves out capabilities that are refused to everybody.
    fn strip(
        &self,
        shape: Shape,
        edited: Option<String>,
        text: &str,
    ) -> Result<Option<String>, Refusal> {
        if shape != Shape::Welcome {
            return Ok(edited);
        }
        let depth = self.context.options().limits.json_depth;
        let now = edited.as_deref().unwrap_or(text);
        let stripped = capabilities::strip(now, depth, self.permit.tasks());
        Ok(stripped.map_err(|_| Refusal::UpstreamAnswer("unreadable"))?.or(edited))
    }

    /// Puts seals on the ids of tasks.
    fn seal(&self, edited: Option<String>, text: &str) -> Result<Option<String>, Refusal> {
        if self.permit.tasks() == Tasks::Off {
            return Ok(edited);
        }
        let depth = self.context.options().limits.json_depth;
        let now = edited.as_deref().unwrap_or(text);
        let sealing = Sealing {
            permit: self.permit,
            key: &self.context.options().seal,
            makers: &self.context.gateway.minted,
            way_back: self.way_back,
        };
        let sealed = sealing.seal(now, depth).map_err(|why| match why {
            Unsealable::Json(_) => Refusal::UpstreamAnswer("unreadable"),
            Unsealable::TooLong(too_long) => Refusal::NoWayBack(too_long),
        });
        Ok(sealed?.or(edited))
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
    /// What an event stream held besides an answer.
    held: Held,
    /// For the event that has not ended, and the beginning that is kept.
    share: Share,
}

impl<'d> Flow<'d> {
    pub(super) fn new(sieve: &'d Sieve<'d>, form: Form) -> Self {
        let cap = if form == Form::SiftedEvents {
            sieve.context.options().limits.listing
        } else {
            OBSERVED
        };
        Self {
            sieve,
            form,
            events: Splitter::new(cap),
            observed: Some(Vec::new()),
            seen: None,
            held: Held::default(),
            share: sieve.context.share(),
        }
    }

    pub(super) fn is_sifting(&self) -> bool {
        self.form == Form::SiftedEvents
    }

    /// Takes a chunk and gives back what may pass now.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Bytes, Refusal> {
        if !self.is_sifting() {
            self.observe(&chunk);
            return Ok(chunk);
        }
        self.held.is_empty &= chunk.is_empty();
        self.share.resize(self.kept() + chunk.len())?;
        self.events.push(&chunk);
        let mut out = Vec::new();
        let too_big = |_| Refusal::UpstreamAnswer("too long to be read");
        while let Some(event) = self.events.next_event().map_err(too_big)? {
            self.sift(&event, &mut out)?;
        }
        self.share.resize(self.kept())?;
        let mut share = self.sieve.context.share();
        share.resize(out.len())?;
        Ok(shared(out, share))
    }

    /// Bytes of memory that are held between two chunks.
    fn kept(&self) -> usize {
        self.events.held() + self.observed.as_ref().map_or(0, Vec::capacity)
    }

    fn sift(&mut self, event: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.sieve.permit.is_get() && sse::is_endpoint(event) {
            return Err(Refusal::OldTransport);
        }
        // What is no JSON ends the stream below.
        self.held.note(event, |_| true);
        let defined = self.sieve.permit.hides().then(|| sse::only_defined(event)).flatten();
        let event = defined.as_deref().unwrap_or(event);
        let room = self.sieve.way_back.header_room();
        let short = sse::without_longer_id(event, room);
        if short.is_some() {
            let upstream = self.sieve.permit.upstream();
            tracing::debug!(
                event = "upstream.event_id_left_out",
                upstream,
                room,
                "limits.headers has no room for the Last-Event-ID that would bring it back"
            );
        }
        let event = short.as_deref().unwrap_or(event);
        let data = sse::data(event);
        if data.is_empty() {
            out.extend_from_slice(event);
            return Ok(());
        }
        let sifted = self.sieve.message(&data)?;
        if sse::is_message(event) {
            self.seen = sifted.outcome.or(self.seen);
        }
        match sifted.text {
            None => out.extend_from_slice(event),
            Some(text) if text.is_empty() => {}
            Some(text) => out.extend_from_slice(&sse::with_data(event, &text)),
        }
        Ok(())
    }

    fn observe(&mut self, chunk: &[u8]) {
        if self.observed.is_none() {
            return;
        }
        // Rather an outcome that is not known than an answer that does not pass.
        if self.share.resize(self.kept() + chunk.len().min(OBSERVED)).is_err() {
            self.forget();
            return;
        }
        let Some(observed) = &mut self.observed else { return };
        if self.form == Form::Plain {
            observed.extend_from_slice(chunk);
            if observed.len() > OBSERVED {
                self.forget();
            }
            return;
        }
        self.held.is_empty &= chunk.is_empty();
        self.events.push(chunk);
        loop {
            match self.events.next_event() {
                Ok(Some(event)) => {
                    let said = self.outcome_of(&sse::data(&event));
                    let is_json =
                        |data: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok();
                    self.held.note(&event, |data| said.is_some() || is_json(data));
                    self.seen = said.filter(|_| sse::is_message(&event)).or(self.seen);
                }
                Ok(None) => return,
                Err(sse::TooBig) => {
                    self.forget();
                    return;
                }
            }
        }
    }

    /// Looks at nothing more of an answer that passes.
    fn forget(&mut self) {
        self.observed = None;
        self.events = Splitter::new(OBSERVED);
        // To give back is always possible.
        let _ = self.share.resize(0);
    }

    fn outcome_of(&self, message: &[u8]) -> Option<Outcome> {
        let text = std::str::from_utf8(message).ok()?;
        outcome::of_answer(text, self.sieve.context.options().limits.json_depth)
    }

    /// How the request that opened an event stream ended, once its answer has passed.
    pub(super) fn seen(&self) -> Option<Outcome> {
        self.seen
    }

    /// How the answer ended, by what it says of itself.
    pub(super) fn said(&self) -> Option<Outcome> {
        let plain = self.observed.as_ref().filter(|_| self.form == Form::Plain);
        self.seen.or_else(|| plain.and_then(|message| self.outcome_of(message)))
    }

    /// Why a body that was looked at to its end is not the answer to a request.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let observed = self.observed.as_ref()?;
        if self.said().is_some() {
            return None;
        }
        if self.form != Form::Plain {
            // An answer may be taken up elsewhere (MCP 2025-11-25, "Resumability and Redelivery").
            return (!self.held.has_id).then(|| self.held.words());
        }
        match serde_json::from_slice::<serde::de::IgnoredAny>(observed) {
            _ if observed.is_empty() => Some("an empty body, and no JSON"),
            Ok(_) => Some("a body of JSON that is no answer of JSON-RPC"),
            Err(_) => Some("a body that is no JSON"),
        }
    }

    /// Whether an event stream without an answer holds nothing that a server would not send.
    pub(super) fn may_be_cancelled(&self) -> bool {
        self.form != Form::Plain && self.held.is_orderly()
    }

    /// What the record says of a stream whose answer may come in another one.
    pub(super) fn is_open(&self) -> bool {
        let is_seen = self.observed.is_some() && self.form != Form::Plain;
        is_seen && self.said().is_none() && self.held.has_id
    }
}
