//! `[check] accept`: warnings that somebody has looked at and means.

use std::ops::Range;

use toml::de::DeTable;

use super::code::Code;
use super::error::{Finding, Severity};
use super::literals;
use super::place;
use super::read::{Report, Table, did_you_mean};

/// One warning that is known: everywhere, or at and below a key.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    code: Code,
    /// The keys that lead there, joined by dots; everywhere where absent.
    at: Option<String>,
    span: Range<usize>,
    /// How many findings it has met.
    met: usize,
}

impl Accepted {
    /// True where this finding, at this key, is meant.
    pub(super) fn covers(&self, finding: &Finding, path: &str) -> bool {
        let is_there = |at: &String| {
            path.strip_prefix(at.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        finding.severity == Severity::Warning
            && finding.code == self.code
            && self.at.as_ref().is_none_or(is_there)
    }

    /// Counts a finding that it has met.
    pub(super) fn meet(&mut self) {
        self.met += 1;
    }

    /// The word about one that has met nothing, though its warning does not come and go by itself.
    pub(super) fn idle(&self) -> Option<Finding> {
        if self.met > 0 || self.code.comes_and_goes() {
            return None;
        }
        let at = self.at.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
        Some(Finding {
            severity: Severity::Warning,
            code: Code::NotAccepted,
            file: 0,
            span: self.span.clone(),
            message: format!("there is no warning {}{at} to accept", self.code.as_str()),
            help: "remove it".to_owned(),
        })
    }
}

/// Findings, without those that are accepted.
pub(super) struct Divided {
    pub(super) others: Vec<Finding>,
    pub(super) accepted: Vec<Accepted>,
    /// The codes of what was accepted.
    pub(super) known: Vec<Code>,
}

/// Takes out the findings that are accepted; `roots` are the files by their numbers.
pub(super) fn divide(
    findings: Vec<Finding>,
    mut accepted: Vec<Accepted>,
    roots: &[(usize, &DeTable<'_>)],
) -> Divided {
    let (mut others, mut known) = (Vec::new(), Vec::new());
    for finding in findings {
        let root = roots.iter().find(|(file, _)| *file == finding.file);
        let path = match root.filter(|_| !accepted.is_empty()) {
            Some((_, root)) => place::path_at(root, finding.span.start),
            None => String::new(),
        };
        let mut is_known = false;
        for one in accepted.iter_mut().filter(|one| one.covers(&finding, &path)) {
            one.meet();
            is_known = true;
        }
        match is_known {
            true => known.push(finding.code),
            false => others.push(finding),
        }
    }
    Divided { others, accepted, known }
}

/// Reads `[check]`.
pub(super) fn read(file: &mut Table<'_>) -> Vec<Accepted> {
    let mut table = file.table("check");
    let mut all = Vec::new();
    for text in table.strings("accept") {
        let (name, at) = match text.value.trim().split_once(char::is_whitespace) {
            Some((name, at)) => (name, Some(at.trim().to_owned())),
            None => (text.value.trim(), None),
        };
        match Code::find(name) {
            Some(code) if code.is_warning() => {
                // Keys are no patterns, though there are some that are named by one.
                if at.as_deref().is_some_and(|at| at.split('.').any(|key| key == "*")) {
                    literals::check_literal(table.report(), "place", &text);
                }
                all.push(Accepted { code, at, span: text.span, met: 0 });
            }
            found => report(table.report(), text.span, name, found),
        }
    }
    table.finish();
    all
}

fn report(report: &Report, span: Range<usize>, name: &str, found: Option<Code>) {
    let (message, help) = match found {
        Some(code) => {
            let title = code.title();
            let message =
                format!("{} ({title}) is an error, and cannot be accepted", code.as_str());
            (message, "mend what it is about".to_owned())
        }
        None => {
            let codes: Vec<&str> =
                Code::ALL.iter().filter(|c| c.is_warning()).map(|c| c.as_str()).collect();
            let help = did_you_mean(&name.to_ascii_uppercase(), &codes);
            let help = format!("{help}write a code like \"DW0102\", or \"DW0106 tokens.ci\"");
            (format!("there is no code `{name}`"), help)
        }
    };
    report.error(Code::BadValue, span, format!("`accept`: {message}"), help);
}
