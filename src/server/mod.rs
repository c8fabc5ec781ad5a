//! Wiring: the only place where configuration, gateway, admin and telemetry meet.
//!
//! Listeners are bound here before anything else runs, so that a port in use is a sentence and
//! not a process that listens on nothing. The services are pingora's; the order of starting and
//! stopping them is ours, because pingora's own server sleeps out its whole grace period however
//! idle it is.

mod build;
#[cfg(feature = "demo")]
mod builtin;
#[cfg(not(feature = "demo"))]
#[path = "builtin_absent.rs"]
mod builtin;
mod error;
mod listen;
mod stop;

use std::io::{self, IsTerminal as _};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pingora_runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use error::StartError;

use crate::admin::{Admin, Readiness};
use crate::config::{AuditTo, Config, LogFormat, Settings};
use crate::gateway::{Bounded, Gateway};
use crate::telemetry::audit::{Audit, Writer};
use crate::telemetry::log;

use self::listen::Sockets;
use self::stop::Signals;

/// Serves until a signal ends it: SIGTERM after draining, SIGINT at once.
///
/// # Errors
/// [`StartError`] where it cannot start.
pub fn run(config: Config) -> Result<(), StartError> {
    let settings = &config.settings;
    log::init(settings.log_level, is_json(settings.log_format, io::stderr().is_terminal()));
    for line in config.warnings.to_string().lines() {
        tracing::warn!(event = "config.warning", "{line}");
    }
    let (audit, writer) = start_audit(settings)?;
    let threads = match settings.threads {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    };
    let runtime = Runtime::new_no_steal(threads, "worker");
    let served = runtime.get_handle().block_on(serve(config, audit));
    runtime.shutdown_timeout(Duration::from_millis(500));
    writer.wait();
    served
}

fn is_json(format: LogFormat, is_terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    }
}

fn start_audit(settings: &Settings) -> Result<(Audit, Writer), StartError> {
    match settings.audit {
        AuditTo::Off => Ok(Audit::off()),
        AuditTo::Stdout => {
            let json = is_json(settings.log_format, io::stdout().is_terminal());
            Audit::start(io::stdout(), json).map_err(StartError::System)
        }
    }
}

async fn serve(config: Config, audit: Audit) -> Result<(), StartError> {
    // First of all, so that no signal finds its default action.
    let mut signals = Signals::new().map_err(StartError::System)?;
    let Config { settings, policy, named_tools, path, .. } = config;
    let public = Sockets::bind(&settings.listen)?;
    let admin = Sockets::bind(&[settings.admin_listen])?;
    announce(&settings, &public, &admin);
    // Lives as long as this function.
    let builtin = builtin::start(&settings).await?;

    let metrics = build::metrics(&settings, &named_tools, policy.tokens())?;
    let metrics = Arc::new(metrics);
    let snapshot = build::snapshot(&settings, policy, &builtin)?;
    let options = build::options(&settings, &public.addresses, build::seal(&settings)?);
    let gateway = Bounded::new(Gateway::new(snapshot, options, Arc::clone(&metrics), audit));
    let live = gateway.live();

    let (stop, stopping) = watch::channel(false);
    // The admin listener outlives the public one, so that draining can be watched.
    let (stop_admin, stopping_admin) = watch::channel(false);
    let readiness = Readiness::default();
    let mut services = JoinSet::new();
    public.serve("mcp", gateway, settings.tls.as_ref(), stopping, &mut services)?;
    let admin_app = Admin { metrics, readiness: readiness.clone() };
    admin.serve("admin", admin_app, None, stopping_admin, &mut services)?;
    readiness.ready();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(event = "server.ready", version, config = %path.display());

    let ended = tokio::select! {
        () = signals.end() => Ok(()),
        Some(Err(error)) = services.join_next() => Err(StartError::Listener(error)),
    };
    if ended.is_ok() && signals.is_graceful {
        tokio::select! {
            () = stop::drain(settings.shutdown, &readiness, &stop, &live) => {}
            () = signals.second() => tracing::warn!(event = "server.interrupted"),
        }
    }
    tracing::info!(event = "server.stopped", cut = live.load(Ordering::SeqCst));
    // The receivers may be gone already, and that is as good.
    let _ = (stop.send(true), stop_admin.send(true));
    ended
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
