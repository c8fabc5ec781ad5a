//! Words that records can hold, so that a slip is told from an answer.

use std::collections::BTreeSet;
use std::path::Path;

use super::read::Row;
use crate::cli::talk::Complaint;
use crate::config::{self, Config};
use crate::core::harmless::visible;
use crate::core::outcome::Outcome;

/// How many names of records are kept, and how many are told.
const MAX_NAMES: usize = 1000;
const MAX_TOLD: usize = 100;

/// The fields of the records of requests. A test compares them with what a gateway writes.
pub(super) const FIELDS: [&str; 34] = [
    "args",
    "auth",
    "bytes_in",
    "bytes_out",
    "client_ip",
    "config",
    "count",
    "decision",
    "detail",
    "duration_ms",
    "enforced",
    "first",
    "instance",
    "issuer",
    "kind",
    "last",
    "method",
    "organization",
    "outcome",
    "place",
    "prev",
    "reason",
    "request_id",
    "roles",
    "rule",
    "seq",
    "status",
    "target",
    "time",
    "token",
    "tool",
    "upstream",
    "user",
    "v",
];

/// The reasons of requests. A test compares them with those that the code has.
pub(super) const REASONS: [&str; 51] = [
    "allowed",
    "argument",
    "audit_unavailable",
    "bad_audience",
    "bad_claim",
    "bad_head",
    "bad_issuer",
    "bad_signature",
    "bad_target",
    "body_broken",
    "body_timeout",
    "body_too_large",
    "buffers_full",
    "content_type",
    "deny_rule",
    "encoded",
    "expectation",
    "expired",
    "foreign_host",
    "foreign_origin",
    "head_too_large",
    "header_mismatch",
    "http_method",
    "insufficient_scope",
    "internal",
    "keys_unavailable",
    "malformed",
    "method",
    "missing",
    "missing_meta",
    "no_match",
    "no_role",
    "not_found",
    "not_locked",
    "not_yet_valid",
    "old_transport",
    "overloaded",
    "repeated",
    "revoked",
    "session",
    "task",
    "tasks_off",
    "tool_changed",
    "unknown",
    "unknown_key",
    "unreadable",
    "unsupported_version",
    "upstream_answer",
    "upstream_timeout",
    "upstream_unreachable",
    "version_picked",
];

pub(super) fn outcomes() -> [&'static str; Outcome::ALL.len()] {
    Outcome::ALL.map(Outcome::as_str)
}

/// Complains where a value is none of those that there are.
pub(super) fn check(what: &str, value: Option<&str>, known: &[&str]) -> Result<(), Complaint> {
    let Some(value) = value.filter(|value| !known.contains(value)) else { return Ok(()) };
    Err(none_of(what, value, known.iter().copied()))
}

fn none_of<'k>(what: &str, value: &str, known: impl Iterator<Item = &'k str>) -> Complaint {
    let known: Vec<&str> = known.collect();
    let close = |name: &&&str| strsim::damerau_levenshtein(name, value) <= 2;
    let meant = known.iter().find(close);
    let meant = meant.map_or_else(String::new, |name| format!("; did you mean {}?", visible(name)));
    let told = known.get(..MAX_TOLD).unwrap_or(&known);
    let more = match known.len() - told.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let told = visible(&told.join(", "));
    let value = visible(&value.chars().take(64).collect::<String>());
    Complaint(format!("no record can have the {what} `{value}`{meant}\nthere are: {told}{more}"))
}

/// Names of the configuration that records have shown.
#[derive(Default)]
pub(super) struct Names {
    upstreams: BTreeSet<String>,
    tokens: BTreeSet<String>,
}

impl Names {
    pub(super) fn note(&mut self, row: &Row) {
        for (names, field) in [(&mut self.upstreams, "upstream"), (&mut self.tokens, "token")] {
            if let Some(name) = row.text(field)
                && names.len() < MAX_NAMES
                && !names.contains(name)
            {
                names.insert(name.to_owned());
            }
        }
    }

    /// Complains about a name that neither records nor the configuration know. Where there is no
    /// configuration that could tell, nothing is said.
    pub(super) fn check(
        &self,
        path: &Path,
        upstream: Option<&str>,
        token: Option<&str>,
    ) -> Result<(), Complaint> {
        if upstream.is_none() && token.is_none() {
            return Ok(());
        }
        let Ok(config) = config::read(path, &[]).config else { return Ok(()) };
        let Config { settings, policy, .. } = &config;
        let upstreams = settings.upstreams.iter().map(|upstream| upstream.name.as_str());
        let tokens = policy.tokens().list().map(|listed| listed.name);
        let with = |own: &BTreeSet<String>, names: Vec<&str>| -> BTreeSet<String> {
            names.into_iter().map(str::to_owned).chain(own.iter().cloned()).collect()
        };
        for (what, value, known) in [
            ("upstream", upstream, with(&self.upstreams, upstreams.collect())),
            ("token", token, with(&self.tokens, tokens.collect())),
        ] {
            if let Some(value) = value.filter(|value| !known.contains(*value)) {
                return Err(none_of(what, value, known.iter().map(String::as_str)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words in quotes of one function.
    fn words(source: &str, function: &str) -> BTreeSet<String> {
        let from = source.split(function).nth(1).expect(function);
        let body = from.split("\n    }\n").next().unwrap();
        let quoted = body.split('"').skip(1).step_by(2);
        let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        quoted.filter(is_word).map(str::to_owned).collect()
    }

    #[test]
    fn every_reason_that_the_code_has_can_be_asked_for_and_no_other() {
        let mut all = words(include_str!("../../core/refusal.rs"), "pub fn row(");
        all.extend(words(include_str!("../../core/permission.rs"), "pub fn as_str("));
        all.extend(words(include_str!("../../core/token/failure.rs"), "pub fn as_str("));
        all.extend(["unreadable", "internal", "allowed"].map(str::to_owned));
        assert!(all.len() > 40, "{all:?}");
        let known: BTreeSet<String> = REASONS.map(str::to_owned).into();
        assert_eq!(all, known);
    }
}
