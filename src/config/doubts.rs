//! What is legal, and looks as if something else was meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use toml::de::{DeTable, DeValue};

use super::audit::AuditTo;
use super::code::Code;
use super::files::Files;
use super::policy::Decides;
use super::read::{At, Report, Table};
use super::tls;
use super::values::date;
use crate::core::harmless::visible;
use crate::core::principal::Digest;
use crate::core::token::{TokenSpec, UnixSeconds};

/// Keys whose texts may hold anything: patterns in another syntax, and words for people.
const FREE: [&str; 2] = ["message", "regex"];

/// Words that stand where a value was to be put in.
const STANDINS: [&str; 9] = [
    "changeme",
    "change_me",
    "change-me",
    "replaceme",
    "replace_me",
    "replace-me",
    "todo",
    "fixme",
    "xxx",
];

/// Warns of every text of a file that looks like a place for another.
pub(super) fn check_placeholders(report: &Report, table: &DeTable<'_>) {
    for (key, value) in table {
        if !FREE.contains(&key.get_ref().as_ref()) {
            check_value(report, key.get_ref(), value);
        }
    }
}

fn check_value(report: &Report, key: &str, value: &toml::Spanned<DeValue<'_>>) {
    match value.get_ref() {
        DeValue::Table(table) => check_placeholders(report, table),
        DeValue::Array(items) => items.iter().for_each(|item| check_value(report, key, item)),
        DeValue::String(text) => {
            if let Some(found) = placeholder(text) {
                let found = visible(found);
                let message = format!("`{key}` holds {found}, and nothing is put in its place");
                let help = "write it out; secrets come from files and variables, by the keys that end in _file and _env";
                report.warning(Code::Placeholder, value.span(), message, help);
            }
        }
        _ => {}
    }
}

/// The part of a text that looks like a place for another.
fn placeholder(text: &str) -> Option<&str> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ".contains(&b))
    };
    for (open, close) in [("${{", "}}"), ("${", "}"), ("{{", "}}"), ("<", ">"), ("%(", ")")] {
        for (at, _) in text.match_indices(open) {
            let inner = text.get(at + open.len()..).unwrap_or_default();
            // A default may stand behind the name: ${NAME:-x}.
            let name = inner.split(close).next().unwrap_or_default();
            let bare = name.split([':', '|', '(']).next().unwrap_or_default().trim();
            if name.len() < inner.len() && is_name(bare) {
                return text.get(at..at + open.len() + name.len() + close.len());
            }
        }
    }
    if let Some((at, _)) = text.match_indices('$').next() {
        let rest = text.get(at + 1..).unwrap_or_default();
        let is_part = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let name = rest.split(is_part).next().unwrap_or_default();
        if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') {
            return text.get(at..=at + name.len());
        }
    }
    let folded = text.to_ascii_lowercase();
    let is_standin = STANDINS.contains(&folded.as_str())
        || ["change_me", "changeme", "replace_me", "replace_with", "replace-with", "placeholder"]
            .iter()
            .any(|word| folded.contains(word));
    is_standin.then_some(text)
}

/// Warns of a pattern of names that cannot match what it seems to. `allows` says whether it is to
/// allow something.
pub(super) fn check_name_pattern(report: &Report, text: &At<&str>, allows: bool) {
    let (_, name) = text.value.split_once('/').unwrap_or_default();
    let glob = name.contains(['*', '?', '[', '{']);
    let warn = |message: String, help: String| {
        report.warning(Code::Unmatched, text.span.clone(), message, help);
    };
    if let Some(habit) = habit(name) {
        let meant = name.replace(".*", "*").replace(".+", "?*");
        let meant = meant.trim_start_matches('^').trim_end_matches('$');
        let help = if meant == name { String::new() } else { format!("; perhaps `{meant}`") };
        warn(
            format!("`{}` is a glob, and {habit} in it is taken as it stands", text.value),
            format!("* is any text, {{a,b}} one of several{help}"),
        );
    } else if text.value != text.value.trim() || name.contains([' ', '\t']) {
        warn(
            format!("`{}` holds blanks, and names of tools have none", visible(text.value)),
            String::new(),
        );
    } else if name.ends_with('/') {
        warn(
            format!("`{}` ends in \"/\", and names of tools do not", text.value),
            "remove it".to_owned(),
        );
    } else if !glob && name.contains(ODD) {
        warn(
            format!("`{}` names one tool, as it stands", visible(text.value)),
            "patterns are globs: * is any text, {a,b} one of several".to_owned(),
        );
    } else if glob
        && allows
        && let Some(odd) = odd(name)
    {
        warn(
            format!("`{}` matches nothing: no glob reaches a name with {odd:?}", text.value),
            "write the name out".to_owned(),
        );
    }
}

/// Characters that hardly any name of a tool has, and a pattern in another syntax has.
const ODD: [char; 11] = ['%', '$', '^', '(', '|', '+', '#', ';', ',', '<', '='];

/// What is written in a regular expression and means nothing in a glob.
fn habit(name: &str) -> Option<&'static str> {
    let habits = [
        (".*", "the \".\""),
        (".+", "\".+\""),
        ("\\w", "\"\\w\""),
        ("\\d", "\"\\d\""),
        ("\\s", "\"\\s\""),
        ("\\.", "\"\\.\""),
        ("(?", "\"(?\""),
        ("|", "\"|\""),
        (")", "\")\""),
    ];
    match name {
        name if name.starts_with('^') => Some("\"^\""),
        name if name.ends_with('$') => Some("\"$\""),
        name => habits.into_iter().find(|(mark, _)| name.contains(mark)).map(|(_, shown)| shown),
    }
}

/// A character outside classes that no name has which a glob may reach.
fn odd(name: &str) -> Option<char> {
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' => {
                chars.by_ref().take_while(|c| *c != ']').for_each(drop);
            }
            '\\' | '*' | '?' | '{' | '}' | ',' | '!' | '_' | '.' | '-' => {}
            c if c.is_ascii_alphanumeric() => {}
            c => return Some(c),
        }
    }
    None
}

/// Warns of a pattern of URIs that cannot match what it seems to.
pub(super) fn check_uri_pattern(report: &Report, text: &At<&str>) {
    let (upstream, uri) = text.value.split_once('/').unwrap_or_default();
    let warn = |message: String, help: String| {
        report.warning(Code::Unmatched, text.span.clone(), message, help);
    };
    let scheme = uri.split(':').next().unwrap_or_default();
    if uri == "*" {
        warn(
            format!("`{}` reaches no URI with \"//\" in it", text.value),
            format!("`{upstream}/**` is every URI, `{upstream}/docs://**` those of one scheme"),
        );
    } else if uri.contains(".*") && uri.ends_with(".*") && habit(uri).is_some()
        || uri.starts_with('^')
        || uri.ends_with('$')
    {
        let meant = uri.replace(".*", "**");
        let meant = meant.trim_start_matches('^').trim_end_matches('$');
        warn(
            format!("`{}` is a glob, and looks like a regular expression", text.value),
            format!("perhaps `{upstream}/{meant}`"),
        );
    } else if text.value != text.value.trim() || uri.contains([' ', '\t']) {
        warn(format!("`{}` holds blanks, and URIs have none", visible(text.value)), String::new());
    } else if uri.contains("://")
        && scheme.bytes().any(|b| b.is_ascii_uppercase())
        && uri.contains('*')
    {
        warn(
            format!(
                "`{}` reaches only URIs that are written in the same odd way: schemes are in lower case",
                text.value
            ),
            format!(
                "write `{upstream}/{}{}`",
                scheme.to_ascii_lowercase(),
                uri.get(scheme.len()..).unwrap_or_default()
            ),
        );
    }
}

/// Warns of a digest that no token of a caller has: that of nothing, which shells make where a
/// variable is not set.
pub(super) fn check_digest(report: &Report, digest: &At<Digest>) {
    if ["", "\n"].into_iter().any(|nothing| Digest::from(Sha256::digest(nothing)) == digest.value) {
        let message = "this is the digest of nothing: nobody gets in with it".to_owned();
        let help = "make one with: doorward token new";
        report.warning(Code::Placeholder, digest.span.clone(), message, help);
    }
}

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
    if let AuditTo::File(path) = to
        && files.has_read(path)
        && let Some(at) = file.table("audit").string("file")
    {
        let message = "`file` is a file that the configuration is read from".to_owned();
        let help = "records would be written to its end; name another";
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
