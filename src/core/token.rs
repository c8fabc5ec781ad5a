//! The token table: from a presented secret to a principal.
//!
//! The table holds SHA-256 digests of random tokens, never the tokens. A token is found by its
//! digest, so ten entries cost the same per request as a hundred thousand, and the digests are
//! compared in constant time. A slow password hash would only be a denial of service on oneself:
//! nothing can be guessed about 128 random bits.

use std::collections::HashMap;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::permission::Grants;
use super::principal::{Digest, OrganizationId, PresentedToken, Principal, UserId};

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;

/// One entry as the configuration gives it.
#[derive(Debug)]
pub struct TokenSpec {
    /// The name that stands for the token in logs and audit.
    pub name: Arc<str>,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// Whose identity it proves.
    pub user: UserId,
    /// The user's organization.
    pub organization: OrganizationId,
    /// What it permits.
    pub grants: Grants,
    /// From this moment on it is no longer valid; `None` for never.
    pub expires: Option<UnixSeconds>,
    /// From this moment on it is revoked.
    pub revoked: Option<UnixSeconds>,
}

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthFailure {
    /// The token's time is over.
    Expired,
    /// There is an `Authorization` header, but no bearer token in it.
    Malformed,
    /// There is no `Authorization` header.
    Missing,
    /// More than one `Authorization` header.
    Repeated,
    /// The token was revoked.
    Revoked,
    /// The token is in no table.
    Unknown,
}

impl AuthFailure {
    /// The word for it in metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }

    /// Every variant, for metrics that show a zero before the first failure.
    pub const ALL: [Self; 6] = [
        Self::Expired,
        Self::Malformed,
        Self::Missing,
        Self::Repeated,
        Self::Revoked,
        Self::Unknown,
    ];
}

/// A caller who could not be identified, with the name of the entry where one was found.
#[derive(Debug)]
pub struct Unidentified {
    /// Why.
    pub failure: AuthFailure,
    /// The expired or revoked token's name.
    pub token_name: Option<Arc<str>>,
}

impl From<AuthFailure> for Unidentified {
    fn from(failure: AuthFailure) -> Self {
        Self { failure, token_name: None }
    }
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    principal: Arc<Principal>,
    expires: Option<UnixSeconds>,
    revoked: Option<UnixSeconds>,
}

/// All tokens, by digest.
#[derive(Debug, Default)]
pub struct TokenTable {
    entries: HashMap<Digest, Entry>,
}

impl TokenTable {
    /// Builds the table. The configuration has made sure that no digest occurs twice; if one
    /// does, the later entry counts.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = TokenSpec>) -> Self {
        let entries = specs.into_iter().map(|spec| {
            let principal = Principal::new(spec.user, spec.organization, spec.name, spec.grants);
            let entry = Entry {
                digest: spec.digest,
                principal: Arc::new(principal),
                expires: spec.expires,
                revoked: spec.revoked,
            };
            (spec.digest, entry)
        });
        Self { entries: entries.collect() }
    }

    /// The principal whom `token` proves at the moment `now`.
    ///
    /// # Errors
    /// [`Unidentified`] for a token that is unknown, revoked or expired.
    pub fn identify(
        &self,
        token: PresentedToken<'_>,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Unidentified> {
        let digest = token.digest();
        let entry = self
            .entries
            .get(&digest)
            .filter(|entry| bool::from(entry.digest.ct_eq(&digest)))
            .ok_or(AuthFailure::Unknown)?;
        let failed = |failure| Unidentified {
            failure,
            token_name: Some(entry.principal.token_name().into()),
        };
        if entry.revoked.is_some_and(|at| at <= now) {
            Err(failed(AuthFailure::Revoked))
        } else if entry.expires.is_some_and(|at| at <= now) {
            Err(failed(AuthFailure::Expired))
        } else {
            Ok(Arc::clone(&entry.principal))
        }
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many are valid, expired and revoked at the moment `now`, in this order.
    #[must_use]
    pub fn states(&self, now: UnixSeconds) -> [usize; 3] {
        let revoked = |e: &&Entry| e.revoked.is_some_and(|at| at <= now);
        let expired = |e: &&Entry| !revoked(e) && e.expires.is_some_and(|at| at <= now);
        let revoked = self.entries.values().filter(revoked).count();
        let expired = self.entries.values().filter(expired).count();
        [self.entries.len() - revoked - expired, expired, revoked]
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn spec(secret: &str, expires: Option<i64>, revoked: Option<i64>) -> TokenSpec {
        TokenSpec {
            name: "entry".into(),
            digest: Sha256::digest(secret).into(),
            user: UserId::parse("alice").unwrap(),
            organization: OrganizationId::parse("dev-org").unwrap(),
            grants: Grants::default(),
            expires,
            revoked,
        }
    }

    fn identify(table: &TokenTable, secret: &str, now: i64) -> Result<String, AuthFailure> {
        let header = format!("Bearer {secret}");
        let token = PresentedToken::from_authorization(&header).unwrap();
        table.identify(token, now).map(|p| p.user().as_str().to_owned()).map_err(|u| u.failure)
    }

    #[test]
    fn only_the_exact_token_identifies() {
        let table = TokenTable::new([spec("dev-alice-token", None, None)]);
        assert_eq!(identify(&table, "dev-alice-token", 0), Ok("alice".into()));
        let digest = Sha256::digest("dev-alice-token");
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        for wrong in ["dev-alice-toke", "dev-alice-token1", "DEV-ALICE-TOKEN", hex.as_str()] {
            assert_eq!(identify(&table, wrong, 0), Err(AuthFailure::Unknown), "{wrong}");
        }
        assert_eq!(identify(&TokenTable::default(), "a", 0), Err(AuthFailure::Unknown));
    }

    #[test]
    fn expiry_and_revocation_take_effect_at_their_second() {
        let table = TokenTable::new([spec("a", Some(100), None), spec("b", Some(100), Some(50))]);
        assert_eq!(identify(&table, "a", 99), Ok("alice".into()));
        assert_eq!(identify(&table, "a", 100), Err(AuthFailure::Expired));
        assert_eq!(identify(&table, "b", 49), Ok("alice".into()));
        assert_eq!(identify(&table, "b", 50), Err(AuthFailure::Revoked));
        assert_eq!(identify(&table, "b", 200), Err(AuthFailure::Revoked));
        assert_eq!(table.states(200), [0, 1, 1]);
    }
}
