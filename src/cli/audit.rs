//! `doorward audit`: reads records.

pub(super) mod read;
pub(super) mod when;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::read::{Lines, Row};
use self::when::Moment;
use super::table::columns;
use super::talk::{Complaint, Done, loaded, many, say, say_record, tell};
use super::{ConfigFile, EXIT_NO};
use crate::config::AuditTo;
use crate::core::chain::Verifier;
use crate::core::harmless::visible;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward audit --since yesterday --tool tickets/create_ticket\n\
    \x20 doorward audit --since 30d --group reason\n\
    \x20 doorward audit --denied --json audit.jsonl\n\
    \x20 doorward audit --verify audit.jsonl";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Audit {
    /// Files with records, the oldest first, or - for standard input; the configuration's where
    /// none is named
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// From then on: 30d, yesterday, today, 2027-06-30, 2027-06-30T12:00:00Z
    #[arg(long, value_name = "MOMENT")]
    since: Option<Moment>,
    /// Before then
    #[arg(long, value_name = "MOMENT")]
    until: Option<Moment>,
    /// Of this user
    #[arg(long)]
    user: Option<String>,
    /// With this entry of the token table
    #[arg(long)]
    token: Option<String>,
    /// To this upstream
    #[arg(long)]
    upstream: Option<String>,
    /// Of this tool, like tickets/create_ticket or create_ticket
    #[arg(long)]
    tool: Option<String>,
    /// That ended like this: ok, denied, tool_error, unauthenticated, …
    #[arg(long)]
    outcome: Option<String>,
    /// With this reason: no_match, argument, revoked, …
    #[arg(long)]
    reason: Option<String>,
    /// Only what was refused, or would have been
    #[arg(long)]
    denied: bool,
    /// How often each value of this field occurs
    #[arg(long, value_name = "FIELD")]
    group: Option<String>,
    /// The records as they are, one a line
    #[arg(long)]
    json: bool,
    /// Go on with what is written from now on
    #[arg(long, short, conflicts_with_all = ["group", "verify"])]
    follow: bool,
    /// Follow the chain of each process: nothing changed, nothing missing? (exit 1 if not)
    #[arg(long, conflicts_with_all = ["group", "json"])]
    verify: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Audit {
    pub(super) fn run(self) -> Done {
        let files = files(&self.files, &self.config)?;
        if self.verify {
            return verify(&files);
        }
        let mut shown = Vec::new();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut denied = 0;
        for file in &files {
            let mut lines = Lines::open(file, self.follow)?;
            while let Some(line) = lines.next()? {
                let Some(row) = Row::parse(&line).filter(|row| self.wants(row)) else {
                    continue;
                };
                denied += usize::from(row.is_denied());
                match &self.group {
                    Some(field) => Group::count(&mut groups, &row, field),
                    None if self.json => say_record(&line)?,
                    // Somebody watches, and the width of a column cannot be known.
                    None if self.follow => say(&(row.cells().join("  ") + "\n"))?,
                    None => shown.push(row.cells()),
                }
            }
        }
        if self.group.is_some() {
            say(&Group::table(&groups))?;
        } else if !self.json {
            let count = shown.len();
            let head = Row::HEAD.map(str::to_owned).to_vec();
            let lines: Vec<Vec<String>> = std::iter::once(head).chain(shown).collect();
            say(&columns(&lines))?;
            tell(&format!("{}, {denied} denied", many(count, "record")));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn wants(&self, row: &Row) -> bool {
        let is = |wanted: &Option<String>, field| {
            wanted.as_deref().is_none_or(|wanted| row.text(field) == Some(wanted))
        };
        let tool = |wanted: &str| match wanted.split_once('/') {
            Some((upstream, tool)) => {
                row.text("upstream") == Some(upstream) && row.text("tool") == Some(tool)
            }
            None => row.text("tool") == Some(wanted),
        };
        let at = row.moment();
        row.text("kind") == Some("request")
            && is(&self.user, "user")
            && is(&self.token, "token")
            && is(&self.upstream, "upstream")
            && is(&self.outcome, "outcome")
            && is(&self.reason, "reason")
            && self.tool.as_deref().is_none_or(tool)
            && (!self.denied || row.is_denied())
            && self.since.as_ref().is_none_or(|since| at.is_some_and(|at| at >= since.0))
            && self.until.as_ref().is_none_or(|until| at.is_some_and(|at| at < until.0))
    }
}

/// The files to read.
pub(super) fn files(named: &[PathBuf], config: &ConfigFile) -> Result<Vec<PathBuf>, Complaint> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    match loaded(&config.config)?.settings.audit.to {
        AuditTo::File(path) => Ok(vec![path]),
        AuditTo::Stdout | AuditTo::Off => Err(format!(
            "{} writes no audit file; name one, or pipe records into: doorward audit -",
            config.config.display()
        )
        .into()),
    }
}

fn verify(files: &[PathBuf]) -> Done {
    let mut verifier = Verifier::default();
    let (mut count, mut faults) = (0, 0);
    for file in files {
        let mut lines = Lines::open(file, false)?;
        for number in 1.. {
            let Some(line) = lines.next()? else { break };
            count += 1;
            if let Err(fault) = verifier.line(&line) {
                faults += 1;
                let place = visible(&file.display().to_string());
                say(&format!("{place}:{number}: {}\n", visible(&fault)))?;
            }
        }
    }
    for (name, link) in verifier.instances() {
        let end = if link.is_stopped {
            "stopped"
        } else {
            "no end: it runs, or died, or the end is cut off"
        };
        say(&format!("{}: {} to {}, {end}\n", visible(name), link.first, link.last))?;
    }
    let verdict = match faults {
        0 => "no gap, nothing changed".to_owned(),
        faults => many(faults, "fault"),
    };
    say(&format!("{}, {verdict}\n", many(count, "record")))?;
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
}

/// Records that have a value in common.
struct Group {
    count: usize,
    first: String,
    last: String,
}

impl Group {
    fn count(groups: &mut BTreeMap<String, Self>, row: &Row, field: &str) {
        let value = row.shown(field);
        let time = row.shown("time");
        let group = groups.entry(value);
        let group =
            group.or_insert_with(|| Self { count: 0, first: time.clone(), last: String::new() });
        group.count += 1;
        group.last = time;
    }

    fn table(groups: &BTreeMap<String, Self>) -> String {
        let mut rows: Vec<(&String, &Self)> = groups.iter().collect();
        rows.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        let line = |(value, group): (&String, &Self)| {
            vec![group.count.to_string(), value.clone(), group.first.clone(), group.last.clone()]
        };
        let head = ["COUNT", "VALUE", "FIRST", "LAST"].map(str::to_owned).to_vec();
        columns(&std::iter::once(head).chain(rows.into_iter().map(line)).collect::<Vec<_>>())
    }
}
