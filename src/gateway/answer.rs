//! Step 9 of the story: the upstream's answer, read where it has to change, else as it comes.

use bytes::Bytes;
use http::header::{self, HeaderName};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;

use super::buffers::{Buffer, shared};
use super::exchange::Exchange;
use super::forward::Answered;
use super::head::{MCP_SESSION, media_type, only};
use super::respond;
use super::sieve::{Sieve, Sifted};
use super::story::{Break, Context};
use super::upstream::Upstream;
use crate::core::decide::Permit;
use crate::core::outcome::Outcome;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;

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

/// Brings the answer to the caller; what cannot be passed on is the operator's to know, too.
pub(super) async fn deliver(
    context: Context<'_>,
    upstream: &Upstream,
    permit: &Permit,
    answered: Answered,
    downstream: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> Result<(), Break> {
    let brought = bring(context, upstream, permit, answered, downstream, exchange).await;
    if let Err(Break::Refuse(refusal)) = &brought
        && *refusal != Refusal::BuffersFull
    {
        warn(permit, refusal);
    }
    brought
}

pub(super) fn warn(permit: &Permit, refusal: &Refusal) {
    let (reason, detail) = (refusal.row().reason, refusal.detail());
    tracing::warn!(event = "upstream.answer", upstream = permit.upstream(), reason, detail);
}

async fn bring(
    context: Context<'_>,
    upstream: &Upstream,
    permit: &Permit,
    mut answered: Answered,
    downstream: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> Result<(), Break> {
    let form = match form(&answered, permit) {
        Ok(form) => form,
        Err(refusal) => {
            answered.session.shutdown().await;
            return Err(refusal.into());
        }
    };
    let mut head = head(context, &answered, permit)?;
    let sieve = Sieve { context, permit };
    let delivery = Delivery { context, upstream, permit, sieve };
    match form {
        Form::Whole => delivery.whole(answered, downstream, exchange, head).await,
        Form::Status => {
            answered.session.shutdown().await;
            exchange.outcome = Outcome::RpcError;
            head.remove_header(&header::CONTENT_TYPE);
            Ok(respond::write(downstream, exchange, head, Bytes::new()).await?)
        }
        Form::Events | Form::Plain | Form::SiftedEvents => {
            delivery.stream(answered, downstream, exchange, head, form).await
        }
    }
}

/// How an answer is treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// An event stream that passes.
    Events,
    /// Any other body that passes.
    Plain,
    /// An event stream whose messages are read and changed one by one.
    SiftedEvents,
    /// A refusal of the upstream in a form that cannot be read: its status passes alone.
    Status,
    /// A message that is read whole and changed.
    Whole,
}

impl Form {
    pub(super) fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::SiftedEvents)
    }
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
    if !permit.changes_answer() {
        return Ok(if is_events { Form::Events } else { Form::Plain });
    }
    match head.status.as_u16() {
        _ if is_events => Ok(Form::SiftedEvents),
        _ if is_json => Ok(Form::Whole),
        200 => bad("neither JSON nor an event stream"),
        _ if permit.hides() => Ok(Form::Status),
        _ => Ok(Form::Plain),
    }
}

/// A new response head from an allow-list.
fn head(
    context: Context<'_>,
    answered: &Answered,
    permit: &Permit,
) -> Result<ResponseHeader, Break> {
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
    if permit.method().is_some_and(|m| m.name == "initialize") {
        match only(&sent.headers, &MCP_SESSION) {
            Header::Absent => {}
            Header::One(id) => {
                let seal = &context.options().seal;
                let sealed = seal.seal_session(permit.principal(), permit.upstream(), id);
                new.insert_header(&MCP_SESSION, sealed)?;
            }
            Header::Unclear => return Err(Refusal::UpstreamAnswer("session id").into()),
        }
    }
    Ok(new)
}

pub(super) struct Delivery<'d> {
    pub(super) context: Context<'d>,
    pub(super) upstream: &'d Upstream,
    pub(super) permit: &'d Permit,
    pub(super) sieve: Sieve<'d>,
}

impl Delivery<'_> {
    /// One message: read, changed, sent with its new length, or a 502.
    async fn whole(
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
        let (body, outcome) = match self.sieve.answer(&body) {
            Ok(Sifted { text: Some(text), outcome }) => {
                let mut share = self.context.share();
                share.resize(text.len())?;
                (shared(text, share), outcome)
            }
            Ok(Sifted { text: None, outcome }) => (body, outcome),
            // Frameworks around a server refuse in forms of their own; where those might tell of
            // hidden things, the status says enough.
            Err(_) if head.status != http::StatusCode::OK => {
                (if self.permit.hides() { Bytes::new() } else { body }, None)
            }
            Err(refusal) => return Err(refusal.into()),
        };
        exchange.outcome = outcome.unwrap_or(Outcome::RpcError);
        Ok(respond::write(downstream, exchange, head, body).await?)
    }

    async fn collect(
        &self,
        answered: &mut Answered,
        downstream: &mut ServerSession,
    ) -> Result<Bytes, Break> {
        let mut all = Buffer::new(self.context.share(), None);
        loop {
            let chunk = tokio::select! {
                chunk = answered.session.read_response_body() => chunk,
                _ = downstream.read_body_or_idle(true) => return Err(Break::Gone),
            };
            match chunk {
                Ok(Some(chunk)) => all.extend(&chunk)?,
                Ok(None) => return Ok(all.freeze()),
                Err(_) => return Err(Refusal::UpstreamAnswer("body cut off").into()),
            }
            if all.len() > self.context.options().limits.listing {
                return Err(Refusal::UpstreamAnswer("too long to be read").into());
            }
        }
    }

    pub(super) async fn release(&self, answered: Answered) {
        let Answered { session, peer } = answered;
        let idle = peer.options.idle_timeout;
        self.upstream.connector.release_http_session(session, &*peer, idle).await;
    }
}
