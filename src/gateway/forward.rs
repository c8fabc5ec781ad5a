//! Step 8 of the story: the judged bytes, in a new head, to the upstream that the permit names.

use std::sync::Arc;

use bytes::Bytes;
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use pingora::time::timeout;
use pingora::upstreams::peer::HttpPeer;

use super::story::{Break, Context};
use super::upstream::Upstream;
use crate::core::decide::{HeldBody, Permit};
use crate::core::refusal::Refusal;

/// An upstream's session whose final response head has been read.
pub(super) struct Answered {
    pub(super) session: HttpSession,
    pub(super) peer: Arc<HttpPeer>,
}

/// Sends the request and waits for the head of its answer.
pub(super) async fn forward(
    context: Context<'_>,
    upstream: &Upstream,
    permit: &Permit,
    held: Option<HeldBody>,
    downstream: &mut ServerSession,
    request_id: &str,
) -> Result<Answered, Break> {
    let sent = downstream.req_header();
    let body = held.map(|held| held.release(permit));
    let head = upstream
        .head(permit, sent, body.as_deref(), request_id, context.options())
        .map_err(|_| Refusal::Internal)?;

    let mut spare = permit.is_repeatable().then(|| (head.clone(), body.clone()));
    let (mut head, mut body) = (head, body);
    loop {
        let peer = upstream.peer().await.ok_or(Refusal::UpstreamUnreachable)?;
        let connecting = upstream.connector.get_http_session(&*peer);
        let (mut session, reused) = match connecting.await {
            Ok(connected) => connected,
            Err(error) => {
                upstream.forget_address();
                return Err(failure(permit, &error).into());
            }
        };
        let deadline = upstream.options().call_timeout;
        let exchange = exchange(&mut session, head, body, downstream);
        match timeout(deadline, exchange).await {
            Err(_) => {
                session.shutdown().await;
                return Err(Refusal::UpstreamTimeout.into());
            }
            Ok(Ok(())) => return Ok(Answered { session, peer }),
            Ok(Err(Stopped::ClientGone)) => {
                session.shutdown().await;
                return Err(Break::Gone);
            }
            Ok(Err(Stopped::Upstream(error))) => match spare.take().filter(|_| reused) {
                // The upstream closed a pooled connection while the request was on its way.
                // Nothing came back, and what the table calls repeatable does no harm twice.
                Some(again) => {
                    (head, body) = again;
                    context.gateway.metrics.retries.with_label_values(&[permit.upstream()]).inc();
                }
                None => {
                    session.shutdown().await;
                    return Err(failure(permit, &error).into());
                }
            },
        }
    }
}

enum Stopped {
    ClientGone,
    Upstream(Box<pingora::Error>),
}

impl From<Box<pingora::Error>> for Stopped {
    fn from(error: Box<pingora::Error>) -> Self {
        Self::Upstream(error)
    }
}

/// Writes the request and reads up to the final head. The caller's leaving ends it at once: that
/// is how modern clients cancel a call (MCP 2026-07-28, "Cancellation").
async fn exchange(
    session: &mut HttpSession,
    head: RequestHeader,
    body: Option<Bytes>,
    downstream: &mut ServerSession,
) -> Result<(), Stopped> {
    session.write_request_header(Box::new(head)).await?;
    if let Some(body) = body {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await?;
    loop {
        tokio::select! {
            biased;
            read = session.read_response_header() => read?,
            _ = downstream.read_body_or_idle(true) => return Err(Stopped::ClientGone),
        }
        let informational = session.response_header().is_some_and(|h| {
            h.status.is_informational() && h.status != http::StatusCode::SWITCHING_PROTOCOLS
        });
        if !informational {
            return Ok(());
        }
    }
}

fn failure(permit: &Permit, error: &pingora::Error) -> Refusal {
    let cause = error.etype().as_str();
    tracing::warn!(event = "upstream.failed", upstream = permit.upstream(), cause);
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            Refusal::UpstreamTimeout
        }
        _ => Refusal::UpstreamUnreachable,
    }
}
