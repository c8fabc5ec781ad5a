//! Wiring: the only place where configuration, gateway, admin and telemetry meet.
//!
//! Listeners are bound here before anything else runs, so that a port in use is a sentence and
//! not a process that listens on nothing. The services are pingora's; the order of starting and
//! stopping them is ours, because pingora's own server sleeps out its whole grace period however
//! idle it is.

mod bounded;
mod build;
#[cfg(feature = "demo")]
mod builtin;
#[cfg(not(feature = "demo"))]
#[path = "builtin_absent.rs"]
mod builtin;
mod descriptors;
mod error;
mod holder;
pub mod keys;
mod listen;
mod ours;
mod prove;
mod records;
mod reload;
mod secured;
mod shown;
mod stop;
mod tls;
pub mod tools;
mod watch;

use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use pingora_runtime::Runtime;
use tokio::sync::watch::channel;
use tokio::task::JoinSet;

pub use descriptors::Descriptors;
pub use error::StartError;
pub use prove::prove;

use crate::admin::{Admin, Door, Readiness};
use crate::config::{Config, LogFormat, Settings, Sources};
use crate::gateway::{Gateway, Keys, Snapshot, follow_clock};
use crate::telemetry::audit::Audit;
use crate::telemetry::log::{self, Dial};
use crate::telemetry::metrics::Metrics;

use self::bounded::Bounded;
use self::build::Builder;
use self::listen::Sockets;
use self::reload::{Reloader, Wishes};
use self::secured::Secured;
use self::stop::Signals;
use self::tls::{ListenerTls, Prepared};

/// Serves with `config` until a signal ends it: SIGTERM after draining, SIGINT at once. SIGHUP, and
/// a change of the files that it was read from, reload it.
///
/// # Errors
/// [`StartError`] where it cannot start.
pub fn run(config: Config, sources: Sources) -> Result<(), StartError> {
    let settings = &config.settings;
    let json = is_json(settings.log_format, io::stderr().is_terminal());
    // Dropped last: whatever is said to the very end is written.
    let (_log, dial) = log::init(settings.log_level, json).map_err(StartError::System)?;
    for line in config.warnings.without_advice().to_string().lines() {
        tracing::warn!(event = "config.warning", "{line}");
    }
    // Before the threads, which need some.
    let descriptors = Descriptors::take(settings.limits).map_err(StartError::System)?;
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    };
    let runtime = Runtime::new_no_steal(threads, "worker");
    // First of all, so that no signal finds its default action.
    let signals = runtime.get_handle().block_on(async { Signals::new() });
    let mut signals = signals.map_err(StartError::System)?;
    let (audit, writer) = records::start(settings)?;
    let served = serve(config, sources, descriptors, audit, dial, &mut signals);
    let served = runtime.get_handle().block_on(served);
    runtime.shutdown_timeout(Duration::from_millis(500));
    stop::last_records(&writer, signals.is_graceful);
    served
}

fn is_json(format: LogFormat, is_terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    }
}

async fn serve(
    config: Config,
    sources: Sources,
    descriptors: Descriptors,
    audit: Audit,
    dial: Dial,
    signals: &mut Signals,
) -> Result<(), StartError> {
    let wishes = Wishes::new().map_err(StartError::System)?;
    let (settings, path) = (config.settings.clone(), config.path.clone());
    let taken = reload::taken(&config);
    let public = Sockets::bind(&settings.listen)?;
    let admin = Sockets::bind(&[settings.admin_listen])?;
    announce(&settings, &public, &admin);

    let revision = sources.revision();
    let (metrics, status) = shown::observed(&config, &revision)?;
    let prepared = settings.tls.as_ref().map(Prepared::new).transpose()?;
    let tls = prepared.as_ref().map(ListenerTls::new).transpose()?.map(Arc::new);
    // Lives as long as this function, and the built-in server with it.
    let mut builder = Builder::new(public.addresses.clone(), Arc::clone(&metrics), descriptors);
    let snapshot = builder.snapshot(config, &revision, None).await?;
    begin(&snapshot, None, &metrics);
    let gateway = Arc::new(Gateway::new(snapshot, Arc::clone(&metrics), audit));
    tokio::spawn(follow_clock(Arc::downgrade(&gateway)));

    let (stop, stopping) = channel(false);
    // The admin listener outlives the public one, so that draining can be watched.
    let (stop_admin, stopping_admin) = channel(false);
    let readiness = Readiness::default();
    let mut services = JoinSet::new();
    let bounded = callers(&gateway, tls.clone(), &metrics);
    let connections = bounded.connections();
    public.serve("mcp", bounded, stopping, &mut services);
    let diff = reload::diff(&gateway, &path, &settings, &taken);
    let shown = shown::admin(&gateway, &metrics, &status, &readiness, &connections, diff);
    let bounded = monitoring(shown, descriptors, &metrics);
    admin.serve("admin", bounded, stopping_admin, &mut services);
    gateway.audit().begin(&revision);
    readiness.ready();
    let (version, config) = (env!("CARGO_PKG_VERSION"), path.display());
    tracing::info!(event = "server.ready", version, %config);
    let shutdown = settings.shutdown;
    let mut reloader = Reloader {
        path,
        taken,
        held: None,
        started: settings,
        sources,
        builder,
        gateway,
        tls,
        prepared,
        metrics,
        status,
        dial,
    };
    let ended = tokio::select! {
        () = signals.end() => Ok(()),
        () = reloader.run(wishes) => Ok(()),
        Some(Err(error)) = services.join_next() => Err(StartError::Listener(error)),
    };
    if ended.is_ok() && signals.is_graceful {
        stop::gracefully(signals, shutdown, &readiness, &stop, &connections).await;
    }
    tracing::info!(event = "server.stopped", cut = connections.len());
    // The receivers may be gone already, and that is as good.
    let _ = (stop.send(true), stop_admin.send(true));
    ended
}

/// The public listener: as many connections as the configuration in use says, handshakes included.
fn callers(
    gateway: &Arc<Gateway>,
    tls: Option<Arc<ListenerTls>>,
    metrics: &Arc<Metrics>,
) -> Bounded<Secured<Gateway>> {
    let limited = Arc::clone(gateway);
    let limit = Box::new(move || limited.snapshot().options.limits.connections);
    let secured = Secured::new(Arc::clone(gateway), tls, Arc::clone(metrics));
    Bounded::new("mcp", secured, limit, Arc::clone(metrics))
}

/// The admin listener: connections out of what is set aside for it.
fn monitoring(admin: Admin, descriptors: Descriptors, metrics: &Arc<Metrics>) -> Bounded<Door> {
    let most = descriptors.admin();
    Bounded::new("admin", Door::new(admin, most), Box::new(move || most), Arc::clone(metrics))
}

/// What begins with a configuration that is taken in the place of the one before.
fn begin(snapshot: &Snapshot, before: Option<&Snapshot>, metrics: &Metrics) {
    fetch_keys(snapshot, before);
    shown::drift(metrics, snapshot, before);
}

/// Begins to fetch the keys of issuers that were not there before.
fn fetch_keys(snapshot: &Snapshot, before: Option<&Snapshot>) {
    let all = |snapshot: &Snapshot| {
        let held = snapshot.held.iter().flat_map(|held| held.keys.values());
        snapshot.keys.values().chain(held).map(Arc::clone).collect::<Vec<_>>()
    };
    let known = before.map(all).unwrap_or_default();
    for keys in &all(snapshot) {
        if !known.iter().any(|known| Arc::ptr_eq(known, keys)) {
            tokio::spawn(Keys::keep_fresh(Arc::downgrade(keys)));
        }
    }
}

fn announce(settings: &Settings, public: &Sockets, admin: &Sockets) {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    for upstream in &settings.upstreams {
        for address in &public.addresses {
            let url = format!("{scheme}://{address}{}", upstream.path);
            tracing::info!(event = "server.listening", upstream = upstream.name, url);
        }
    }
    for address in &admin.addresses {
        tracing::info!(event = "admin.listening", url = format!("http://{address}/metrics"));
    }
}
