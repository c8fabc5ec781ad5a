//! Who calls in an `[[expect]]`: a token, somebody with roles, or somebody with claims.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{is_json, json};
use crate::config::code::Code;
use crate::config::literals;
use crate::config::policy::Decides;
use crate::config::read::{At, Table, did_you_mean};
use crate::core::issuer::{Issuer, Organization};
use crate::core::jwt::Rejected;
use crate::core::policy::Route;
use crate::core::principal::{OrganizationId, UserId};
use crate::core::rehearsal::{self, Caller};
use crate::core::token::UnixSeconds;

/// Somebody who is meant.
pub(super) struct Meant {
    pub(super) caller: Caller,
    /// The token has expired or is revoked, and opens nothing.
    pub(super) is_over: bool,
    jwt: Option<(Arc<Issuer>, Map<String, Value>)>,
}

impl Meant {
    /// The holder of something that is good.
    fn good(caller: Caller) -> Self {
        Self { caller, is_over: false, jwt: None }
    }

    /// Why the JWT would open nothing at this route.
    pub(super) fn objection(&self, route: &Route, now: UnixSeconds) -> Option<Rejected> {
        let (issuer, claims) = self.jwt.as_ref()?;
        rehearsal::objection(route, issuer, claims, now)
    }
}

const WAYS: [&str; 3] = ["token", "roles", "issuer"];

/// Reads who is meant, but for what is `written` and could not be read; what does not belong to the way in which it is said is told.
pub(super) fn read(
    table: &mut Table<'_>,
    decides: &Decides,
    now: UnixSeconds,
    is_partial: bool,
    written: &dyn Fn(&str, &str) -> bool,
) -> Option<Meant> {
    let user = table.parsed("user", |text| UserId::parse(text).map_err(|why| why.to_string()));
    let parse = |text: &str| OrganizationId::parse(text).map_err(|why| why.to_string());
    let organization = table.parsed("organization", parse);
    let claims = claims(table);
    let given: Vec<&str> = WAYS.into_iter().filter(|key| table.value(key).is_some()).collect();
    let [way] = given[..] else {
        let message = "it must say who calls, in one way".to_owned();
        let help = "add token = \"NAME\", or roles = […], or issuer = \"NAME\" and claims = {…}";
        match given.is_empty() {
            true => table.lack(&WAYS, Code::Missing, table.span(), (message, help)),
            false => table.report().error(Code::Missing, table.span(), message, help),
        }
        return None;
    };
    warn_of_others(table, way);
    match way {
        "token" => token(table, decides, now, is_partial, written),
        "issuer" => {
            let name = table.string("issuer")?;
            let found = decides.issuers.iter().find(|spec| *spec.issuer.name == *name.value);
            let all = || decides.issuers.iter().map(|spec| spec.issuer.name.to_string()).collect();
            if found.is_none() && written("issuers", name.value) {
                return None;
            }
            let issuer = &known(table, &name, "issuer", found, all)?.issuer;
            let claims = claims?;
            check_claims(table, issuer);
            let caller = Caller::of_claims(issuer, claims.clone()).map_err(|fault| {
                table.report().error(Code::BadValue, name.span.clone(), fault.to_string(), "");
            });
            Some(Meant { jwt: Some((Arc::clone(issuer), claims)), ..Meant::good(caller.ok()?) })
        }
        _ => {
            let mut held = Vec::new();
            for name in &table.strings("roles") {
                let found = decides.roles.get(name.value).map(Arc::clone);
                let names = || decides.roles.keys().cloned().collect();
                held.push(known(table, name, "role", found, names)?);
            }
            let user = user.map_or_else(|| UserId::parse("user").ok(), |at| Some(at.value));
            let organization = organization
                .map_or_else(|| OrganizationId::parse("organization").ok(), |at| Some(at.value));
            Some(Meant::good(Caller::of_roles(user?, organization?, held)))
        }
    }
}

/// None that cannot be read; an absent key is no claims.
fn claims(table: &mut Table<'_>) -> Option<Map<String, Value>> {
    let Some(value) = table.value("claims") else { return Some(Map::new()) };
    if !value.get_ref().is_table() {
        table.wrong_kind("claims", value, "a table like { sub = \"ann\" }");
        return None;
    }
    is_json(table, "claims", value).then(|| json(value.get_ref()).as_object().cloned()).flatten()
}

/// Warns of what says who calls beside `way`, which says it already.
fn warn_of_others(table: &mut Table<'_>, way: &str) {
    let (why, others): (_, &[&'static str]) = match way {
        "token" => ("the token says who calls", &["user", "organization", "claims"]),
        "issuer" => ("the claims say who calls", &["user", "organization"]),
        _ => ("there is no `issuer`", &["claims"]),
    };
    for key in others {
        if let Some(value) = table.value(key) {
            let message = format!("`{key}` means nothing: {why}");
            table.report().warning(Code::Useless, value.span(), message, "leave it out");
        }
    }
}

fn token(
    table: &mut Table<'_>,
    decides: &Decides,
    now: UnixSeconds,
    is_partial: bool,
    written: &dyn Fn(&str, &str) -> bool,
) -> Option<Meant> {
    let name = table.string("token")?;
    let listed = decides.policy.tokens().list().find(|listed| listed.name == name.value);
    let is_over = listed.as_ref().is_some_and(|listed| listed.failure(now).is_some());
    if is_over {
        let message = format!("token `{}` is over, and nothing is allowed to it", name.value);
        let help = "what is expected here is about nobody; name another token, or roles = […]";
        table.report().warning(Code::Over, name.span.clone(), message, help);
    }
    if listed.is_none() && (is_partial || written("tokens", name.value)) {
        return None;
    }
    let names = || decides.policy.tokens().list().map(|listed| listed.name.to_owned()).collect();
    let caller = known(table, &name, "token", listed.as_ref().map(Caller::of_token), names)?;
    Some(Meant { is_over, ..Meant::good(caller) })
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
        let help = did_you_mean(name.value, &names());
        table.report().error(Code::Unknown, name.span.clone(), message, help);
    }
    found
}
