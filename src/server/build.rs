//! From settings to what the gateway takes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;

use super::StartError;
use super::builtin::Builtin;
use crate::config::{Settings, Target, UpstreamSpec};
use crate::core::policy::Policy;
use crate::core::seal::{MIN_SECRET, SealKey};
use crate::core::token::TokenTable;
use crate::gateway::{Options, Snapshot, Upstream, UpstreamOptions};
use crate::telemetry::metrics::{Metrics, Shown};

/// Metrics that show the upstreams, limits and tokens of the configuration.
pub(super) fn metrics(
    settings: &Settings,
    named_tools: &BTreeSet<(String, String)>,
    tokens: &TokenTable,
) -> Result<Metrics, StartError> {
    let shown = Shown {
        upstreams: settings.upstreams.iter().map(|u| u.name.as_str()).collect(),
        tools: named_tools,
        in_flight_limit: settings.limits.in_flight,
        streams_limit: settings.limits.streams,
        tokens: tokens.states(jiff::Timestamp::now().as_second()),
    };
    Metrics::new(&shown).map_err(|error| StartError::Internal(error.to_string()))
}

pub(super) fn snapshot(
    settings: &Settings,
    policy: Policy,
    builtin: &Builtin,
) -> Result<Snapshot, StartError> {
    let mut upstreams = HashMap::new();
    for spec in &settings.upstreams {
        let options = upstream_options(spec, builtin)?;
        let upstream = Upstream::new(options);
        let upstream = upstream.ok_or_else(|| StartError::Roots(spec.name.clone()))?;
        upstreams.insert(spec.name.clone(), upstream);
    }
    Ok(Snapshot { policy, upstreams })
}

fn upstream_options(spec: &UpstreamSpec, builtin: &Builtin) -> Result<UpstreamOptions, StartError> {
    let (url, credential) = match &spec.target {
        Target::Url(url) => (url.clone(), None),
        Target::BuiltinTickets => builtin
            .address()
            .ok_or_else(|| StartError::Internal("no built-in ticket server".to_owned()))?,
    };
    Ok(UpstreamOptions {
        url,
        ca_file: spec.ca_file.as_ref().map(|path| path.to_string_lossy().into_owned()),
        connect_timeout: spec.connect_timeout,
        call_timeout: spec.call_timeout,
        stream_idle: spec.stream_idle,
        stream_max: spec.stream_max,
        stream_keep_alive: spec.stream_keep_alive,
        credential,
    })
}

/// The key of the seals, from the file that replicas share or made for this process alone.
pub(super) fn seal(settings: &Settings) -> Result<SealKey, StartError> {
    if let Some(seal) = &settings.seal {
        return Ok(seal.clone());
    }
    tracing::warn!(
        event = "session_key.random",
        "sessions end with this process, and no other replica knows them; server.session_key_file keeps them"
    );
    let mut secret = [0; MIN_SECRET];
    getrandom::fill(&mut secret).map_err(|error| StartError::Internal(error.to_string()))?;
    SealKey::new(&secret).ok_or_else(|| StartError::Internal("no session key".to_owned()))
}

pub(super) fn options(settings: &Settings, listening: &[SocketAddr], seal: SealKey) -> Options {
    let mut hosts: HashSet<String> = settings.allowed_hosts.iter().cloned().collect();
    for address in listening {
        hosts.insert(address.to_string());
        if address.ip().is_loopback() {
            let port = address.port();
            hosts.extend(["127.0.0.1", "[::1]", "localhost"].map(|name| format!("{name}:{port}")));
        }
    }
    let mut origins: HashSet<String> = settings.allowed_origins.iter().cloned().collect();
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    origins.extend(hosts.iter().map(|host| format!("{scheme}://{host}")));
    if let Some(authority) = settings.public_url.as_ref().and_then(http::Uri::authority) {
        let scheme = settings.public_url.as_ref().and_then(http::Uri::scheme_str);
        let default_port = if scheme == Some("https") { 443 } else { 80 };
        let host = authority.as_str().to_ascii_lowercase();
        origins.insert(format!("{}://{host}", scheme.unwrap_or("http")));
        if authority.port().is_none() {
            hosts.insert(format!("{host}:{default_port}"));
        }
        hosts.insert(host);
    }
    Options {
        hosts,
        origins,
        user_header: settings.user_header.clone(),
        organization_header: settings.organization_header.clone(),
        limits: settings.limits,
        seal,
    }
}
