//! Step 9 of the story, for answers that come piece by piece: each piece passes as soon as it may.

use bytes::Bytes;
use http::header;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;
use tokio::time::{Duration, Instant, sleep_until};

use super::answer::{Delivery, Form};
use super::exchange::Exchange;
use super::forward::Answered;
use super::respond;
use super::sieve::Flow;
use super::standing::Follower;
use super::story::Break;
use super::trouble::{Phase, Trouble};
use crate::core::outcome::Outcome;
use crate::core::refusal::Refusal;
use crate::core::revision::Era;
use crate::core::sse;
use crate::core::token::AuthFailure;
use crate::telemetry::metrics::Metrics;

/// How long the head of a GET stream without a session waits for the first event, which tells
/// the transport of 2024-11-05 from today's. Far below any client's patience.
const FIRST_EVENT: Duration = Duration::from_secs(1);

/// Ignored by every reader of event streams (WHATWG HTML, "Server-sent events"). It is a line
/// and no event, so it may stand inside one.
const KEEP_ALIVE: &[u8] = b": keep-alive\n";

impl Delivery<'_> {
    /// Passes an answer on, chunk by chunk.
    pub(super) async fn stream(
        &self,
        mut answered: Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        mut head: ResponseHeader,
        form: Form,
    ) -> Result<(), Break> {
        frame(&mut head, &mut answered, downstream, form)?;
        respond::decorate(&mut head, exchange)?;
        let mut span = (form.is_events() || self.permit.is_endless()).then(|| {
            StreamSpan::open(&self.context.gateway.metrics, self.permit.upstream(), self.kind())
        });
        let mut flow = Flow::new(&self.sieve, form);
        let mut pump = Pump::new(self, downstream, exchange, head, form);
        let pumped = pump.run(&mut answered, &mut flow).await;
        if let Some(span) = &mut span {
            span.reason = match &pumped {
                Err(Stopped::Client) if flow.seen().is_some() => "complete",
                Err(stopped) => stopped.reason(),
                Ok(()) => "complete",
            };
        }
        match pumped {
            Ok(()) => {
                self.release(answered).await;
                exchange.outcome = self.judged(exchange, flow.said());
                if exchange.expects_answer()
                    && !self.permit.is_endless()
                    && exchange.answered.is_none()
                    && let Some(fault) = flow.fault()
                {
                    if self.permit.era() == Era::Legacy && flow.may_be_cancelled() {
                        // Nobody answers what the client has cancelled (MCP 2025-11-25,
                        // "Cancellation"), and only that is a good reason.
                        exchange.note = Some(fault.to_owned());
                        exchange.outcome = Outcome::Cancelled;
                    } else {
                        let trouble = Trouble::new(Phase::Body, self.place(), fault);
                        self.blame_body(exchange, trouble);
                        exchange.outcome = Outcome::UpstreamError;
                    }
                } else if exchange.expects_answer() && flow.is_open() {
                    let note = "the stream ended without an answer, which may come in another one";
                    exchange.note = Some(note.to_owned());
                }
                Ok(())
            }
            Err(stopped) => {
                answered.session.shutdown().await;
                exchange.note = stopped.note();
                match (&stopped, flow.seen()) {
                    // Legacy clients leave a call's stream as soon as they have read the answer.
                    (Stopped::Client, Some(outcome)) => Err(Break::Cut(outcome)),
                    _ => Err(stopped.into_break()),
                }
            }
        }
    }

    fn kind(&self) -> &'static str {
        match (self.permit.is_get(), self.permit.is_endless()) {
            (true, _) => "get",
            (false, true) => "listen",
            (false, false) => "call",
        }
    }
}

/// An answer on its way to the caller.
struct Pump<'p, 'd, 'g> {
    delivery: &'p Delivery<'d>,
    downstream: &'p mut ServerSession,
    exchange: &'p mut Exchange<'g>,
    form: Form,
    /// Until it is sent.
    head: Option<ResponseHeader>,
    /// How long the caller may hear nothing before a comment is written.
    keep_alive: Option<Duration>,
    follower: Follower<'d>,
    /// The end of what the caller has; a comment must begin a line.
    last_byte: u8,
    heard: Instant,
    told: Instant,
    oldest: Instant,
}

/// What came of waiting for the upstream.
enum Heard {
    Chunk(Bytes),
    End,
    /// Nothing, for as long as the caller may hear nothing.
    Nothing,
}

impl<'p, 'd, 'g> Pump<'p, 'd, 'g> {
    fn new(
        delivery: &'p Delivery<'d>,
        downstream: &'p mut ServerSession,
        exchange: &'p mut Exchange<'g>,
        head: ResponseHeader,
        form: Form,
    ) -> Self {
        let options = delivery.upstream.options();
        let now = Instant::now();
        Self {
            delivery,
            downstream,
            exchange,
            head: Some(head),
            form,
            keep_alive: options.stream_keep_alive.filter(|_| form.is_events()),
            follower: Follower::new(delivery.context, delivery.permit),
            last_byte: b'\n',
            heard: now,
            told: now,
            oldest: now + options.stream_max,
        }
    }

    async fn run(&mut self, answered: &mut Answered, flow: &mut Flow<'_>) -> Result<(), Stopped> {
        let permit = self.delivery.permit;
        // A head waits for the first piece that may pass, so that what cannot be read can still
        // become a 502, unless that piece may be long in coming.
        if !flow.is_sifting() || (permit.is_endless() && !self.may_be_old_transport()) {
            self.send_head().await?;
        }
        loop {
            let passed = match self.hear(answered).await {
                Ok(Heard::Chunk(chunk)) => flow.push(chunk).map(Some).map_err(Stopped::Unfit),
                Ok(Heard::End) => Ok(None),
                Ok(Heard::Nothing) => {
                    self.fill_silence().await?;
                    continue;
                }
                Err(stopped) => Err(stopped),
            };
            match passed {
                Ok(Some(out)) => {
                    self.write(out).await?;
                    // Many small pieces that are there already: others have a turn.
                    match self.form.is_events() {
                        true => tokio::task::yield_now().await,
                        false => tokio::task::consume_budget().await,
                    }
                }
                Ok(None) if self.head.is_some() => {
                    return Err(Stopped::Unfit(Refusal::UpstreamAnswer("no answer in stream")));
                }
                Ok(None) => {
                    return Ok(self.downstream.write_response_body(Bytes::new(), true).await?);
                }
                Err(stopped) if self.head.is_some() => return Err(stopped.before_head()),
                Err(Stopped::Unfit(refusal)) => {
                    let words = refusal.detail().unwrap_or_else(|| refusal.row().reason.into());
                    self.blame(refusal.clone(), Trouble::new(Phase::Body, self.place(), &words));
                    self.close_with(&refusal).await?;
                    return Err(Stopped::Upstream);
                }
                Err(Stopped::Changed) => {
                    self.downstream.write_response_body(Bytes::new(), true).await?;
                    return Err(Stopped::Changed);
                }
                Err(Stopped::Lost(failure)) if self.form.is_events() => {
                    self.close_with(&Refusal::Unauthenticated(failure)).await?;
                    return Err(Stopped::Lost(failure));
                }
                Err(stopped) => return Err(stopped),
            }
        }
    }

    fn place(&self) -> String {
        self.delivery.place()
    }

    fn blame(&mut self, refusal: Refusal, trouble: Trouble) {
        self.exchange.blame(self.delivery.permit.upstream(), refusal, trouble);
    }

    /// Takes down that the time of `key` is over. A listener's stream ends like that every day.
    fn late(&mut self, key: &str, time: Duration) {
        let trouble = Trouble::late(Phase::Body, self.place(), key, time);
        match self.delivery.permit.is_endless() {
            true => self.exchange.trouble = Some(trouble),
            false => self.blame(Refusal::UpstreamTimeout, trouble),
        }
    }

    /// The last event of a stream that cannot go on. A listener's has an end and no answer.
    async fn close_with(&mut self, refusal: &Refusal) -> pingora::Result<()> {
        // Into the middle of a line nothing can be written.
        let last = match self.delivery.permit.is_get() || self.last_byte != b'\n' {
            true => Bytes::new(),
            false => {
                let (id, request_id) = (self.exchange.id.as_ref(), &self.exchange.request_id);
                Bytes::from(sse::event(&refusal.body(id, request_id)))
            }
        };
        self.downstream.write_response_body(last, true).await
    }

    /// Streams of the old transport are opened without a session.
    fn may_be_old_transport(&self) -> bool {
        self.delivery.permit.is_get() && self.delivery.permit.session().is_none()
    }

    /// How long the caller may hear nothing.
    fn patience(&self) -> Option<Duration> {
        match &self.head {
            Some(_) => Some(FIRST_EVENT).filter(|_| self.may_be_old_transport()),
            None => self.keep_alive,
        }
    }

    async fn hear(&mut self, answered: &mut Answered) -> Result<Heard, Stopped> {
        if answered.session.response_done() {
            return Ok(Heard::End);
        }
        let now = Instant::now();
        let idle = self.heard + self.delivery.upstream.options().stream_idle;
        let deadline = self.patience().map_or(idle, |patience| idle.min(self.told + patience));
        let mut stop = self.delivery.context.shutdown.clone();
        // What ends a stream by itself comes first, or a stream that never pauses would outlive
        // it. What is there is passed on before the client is looked at; one that is gone shows
        // when it is written to.
        let chunk = tokio::select! {
            biased;
            ended = self.follower.ended() => {
                return Err(ended.map_or(Stopped::Changed, Stopped::Lost));
            }
            () = sleep_until(self.oldest) => {
                self.late("stream_max", self.delivery.upstream.options().stream_max);
                return Err(Stopped::MaxAge);
            }
            chunk = timeout(deadline - now, answered.session.read_response_body()) => chunk,
            _ = self.downstream.read_body_or_idle(true) => return Err(Stopped::Client),
            // Calls may finish; there is no end of an endless stream to wait for.
            _ = stop.wait_for(|stopping| *stopping), if self.delivery.permit.is_endless() => {
                return Err(Stopped::Shutdown);
            }
        };
        match chunk {
            Ok(Ok(chunk)) => {
                self.heard = Instant::now();
                Ok(chunk.map_or(Heard::End, Heard::Chunk))
            }
            Ok(Err(error)) => {
                let trouble = Trouble::of(&error, Phase::Body, self.place());
                self.blame(Refusal::UpstreamAnswer("body"), trouble);
                Err(Stopped::Upstream)
            }
            Err(_) if deadline == idle => {
                self.late("stream_idle", self.delivery.upstream.options().stream_idle);
                Err(Stopped::Idle)
            }
            Err(_) => Ok(Heard::Nothing),
        }
    }

    async fn fill_silence(&mut self) -> Result<(), Stopped> {
        if self.head.is_some() {
            self.send_head().await?;
        } else if self.last_byte == b'\n' {
            self.write(Bytes::from_static(KEEP_ALIVE)).await?;
        }
        self.told = Instant::now();
        Ok(())
    }

    async fn write(&mut self, out: Bytes) -> Result<(), Stopped> {
        let Some(&last) = out.last() else {
            return Ok(());
        };
        self.send_head().await?;
        self.exchange.bytes_out += out.len();
        self.downstream.write_response_body(out, false).await?;
        self.last_byte = last;
        self.told = Instant::now();
        Ok(())
    }

    async fn send_head(&mut self) -> pingora::Result<()> {
        let Some(head) = self.head.take() else {
            return Ok(());
        };
        self.exchange.status = Some(head.status.as_u16());
        self.downstream.write_response_header(Box::new(head)).await
    }
}

/// How the end of the body is told.
fn frame(
    head: &mut ResponseHeader,
    answered: &mut Answered,
    downstream: &ServerSession,
    form: Form,
) -> pingora::Result<()> {
    let is_empty = answered.session.response_done();
    let sent = answered.session.response_header();
    let length = sent.and_then(|h| h.headers.get(header::CONTENT_LENGTH)).cloned();
    match length.filter(|_| form == Form::Plain) {
        Some(length) => head.insert_header(header::CONTENT_LENGTH, length)?,
        None if is_empty && head.status != http::StatusCode::NO_CONTENT => {
            head.insert_header(header::CONTENT_LENGTH, "0")?;
        }
        None if is_empty || downstream.is_http2() => {}
        None => head.insert_header(header::TRANSFER_ENCODING, "chunked")?,
    }
    head.insert_header(header::CACHE_CONTROL, "no-store")
}

/// Why an answer ended before its end.
enum Stopped {
    /// The caller's rights have changed.
    Changed,
    Client,
    Idle,
    /// The caller's token is no longer valid.
    Lost(AuthFailure),
    MaxAge,
    Shutdown,
    Unfit(Refusal),
    Upstream,
}

impl From<Box<pingora::Error>> for Stopped {
    fn from(_: Box<pingora::Error>) -> Self {
        Self::Client
    }
}

impl Stopped {
    fn reason(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Client => "client",
            Self::Idle => "idle",
            Self::Lost(AuthFailure::Expired) => "expired",
            Self::Lost(_) => "revoked",
            Self::MaxAge => "max_age",
            Self::Shutdown => "shutdown",
            Self::Unfit(_) | Self::Upstream => "upstream",
        }
    }

    /// What records say of the end of a stream that nobody else has ended.
    fn note(&self) -> Option<String> {
        let why = match self {
            Self::Lost(failure) => failure.as_str(),
            Self::Changed | Self::Shutdown => self.reason(),
            Self::Client | Self::Idle | Self::MaxAge | Self::Unfit(_) | Self::Upstream => {
                return None;
            }
        };
        Some(format!("the stream was ended: {why}"))
    }

    /// While the head has not been sent, the caller can still be told.
    fn before_head(self) -> Self {
        match self {
            Self::Upstream => Self::Unfit(Refusal::UpstreamAnswer("body")),
            Self::Idle | Self::MaxAge => Self::Unfit(Refusal::UpstreamTimeout),
            Self::Lost(failure) => Self::Unfit(Refusal::Unauthenticated(failure)),
            Self::Changed | Self::Client | Self::Shutdown | Self::Unfit(_) => self,
        }
    }

    fn into_break(self) -> Break {
        match self {
            Self::Client => Break::Gone,
            Self::Idle | Self::MaxAge => Break::Cut(Outcome::Timeout),
            Self::Lost(_) => Break::Cut(Outcome::Unauthenticated),
            Self::Changed | Self::Shutdown => Break::Cut(Outcome::Ok),
            Self::Unfit(refusal) => Break::Refuse(refusal),
            Self::Upstream => Break::Cut(Outcome::UpstreamError),
        }
    }
}

/// Counts an event stream from its first byte to its end.
struct StreamSpan<'d> {
    metrics: &'d Metrics,
    upstream: &'d str,
    kind: &'static str,
    began: Instant,
    reason: &'static str,
}

impl<'d> StreamSpan<'d> {
    fn open(metrics: &'d Metrics, upstream: &'d str, kind: &'static str) -> Self {
        metrics.streams.with_label_values(&[upstream, kind]).inc();
        Self { metrics, upstream, kind, began: Instant::now(), reason: "client" }
    }
}

impl Drop for StreamSpan<'_> {
    fn drop(&mut self) {
        self.metrics.streams.with_label_values(&[self.upstream, self.kind]).dec();
        let lasted = self.began.elapsed();
        self.metrics.stream_closed(self.upstream, self.kind, self.reason, lasted);
    }
}
