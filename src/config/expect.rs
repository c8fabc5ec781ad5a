//! `[[expect]]`: tests of the policy, which stand beside it. They are run whenever the file is
//! read, by the very function that decides about traffic, and one that fails is an error.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::code::Code;
use super::literals;
use super::policy::Decides;
use super::read::{At, Table, did_you_mean};
use super::values::{self, date};
use crate::core::harmless::visible;
use crate::core::issuer::{Issuer, Organization};
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Route;
use crate::core::principal::{OrganizationId, UserId};
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

/// Runs every `[[expect]]` at the moment `now`. Only a policy without errors means what it says;
/// where it `is_partial`, because a file could not be read, who is not in it may be in that file.
pub(super) fn read(file: &mut Table<'_>, decides: &Decides, now: UnixSeconds, is_partial: bool) {
    let is_whole = !file.report().has_errors() && !is_partial;
    for mut table in file.tables("expect") {
        let caller = caller(&mut table, decides, now, is_partial);
        let arguments = arguments(&mut table);
        let mut count = 0;
        for (key, kind, is_allowed) in KEYS {
            for text in table.strings(key) {
                count += 1;
                if is_pattern(kind, text.value) {
                    refuse_pattern(&table, text);
                    continue;
                }
                let Some(caller) = caller.as_ref().filter(|_| is_whole) else {
                    continue;
                };
                let arguments = arguments.as_deref();
                let expected = Expected { kind, is_allowed, arguments, now };
                check(&table, text, caller, decides, &expected);
            }
        }
        if count == 0 {
            let message = "nothing is expected".to_owned();
            let help = "add allow = [\"upstream/tool\"] or deny = […]";
            table.report().error(Code::Missing, table.span(), message, help);
        }
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
    caller: &Caller,
    decides: &Decides,
    expected: &Expected<'_>,
) {
    let (upstream, name) = text.value.split_once('/').unwrap_or((text.value, ""));
    let routes: Vec<&Route> = decides.policy.routes().map(|(_, route)| route).collect();
    let Some(route) = routes.iter().find(|route| &*route.upstream == upstream) else {
        let names: Vec<&str> = routes.iter().map(|route| &*route.upstream).collect();
        let message = format!("`{}` names no upstream of this file", text.value);
        table.report().error(Code::Unknown, text.span, message, did_you_mean(upstream, &names));
        return;
    };
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

/// Message and help. `until` is when what is only tried out begins to refuse.
fn failure(
    what: impl Display,
    caller: &Caller,
    got: &Rehearsed,
    is_allowed: bool,
    until: Option<&str>,
) -> (String, String) {
    let principal = caller.principal();
    let who = principal.token_name().filter(|name| *name != "-");
    let who = who.unwrap_or_else(|| principal.user().as_str());
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

/// Who is meant: a token, or somebody with roles or with claims.
fn caller(
    table: &mut Table<'_>,
    decides: &Decides,
    now: UnixSeconds,
    is_partial: bool,
) -> Option<Caller> {
    let token = table.string("token");
    let issuer = table.string("issuer");
    let claims = table.value("claims");
    let has_roles = table.value("roles").is_some();
    let roles = table.strings("roles");
    let user = table.string("user").map_or("user", |at| at.value);
    let organization = table.string("organization").map_or("organization", |at| at.value);
    if [token.is_some(), issuer.is_some(), has_roles].into_iter().filter(|given| *given).count()
        != 1
    {
        let message = "it must say who calls, in one way".to_owned();
        let help = "add token = \"NAME\", or roles = […], or issuer = \"NAME\" and claims = {…}";
        table.report().error(Code::Missing, table.span(), message, help);
        return None;
    }
    if let Some(name) = token {
        let listed = decides.policy.tokens().list().find(|listed| listed.name == name.value);
        if listed.as_ref().is_some_and(|listed| listed.failure(now).is_some()) {
            let message = format!("token `{}` is over, and nothing is allowed to it", name.value);
            let help = "what is expected here is about nobody; name another token, or roles = […]";
            table.report().warning(Code::Over, name.span.clone(), message, help);
        }
        if listed.is_none() && is_partial {
            return None;
        }
        return known(table, &name, "token", listed.as_ref().map(Caller::of_token), || {
            decides.policy.tokens().list().map(|listed| listed.name.to_owned()).collect()
        });
    }
    if let Some(name) = issuer {
        let found = decides.issuers.iter().find(|spec| *spec.issuer.name == *name.value);
        let names = || decides.issuers.iter().map(|spec| spec.issuer.name.to_string()).collect();
        let found = known(table, &name, "issuer", found, names)?;
        check_claims(table, &found.issuer);
        let claims = claims.map(|value| json(value.get_ref()));
        let claims = claims.and_then(|value| value.as_object().cloned()).unwrap_or_default();
        return Caller::of_claims(&found.issuer, claims)
            .map_err(|fault| {
                table.report().error(Code::BadValue, name.span.clone(), fault.to_string(), "")
            })
            .ok();
    }
    let mut held = Vec::new();
    for name in &roles {
        let found = decides.roles.get(name.value).map(Arc::clone);
        let names = || decides.roles.keys().cloned().collect();
        held.push(known(table, name, "role", found, names)?);
    }
    let user = UserId::parse(user).ok()?;
    Some(Caller::of_roles(user, OrganizationId::parse(organization).ok()?, held))
}

/// Warns of claims that are named by a path. What the issuer's own keys name so has been told there.
fn check_claims(table: &mut Table<'_>, issuer: &Issuer) {
    let organization = match &issuer.organization {
        Organization::Claim(claim) => Some(claim),
        Organization::Fixed(_) => None,
    };
    let named = [Some(&issuer.user_claim), organization, issuer.roles_claim.as_ref()];
    for (key, _) in table.entries("claims") {
        let is_told = named.iter().flatten().any(|claim| *claim == key.value);
        if !is_told || key.value.starts_with('/') {
            literals::check_claim_of_test(table.report(), &key);
        }
    }
}

fn known<T>(
    table: &Table<'_>,
    name: &At<&str>,
    what: &str,
    found: Option<T>,
    names: impl FnOnce() -> Vec<String>,
) -> Option<T> {
    if found.is_none() {
        let message = format!("{what} `{}` does not exist", name.value);
        table.report().error(
            Code::Unknown,
            name.span.clone(),
            message,
            did_you_mean(name.value, &names()),
        );
    }
    found
}

fn arguments(table: &mut Table<'_>) -> Option<String> {
    let value = table.value("arguments")?;
    if !value.get_ref().is_table() {
        table.wrong_kind("arguments", value, "a table like { priority = \"low\" }");
        return None;
    }
    Some(json(value.get_ref()).to_string())
}

/// A value of TOML as JSON.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Table(table) => {
            let member = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
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
