//! Step 9 of the story: the upstream's answer, read where it has to change, else as it comes.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;
use pingora::upstreams::peer::HttpPeer;

use super::buffers::{Buffer, shared};
use super::exchange::Exchange;
use super::fetch::encoding;
use super::forward::Answered;
use super::head::{MCP_SESSION, media_type, only};
use super::respond;
use super::sieve::{Sieve, Sifted};
use super::story::{Break, Context};
use super::trouble::{Phase, Trouble};
use super::upstream::Upstream;
use crate::core::decide::Permit;
use crate::core::outcome::{self, Outcome};
use crate::core::refusal::Refusal;
use crate::core::revision::Header;
use crate::core::way_back::{Handed, TooLong, WayBack};

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
    let peer = Arc::clone(&answered.peer);
    let brought = bring(context, upstream, permit, answered, downstream, exchange).await;
    if let Err(Break::Refuse(refusal)) = &brought
        && *refusal != Refusal::BuffersFull
        && exchange.trouble.is_none()
    {
        let words = refusal.detail().unwrap_or_else(|| refusal.row().reason.to_owned());
        let phase = match refusal {
            Refusal::NoWayBack(TooLong { what: Handed::Session, .. }) => Phase::Head,
            _ => Phase::Body,
        };
        let trouble = Trouble::new(phase, upstream.place(Some(&peer)), &words);
        exchange.blame(permit.upstream(), refusal.clone(), trouble);
    }
    brought
}

async fn bring(
    context: Context<'_>,
    upstream: &Upstream,
    permit: &Permit,
    mut answered: Answered,
    downstream: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> Result<(), Break> {
    let form = match form(&answered, permit, exchange.expects_answer()) {
        Ok(form) => form,
        Err((refusal, words)) => {
            let place = upstream.place(Some(&answered.peer));
            let trouble = match (words, answered.session.response_header()) {
                (None, Some(head)) => Trouble::status(head, place),
                (words, _) => Trouble::new(Phase::Head, place, &words.unwrap_or_default()),
            };
            exchange.retry_after = retry_after(&answered);
            answered.session.shutdown().await;
            return Err(exchange.blame(permit.upstream(), refusal, trouble).into());
        }
    };
    let limits = &context.options().limits;
    let way_back = WayBack::new(limits, exchange.head_length, permit.era());
    let head = head(context, &answered, permit, way_back)?;
    let sieve = Sieve { context, permit, way_back };
    let peer = Arc::clone(&answered.peer);
    let delivery = Delivery { context, upstream, permit, sieve, peer };
    delivery.note_status(&answered, exchange);
    match form {
        Form::Whole => delivery.whole(answered, downstream, exchange, head).await,
        Form::Status => {
            answered.session.shutdown().await;
            delivery.status_alone(downstream, exchange, head).await
        }
        Form::Events | Form::Plain | Form::SiftedEvents => {
            delivery.stream(answered, downstream, exchange, head, form).await
        }
    }
}

/// When an upstream that is busy or away can be asked again (RFC 9110 10.2.3, 15.6.4).
fn retry_after(answered: &Answered) -> Option<HeaderValue> {
    let head = answered.session.response_header()?;
    if head.status != http::StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    match only(&head.headers, header::RETRY_AFTER) {
        Header::One(value) if value.len() <= MAX_RETRY_AFTER => HeaderValue::from_str(value).ok(),
        _ => None,
    }
}

/// Longest `Retry-After` in bytes that is passed on; a date has 29.
const MAX_RETRY_AFTER: usize = 64;

/// How an answer is treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// An event stream that passes.
    Events,
    /// Any other body that passes.
    Plain,
    /// An event stream whose messages are read and changed one by one.
    SiftedEvents,
    /// A refusal in a form that is none of MCP: its status passes alone.
    Status,
    /// A message that is read whole and changed.
    Whole,
}

impl Form {
    pub(super) fn is_events(self) -> bool {
        matches!(self, Self::Events | Self::SiftedEvents)
    }
}

/// How the answer is treated; else why it cannot be passed on, in words of its own where its
/// status does not say it.
fn form(
    answered: &Answered,
    permit: &Permit,
    expects_answer: bool,
) -> Result<Form, (Refusal, Option<String>)> {
    let bad = |what, words| Err((Refusal::UpstreamAnswer(what), words));
    let Some(head) = answered.session.response_header() else {
        return bad("no head", Some("no head".to_owned()));
    };
    if !PASSED.contains(&head.status.as_u16()) {
        return bad("status", None);
    }
    if let Some(encoding) = encoding(head) {
        let words = format!("Content-Encoding {encoding}, though it was asked for none");
        return bad("encoded", Some(words));
    }
    if let Some(length) = bad_length(head) {
        let words = format!("Content-Length {length}, which is not one number");
        return bad("length", Some(words));
    }
    let media = match only(&head.headers, header::CONTENT_TYPE) {
        Header::One(value) => value,
        Header::Absent | Header::Unclear => "",
    };
    let is_events = media_type(media).is_some_and(|m| m.eq_ignore_ascii_case("text/event-stream"));
    let is_json = media_type(media).is_some_and(|m| m.eq_ignore_ascii_case("application/json"));
    let neither = |media: &str| {
        let words = format!("status 200, Content-Type {media}: neither JSON nor an event stream");
        bad("neither JSON nor an event stream", Some(words))
    };
    let is_ok = head.status == http::StatusCode::OK;
    if is_ok && (expects_answer || permit.is_get()) && is_page(media) {
        return neither(media);
    }
    // Whoever stands before a server refuses in forms of its own, which are not the server's words.
    if !head.status.is_success() {
        return Ok(if is_json || media.is_empty() { Form::Whole } else { Form::Status });
    }
    if !permit.changes_answer() {
        return Ok(if is_events { Form::Events } else { Form::Plain });
    }
    match head.status.as_u16() {
        _ if is_events => Ok(Form::SiftedEvents),
        _ if is_json => Ok(Form::Whole),
        200 => neither(if media.is_empty() { "missing or unclear" } else { media }),
        _ if permit.hides() => Ok(Form::Status),
        _ => Ok(Form::Plain),
    }
}

/// The length of a body, where it is not one number: others read another one (RFC 9112 6.3).
fn bad_length(head: &ResponseHeader) -> Option<String> {
    let mut values = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let first = values.next()?;
    let digits = first.as_bytes();
    let is_number = !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && first.to_str().is_ok_and(|text| text.parse::<u64>().is_ok());
    if is_number && values.next().is_none() {
        return None;
    }
    let all = head.headers.get_all(header::CONTENT_LENGTH).iter();
    let all: Vec<_> = all.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    Some(all.join(" and "))
}

/// Whether this media type is certainly for somebody else than a client of MCP.
fn is_page(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    !matches!(essence.as_str(), "" | "application/json" | "text/event-stream")
}

/// A new response head from an allow-list.
fn head(
    context: Context<'_>,
    answered: &Answered,
    permit: &Permit,
    way_back: WayBack,
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
                way_back.session(&sealed).map_err(Refusal::NoWayBack)?;
                new.insert_header(&MCP_SESSION, sealed)?;
            }
            Header::Unclear => return Err(Refusal::UpstreamAnswer("session id").into()),
        }
    }
    Ok(new)
}

/// Why an answer that has to be read whole is not read.
const TOO_LONG: &str = "too long to be read";

pub(super) struct Delivery<'d> {
    pub(super) context: Context<'d>,
    pub(super) upstream: &'d Upstream,
    pub(super) permit: &'d Permit,
    pub(super) sieve: Sieve<'d>,
    peer: Arc<HttpPeer>,
}

impl Delivery<'_> {
    /// Where the answer comes from.
    pub(super) fn place(&self) -> String {
        self.upstream.place(Some(&self.peer))
    }

    /// Takes down what is amiss with the body, and says it in the log.
    pub(super) fn blame_body(&self, exchange: &mut Exchange<'_>, trouble: Trouble) -> Refusal {
        let refusal = Refusal::UpstreamAnswer("body");
        exchange.blame(self.permit.upstream(), refusal, trouble)
    }

    /// Takes down a status that passes and is no success.
    fn note_status(&self, answered: &Answered, exchange: &mut Exchange<'_>) {
        if let Some(head) = answered.session.response_header()
            && !head.status.is_success()
        {
            exchange.trouble = Some(Trouble::status(head, self.place()));
            exchange.answered = Some(head.status.as_u16());
        }
    }

    /// How a request ended whose answer passed, by what its body `said`. A status that nothing in
    /// MCP explains, and that no body of MCP goes with, is told in the log.
    pub(super) fn judged(&self, exchange: &Exchange<'_>, said: Option<Outcome>) -> Outcome {
        let Some(status) = exchange.answered else {
            return said.unwrap_or(Outcome::Ok);
        };
        let is_usual = match status {
            404 => self.permit.session().is_some(),
            405 => !exchange.is_message(),
            _ => false,
        };
        if let (None, false, Some(trouble)) = (said, is_usual, &exchange.trouble) {
            trouble.tell(self.permit.upstream(), "status");
            return Outcome::UpstreamError;
        }
        said.unwrap_or(Outcome::RpcError)
    }

    /// A refusal without a body of MCP: its status passes, and nothing else.
    async fn status_alone(
        &self,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        mut head: ResponseHeader,
    ) -> Result<(), Break> {
        exchange.outcome = self.judged(exchange, None);
        head.remove_header(&header::CONTENT_TYPE);
        Ok(respond::write(downstream, exchange, head, Bytes::new()).await?)
    }

    /// One message: read, changed, sent with its new length, or a 502.
    async fn whole(
        &self,
        mut answered: Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
        head: ResponseHeader,
    ) -> Result<(), Break> {
        let time = self.upstream.options().call_timeout;
        let reading = self.collect(&mut answered, downstream, exchange);
        let is_ok = head.status == http::StatusCode::OK;
        let body = match timeout(time, reading).await {
            Ok(Ok(body)) => body,
            // What is too long is no answer of a server either.
            Ok(Err(Break::Refuse(Refusal::UpstreamAnswer(TOO_LONG)))) if !is_ok => {
                answered.session.shutdown().await;
                return self.status_alone(downstream, exchange, head).await;
            }
            Ok(Err(stopped)) => {
                answered.session.shutdown().await;
                return Err(stopped);
            }
            Err(_) => {
                answered.session.shutdown().await;
                let trouble = Trouble::late(Phase::Body, self.place(), "call_timeout", time);
                let (upstream, refusal) = (self.permit.upstream(), Refusal::UpstreamTimeout);
                return Err(exchange.blame(upstream, refusal, trouble).into());
            }
        };
        self.release(answered).await;
        // Frameworks around a server refuse in forms of their own; the status says enough.
        let depth = self.context.options().limits.json_depth;
        let is_response = |text| outcome::is_response(text, depth);
        if !is_ok && !std::str::from_utf8(&body).is_ok_and(is_response) {
            return self.status_alone(downstream, exchange, head).await;
        }
        let (body, outcome) = match self.sieve.answer(&body) {
            Ok(Sifted { text: Some(text), outcome }) => {
                let mut share = self.context.share();
                share.resize(text.len())?;
                (shared(text, share), outcome)
            }
            Ok(Sifted { text: None, outcome }) => (body, outcome),
            Err(_) if !is_ok => return self.status_alone(downstream, exchange, head).await,
            Err(refusal) => return Err(refusal.into()),
        };
        exchange.outcome = match is_ok {
            true => outcome.unwrap_or(Outcome::RpcError),
            false => self.judged(exchange, outcome),
        };
        Ok(respond::write(downstream, exchange, head, body).await?)
    }

    async fn collect(
        &self,
        answered: &mut Answered,
        downstream: &mut ServerSession,
        exchange: &mut Exchange<'_>,
    ) -> Result<Bytes, Break> {
        let mut all = Buffer::new(self.context.share(), None);
        loop {
            let chunk = tokio::select! {
                chunk = answered.session.read_response_body() => chunk,
                _ = downstream.read_body_or_idle(true) => return Err(Break::Gone),
            };
            match chunk {
                Ok(Some(chunk)) => {
                    all.extend(&chunk)?;
                    // Many small pieces that are there already: others have a turn.
                    tokio::task::consume_budget().await;
                }
                Ok(None) => return Ok(all.freeze()),
                Err(error) => {
                    let trouble = Trouble::of(&error, Phase::Body, self.place());
                    return Err(self.blame_body(exchange, trouble).into());
                }
            }
            if all.len() > self.context.options().limits.listing {
                return Err(Refusal::UpstreamAnswer(TOO_LONG).into());
            }
        }
    }

    pub(super) async fn release(&self, answered: Answered) {
        let Answered { session, peer } = answered;
        let idle = peer.options.idle_timeout;
        self.upstream.connector.release_http_session(session, &*peer, idle).await;
    }
}
