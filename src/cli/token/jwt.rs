//! `doorward token verify` of a JWT: every check by name, and which upstreams would take it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Complaint, UnixSeconds, say};
use crate::config::{Config, IssuerKeys, IssuerSpec};
use crate::core::harmless::visible;
use crate::core::jwt::{Check, Unverified, Verdict};
use crate::core::keys::KeySet;
use crate::core::token::AuthFailure;
use crate::server;

/// The check that is another one for every upstream.
const AUDIENCE: &str = "aud";

/// What is known of one token.
struct Asked<'a> {
    token: Unverified<'a>,
    spec: &'a IssuerSpec,
    /// The keys, or why there are none.
    keys: Result<Arc<KeySet>, String>,
    now: UnixSeconds,
}

/// Explains a JWT that is in no table; true where an upstream would take it.
pub(super) fn explain(
    config: &Config,
    text: &str,
    is_offline: bool,
    now: UnixSeconds,
) -> Result<bool, Complaint> {
    let token = match Unverified::read(text) {
        Ok(token) => token,
        Err(why) => {
            say(&format!("form: a JWT that is not read: {why}\nstate: refused, malformed\n"))?;
            return Ok(false);
        }
    };
    let mut out = format!("form: a JWT, {}\n", token.header());
    let named = config.issuers.iter().find(|spec| Some(&*spec.issuer.issuer) == token.issuer());
    let Some(spec) = named else {
        say(&(out + &foreign(config, &token)))?;
        return Ok(false);
    };
    out += &format!("issuer: {}\n", spec.issuer.name);
    let keys = match is_offline && matches!(spec.keys, IssuerKeys::Url { .. }) {
        true => Err("jwks_url is not asked with --offline".to_owned()),
        false => server::keys::of(spec),
    };
    let asked = Asked { token, spec, keys, now };
    let (lines, is_taken) = asked.explained(config);
    say(&(out + &lines))?;
    Ok(is_taken)
}

/// A token of nobody who is known here.
fn foreign(config: &Config, token: &Unverified<'_>) -> String {
    let found = token.shown("iss");
    let mut out = String::new();
    for spec in &config.issuers {
        let near = token.issuer().and_then(|named| spec.issuer.difference(named));
        let near = near.map_or_else(String::new, |how| format!(": it differs by {how}"));
        let (name, expected) = (&spec.issuer.name, visible(&spec.issuer.issuer));
        out += &format!("issuer {name}: iss: expected \"{expected}\", found {found}{near}\n");
    }
    if config.issuers.is_empty() {
        out += &format!("issuer: the configuration has none, and the token is of {found}\n");
    }
    out + "state: refused, bad_issuer\n"
}

impl Asked<'_> {
    /// The checks, and whether an upstream would take the token.
    fn explained(&self, config: &Config) -> (String, bool) {
        let issuer = &self.spec.issuer;
        let routes: BTreeMap<&str, _> = config
            .policy
            .routes()
            .filter_map(|(_, route)| Some((&*route.upstream, route.protected.as_ref()?)))
            .filter(|(upstream, _)| self.spec.serves(upstream))
            .collect();
        let examined = |resource: &str| {
            let keys = self.keys.as_deref().map_err(Clone::clone);
            self.token.examine(issuer, resource, keys, self.now)
        };
        let mut out = String::new();
        let for_all = routes.values().next().map_or("", |protected| protected.resource());
        for check in examined(for_all).iter().filter(|check| check.about != AUDIENCE) {
            out += &line(check);
        }
        let (roles, lack) = self.token.roles(issuer);
        match roles.as_slice() {
            [] => out += "roles: none\n",
            roles => out += &format!("roles: {}\n", roles.join(", ")),
        }
        out += &lack.map_or_else(String::new, |lack| format!("roles: {lack}\n"));
        let scopes = self.token.scopes(issuer);
        if !scopes.is_empty() {
            out += &format!("scopes: {}\n", scopes.join(", "));
        }
        let mut is_taken = false;
        for (upstream, protected) in &routes {
            let checks = examined(protected.resource());
            let audience = checks.iter().filter(|check| check.about == AUDIENCE);
            let audience: String =
                audience.map(|check| format!("upstream {upstream}: {}", line(check))).collect();
            let (state, takes) = state(&checks);
            is_taken |= takes;
            out += &format!("{audience}upstream {upstream}: {state}\n");
        }
        if routes.is_empty() {
            out += "state: the issuer is for no upstream\n";
        }
        (out, is_taken)
    }
}

fn line(check: &Check) -> String {
    let about = visible(&check.about);
    match &check.verdict {
        // The detail begins with the name, where it is about a claim.
        Verdict::Bad(rejected) => {
            let detail = rejected.detail.strip_prefix(&format!("{about}: "));
            format!("{about}: bad, {}\n", detail.unwrap_or(&rejected.detail))
        }
        Verdict::Good(said) if said == "good" => format!("{about}: good\n"),
        Verdict::Good(said) => format!("{about}: good, {said}\n"),
        Verdict::Open(why) => format!("{about}: not checked: {}\n", visible(why)),
    }
}

/// What an upstream would make of it, in the words of records.
fn state(checks: &[Check]) -> (String, bool) {
    let bad = checks.iter().find_map(|check| match &check.verdict {
        Verdict::Bad(rejected) => Some(AuthFailure::Jwt(rejected.fault)),
        Verdict::Good(_) | Verdict::Open(_) => None,
    });
    let is_open = checks.iter().any(|check| matches!(check.verdict, Verdict::Open(_)));
    match bad {
        Some(failure) => (format!("refused, {}", failure.as_str()), false),
        None if is_open => ("taken, if the signature is good".to_owned(), false),
        None => ("taken".to_owned(), true),
    }
}
