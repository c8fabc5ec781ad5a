//! One request within the bounds: its body, and the share of its caller.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::HEALTH;
use crate::identity::Identity;
use crate::refusal::Refusal;

use super::room::Handle;

/// Reads the body before anybody works on the request; it has at most so many bytes.
pub(crate) async fn take_body(State(most): State<usize>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match whole(&parts.extensions, body, most).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The whole body of a request, of at most so many bytes, within its time.
pub(crate) async fn whole(
    extensions: &Extensions,
    body: Body,
    most: usize,
) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(Refusal::too_long_body(most));
    }
    // Always there; a request that came another way has no place that it could take from others.
    let Some(seat) = extensions.get::<Handle>() else {
        return Err(Refusal::unread_body());
    };
    seat.awaits_body();
    let read = tokio::time::timeout(seat.patience(), collect(seat, body, most)).await;
    seat.is_asked();
    read.unwrap_or_else(|_| Err(Refusal::late_body()))
}

async fn collect(seat: &Handle, mut body: Body, most: usize) -> Result<Bytes, Refusal> {
    let mut collected = Vec::new();
    loop {
        let next =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context));
        let Some(frame) = next.await else { return Ok(collected.into()) };
        let frame = frame.map_err(|_| Refusal::unread_body())?;
        let Ok(piece) = frame.into_data() else { continue };
        if piece.len() > most - collected.len() {
            return Err(Refusal::too_long_body(most));
        }
        if !seat.holds_body(piece.len()) {
            return Err(Refusal::too_much_at_once());
        }
        collected.extend_from_slice(&piece);
    }
}

/// Lets no caller have more than a share of what the service does at once.
pub(crate) async fn share(request: Request, next: Next) -> Response {
    let caller = Identity::from_headers(request.headers()).ok();
    // No name contains a line feed.
    let caller = caller.map(|caller| format!("{}\n{}", caller.organization, caller.user));
    let seat = request.extensions().get::<Handle>();
    let is_free = request.uri().path() == HEALTH
        || seat.is_some_and(|seat| seat.takes_share(caller.unwrap_or_default()));
    if is_free {
        next.run(request).await
    } else {
        Refusal::unavailable("too many requests of yours at once").into_response()
    }
}
