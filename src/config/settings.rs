//! Where and how the process runs: every table of the file but roles and tokens.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;

use super::audit::{self, AuditSpec};
use super::clash;
use super::code::Code;
use super::expect;
use super::files::Files;
use super::identity::{self, Assertion, Identity};
use super::outside::{self, Authority};
use super::read::{At, Table, is_nothing};
use super::tls::{self, Tls};
use super::upstreams::{self, UpstreamSpec};
use super::values::{self, Durations, Sizes};
use crate::core::limits::Limits;
use crate::core::seal::{MIN_SECRET, SealKey};

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the public listener; at least one. Port 0 is any free port.
    pub listen: Vec<SocketAddr>,
    /// The URL that clients type, where the file says it; without a port that is the default.
    pub public_url: Option<http::Uri>,
    /// Hosts that are ours besides those of `public_url` and `listen`.
    pub allowed_hosts: Vec<Authority>,
    /// Values of `Origin` that are let in besides `public_url`'s own, in lower case.
    pub allowed_origins: Vec<String>,
    /// The file says that a proxy in front ends TLS.
    pub is_behind_proxy: bool,
    /// Worker threads; 0 for one per core.
    pub threads: usize,
    /// Key of the seals on session and task ids; made at the start where absent.
    pub seal: Option<SealKey>,
    /// TLS on the public listener.
    pub tls: Option<Tls>,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// Address of the listener for metrics and probes.
    pub admin_listen: SocketAddr,
    /// Header that carries the user to upstreams.
    pub user_header: HeaderName,
    /// Header that carries the organization to upstreams.
    pub organization_header: HeaderName,
    /// How upstreams are assured that a request was permitted.
    pub assertion: Option<Assertion>,
    /// The upstreams, in the order of the file.
    pub upstreams: Vec<UpstreamSpec>,
    /// Bounds on what callers and upstreams may cost.
    pub limits: Limits,
    /// Filter of the log, as `tracing` levels: error, warn, info, debug, trace.
    pub log_level: tracing::Level,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Whether a reload that gives somebody more waits for a word.
    pub widening: Widening,
    /// The tests of the policy (`[[expect]]`), each as JSON; whoever reads the file runs them.
    pub expectations: Vec<String>,
    /// What becomes of audit records.
    pub audit: AuditSpec,
}

impl Settings {
    /// The reason for which somebody else than this machine may come to a process with these
    /// settings that listens on `bound`, too: the first thing that speaks of the outside. What a
    /// proxy on this machine forwards comes from loopback, so that the listener alone tells
    /// nothing.
    pub(super) fn exposure(&self, bound: &[SocketAddr]) -> Option<String> {
        let mut listening = self.listen.iter().chain(bound);
        let far = |text: &dyn std::fmt::Display, key: &str| format!("`{key}` names {text}");
        if listening.any(|address| !address.ip().is_loopback()) {
            return Some("the listener is not loopback".to_owned());
        }
        if self.is_behind_proxy {
            return Some("`plaintext` speaks of a proxy".to_owned());
        }
        let url = self.public_url.as_ref().and_then(http::Uri::authority);
        if let Some(url) = url.filter(|url| !outside::is_loopback(url.host())) {
            return Some(far(url, "public_url"));
        }
        if let Some(host) = self.allowed_hosts.iter().find(|host| !host.is_loopback()) {
            return Some(far(host, "allowed_hosts"));
        }
        let origin = self.allowed_origins.iter().find(|text| !outside::is_local_origin(text));
        origin.map(|origin| far(origin, "allowed_origins"))
    }

    /// The keys that differ from `started` and take effect with a restart only.
    #[must_use]
    pub fn needing_restart(&self, started: &Self) -> Vec<&'static str> {
        let differences = [
            ("server.listen", self.listen != started.listen),
            ("server.threads", self.threads != started.threads),
            ("server.tls", self.tls.is_some() != started.tls.is_some()),
            ("server.shutdown", self.shutdown != started.shutdown),
            ("admin.listen", self.admin_listen != started.admin_listen),
            ("log.format", self.log_format != started.log_format),
            ("audit.to", self.audit.to != started.audit.to),
            ("audit.on_failure", self.audit.on_failure != started.audit.on_failure),
        ];
        differences.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

/// How the process ends after SIGTERM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shutdown {
    /// How long new calls are still served while `/readyz` already says no.
    pub lame_duck: Duration,
    /// How long calls in flight may take after that.
    pub drain: Duration,
}

/// What becomes of a reload that gives somebody more than before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Widening {
    /// It holds at once, as every other.
    Apply,
    /// It is held until `doorward reload --ack`.
    Ack,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

const DEFAULT_LISTEN: SocketAddr = loopback(8080);
pub(super) const DEFAULT_ADMIN: SocketAddr = loopback(9901);

/// Bytes that are held at once, in all.
const DEFAULT_BUFFERS: usize = 256 << 20;

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

pub(super) fn read(file: &mut Table<'_>, files: &Files) -> Settings {
    let mut server = file.table("server");
    let listen = listen(&mut server);
    let public_url = server.parsed("public_url", outside::public_url).map(|at| at.value);
    let allowed_hosts = checked(&mut server, "allowed_hosts", Authority::parse);
    let allowed_origins = checked(&mut server, "allowed_origins", outside::origin);
    let threads = server.integer("threads", 0..=1024).unwrap_or(0);
    let seal = server.string("session_key_file").and_then(|text| seal(&server, text, files));
    let tls = tls::read(server.table("tls"), files);
    let shutdown = shutdown(server.table("shutdown"));
    let is_behind_proxy = check_exposure(&mut server, &listen, tls.is_some());
    check_reachable(&mut server, &listen);
    server.finish();

    let admin = admin(file.table("admin"));
    clash::check(file.report(), &listen, &admin);
    let identity = identity::read(file.table("identity"), files);
    let upstreams = upstreams::read(file, files);
    clash::check_loops(file, &listen, &admin, &upstreams);
    check_credentials(file, &upstreams, &identity);
    let limits = limits(file.table("limits"));
    let (log_level, log_format) = log(file.table("log"));
    let widening = reload(file.table("reload"));
    let audit = audit::read(file.table("audit"), files);
    let expectations = expect::texts(file);
    let (listen, admin_listen) = (listen.into_iter().map(|at| at.value).collect(), admin.value);
    Settings {
        listen,
        public_url,
        allowed_hosts,
        allowed_origins,
        is_behind_proxy,
        threads,
        seal,
        tls,
        shutdown,
        admin_listen,
        user_header: identity.user_header,
        organization_header: identity.organization_header,
        assertion: identity.assertion,
        upstreams,
        limits,
        log_level,
        log_format,
        widening,
        expectations,
        audit,
    }
}

fn listen(server: &mut Table<'_>) -> Vec<At<SocketAddr>> {
    let texts = server.strings("listen");
    let default = At { value: DEFAULT_LISTEN, span: server.span() };
    let value = server.value("listen");
    if let Some(value) = value.filter(|value| is_nothing(value.get_ref())) {
        let message = "`listen` is empty: nobody could reach the gateway".to_owned();
        server.report().error(
            Code::BadValue,
            value.span(),
            message,
            "name an address, or leave it out",
        );
    }
    if texts.is_empty() {
        return vec![default];
    }
    texts.into_iter().filter_map(|text| server.check("listen", text, values::address)).collect()
}

fn checked<T>(
    server: &mut Table<'_>,
    key: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let texts = server.strings(key);
    texts.into_iter().filter_map(|text| server.check(key, text, parse)).map(|at| at.value).collect()
}

/// A key from the bytes of a file, a line end behind them aside.
fn seal(table: &Table<'_>, text: At<&str>, files: &Files) -> Option<SealKey> {
    let read = |text: &str| {
        let bytes = files.read(text)?;
        let too_short = || format!("must hold at least {MIN_SECRET} bytes: openssl rand -hex 32");
        SealKey::new(bytes.trim_ascii_end()).ok_or_else(too_short)
    };
    table.check("session_key_file", text, read).map(|at| at.value)
}

/// Bearer tokens in clear over a network are worth an explicit word: whether it is there.
fn check_exposure(server: &mut Table<'_>, listen: &[At<SocketAddr>], has_tls: bool) -> bool {
    let plaintext = server.parsed("plaintext", |text| match text {
        "behind-proxy" => Ok(()),
        _ => Err("must be \"behind-proxy\"".to_owned()),
    });
    let is_exposed = listen.iter().any(|address| !address.value.ip().is_loopback());
    if let Some(at) = plaintext.as_ref().filter(|_| is_exposed && !has_tls) {
        let message = "tokens are in clear between the proxy and here".to_owned();
        let help = "only where nobody else is on that network; else add [server.tls]";
        server.report().warning(Code::Plaintext, at.span.clone(), message, help);
    }
    if let Some(at) = plaintext.as_ref().filter(|_| has_tls) {
        let message = "`plaintext` means nothing: there is [server.tls]".to_owned();
        let help = "leave it out, or remove [server.tls] where a proxy in front ends TLS";
        server.report().warning(Code::Useless, at.span.clone(), message, help);
    }
    if has_tls || plaintext.is_some() {
        return plaintext.is_some();
    }
    for address in listen.iter().filter(|at| !at.value.ip().is_loopback()) {
        let message = format!("{} is not loopback, and there is no [server.tls]", address.value);
        let help =
            "add [server.tls], or plaintext = \"behind-proxy\" where a proxy in front ends TLS";
        let keys = &["plaintext", "tls"];
        server.lack(keys, Code::Exposed, address.span.clone(), (message, help));
    }
    false
}

/// Every request names the host that it means; on a wildcard address nothing says which are ours.
fn check_reachable(server: &mut Table<'_>, listen: &[At<SocketAddr>]) {
    for address in listen.iter().filter(|at| at.value.ip().is_unspecified()) {
        let message = format!("on {} no `Host` would be ours", address.value);
        let help = "add public_url = \"https://the-name-that-clients-type\"";
        let keys = &["public_url", "allowed_hosts"];
        server.lack(keys, Code::Exposed, address.span.clone(), (message, help));
    }
}

fn shutdown(mut table: Table<'_>) -> Shutdown {
    let read = Shutdown {
        lame_duck: duration(&mut table, "lame_duck", 5, Durations("0s", "24h")),
        drain: duration(&mut table, "drain", 60, Durations("0s", "24h")),
    };
    table.finish();
    read
}

pub(super) fn duration(
    table: &mut Table<'_>,
    key: &'static str,
    default_seconds: u64,
    range: Durations,
) -> Duration {
    let default = Duration::from_secs(default_seconds);
    table.parsed(key, |text| range.read(text)).map_or(default, |at| at.value)
}

fn size(table: &mut Table<'_>, key: &'static str, default: usize) -> usize {
    table.parsed(key, values::size).map_or(default, |at| at.value)
}

/// Longest time for a part of an exchange, where a client or an upstream is waited for.
const WAIT: Durations = Durations("1ms", "24h");

/// The head of a request is held whole, for every connection.
const HEADERS: Sizes = Sizes("1KiB", "1MiB");

/// What all callers' bodies may take of the memory of the machine.
const BUFFERS: Sizes = Sizes("1KiB", "1024GiB");

fn admin(mut table: Table<'_>) -> At<SocketAddr> {
    let listen = table.parsed("listen", values::address);
    if let Some(at) = listen.as_ref().filter(|at| !at.value.ip().is_loopback()) {
        table.report().warning(
            Code::AdminExposed,
            at.span.clone(),
            format!("{} shows metrics to everybody who can reach it", at.value),
            "let only the monitoring in",
        );
    }
    let span = table.span();
    table.finish();
    listen.unwrap_or(At { value: DEFAULT_ADMIN, span })
}

/// A credential in the place of an identity would be everybody's.
fn check_credentials(file: &Table<'_>, upstreams: &[UpstreamSpec], identity: &Identity) {
    for upstream in upstreams {
        if upstream.credential.as_ref().is_some_and(|c| identity.uses(&c.name)) {
            let name = &upstream.name;
            let message =
                format!("the `credential` of `{name}` is in a header that carries an identity");
            file.report().error(
                Code::Conflict,
                upstream.span.clone(),
                message,
                "choose another `header`",
            );
        }
    }
}

/// Bytes that are held at once, in all; never less than the longest body or list.
fn buffers(table: &mut Table<'_>, longest: usize) -> usize {
    let said = table.parsed("buffers", |text| BUFFERS.read(text));
    if let Some(at) = said.as_ref().filter(|at| at.value < longest) {
        table.report().error(
            Code::Conflict,
            at.span.clone(),
            "`buffers` is less than `request_body` or `listing`: one of that length never passes"
                .to_owned(),
            "raise it, or lower the other",
        );
    }
    said.map_or_else(|| DEFAULT_BUFFERS.max(longest), |at| at.value)
}

fn limits(mut table: Table<'_>) -> Limits {
    let request_body = size(&mut table, "request_body", 4 << 20);
    let listing = size(&mut table, "listing", 8 << 20);
    let limits = Limits {
        request_body,
        listing,
        buffers: buffers(&mut table, request_body.max(listing)),
        list_ttl: duration(&mut table, "list_ttl", 60, Durations("0s", "24h")),
        json_depth: table.integer("json_depth", 8..=128).unwrap_or(64),
        headers: table.parsed("headers", |text| HEADERS.read(text)).map_or(32 << 10, |at| at.value),
        connections: table
            .integer("connections", 1..=1_000_000)
            .unwrap_or(Limits::DEFAULT_CONNECTIONS),
        in_flight: table.integer("in_flight", 1..=1_000_000).unwrap_or(2_000),
        streams: table.integer("streams", 1..=1_000_000).unwrap_or(10_000),
        head_timeout: duration(&mut table, "head_timeout", 10, WAIT),
        body_timeout: duration(&mut table, "body_timeout", 30, WAIT),
        write_timeout: duration(&mut table, "write_timeout", 60, WAIT),
    };
    table.finish();
    limits
}

fn reload(mut table: Table<'_>) -> Widening {
    let widening = table.parsed("widening", |text| match text {
        "ack" => Ok(Widening::Ack),
        "apply" => Ok(Widening::Apply),
        _ => Err("must be \"apply\" or \"ack\"".to_owned()),
    });
    table.finish();
    widening.map_or(Widening::Apply, |at| at.value)
}

fn log(mut table: Table<'_>) -> (tracing::Level, LogFormat) {
    let level = table.parsed("level", |text| {
        text.parse().map_err(|_| "must be error, warn, info, debug or trace".to_owned())
    });
    let format = table.parsed("format", |text| match text {
        "auto" => Ok(LogFormat::Auto),
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("must be \"auto\", \"json\" or \"pretty\"".to_owned()),
    });
    table.finish();
    let level = level.map_or(tracing::Level::INFO, |at| at.value);
    (level, format.map_or(LogFormat::Auto, |at| at.value))
}
