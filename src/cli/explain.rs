//! `doorward explain`: a recorded request, and what the configuration of today would say to it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::audit::files;
use super::audit::read::{Lines, Row, cut};
use super::caller::{self, Asked};
use super::talk::{Complaint, Done, arguments, loaded, now, say, tell, written};
use super::{ConfigFile, EXIT_NO, steps};
use crate::config::Config;
use crate::core::harmless::visible;
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Route;
use crate::core::rehearsal::{self, Rehearsed};
use crate::core::token::AuthFailure;

/// The shortest beginning of a request id that is looked for.
const MIN_ID: usize = 8;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward explain 01a20daa-702e audit.jsonl\n\
    \x20 doorward explain 01a20daa-702e audit.jsonl --args '{\"title\":\"x\"}'";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Explain {
    /// The X-Request-Id of the answer, or its beginning as `doorward audit` shows it
    #[arg(value_name = "REQUEST_ID")]
    id: String,
    /// Files with records, or -; the configuration's where none is named
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The arguments of the call, where they are not recorded: a JSON object, @FILE, or -
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Explain {
    pub(super) fn run(self) -> Done {
        if self.id.len() < MIN_ID {
            return Err(format!("{MIN_ID} characters of the id are needed at least").into());
        }
        // A mistake of whoever asks is said, whatever there is to find.
        let arguments = self.args.as_deref().map(arguments).transpose()?;
        let found = self.find()?;
        let [row] = &found.rows[..] else {
            return self.not_one(&found);
        };
        let Ok(config) = loaded(&self.config.config) else {
            // The record is good whatever the file is.
            let why = "the configuration has errors: what would be decided today is not known";
            say(&format!("{}  {why}\n", head(row, None)))?;
            return Ok(ExitCode::SUCCESS);
        };
        let arguments = arguments.or_else(|| recorded(row));
        let mut out = String::new();
        match replay(&config, row, arguments.as_deref()) {
            Ok(replayed) => {
                out += &head(row, Some(replayed.verdict()));
                out += &replayed.text(row);
            }
            Err(why) => {
                out += &head(row, None);
                out += &format!("  {}\n", why.0);
            }
        }
        say(&out)?;
        Ok(ExitCode::SUCCESS)
    }

    fn find(&self) -> Result<Found, Complaint> {
        let mut found = Found::default();
        let made = made(&self.id);
        for file in files(&self.files, &self.config, "explain REQUEST_ID")? {
            let mut lines = Lines::open(&file, false)?;
            while let Some(line) = lines.next()? {
                // Most lines need no parsing.
                let is_sum = line.contains(r#""kind":"summed""#);
                if !is_sum && !line.contains(&self.id) {
                    continue;
                }
                let Some(row) = Row::parse(&line) else { continue };
                let is_it = row.text("request_id").is_some_and(|id| id.starts_with(&self.id));
                if is_it {
                    found.count += 1;
                    if found.rows.len() <= MAX_TOLD {
                        found.rows.push(row);
                    }
                } else if row.is_sum() && made.is_some_and(|made| covers(&row, made)) {
                    found.sums.push(row);
                    found.sums.truncate(MAX_TOLD);
                }
            }
        }
        Ok(found)
    }

    /// There is no such record, or more than one.
    fn not_one(&self, found: &Found) -> Done {
        let id = visible(&self.id);
        if found.count > 1 {
            let line = |row: &Row| {
                let cells = ["request_id", "time", "user"].map(|field| cut(row.shown(field), 40));
                format!("\n  {}  {}", cells.join("  "), row.what())
            };
            let told: String = found.rows.iter().take(MAX_TOLD).map(line).collect();
            let more = found.count.saturating_sub(MAX_TOLD);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            let count = found.count;
            return Err(
                format!("{count} requests begin with {id}; say more of it:{told}{more}").into()
            );
        }
        let sum = |row: &Row| {
            let [reason, from, upstream, first, last] =
                ["reason", "client_ip", "upstream", "first", "last"].map(|field| row.shown(field));
            let count = row.count();
            format!("\n  {count} of {reason}, from {from}, upstream {upstream}: {first} to {last}")
        };
        let told: String = found.sums.iter().map(sum).collect();
        tell(&match told.is_empty() {
            false => format!(
                "doorward: there is no record of the request {id}; when it was made, these were summed:{told}"
            ),
            true => format!("doorward: there is no record of the request {id}{}", hint(&self.id)),
        });
        Ok(ExitCode::from(EXIT_NO))
    }
}

/// How many records and sums are told at most.
const MAX_TOLD: usize = 10;

/// What the files hold about a request.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// How many there are.
    count: usize,
    /// Sums of requests of that moment.
    sums: Vec<Row>,
}

/// When an id with this beginning was made, from and to, in milliseconds (RFC 9562 5.7).
fn made(id: &str) -> Option<(i64, i64)> {
    let digits: String = id.chars().filter(|c| *c != '-').take(12).collect();
    let padded = |fill: char| {
        let rest: String = std::iter::repeat_n(fill, 12 - digits.chars().count()).collect();
        i64::from_str_radix(&format!("{digits}{rest}"), 16).ok()
    };
    Some((padded('0')?, padded('f')?))
}

/// Whether a sum is of the time of an id.
fn covers(row: &Row, (from, to): (i64, i64)) -> bool {
    let moment = |field| row.text(field)?.parse::<jiff::Timestamp>().ok();
    let Some((first, last)) = moment("first").zip(moment("last")) else { return false };
    first.as_millisecond() <= to && from <= last.as_millisecond()
}

/// Why there may be no record yet.
fn hint(id: &str) -> &'static str {
    /// Until a sum is written, with some to spare, in milliseconds.
    const SOON: i64 = 90_000;
    let age = made(id).map(|(_, to)| jiff::Timestamp::now().as_millisecond() - to);
    match age {
        Some(age) if age < SOON => {
            "; requests without a token are summed, which is written once a minute"
        }
        _ => "",
    }
}

/// The arguments, where they were recorded in full.
fn recorded(row: &Row) -> Option<String> {
    Some(row.get("args")?.get("values")?.to_string())
}

/// Who called, and by what proof. What was shown and proved nobody is named as no more than that:
/// who forges a JWT may write any issuer into it.
fn caller_of(row: &Row) -> String {
    let [user, token, issuer] = ["user", "token", "issuer"].map(|field| {
        let text = row.text(field);
        text.map(|_| row.shown(field))
    });
    match (user, token, issuer) {
        (Some(user), Some(token), _) => format!("{user} (token {token})"),
        (Some(user), None, Some(issuer)) => format!("{user} (JWT of {issuer})"),
        (Some(user), None, None) => user,
        (None, Some(token), _) => format!("nobody is proven (token {token})"),
        (None, None, Some(issuer)) => {
            format!("nobody is proven (a JWT that names the issuer {issuer})")
        }
        (None, None, None) => "nobody is proven".to_owned(),
    }
}

/// When, who, what, and how it was decided then and is now.
fn head(row: &Row, now: Option<&str>) -> String {
    let who = caller_of(row);
    let then = match (row.is_denied(), row.get("enforced")) {
        (true, Some(Value::Bool(false))) => "PASSED then (a refusal that was only tried out)",
        (true, _) => "DENIED then",
        (false, _) => "ALLOWED then",
    };
    let now = now.map_or_else(String::new, |now| format!(", {now} now"));
    let detail =
        row.get("detail").map_or_else(String::new, |_| format!(" {}", row.shown("detail")));
    let rule = row
        .get("rule")
        .map_or_else(String::new, |_| format!(", {} ({})", row.shown("rule"), row.shown("place")));
    format!(
        "{}  {who}  {}  {then}{now}\n  then: {}{detail}{rule}; outcome {}, status {}\n",
        row.shown("time"),
        row.what(),
        row.shown("reason"),
        row.shown("outcome"),
        row.shown("status"),
    )
}

/// What would be decided today.
struct Replayed {
    asked: Asked,
    /// The end of the token, where it comes from the table.
    validity: String,
    got: Rehearsed,
    /// What could not be evaluated, because the arguments are not known.
    open: Vec<String>,
}

fn replay(config: &Config, row: &Row, arguments: Option<&str>) -> Result<Replayed, Complaint> {
    let (asked, validity) = who(config, row)?;
    let upstream = row.text("upstream").unwrap_or_default();
    let mut routes = config.policy.routes().map(|(_, route)| route);
    let route = routes.find(|route| &*route.upstream == upstream);
    let route =
        route.ok_or_else(|| format!("there is no upstream `{}` any more", visible(upstream)))?;
    let (got, open) = rehearse(route, &asked, row, arguments)?;
    Ok(Replayed { asked, validity, got, open })
}

fn who(config: &Config, row: &Row) -> Result<(Asked, String), Complaint> {
    if let Some(name) = row.text("token") {
        let listed = config.policy.tokens().list().find(|listed| listed.name == name);
        let listed = listed
            .ok_or_else(|| format!("the token `{}` is not in the file any more", visible(name)))?;
        let validity = match (listed.revoked, listed.expires) {
            (Some(at), _) => format!("revoked {}", written(at)),
            (None, Some(at)) => format!("valid until {}", written(at)),
            (None, None) => "valid for ever".to_owned(),
        };
        return Ok((Asked::of_token(&listed, now()), validity));
    }
    let user = row.text("user").ok_or_else(|| {
        Complaint(
            "nobody known was calling; the reason above is all that there is to it".to_owned(),
        )
    })?;
    let held = row.get("roles").and_then(Value::as_array).into_iter().flatten();
    let held: Vec<String> = held.filter_map(Value::as_str).map(str::to_owned).collect();
    // What a scope gave is no role of the file.
    let (roles, others): (Vec<_>, Vec<_>) =
        held.into_iter().partition(|role| config.roles.contains_key(role));
    let organization = row.text("organization").unwrap_or("organization");
    let caller = caller::with_roles(config, &roles, user, organization)?;
    let validity = match others.is_empty() {
        true => "with the roles of then".to_owned(),
        false => format!("with the roles of then, but for {}", visible(&others.join(", "))),
    };
    Ok((Asked { name: user.to_owned(), caller, failure: None }, validity))
}

fn rehearse(
    route: &Route,
    asked: &Asked,
    row: &Row,
    arguments: Option<&str>,
) -> Result<(Rehearsed, Vec<String>), Complaint> {
    if let Some(tool) = row.text("tool") {
        if let Some(arguments) = arguments {
            return Ok((rehearsal::call(route, &asked.caller, tool, arguments, now()), Vec::new()));
        }
        let asks = rehearsal::conditions(route, &asked.caller, tool, now());
        let enforced = asks.iter().filter(|asks| asks.is_enforced).map(|asks| asks.condition);
        let open = enforced.map(|c| visible(&format!("{c} ({})", c.rule.place()))).collect();
        let target = Target { kind: TargetKind::Tool, name: tool };
        return Ok((rehearsal::may_see(route, &asked.caller, target, now()), open));
    }
    let name = row.text("target").ok_or_else(|| {
        Complaint(
            "it names nothing that is permitted one by one, so there is nothing to replay"
                .to_owned(),
        )
    })?;
    let is_prompt = row.text("method").is_some_and(|method| method.starts_with("prompts/"));
    let kind = if is_prompt { TargetKind::Prompt } else { TargetKind::Resource };
    Ok((rehearsal::may_see(route, &asked.caller, Target { kind, name }, now()), Vec::new()))
}

impl Replayed {
    fn verdict(&self) -> &'static str {
        match (self.asked.failure, self.got.passes(), self.open.is_empty()) {
            (Some(_), ..) | (None, false, _) => "DENIED",
            (None, true, _) if !self.got.is_enforced => "PASSING (its refusal is only tried out)",
            (None, true, true) => "ALLOWED",
            (None, true, false) => "ALLOWED if its conditions hold",
        }
    }

    fn text(&self, row: &Row) -> String {
        let verdict = self.asked.failure.map_or("ok", AuthFailure::as_str).to_owned();
        let proof = match row.text("token") {
            Some(name) => format!("token {}", visible(name)),
            None => "JWT".to_owned(),
        };
        let mut out = steps::numbered(&[[proof, self.validity.clone(), verdict]], &self.got.steps);
        for condition in &self.open {
            out += &format!("     if {condition}\n");
        }
        if !self.open.is_empty() {
            out += "The arguments are not in the record: give them with --args.\n";
        }
        if row.text("reason") == Some("tool_changed") {
            out += "The upstream described the tool in another way than was approved, which is in no file: \
                    ask it with doorward lock --check.\n";
        }
        if let Some(cure) = self.cure() {
            out += &format!("To allow it: {cure}.\n");
        }
        out
    }

    /// What would have to change.
    fn cure(&self) -> Option<String> {
        use crate::core::permission::Permission;
        if let Some(failure) = self.asked.failure {
            return Some(format!("make another token; this one is {}", failure.as_str()));
        }
        if self.got.passes() {
            return None;
        }
        let roles = &self.asked.principal().grants().roles;
        let role = roles.iter().find_map(|role| role.rule.as_ref());
        let at = |rule: &crate::core::rule::Rule| {
            visible(&format!("{} ({})", rule.name(), rule.place()))
        };
        Some(match (self.got.permission?, &self.got.rule, role) {
            (Permission::Arguments, Some(rule), _) => {
                format!("change {}, or give the caller a role without that condition", at(rule))
            }
            (Permission::DeniedByRule, Some(rule), _) => format!("change {}", at(rule)),
            (Permission::NotLocked, ..) => "approve the tool with doorward lock".to_owned(),
            (_, _, Some(rule)) => {
                format!("add it to {}, or give the caller another role", at(rule))
            }
            (..) => "give the caller a role, or a grant of its own".to_owned(),
        })
    }
}
