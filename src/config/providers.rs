//! What is known of issuers beyond the file: which of them issue tokens to anybody in the world,
//! what never stands in `iss`, and which audiences are not ours alone.

use std::collections::BTreeMap;

use super::code::Code;
use super::outside;
use super::read::{At, Table};
use crate::core::harmless::visible;
use crate::core::issuer::Organization;

/// Issuers that anybody can have a token of, for any audience, with the claims that a stranger
/// cannot choose: host, and path where there is one.
const SHARED: [(&str, &[&str]); 14] = [
    ("accounts.google.com", &["azp", "email", "hd", "sub"]),
    ("agent.buildkite.com", &["cluster_id", "organization_id", "organization_slug", "pipeline_id"]),
    ("app.terraform.io", &["sub", "terraform_organization_id", "terraform_organization_name"]),
    ("appleid.apple.com", &["email", "sub"]),
    ("gitlab.com", &GITLAB),
    ("limited.facebook.com", &["sub"]),
    ("login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad", &["oid", "sub"]),
    ("oidc.codefresh.io", &["account_id", "sub"]),
    ("oidc.vercel.com", &["owner", "owner_id", "project_id", "sub"]),
    ("slack.com", &["https://slack.com/team_id", "https://slack.com/user_id", "sub"]),
    ("sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad", &["oid", "sub"]),
    ("token.actions.githubusercontent.com", &GITHUB),
    ("www.facebook.com", &["sub"]),
    ("www.linkedin.com/oauth", &["sub"]),
];

const GITHUB: [&str; 8] = [
    "enterprise",
    "enterprise_id",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "sub",
    "workflow_ref",
];

const GITLAB: [&str; 5] = ["namespace_id", "namespace_path", "project_id", "project_path", "sub"];

/// Claims that are the same in every token that is for us.
const ALIKE: [&str; 2] = ["aud", "iss"];

/// Hosts whose tokens name a tenant by its id.
const ENTRA: [&str; 5] = [
    "login.chinacloudapi.cn",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
];

/// Audiences of tokens for somebody else, with whom they are for.
const FOREIGN: [(&str, &str); 5] = [
    ("", "nobody"),
    ("*", "nobody: there are no wildcards"),
    ("00000003-0000-0000-c000-000000000000", "Microsoft Graph"),
    ("account", "Keycloak's own pages, and in the tokens of every client"),
    ("https://graph.microsoft.com", "Microsoft Graph"),
];

/// Host and path in lower case, without a slash at the end.
fn place(issuer: &str) -> Option<(String, String)> {
    let (_, authority, path) = outside::parts(issuer)?;
    let host = authority.split(':').next().unwrap_or_default().trim_end_matches('.');
    Some((host.to_ascii_lowercase(), path.trim_end_matches('/').to_ascii_lowercase()))
}

/// Says why no token can have this in `iss`, where that is known.
pub(super) fn check_name(issuer: &str) -> Result<(), String> {
    let (host, path) = place(issuer).unwrap_or_default();
    if path.contains(['{', '}', '$', ':', '*']) || path.contains("%7b") {
        return Err("holds a placeholder, and `iss` of a token never does: write it out".to_owned());
    }
    if path.contains("/.well-known/") {
        return Err("is where metadata lie; write what stands there as `issuer`".to_owned());
    }
    let tenant = path.split('/').nth(1).unwrap_or_default();
    if ENTRA.contains(&host.as_str()) && !is_id(tenant) {
        return Err("names no tenant by its id, as `iss` of a token of Entra does: write \
                    https://login.microsoftonline.com/11111111-1111-…/v2.0, one table for each"
            .to_owned());
    }
    Ok(())
}

fn is_id(tenant: &str) -> bool {
    tenant.len() == 36 && uuid::Uuid::try_parse(tenant).is_ok()
}

/// The claims that tell strangers from others, where anybody in the world has a token of it.
fn shared(issuer: &str) -> Option<&'static [&'static str]> {
    let (host, path) = place(issuer)?;
    let path = path.trim_end_matches("/v2.0");
    let found = SHARED.iter().find(|(known, _)| *known == format!("{host}{path}"));
    found.map(|(_, claims)| *claims)
}

/// Rights for everybody with a token of an issuer are rights for everybody, where it is shared.
pub(super) fn check_rights(table: &mut Table<'_>, issuer: &str) {
    let Some(claims) = shared(issuer) else { return };
    let help = format!("give rights by roles_map, and as roles_claim one of {}", claims.join(", "));
    let given = |value: &toml::Spanned<toml::de::DeValue<'_>>| match value.get_ref() {
        toml::de::DeValue::Array(items) => !items.is_empty(),
        toml::de::DeValue::Table(entries) => !entries.is_empty(),
        _ => false,
    };
    if let Some(roles) = table.value("roles").filter(|value| given(value)) {
        let message = "anybody in the world can have a token of this issuer, and with it `roles`";
        table.report().error(Code::SharedIssuer, roles.span(), message.to_owned(), help.as_str());
    }
    if let Some(scopes) = table.value("scopes").filter(|value| given(value)) {
        let message = "anybody in the world can have a token of this issuer, with scopes as well";
        table.report().warning(Code::SharedClaim, scopes.span(), message.to_owned(), help.as_str());
    }
    let claim = table.string("roles_claim");
    let chosen = claim.filter(|claim| !claims.contains(&claim.value.trim_start_matches('/')));
    if let Some(claim) = chosen.filter(|_| table.value("roles_map").is_some_and(given)) {
        let whose = "anybody in the world can have a token of this issuer, and";
        if ALIKE.contains(&claim.value.trim_start_matches('/')) {
            let message = format!("{whose} this claim says the same in all of them");
            table.report().error(Code::SharedIssuer, claim.span, message, help);
        } else {
            let message = format!("{whose} may choose what this claim says");
            table.report().warning(Code::SharedClaim, claim.span, message, help);
        }
    }
}

/// Ends of hosts of providers whose `iss` has no path but a slash, and of those where it has none.
const AUTH0: [&str; 1] = [".auth0.com"];
const OKTA: [&str; 4] = [".okta.com", ".okta-emea.com", ".okta-gov.com", ".oktapreview.com"];

/// The provider, where it is known, and whether `iss` of its tokens ends in a slash.
fn slash(issuer: &str) -> Option<(&'static str, bool)> {
    let (host, path) = place(issuer)?;
    let of = |ends: &[&str]| ends.iter().any(|end| host.ends_with(end));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        [] if of(&AUTH0) => Some(("Auth0", true)),
        [] | ["oauth2", _] if of(&OKTA) => Some(("Okta", false)),
        [_] if host.starts_with("cognito-idp.") && host.ends_with(".amazonaws.com") => {
            Some(("Cognito", false))
        }
        [_] if host == "sts.windows.net" => Some(("Entra (v1.0)", true)),
        [_, "v2.0"] if ENTRA.contains(&host.as_str()) => Some(("Entra (v2.0)", false)),
        ["realms", _] | ["auth", "realms", _] => Some(("Keycloak", false)),
        [] if host == "accounts.google.com" => Some(("Google", false)),
        [] if host == "gitlab.com" => Some(("GitLab", false)),
        [] if host == "token.actions.githubusercontent.com" => Some(("GitHub", false)),
        _ => None,
    }
}

/// Warns of a slash at the end, or of none, that `iss` of tokens hardly has.
pub(super) fn check_slash(table: &mut Table<'_>) {
    let Some(at) = table.string("issuer") else { return };
    let Some((whose, has_slash)) = slash(at.value) else { return };
    if at.value.ends_with('/') != has_slash {
        let word = if has_slash { "with" } else { "without" };
        let message = format!("{whose} writes `iss` {word} a slash at its end");
        let end = if has_slash { "/" } else { "" };
        let help = format!("write {:?}", format!("{}{end}", at.value.trim_end_matches('/')));
        table.report().warning(Code::IssuerSlash, at.span, message, help);
    }
}

/// Scopes of OpenID Connect, which Entra gives by these very names.
pub(super) const OPENID: [&str; 4] = ["email", "offline_access", "openid", "profile"];

/// With Entra a scope has two names: one to ask for, which begins with the URI of an application,
/// and behind its last slash one in tokens.
pub(super) fn check_scopes(table: &mut Table<'_>, issuer: &str, asked: &BTreeMap<String, String>) {
    let (host, _) = place(issuer).unwrap_or_default();
    if !ENTRA.contains(&host.as_str()) {
        return;
    }
    for (scope, _) in table.entries("scopes") {
        let name = scope.value;
        let (message, help) = match name.rsplit_once('/') {
            Some((_, short)) => (
                format!("tokens of Entra hold `{}`, and not `{}`", visible(short), visible(name)),
                format!("write {short:?} = {{ tools = […], ask = {name:?} }}"),
            ),
            None if asked.contains_key(name) || OPENID.contains(&name) => continue,
            None => (
                format!("Entra refuses clients that ask for `{}` alone", visible(name)),
                format!("write {name:?} = {{ tools = […], ask = \"api://…/{name}\" }}"),
            ),
        };
        table.report().warning(Code::ScopeName, scope.span.clone(), message, help);
    }
}

/// Tokens are for us only where `aud` names us and nobody else. Says whether it is refused.
pub(super) fn check_audience(table: &Table<'_>, audience: &At<&str>, issuer: &str) -> bool {
    let text = audience.value.trim_end_matches('/');
    if let Some((_, whose)) = FOREIGN.iter().find(|(foreign, _)| *foreign == text) {
        let message = format!("`audience` names {whose}");
        let help = "write the URL of the upstream, and let the issuer put it into tokens";
        table.report().error(Code::BadValue, audience.span.clone(), message, help);
        return true;
    }
    let why = match text {
        _ if text == issuer.trim_end_matches('/') => "is the issuer's own name",
        _ if !text.contains(':') => "is no URL, and may be a client's id",
        _ => return false,
    };
    let message = format!("`{}` {why}: tokens that say who logged in pass as well", visible(text));
    let help =
        "ID tokens are not meant for us; let the issuer put the URL of the upstream into `aud`";
    table.report().warning(Code::LooseAudience, audience.span.clone(), message, help);
    false
}

/// True where callers of both can be of one organization.
pub(super) fn can_meet(one: &Organization, other: &Organization) -> bool {
    match (one, other) {
        (Organization::Fixed(one), Organization::Fixed(other)) => one == other,
        _ => true,
    }
}
