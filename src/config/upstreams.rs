//! `[upstreams.NAME]`

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::code::Code;
use super::files::Files;
use super::read::Table;
use super::settings::duration;
use super::{tls, values};
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
    if tables.is_empty() {
        let message = "no upstream is defined".to_owned();
        file.report().error(Code::Missing, 0..0, message, "add [upstreams.NAME] with path and url");
    }
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
    let path = table.required_string("path");
    let path = path.and_then(|text| table.check("path", text, values::route_path));
    let target = target(name, &mut table);
    let credential = credential(&mut table, &target, files);
    let mut tls = Sha256::new();
    let ca_file = pem(&mut table, "ca_file", files, &mut tls);
    let cert = pem(&mut table, "client_cert_file", files, &mut tls);
    let key = pem(&mut table, "client_key_file", files, &mut tls);
    if cert.is_some() != key.is_some() {
        let message = "`client_cert_file` and `client_key_file` belong together".to_owned();
        table.report().error(Code::Conflict, table.span(), message, "add the other one");
    }
    let spec = UpstreamSpec {
        span: table.span(),
        name: name.to_owned(),
        path: path.map_or_else(|| format!("/{name}"), |at| at.value),
        target,
        credential,
        ca_file,
        client_cert: cert.zip(key),
        tls_digest: tls.finalize().into(),
        connect_timeout: duration(&mut table, "connect_timeout", 2),
        call_timeout: duration(&mut table, "call_timeout", 60),
        stream_idle: duration(&mut table, "stream_idle", 10 * 60),
        stream_max: duration(&mut table, "stream_max", 24 * 60 * 60),
        stream_keep_alive: table.parsed("stream_keep_alive", values::duration).map(|at| at.value),
        tasks: tasks(&mut table),
    };
    table.finish();
    spec
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
    if has_builtin == has_url {
        table.report().error(
            Code::Missing,
            table.span(),
            format!("upstream `{name}` needs either `url` or `builtin`"),
            "add url = \"http://host:port/mcp\"",
        );
    }
    url.map(|at| Target::Url(at.value))
        .or_else(|| builtin.map(|at| at.value))
        .unwrap_or(Target::BuiltinTickets)
}

/// A PEM file of an upstream's TLS; its content goes into `digest`.
fn pem(
    table: &mut Table<'_>,
    key: &'static str,
    files: &Files,
    digest: &mut Sha256,
) -> Option<PathBuf> {
    let text = table.string(key)?;
    let name = text.value;
    if key == "client_key_file" {
        tls::key(table, key, text, files)?;
    } else {
        tls::certificates(table, key, text, files)?;
    }
    // Where one file ends and the next begins is part of it.
    digest.update(key);
    digest.update(Sha256::digest(files.read(name).unwrap_or_default()));
    Some(files.path(name))
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
    let keys: [&'static str; 2] = match header {
        None => ["bearer_file", "bearer_env"],
        Some(_) => ["file", "env"],
    };
    let secret = secret(&mut table, keys, files);
    let name = header.as_ref().map_or(http::header::AUTHORIZATION, |at| at.value.clone());
    table.finish();
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
fn secret(table: &mut Table<'_>, keys: [&'static str; 2], files: &Files) -> Option<String> {
    let visible = |text: String| match text.trim_ascii() {
        "" => Err("is empty".to_owned()),
        text if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => Ok(text.to_owned()),
        _ => Err("holds something else than one line of visible ASCII".to_owned()),
    };
    let [file, variable] = keys;
    let from_file = table.parsed(file, |name| files.read_text(name).and_then(visible));
    let from_variable = table.parsed(variable, |name| values::variable(name).and_then(visible));
    if table.value(file).is_some() == table.value(variable).is_some() {
        let message = format!("`credential` needs either `{file}` or `{variable}`");
        table.report().error(Code::Conflict, table.span(), message, "");
    }
    from_file.or(from_variable).map(|at| at.value)
}
