//! Who may issue JWTs, and what their claims mean here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::harmless::visible;
use super::jwt::{Claims, Expected, JwtFault, Rejected, Unverified, found, one_of};
use super::keys::KeySet;
use super::permission::{Grants, Patterns, Permission, Question, Role, Target};
use super::principal::{BadIdentity, OrganizationId, Principal, Proof, UserId};
use super::token::UnixSeconds;
use super::trace::NoTrace;

/// What the claims begin with in which Zitadel names the organization of a user.
const ZITADEL_ORGANIZATION: &str = "urn:zitadel:iam:user:resourceowner:";

/// Where the organization of a caller is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Organization {
    /// In a claim.
    Claim(String),
    /// In the configuration: every caller of the issuer is of this one.
    Fixed(OrganizationId),
}

/// An issuer of JWTs (RFC 9068). Claims are named as [`JSON pointers`](https://www.rfc-editor.org/rfc/rfc6901)
/// where they begin with `/`. Where one text is wanted, an array of one text is as good.
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
    /// The claim that holds groups or roles: a string, an array of strings, or an object whose
    /// members have their names.
    pub roles_claim: Option<String>,
    /// What these give here; others give nothing.
    pub roles_map: BTreeMap<String, Arc<Role>>,
    /// What a scope gives, by its name in tokens.
    pub scopes: BTreeMap<String, Vec<Arc<Role>>>,
    /// By what name clients ask for a scope, where it is another than in tokens.
    pub asked: BTreeMap<String, String>,
    /// Scopes that a caller without a token is told to ask for.
    pub initial_scopes: Vec<String>,
}

impl Issuer {
    /// The principal whom `token` proves at the moment `now`, towards the protected resource with
    /// the URI `resource`.
    ///
    /// # Errors
    /// [`Rejected`]
    pub fn identify(
        self: &Arc<Self>,
        token: Unverified<'_>,
        resource: &str,
        keys: &KeySet,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Rejected> {
        let claims = token.verify(&self.algorithms, keys)?;
        self.expected(&self.audiences(resource)).check(&claims, now)?;
        self.principal(&claims).map(Arc::new)
    }

    /// By what alone another value of `iss` differs from this issuer's, where it is little: what is
    /// mistaken in configurations.
    #[must_use]
    pub fn difference(&self, named: &str) -> Option<&'static str> {
        let ours = self.issuer.as_str();
        let scheme = |text: &str| text.split_once("://").map(|(_, rest)| rest.to_owned());
        let version = |text: &str| text.trim_end_matches('/').trim_end_matches("/v2.0").to_owned();
        if named.trim_end_matches('/') == ours.trim_end_matches('/') {
            Some("a slash at its end")
        } else if named.eq_ignore_ascii_case(ours) {
            Some("the case of its letters")
        } else if scheme(named).is_some() && scheme(named) == scheme(ours) {
            Some("its scheme")
        } else if version(named) == version(ours) {
            Some("/v2.0 at its end")
        } else {
            None
        }
    }

    /// What may stand in `aud` of a token for `resource`.
    pub(super) fn audiences<'a>(&'a self, resource: &'a str) -> Vec<&'a str> {
        match self.audiences.as_slice() {
            [] => vec![resource],
            audiences => audiences.iter().map(String::as_str).collect(),
        }
    }

    pub(super) fn expected<'a>(&'a self, audiences: &'a [&'a str]) -> Expected<'a> {
        let Self { leeway, max_lifetime, .. } = *self;
        Expected { issuer: &self.issuer, audiences, leeway, max_lifetime }
    }

    /// Who somebody with these claims is.
    pub(super) fn principal(self: &Arc<Self>, claims: &Claims) -> Result<Principal, Rejected> {
        let user = self.user(claims)?;
        let organization = self.organization(claims)?;
        let scopes = self.known_scopes(claims);
        let (mapped, lack) = self.mapped(claims);
        let grants = Grants { roles: self.roles_of(mapped, &scopes), direct: Patterns::default() };
        let expires = claims.expires().map(|at| at.saturating_add(self.leeway));
        let (issuer, lack, key) = (Arc::clone(self), lack.map(Into::into), claims.key.clone());
        let proof = Proof::Jwt { issuer, scopes, lack, key };
        Ok(Principal::new(user, organization, proof, Arc::new(grants), expires))
    }

    pub(super) fn user(&self, claims: &Claims) -> Result<UserId, Rejected> {
        identity(claims, &self.user_claim, UserId::parse)
    }

    pub(super) fn organization(&self, claims: &Claims) -> Result<OrganizationId, Rejected> {
        match &self.organization {
            Organization::Fixed(organization) => Ok(organization.clone()),
            Organization::Claim(name) => identity(claims, name, OrganizationId::parse),
        }
    }

    /// The token's scopes that mean something here: `scope` (RFC 8693 4.2), or `scp`.
    pub(super) fn known_scopes(&self, claims: &Claims) -> Vec<String> {
        let claim = claims.get("scope").or_else(|| claims.get("scp"));
        let held: Vec<&str> = texts(claim).into_iter().flat_map(|list| list.split(' ')).collect();
        self.scopes.keys().filter(|scope| held.contains(&scope.as_str())).cloned().collect()
    }

    /// What the claim for roles gives; where it gives nothing, also why.
    pub(super) fn mapped(&self, claims: &Claims) -> (Vec<&Arc<Role>>, Option<String>) {
        let Some(name) = self.roles_claim.as_deref() else {
            return (Vec::new(), None);
        };
        let claim = claims.get(name);
        let groups = match claim {
            Some(Value::Object(members)) => self.members(members, claims),
            claim => texts(claim),
        };
        let mapped: Vec<_> = groups.iter().filter_map(|group| self.roles_map.get(*group)).collect();
        let lack = (mapped.is_empty() && !self.roles_map.is_empty()).then(|| {
            let expected = one_of(self.roles_map.keys().map(String::as_str));
            // More groups than fit into a token are named by their place (OpenID Connect 5.6.2).
            let elsewhere = claims.get("_claim_names").and_then(|names| names.get(name));
            let more =
                if elsewhere.is_some() { ", and _claim_names: they are elsewhere" } else { "" };
            format!("{}: expected {expected}, found {}{more}", visible(name), found(claim))
        });
        (mapped, lack)
    }

    /// The names of the members of an object that say something: true, or an object or an array
    /// with anything in it. Zitadel names there the organizations that gave the role; where the
    /// caller's organization is said by Zitadel, it must be one of them.
    fn members<'c>(&self, members: &'c Map<String, Value>, claims: &Claims) -> Vec<&'c str> {
        let organization = match &self.organization {
            Organization::Claim(name) if name.starts_with(ZITADEL_ORGANIZATION) => {
                Some(claims.text(name).unwrap_or_default())
            }
            _ => None,
        };
        let says = |value: &Value| match (value, organization) {
            (Value::Object(by), Some(organization)) => by
                .iter()
                .any(|(id, domain)| id == organization || domain.as_str() == Some(organization)),
            (_, Some(_)) => false,
            (Value::Object(by), None) => !by.is_empty(),
            (Value::Array(items), None) => !items.is_empty(),
            (value, None) => *value == Value::Bool(true),
        };
        members.iter().filter(|(_, value)| says(value)).map(|(name, _)| name.as_str()).collect()
    }

    /// The roles of every caller, of the claim, and of scopes.
    pub(super) fn roles_of(&self, mapped: Vec<&Arc<Role>>, scopes: &[String]) -> Vec<Arc<Role>> {
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
        let mut all: Vec<&str> = Vec::new();
        for scope in held.iter().chain([missing]).map(|scope| self.asked(scope)) {
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        Some(all.join(" "))
    }

    /// The name by which clients ask for a scope. With some providers (Entra) it is longer than in
    /// tokens.
    #[must_use]
    pub fn asked<'s>(&'s self, scope: &'s str) -> &'s str {
        self.asked.get(scope).map_or(scope, String::as_str)
    }
}

/// The identity in a claim.
fn identity<T>(
    claims: &Claims,
    name: &str,
    parse: impl Fn(&str) -> Result<T, BadIdentity>,
) -> Result<T, Rejected> {
    let parsed = claims.text(name).and_then(|text| parse(text).ok());
    parsed.ok_or_else(|| {
        let expected = "one text of 1 to 256 visible ASCII characters without blank or comma";
        Rejected::claim(JwtFault::Claim, name, expected, &found(claims.get(name)))
    })
}

/// A string, or the strings of an array.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
