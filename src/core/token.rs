//! The token table: from a presented secret to a principal.
//!
//! The table holds SHA-256 digests of random tokens, never the tokens. A token is found by its
//! digest, so ten entries cost the same per request as a hundred thousand, and the digests are
//! compared in constant time. A slow password hash would only be a denial of service on oneself:
//! nothing can be guessed about 128 random bits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use subtle::ConstantTimeEq as _;

use super::jwt::JwtFault;
use super::permission::Grants;
use super::principal::{Digest, OrganizationId, PresentedToken, Principal, Proof, UserId};

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;

/// One entry as the configuration gives it.
#[derive(Debug)]
pub struct TokenSpec {
    /// The name that stands for the token in logs and audit.
    pub name: Arc<str>,
    /// SHA-256 of the token, where there is one.
    pub digest: Option<Digest>,
    /// A subject alternative name of a client certificate that is as good, behind `dns:`, `uri:`
    /// or `email:`.
    pub certificate: Option<Arc<str>>,
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
    /// A JWT that proves nothing.
    Jwt(JwtFault),
    /// A JWT whose issuer's keys are not known.
    KeysUnavailable,
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
            Self::Expired | Self::Jwt(JwtFault::Expired) => "expired",
            Self::Jwt(JwtFault::Audience) => "bad_audience",
            Self::Jwt(JwtFault::Claim(_)) => "bad_claim",
            Self::Jwt(JwtFault::Issuer) => "bad_issuer",
            Self::Jwt(JwtFault::Malformed(_)) => "malformed",
            Self::Jwt(JwtFault::Signature) => "bad_signature",
            Self::Jwt(JwtFault::TooEarly) => "not_yet_valid",
            Self::Jwt(JwtFault::UnknownKey) => "unknown_key",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::Repeated => "repeated",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }

    /// What can be wrong with a token of the table or the lack of one, for metrics that show a
    /// zero before the first failure.
    pub const OF_TOKENS: [Self; 6] = [
        Self::Expired,
        Self::Malformed,
        Self::Missing,
        Self::Repeated,
        Self::Revoked,
        Self::Unknown,
    ];

    /// What can be wrong with a JWT.
    pub const OF_JWTS: [Self; 9] = [
        Self::Jwt(JwtFault::Audience),
        Self::Jwt(JwtFault::Claim("")),
        Self::Jwt(JwtFault::Expired),
        Self::Jwt(JwtFault::Issuer),
        Self::Jwt(JwtFault::Malformed("")),
        Self::Jwt(JwtFault::Signature),
        Self::Jwt(JwtFault::TooEarly),
        Self::Jwt(JwtFault::UnknownKey),
        Self::KeysUnavailable,
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
    principal: Arc<Principal>,
    expires: Option<UnixSeconds>,
    revoked: Option<UnixSeconds>,
    /// An entry with a token and a certificate stands in both maps, and counts once.
    is_counted: bool,
    /// The name in certificates that is as good as the token.
    certificate: Option<Arc<str>>,
    /// When the token, or the certificate, was last used; earlier tables share it. 0 is never.
    used: Arc<AtomicI64>,
}

impl Entry {
    fn identify(&self, now: UnixSeconds) -> Result<Arc<Principal>, Unidentified> {
        match self.failure(now) {
            Some(failure) => {
                let token_name = self.principal.token_name().map(Arc::from);
                Err(Unidentified { failure, token_name })
            }
            None => {
                // Most uses come within the second of another.
                if self.used.load(Ordering::Relaxed) < now {
                    self.used.store(now, Ordering::Relaxed);
                }
                Ok(Arc::clone(&self.principal))
            }
        }
    }

    /// Why it is not valid at the moment `now`.
    fn failure(&self, now: UnixSeconds) -> Option<AuthFailure> {
        failure(self.revoked, self.expires, now)
    }
}

/// An entry as an operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'t> {
    /// Its name.
    pub name: &'t str,
    /// Whom it identifies, while it is valid.
    pub principal: &'t Arc<Principal>,
    /// From this moment on it is no longer valid; `None` for never.
    pub expires: Option<UnixSeconds>,
    /// From this moment on it is revoked.
    pub revoked: Option<UnixSeconds>,
    /// The name in client certificates that is as good.
    pub certificate: Option<&'t str>,
}

impl<'t> Listed<'t> {
    fn of(entry: &'t Entry) -> Self {
        let name = entry.principal.token_name().unwrap_or_default();
        let Entry { principal, expires, revoked, certificate, .. } = entry;
        let certificate = certificate.as_deref();
        Self { name, principal, expires: *expires, revoked: *revoked, certificate }
    }

    /// Why it is not valid at the moment `now`.
    #[must_use]
    pub fn failure(&self, now: UnixSeconds) -> Option<AuthFailure> {
        failure(self.revoked, self.expires, now)
    }
}

/// A token that is both counts as revoked: its use is worth a look.
fn failure(
    revoked: Option<UnixSeconds>,
    expires: Option<UnixSeconds>,
    now: UnixSeconds,
) -> Option<AuthFailure> {
    if revoked.is_some_and(|at| at <= now) {
        Some(AuthFailure::Revoked)
    } else if expires.is_some_and(|at| at <= now) {
        Some(AuthFailure::Expired)
    } else {
        None
    }
}

/// What has become of a principal since it was identified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It may do something else now, or is somebody else.
    Changed,
    /// It would not be identified any more.
    Lost(AuthFailure),
    /// Nothing.
    Same,
}

/// How many tokens that are no longer in the table are remembered as revoked.
const MAX_REMOVED: usize = 100_000;

/// All tokens, by digest, and the names in certificates that are as good.
#[derive(Debug, Default)]
pub struct TokenTable {
    len: usize,
    entries: HashMap<Digest, Entry>,
    certificates: HashMap<Arc<str>, Entry>,
    /// Names of tokens that an earlier table had.
    removed: HashMap<Digest, Arc<str>>,
}

impl TokenTable {
    /// Builds the table. The configuration has made sure that no digest occurs twice; if one
    /// does, the later entry counts.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = TokenSpec>) -> Self {
        let mut table = Self::default();
        for spec in specs {
            let TokenSpec { name, user, organization, expires, revoked, .. } = spec;
            let grants = Arc::new(spec.grants);
            // What ends first ends the streams, too.
            let until = [expires, revoked].into_iter().flatten().min();
            let used = Arc::<AtomicI64>::default();
            let entry = |proof, is_counted| {
                let (user, organization) = (user.clone(), organization.clone());
                let principal =
                    Principal::new(user, organization, proof, Arc::clone(&grants), until);
                let (principal, used) = (Arc::new(principal), Arc::clone(&used));
                let certificate = spec.certificate.clone();
                Entry { principal, expires, revoked, is_counted, certificate, used }
            };
            if let Some(digest) = spec.digest {
                let proof = Proof::Token { entry: Arc::clone(&name), digest };
                table.entries.insert(digest, entry(proof, true));
            }
            if let Some(certificate) = &spec.certificate {
                let shown = Arc::clone(certificate);
                let proof = Proof::Certificate { entry: Arc::clone(&name), name: shown };
                let name = Arc::clone(certificate);
                table.certificates.insert(name, entry(proof, spec.digest.is_none()));
            }
            table.len += 1;
        }
        table
    }

    /// This table after `before`: what is in that one and not in this was taken out, and its use
    /// is the use of a revoked token.
    #[must_use]
    pub fn replacing(mut self, before: &Self) -> Self {
        for (digest, entry) in &mut self.entries {
            if let Some(before) = before.entries.get(digest) {
                entry.used = Arc::clone(&before.used);
            }
        }
        for (name, entry) in &mut self.certificates {
            if let Some(before) = before.certificates.get(name) {
                entry.used = Arc::clone(&before.used);
            }
        }
        let taken_out = before.entries.iter().filter_map(|(digest, entry)| {
            entry.principal.token_name().map(|name| (*digest, Arc::from(name)))
        });
        let earlier = before.removed.iter().map(|(digest, name)| (*digest, Arc::clone(name)));
        let missing = taken_out.chain(earlier).filter(|(d, _)| !self.entries.contains_key(d));
        self.removed = missing.take(MAX_REMOVED).collect();
        self
    }

    fn find(&self, digest: &Digest) -> Option<&Entry> {
        // The map has compared them already, but not in constant time.
        let (found, entry) = self.entries.get_key_value(digest)?;
        bool::from(found.ct_eq(digest)).then_some(entry)
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
        let Some(entry) = self.find(&digest) else {
            let removed = self.removed.get(&digest).cloned();
            let failure = removed.as_ref().map_or(AuthFailure::Unknown, |_| AuthFailure::Revoked);
            return Err(Unidentified { failure, token_name: removed });
        };
        entry.identify(now)
    }

    /// The principal whom a verified client certificate with these names proves at the moment
    /// `now`. One that several entries name proves nobody.
    ///
    /// # Errors
    /// [`Unidentified`] for one that is unknown, revoked or expired.
    pub fn identify_certificate(
        &self,
        names: &[Arc<str>],
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Unidentified> {
        let mut named = names.iter().filter_map(|name| self.certificates.get(name));
        match (named.next(), named.next()) {
            (Some(entry), None) => entry.identify(now),
            _ => Err(AuthFailure::Unknown.into()),
        }
    }

    /// What has become of a principal that this table, or an earlier one, identified.
    #[must_use]
    pub fn standing(&self, held: &Principal, now: UnixSeconds) -> Standing {
        let entry = match held.proof() {
            Proof::Token { digest, .. } => self.find(digest),
            Proof::Certificate { name, .. } => self.certificates.get(name),
            Proof::Jwt { .. } => None,
        };
        match entry {
            None => Standing::Lost(AuthFailure::Revoked),
            Some(entry) => match entry.failure(now) {
                Some(failure) => Standing::Lost(failure),
                None if *entry.principal == *held => Standing::Same,
                None => Standing::Changed,
            },
        }
    }

    /// Every entry once, in no order.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        let all = self.entries.values().chain(self.certificates.values());
        all.filter(|entry| entry.is_counted).map(Listed::of)
    }

    /// The entry with this digest.
    #[must_use]
    pub fn list_one(&self, digest: &Digest) -> Option<Listed<'_>> {
        self.find(digest).map(Listed::of)
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are in which state at the moment `now`.
    #[must_use]
    pub fn census(&self, now: UnixSeconds) -> Census {
        let mut census = Census::default();
        let all = self.entries.values().chain(self.certificates.values());
        for entry in all.filter(|entry| entry.is_counted) {
            match entry.failure(now) {
                Some(AuthFailure::Revoked) => census.revoked += 1,
                Some(_) => census.expired += 1,
                None => {
                    census.active += 1;
                    let end = [entry.expires, entry.revoked].into_iter().flatten().min();
                    let left = end.map_or(UnixSeconds::MAX, |end| end - now);
                    let used = entry.used.load(Ordering::Relaxed);
                    for ((_, seconds), [ending, active]) in SPANS.iter().zip(&mut census.within) {
                        *ending += usize::from(left <= *seconds);
                        *active += usize::from(used > 0 && now - used <= *seconds);
                    }
                }
            }
        }
        census
    }
}

/// Spans of time in which tokens are counted, by the words for them in metrics.
pub const SPANS: [(&str, UnixSeconds); 4] =
    [("1d", 86_400), ("7d", 7 * 86_400), ("30d", 30 * 86_400), ("90d", 90 * 86_400)];

/// How many tokens are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Valid.
    pub active: usize,
    /// Expired.
    pub expired: usize,
    /// Revoked.
    pub revoked: usize,
    /// For each of [`SPANS`], how many of the valid ones will end within it, and how many were
    /// used within it by this process.
    pub within: [[usize; 2]; 4],
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn spec(secret: &str, expires: Option<i64>, revoked: Option<i64>) -> TokenSpec {
        TokenSpec {
            name: "entry".into(),
            digest: Some(Sha256::digest(secret).into()),
            certificate: None,
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
        let census = Census { expired: 1, revoked: 1, ..Census::default() };
        assert_eq!(table.census(200), census);
    }

    #[test]
    fn tokens_are_counted_by_their_end_and_by_their_use() {
        let specs = || {
            [("a", Some(86_500)), ("b", Some(86_401 * 7)), ("c", None)]
                .map(|(secret, expires)| spec(secret, expires, None))
        };
        let table = TokenTable::new(specs());
        assert_eq!(table.census(100).within, [[1, 0], [2, 0], [2, 0], [2, 0]]);
        identify(&table, "a", 100).unwrap();
        identify(&table, "c", 100).unwrap();
        identify(&table, "c", 50).unwrap();
        assert_eq!(table.census(100).within, [[1, 2], [2, 2], [2, 2], [2, 2]]);
        let later = TokenTable::new(specs()).replacing(&table);
        assert_eq!(later.census(86_401 + 100).within, [[0, 0], [1, 1], [1, 1], [1, 1]]);
    }

    #[test]
    fn a_token_that_was_taken_out_counts_as_revoked_until_it_is_back() {
        let both = TokenTable::new([spec("a", None, None), spec("b", None, None)]);
        let one = TokenTable::new([spec("b", None, None)]).replacing(&both);
        assert_eq!(identify(&one, "a", 0), Err(AuthFailure::Revoked));
        let still = TokenTable::new([spec("b", None, None)]).replacing(&one);
        assert_eq!(identify(&still, "a", 0), Err(AuthFailure::Revoked));
        assert_eq!(identify(&still, "c", 0), Err(AuthFailure::Unknown));
        let back = TokenTable::new([spec("a", None, None)]).replacing(&still);
        assert_eq!(identify(&back, "a", 0), Ok("alice".into()));
        assert_eq!(identify(&back, "b", 0), Err(AuthFailure::Revoked));
    }

    #[test]
    fn a_later_table_knows_what_has_become_of_a_principal() {
        let token = PresentedToken::from_authorization("Bearer a").unwrap();
        let before = TokenTable::new([spec("a", None, None)]);
        let held = before.identify(token, 0).unwrap();
        let standing = |spec| TokenTable::new([spec]).standing(&held, 60);
        assert_eq!(standing(spec("a", None, None)), Standing::Same);
        assert_eq!(standing(spec("a", Some(100), None)), Standing::Changed);
        assert_eq!(standing(spec("a", Some(50), None)), Standing::Lost(AuthFailure::Expired));
        assert_eq!(standing(spec("a", None, Some(50))), Standing::Lost(AuthFailure::Revoked));
        assert_eq!(standing(spec("b", None, None)), Standing::Lost(AuthFailure::Revoked));
        let mut granted = spec("a", None, None);
        granted.grants.roles.push(Arc::default());
        assert_eq!(standing(granted), Standing::Changed);
        let moved = TokenSpec { user: UserId::parse("bob").unwrap(), ..spec("a", None, None) };
        assert_eq!(standing(moved), Standing::Changed);
    }
}
