//! The adapter: pingora's sessions on both sides, and the story of one request between them.
//!
//! This module knows nothing of the configuration file; [`Gateway::new`] takes what it needs. The
//! order of the ten steps stands in `story.rs`, and nowhere else.
//!
//! It is an [`HttpServerApp`] on pingora's core and not a `ProxyHttp`, which sends the head of a
//! request upstream before any body filter has run.

mod answer;
mod ask;
mod authenticate;
mod body;
mod buffers;
mod clock;
mod drift;
mod exchange;
mod fetch;
mod forward;
mod head;
mod keys;
mod lists;
mod minted;
mod misdirected;
mod peer;
mod resolver;
mod respond;
mod room;
mod sieve;
mod standing;
mod story;
mod stream;
mod told;
mod trouble;
mod unanswered;
mod unfit_head;
mod upstream;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderName;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::sync::watch;

use crate::core::access::Tools;
use crate::core::argument::shown::Wanted;
use crate::core::assertion::Asserter;
use crate::core::limits::Limits;
use crate::core::policy::Policy;
use crate::core::seal::SealKey;
use crate::core::token::UnixSeconds;
use crate::telemetry::audit::Audit;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::used::Used;

pub use ask::tools;
pub use buffers::Buffers;
pub use clock::follow_clock;
pub use fetch::FetchError;
pub use keys::{KeySource, Keys};
use lists::Lists;
use minted::Minted;
use misdirected::Hints;
pub use peer::PeerCertificate;
pub use resolver::Resolver;
pub use room::{Inside, Room};
pub use told::{LeftOutTools, Toolbox, Untold};
pub use upstream::{Upstream, UpstreamOptions, UpstreamTls};

/// Everything that one load of the configuration decides. A request sees one snapshot to its end.
#[derive(Debug)]
pub struct Snapshot {
    /// The digest of the configuration, for records; with the one that waits behind a `+`.
    pub revision: Arc<str>,
    /// Who may do what.
    pub policy: Policy,
    /// The tools that the configuration names.
    pub named_tools: Tools,
    /// Where requests go, by the names that the policy uses.
    pub upstreams: HashMap<String, Arc<Upstream>>,
    /// The keys of issuers, by the names that the policy uses.
    pub keys: HashMap<String, Arc<Keys>>,
    /// What anybody may read, by its path: JSON.
    pub documents: HashMap<String, Bytes>,
    /// What is ours, how upstreams are told who asks, and bounds.
    pub options: Options,
    /// The configuration that waits for a word, where one does. The policy is bounded by it.
    pub held: Option<Held>,
}

/// A configuration that waits for a word: what it takes away is in force.
#[derive(Debug)]
pub struct Held {
    /// The snapshot of the configuration in use, as it is without this one.
    pub taken: Arc<Snapshot>,
    /// The digest of the one that waits.
    pub revision: String,
    /// The keys of its issuers, by the names that its policy uses.
    pub keys: HashMap<String, Arc<Keys>>,
}

impl Snapshot {
    /// The snapshot of the configuration in use alone: this one, where nothing waits.
    #[must_use]
    pub fn taken(self: &Arc<Self>) -> &Arc<Self> {
        self.held.as_ref().map_or(self, |held| &held.taken)
    }

    /// This one with other entries of the token table, by a file that is refused: those that it
    /// ends, from these moments on.
    #[must_use]
    pub fn ending(&self, ends: &BTreeMap<String, UnixSeconds>, refused: &str) -> Self {
        let Self { revision, policy, named_tools, upstreams, keys, documents, options, held } =
            self;
        // However many are refused one after another.
        let taken = revision.split('+').next().unwrap_or_default();
        Self {
            revision: format!("{taken}+{refused}").into(),
            policy: policy.ending(ends),
            named_tools: named_tools.clone(),
            upstreams: upstreams.clone(),
            keys: keys.clone(),
            documents: documents.clone(),
            options: options.clone(),
            held: held.as_ref().map(|held| Held {
                taken: Arc::new(held.taken.ending(ends, refused)),
                revision: held.revision.clone(),
                keys: held.keys.clone(),
            }),
        }
    }
}

/// What a snapshot holds besides policy and upstreams.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values of `Host` that are ours, in lower case.
    pub hosts: HashSet<String>,
    /// Values of `Origin` that are let in, in lower case.
    pub origins: HashSet<String>,
    /// Header that carries the user.
    pub user_header: HeaderName,
    /// Header that carries the organization.
    pub organization_header: HeaderName,
    /// Header that carries an assertion, and who signs it.
    pub assertion: Option<(HeaderName, Asserter)>,
    /// What records hold of the arguments of calls.
    pub recorded: Wanted,
    /// Bounds.
    pub limits: Limits,
    /// Key of the seals on session and task ids.
    pub seal: SealKey,
}

/// The public side of doorward.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    /// Tells open streams that there is another snapshot, or another time.
    replaced: watch::Sender<()>,
    metrics: Arc<Metrics>,
    audit: Audit,
    used: Used,
    in_flight: Room,
    streams: Room,
    buffers: Arc<Buffers>,
    minted: Minted,
    lists: Lists,
    hints: Hints,
    http: HttpServerOptions,
}

impl Gateway {
    /// A gateway that serves by `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, metrics: Arc<Metrics>, audit: Audit) -> Self {
        let mut http = HttpServerOptions::default();
        // A client that keeps its connection for ever would never reach a new replica.
        http.keepalive_request_limit = Some(10_000);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            replaced: watch::Sender::new(()),
            in_flight: Room::default(),
            streams: Room::default(),
            buffers: Arc::default(),
            minted: Minted::new(Arc::clone(&metrics)),
            lists: Lists::default(),
            hints: Hints::default(),
            used: Used::default(),
            metrics,
            audit,
            http,
        }
    }

    /// Where records go.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Who has used what since the start.
    #[must_use]
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// The bytes that are held for requests.
    #[must_use]
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// The snapshot that new requests see.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// From now on new requests see `snapshot`, and open streams whose caller may no longer have
    /// them end. Requests under way keep the one that they began with.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.replaced.send_replace(());
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
