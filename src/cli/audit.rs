//! `doorward audit`: reads records.

mod known;
pub(super) mod read;
mod table;
mod verify;
pub(super) mod when;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::known::Names;
use self::read::{Lines, Row, cut};
use self::table::Table;
use self::when::Moment;
use super::ConfigFile;
use super::table::columns;
use super::talk::{Complaint, Done, audit_to, many, say, say_record, spelled, tell};
use crate::config::AuditTo;
use crate::core::harmless::visible;
use crate::core::principal::UserId;

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
        // A mistake of whoever asks is said, whatever there is to find.
        self.check()?;
        let files = files(&self.files, &self.config, "audit")?;
        if self.verify {
            return verify::verify(&files);
        }
        let mut names = Names::default();
        let mut table = (self.group.is_none() && !self.json && !self.follow).then(Table::new);
        let mut groups = Groups::default();
        let mut seen = Seen::default();
        for file in &files {
            let mut lines = Lines::open(file, self.follow)?;
            while let Some(line) = lines.next()? {
                let Some(row) = Row::parse(&line) else { continue };
                names.note(&row);
                if !self.wants(&row) {
                    continue;
                }
                seen.count(&row);
                match (&self.group, &mut table) {
                    (Some(field), _) => groups.count(&row, field),
                    (None, Some(table)) => table.push(row.cells())?,
                    (None, None) if self.json => say_record(&line)?,
                    // Somebody watches, and the width of a column cannot be known.
                    (None, None) => say(&(row.cells().join("  ") + "\n"))?,
                }
            }
        }
        if seen.records + seen.sums == 0 {
            self.check_names(&names)?;
        }
        if self.group.is_some() {
            say(&groups.table())?;
        }
        if let Some(table) = table {
            table.end()?;
            tell(&seen.text());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A word that no record can have is a slip, and no answer.
    fn check(&self) -> Result<(), Complaint> {
        known::check("outcome", self.outcome.as_deref(), &known::outcomes())?;
        known::check("reason", self.reason.as_deref(), &known::REASONS)?;
        known::check("field", self.group.as_deref(), &known::FIELDS)?;
        if let Some(user) = &self.user
            && UserId::parse(user).is_err()
        {
            let user = visible(&user.chars().take(64).collect::<String>());
            return Err(Complaint(format!(
                "no record can have the user `{user}`: a user is 1 to 256 visible ASCII characters \
                 without a comma"
            )));
        }
        for (option, value) in
            [("token", &self.token), ("upstream", &self.upstream), ("tool", &self.tool)]
        {
            if value.as_deref() == Some("") {
                return Err(Complaint(format!("no record has an empty {option}")));
            }
        }
        match (&self.since, &self.until) {
            (Some(since), Some(until)) if until.0 <= since.0 => Err(Complaint(format!(
                "no record can be from {} on and before {}: --until must be after --since",
                since.0, until.0
            ))),
            _ => Ok(()),
        }
    }

    /// The same of what is named in the configuration, or once was.
    fn check_names(&self, names: &Names) -> Result<(), Complaint> {
        let of_tool = self.tool.as_deref().and_then(|tool| tool.split_once('/'));
        let upstream = self.upstream.as_deref().or_else(|| Some(of_tool?.0));
        names.check(&self.config.config, upstream, self.token.as_deref())
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
        (row.text("kind") == Some("request") || row.is_sum())
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

/// What has been shown.
#[derive(Default)]
struct Seen {
    records: usize,
    denied: usize,
    sums: usize,
    summed: u64,
}

impl Seen {
    fn count(&mut self, row: &Row) {
        if row.is_sum() {
            self.sums += 1;
            self.summed += row.count();
        } else {
            self.records += 1;
            self.denied += usize::from(row.is_denied());
        }
    }

    fn text(&self) -> String {
        let sums = match self.sums {
            0 => String::new(),
            sums => format!(", and {} more requests in {}", self.summed, many(sums, "sum")),
        };
        format!("{}, {} denied{sums}", many(self.records, "record"), self.denied)
    }
}

/// The files that `verb` reads.
pub(super) fn files(
    named: &[PathBuf],
    config: &ConfigFile,
    verb: &str,
) -> Result<Vec<PathBuf>, Complaint> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let to = audit_to(&config.config)?;
    let place = spelled(&config.config);
    match to {
        AuditTo::File(path) => Ok(vec![path]),
        AuditTo::Stdout => Err(format!(
            "by {place} records go to standard output: name a file that they were kept in, or \
             pipe them into: doorward {verb} -"
        )
        .into()),
        AuditTo::Off => {
            Err(format!("by {place} nothing is recorded ([audit] to = \"off\")").into())
        }
    }
}

/// How many values are told apart.
const MAX_GROUPS: usize = 10_000;

/// Length of a value as it is shown, in characters.
const MAX_VALUE: usize = 100;

/// Records by a value that they have in common.
#[derive(Default)]
struct Groups {
    groups: BTreeMap<String, Group>,
    /// What is beyond the values that are told apart.
    others: Option<Group>,
}

struct Group {
    count: u64,
    first: String,
    last: String,
}

impl Groups {
    fn count(&mut self, row: &Row, field: &str) {
        let value = cut(row.shown(field), MAX_VALUE);
        let first = if row.is_sum() { row.shown("first") } else { row.shown("time") };
        let last = row.shown("time");
        let is_known = self.groups.contains_key(&value) || self.groups.len() < MAX_GROUPS;
        let new = || Group { count: 0, first, last: String::new() };
        let group = match is_known {
            true => self.groups.entry(value).or_insert_with(new),
            false => self.others.get_or_insert_with(new),
        };
        group.count += row.count();
        group.last = last;
    }

    fn table(self) -> String {
        let mut rows: Vec<(String, Group)> = self.groups.into_iter().collect();
        rows.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
        rows.extend(self.others.map(|others| ("other values".to_owned(), others)));
        let line = |(value, group): (String, Group)| {
            vec![group.count.to_string(), value, group.first, group.last]
        };
        let head = ["COUNT", "VALUE", "FIRST", "LAST"].map(str::to_owned).to_vec();
        columns(&std::iter::once(head).chain(rows.into_iter().map(line)).collect::<Vec<_>>())
    }
}
