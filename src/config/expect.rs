//! `[[expect]]`: tests of the policy, which stand beside it. They are run whenever the file is
//! read, by the very function that decides about traffic, and one that fails is an error.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::code::Code;
use super::policy::Decides;
use super::read::{At, Table, did_you_mean};
use super::values;
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Route;
use crate::core::principal::{OrganizationId, UserId};
use crate::core::rehearsal::{self, Caller, Rehearsed};
use crate::core::token::UnixSeconds;

/// What is only tried out is tested as if it were enforced.
const NOW: UnixSeconds = UnixSeconds::MAX;

/// The keys of what is expected, and what they are about.
const KEYS: [(&str, TargetKind, bool); 6] = [
    ("allow", TargetKind::Tool, true),
    ("deny", TargetKind::Tool, false),
    ("allow_prompts", TargetKind::Prompt, true),
    ("deny_prompts", TargetKind::Prompt, false),
    ("allow_resources", TargetKind::Resource, true),
    ("deny_resources", TargetKind::Resource, false),
];

/// Runs every `[[expect]]`. Only a policy without errors means what it says.
pub(super) fn read(file: &mut Table<'_>, decides: &Decides) {
    let is_whole = !file.report().has_errors();
    for mut table in file.tables("expect") {
        let caller = caller(&mut table, decides);
        let arguments = arguments(&mut table);
        let mut count = 0;
        for (key, kind, is_allowed) in KEYS {
            for text in table.strings(key) {
                count += 1;
                let Some(caller) = caller.as_ref().filter(|_| is_whole) else {
                    continue;
                };
                let expected = Expected { kind, is_allowed, arguments: arguments.as_deref() };
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

struct Expected<'e> {
    kind: TargetKind,
    is_allowed: bool,
    arguments: Option<&'e str>,
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
        let message = format!("`{}` names no upstream of this file", text.value.escape_debug());
        table.report().error(Code::Unknown, text.span, message, did_you_mean(upstream, &names));
        return;
    };
    let target = Target { kind: expected.kind, name };
    let got = match expected.arguments.filter(|_| expected.kind == TargetKind::Tool) {
        Some(arguments) => rehearsal::call(route, caller, name, arguments, NOW),
        None => rehearsal::may_see(route, caller, target, NOW),
    };
    if got.is_permitted() != expected.is_allowed {
        fail(table, text.span, text.value, caller, &got);
    }
}

fn fail(table: &Table<'_>, span: Range<usize>, what: &str, caller: &Caller, got: &Rehearsed) {
    let principal = caller.principal();
    let who = principal.token_name().filter(|name| *name != "-");
    let who = who.unwrap_or_else(|| principal.user().as_str());
    let verdict = if got.is_permitted() { "allowed" } else { "refused" };
    let why = got.permission.map_or("unreadable", |permission| permission.as_str());
    let pointer = got.pointer.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
    let by = match &got.rule {
        Some(rule) => format!("decided by {}, {}", rule.name(), rule.place()),
        None => "no rule is about it".to_owned(),
    };
    let message = format!("`{}` is {verdict} for {who} ({why}{pointer})", what.escape_debug());
    table.report().error(Code::Expectation, span, message, by);
}

/// Who is meant: a token, or somebody with roles or with claims.
fn caller(table: &mut Table<'_>, decides: &Decides) -> Option<Caller> {
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
        return known(table, &name, "token", listed.as_ref().map(Caller::of_token), || {
            decides.policy.tokens().list().map(|listed| listed.name.to_owned()).collect()
        });
    }
    if let Some(name) = issuer {
        let found = decides.issuers.iter().find(|spec| *spec.issuer.name == *name.value);
        let names = || decides.issuers.iter().map(|spec| spec.issuer.name.to_string()).collect();
        let found = known(table, &name, "issuer", found, names)?;
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

fn known<T>(
    table: &Table<'_>,
    name: &At<&str>,
    what: &str,
    found: Option<T>,
    names: impl FnOnce() -> Vec<String>,
) -> Option<T> {
    if found.is_none() {
        let message = format!("{what} `{}` does not exist", name.value.escape_debug());
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
