//! Every check of a token one by one, for people who want to know what is wrong with it; traffic
//! has no way here, and no principal leaves.

use std::sync::Arc;

use serde_json::Value;

use super::check::RULES;
use super::claims::Claims;
use super::rejected::{Rejected, found};
use super::{KeySet, Unverified};
use crate::core::issuer::{Issuer, Organization};
use crate::core::token::UnixSeconds;

/// One check of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What it is about: the name of a claim in the token, or `signature`.
    pub about: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It would be refused for this.
    Bad(Rejected),
    /// As it must be; holds what the token says, on one line.
    Good(String),
    /// It cannot be told; holds why.
    Open(String),
}

impl Check {
    fn of(about: &str, checked: Result<String, Rejected>) -> Self {
        let verdict = checked.map_or_else(Verdict::Bad, Verdict::Good);
        Self { about: about.to_owned(), verdict }
    }
}

impl Unverified<'_> {
    /// Header members that say how it is signed, on one line.
    #[must_use]
    pub fn header(&self) -> String {
        let member = |name| format!("{name} {}", found(self.header.get(name)));
        ["alg", "kid", "typ"].map(member).join(", ")
    }

    /// The value of a claim, by its name or a JSON pointer, on one line.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        found(Claims::assumed(self.claims.clone()).get(name))
    }

    /// Every check of [`Issuer::identify`] at the moment `now`, also behind one that fails;
    /// `Open` for the signature where there are no keys, for the reason `why`.
    #[must_use]
    pub fn examine(
        &self,
        issuer: &Arc<Issuer>,
        resource: &str,
        keys: Result<&KeySet, String>,
        now: UnixSeconds,
    ) -> Vec<Check> {
        let signature = match keys {
            Ok(keys) => {
                let checked = self.check_signature(&issuer.algorithms, keys);
                Check::of("signature", checked.map(|()| "good".to_owned()))
            }
            Err(why) => Check { about: "signature".to_owned(), verdict: Verdict::Open(why) },
        };
        let claims = Claims::new(self.claims.clone(), self.header.get("typ").cloned());
        let audiences = issuer.audiences(resource);
        let expected = issuer.expected(&audiences);
        let value = |name: &str| match name {
            "typ" => claims.kind.as_ref(),
            name => claims.get(name),
        };
        let rules = RULES.iter().map(|(name, rule)| {
            let checked = rule(&expected, &claims, now);
            Check::of(name, checked.map(|()| found(value(name))))
        });
        let user = issuer.user(&claims).map(|user| quoted(user.as_str()));
        let user = Check::of(&issuer.user_claim, user);
        let organization = match &issuer.organization {
            Organization::Claim(name) => {
                let organization = issuer.organization(&claims);
                Some(Check::of(name, organization.map(|named| quoted(named.as_str()))))
            }
            Organization::Fixed(_) => None,
        };
        [signature].into_iter().chain(rules).chain([user]).chain(organization).collect()
    }

    /// Its scopes that mean something to the issuer's row.
    #[must_use]
    pub fn scopes(&self, issuer: &Issuer) -> Vec<String> {
        issuer.known_scopes(&Claims::assumed(self.claims.clone()))
    }

    /// The names of the roles that it would give, and why the claim for roles gives none.
    #[must_use]
    pub fn roles(&self, issuer: &Arc<Issuer>) -> (Vec<String>, Option<String>) {
        let claims = Claims::assumed(self.claims.clone());
        let scopes = issuer.known_scopes(&claims);
        let (mapped, lack) = issuer.mapped(&claims);
        let roles = issuer.roles_of(mapped, &scopes);
        let mut names: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
        names.dedup();
        (names, lack)
    }
}

fn quoted(text: &str) -> String {
    found(Some(&Value::from(text)))
}
