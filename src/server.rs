//! Wiring: the only place where configuration, gateway, admin and telemetry meet.
//!
//! Listeners are bound here before anything else runs, so that a port in use is a sentence and
//! not a process that listens on nothing. The services are pingora's; the order of starting and
//! stopping them is ours, because pingora's own server sleeps out its whole grace period however
//! idle it is.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::TlsSettings;
use pingora::server::Fds;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::admin::{Admin, Readiness};
use crate::config::{AuditTo, Config, LogFormat, Settings, Shutdown, Target, Tls, UpstreamSpec};
use crate::core::policy::Policy;
use crate::gateway::{Bounded, Gateway, Options, Snapshot, Upstream, UpstreamOptions};
use crate::telemetry::audit::{Audit, Writer};
use crate::telemetry::log;
use crate::telemetry::metrics::{Metrics, Shown};

/// Why the process could not start, or did not go on.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// The built-in upstream does not start.
    Builtin(io::Error),
    /// A listener ended by itself.
    Listener(JoinError),
    /// The operating system refuses threads or signals.
    System(io::Error),
    /// Certificate and key of the listener cannot be used.
    Tls(String),
    /// Something that cannot be built from a good configuration.
    Internal(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "{address} is in use by another process; stop it, or choose another address in the configuration"
                )
            }
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Builtin(error) => write!(f, "the built-in ticket server does not start: {error}"),
            Self::Internal(what) => write!(f, "cannot start: {what}"),
            Self::Listener(error) => write!(f, "a listener has ended: {error}"),
            Self::System(error) => write!(f, "the system refuses to start the process: {error}"),
            Self::Tls(why) => write!(f, "the TLS certificate or key cannot be used: {why}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Serves until a signal ends it: SIGTERM after draining, SIGINT at once.
///
/// # Errors
/// [`StartError`] where it cannot start.
pub fn run(config: Config) -> Result<(), StartError> {
    let settings = config.settings.clone();
    log::init(settings.log_level, is_json(settings.log_format, io::stderr().is_terminal()));
    for line in config.warnings.to_string().lines() {
        tracing::warn!(event = "config.warning", "{line}");
    }
    let (audit, writer) = start_audit(&settings)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if settings.threads > 0 {
        runtime.worker_threads(settings.threads);
    }
    let runtime = runtime.enable_all().build().map_err(StartError::System)?;
    let served = runtime.block_on(serve(config, audit));
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
    let builtin = builtin::start(&settings).await?;

    let metrics =
        metrics(&settings, &named_tools).map_err(|e| StartError::Internal(e.to_string()))?;
    metrics.show_tokens(policy.tokens().states(jiff::Timestamp::now().as_second()));
    let metrics = Arc::new(metrics);
    let readiness = Readiness::default();
    let snapshot = snapshot(&settings, policy, &builtin)?;
    let gateway =
        Gateway::new(snapshot, options(&settings, &public.addresses), Arc::clone(&metrics), audit);
    let gateway = Bounded::new(gateway);
    let live = gateway.live();

    let (stop, stopping) = watch::channel(false);
    // The admin listener outlives the public one, so that draining can be watched.
    let (stop_admin, stopping_admin) = watch::channel(false);
    let mut services = JoinSet::new();
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
    public.serve("mcp", gateway, settings.tls.as_ref(), stopping, &mut services)?;
    let admin_app = Admin { metrics, readiness: readiness.clone() };
    admin.serve("admin", admin_app, None, stopping_admin, &mut services)?;
    readiness.ready();
    tracing::info!(
        event = "server.ready",
        version = env!("CARGO_PKG_VERSION"),
        config = %path.display(),
    );

    let ended = tokio::select! {
        () = signals.end() => Ok(()),
        Some(Err(error)) = services.join_next() => Err(StartError::Listener(error)),
    };
    if ended.is_ok() && signals.is_graceful {
        tokio::select! {
            () = drain(settings.shutdown, &readiness, &stop, &live) => {}
            () = signals.second() => tracing::warn!(event = "server.interrupted"),
        }
    }
    tracing::info!(event = "server.stopped", cut = live.load(Ordering::SeqCst));
    // The receivers may be gone already, and that is as good.
    let _ = (stop.send(true), stop_admin.send(true));
    ended
}

/// Lame duck, then no new connections, then the calls in flight, up to their time.
async fn drain(
    shutdown: Shutdown,
    readiness: &Readiness,
    stop: &watch::Sender<bool>,
    live: &AtomicUsize,
) {
    readiness.draining();
    tracing::info!(event = "server.draining", live = live.load(Ordering::SeqCst));
    tokio::time::sleep(shutdown.lame_duck).await;
    let _ = stop.send(true);
    let finished = async {
        while live.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(shutdown.drain, finished).await.is_err() {
        tracing::warn!(event = "server.drain_timeout", live = live.load(Ordering::SeqCst));
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    is_graceful: bool,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            is_graceful: false,
        })
    }

    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    self.is_graceful = true;
                    return;
                }
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::warn!(event = "config.reload_ignored", "restart to change the configuration");
                }
            }
        }
    }

    async fn second(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Bound sockets of one listener.
struct Sockets {
    addresses: Vec<SocketAddr>,
    listeners: Vec<TcpListener>,
}

impl Sockets {
    fn bind(wanted: &[SocketAddr]) -> Result<Self, StartError> {
        let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
        for &address in wanted {
            let bind = || {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok((listener.local_addr()?, listener))
            };
            let (bound, listener) = bind().map_err(|error| StartError::Bind(address, error))?;
            addresses.push(bound);
            listeners.push(listener);
        }
        Ok(Self { addresses, listeners })
    }

    /// Hands the sockets to a pingora service and starts it.
    fn serve<A: ServerApp + Send + Sync + 'static>(
        self,
        name: &str,
        app: A,
        tls: Option<&Tls>,
        stopping: watch::Receiver<bool>,
        services: &mut JoinSet<()>,
    ) -> Result<(), StartError> {
        let mut service = Service::new(name.to_owned(), app);
        let mut fds = Fds::new();
        for (address, listener) in self.addresses.iter().zip(self.listeners) {
            let address = address.to_string();
            match tls {
                None => service.add_tcp(&address),
                Some(tls) => service.add_tls_with_settings(&address, None, tls_settings(tls)?),
            }
            fds.add(address, listener.into_raw_fd());
        }
        let fds = Some(Arc::new(parking_lot::Mutex::new(fds)));
        services.spawn(async move { service.start_service(fds, stopping, 1).await });
        Ok(())
    }
}

/// TLS 1.2 and 1.3 by rustls, HTTP/2 by ALPN.
fn tls_settings(tls: &Tls) -> Result<TlsSettings, StartError> {
    let make = || {
        let (cert, key) = (tls.cert_file.to_string_lossy(), tls.key_file.to_string_lossy());
        let mut settings = TlsSettings::intermediate(&cert, &key)?;
        settings.set_certificate_chain_file(&cert)?;
        settings.set_private_key_file(&key)?;
        settings.enable_h2();
        Ok(settings)
    };
    let why = |error: Box<pingora::Error>| StartError::Tls(error.to_string());
    // Pingora panics on a key that does not fit its certificate; better here than in the listener.
    let trial = make().map_err(why)?;
    std::panic::catch_unwind(AssertUnwindSafe(|| trial.build()))
        .map_err(|_| StartError::Tls("they do not belong together".to_owned()))?;
    make().map_err(why)
}

fn metrics(
    settings: &Settings,
    named_tools: &BTreeSet<(String, String)>,
) -> prometheus::Result<Metrics> {
    Metrics::new(&Shown {
        upstreams: settings.upstreams.iter().map(|u| u.name.as_str()).collect(),
        tools: named_tools,
        in_flight_limit: settings.limits.in_flight,
        streams_limit: settings.limits.streams,
    })
}

fn snapshot(
    settings: &Settings,
    policy: Policy,
    builtin: &builtin::Builtin,
) -> Result<Snapshot, StartError> {
    let mut upstreams = HashMap::new();
    for spec in &settings.upstreams {
        let options = upstream_options(spec, builtin)?;
        upstreams.insert(spec.name.clone(), Upstream::new(options));
    }
    Ok(Snapshot { policy, upstreams })
}

fn upstream_options(
    spec: &UpstreamSpec,
    builtin: &builtin::Builtin,
) -> Result<UpstreamOptions, StartError> {
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
        credential,
    })
}

fn options(settings: &Settings, listening: &[SocketAddr]) -> Options {
    let mut hosts = HashSet::new();
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
    }
}

/// The ticket server inside the process.
#[cfg(feature = "demo")]
mod builtin {
    use doorward_tickets::{AccessKey, Embedded, EmbeddedOptions, start_embedded};
    use http::HeaderValue;

    use super::{Settings, StartError, Target};

    pub(super) struct Builtin(Option<(Embedded, HeaderValue)>);

    /// Starts it if an upstream wants it. It takes calls from this gateway alone: the key is made
    /// for this process and never leaves it, so that no other local user can go round the gateway.
    pub(super) async fn start(settings: &Settings) -> Result<Builtin, StartError> {
        if !settings.upstreams.iter().any(|u| u.target == Target::BuiltinTickets) {
            return Ok(Builtin(None));
        }
        let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let internal = |what: &str| StartError::Internal(what.to_owned());
        let key = AccessKey::new(secret.clone()).map_err(|_| internal("access key"))?;
        let embedded = start_embedded(EmbeddedOptions { access_key: Some(key) })
            .await
            .map_err(StartError::Builtin)?;
        let mut credential = HeaderValue::from_str(&format!("Bearer {secret}"))
            .map_err(|_| internal("access key"))?;
        credential.set_sensitive(true);
        Ok(Builtin(Some((embedded, credential))))
    }

    impl Builtin {
        pub(super) fn address(&self) -> Option<(http::Uri, Option<HeaderValue>)> {
            let (embedded, credential) = self.0.as_ref()?;
            Some((embedded.mcp_url().parse().ok()?, Some(credential.clone())))
        }
    }
}

#[cfg(not(feature = "demo"))]
mod builtin {
    use super::{Settings, StartError};

    pub(super) struct Builtin;

    #[expect(clippy::unused_async, reason = "the same signature as with the feature `demo`")]
    pub(super) async fn start(_settings: &Settings) -> Result<Builtin, StartError> {
        Ok(Builtin)
    }

    impl Builtin {
        pub(super) fn address(&self) -> Option<(http::Uri, Option<http::HeaderValue>)> {
            None
        }
    }
}
