//! Step 9 of the story: the upstream's answer, filtered where it lists, else as it comes.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use tokio::time::{Instant, sleep_until};

use super::exchange::Exchange;
use super::forward::Answered;
use super::head::{MCP_SESSION, media_type, only};
use super::sieve::{Flow, Sieve};
use super::story::Break;
use super::upstream::Upstream;
use super::{Gateway, respond};
use crate::core::decide::Permit;
use crate::core::listing::Listing;
use crate::core::method::Filter;
use crate::core::outcome::Outcome;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;
use crate::core::sse;
use crate::telemetry::metrics::Metrics;

/// Statuses that mean something between an MCP server and its client. Everything else, a
/// challenge, a redirect or a failure, concerns the gateway and its upstream alone.
const PASSED: [u16; 13] = [200, 202, 204, 400, 404, 405, 406, 409, 410, 413, 415, 422, 429];

/// Headers of an answer that reach the caller, where the upstream sent them.
static PASSED_HEADERS: [HeaderName; 5] = [
    header::ALLOW,
    header::CONTENT_TYPE,
    HeaderName::from_static("mcp-protocol-version"),
    header::RETRY_AFTER,
    HeaderName::from_static("x-accel-buffering"),
];

/// Brings the answer to the caller.
pub(super) async fn deliver(
    gateway: &Gateway,
    upstream: &Upstream,
    permit: &Permit,
    mut answered: Answered,
    downstream: &mut ServerSession,
    exchange: &mut Exchange<'_>,
    shutdown: &ShutdownWatch,
) -> Result<(), Break> {
    let form = match form(&answered, permit) {
        Ok(form) => form,
        Err(refusal) => {
            let reason = refusal.detail();
            tracing::warn!(event = "upstream.answer", upstream = permit.upstream(), reason);
            answered.session.shutdown().await;
            return Err(refusal.into());
        }
    };
    let mut head = head(&answered, permit)?;
    let sieve = Sieve { gateway, permit };
    let delivery = Delivery { gateway, upstream, permit, shutdown, sieve };
    match form {
        Form::List => delivery.list(answered, downstream, exchange, head).await,
        Form::Status => {
            answered.session.shutdown().await;
            exchange.outcome = Outcome::RpcError;
            head.remove_header(&header::CONTENT_TYPE);
            Ok(respond::write(downstream, exchange, head, Bytes::new()).await?)
        }
        Form::Events | Form::ListEvents | Form::Plain => {
            delivery.stream(answered, downstream, exchange, head, form).await
        }
    }
}

/// How an answer is treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// A body to be read whole and filtered.
    List,
    /// An event stream in which lists are filtered.
    ListEvents,
    /// An event stream that passes.
    Events,
    /// Any other body.
    Plain,
    /// A refusal of the upstream in a form that cannot be filtered: its status passes alone.
    Status,
}

fn form(answered: &Answered, permit: &Permit) -> Result<Form, Refusal> {
    let bad = |what| Err(Refusal::UpstreamAnswer(what));
    let Some(head) = answered.session.response_header() else {
        return bad("no head");
    };
    if !PASSED.contains(&head.status.as_u16()) {
        return bad("status");
    }
    let encoding = head.headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return bad("encoded");
    }
    let media = match only(&head.headers, header::CONTENT_TYPE) {
        Header::One(value) => value,
        Header::Absent | Header::Unclear => "",
    };
    let is_events = media_type(media).is_some_and(|m| m.eq_ignore_ascii_case("text/event-stream"));
    let is_json = media_type(media).is_some_and(|m| m.eq_ignore_ascii_case("application/json"));
    let has_lists = permit.filter() == Filter::Tools || permit.is_whole_stream();
    match (has_lists, head.status.as_u16()) {
        (true, _) if is_events => Ok(Form::ListEvents),
        (true, _) if is_json => Ok(Form::List),
        (true, 200) => bad("neither JSON nor an event stream"),
        (true, _) => Ok(Form::Status),
        (false, _) => Ok(if is_events { Form::Events } else { Form::Plain }),
    }
}

/// A new response head from an allow-list.
fn head(answered: &Answered, permit: &Permit) -> Result<ResponseHeader, Break> {
    let Some(sent) = answered.session.response_header() else {
        return Err(Refusal::UpstreamAnswer("no head").into());
    };
    let mut new = ResponseHeader::build_no_case(sent.status, Some(10))?;
    for name in &PASSED_HEADERS {
        if let Some(value) = sent.headers.get(name) {
            new.insert_header(name, value.clone())?;
        }
    }
    // The session id belongs to the answer that opens the session, and to no other.
    let opens_session = permit.method().is_some_and(|m| m.name == "initialize");
    if opens_session && let Some(id) = sent.headers.get(&MCP_SESSION) {
        new.insert_header(&MCP_SESSION, id.clone())?;
    }
    Ok(new)
}

struct Delivery<'d> {
    gateway: &'d Gateway,
    upstream: &'d Upstream,
    permit: &'d Permit,
    shutdown: &'d ShutdownWatch,
    sieve: Sieve<'d>,
}

impl Delivery<'_> {
    /// A list as one body: read, filtered, sent with its new length, or a 502.
    async fn list(
        &self,
        mut answered: Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        head: ResponseHeader,
    ) -> Result<(), Break> {
        let reading = self.collect(&mut answered, downstream);
        let body = match timeout(self.upstream.options().call_timeout, reading).await {
            Ok(Ok(body)) => body,
            Ok(Err(stopped)) => {
                answered.session.shutdown().await;
                return Err(stopped);
            }
            Err(_) => {
                answered.session.shutdown().await;
                return Err(Refusal::UpstreamTimeout.into());
            }
        };
        self.release(answered).await;
        let (body, outcome) = match self.sieve.message(&body) {
            Ok(Listing::Cut(text)) => (Bytes::from(text), Outcome::Ok),
            Ok(Listing::Failure) => (body, Outcome::RpcError),
            Ok(Listing::List) => (body, Outcome::Ok),
            // Frameworks around a server refuse in forms of their own; the status says enough.
            _ if head.status != http::StatusCode::OK => (Bytes::new(), Outcome::RpcError),
            Ok(Listing::Notice | Listing::Result) => {
                return Err(Refusal::UpstreamAnswer("not a list").into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        exchange.outcome = outcome;
        Ok(respond::write(downstream, exchange, head, body).await?)
    }

    async fn collect(
        &self,
        answered: &mut Answered,
        downstream: &mut ServerSession,
    ) -> Result<Bytes, Break> {
        let mut all = BytesMut::new();
        loop {
            let chunk = tokio::select! {
                chunk = answered.session.read_response_body() => chunk,
                _ = downstream.read_body_or_idle(true) => return Err(Break::Gone),
            };
            match chunk {
                Ok(Some(chunk)) => all.extend_from_slice(&chunk),
                Ok(None) => return Ok(all.freeze()),
                Err(_) => return Err(Refusal::UpstreamAnswer("body cut off").into()),
            }
            if all.len() > self.gateway.options.limits.listing {
                return Err(Refusal::UpstreamAnswer("list too long").into());
            }
        }
    }

    /// Everything else, chunk by chunk.
    async fn stream(
        &self,
        mut answered: Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        mut head: ResponseHeader,
        form: Form,
    ) -> Result<(), Break> {
        frame(&mut head, &mut answered, downstream, form)?;
        respond::decorate(&mut head, exchange)?;
        let kind = if self.permit.is_whole_stream() { "get" } else { "call" };
        let mut span = (form != Form::Plain)
            .then(|| StreamSpan::open(&self.gateway.metrics, self.permit.upstream(), kind));
        let mut flow = Flow::new(&self.sieve, form);
        let pumped = self.pump(&mut answered, downstream, exchange, head, &mut flow).await;
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
                exchange.outcome = flow.outcome(exchange.status);
                Ok(())
            }
            Err(stopped) => {
                answered.session.shutdown().await;
                match (&stopped, flow.seen()) {
                    // Legacy clients leave a call's stream as soon as they have read the answer.
                    (Stopped::Client, Some(outcome)) => Err(Break::Cut(outcome)),
                    _ => Err(stopped.into_break()),
                }
            }
        }
    }

    async fn pump(
        &self,
        answered: &mut Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        head: ResponseHeader,
        flow: &mut Flow<'_>,
    ) -> Result<(), Stopped> {
        let oldest = Instant::now() + self.upstream.options().stream_max;
        // The head of a list waits for the first event that may pass, so that an unreadable list
        // can still become a 502.
        let mut head = Some(head);
        if !flow.is_filtering() || self.permit.is_whole_stream() {
            send_head(&mut head, downstream, exchange).await?;
        }
        loop {
            let read = match answered.session.response_done() {
                true => Ok(None),
                false => self.next_chunk(answered, downstream, oldest).await,
            };
            let passed = read.and_then(|chunk| match chunk {
                Some(chunk) => flow.push(chunk).map(Some).map_err(Stopped::Unfit),
                None => Ok(None),
            });
            match passed {
                Ok(Some(out)) if out.is_empty() => {}
                Ok(Some(out)) => {
                    send_head(&mut head, downstream, exchange).await?;
                    exchange.bytes_out += out.len();
                    downstream.write_response_body(out, false).await?;
                }
                Ok(None) if head.is_some() => {
                    return Err(Stopped::Unfit(Refusal::UpstreamAnswer("no answer in stream")));
                }
                Ok(None) => return Ok(downstream.write_response_body(Bytes::new(), true).await?),
                Err(stopped) if head.is_some() => return Err(stopped.before_head()),
                Err(Stopped::Unfit(refusal)) => {
                    let text = refusal.body(exchange.id.as_ref());
                    let event = Bytes::from(sse::event(&text));
                    downstream.write_response_body(event, true).await?;
                    return Err(Stopped::Upstream);
                }
                Err(stopped) => return Err(stopped),
            }
        }
    }

    async fn next_chunk(
        &self,
        answered: &mut Answered,
        downstream: &mut ServerSession,
        oldest: Instant,
    ) -> Result<Option<Bytes>, Stopped> {
        let idle = self.upstream.options().stream_idle;
        let mut stop = self.shutdown.clone();
        // What is there is passed on before anything else is looked at; a client that is gone
        // shows when it is written to.
        let chunk = tokio::select! {
            biased;
            chunk = timeout(idle, answered.session.read_response_body()) => chunk,
            _ = downstream.read_body_or_idle(true) => return Err(Stopped::Client),
            () = sleep_until(oldest) => return Err(Stopped::MaxAge),
            // Calls may finish; a stream that a GET opened has no end to wait for.
            _ = stop.wait_for(|stopping| *stopping), if self.permit.is_whole_stream() => {
                return Err(Stopped::Shutdown);
            }
        };
        match chunk {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(_)) => Err(Stopped::Upstream),
            Err(_) => Err(Stopped::Idle),
        }
    }

    async fn release(&self, answered: Answered) {
        let Answered { session, peer } = answered;
        let idle = peer.options.idle_timeout;
        self.upstream.connector.release_http_session(session, &*peer, idle).await;
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

async fn send_head(
    head: &mut Option<ResponseHeader>,
    downstream: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> pingora::Result<()> {
    let Some(head) = head.take() else {
        return Ok(());
    };
    exchange.status = Some(head.status.as_u16());
    downstream.write_response_header(Box::new(head)).await
}

/// Why an answer ended before its end.
enum Stopped {
    Client,
    Idle,
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
            Self::Client => "client",
            Self::Idle => "idle",
            Self::MaxAge => "max_age",
            Self::Shutdown => "shutdown",
            Self::Unfit(_) | Self::Upstream => "upstream",
        }
    }

    /// While the head has not been sent, the caller can still be told.
    fn before_head(self) -> Self {
        match self {
            Self::Upstream => Self::Unfit(Refusal::UpstreamAnswer("body cut off")),
            Self::Idle | Self::MaxAge => Self::Unfit(Refusal::UpstreamTimeout),
            Self::Client | Self::Shutdown | Self::Unfit(_) => self,
        }
    }

    fn into_break(self) -> Break {
        match self {
            Self::Client => Break::Gone,
            Self::Idle | Self::MaxAge => Break::Cut(Outcome::Timeout),
            Self::Shutdown => Break::Cut(Outcome::Ok),
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
