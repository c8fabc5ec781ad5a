//! How the process ends: signals, lame duck, drain.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::Readiness;
use crate::config::Shutdown;
use crate::gateway::Room;

/// Drains, unless somebody loses patience.
pub(super) async fn gracefully(
    signals: &mut Signals,
    shutdown: Shutdown,
    readiness: &Readiness,
    stop: &watch::Sender<bool>,
    connections: &Room,
) {
    tokio::select! {
        () = drain(shutdown, readiness, stop, connections) => {}
        () = signals.second() => tracing::warn!(event = "server.interrupted"),
    }
}

/// Lame duck, then no new connections, then the calls in flight, up to their time.
async fn drain(
    shutdown: Shutdown,
    readiness: &Readiness,
    stop: &watch::Sender<bool>,
    connections: &Room,
) {
    readiness.draining();
    tracing::info!(event = "server.draining", live = connections.len());
    tokio::time::sleep(shutdown.lame_duck).await;
    let _ = stop.send(true);
    let finished = async {
        while !connections.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(shutdown.drain, finished).await.is_err() {
        tracing::warn!(event = "server.drain_timeout", live = connections.len());
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Whether calls in flight may finish.
    pub(super) is_graceful: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            is_graceful: false,
        })
    }

    /// Returns when the process is to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => self.is_graceful = true,
            _ = self.interrupt.recv() => {}
        }
    }

    /// Returns when somebody has lost patience.
    async fn second(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
