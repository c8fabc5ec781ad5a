//! Step 4 of the story: the whole body, under a cap and a deadline, before anything goes upstream.

use bytes::Bytes;
use http::header;
use pingora::protocols::http::ServerSession;
use pingora::time::timeout;

use super::buffers::{Buffer, Share, shared};
use super::head;
use crate::core::decide::HeldBody;
use crate::core::limits::Limits;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;

/// Reads the request body to its end, into what `share` can get.
pub(super) async fn hold(
    session: &mut ServerSession,
    limits: &Limits,
    share: Share,
) -> Result<HeldBody, Refusal> {
    let headers = &session.req_header().headers;
    let mut expected = None;
    if let Header::One(length) = head::only(headers, header::CONTENT_LENGTH) {
        let length: usize = length.parse().map_err(|_| Refusal::BadHead("content-length"))?;
        if length > limits.request_body {
            return Err(Refusal::BodyTooLarge);
        }
        expected = Some(length);
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
    let collecting = collect(session, limits.request_body, share, expected);
    match timeout(limits.body_timeout, collecting).await {
        Err(_) => Err(Refusal::BodyTimeout),
        Ok(body) => body.map(HeldBody::new),
    }
}

async fn collect(
    session: &mut ServerSession,
    cap: usize,
    mut share: Share,
    expected: Option<usize>,
) -> Result<Bytes, Refusal> {
    let Some(first) = read(session).await? else {
        return Ok(Bytes::new());
    };
    // Most come in one piece, which is not copied.
    if first.len() > cap {
        return Err(Refusal::BodyTooLarge);
    }
    share.resize(first.len())?;
    let Some(second) = read(session).await? else {
        return Ok(shared(first, share));
    };
    let mut buffer = Buffer::new(share, expected);
    buffer.extend(&first)?;
    drop(first);
    let mut chunk = Some(second);
    while let Some(next) = chunk {
        if buffer.len().saturating_add(next.len()) > cap {
            return Err(Refusal::BodyTooLarge);
        }
        buffer.extend(&next)?;
        // Many small pieces that are there already: others have a turn.
        tokio::task::consume_budget().await;
        chunk = read(session).await?;
    }
    Ok(buffer.freeze())
}

async fn read(session: &mut ServerSession) -> Result<Option<Bytes>, Refusal> {
    session.read_request_body().await.map_err(|_| Refusal::BodyBroken)
}
