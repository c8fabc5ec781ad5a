//! How the process ends: signals, lame duck, drain.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::Readiness;
use crate::config::Shutdown;
use crate::gateway::Room;
use crate::telemetry::audit::Writer;

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
        () = signals.second() => {
            signals.is_graceful = false;
            tracing::warn!(event = "server.interrupted");
        }
    }
}

/// How long the last records may take to be written where the end is in good order, and where
/// somebody has lost patience.
const RECORDS: Duration = Duration::from_secs(3);
const RECORDS_AT_ONCE: Duration = Duration::from_millis(250);

/// How often the writer is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for the last records, as long as they may take and nobody loses patience. Call it when
/// everything that makes records is gone.
pub(super) fn last_records(writer: &Writer, is_graceful: bool) {
    let patience = if is_graceful { RECORDS } else { RECORDS_AT_ONCE };
    let written = async {
        while !writer.is_done() {
            tokio::time::sleep(LOOK).await;
        }
    };
    // The runtime that served is gone.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Ok(runtime) = runtime {
        runtime.block_on(async {
            let Ok(mut signals) = Signals::new() else { return };
            tokio::select! {
                () = written => {}
                () = tokio::time::sleep(patience) => {}
                () = signals.second() => {}
            }
        });
    }
    writer.abandon();
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
    /// Heard, so that a file which has reached its greatest size is an error (`EFBIG`) and not the
    /// end of the process.
    _file_size: Signal,
    /// Whether calls in flight may finish.
    pub(super) is_graceful: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
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
