//! `[[expect]]`: tests of the policy, which stand beside it. They are run whenever the file is
//! read, by the very function that decides about traffic, and one that fails is an error.

mod caller;

use std::collections::BTreeSet;
use std::fmt::Display;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::DeValue;

use self::caller::Meant;
use super::code::Code;
use super::policy::Decides;
use super::read::{At, Table, did_you_mean};
use super::values::{self, date};
use crate::core::harmless::visible;
use crate::core::jwt::JwtFault;
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Route;
use crate::core::rehearsal::{self, Caller, Rehearsed};
use crate::core::token::UnixSeconds;

/// When nothing is only tried out any more.
const IN_THE_END: UnixSeconds = UnixSeconds::MAX;

/// The keys of what is expected, and what they are about.
const KEYS: [(&str, TargetKind, bool); 6] = [
    ("allow", TargetKind::Tool, true),
    ("deny", TargetKind::Tool, false),
    ("allow_prompts", TargetKind::Prompt, true),
    ("deny_prompts", TargetKind::Prompt, false),
    ("allow_resources", TargetKind::Resource, true),
    ("deny_resources", TargetKind::Resource, false),
];

const NAMES: [&str; 6] =
    ["allow", "deny", "allow_prompts", "deny_prompts", "allow_resources", "deny_resources"];

/// Runs every `[[expect]]` at the moment `now`. Only a policy without errors means what it says;
/// where it `is_partial`, because a file could not be read, who is not in it may be in that file.
pub(super) fn read(file: &mut Table<'_>, decides: &Decides, now: UnixSeconds, is_partial: bool) {
    let is_whole = !file.report().has_errors() && !is_partial;
    let names = ["tokens", "issuers"].map(|key| {
        let entries = file.entries(key).into_iter();
        (key, entries.map(|(name, _)| name.value).collect::<BTreeSet<&str>>())
    });
    let written =
        |key: &str, name: &str| names.iter().any(|(of, names)| *of == key && names.contains(name));
    for mut table in file.tables("expect") {
        let meant = caller::read(&mut table, decides, now, is_partial, &written);
        let arguments = arguments(&mut table);
        let mut count = 0;
        for (key, kind, is_allowed) in KEYS {
            for text in table.strings(key) {
                count += 1;
                if is_pattern(kind, text.value) {
                    refuse_pattern(&table, text);
                    continue;
                }
                let Some(meant) = meant.as_ref().filter(|_| is_whole) else {
                    continue;
                };
                let arguments = arguments.as_deref();
                let expected = Expected { kind, is_allowed, arguments, now };
                check(&table, text, meant, decides, &expected);
            }
        }
        let has_tools = ["allow", "deny"].iter().any(|key| table.value(key).is_some());
        if let Some(value) = table.value("arguments").filter(|_| count > 0 && !has_tools) {
            let message = "`arguments` means nothing: no tool is named".to_owned();
            let help = "they are of calls of tools, in `allow` and `deny`; leave them out";
            table.report().warning(Code::Useless, value.span(), message, help);
        }
        let told = ("nothing is expected", "add allow = [\"upstream/tool\"] or deny = […]");
        table.lack(&NAMES, Code::Missing, table.span(), told);
        table.finish();
    }
}

/// Every `[[expect]]` as it is written, in one form.
pub(super) fn texts(file: &mut Table<'_>) -> Vec<String> {
    let value = file.value("expect").map(|value| json(value.get_ref()));
    value.as_ref().and_then(Value::as_array).into_iter().flatten().map(Value::to_string).collect()
}

/// True for what looks like a glob; texts for people and URIs hold `?`, templates braces.
fn is_pattern(kind: TargetKind, text: &str) -> bool {
    match kind {
        TargetKind::Tool => text.contains(['*', '?', '[', '{']),
        TargetKind::Prompt | TargetKind::Resource | TargetKind::Template => text.contains('*'),
    }
}

/// As a name it would be denied to everybody, and say nothing of those that were meant.
fn refuse_pattern(table: &Table<'_>, text: At<&str>) {
    let message = format!("`{}` is one name here, and no pattern", visible(text.value));
    let help = "name each that is meant";
    table.report().error(Code::BadValue, text.span, message, help);
}

struct Expected<'e> {
    kind: TargetKind,
    is_allowed: bool,
    arguments: Option<&'e str>,
    now: UnixSeconds,
}

impl Expected<'_> {
    fn rehearse(&self, route: &Route, caller: &Caller, name: &str, at: UnixSeconds) -> Rehearsed {
        match self.arguments.filter(|_| self.kind == TargetKind::Tool) {
            Some(arguments) => rehearsal::call(route, caller, name, arguments, at),
            None => rehearsal::may_see(route, caller, Target { kind: self.kind, name }, at),
        }
    }
}

fn check(
    table: &Table<'_>,
    text: At<&str>,
    meant: &Meant,
    decides: &Decides,
    expected: &Expected<'_>,
) {
    let caller = &meant.caller;
    let (upstream, name) = text.value.split_once('/').unwrap_or((text.value, ""));
    let routes: Vec<&Route> = decides.policy.routes().map(|(_, route)| route).collect();
    let Some(route) = routes.iter().find(|route| &*route.upstream == upstream) else {
        let names: Vec<&str> = routes.iter().map(|route| &*route.upstream).collect();
        let message = format!("`{}` names no upstream of this file", text.value);
        table.report().error(Code::Unknown, text.span, message, did_you_mean(upstream, &names));
        return;
    };
    let objection = meant.objection(route, expected.now);
    if !expected.is_allowed && (meant.is_over || objection.is_some()) {
        return;
    }
    if let Some(why) = objection {
        let message = format!("`{}` is refused for {} ({why})", visible(text.value), who(caller));
        if why.fault == JwtFault::Expired {
            // The time alone must not make an error of what was good.
            let help = "leave `exp` out: what is not said is taken for good";
            table.report().warning(Code::Over, text.span.clone(), message, help);
        } else {
            let help = "claims of `iss`, `aud` and times that are left out are taken for good";
            table.report().error(Code::Expectation, text.span, message, help);
            return;
        }
    }
    let rehearse = |at| expected.rehearse(route, caller, name, at);
    let (now, in_the_end) = (rehearse(expected.now), rehearse(IN_THE_END));
    if !now.passes() && now.rule.is_none() && expected.kind == TargetKind::Tool {
        warn_of_misspelt(table, &text, decides, expected, |other| {
            expected.rehearse(route, caller, other, expected.now).passes()
        });
    }
    // It is about what happens: now, and for what must pass also once all trials are over, or
    // the file that is good today would be refused one day.
    let is_trial = match (expected.is_allowed, now.passes(), in_the_end.passes()) {
        (true, true, true) | (false, false, _) => return,
        (_, passes, passes_on) => passes != passes_on,
    };
    let until = is_trial.then(|| {
        let ends = decides.shadows.iter().map(|(_, shadow)| shadow.until);
        let ends: BTreeSet<UnixSeconds> = ends.filter(|end| *end > expected.now).collect();
        date(ends.into_iter().find(|end| !rehearse(*end).passes()).unwrap_or(IN_THE_END))
    });
    let what = visible(text.value);
    let (message, help) = failure(what, caller, &now, expected.is_allowed, until.as_deref());
    table.report().error(Code::Expectation, text.span, message, help);
}

/// A name that is denied because nothing has it says nothing of the one that was meant.
fn warn_of_misspelt(
    table: &Table<'_>,
    text: &At<&str>,
    decides: &Decides,
    expected: &Expected<'_>,
    passes: impl Fn(&str) -> bool,
) {
    let (upstream, name) = text.value.split_once('/').unwrap_or((text.value, ""));
    if expected.is_allowed || decides.named_tools.iter().any(|(u, t)| u == upstream && t == name) {
        return;
    }
    let of = decides.named_tools.iter().filter(|(known, _)| known == upstream);
    let names: Vec<&str> = of.map(|(_, tool)| tool.as_str()).filter(|tool| passes(tool)).collect();
    let near = did_you_mean(name, &names);
    if !near.is_empty() {
        let message = format!("`{}` is denied, as everything is that nobody names", text.value);
        table.report().warning(Code::Nothing, text.span.clone(), message, near);
    }
}

fn who(caller: &Caller) -> &str {
    let principal = caller.principal();
    let token = principal.token_name().filter(|name| *name != "-");
    token.unwrap_or_else(|| principal.user().as_str())
}

/// Message and help. `until` is when what is only tried out begins to refuse.
fn failure(
    what: impl Display,
    caller: &Caller,
    got: &Rehearsed,
    is_allowed: bool,
    until: Option<&str>,
) -> (String, String) {
    let who = who(caller);
    let why = got.permission.map_or("unreadable", |permission| permission.as_str());
    let pointer = got.pointer.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
    let by = match &got.rule {
        Some(rule) => format!("decided by {}, {}", rule.name(), rule.place()),
        None => "no rule is about it".to_owned(),
    };
    let why = format!("{why}{pointer}");
    match (until, is_allowed) {
        (None, true) => (format!("`{what}` is refused for {who} ({why})"), by),
        (None, false) => (format!("`{what}` is allowed for {who} ({why})"), by),
        (Some(until), true) => {
            let help = format!("{by}; until then it is only tried out");
            (format!("`{what}` is refused for {who} ({why}) from {until} on"), help)
        }
        (Some(until), false) => (
            format!(
                "`{what}` passes for {who} until {until}: what refuses it ({why}) is only tried out"
            ),
            format!("{by}; enforce it, or expect this when the trial is over"),
        ),
    }
}

fn arguments(table: &mut Table<'_>) -> Option<String> {
    let value = table.value("arguments")?;
    if !value.get_ref().is_table() {
        table.wrong_kind("arguments", value, "a table like { priority = \"low\" }");
        return None;
    }
    is_json(table, "arguments", value).then(|| json(value.get_ref()).to_string())
}

/// Reports what JSON has no word for.
fn is_json(table: &Table<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().all(|item| is_json(table, key, item)),
        DeValue::Table(inner) => inner.values().all(|item| is_json(table, key, item)),
        DeValue::Float(_) | DeValue::Integer(_) if values::number(value.get_ref()).is_none() => {
            let message = format!("`{key}` holds a number that JSON does not have");
            table.report().error(Code::BadValue, value.span(), message, "");
            false
        }
        _ => true,
    }
}

/// A value of TOML as JSON.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Table(table) => {
            let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                (key.to_string(), json(value.get_ref()))
            };
            Value::Object(table.iter().map(member).collect::<Map<_, _>>())
        }
        DeValue::Float(_) | DeValue::Integer(_) => {
            let number = values::number(value);
            number.and_then(|(_, text)| serde_json::from_str(&text).ok()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
