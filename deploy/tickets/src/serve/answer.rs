//! The body of an answer on its way out, accounted for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::room::Handle;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer; the exchange is over when it is dropped.
pub(super) struct Answer {
    body: Body,
    seat: Handle,
}

impl Answer {
    pub(super) fn new(body: Body, seat: Handle) -> Self {
        Self { body, seat }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let is_held = self.seat.holds_answer(length);
        let full = || io::Error::other("too many answers are held").into();
        Poll::Ready(Some(is_held.then_some(frame).ok_or_else(full)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.seat.has_answered();
    }
}
