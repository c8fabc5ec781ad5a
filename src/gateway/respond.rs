//! Answers that the gateway writes itself.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use super::exchange::Exchange;
use super::head;
use crate::core::outcome::Outcome;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;

/// Answers a refusal from the table.
pub(super) async fn refuse(
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
    refusal: Refusal,
) -> pingora::Result<()> {
    let body = Bytes::from(refusal.body(exchange.id.as_ref(), &exchange.request_id));
    let status = refusal.status(exchange.id.as_ref());
    exchange.outcome = refusal.row().outcome;
    let mut head = ResponseHeader::build_no_case(status, Some(8))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    if let Some(challenge) = refusal.challenge(exchange.protected()) {
        head.insert_header(header::WWW_AUTHENTICATE, challenge)?;
    }
    for (name, value) in refusal.headers() {
        head.insert_header(*name, *value)?;
    }
    if let Some(retry_after) = exchange.retry_after.take() {
        head.insert_header(header::RETRY_AFTER, retry_after)?;
    }
    if refusal.closes_connection() {
        session.set_keepalive(None);
    } else {
        drain_small(session).await;
    }
    exchange.refusal = Some(refusal);
    write(session, exchange, head, body).await
}

/// A small body that nobody wanted is read and thrown away, so that the connection lives on and
/// the answer is not lost in a reset.
async fn drain_small(session: &mut ServerSession) {
    let headers = &session.req_header().headers;
    if headers.contains_key(header::EXPECT) {
        // The caller has not begun to send it.
        return;
    }
    let length = match head::only(headers, header::CONTENT_LENGTH) {
        Header::One(length) => length.parse().unwrap_or(usize::MAX),
        Header::Absent | Header::Unclear => return,
    };
    if length <= MAX_DRAIN && !session.is_body_done() {
        // Where this fails or takes too long, the framework closes the connection.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, session.drain_request_body()).await;
    }
}

/// Accepts a notification that nobody needs to hear.
pub(super) async fn accepted(
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> pingora::Result<()> {
    exchange.outcome = Outcome::Ok;
    let head = ResponseHeader::build_no_case(202, Some(8))?;
    write(session, exchange, head, Bytes::new()).await
}

/// Answers with what any page may read, too (Fetch, "CORS protocol").
pub(super) async fn document(
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
    document: Bytes,
) -> pingora::Result<()> {
    exchange.method = Some("document");
    exchange.outcome = Outcome::Ok;
    let is_preflight = session.req_header().method == http::Method::OPTIONS;
    let mut head = ResponseHeader::build_no_case(if is_preflight { 204 } else { 200 }, Some(8))?;
    head.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")?;
    if is_preflight {
        head.insert_header("access-control-allow-methods", "GET")?;
        head.insert_header("access-control-allow-headers", "MCP-Protocol-Version")?;
        decorate(&mut head, exchange)?;
        exchange.status = Some(204);
        session.write_response_header(Box::new(head)).await?;
        return session.write_response_body(Bytes::new(), true).await;
    }
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    write(session, exchange, head, document).await
}

/// Answers a preflight from an origin that is allowed (Fetch, "CORS-preflight request").
pub(super) async fn preflight(
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> pingora::Result<()> {
    exchange.outcome = Outcome::Ok;
    let mut head = ResponseHeader::build_no_case(204, Some(8))?;
    head.insert_header("access-control-allow-methods", "GET, POST, DELETE")?;
    head.insert_header("access-control-allow-headers", allowed_headers(session))?;
    head.insert_header("access-control-max-age", "600")?;
    decorate(&mut head, exchange)?;
    exchange.status = Some(204);
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(Bytes::new(), true).await
}

/// What a script may send: the headers of MCP, and those that repeat parameters of a tool (MCP
/// 2026-07-28, "Custom Headers"), whose names only the script knows.
fn allowed_headers(session: &ServerSession) -> String {
    let mut allowed = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, \
                       Mcp-Name, Mcp-Session-Id, Last-Event-ID"
        .to_owned();
    let headers = &session.req_header().headers;
    if let Header::One(asked) = head::only(headers, "access-control-request-headers") {
        let parameters = asked.split(',').map(str::trim).filter(|name| {
            name.to_ascii_lowercase().starts_with("mcp-param-")
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        });
        for name in parameters {
            allowed.push_str(", ");
            allowed.push_str(name);
        }
    }
    allowed
}

/// Writes a whole answer with its exact length.
pub(super) async fn write(
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
    mut head: ResponseHeader,
    body: Bytes,
) -> pingora::Result<()> {
    head.insert_header(header::CONTENT_LENGTH, body.len().to_string())?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    decorate(&mut head, exchange)?;
    exchange.status = Some(head.status.as_u16());
    let body = if exchange.wants_head_only { Bytes::new() } else { body };
    exchange.bytes_out = body.len();
    session.write_response_header(Box::new(head)).await?;
    session.write_response_body(body, true).await
}

/// The headers that every answer has.
pub(super) fn decorate(head: &mut ResponseHeader, exchange: &Exchange<'_>) -> pingora::Result<()> {
    head.insert_header(&REQUEST_ID, exchange.request_id.as_str())?;
    if let Some(origin) = &exchange.origin {
        head.insert_header("access-control-allow-origin", origin.clone())?;
        head.insert_header("access-control-expose-headers", EXPOSED)?;
        head.insert_header("vary", "Origin")?;
    }
    Ok(())
}

/// What scripts may read of an answer, besides what the Fetch standard lets them read.
const EXPOSED: &str = "Mcp-Session-Id, Retry-After, WWW-Authenticate, X-Request-Id";

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest unwanted body in bytes that is read.
const MAX_DRAIN: usize = 64 << 10;

/// How long an unwanted body may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
