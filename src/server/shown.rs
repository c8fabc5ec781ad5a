//! What shows how the process is doing: metrics, and what the admin listener tells.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::StartError;
use crate::admin::{Admin, Readiness, Status, Told, ToldOf, TriedOut};
use crate::config::{Config, Settings};
use crate::core::argument::Shadow;
use crate::core::rule::Rule;
use crate::core::token::AuthFailure;
use crate::gateway::{Gateway, Room, Snapshot};
use crate::telemetry::metrics::{Metrics, Shown};
use crate::telemetry::used::{Caller, Use};

/// What the admin listener tells; `diff` works out what the file would change.
pub(super) fn admin(
    gateway: &Arc<Gateway>,
    metrics: &Arc<Metrics>,
    status: &Status,
    readiness: &Readiness,
    connections: &Arc<Room>,
    diff: Told,
) -> Admin {
    Admin {
        metrics: Arc::clone(metrics),
        refresh: refresh(gateway, metrics),
        is_ours: is_ours(gateway),
        notes: notes(gateway, connections),
        obstacle: {
            let gateway = Arc::clone(gateway);
            Box::new(move || gateway.audit().obstacle())
        },
        audit: {
            let gateway = Arc::clone(gateway);
            Box::new(move || gateway.audit().state())
        },
        used: used(gateway),
        token: token(gateway),
        diff,
        status: status.clone(),
        readiness: readiness.clone(),
    }
}

/// Metrics and status of a process that begins with this configuration.
pub(super) fn observed(
    config: &Config,
    revision: &str,
) -> Result<(Arc<Metrics>, Status), StartError> {
    let metrics = Metrics::new().map_err(|error| StartError::Internal(error.to_string()))?;
    configuration(&metrics, &config.settings, &config.named_tools, revision);
    let path = config.path.display().to_string();
    Ok((Arc::new(metrics), Status::new(path, revision.to_owned(), tried_out(&config.shadows))))
}

/// Makes the metrics show a configuration.
pub(super) fn configuration(
    metrics: &Metrics,
    settings: &Settings,
    named_tools: &BTreeSet<(String, String)>,
    revision: &str,
) {
    let shown = Shown {
        upstreams: settings.upstreams.iter().map(|u| u.name.as_str()).collect(),
        tools: named_tools,
        in_flight_limit: settings.limits.in_flight,
        streams_limit: settings.limits.streams,
        revision,
    };
    metrics.show(&shown, jiff::Timestamp::now().as_second());
}

/// Makes the metrics show how tools differ from what was approved.
pub(super) fn drift(metrics: &Metrics, snapshot: &Snapshot, before: Option<&Snapshot>) {
    for (_, route) in before.into_iter().flat_map(|before| before.policy.routes()) {
        metrics.show_drift(&route.upstream, None);
    }
    for (_, route) in snapshot.policy.routes() {
        metrics.show_drift(&route.upstream, route.pins.as_deref());
    }
}

/// Warns of the rules that are only tried out, so that none is forgotten.
pub(super) fn tried_out(shadows: &[(Rule, Shadow)]) -> Vec<TriedOut> {
    let each = shadows.iter().map(|(rule, shadow)| {
        let until = jiff::Timestamp::from_second(shadow.until).ok();
        TriedOut { rule: rule.name().to_owned(), place: rule.place().to_owned(), until }
    });
    let still = |tried: &TriedOut| tried.until.is_none_or(|until| until > jiff::Timestamp::now());
    let tried_out: Vec<TriedOut> = each.filter(still).collect();
    for TriedOut { rule, place, until } in &tried_out {
        let until = until.map(|until| until.to_string());
        tracing::warn!(event = "rule.tried_out", rule, place, until, "what it refuses passes");
    }
    tried_out
}

/// Knows the hosts of `server.public_url` and `server.allowed_hosts`, whatever their ports.
fn is_ours(gateway: &Arc<Gateway>) -> Box<dyn Fn(&str) -> bool + Send + Sync> {
    let gateway = Arc::clone(gateway);
    Box::new(move |name| {
        let snapshot = gateway.snapshot();
        let mut ours = snapshot.options.hosts.iter();
        ours.any(|host| host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host) == name)
    })
}

/// Names the issuers whose callers cannot be served, while others can, and the bounds that are
/// reached.
fn notes(gateway: &Arc<Gateway>, connections: &Arc<Room>) -> Box<dyn Fn() -> String + Send + Sync> {
    let (gateway, connections) = (Arc::clone(gateway), Arc::clone(connections));
    Box::new(move || {
        let snapshot = gateway.snapshot();
        let issuers = snapshot.keys.iter();
        let mut lines: Vec<_> = issuers
            .filter_map(|(name, keys)| {
                Some(format!("issuer {name} has no keys: {}\n", keys.trouble()?))
            })
            .collect();
        lines.sort();
        let limits = &snapshot.options.limits;
        let (open, held) = (connections.len(), gateway.buffers().taken());
        if open >= limits.connections {
            lines.push(format!("{open} connections are open, and no more are let in\n"));
        }
        // Here or soon only small bodies are let in.
        if held >= limits.buffers / 4 * 3 {
            lines.push(format!("{held} bytes of limits.buffers, {}, are taken\n", limits.buffers));
        }
        lines.concat()
    })
}

/// Tokens expire without a reload, buffers fill, and records fare as they do.
fn refresh(gateway: &Arc<Gateway>, metrics: &Arc<Metrics>) -> Box<dyn Fn() + Send + Sync> {
    let (gateway, metrics) = (Arc::clone(gateway), Arc::clone(metrics));
    Box::new(move || {
        let now = jiff::Timestamp::now().as_second();
        let snapshot = gateway.snapshot();
        metrics.show_tokens(&snapshot.policy.tokens().census(now));
        let (limits, buffers) = (&snapshot.options.limits, gateway.buffers());
        metrics.show_limits(limits.in_flight, limits.streams);
        metrics.bounds.show_connections_limit("mcp", limits.connections);
        metrics.bounds.show_buffers(buffers.taken(), limits.buffers, buffers.refused());
        if let Some(state) = gateway.audit().state() {
            metrics.records.show(&state);
        }
    })
}

/// The worth of an entry of the token table, for `/token`.
fn token(gateway: &Arc<Gateway>) -> ToldOf {
    let gateway = Arc::clone(gateway);
    Arc::new(move |name| {
        let snapshot = gateway.snapshot();
        let worth = snapshot.policy.worth(name, jiff::Timestamp::now().as_second());
        let ends = worth.ends.and_then(|at| jiff::Timestamp::from_second(at).ok());
        let told = json!({
            "state": worth.failure.map_or("active", AuthFailure::as_str),
            "ends": ends,
            "revision": &*snapshot.taken().revision,
            "held": snapshot.held.as_ref().map(|held| &held.revision),
        });
        serde_json::to_vec(&told).unwrap_or_default()
    })
}

/// Who has used what since the start, like records of requests, for `/used`.
fn used(gateway: &Arc<Gateway>) -> Told {
    let (gateway, since) = (Arc::clone(gateway), jiff::Timestamp::now());
    Arc::new(move || {
        let snapshot = gateway.snapshot();
        let roles: HashMap<&str, Vec<&str>> = snapshot
            .policy
            .tokens()
            .list()
            .map(|listed| (listed.name, listed.principal.grants().role_names()))
            .collect();
        let row = |one: Use| {
            let (token, roles) = match &one.caller {
                Caller::Token(name) => (Some(name), json!(roles.get(name.as_str()))),
                Caller::Roles(names) => (None, json!(names)),
            };
            let (upstream, tool) = one.tool.unzip();
            let time = jiff::Timestamp::from_second(one.last).ok();
            json!({
                "kind": "request", "decision": "allow", "time": time,
                "token": token, "roles": roles, "upstream": upstream, "tool": tool,
            })
        };
        let all: Vec<Value> = gateway.used().all().into_iter().map(row).collect();
        serde_json::to_vec(&json!({"since": since, "used": all})).unwrap_or_default()
    })
}
