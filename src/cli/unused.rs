//! `doorward unused`: what was granted and is not needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::audit::files;
use super::audit::read::{Lines, Row};
use super::audit::when::Moment;
use super::talk::{Complaint, Done, loaded, many, now, say, say_json, tell};
use super::{ConfigFile, EXIT_NO, status};
use crate::config::Config;
use crate::core::harmless::visible;
use crate::core::pasted;
use crate::core::pattern::Pattern;

/// `(upstream, tool)`.
type Tools = BTreeSet<(String, String)>;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward unused --since 30d audit.jsonl\n\
    \x20 doorward unused --since 2026-11-01 audit.jsonl --json";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Unused {
    /// Files with records, the oldest first, or -; the configuration's where none is named
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What was not used since then: 30d, 2027-06-30
    #[arg(long, value_name = "MOMENT", default_value = "30d")]
    since: Moment,
    /// By what the running gateway has seen since its start, and not by records
    #[arg(long, conflicts_with = "files")]
    running: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the holders of roles and tokens have called.
#[derive(Default)]
struct Used {
    by_role: BTreeMap<String, Tools>,
    by_token: BTreeMap<String, Tools>,
    /// The first record, to know how far they go back.
    first: Option<jiff::Timestamp>,
    records: usize,
}

/// A list of tools in the configuration of which not all is used.
struct Spare {
    name: String,
    place: String,
    unused: Vec<String>,
    /// What would be enough.
    narrowed: Vec<String>,
}

impl Unused {
    pub(super) fn run(self) -> Done {
        let config = loaded(&self.config.config)?;
        let used = if self.running { self.seen()? } else { self.recorded()? };
        let idle = idle(&config, &used);
        let spare = spare(&config, &used);
        if self.json {
            let lists: Vec<Value> = spare.iter().map(Spare::json).collect();
            let told = json!({"records": used.records, "since": self.since.0, "tokens": idle, "grants": lists});
            say_json(&told)?;
        } else {
            say(&text(&idle, &spare))?;
            self.warn(&used);
        }
        let is_tight = idle.is_empty() && spare.is_empty();
        Ok(if is_tight { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
    }

    fn recorded(&self) -> Result<Used, Complaint> {
        let mut used = Used::default();
        for file in files(&self.files, &self.config, "unused")? {
            let mut lines = Lines::open(&file, false)?;
            while let Some(line) = lines.next()? {
                if let Some(row) = Row::parse(&line) {
                    used.note(&row, self.since.0);
                }
            }
        }
        Ok(used)
    }

    /// What the gateway remembers looks like records.
    fn seen(&self) -> Result<Used, Complaint> {
        let answer = status::get(&self.config, "/used")?;
        let mut used = Used::default();
        let rows = answer.get("used").and_then(Value::as_array).into_iter().flatten();
        for row in rows.filter_map(|row| Row::parse(&row.to_string())) {
            used.note(&row, self.since.0);
        }
        let start = answer.get("since").and_then(Value::as_str);
        used.first = start.and_then(|start| start.parse().ok());
        Ok(used)
    }

    /// Records that do not go back far enough prove nothing about the time before.
    fn warn(&self, used: &Used) {
        let what = if self.running { "use" } else { "record" };
        let records = many(used.records, what);
        match used.first {
            None => tell(&format!("there are no records since {:.0}", self.since.0)),
            Some(first) if first > self.since.0 => {
                tell(&format!("{records}, which begin only at {first:.0}"));
            }
            Some(_) => tell(&format!("{records} since {:.0}", self.since.0)),
        }
    }
}

impl Used {
    fn note(&mut self, row: &Row, since: jiff::Timestamp) {
        let Some(at) = row.moment().filter(|_| row.text("kind") == Some("request")) else {
            return;
        };
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        if at < since {
            return;
        }
        self.records += 1;
        // What was refused needs no grant; what only passed because a rule is tried out may.
        if row.is_denied() && row.get("enforced") != Some(&Value::Bool(false)) {
            return;
        }
        let token = row.text("token").map(str::to_owned);
        let tool = row.text("upstream").zip(row.text("tool"));
        let tool = tool.map(|(upstream, tool)| (upstream.to_owned(), tool.to_owned()));
        if let Some(token) = token {
            self.by_token.entry(token).or_default().extend(tool.clone());
        }
        let roles = row.get("roles").and_then(Value::as_array).into_iter().flatten();
        for role in roles.filter_map(Value::as_str) {
            self.by_role.entry(role.to_owned()).or_default().extend(tool.clone());
        }
    }
}

/// Valid tokens that nobody has used.
fn idle(config: &Config, used: &Used) -> Vec<String> {
    let tokens = config.policy.tokens().list();
    let tokens = tokens.filter(|listed| listed.failure(now()).is_none());
    let tokens = tokens.filter(|listed| !used.by_token.contains_key(listed.name));
    let mut idle: Vec<String> = tokens.map(|listed| listed.name.to_owned()).collect();
    idle.sort();
    idle
}

/// Lists of tools of which something is not used.
fn spare(config: &Config, used: &Used) -> Vec<Spare> {
    let none = Tools::new();
    let upstreams = &config.settings.upstreams;
    let upstreams: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    let roles = config.roles.values();
    let roles = roles.map(|role| (&role.allow.tools, used.by_role.get(&role.name)));
    let tokens: BTreeMap<_, _> =
        config.policy.tokens().list().map(|listed| (listed.name, listed)).collect();
    let tokens = tokens.values();
    let direct = tokens
        .map(|listed| (&listed.principal.grants().direct.tools, used.by_token.get(listed.name)));
    let lists = roles.chain(direct).map(|(patterns, used)| (patterns, used.unwrap_or(&none)));
    lists.filter_map(|(patterns, used)| Spare::of(patterns, used, &upstreams)).collect()
}

impl Spare {
    fn of(patterns: &[Pattern], used: &Tools, upstreams: &[&str]) -> Option<Self> {
        let rule = patterns.first()?.rule()?;
        let covered = |pattern: &Pattern| {
            used.iter()
                .filter(|(upstream, tool)| pattern.covers(upstream, tool))
                .collect::<Vec<_>>()
        };
        let mut unused = Vec::new();
        let mut narrowed = BTreeSet::new();
        for pattern in patterns {
            let called = covered(pattern);
            if called.is_empty() {
                unused.push(pattern.as_str().to_owned());
            } else if pattern.literal_name().is_none() {
                unused.push(format!("{} beyond what is below", pattern.as_str()));
            }
            // What a caller has made up, and only passed because a rule is tried out, must not be
            // pasted into a grant.
            let held = called.into_iter().filter(|(upstream, tool)| {
                upstreams.contains(&upstream.as_str()) && pattern.reaches(upstream, tool)
            });
            narrowed.extend(held.map(|(upstream, tool)| format!("{upstream}/{tool}")));
        }
        let (name, place) = (rule.name().to_owned(), rule.place().to_owned());
        let narrowed = narrowed.into_iter().collect();
        (!unused.is_empty()).then_some(Self { name, place, unused, narrowed })
    }

    fn json(&self) -> Value {
        json!({"rule": self.name, "place": self.place, "unused": self.unused, "narrowed": self.narrowed})
    }
}

fn text(idle: &[String], spare: &[Spare]) -> String {
    let mut out = String::new();
    for list in spare {
        out += &visible(&format!("{} ({})", list.name, list.place));
        out += &format!("\n  not used: {}\n", visible(&list.unused.join(", ")));
        out += &format!("  enough:   tools = {}\n", pasted::strings(&list.narrowed));
    }
    if !idle.is_empty() {
        out += &format!("tokens that nobody has used: {}\n", visible(&idle.join(", ")));
    }
    if out.is_empty() { "every grant was used\n".to_owned() } else { out }
}
