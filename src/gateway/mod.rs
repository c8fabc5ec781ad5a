//! The adapter: pingora's sessions on both sides, and the story of one request between them.
//!
//! This module knows nothing of the configuration file; [`Gateway::new`] takes what it needs. The
//! order of the ten steps stands in `story.rs`, and nowhere else.
//!
//! It is an [`HttpServerApp`] on pingora's core and not a `ProxyHttp`, which sends the head of a
//! request upstream before any body filter has run.

mod answer;
mod body;
mod exchange;
mod forward;
mod head;
mod minted;
mod respond;
mod sieve;
mod story;
mod stream;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::HeaderName;
use pingora::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp,
};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::sync::Semaphore;

use crate::core::limits::Limits;
use crate::core::policy::Policy;
use crate::core::seal::SealKey;
use crate::telemetry::audit::Audit;
use crate::telemetry::metrics::Metrics;

use minted::Minted;
pub use upstream::{Upstream, UpstreamOptions};

/// Everything that one load of the configuration decides. A request sees one snapshot to its end.
#[derive(Debug)]
pub struct Snapshot {
    /// Who may do what.
    pub policy: Policy,
    /// Where requests go, by the names that the policy uses.
    pub upstreams: HashMap<String, Upstream>,
}

/// What does not change while the process runs.
#[derive(Debug)]
pub struct Options {
    /// Values of `Host` that are ours, in lower case.
    pub hosts: HashSet<String>,
    /// Values of `Origin` that are let in, in lower case.
    pub origins: HashSet<String>,
    /// Header that carries the user.
    pub user_header: HeaderName,
    /// Header that carries the organization.
    pub organization_header: HeaderName,
    /// Bounds.
    pub limits: Limits,
    /// Key of the seals on session and task ids.
    pub seal: SealKey,
}

/// The public side of doorward.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    options: Options,
    metrics: Arc<Metrics>,
    audit: Audit,
    in_flight: Semaphore,
    streams: Semaphore,
    minted: Minted,
    http: HttpServerOptions,
}

impl Gateway {
    /// A gateway that serves by `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, options: Options, metrics: Arc<Metrics>, audit: Audit) -> Self {
        let mut http = HttpServerOptions::default();
        // A client that keeps its connection for ever would never reach a new replica.
        http.keepalive_request_limit = Some(10_000);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            in_flight: Semaphore::new(options.limits.in_flight),
            streams: Semaphore::new(options.limits.streams),
            minted: Minted::default(),
            options,
            metrics,
            audit,
            http,
        }
    }
}

#[async_trait]
impl HttpServerApp for Gateway {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        match story::run(self, &mut session, shutdown).await {
            story::End::Reusable => {
                let settings = HttpPersistentSettings::for_session(&session);
                let stream = session.finish().await.ok().flatten()?;
                Some(ReusedHttpStream::from_reusable_stream(stream, settings))
            }
            story::End::Close => {
                session.shutdown().await;
                None
            }
        }
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.http)
    }
}

/// A bound on connections around the gateway, and a count of those that are open.
pub struct Bounded {
    inner: Arc<Gateway>,
    free: Semaphore,
    live: Arc<AtomicUsize>,
}

impl Bounded {
    /// Lets at most `limits.connections` in at once; one beyond is closed without a word.
    #[must_use]
    pub fn new(inner: Gateway) -> Self {
        let free = Semaphore::new(inner.options.limits.connections);
        Self { inner: Arc::new(inner), free, live: Arc::default() }
    }

    /// The number of open connections.
    #[must_use]
    pub fn live(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.live)
    }
}

/// Counts a connection for as long as it exists, a panic in it included.
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ServerApp for Bounded {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _room = self.free.try_acquire().ok()?;
        self.live.fetch_add(1, Ordering::SeqCst);
        let _live = Live(Arc::clone(&self.live));
        self.inner.process_new(stream, shutdown).await
    }

    async fn cleanup(&self) {
        ServerApp::cleanup(&*self.inner).await;
    }
}
