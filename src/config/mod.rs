//! From the text of `gateway.toml` to settings and a policy: parse, don't validate.
//!
//! Past [`load`] there are no strings to check again. Everything that is wrong with a file is
//! reported at once, each with its place. This module knows nothing of the gateway that will use
//! the result, and it never reads a clock.

mod error;
mod policy;
mod read;
mod settings;
mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use error::{Finding, Findings, Severity};
pub use settings::{AuditTo, LogFormat, Settings, Shutdown, Target, Tls, UpstreamSpec};

use crate::core::policy::Policy;

/// A file that is good in every part.
#[derive(Debug)]
pub struct Config {
    /// Where and how the process runs.
    pub settings: Settings,
    /// What decides.
    pub policy: Policy,
    /// `(upstream, tool)` pairs that the file names literally; the only tool names that a metric
    /// shows before an upstream has listed them.
    pub named_tools: BTreeSet<(String, String)>,
    /// What is legal and perhaps not meant.
    pub warnings: Findings,
    /// The path it was read from.
    pub path: PathBuf,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// [`Findings`] with every fault of the file, or with the reason why it cannot be read.
pub fn load(path: &Path) -> Result<Config, Findings> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|e| Findings::unreadable(&name, &e.to_string()))?;
    parse(path, &text)
}

/// Checks `text` as if it had been read from `path`; relative paths in it start at the folder of
/// `path`.
///
/// # Errors
/// [`Findings`] with every fault of the text.
pub fn parse(path: &Path, text: &str) -> Result<Config, Findings> {
    let name = path.display().to_string();
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let report = read::Report::default();
    let (root, syntax) = toml::de::DeTable::parse_recoverable(text);
    for error in &syntax {
        report.error(error.span().unwrap_or(0..0), error.message().to_owned(), "");
    }
    if !syntax.is_empty() {
        return Err(Findings::new(&name, text, report.into_findings()));
    }
    let mut file = read::Table::root(root.get_ref(), &report);
    let settings = settings::read(&mut file, base);
    let (policy, named_tools) = policy::read(&mut file, &settings);
    file.finish();
    let mut findings = report.into_findings();
    findings.sort_by_key(|finding| finding.span.start);
    let findings = Findings::new(&name, text, findings);
    if findings.has_errors() {
        return Err(findings);
    }
    Ok(Config { settings, policy, named_tools, warnings: findings, path: path.to_owned() })
}

#[cfg(test)]
mod tests;
