//! From a configuration to what the gateway takes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use jsonwebtoken::jwk::JwkSet;

use super::StartError;
use super::builtin::Builtin;
use super::descriptors::{self, Descriptors};
use super::ours;
use crate::config::{Assertion, Config, IssuerKeys, IssuerSpec, Settings, Target, UpstreamSpec};
use crate::core::assertion::Asserter;
use crate::core::limits::Limits;
use crate::core::policy::Policy;
use crate::core::protected::{Protected, WELL_KNOWN};
use crate::core::seal::{MIN_SECRET, SealKey};
use crate::gateway::{
    Held, KeySource, Keys, Options, Resolver, Snapshot, Upstream, UpstreamOptions, UpstreamTls,
};
use crate::telemetry::metrics::Metrics;

/// What outlives a reload and goes into every snapshot.
pub(super) struct Builder {
    pub(super) metrics: Arc<Metrics>,
    /// Addresses of the public listener.
    pub(super) listening: Vec<SocketAddr>,
    pub(super) builtin: Builtin,
    pub(super) descriptors: Descriptors,
    resolver: Arc<Resolver>,
    /// The key of the seals where the configuration names none.
    own_seal: Option<SealKey>,
}

impl Builder {
    pub(super) fn new(
        listening: Vec<SocketAddr>,
        metrics: Arc<Metrics>,
        descriptors: Descriptors,
    ) -> Self {
        let (builtin, resolver) = (Builtin::default(), Resolver::system());
        Self { metrics, listening, builtin, descriptors, resolver, own_seal: None }
    }

    /// The snapshot of a configuration. What it has in common with `before` goes on: connections
    /// to upstreams, and the memory of tokens.
    pub(super) async fn snapshot(
        &mut self,
        config: Config,
        revision: &str,
        before: Option<&Snapshot>,
    ) -> Result<Snapshot, StartError> {
        let Config { settings, policy, issuers, named_tools, .. } = config;
        let settings = &settings;
        self.builtin.start(settings).await?;
        let limits = self.descriptors.fit(settings.limits);
        let idle = idle_of_each(limits, settings.upstreams.len());
        let keys = self.keys(&issuers, before.map(|snapshot| &snapshot.keys))?;
        let mut upstreams = HashMap::new();
        for spec in &settings.upstreams {
            let options = upstream_options(spec, &self.builtin, idle)?;
            let before = before.and_then(|snapshot| snapshot.upstreams.get(&spec.name));
            let before = before.map(|upstream| &**upstream);
            let upstream = Upstream::new(options, before, &self.resolver);
            let whose = || format!("upstream `{}`", spec.name);
            let upstream = upstream.ok_or_else(|| match spec.ca_file.is_some() {
                true => StartError::Files(whose()),
                false => StartError::Roots(whose()),
            })?;
            upstreams.insert(spec.name.clone(), Arc::new(upstream));
        }
        let seal = self.seal(settings)?;
        let mut options = options(settings, &self.listening, seal);
        options.limits = limits;
        let policy = match before {
            Some(before) => policy.replacing(&before.policy),
            None => policy,
        };
        let documents = documents(&policy, settings.assertion.as_ref());
        let revision = revision.into();
        let held = None;
        Ok(Snapshot { revision, policy, named_tools, upstreams, keys, documents, options, held })
    }

    /// The snapshot that is in force while `config` waits for a word: `taken`, the one in use,
    /// without anything that `config` takes away. `before` is the one in force until now.
    pub(super) fn bounded(
        &self,
        taken: &Arc<Snapshot>,
        config: Config,
        revision: &str,
        before: &Snapshot,
    ) -> Snapshot {
        let Config { settings, policy, mut issuers, .. } = config;
        // One that is new counts for nothing yet.
        issuers.retain(|spec| taken.keys.contains_key(&*spec.issuer.name));
        let mut known = taken.keys.clone();
        known.extend(before.held.iter().flat_map(|held| held.keys.clone()));
        let keys = self.keys(&issuers, Some(&known)).unwrap_or_else(|error| {
            tracing::warn!(event = "config.warning", "what is held: {error}");
            HashMap::new()
        });
        let policy = taken.policy.bounded_by(policy);
        let mut upstreams = taken.upstreams.clone();
        upstreams.retain(|name, _| policy.route_to(name).is_some());
        let mut options = taken.options.clone();
        let (hosts, origins) = ours::hosts_and_origins(&settings, &self.listening);
        options.hosts.retain(|host| hosts.contains(host));
        options.origins.retain(|origin| origins.contains(origin));
        Snapshot {
            revision: format!("{}+{revision}", taken.revision).into(),
            policy,
            named_tools: taken.named_tools.clone(),
            upstreams,
            keys: taken.keys.clone(),
            documents: taken.documents.clone(),
            options,
            held: Some(Held { taken: Arc::clone(taken), revision: revision.to_owned(), keys }),
        }
    }

    /// The keys of issuers. Those that are fetched are fetched anew only where it is another
    /// document than before.
    fn keys(
        &self,
        issuers: &[IssuerSpec],
        before: Option<&HashMap<String, Arc<Keys>>>,
    ) -> Result<HashMap<String, Arc<Keys>>, StartError> {
        let mut all = HashMap::new();
        for spec in issuers {
            let name = &spec.issuer.name;
            let source = key_source(&spec.keys);
            let known = before.and_then(|keys| keys.get(&**name));
            let keys = match known.filter(|keys| *keys.source() == source) {
                Some(keys) => Arc::clone(keys),
                None => keys_of(spec, &self.metrics, &self.resolver)?,
            };
            all.insert(name.to_string(), keys);
        }
        Ok(all)
    }

    /// The key of the seals, from the file that replicas share or made for this process alone.
    fn seal(&mut self, settings: &Settings) -> Result<SealKey, StartError> {
        if let Some(seal) = settings.seal.as_ref().or(self.own_seal.as_ref()) {
            return Ok(seal.clone());
        }
        tracing::warn!(
            event = "session_key.random",
            "sessions end with this process, and no other replica knows them; server.session_key_file keeps them"
        );
        let mut secret = [0; MIN_SECRET];
        getrandom::fill(&mut secret).map_err(|error| StartError::Internal(error.to_string()))?;
        let made = SealKey::new(&secret);
        let seal = made.ok_or_else(|| StartError::Internal("no session key".to_owned()))?;
        Ok(self.own_seal.insert(seal).clone())
    }
}

/// The keys of an issuer; those of a URL are not fetched yet.
pub(super) fn keys_of(
    spec: &IssuerSpec,
    metrics: &Arc<Metrics>,
    resolver: &Arc<Resolver>,
) -> Result<Arc<Keys>, StartError> {
    let (name, metrics) = (Arc::clone(&spec.issuer.name), Arc::clone(metrics));
    Keys::new(name, key_source(&spec.keys), metrics, resolver).ok_or_else(|| unfetchable(spec))
}

/// Why the keys of an issuer cannot be fetched.
fn unfetchable(spec: &IssuerSpec) -> StartError {
    let whose = format!("issuer `{}`", spec.issuer.name);
    match spec.keys {
        IssuerKeys::Url { ca_file: Some(_), .. } => StartError::Files(whose),
        _ => StartError::Roots(whose),
    }
}

fn key_source(keys: &IssuerKeys) -> KeySource {
    match keys {
        IssuerKeys::File(set) => KeySource::Fixed(Arc::clone(set)),
        IssuerKeys::Url { url, ca_file, refresh, max_stale } => KeySource::Url {
            url: url.clone(),
            ca_file: ca_file
                .as_ref()
                .map(|(path, digest)| (path.to_string_lossy().into_owned(), *digest)),
            refresh: *refresh,
            max_stale: *max_stale,
        },
    }
}

/// Where upstreams find the keys of assertions.
const ASSERTION_KEYS: &str = "/.well-known/doorward/jwks.json";

/// What anybody may read: where clients of a route get their tokens (RFC 9728), and what
/// upstreams check assertions with.
fn documents(policy: &Policy, assertion: Option<&Assertion>) -> HashMap<String, Bytes> {
    let routes = policy.routes();
    let protected = routes.filter_map(|(path, route)| Some((path, route.protected.as_ref()?)));
    let document = |(path, protected): (&str, &Arc<Protected>)| {
        (format!("{WELL_KNOWN}{path}"), Bytes::from(protected.metadata()))
    };
    let mut documents: HashMap<_, _> = protected.map(document).collect();
    if let Some(assertion) = assertion {
        let keys = std::iter::once(&assertion.key).chain(&assertion.retired);
        let keys = keys.map(|key| key.public().clone()).collect();
        let set = serde_json::to_vec(&JwkSet { keys }).unwrap_or_default();
        documents.insert(ASSERTION_KEYS.to_owned(), set.into());
    }
    documents
}

/// Most connections that one of so many upstreams keeps while they are idle.
fn idle_of_each(limits: Limits, upstreams: usize) -> usize {
    const MOST: usize = 512;
    (descriptors::idle(limits.in_flight) / upstreams.max(1)).clamp(1, MOST)
}

fn upstream_options(
    spec: &UpstreamSpec,
    builtin: &Builtin,
    idle: usize,
) -> Result<UpstreamOptions, StartError> {
    let configured = spec.credential.as_ref().map(|c| (c.name.clone(), c.value.clone()));
    let (url, credential) = match &spec.target {
        Target::Url(url) => (url.clone(), configured),
        Target::BuiltinTickets => builtin
            .address()
            .ok_or_else(|| StartError::Internal("no built-in ticket server".to_owned()))?,
    };
    let text = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    Ok(UpstreamOptions {
        url,
        tls: UpstreamTls {
            ca_file: spec.ca_file.as_ref().map(text),
            client: spec.client_cert.as_ref().map(|(cert, key)| (text(cert), text(key))),
            digest: spec.tls_digest,
        },
        connect_timeout: spec.connect_timeout,
        call_timeout: spec.call_timeout,
        stream_idle: spec.stream_idle,
        stream_max: spec.stream_max,
        stream_keep_alive: spec.stream_keep_alive,
        credential,
        idle,
    })
}

fn asserter(settings: &Settings, assertion: &Assertion) -> (HeaderName, Asserter) {
    let url =
        settings.public_url.as_ref().map(|url| url.to_string().trim_end_matches('/').to_owned());
    let issuer = url.unwrap_or_else(|| "doorward".to_owned());
    let asserter = Asserter::new(assertion.key.clone(), issuer, assertion.lifetime);
    (assertion.header.clone(), asserter)
}

fn options(settings: &Settings, listening: &[SocketAddr], seal: SealKey) -> Options {
    let (hosts, origins) = ours::hosts_and_origins(settings, listening);
    Options {
        hosts,
        origins,
        user_header: settings.user_header.clone(),
        organization_header: settings.organization_header.clone(),
        assertion: settings.assertion.as_ref().map(|assertion| asserter(settings, assertion)),
        recorded: settings.audit.arguments.clone(),
        limits: settings.limits,
        seal,
    }
}
