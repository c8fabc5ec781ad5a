//! Issuers that give nobody anything, and those of their settings that do so.

use jsonwebtoken::Algorithm;

use super::{IssuerKeys, IssuerSpec};
use crate::config::code::Code;
use crate::config::providers::OPENID;
use crate::config::read::{At, Table};
use crate::core::algorithm;
use crate::core::harmless::visible;
use crate::core::permission::{Patterns, Role};

/// True for the path of a document of metadata, which holds no keys (OpenID Connect Discovery 4,
/// RFC 8414 3, RFC 9728 3). Some providers have their keys below the first of these.
fn is_of_metadata(path: &str) -> bool {
    let Some((_, document)) = path.split_once("/.well-known/") else { return false };
    let names = ["oauth-authorization-server", "oauth-protected-resource"];
    document.trim_end_matches('/') == "openid-configuration"
        || document.split('/').next().is_some_and(|first| names.contains(&first))
}

/// Warns of every issuer of a file without errors.
pub(in crate::config) fn check(file: &mut Table<'_>, issuers: &[IssuerSpec]) {
    if file.report().has_errors() {
        return;
    }
    for (name, value) in file.entries("issuers") {
        let Some(spec) = issuers.iter().find(|spec| *spec.issuer.name == *name.value) else {
            continue;
        };
        let mut table = file.within("issuers", &name, value);
        check_keys(&mut table, spec);
        check_any_right(&name, &mut table, spec);
        check_scopes(&mut table, spec);
        check_reach(&mut table, spec);
    }
}

/// Warns of keys that can verify no token of the issuer.
fn check_keys(table: &mut Table<'_>, spec: &IssuerSpec) {
    let algorithms = &spec.issuer.algorithms;
    match &spec.keys {
        IssuerKeys::File(set) => {
            let Some(at) = table.value("jwks_file") else { return };
            if algorithms.iter().any(|algorithm| set.serves(*algorithm)) {
                return;
            }
            let named = |is_one: &dyn Fn(Algorithm) -> bool| {
                let of = |name: &&&str| algorithm::served(name).is_some_and(is_one);
                algorithm::SERVED.iter().filter(of).copied().collect::<Vec<_>>().join(", ")
            };
            let wanted = named(&|algorithm| algorithms.contains(&algorithm));
            let served = named(&|algorithm| set.serves(algorithm));
            let message = format!("no key in `jwks_file` is for {wanted}: no token is good");
            let help = format!("its keys are for {served}; see `algorithms`");
            table.report().warning(Code::IdleIssuer, at.span(), message, help);
        }
        IssuerKeys::Url { url, .. } => {
            if let Some(at) = table.value("jwks_url").filter(|_| is_of_metadata(url.path())) {
                let message = "`jwks_url` is where metadata lie, and no keys".to_owned();
                let help = "open it, and write what stands there as jwks_uri";
                table.report().warning(Code::IdleIssuer, at.span(), message, help);
            }
        }
    }
}

/// Warns of an issuer without any word of rights; half a word is told elsewhere.
fn check_any_right(name: &At<&str>, table: &mut Table<'_>, spec: &IssuerSpec) {
    let issuer = &spec.issuer;
    let has_any = !issuer.roles.is_empty()
        || !issuer.roles_map.is_empty()
        || issuer.roles_claim.is_some()
        || !issuer.scopes.is_empty();
    if !has_any && spec.upstreams.as_ref().is_none_or(|all| !all.is_empty()) {
        let message = format!("issuer `{}` gives nobody any right", visible(name.value));
        let help = "add roles = […], or roles_claim and roles_map, or scopes";
        table.report().warning(Code::IdleIssuer, name.span.clone(), message, help);
    }
}

/// Warns of rows of `scopes` that give nothing.
fn check_scopes(table: &mut Table<'_>, spec: &IssuerSpec) {
    let is_bare = |role: &Role| role.allow == Patterns::default();
    for (scope, _) in table.entries("scopes") {
        let given = spec.issuer.scopes.get(scope.value).map_or(&[][..], Vec::as_slice);
        // Roles that it names say for themselves what they give.
        let is_empty = matches!(given, [own] if is_bare(own));
        let is_asked = spec.issuer.asked.contains_key(scope.value) || OPENID.contains(&scope.value);
        if is_empty && !is_asked {
            let message = format!("scope `{}` gives nothing", visible(scope.value));
            let help = "name tools; what clients are to ask for besides stands in initial_scopes";
            table.report().warning(Code::Nothing, scope.span, message, help);
        }
    }
}

/// Warns of rights at upstreams that the issuer is not for.
fn check_reach(table: &mut Table<'_>, spec: &IssuerSpec) {
    let Some(upstreams) = spec.upstreams.as_ref().filter(|all| !all.is_empty()) else { return };
    let lost = |role: &Role| {
        let Patterns { tools, prompts, resources } = &role.allow;
        let all: Vec<_> = tools.iter().chain(prompts).chain(resources).collect();
        let elsewhere = |pattern: &&crate::core::pattern::Pattern| {
            !upstreams.iter().any(|name| pattern.covers_upstream(name))
        };
        let first = all.iter().copied().find(elsewhere)?.as_str().to_owned();
        Some((first, all.into_iter().all(|pattern| elsewhere(&pattern))))
    };
    let warn = |table: &Table<'_>, span, what: String| {
        let message = format!("{what} gives nothing here: `upstreams` leaves it out");
        table.report().warning(Code::Nothing, span, message, "add it there, or remove this");
    };
    for (scope, _) in table.entries("scopes") {
        let rows = spec.issuer.scopes.get(scope.value).into_iter().flatten();
        let own = format!("scope {}", scope.value);
        let found = rows.filter(|role| role.name == own).find_map(|role| lost(role));
        if let Some((pattern, _)) = found {
            warn(table, scope.span, format!("`{}`", visible(&pattern)));
        }
    }
    let roles = table.value("roles").map(|value| value.span());
    let of_all = spec.issuer.roles.iter().filter_map(|role| Some((role, roles.clone()?)));
    let mut named: Vec<_> = of_all.collect();
    for (group, _) in table.entries("roles_map") {
        named.extend(spec.issuer.roles_map.get(group.value).map(|role| (role, group.span)));
    }
    // A role may serve others elsewhere, so some of it must be for here.
    for (role, span) in named {
        if lost(role).is_some_and(|(_, is_all)| is_all) {
            warn(table, span, format!("role `{}`", role.name));
        }
    }
}
