//! A bound on the connections of a listener.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use prometheus::IntGauge;

use crate::gateway::Room;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::seldom::Seldom;

/// How many may be in at the moment.
pub(super) type Limit = Box<dyn Fn() -> usize + Send + Sync>;

/// An application that lets in a limited number of connections at once, handshakes included; one
/// beyond is closed without a word to it.
pub(super) struct Bounded<A> {
    inner: Arc<A>,
    name: &'static str,
    connections: Arc<Room>,
    limit: Limit,
    metrics: Arc<Metrics>,
    said: Seldom,
}

impl<A> Bounded<A> {
    /// Around the application of the listener `name`.
    pub(super) fn new(name: &'static str, inner: A, limit: Limit, metrics: Arc<Metrics>) -> Self {
        let (connections, said) = (Arc::default(), Seldom::default());
        Self { inner: Arc::new(inner), name, connections, limit, metrics, said }
    }

    /// The open connections.
    pub(super) fn connections(&self) -> Arc<Room> {
        Arc::clone(&self.connections)
    }

    fn refuse(&self, limit: usize) {
        let bounds = &self.metrics.bounds;
        bounds.connections_refused.with_label_values(&[self.name]).inc();
        if let Some(unsaid) = self.said.say() {
            tracing::warn!(
                event = "listener.full",
                listener = self.name,
                limit,
                unsaid,
                "a connection was closed: as many are open as there may be"
            );
        }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Bounded<A> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let limit = (self.limit)();
        let Some(_inside) = self.connections.enter(limit) else {
            self.refuse(limit);
            return None;
        };
        let _open = Open::count(&self.metrics, self.name, limit);
        let mut next = Some(stream);
        // A connection keeps its place between two requests: who is in stays in.
        while let Some(stream) = next {
            next = self.inner.process_new(stream, shutdown).await;
        }
        None
    }

    async fn cleanup(&self) {
        self.inner.cleanup().await;
    }
}

/// An open connection, counted until this is dropped.
struct Open(IntGauge);

impl Open {
    fn count(metrics: &Metrics, name: &str, limit: usize) -> Self {
        metrics.bounds.show_connections_limit(name, limit);
        let open = metrics.bounds.connections.with_label_values(&[name]);
        open.inc();
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
