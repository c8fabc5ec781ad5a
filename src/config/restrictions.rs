//! Rules that restrict less than they seem to: what they are about is granted to nobody, is granted
//! by another way as well, or is no argument of the tool.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::code::Code;
use super::issuers::IssuerSpec;
use super::policy::Reader;
use super::read::{At, Report, Table, did_you_mean};
use crate::core::argument::{Declared, Pointer, Undeclared};
use crate::core::harmless::visible;
use crate::core::pasted;
use crate::core::pattern::Pattern;
use crate::core::permission::{Grants, Patterns, Role, TargetKind};
use crate::core::token::TokenSpec;

/// How many tokens are named for one reason.
const NAMED: usize = 5;

/// Whom a restriction is about.
#[derive(Clone, Copy)]
pub(super) enum Whose<'w> {
    /// A scope of an issuer: it gives, and restricts nothing.
    Scope,
    /// Everybody.
    Everybody,
    /// The holders of a role, by what it allows.
    Role(&'w Patterns),
}

/// A pattern that restricts everybody, and where it stands.
pub(super) struct Restriction {
    span: Range<usize>,
    kind: TargetKind,
    pattern: Pattern,
}

impl Restriction {
    pub(super) fn new(span: Range<usize>, kind: TargetKind, pattern: &Pattern) -> Self {
        Self { span, kind, pattern: pattern.clone() }
    }
}

fn of(patterns: &Patterns, kind: TargetKind) -> &[Pattern] {
    match kind {
        TargetKind::Prompt => &patterns.prompts,
        TargetKind::Resource | TargetKind::Template => &patterns.resources,
        TargetKind::Tool => &patterns.tools,
    }
}

/// Reports a condition on calls that its role does not allow. Where a name like it is granted, that
/// one was meant, and is open; else it may be left from a grant that somebody took away.
pub(super) fn check_granted(
    table: &Table<'_>,
    text: &At<&str>,
    pattern: &Pattern,
    allow: &Patterns,
) {
    if allow.tools.iter().any(|grant| grant.gives(pattern)) {
        return;
    }
    let names: Vec<&str> = allow.tools.iter().map(Pattern::as_str).collect();
    let message = format!("`{}` is not granted by this role, so nothing is asked", text.value);
    let near = did_you_mean(text.value, &names);
    let help = format!("{near}granted: {}", listed(&names));
    let (report, span) = (table.report(), text.span.clone());
    match near.is_empty() {
        true => report.warning(Code::Nothing, span, message, help),
        false => report.error(Code::Void, span, message, help),
    }
}

/// Warns of what a role grants and denies: its holders do not have it.
pub(super) fn check_denied(table: &mut Table<'_>, allow: &Patterns, deny: &Patterns) {
    let kinds = [
        ("tools", &allow.tools, &deny.tools),
        ("prompts", &allow.prompts, &deny.prompts),
        ("resources", &allow.resources, &deny.resources),
    ];
    for (key, allow, deny) in kinds {
        // What is no text has been told.
        let texts = table.value(key).and_then(|value| value.get_ref().as_array());
        for grant in allow {
            let upstream = grant.as_str().split('/').next().unwrap_or_default();
            let is_taken = |deny: &&Pattern| {
                let covers = |name| deny.covers(upstream, name);
                deny.as_str() == grant.as_str() || grant.literal_name().is_some_and(covers)
            };
            let is_it =
                |text: &&Spanned<DeValue<'_>>| text.get_ref().as_str() == Some(grant.as_str());
            let at = texts.and_then(|texts| texts.iter().find(is_it));
            if let (Some(at), Some(deny)) = (at, deny.iter().find(is_taken)) {
                let message = format!("`{}` is granted to nobody by this", grant.as_str());
                let help =
                    format!("the role denies `{}`, and what is denied stays so", deny.as_str());
                table.report().warning(Code::Nothing, at.span(), message, help);
            }
        }
    }
}

fn listed(names: &[&str]) -> String {
    const LISTED: usize = 12;
    match names {
        [] => "nothing".to_owned(),
        names => pasted::offers(names, LISTED),
    }
}

/// Everything that is granted to anybody.
fn grants<'g>(
    reader: &'g Reader<'_>,
    specs: &'g [TokenSpec],
    issuers: &'g [IssuerSpec],
) -> Vec<&'g Patterns> {
    let roles = reader.roles.values().map(|role| &role.allow);
    let direct = specs.iter().map(|spec| &spec.grants.direct);
    let scopes = issuers.iter().flat_map(|spec| spec.issuer.scopes.values().flatten());
    roles.chain(direct).chain(scopes.map(|role| &role.allow)).collect()
}

/// Warns of restrictions that meet no grant, and of roles that nobody holds.
pub(super) fn check(
    file: &mut Table<'_>,
    reader: &Reader<'_>,
    specs: &[TokenSpec],
    issuers: &[IssuerSpec],
) {
    let report = file.report();
    let all = grants(reader, specs, issuers);
    let is_met = |restriction: &&Restriction| {
        let mut grants = all.iter().flat_map(|patterns| of(patterns, restriction.kind));
        grants.any(|grant| grant.gives(&restriction.pattern))
    };
    for restriction in reader.restrictions.iter().filter(|restriction| !is_met(restriction)) {
        let text = restriction.pattern.as_str();
        let names: BTreeSet<&str> = all
            .iter()
            .flat_map(|patterns| of(patterns, restriction.kind))
            .map(Pattern::as_str)
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let message = format!("`{text}` meets no grant of this file, so it restricts nothing");
        let help = format!("{}granted: {}", did_you_mean(text, &names), listed(&names));
        report.warning(Code::Nothing, restriction.span.clone(), message, help);
    }
    // Where there is nobody yet, or a name is defined nowhere, that has been told.
    if !specs.is_empty() && !report.has_errors() {
        warn_of_unheld(file, specs, issuers);
    }
}

/// A role that nobody holds gives nothing, and restricts nobody.
fn warn_of_unheld(file: &mut Table<'_>, specs: &[TokenSpec], issuers: &[IssuerSpec]) {
    let of_tokens = specs.iter().flat_map(|spec| &spec.grants.roles);
    let of_issuers = issuers.iter().flat_map(|spec| {
        let issuer = &spec.issuer;
        let scopes = issuer.scopes.values().flatten();
        issuer.roles.iter().chain(issuer.roles_map.values()).chain(scopes)
    });
    let held: BTreeSet<&str> = of_tokens.chain(of_issuers).map(|role| role.name.as_str()).collect();
    for (name, _) in file.entries("roles") {
        if !held.contains(name.value) {
            let message = format!("role `{}` is held by nobody", visible(name.value));
            let help = "name it in the `roles` of a token or an issuer, or remove it";
            file.report().warning(Code::Nothing, name.span, message, help);
        }
    }
}

/// Warns where the holder of a token may do without a role's conditions what they are about.
pub(super) fn check_ways(
    report: &Report,
    name: &At<&str>,
    grants: &Grants,
    seen: &mut BTreeSet<String>,
) {
    for role in grants.roles.iter().filter(|role| role.shadow.is_none()) {
        for (when, pattern) in role.when.iter().flat_map(|w| w.tools.iter().map(move |p| (w, p))) {
            let gives =
                |patterns: &Patterns| patterns.tools.iter().any(|grant| grant.gives(pattern));
            let also = |other: &&std::sync::Arc<Role>| {
                let asks = other.when.iter().flat_map(|when| &when.tools).any(|p| p.meets(pattern));
                other.name != role.name && gives(&other.allow) && !asks
            };
            let (way, key) = if gives(&grants.direct) {
                (
                    format!("`tools` of token `{}`", name.value),
                    format!("direct {}", when.rule.name()),
                )
            } else if let Some(other) = grants.roles.iter().find(also) {
                let key = format!("{} {}", other.name, when.rule.name());
                (format!("role `{}`, which `{}` holds, too,", other.name, name.value), key)
            } else {
                continue;
            };
            let is_news = seen.insert(key);
            if is_news && seen.len() <= NAMED {
                let message = format!(
                    "{way} allows `{}` without the conditions of {}",
                    pattern.as_str(),
                    when.rule.name()
                );
                let help = "take it out there, or ask in [tools.\"…\"], which holds for everybody";
                report.warning(Code::Nothing, name.span.clone(), message, help);
            }
        }
    }
}

/// Reports a condition on an argument that no tool has which it is about, as far as their schemas
/// are known.
pub(super) fn check_argument(
    report: &Report,
    name: &At<&str>,
    pointer: &Pointer,
    schemas: &[Declared<'_>],
    may_lack: bool,
) {
    let lacking: Vec<Undeclared> =
        schemas.iter().map_while(|schema| schema.lacks(pointer)).collect();
    let Some(first) = lacking.first().filter(|_| lacking.len() == schemas.len()) else { return };
    let known: Vec<&str> = first.known.iter().map(String::as_str).collect();
    let near = match &first.respelled {
        Some(name) => did_you_mean(name, &[name]),
        None => did_you_mean(&first.name, &known),
    };
    let help = format!("{near}declared: {}", listed(&known));
    let shown = visible(name.value);
    let is_certain = lacking.iter().all(|lack| lack.is_closed || lack.respelled.is_some());
    if may_lack && is_certain {
        let message = format!("`{shown}` is no argument of the tool, so nothing is asked");
        report.error(Code::Void, name.span.clone(), message, help);
    } else if may_lack {
        let message = format!(
            "`{shown}` is not in the schema of the tool: where it is missing, nothing is asked"
        );
        report.warning(Code::Nothing, name.span.clone(), message, help);
    } else {
        let message =
            format!("`{shown}` is not in the schema of the tool: calls without it are refused");
        report.warning(Code::Nothing, name.span.clone(), message, help);
    }
}
