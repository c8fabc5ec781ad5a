//! Where the keys of an issuer come from.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::config::code::Code;
use crate::config::files::Files;
use crate::config::read::Table;
use crate::config::values::{self, Durations};
use crate::config::{outside, tls};
use crate::core::keys::KeySet;
use crate::core::principal::Digest;

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// From a file that has been read.
    File(Arc<KeySet>),
    /// From a JWK set on the web.
    Url {
        /// `https`, or `http` on loopback.
        url: http::Uri,
        /// Roots for its certificate, as a PEM file, and the digest of its content; the system's
        /// where absent.
        ca_file: Option<(PathBuf, Digest)>,
        /// How often they are fetched.
        refresh: Duration,
        /// How long they are used after they were last fetched.
        max_stale: Duration,
    },
}

/// Where a secret is worth nothing nobody listens: TLS, or this machine.
fn jwks_url(text: &str) -> Result<http::Uri, String> {
    let authority = outside::parts(text).map_or("", |(_, authority, _)| authority);
    let url: http::Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if host.is_empty() || authority.contains('@') {
        return Err("must have a host and no user name".to_owned());
    }
    outside::split(authority)?;
    match url.scheme_str() {
        _ if text.contains('#') => Err("must not have a fragment".to_owned()),
        Some("https") => Ok(url),
        Some("http") if is_loopback => Ok(url),
        _ => Err("must begin with https://; http:// is for loopback only".to_owned()),
    }
}

/// Reads `jwks_url` or `jwks_file`, and what belongs to it, with digests of what the keys stand and
/// fall with: each of a file, or a place with each of the roots for it.
pub(super) fn read(table: &mut Table<'_>, files: &Files) -> Option<(IssuerKeys, BTreeSet<Digest>)> {
    let before = table.report().errors();
    let url = table.parsed("jwks_url", jwks_url);
    let file = table.parsed("jwks_file", |name| {
        KeySet::parse(&files.read(name)?).map_err(|error| error.to_string())
    });
    let ca_file = table.string("ca_file").and_then(|text| {
        let name = text.value;
        let roots = tls::certificates(table, "ca_file", text, files, tls::Purpose::ServerRoots)?;
        let digest = Sha256::digest(files.read(name).ok()?).into();
        Some(((files.path(name), digest), roots))
    });
    let (ca_file, roots) = ca_file.unzip();
    let refresh = table.parsed("refresh", |text| Durations("10ms", "24h").read(text));
    let refresh = refresh.map_or(Duration::from_secs(10 * 60), |at| at.value);
    let max_stale = table.parsed("max_stale", |text| Durations("10ms", "366d").read(text));
    let max_stale = max_stale.map_or(Duration::from_secs(24 * 60 * 60), |at| at.value);
    let told =
        ("an issuer needs either `jwks_url` or `jwks_file`", "its metadata calls it jwks_uri");
    if table.value("jwks_url").is_some() && table.value("jwks_file").is_some() {
        table.report().error(Code::Missing, table.span(), told.0.to_owned(), told.1);
    } else {
        table.lack(&["jwks_url", "jwks_file"], Code::Missing, table.span(), told);
    }
    match (url, file) {
        (Some(url), None) => {
            if table.report().errors() == before {
                warn_of_gap(table, refresh, max_stale);
            }
            if url.value.scheme_str() == Some("http") {
                warn_of_useless(table, &["ca_file"], "`jwks_url` begins with http://");
            }
            let place = values::place(&url.value);
            let of = |root: &[u8]| Sha256::digest([place.as_bytes(), b"\0", root].concat()).into();
            let roots = roots.unwrap_or_default();
            let trust = match roots.is_empty() {
                true => [of(b"")].into(),
                false => roots.iter().map(|root| of(root)).collect(),
            };
            Some((IssuerKeys::Url { url: url.value, ca_file, refresh, max_stale }, trust))
        }
        (None, Some(set)) => {
            let keys = ["ca_file", "refresh", "max_stale"];
            warn_of_useless(table, &keys, "a file is read anew when it changes");
            let trust = set.value.digests();
            Some((IssuerKeys::File(Arc::new(set.value)), trust))
        }
        _ => None,
    }
}

/// Warns where keys are over before others are fetched: until then there are none, and where the
/// issuer is away just then, nobody of its gets in.
fn warn_of_gap(table: &mut Table<'_>, refresh: Duration, max_stale: Duration) {
    let stale = table.value("max_stale");
    // Without a word of either the defaults fit.
    let Some(value) = stale.or_else(|| table.value("refresh")).filter(|_| max_stale <= refresh)
    else {
        return;
    };
    let [shown, every] = [max_stale, refresh].map(humantime::format_duration);
    let message = format!(
        "keys are good for {shown} (`max_stale`) and fetched every {every} (`refresh`): they end before others are there"
    );
    let help = "in between, calls wait for a fetch or are refused; make max_stale several times as long as refresh";
    table.report().warning(Code::KeyGap, value.span(), message, help);
}

fn warn_of_useless(table: &mut Table<'_>, keys: &[&'static str], why: &str) {
    for key in keys {
        if let Some(value) = table.value(key) {
            let message = format!("`{key}` means nothing: {why}");
            table.report().warning(Code::Useless, value.span(), message, "leave it out");
        }
    }
}
