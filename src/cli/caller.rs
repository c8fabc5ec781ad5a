//! Whom a question is about: a token, a user with all tokens, or somebody with roles or claims.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::talk::{Complaint, spelled};
use crate::config::{self, Config, did_you_mean};
use crate::core::harmless::visible;
use crate::core::principal::{OrganizationId, Principal, UserId};
use crate::core::rehearsal::Caller;
use crate::core::token::{AuthFailure, Listed, UnixSeconds};

/// Somebody who is in no table.
#[derive(Args, Debug)]
pub(super) struct Assumed {
    /// Somebody with this role; more than once for several
    #[arg(long = "role", value_name = "ROLE", conflicts_with = "issuer")]
    roles: Vec<String>,
    /// Somebody with a JWT of this issuer
    #[arg(long, value_name = "ISSUER", requires = "claims")]
    issuer: Option<String>,
    /// The claims of that JWT, a file with a JSON object
    #[arg(long, value_name = "FILE", requires = "issuer")]
    claims: Option<PathBuf>,
    /// The user of somebody with roles
    #[arg(long, default_value = "user", value_name = "USER")]
    user: String,
    /// The organization of somebody with roles
    #[arg(long, default_value = "organization", value_name = "ORGANIZATION")]
    organization: String,
}

/// Somebody who might call.
pub(super) struct Asked {
    /// How they are called in answers.
    pub(super) name: String,
    pub(super) caller: Caller,
    /// Why their token is worth nothing now.
    pub(super) failure: Option<AuthFailure>,
}

impl Asked {
    pub(super) fn of_token(listed: &Listed<'_>, now: UnixSeconds) -> Self {
        let name = listed.name.to_owned();
        Self { name, caller: Caller::of_token(listed), failure: listed.failure(now) }
    }

    pub(super) fn principal(&self) -> &Principal {
        self.caller.principal()
    }
}

impl Assumed {
    pub(super) fn is_given(&self) -> bool {
        !self.roles.is_empty() || self.issuer.is_some()
    }

    pub(super) fn asked(&self, config: &Config) -> Result<Asked, Complaint> {
        let caller = match &self.issuer {
            Some(issuer) => self.with_claims(config, issuer)?,
            None => with_roles(config, &self.roles, &self.user, &self.organization)?,
        };
        let name = caller.principal().user().as_str().to_owned();
        Ok(Asked { name, caller, failure: None })
    }

    fn with_claims(&self, config: &Config, issuer: &str) -> Result<Caller, Complaint> {
        let spec = config.issuers.iter().find(|spec| &*spec.issuer.name == issuer);
        let spec = spec.ok_or_else(|| {
            let names: Vec<&str> = config.issuers.iter().map(|spec| &*spec.issuer.name).collect();
            format!("there is no issuer `{}`; {}", visible(issuer), did_you_mean(issuer, &names))
        })?;
        let path = self.claims.clone().unwrap_or_default();
        let text = config::read_text_file(&path)
            .map_err(|error| format!("{} cannot be read: {error}", spelled(&path)))?;
        let claims: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| format!("{} is not a JSON object: {error}", spelled(&path)))?;
        let caller = Caller::of_claims(&spec.issuer, claims);
        caller.map_err(|fault| format!("these claims prove nobody: {fault}").into())
    }
}

/// Somebody with these roles.
pub(super) fn with_roles(
    config: &Config,
    roles: &[String],
    user: &str,
    organization: &str,
) -> Result<Caller, Complaint> {
    let mut held = Vec::new();
    for name in roles {
        let role = config.roles.get(name).ok_or_else(|| {
            let names: Vec<&str> = config.roles.keys().map(String::as_str).collect();
            format!("there is no role `{}`; {}", visible(name), did_you_mean(name, &names))
        })?;
        held.push(std::sync::Arc::clone(role));
    }
    let user = UserId::parse(user).map_err(|why| format!("the user {why}"))?;
    let organization =
        OrganizationId::parse(organization).map_err(|why| format!("the organization {why}"))?;
    Ok(Caller::of_roles(user, organization, held))
}

/// The token of this name, or all tokens of the user of this name.
pub(super) fn named(
    config: &Config,
    name: &str,
    now: UnixSeconds,
) -> Result<Vec<Asked>, Complaint> {
    let tokens = || config.policy.tokens().list();
    if let Some(listed) = tokens().find(|listed| listed.name == name) {
        return Ok(vec![Asked::of_token(&listed, now)]);
    }
    let of_user = tokens().filter(|listed| listed.principal.user().as_str() == name);
    let mut found: Vec<Asked> = of_user.map(|listed| Asked::of_token(&listed, now)).collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if found.is_empty() {
        let names: Vec<&str> =
            tokens().flat_map(|listed| [listed.name, listed.principal.user().as_str()]).collect();
        let hint = did_you_mean(name, &names);
        let help = "for callers with a JWT: --role, or --issuer and --claims";
        return Err(
            format!("there is no token and no user `{}`; {hint}{help}", visible(name)).into()
        );
    }
    Ok(found)
}

/// Everybody in the table, by name.
pub(super) fn everybody(config: &Config, now: UnixSeconds) -> Vec<Asked> {
    let mut all: Vec<Asked> =
        config.policy.tokens().list().map(|listed| Asked::of_token(&listed, now)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}
