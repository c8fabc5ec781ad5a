//! How the process ends: signals, lame duck, drain.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::Readiness;
use crate::config::Shutdown;

/// Lame duck, then no new connections, then the calls in flight, up to their time.
pub(super) async fn drain(
    shutdown: Shutdown,
    readiness: &Readiness,
    stop: &watch::Sender<bool>,
    live: &AtomicUsize,
) {
    readiness.draining();
    tracing::info!(event = "server.draining", live = live.load(Ordering::SeqCst));
    tokio::time::sleep(shutdown.lame_duck).await;
    let _ = stop.send(true);
    let finished = async {
        while live.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(shutdown.drain, finished).await.is_err() {
        tracing::warn!(event = "server.drain_timeout", live = live.load(Ordering::SeqCst));
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether calls in flight may finish.
    pub(super) is_graceful: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            is_graceful: false,
        })
    }

    /// Returns when the process is to end.
    pub(super) async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    self.is_graceful = true;
                    return;
                }
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::warn!(event = "config.reload_ignored", "restart to change the configuration");
                }
            }
        }
    }

    /// Returns when somebody has lost patience.
    pub(super) async fn second(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
