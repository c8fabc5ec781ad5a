//! `[upstreams.NAME]`

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::code::Code;
use super::credential;
use super::files::Files;
use super::read::{At, Table};
use super::settings::duration;
use super::tls::{self, Purpose};
use super::values::{self, Durations};
use crate::core::policy::Tasks;
use crate::core::principal::Digest;

/// One upstream.
#[derive(Clone, Debug)]
pub struct UpstreamSpec {
    /// Where the file names it.
    pub span: Range<usize>,
    /// Its name in permissions, metrics and records.
    pub name: String,
    /// The path under which clients find it.
    pub path: String,
    /// Where requests go.
    pub target: Target,
    /// What it is shown of ours, besides the identity of the caller.
    pub credential: Option<Credential>,
    /// Roots that its certificate must chain to, as a PEM file; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key towards it, as PEM files.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// SHA-256 over the contents of these files.
    pub tls_digest: Digest,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long the answer to a message may take to begin.
    pub call_timeout: Duration,
    /// How long an answer may be silent once it has begun.
    pub stream_idle: Duration,
    /// How long an answer may last.
    pub stream_max: Duration,
    /// How long an event stream may be silent before a comment is written into it; never where
    /// absent.
    pub stream_keep_alive: Option<Duration>,
    /// How its tasks are treated.
    pub tasks: Tasks,
}

/// A header that proves to an upstream who we are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// Its name.
    pub name: HeaderName,
    /// Its value, marked sensitive.
    pub value: HeaderValue,
}

/// Where an upstream's requests go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The ticket server inside the process.
    BuiltinTickets,
    /// An `http` or `https` URL with host and path.
    Url(http::Uri),
}

pub(super) fn read(file: &mut Table<'_>, files: &Files) -> Vec<UpstreamSpec> {
    let tables = file.named_tables("upstreams");
    let told = ("no upstream is defined", "add [upstreams.NAME] with path and url");
    file.lack(&["upstreams"], Code::Missing, 0..0, told);
    let mut found: Vec<UpstreamSpec> = Vec::new();
    for (name, table) in tables {
        let report = table.report();
        let upstream = upstream(name.value, table, files);
        if let Some(other) = found.iter().find(|u| u.path == upstream.path) {
            report.error(
                Code::Duplicate,
                name.span,
                format!("upstreams `{}` and `{}` share a path", other.name, upstream.name),
                "each needs a `path` of its own",
            );
        }
        found.push(upstream);
    }
    found
}

fn upstream(name: &str, mut table: Table<'_>, files: &Files) -> UpstreamSpec {
    let before = table.report().errors();
    let path = table.required_string("path");
    let path = path.and_then(|text| table.check("path", text, values::route_path));
    let target = target(name, &mut table);
    let credential = credential(&mut table, &target, files);
    let mut tls = Sha256::new();
    let ca_file = ca_file(&mut table, files, &mut tls);
    let client_cert = client_cert(&mut table, files, &mut tls);
    let told = ("`client_cert_file` and `client_key_file` belong together", "add the other one");
    let span = table.span();
    if table.value("client_cert_file").is_some() {
        table.lack(&["client_key_file"], Code::Conflict, span, told);
    } else if table.value("client_key_file").is_some() {
        table.lack(&["client_cert_file"], Code::Conflict, span, told);
    }
    warn_of_no_tls(&mut table, &target);
    let spec = UpstreamSpec {
        span: table.span(),
        name: name.to_owned(),
        path: path.map_or_else(|| format!("/{name}"), |at| at.value),
        target,
        credential,
        ca_file,
        client_cert,
        tls_digest: tls.finalize().into(),
        connect_timeout: duration(&mut table, "connect_timeout", 2, Durations("1ms", "10m")),
        call_timeout: duration(&mut table, "call_timeout", 60, Durations("1ms", "24h")),
        stream_idle: duration(&mut table, "stream_idle", 10 * 60, Durations("1ms", "30d")),
        stream_max: duration(&mut table, "stream_max", 24 * 60 * 60, Durations("1ms", "366d")),
        stream_keep_alive: table
            .parsed("stream_keep_alive", |text| Durations("1ms", "24h").read(text))
            .map(|at| at.value),
        tasks: tasks(&mut table),
    };
    // What could not be read is not as long as it would be by itself.
    if table.report().errors() == before {
        warn_of_late(&mut table, &spec);
    }
    table.finish();
    spec
}

/// Of two ends of a stream the earlier one holds, and the other does nothing.
fn warn_of_late(table: &mut Table<'_>, spec: &UpstreamSpec) {
    let keep_alive = spec.stream_keep_alive.unwrap_or_default();
    for (late, key, end, before) in [
        (spec.stream_idle, "stream_idle", spec.stream_max, "stream_max"),
        (keep_alive, "stream_keep_alive", spec.stream_idle, "stream_idle"),
    ] {
        if let Some(value) = table.value(key).filter(|_| late >= end) {
            let end = humantime::format_duration(end);
            let message = format!("`{key}` does nothing: `{before}` is {end}, and comes first");
            let help = "make it shorter, or leave it out";
            table.report().warning(Code::Useless, value.span(), message, help);
        }
    }
}

fn tasks(table: &mut Table<'_>) -> Tasks {
    let tasks = table.parsed("tasks", |text| match text {
        "off" => Ok(Tasks::Off),
        "sealed" => Ok(Tasks::Sealed),
        _ => Err("must be \"off\" or \"sealed\"".to_owned()),
    });
    tasks.map_or(Tasks::Off, |at| at.value)
}

fn target(name: &str, table: &mut Table<'_>) -> Target {
    let builtin = table.parsed("builtin", |text| match text {
        "tickets" if cfg!(feature = "demo") => Ok(Target::BuiltinTickets),
        "tickets" => Err("needs a build with the feature `demo`; use `url` instead".to_owned()),
        _ => Err("must be \"tickets\"".to_owned()),
    });
    let has_builtin = table.value("builtin").is_some();
    let has_url = table.value("url").is_some();
    let url = table.parsed("url", values::url);
    let message = format!("upstream `{name}` needs either `url` or `builtin`");
    let (span, help) = (table.span(), "add url = \"http://host:port/mcp\"");
    if has_builtin && has_url {
        table.report().error(Code::Missing, span, message, help);
    } else {
        table.lack(&["url", "builtin"], Code::Missing, span, (message, help));
    }
    if let Some(at) = url.as_ref().filter(|at| matches!(at.value.path(), "" | "/")) {
        let message = "`url` has no path, and nearly every MCP server answers at one".to_owned();
        let text = at.value.to_string();
        let help = format!("perhaps {}/mcp", text.trim_end_matches('/'));
        table.report().warning(Code::NoPath, at.span.clone(), message, help);
    }
    url.map(|at| Target::Url(at.value))
        .or_else(|| builtin.map(|at| at.value))
        .unwrap_or(Target::BuiltinTickets)
}

/// Remembers in `digest` what a file of an upstream's TLS holds.
fn note(digest: &mut Sha256, key: &str, name: &str, files: &Files) {
    // Where one file ends and the next begins is part of it.
    digest.update(key);
    digest.update(Sha256::digest(files.read(name).unwrap_or_default()));
}

fn ca_file(table: &mut Table<'_>, files: &Files, digest: &mut Sha256) -> Option<PathBuf> {
    let text = table.string("ca_file")?;
    let name = text.value;
    tls::certificates(table, "ca_file", text, files, Purpose::ServerRoots)?;
    note(digest, "ca_file", name, files);
    Some(files.path(name))
}

/// Our own certificate and its key, where they belong together.
fn client_cert(
    table: &mut Table<'_>,
    files: &Files,
    digest: &mut Sha256,
) -> Option<(PathBuf, PathBuf)> {
    const KEYS: [&str; 2] = ["client_cert_file", "client_key_file"];
    let (cert, key) = (table.string(KEYS[0]), table.string(KEYS[1]));
    let chain =
        cert.clone().and_then(|text| tls::certificates(table, KEYS[0], text, files, Purpose::Own));
    let secret = key.clone().and_then(|text| tls::key(table, KEYS[1], text, files));
    let (cert, key) = cert.zip(key)?;
    tls::check_pair(table, KEYS, key.span, &chain?, &secret?);
    for (name, text) in KEYS.iter().zip([cert.value, key.value]) {
        note(digest, name, text, files);
    }
    Some((files.path(cert.value), files.path(key.value)))
}

/// What is asked of a certificate means nothing where there is none.
fn warn_of_no_tls(table: &mut Table<'_>, target: &Target) {
    let Target::Url(url) = target else { return };
    if url.scheme_str() == Some("https") {
        return;
    }
    for key in ["ca_file", "client_cert_file"] {
        if let Some(value) = table.value(key) {
            let message = format!("`{key}` means nothing: `url` begins with http://");
            let help = "write https:// in `url`, or leave the file out";
            table.report().warning(Code::Useless, value.span(), message, help);
        }
    }
}

/// `credential = { bearer_file | bearer_env }`, or `{ header, file | env }`.
fn credential(table: &mut Table<'_>, target: &Target, files: &Files) -> Option<Credential> {
    let mut table = table.table("credential");
    if !table.exists() {
        return None;
    }
    if *target == Target::BuiltinTickets {
        let message = "the built-in server has a credential of its own".to_owned();
        table.report().error(Code::Conflict, table.span(), message, "remove `credential`");
    }
    let header = table.parsed("header", values::credential_header);
    let has_own = table.value("header").is_some() || table.has_like("header");
    let keys: &'static [&'static str; 2] = match has_own {
        false => &["bearer_file", "bearer_env"],
        true => &["file", "env"],
    };
    let secret = secret(&mut table, keys, files);
    let name = header.as_ref().map_or(http::header::AUTHORIZATION, |at| at.value.clone());
    if let Some(secret) = &secret {
        credential::doubt(&table, secret, &name, header.is_none());
    }
    let secret = secret.map(|at| at.value);
    table.finish();
    if has_own && header.is_none() {
        return None;
    }
    let text = match header {
        None => format!("Bearer {}", secret?),
        Some(_) => secret?,
    };
    // Its characters have been looked at.
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(Credential { name, value })
}

/// A text from a file or a variable of the environment: exactly one of these keys.
fn secret(
    table: &mut Table<'_>,
    keys: &'static [&'static str; 2],
    files: &Files,
) -> Option<At<String>> {
    let visible = |text: String| match text.trim_ascii() {
        "" => Err("is empty".to_owned()),
        text if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => Ok(text.to_owned()),
        _ => Err("holds something else than one line of visible ASCII".to_owned()),
    };
    let [file, variable] = *keys;
    let from_file = table.parsed(file, |name| files.read_text(name).and_then(visible));
    let from_variable = table.parsed(variable, |name| values::variable(name).and_then(visible));
    let message = format!("`credential` needs either `{file}` or `{variable}`");
    if table.value(file).is_some() && table.value(variable).is_some() {
        table.report().error(Code::Conflict, table.span(), message, "");
    } else {
        table.lack(keys, Code::Conflict, table.span(), (message, ""));
    }
    from_file.or(from_variable)
}
