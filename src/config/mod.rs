//! From the text of `gateway.toml` to settings and a policy: parse, don't validate.
//!
//! Past [`load`] there are no strings to check again. Everything that is wrong with a file is
//! reported at once, each with its place. This module knows nothing of the gateway that will use
//! the result. It reads the clock once for each file, to tell what a trial lets pass today, and
//! whether a public token is over.

mod accept;
mod audit;
mod changes;
mod clash;
mod code;
mod conditions;
mod contradictions;
mod credential;
mod doubts;
mod error;
mod expect;
mod files;
mod identity;
mod issuers;
mod literals;
mod lock;
mod outside;
mod partial;
mod place;
mod placeholders;
mod policy;
mod providers;
mod read;
mod restrictions;
mod settings;
mod syntax;
mod texts;
mod tls;
mod upstreams;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use self::error::Source;
use self::files::Files;
use self::read::{Report, Table};
pub use audit::{AuditSpec, AuditTo, OnFailure};
pub use changes::{Changed, changed};
pub use code::Code;
pub use error::{Finding, Findings, Severity};
pub use files::{Interest, Sources, open_file, read_file, read_text_file, short};
pub use identity::Assertion;
pub use issuers::{IssuerKeys, IssuerSpec};
pub use lock::{
    Approved, BadLock, DEFAULT_FILE as DEFAULT_LOCK, parse as parse_lock, text as lock_text,
};
pub use outside::{Authority, default_port};
pub use partial::{Partial, PartialEntry, partial, with_revoked};
pub use read::did_you_mean;
pub use settings::{LogFormat, Settings, Shutdown, Widening};
pub use tls::Tls;
pub use upstreams::{Credential, Target, UpstreamSpec};
pub use values::Hidden;

use crate::core::access::Tools;
use crate::core::argument::Shadow;
use crate::core::permission::Role;
use crate::core::pin::Definition;
use crate::core::policy::Policy;
use crate::core::rule::Rule;

/// A configuration that is good in every part.
#[derive(Debug)]
pub struct Config {
    /// Where and how the process runs.
    pub settings: Settings,
    /// What decides.
    pub policy: Policy,
    /// Who may issue JWTs.
    pub issuers: Vec<IssuerSpec>,
    /// `(upstream, tool)` pairs that the file names literally, and those that are approved; the only
    /// tool names that a metric shows before an upstream has listed them.
    pub named_tools: BTreeSet<(String, String)>,
    /// The file of approved tools, where there is one.
    pub lock_file: Option<PathBuf>,
    /// The roles, by their names.
    pub roles: BTreeMap<String, Arc<Role>>,
    /// Rules that are only tried out.
    pub shadows: Vec<(Rule, Shadow)>,
    /// What is legal and perhaps not meant.
    pub warnings: Findings,
    /// The places of keys by their names, as far as they are written: those that a machine may
    /// refuse.
    pub places: BTreeMap<&'static str, Range<usize>>,
    /// The path it was read from.
    pub path: PathBuf,
    /// The files that hold tokens: this one, and those that it includes.
    pub files: Vec<PathBuf>,
}

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Reading {
    /// The configuration, or everything that is wrong with it.
    pub config: Result<Config, Findings>,
    /// The files that were read; a change in one of them may change what comes of it.
    pub sources: Sources,
}

/// What a reading goes by besides the files.
#[derive(Clone, Copy, Debug, Default)]
struct Outside<'o> {
    /// Addresses that the process listens on, whatever the file says now.
    bound: &'o [SocketAddr],
    /// Whether the file of approved tools is left unread.
    unlocked: bool,
    /// The tools that upstreams have.
    tools: Option<&'o Approved>,
}

/// Reads and checks the file at `path` and everything that it names, for a process that already
/// listens on the addresses `bound`, whatever the file says now.
#[must_use]
pub fn read(path: &Path, bound: &[SocketAddr]) -> Reading {
    let files = Files::new(folder(path));
    let config = read_with(path, &files, Outside { bound, ..Outside::default() });
    Reading { config, sources: files.into_sources() }
}

fn read_with(path: &Path, files: &Files, outside: Outside<'_>) -> Result<Config, Findings> {
    match files.source_text(path) {
        Ok(text) => parse_with(path, text, files, outside),
        Err(reason) => Err(Findings::unreadable(&files::shown(path), &reason)),
    }
}

/// The configuration at `path` as it would be if its file `edited` held `text`.
///
/// # Errors
/// [`Findings`] with every fault.
pub fn check_edit(path: &Path, edited: &Path, text: &str) -> Result<Config, Findings> {
    let files = Files::new(folder(path)).instead(edited, text);
    read_with(path, &files, Outside::default())
}

/// The configuration at `path` without its file of approved tools, for those who write that.
///
/// # Errors
/// [`Findings`] with every fault.
pub fn load_unlocked(path: &Path) -> Result<Config, Findings> {
    let outside = Outside { unlocked: true, ..Outside::default() };
    read_with(path, &Files::new(folder(path)), outside)
}

/// The configuration at `path`, with a word about grants of something that is not one of `tools`.
///
/// # Errors
/// [`Findings`] with every fault.
pub fn load_knowing(path: &Path, tools: &Approved) -> Result<Config, Findings> {
    let outside = Outside { tools: Some(tools), ..Outside::default() };
    read_with(path, &Files::new(folder(path)), outside)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// The configuration in the file at `path`.
///
/// # Errors
/// [`Findings`] with every fault, or with the reason why it cannot be read.
pub fn load(path: &Path) -> Result<Config, Findings> {
    read(path, &[]).config
}

/// Checks `text` as if it had been read from `path`; relative paths in it start at the folder of
/// `path`.
///
/// # Errors
/// [`Findings`] with every fault of the text.
pub fn parse(path: &Path, text: &str) -> Result<Config, Findings> {
    let files = Files::new(folder(path));
    parse_with(path, text.to_owned(), &files, Outside::default())
}

fn parse_with(
    path: &Path,
    text: String,
    files: &Files,
    outside: Outside<'_>,
) -> Result<Config, Findings> {
    let main = Source { path: path.display().to_string(), text };
    let report = Report::on(0, &main);
    let Some(root) = syntax::parse(&main.text, &report) else {
        let findings = report.into_findings();
        return Err(Findings::new(vec![main], findings));
    };
    let mut file = Table::root(root.get_ref(), &report);
    let included = syntax::included(path, &mut file, files);
    let reports: Vec<Report> =
        included.iter().zip(1..).map(|(source, file)| Report::on(file, source)).collect();
    let parsed: Vec<_> = included
        .iter()
        .zip(&reports)
        .filter_map(|(source, report)| Some((syntax::parse(&source.text, report)?, report)))
        .collect();
    let is_partial = report.has_errors() || parsed.len() < included.len();
    let tables: Vec<_> =
        parsed.iter().map(|(root, report)| Table::root(root.get_ref(), report)).collect();
    let parts = parts(file, tables, files, outside, is_partial);
    texts::check(&report, root.get_ref());
    for (root, report) in &parsed {
        texts::check(report, root.get_ref());
    }

    let roots: Vec<_> = std::iter::once((0, root.get_ref()))
        .chain(parsed.iter().map(|(root, report)| (report.file(), root.get_ref())))
        .collect();
    let places = places(root.get_ref());
    let mut findings = report.findings();
    findings.extend(reports.iter().flat_map(Report::findings));
    let divided = accept::divide(findings, parts.accepted, &roots);
    drop(parsed);
    drop(root);
    let sources: Vec<Source> = std::iter::once(main).chain(included).collect();
    let holding = sources.iter().map(|source| PathBuf::from(&source.path)).collect();
    let findings =
        Findings::new(sources, divided.others).accepting(divided.accepted, divided.known);
    if findings.has_errors() {
        return Err(findings);
    }
    let Parts { settings, decides, lock_file, .. } = parts;
    Ok(Config {
        settings,
        policy: decides.policy,
        issuers: decides.issuers,
        named_tools: decides.named_tools,
        lock_file,
        roles: decides.roles,
        shadows: decides.shadows,
        warnings: findings,
        places,
        path: path.to_owned(),
        files: holding,
    })
}

/// What the tables of all files say.
struct Parts {
    settings: Settings,
    decides: policy::Decides,
    accepted: Vec<accept::Accepted>,
    lock_file: Option<PathBuf>,
}

/// Reads every table; `tables` are the included files, of which all are there unless the whole
/// `is_partial`.
fn parts<'t>(
    mut file: Table<'t>,
    mut tables: Vec<Table<'t>>,
    files: &Files,
    outside: Outside<'_>,
    is_partial: bool,
) -> Parts {
    let accepted = accept::read(&mut file);
    let settings = settings::read(&mut file, files);
    let exposed = settings.exposure(outside.bound);
    let locked = lock::read(&mut file, &settings, files, outside.unlocked);
    let now = files.now();
    let told = outside.tools.map(names);
    let given = policy::Given {
        settings: &settings,
        exposed: exposed.as_deref(),
        now,
        files,
        pins: &locked.pins,
        known: told.as_ref().or(locked.tools.as_ref()),
        told: outside.tools,
        is_partial,
    };
    let mut decides = policy::read(&mut file, &mut tables, &given);
    decides.named_tools.extend(locked.tools.unwrap_or_default());
    expect::read(&mut file, &decides, now, is_partial);
    doubts::check_issuers(&mut file, &decides, files);
    issuers::idle::check(&mut file, &decides.issuers);
    doubts::check_records(&mut file, &settings.audit.to, files);
    doubts::check_lock(&mut file, locked.file.as_deref(), files);
    file.finish();
    tables.into_iter().for_each(Table::finish);
    Parts { settings, decides, accepted, lock_file: locked.file }
}

/// The names of tools, with those of their upstreams.
fn names(told: &Approved) -> Tools {
    let of = |(upstream, tools): (&String, &BTreeMap<String, Definition>)| {
        tools.keys().map(|tool| (upstream.clone(), tool.clone())).collect::<Vec<_>>()
    };
    told.iter().flat_map(of).collect()
}

/// Where the keys stand whose values a machine may refuse.
fn places(root: &DeTable<'_>) -> BTreeMap<&'static str, Range<usize>> {
    let keys = ["server.listen", "admin.listen", "audit.file"];
    let place =
        |key: &'static str| Some((key, place::span_of(root, &key.split('.').collect::<Vec<_>>())?));
    keys.into_iter().filter_map(place).collect()
}

#[cfg(test)]
mod causes_tests;
#[cfg(test)]
mod doubts_tests;
#[cfg(test)]
mod huge_tests;
#[cfg(test)]
mod idle_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod providers_tests;
#[cfg(test)]
mod ranges_tests;
#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod secrets_tests;
#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod tests;
