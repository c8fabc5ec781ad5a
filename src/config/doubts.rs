//! What is legal, and looks as if something else was meant.

mod patterns;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(super) use self::patterns::{check_name_pattern, check_uri_pattern};
use super::audit::AuditTo;
use super::code::Code;
use super::files::Files;
use super::policy::Decides;
use super::read::{At, Report, Table};
use super::tls;
use super::values::date;
use crate::core::harmless::visible;
use crate::core::token::{TokenSpec, UnixSeconds};

/// Warns of tokens whose time is over, and of those whose revocation is yet to begin. Says
/// whether there was something to warn of.
pub(super) fn check_times(
    report: &Report,
    name: &At<&str>,
    spec: &TokenSpec,
    now: UnixSeconds,
) -> bool {
    if let Some(at) = spec.revoked.filter(|at| *at > now) {
        let message = format!("token `{}` is good until it is revoked on {}", name.value, date(at));
        let help =
            "`revoked` is the moment from which on it lets nobody in; for an end write `expires`";
        report.warning(Code::Nothing, name.span.clone(), message, help);
        return true;
    }
    let Some(end) = spec.expires.filter(|end| *end <= now && spec.revoked.is_none()) else {
        return false;
    };
    let message =
        format!("token `{}` has expired on {}: nobody gets in with it", name.value, date(end));
    let help = "remove it, or add `revoked` to be told of its use";
    report.warning(Code::Over, name.span.clone(), message, help);
    true
}

/// Reports a file of records that is part of the configuration: they would be written into it.
pub(super) fn check_records(file: &mut Table<'_>, to: &AuditTo, files: &Files) {
    let AuditTo::File(path) = to else { return };
    let Some(at) = file.table("audit").string("file") else { return };
    let (message, help) = if files.has_read(path) {
        (
            "`file` is a file that the configuration is read from",
            "records would be written to its end; name another",
        )
    } else if files.would_include(path) {
        (
            "`file` is one that `include` stands for: from the first record on, the next reload \
             would read it, and fail",
            "name another, or another folder",
        )
    } else {
        return;
    };
    file.report().error(Code::Conflict, at.span, message.to_owned(), help);
}

/// Reports a file of approved tools that would be read as a part of the configuration.
pub(super) fn check_lock(file: &mut Table<'_>, lock: Option<&Path>, files: &Files) {
    if lock.is_some_and(|lock| files.would_include(lock))
        && let Some(at) = file.table("lock").string("file")
    {
        let message = "`file` is one that `include` stands for, and holds no TOML".to_owned();
        let help = "name another, or another folder";
        file.report().error(Code::Conflict, at.span, message, help);
    }
}

/// Warns of settings of issuers that give nothing to anybody.
pub(super) fn check_issuers(file: &mut Table<'_>, decides: &Decides, files: &Files) {
    if file.report().has_errors() {
        return;
    }
    let report = file.report();
    for (name, value) in file.entries("issuers") {
        let Some(spec) = decides.issuers.iter().find(|spec| *spec.issuer.name == *name.value)
        else {
            continue;
        };
        let mut table = file.within("issuers", &name, value);
        if let Some(at) = table.string("jwks_file") {
            check_keys(report, &at, files);
        }
        let mut warn = |key: &'static str, message: &str, help: &str| {
            let span = table.value(key).map_or_else(|| name.span.clone(), |value| value.span());
            report.warning(Code::Nothing, span, message.to_owned(), help);
        };
        let issuer = &spec.issuer;
        if spec.upstreams.as_ref().is_some_and(Vec::is_empty) {
            warn(
                "upstreams",
                "`upstreams` is empty: no token of this issuer is good for anything",
                "leave it out for all of them, or name some",
            );
        }
        match (issuer.roles_claim.is_some(), issuer.roles_map.is_empty()) {
            (true, true) => warn(
                "roles_claim",
                "`roles_claim` gives nothing without `roles_map`",
                "add roles_map = { \"group\" = \"role\" }",
            ),
            (false, false) => warn(
                "roles_map",
                "`roles_map` gives nothing without `roles_claim`",
                "add roles_claim = \"groups\"",
            ),
            _ => {}
        }
        for scope in table.strings("initial_scopes") {
            if !issuer.scopes.contains_key(scope.value)
                && !issuer.asked.values().any(|long| long == scope.value)
                // All that a client is registered for (Entra).
                && !scope.value.ends_with("/.default")
                && !["openid", "offline_access", "profile", "email"].contains(&scope.value)
            {
                let message =
                    format!("`{}` gives nothing: it is no row of `scopes`", visible(scope.value));
                let names: Vec<&String> = issuer.scopes.keys().collect();
                report.warning(
                    Code::Nothing,
                    scope.span,
                    message,
                    super::did_you_mean(scope.value, &names),
                );
            }
        }
    }
}

/// Warns of keys in a file whose end is near or over: by `exp`, which some providers write into
/// keys, or by the certificate that is with them (`x5c`, RFC 7517 4.7).
fn check_keys(report: &Report, at: &At<&str>, files: &Files) {
    const SOON: UnixSeconds = 14 * 86_400;
    let set = files.read(at.value).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let set: Value = set.unwrap_or_default();
    let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let end = |key: &Value| {
        let certificate = key.pointer("/x5c/0").and_then(Value::as_str);
        let certificate = certificate.and_then(|text| STANDARD.decode(text).ok());
        let dates = certificate.and_then(|certificate| tls::dates(&certificate));
        let said = key.get("exp").and_then(Value::as_i64);
        said.into_iter().chain(dates.map(|(_, end)| end)).min()
    };
    let ends: Vec<UnixSeconds> = keys.iter().filter_map(end).collect();
    let near = ends.iter().filter(|end| **end <= files.now() + SOON).count();
    if let Some(first) = ends.iter().min().filter(|_| near > 0) {
        let word = if *first <= files.now() { "was good" } else { "is good" };
        let message = format!(
            "{near} of {} keys in `jwks_file` will not last: the first {word} until {}",
            keys.len(),
            date(*first)
        );
        let help = "put the issuer's keys of now there, or write jwks_url";
        report.warning(Code::Certificate, at.span.clone(), message, help);
    }
}
