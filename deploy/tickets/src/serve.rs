//! Runs a router on a listener until it is told to stop. Knows nothing of either service.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves until `stop` resolves, then lets requests in flight finish within [`GRACE`].
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, mut stopped) = watch::channel(false);
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        stopping.send_replace(true);
    });
    let overtime = async move {
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = server => done,
        () = overtime => Ok(()),
    }
}

/// A peer that sent half a request must not keep the service alive for ever.
const GRACE: Duration = Duration::from_secs(5);
