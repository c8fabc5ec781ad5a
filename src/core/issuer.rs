//! Who may issue JWTs, and what their claims mean here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::jwt::{Claims, Expected, JwtFault, Unverified};
use super::keys::KeySet;
use super::permission::{Grants, Patterns, Permission, Question, Role, Target};
use super::principal::{OrganizationId, Principal, Proof, UserId};
use super::token::UnixSeconds;
use super::trace::NoTrace;

/// Where the organization of a caller is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Organization {
    /// In a claim.
    Claim(String),
    /// In the configuration: every caller of the issuer is of this one.
    Fixed(OrganizationId),
}

/// An issuer of JWTs (RFC 9068). Claims are named as [`JSON pointers`](https://www.rfc-editor.org/rfc/rfc6901)
/// where they begin with `/`.
#[derive(Debug, PartialEq)]
pub struct Issuer {
    /// Its name in logs, metrics and records.
    pub name: Arc<str>,
    /// `iss`, exactly.
    pub issuer: String,
    /// What may stand in `aud`; the URI of the protected resource itself where empty.
    pub audiences: Vec<String>,
    /// How its tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may differ, in seconds; at most 60.
    pub leeway: i64,
    /// How far ahead `exp` may be, in seconds.
    pub max_lifetime: Option<i64>,
    /// The claim that holds the user.
    pub user_claim: String,
    /// The user's organization.
    pub organization: Organization,
    /// What every caller of the issuer may do.
    pub roles: Vec<Arc<Role>>,
    /// The claim that holds groups or roles: a string or an array of strings.
    pub roles_claim: Option<String>,
    /// What these give here; others give nothing.
    pub roles_map: BTreeMap<String, Arc<Role>>,
    /// What a scope gives.
    pub scopes: BTreeMap<String, Vec<Arc<Role>>>,
    /// Scopes that a caller without a token is told to ask for.
    pub initial_scopes: Vec<String>,
}

impl Issuer {
    /// The principal whom `token` proves at the moment `now`, towards the protected resource with
    /// the URI `resource`.
    ///
    /// # Errors
    /// [`JwtFault`]
    pub fn identify(
        self: &Arc<Self>,
        token: Unverified<'_>,
        resource: &str,
        keys: &KeySet,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, JwtFault> {
        let audiences: Vec<&str> = match self.audiences.as_slice() {
            [] => vec![resource],
            audiences => audiences.iter().map(String::as_str).collect(),
        };
        let expected = Expected {
            issuer: &self.issuer,
            audiences: &audiences,
            algorithms: &self.algorithms,
            leeway: self.leeway,
            max_lifetime: self.max_lifetime,
        };
        let claims = token.verify(&expected, keys, now)?;
        self.principal(&claims).map(Arc::new)
    }

    /// Who somebody with these claims is.
    pub(super) fn principal(self: &Arc<Self>, claims: &Claims) -> Result<Principal, JwtFault> {
        let user = claims.get(&self.user_claim).and_then(Value::as_str);
        let user = user.and_then(|text| UserId::parse(text).ok()).ok_or(JwtFault::Claim("user"))?;
        let organization = self.organization(claims)?;
        let scopes = self.known_scopes(claims);
        let grants = Grants { roles: self.roles(claims, &scopes), direct: Patterns::default() };
        let expires = claims.expires().map(|at| at.saturating_add(self.leeway));
        let proof = Proof::Jwt { issuer: Arc::clone(self), scopes };
        Ok(Principal::new(user, organization, proof, Arc::new(grants), expires))
    }

    fn organization(&self, claims: &Claims) -> Result<OrganizationId, JwtFault> {
        match &self.organization {
            Organization::Fixed(organization) => Ok(organization.clone()),
            Organization::Claim(name) => {
                let text = claims.get(name).and_then(Value::as_str);
                let parsed = text.and_then(|text| OrganizationId::parse(text).ok());
                parsed.ok_or(JwtFault::Claim("organization"))
            }
        }
    }

    /// The token's scopes that mean something here: `scope` (RFC 8693 4.2), or `scp`.
    fn known_scopes(&self, claims: &Claims) -> Vec<String> {
        let claim = claims.get("scope").or_else(|| claims.get("scp"));
        let held: Vec<&str> = match claim {
            Some(Value::String(list)) => list.split(' ').collect(),
            other => texts(other),
        };
        self.scopes.keys().filter(|scope| held.contains(&scope.as_str())).cloned().collect()
    }

    fn roles(&self, claims: &Claims, scopes: &[String]) -> Vec<Arc<Role>> {
        let groups = self.roles_claim.as_ref().map(|name| texts(claims.get(name)));
        let groups = groups.unwrap_or_default();
        let mapped = groups.into_iter().filter_map(|group| self.roles_map.get(group));
        let scoped = scopes.iter().filter_map(|scope| self.scopes.get(scope)).flatten();
        self.roles.iter().chain(mapped).chain(scoped).cloned().collect()
    }

    /// The scopes to ask for where one more would permit the use of `target`: those that the
    /// caller has, and that one. `None` where no single scope would.
    #[must_use]
    pub fn cure(
        &self,
        held: &[String],
        grants: &Grants,
        upstream: &str,
        target: Target<'_>,
    ) -> Option<String> {
        let (missing, _) =
            self.scopes.iter().filter(|(s, _)| !held.contains(s)).find(|(_, more)| {
                let roles = grants.roles.iter().chain(more.iter()).cloned().collect();
                let with = Grants { roles, direct: Patterns::default() };
                // What is only tried out cures nothing.
                let question =
                    Question { upstream, target, now: UnixSeconds::MAX, call: None, pins: None };
                with.judge(&question, &mut NoTrace).permission == Permission::Allowed
            })?;
        let all: Vec<&str> = held.iter().chain([missing]).map(String::as_str).collect();
        Some(all.join(" "))
    }
}

/// A string, or the strings of an array.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
