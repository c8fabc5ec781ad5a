//! `[issuers.NAME]`: who may issue JWTs, and what their claims mean here.

pub(super) mod idle;
mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;

pub use self::keys::IssuerKeys;
use super::code::Code;
use super::files::Files;
use super::policy::Reader;
use super::read::{At, Table, is_nothing};
use super::restrictions::Whose;
use super::values::{self, Durations};
use super::{literals, providers};
use crate::core::algorithm;
use crate::core::argument::{BadPointer, Pointer};
use crate::core::harmless::visible;
use crate::core::issuer::{Issuer, Organization};
use crate::core::permission::{Patterns, Role};
use crate::core::principal::{Digest, OrganizationId};
use crate::core::token::TokenSpec;

/// An issuer as the file has it.
#[derive(Clone, Debug)]
pub struct IssuerSpec {
    /// Name, and what claims mean.
    pub issuer: Arc<Issuer>,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// Digests of its keys, or of where they come from with each of the roots for that.
    pub trust: BTreeSet<Digest>,
    /// The upstreams that it is for; all where absent.
    pub upstreams: Option<Vec<String>>,
}

impl IssuerSpec {
    /// Whether callers of this upstream may come with a JWT of it.
    #[must_use]
    pub fn serves(&self, upstream: &str) -> bool {
        self.upstreams.as_ref().is_none_or(|all| all.iter().any(|name| name == upstream))
    }

    /// True where both are for one upstream.
    fn shares(&self, other: &Self) -> bool {
        match &self.upstreams {
            Some(ours) => ours.iter().any(|name| other.serves(name)),
            None => other.upstreams.as_ref().is_none_or(|theirs| !theirs.is_empty()),
        }
    }
}

/// Reads all issuers, beside the `tokens` of the table. Without `public_url` there is no name for
/// what their tokens are for.
pub(super) fn read(
    file: &mut Table<'_>,
    reader: &mut Reader<'_>,
    has_public_url: bool,
    tokens: &[TokenSpec],
    files: &Files,
) -> Vec<IssuerSpec> {
    let mut found: Vec<IssuerSpec> = Vec::new();
    let mut is_first = true;
    for (name, table) in file.named_tables("issuers") {
        let report = table.report();
        if !has_public_url && is_first {
            is_first = false;
            let message =
                "an issuer's tokens are for a URL, and `public_url` is missing".to_owned();
            report.error(Code::Missing, name.span.clone(), message, "add public_url in [server]");
        }
        let Some(spec) = issuer(&name, table, reader, files) else { continue };
        if found.iter().any(|other| other.issuer.issuer == spec.issuer.issuer) {
            let message = "another issuer has the same `issuer`".to_owned();
            report.error(Code::Duplicate, name.span.clone(), message, "put both into one table");
        }
        if let Some(other) = same_users(&spec, &found, tokens) {
            let message = format!(
                "a user of `{}` and one {other} who have the same name are one caller, if they are of one organization",
                name.value
            );
            let help = "they share X-User-ID, sessions and tasks; give each an `organization` of its own, or be sure that the names are of the same people";
            report.warning(Code::SameUsers, name.span.clone(), message, help);
        }
        found.push(spec);
    }
    found
}

/// The other ways to come for somebody who is taken for a user of `spec`: upstreams, and the seals
/// on sessions and tasks, know callers by user and organization alone.
fn same_users(spec: &IssuerSpec, others: &[IssuerSpec], tokens: &[TokenSpec]) -> Option<String> {
    let organization = &spec.issuer.organization;
    let meets = |other: &&IssuerSpec| {
        providers::can_meet(organization, &other.issuer.organization) && spec.shares(other)
    };
    if let Some(other) = others.iter().find(meets) {
        return Some(format!("of `{}`", other.issuer.name));
    }
    let of_table = |token: &&TokenSpec| {
        let theirs = Organization::Fixed(token.organization.clone());
        token.revoked.is_none() && providers::can_meet(organization, &theirs)
    };
    tokens.iter().find(of_table).map(|token| format!("of a token, like `{}`,", token.name))
}

fn issuer(
    name: &At<&str>,
    mut table: Table<'_>,
    reader: &mut Reader<'_>,
    files: &Files,
) -> Option<IssuerSpec> {
    let url = table.required_string("issuer");
    let url = url.and_then(|text| table.check("issuer", text, issuer_url));
    let keys = keys::read(&mut table, files);
    let algorithms = algorithms(&mut table);
    let leeway = table.parsed("leeway", leeway).map_or(30, |at| at.value);
    let max_lifetime = table
        .parsed("max_lifetime", |text| Durations("1s", "366d").read(text))
        .map(|at| seconds(at.value));
    let user_claim =
        table.parsed("user_claim", claim).map_or_else(|| "sub".to_owned(), |at| at.value);
    let organization = organization(&mut table);
    let roles = reader.roles(&mut table, "roles");
    let roles_claim = table.parsed("roles_claim", claim).map(|at| at.value);
    let roles_map = roles_map(&mut table, reader);
    let (scopes, asked) = scopes(&mut table, reader);
    let initial_scopes = initial_scopes(&mut table, &scopes);
    let audiences = audiences(&mut table, url.as_ref().map_or("", |url| &url.value));
    let upstreams = upstreams(&mut table, reader);
    for key in ["user_claim", "organization_claim", "roles_claim"] {
        if let Some(text) = table.string(key).filter(|text| claim(text.value).is_ok()) {
            literals::check_claim(table.report(), key, &text);
        }
    }
    if let Some(url) = &url {
        providers::check_rights(&mut table, &url.value);
        providers::check_slash(&mut table);
        providers::check_scopes(&mut table, &url.value, &asked);
    }
    table.finish();
    let issuer = Issuer {
        name: name.value.into(),
        issuer: url?.value,
        audiences,
        algorithms,
        leeway,
        max_lifetime,
        user_claim,
        organization: organization?,
        roles,
        roles_claim,
        roles_map,
        scopes,
        asked,
        initial_scopes,
    };
    let (keys, trust) = keys?;
    Some(IssuerSpec { issuer: Arc::new(issuer), keys, trust, upstreams })
}

fn audiences(table: &mut Table<'_>, issuer: &str) -> Vec<String> {
    let texts = table.strings("audience");
    for text in &texts {
        // Where it is nothing but a wildcard, that is an error.
        if !providers::check_audience(table, text, issuer) {
            literals::check_literal(table.report(), "audience", text);
        }
    }
    texts.into_iter().map(|at| at.value.to_owned()).collect()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// As it stands in `iss`, and as clients look for its metadata (RFC 8414 2).
fn issuer_url(text: &str) -> Result<String, String> {
    values::url(text)?;
    providers::check_name(text).map(|()| text.to_owned())
}

/// What may verify a signature with a public key.
fn algorithms(table: &mut Table<'_>) -> Vec<Algorithm> {
    let parse = |text: &str| {
        algorithm::served(text).ok_or_else(|| {
            let names = algorithm::SERVED.join(", ");
            let why = algorithm::known(text)
                .map_or_else(String::new, |(name, why)| format!("; {name} is one{why}"));
            format!("must be of {names}{why}")
        })
    };
    let texts = table.strings("algorithms");
    if table.value("algorithms").is_none() {
        return vec![Algorithm::RS256, Algorithm::ES256];
    }
    if table.value("algorithms").is_some_and(|value| is_nothing(value.get_ref())) {
        let message = "`algorithms` is empty, and no token would be good".to_owned();
        table.report().error(
            Code::BadValue,
            table.span(),
            message,
            "leave it out for RS256 and ES256",
        );
    }
    let checked = texts.into_iter().filter_map(|text| table.check("algorithms", text, parse));
    let mut algorithms: Vec<Algorithm> = Vec::new();
    for algorithm in checked.map(|at| at.value) {
        // Two names of one are one.
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

fn leeway(text: &str) -> Result<i64, String> {
    Durations("0s", "60s").read(text).map(seconds)
}

/// The name of a claim; behind a `/` a place in one (RFC 6901).
fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is empty: write the name of a claim".to_owned());
    }
    match Pointer::parse(text) {
        // The plain name of a claim.
        _ if !text.starts_with('/') => Ok(text.to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(BadPointer::Form) => Err("begins with \"/\" and is no JSON \
            pointer (RFC 6901): \"~\" is ~0 there, and \"/\" in a name ~1"
            .to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// Said by a claim, or the same for everybody: exactly one of the two.
fn organization(table: &mut Table<'_>) -> Option<Organization> {
    let claim = table.parsed("organization_claim", claim).map(|at| at.value);
    let parse = |text: &str| OrganizationId::parse(text).map_err(|error| error.to_string());
    let text = table.string("organization");
    if let Some(text) = &text {
        literals::check_identity(table.report(), "organization", text);
    }
    let fixed = text.and_then(|text| table.check("organization", text, parse));
    let fixed = fixed.map(|at| at.value);
    let message = "an issuer needs either `organization_claim` or `organization`".to_owned();
    if table.value("organization_claim").is_some() && table.value("organization").is_some() {
        table.report().error(Code::Missing, table.span(), message, "");
    } else {
        let keys = &["organization_claim", "organization"];
        table.lack(keys, Code::Missing, table.span(), (message, ""));
    }
    claim.map(Organization::Claim).or_else(|| fixed.map(Organization::Fixed))
}

fn roles_map(table: &mut Table<'_>, reader: &Reader<'_>) -> BTreeMap<String, Arc<Role>> {
    let mut map = BTreeMap::new();
    for (group, value) in table.entries("roles_map") {
        literals::check_literal(table.report(), "group", &group);
        let Some(role) = value.get_ref().as_str() else {
            table.wrong_kind("roles_map", value, "a table of strings");
            continue;
        };
        if let Some(role) = reader.role_named(table, &At { value: role, span: value.span() }) {
            map.insert(group.value.to_owned(), role);
        }
    }
    map
}

/// What scopes give, and by what name clients ask for them where it is another.
type Scopes = (BTreeMap<String, Vec<Arc<Role>>>, BTreeMap<String, String>);

/// `"scope" = ["upstream/tool"]`, or `{ tools, prompts, resources, roles, ask }`.
fn scopes(table: &mut Table<'_>, reader: &mut Reader<'_>) -> Scopes {
    let (mut scopes, mut asked) = Scopes::default();
    for (name, value) in table.entries("scopes") {
        if let Err(why) = scope_name(name.value) {
            let message = format!("`{}` {why}", visible(name.value));
            table.report().error(Code::BadValue, name.span.clone(), message, "see RFC 6749 3.3");
        }
        literals::check_literal(table.report(), "scope", &name);
        let role = format!("scope {}", name.value);
        let granted = match value.get_ref().as_table() {
            Some(_) => {
                let mut inner = table.within("scopes", &name, value);
                let mut granted = reader.roles(&mut inner, "roles");
                let allow = reader.patterns(&mut inner, &["tools", "prompts", "resources"]);
                if let Some(text) = inner.string("ask") {
                    literals::check_literal(table.report(), "scope", &text);
                }
                if let Some(long) = inner.parsed("ask", scope_name) {
                    asked.insert(name.value.to_owned(), long.value);
                }
                inner.finish();
                granted.push(Arc::new(Role { allow, ..Role::named(&role) }));
                granted
            }
            None => {
                let texts = table.texts("scopes", value);
                let tools = reader.tools(table, "scopes", texts, Whose::Scope);
                let allow = Patterns { tools, ..Patterns::default() };
                vec![Arc::new(Role { allow, ..Role::named(&role) })]
            }
        };
        scopes.insert(name.value.to_owned(), granted);
    }
    (scopes, asked)
}

/// `scope-token` of RFC 6749 3.3.
fn scope_name(text: &str) -> Result<String, String> {
    let is_legal = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    match !text.is_empty() && text.bytes().all(is_legal) {
        true => Ok(text.to_owned()),
        false => Err("is not a scope".to_owned()),
    }
}

fn initial_scopes(table: &mut Table<'_>, scopes: &BTreeMap<String, Vec<Arc<Role>>>) -> Vec<String> {
    let texts = table.strings("initial_scopes");
    if table.value("initial_scopes").is_none() {
        return scopes.keys().cloned().collect();
    }
    for text in texts.iter().filter(|text| scope_name(text.value).is_err()) {
        let message = format!("`{}` is not a scope", visible(text.value));
        table.report().error(Code::BadValue, text.span.clone(), message, "see RFC 6749 3.3");
    }
    texts.into_iter().map(|at| at.value.to_owned()).collect()
}

fn upstreams(table: &mut Table<'_>, reader: &Reader<'_>) -> Option<Vec<String>> {
    let texts = table.strings("upstreams");
    table.value("upstreams")?;
    for text in &texts {
        reader.check_upstream(table, text);
    }
    Some(texts.into_iter().map(|at| at.value.to_owned()).collect())
}
