//! Step 8 of the story: the judged bytes, in a new head, to the upstream that the permit names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use pingora::time::timeout;
use pingora::upstreams::peer::{HttpPeer, Tracer};

use super::exchange::Exchange;
use super::story::{Break, Context};
use super::trouble::{Connected, Phase, Trouble};
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
    exchange: &mut Exchange<'_>,
) -> Result<Answered, Break> {
    let sent = downstream.req_header();
    let body = held.map(|held| held.release(permit));
    let head = upstream
        .head(permit, sent, body.as_deref(), &exchange.request_id, context.options())
        .map_err(|_| Refusal::Internal)?;

    let mut spare = permit.is_repeatable().then(|| (head.clone(), body.clone()));
    let (mut head, mut body) = (head, body);
    loop {
        let (mut session, reused, peer) = match connect(upstream).await {
            Ok(connected) => connected,
            Err((refusal, trouble)) => {
                return Err(exchange.blame(permit.upstream(), refusal, trouble).into());
            }
        };
        let place = || upstream.place(Some(&peer));
        tracing::debug!(event = "upstream.connected", address = place(), is_reused = reused);
        let time = upstream.options().call_timeout;
        let mut phase = Phase::Write;
        let talk = talk(&mut session, head, body, downstream, &mut phase);
        let (refusal, trouble) = match timeout(time, talk).await {
            Ok(Ok(())) => {
                let status = session.response_header().map(|head| head.status.as_u16());
                tracing::debug!(event = "upstream.answered", status);
                return Ok(Answered { session, peer });
            }
            Ok(Err(Stopped::ClientGone)) => {
                session.shutdown().await;
                return Err(Break::Gone);
            }
            Err(_) => {
                let trouble = Trouble::late(phase, place(), "call_timeout", time);
                (Refusal::UpstreamTimeout, trouble)
            }
            Ok(Err(Stopped::Upstream(error))) => match spare.take().filter(|_| reused) {
                // The upstream closed a pooled connection while the request was on its way.
                // Nothing came back, and what the table calls repeatable does no harm twice.
                Some(again) => {
                    (head, body) = again;
                    context.gateway.metrics.retries.with_label_values(&[permit.upstream()]).inc();
                    continue;
                }
                None => match failure(&error) {
                    // The framework has the same time for each write.
                    Refusal::UpstreamTimeout => {
                        let trouble = Trouble::late(phase, place(), "call_timeout", time);
                        (Refusal::UpstreamTimeout, trouble)
                    }
                    refusal => (refusal, Trouble::of(&error, phase, place())),
                },
            },
        };
        session.shutdown().await;
        return Err(exchange.blame(permit.upstream(), refusal, trouble).into());
    }
}

/// A connection to the upstream, and whether it was used before.
async fn connect(
    upstream: &Upstream,
) -> Result<(HttpSession, bool, Arc<HttpPeer>), (Refusal, Trouble)> {
    let unreachable = |trouble| (Refusal::UpstreamUnreachable, trouble);
    let peer = upstream.locate().await.map_err(unreachable)?;
    let connected = Connected::default();
    // Where TLS follows, the same error is one of either.
    let watched = upstream.is_tls().then(|| {
        let mut watched = HttpPeer::clone(&peer);
        watched.options.tracer = Some(Tracer(Box::new(connected.clone())));
        watched
    });
    let connecting = upstream.connector.get_http_session(watched.as_ref().unwrap_or(&peer));
    match connecting.await {
        Ok((session, reused)) => Ok((session, reused, peer)),
        Err(error) => {
            upstream.doubt_address();
            let (phase, place) = (connected.phase(), upstream.place(Some(&peer)));
            let trouble = match error.etype() {
                ErrorType::ConnectTimedout => {
                    let time = upstream.options().connect_timeout;
                    Trouble::late(phase, place, "connect_timeout", time)
                }
                _ => Trouble::of(&error, phase, place),
            };
            Err((failure(&error), trouble.adding(upstream.untried(&peer))))
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
async fn talk(
    session: &mut HttpSession,
    head: RequestHeader,
    body: Option<Bytes>,
    downstream: &mut ServerSession,
    phase: &mut Phase,
) -> Result<(), Stopped> {
    if let Err(error) = send(session, head, body).await {
        // What it said before it closed tells more than that it has.
        let last_words = timeout(LAST_WORDS, session.read_response_header()).await;
        return Err(last_words.ok().and_then(Result::err).unwrap_or(error).into());
    }
    *phase = Phase::Head;
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

/// How long the last words of an upstream may take that does not take the request.
const LAST_WORDS: Duration = Duration::from_millis(100);

async fn send(
    session: &mut HttpSession,
    head: RequestHeader,
    body: Option<Bytes>,
) -> pingora::Result<()> {
    session.write_request_header(Box::new(head)).await?;
    if let Some(body) = body {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await
}

fn failure(error: &pingora::Error) -> Refusal {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            Refusal::UpstreamTimeout
        }
        _ => Refusal::UpstreamUnreachable,
    }
}
