//! What is wrong with a configuration, and how it is shown.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::accept::Accepted;
use super::code::Code;
use crate::core::harmless::visible;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The file must not be used.
    Error,
    /// Legal, and perhaps not meant.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// What kind of fault.
    pub code: Code,
    /// The file that it is about: 0 for the configuration itself, then what it includes.
    pub file: usize,
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// How to mend it; may be empty.
    pub help: String,
}

impl Finding {
    /// Escapes what it quotes, wherever it is from.
    fn show(&mut self) {
        self.message = visible(&self.message);
        self.help = visible(&self.help);
    }
}

/// One file that was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// All findings about a configuration.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The configuration itself, then what it includes.
    sources: Vec<Source>,
    findings: Vec<Finding>,
    /// Warnings that the configuration accepts.
    accepted: Vec<Accepted>,
    /// Those of them that there would be, in the order of their codes.
    known: Vec<Code>,
}

impl Findings {
    /// Puts the findings in the order of the files.
    pub(super) fn new(mut sources: Vec<Source>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| (finding.file, finding.span.start));
        // A key that is asked for twice is told once.
        findings.dedup_by(|one, other| {
            (one.code, one.file, &one.span, &one.message)
                == (other.code, other.file, &other.span, &other.message)
        });
        findings.iter_mut().for_each(Finding::show);
        sources.iter_mut().for_each(|source| source.path = visible(&source.path));
        if findings.is_empty() {
            // The texts of files with tokens are of no more use, and may be long.
            sources.iter_mut().skip(1).for_each(|source| source.text.clear());
        }
        Self { sources, findings, ..Self::default() }
    }

    /// The same of a configuration that accepts these warnings, and these there would be.
    pub(super) fn accepting(self, accepted: Vec<Accepted>, known: Vec<Code>) -> Self {
        Self { accepted, known, ..self }
    }

    /// The codes of the warnings that the configuration accepts, each once, with how many there
    /// would be.
    #[must_use]
    pub fn known(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.known.iter().for_each(|code| *counts.entry(code.as_str()).or_default() += 1);
        counts
    }

    /// Warns of what the configuration accepts and there is not, once all findings are known.
    pub fn tell_idle(&mut self) {
        self.findings.extend(self.accepted.iter().filter_map(Accepted::idle));
        self.findings.sort_by_key(|finding| (finding.file, finding.span.start));
    }

    pub(super) fn unreadable(path: &str, reason: &str) -> Self {
        let finding = Finding {
            severity: Severity::Error,
            code: Code::Unreadable,
            file: 0,
            span: 0..0,
            message: format!("cannot read the configuration: {reason}"),
            help: "name another file with --config".to_owned(),
        };
        let source = Source { path: path.to_owned(), text: String::new() };
        Self::new(vec![source], vec![finding])
    }

    /// The findings in the order of the file.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether one of the findings is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }

    /// The findings without those that are advice only; see [`Code::is_advice`].
    #[must_use]
    pub fn without_advice(&self) -> Self {
        let mut other = self.clone();
        other.findings.retain(|finding| !finding.code.is_advice());
        other
    }

    /// Adds a finding about the configuration as a whole, unless it is accepted.
    pub fn add(&mut self, severity: Severity, code: Code, message: String, help: String) {
        self.add_at(0..0, severity, code, message, help);
    }

    /// Adds a finding about this place of the configuration, unless it is accepted.
    pub fn add_at(
        &mut self,
        span: Range<usize>,
        severity: Severity,
        code: Code,
        message: String,
        help: String,
    ) {
        let mut finding = Finding { severity, code, file: 0, span, message, help };
        finding.show();
        match self.accepted.iter_mut().find(|one| one.covers(&finding, "")) {
            Some(one) => {
                one.meet();
                self.known.push(code);
            }
            None => self.findings.push(finding),
        }
    }

    /// How many errors and warnings there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let count = |severity| self.findings.iter().filter(|f| f.severity == severity).count();
        (count(Severity::Error), count(Severity::Warning))
    }

    /// The findings for scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let finding = |finding: &Finding| {
            let (line, column) = self.position(finding);
            json!({
                "severity": finding.severity.as_str(),
                "code": finding.code.as_str(),
                "file": self.source(finding.file).0,
                "line": line,
                "column": column,
                "message": finding.message,
                "help": finding.help,
            })
        };
        let (errors, warnings) = self.counts();
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        let mut told = json!({"errors": errors, "warnings": warnings, "findings": findings});
        if let Some(told) = told.as_object_mut().filter(|_| !self.known.is_empty()) {
            told.insert("accepted".to_owned(), json!(self.known()));
        }
        told
    }

    /// The findings as commands that GitHub Actions shows beside the lines of a change.
    #[must_use]
    pub fn github(&self) -> String {
        let escaped =
            |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
        let line = |finding: &Finding| {
            let (line, column) = self.position(finding);
            let file = property(self.source(finding.file).0);
            let gap = if finding.help.is_empty() { "" } else { "; " };
            let text = escaped(&format!("{}{gap}{}", finding.message, finding.help));
            let (severity, code) = (finding.severity.as_str(), finding.code.as_str());
            format!("::{severity} file={file},line={line},col={column},title={code}::{text}\n")
        };
        self.findings.iter().map(line).collect()
    }

    /// The findings with the lines that they are about, for a person. `colours` is for terminals.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let shown = self.findings.iter().map(|f| renderer.render(&self.report(f)));
        let mut out: String = shown.map(|text| text + "\n").collect();
        let (errors, warnings) = self.counts();
        let path = self.sources.first().map_or("", |source| &source.path);
        let many = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        out += &format!("{path}: {}, {}\n", many(errors, "error"), many(warnings, "warning"));
        out
    }

    fn report<'a>(&'a self, finding: &'a Finding) -> Vec<Group<'a>> {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (path, text) = self.source(finding.file);
        let end = finding.span.end.min(text.len());
        let span = finding.span.start.min(end)..end;
        let snippet = Snippet::source(text)
            .path(path)
            .annotation(AnnotationKind::Primary.span(span).label(&finding.help));
        let title = level.primary_title(&finding.message).id(finding.code.as_str());
        vec![title.element(snippet)]
    }

    /// Path and text of a file.
    fn source(&self, file: usize) -> (&str, &str) {
        self.sources.get(file).map_or(("", ""), |source| (&source.path, &source.text))
    }

    /// Line and column, both from 1, of where a finding begins.
    #[must_use]
    pub fn position(&self, finding: &Finding) -> (usize, usize) {
        let (_, text) = self.source(finding.file);
        let before = text.get(..finding.span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

/// One line a finding: `file:line:column: what; how to fix it`.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.findings.iter().enumerate() {
            let (line, column) = self.position(finding);
            let (path, _) = self.source(finding.file);
            let gap = if i == 0 { "" } else { "\n" };
            write!(f, "{gap}{path}:{line}:{column}: {}", finding.message)?;
            if !finding.help.is_empty() {
                write!(f, "; {}", finding.help)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
