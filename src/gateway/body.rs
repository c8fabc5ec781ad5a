//! Step 4 of the story: the whole body, under a cap and a deadline, before anything goes upstream.

use bytes::{Bytes, BytesMut};
use http::header;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;

use super::head;
use crate::core::decide::HeldBody;
use crate::core::limits::Limits;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;

/// Reads the request body to its end.
pub(super) async fn hold(
    session: &mut ServerSession,
    limits: &Limits,
) -> Result<HeldBody, Refusal> {
    let headers = &session.req_header().headers;
    if let Header::One(length) = head::only(headers, header::CONTENT_LENGTH) {
        let length: usize = length.parse().map_err(|_| Refusal::BadHead("content-length"))?;
        if length > limits.request_body {
            return Err(Refusal::BodyTooLarge);
        }
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // The parser is generous with chunk sizes; what it might leave over must not be taken
        // for another request.
        session.set_keepalive(None);
    }
    if session.req_header().headers.contains_key(header::EXPECT) {
        // Without the bracket the interim answer counts as an early final one and costs the
        // connection.
        session.set_close_on_response_before_downstream_finish(false);
        session.write_continue_response().await.map_err(|_| Refusal::BodyBroken)?;
        session.set_close_on_response_before_downstream_finish(true);
    }
    match timeout(limits.body_timeout, collect(session, limits.request_body)).await {
        Err(_) => Err(Refusal::BodyTimeout),
        Ok(body) => body.map(HeldBody::new),
    }
}

async fn collect(session: &mut ServerSession, cap: usize) -> Result<Bytes, Refusal> {
    let read = async |session: &mut ServerSession| {
        session.read_request_body().await.map_err(|_| Refusal::BodyBroken)
    };
    let Some(first) = read(session).await? else {
        return Ok(Bytes::new());
    };
    let mut rest = BytesMut::new();
    while let Some(chunk) = read(session).await? {
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&chunk);
        if rest.len() > cap {
            return Err(Refusal::BodyTooLarge);
        }
    }
    match rest.is_empty() {
        true if first.len() > cap => Err(Refusal::BodyTooLarge),
        true => Ok(first),
        false => Ok(rest.freeze()),
    }
}
