//! Runs a router on a listener until it is told to stop, within bounds that no client can take away
//! from the others. Knows nothing of either service.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::refusal::Refusal;

use self::answer::Answer;
use self::room::{Room, Seat};
use self::watched::Watched;

mod answer;
mod bounds;
mod exchange;
mod room;
#[cfg(test)]
mod tests;
mod watched;

pub(crate) use self::bounds::Bounds;
pub use self::bounds::raise_files;
pub(crate) use self::exchange::{share, take_body, whole};

/// Serves until `stop` resolves, then lets requests in flight finish within [`GRACE`].
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let room = Arc::new(Room::new(bounds));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut scan = tokio::time::interval(SCAN);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = scan.tick() => room.end_overdue(),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match Seat::take(&room) {
                    Some(seat) => {
                        connections.spawn(serve(stream, seat, router.clone(), stopped.clone()));
                        // It reads what is there before the next one comes, who may displace it.
                        tokio::task::yield_now().await;
                    }
                    // Whoever does not read it would not have read an answer either.
                    None => drop(stream.try_write(FULL)),
                },
                Err(error) => not_accepted(&error, &room).await,
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // A peer that sent half a request must not keep the service alive for ever.
    drop(tokio::time::timeout(GRACE, all).await);
    Ok(())
}

/// Serves one connection until its client, its deadline or the end of the service ends it.
async fn serve(stream: TcpStream, seat: Seat, router: Router, mut stopped: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is slower than it could be");
    }
    let ended = seat.ended();
    let io = TokioIo::new(Watched::new(stream, seat.handle()));
    let router = TowerToHyperService::new(router);
    let handle = seat.handle();
    let service = service_fn(move |request| answer(router.clone(), handle.clone(), request));
    // The deadline for heads is the room's, as all the others are.
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(io, service)
    );
    let mut is_stopping = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = ended.notified() => return,
            _ = stopped.wait_for(|stopped| *stopped), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    router: TowerToHyperService<Router>,
    seat: room::Handle,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    seat.is_asked();
    request.extensions_mut().insert(seat.clone());
    let response = match tokio::time::timeout(LONGEST, router.call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => Refusal::took_too_long().into_response(),
    };
    Ok(response.map(|body| Answer::new(body, seat)))
}

/// A client that left before it was accepted is nobody's trouble. Where files are lacking, the
/// connection that has kept us waiting longest gives one back.
async fn not_accepted(error: &io::Error, room: &Room) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    if !room.displace() {
        tracing::warn!(%error, "a connection could not be accepted");
    }
    // The file is closed by a task of its own.
    tokio::time::sleep(PAUSE).await;
}

/// For requests in flight when the service stops.
const GRACE: Duration = Duration::from_secs(5);

/// Between two looks for connections whose deadline is past.
const SCAN: Duration = Duration::from_millis(500);

/// Before the next try to accept, where one failed.
const PAUSE: Duration = Duration::from_millis(50);

/// From a whole head to the beginning of the answer; the body has a deadline of its own within.
const LONGEST: Duration = Duration::from_secs(60);

/// Bytes of a head, as in doorward's own gateway.toml.
const LONGEST_HEAD: usize = 32 * 1024;

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    retry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
