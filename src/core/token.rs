//! The token table: from a presented secret to a principal.
//!
//! The table holds SHA-256 digests of random tokens, never the tokens. A token is found by its
//! digest, so ten entries cost the same per request as a hundred thousand, and the digests are
//! compared in constant time. A slow password hash would only be a denial of service on oneself:
//! nothing can be guessed about 128 random bits.

mod census;
mod failure;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use subtle::ConstantTimeEq as _;

use super::permission::Grants;
use super::principal::{Digest, OrganizationId, PresentedToken, Principal, Proof, UserId};

pub use self::census::{Census, SPANS};
pub use self::failure::{AuthFailure, Unidentified};

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

#[derive(Clone, Debug)]
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
                Err(Unidentified { token_name, ..failure.into() })
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

    /// The same entry, revoked from `at` on.
    fn ended(&self, at: UnixSeconds) -> Self {
        let revoked = Some(self.revoked.map_or(at, |before| before.min(at)));
        let until = [self.expires, revoked].into_iter().flatten().min();
        let principal = Arc::new(self.principal.until(until));
        Self { principal, revoked, ..self.clone() }
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

/// Why an entry with these ends is not valid at the moment `now`. One that is both counts as
/// revoked: its use is worth a look.
#[must_use]
pub fn failure(
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
                let until = UnixSeconds::MAX;
                let proof = Proof::Certificate { entry: Arc::clone(&name), name: shown, until };
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

    /// This table, with these entries revoked from these moments on.
    #[must_use]
    pub fn ending(&self, ends: &BTreeMap<String, UnixSeconds>) -> Self {
        let end = |entry: &Entry| {
            let at = entry.principal.token_name().and_then(|name| ends.get(name));
            at.map_or_else(|| entry.clone(), |at| entry.ended(*at))
        };
        let entries = self.entries.iter().map(|(digest, entry)| (*digest, end(entry)));
        let certificates = self.certificates.iter();
        Self {
            len: self.len,
            entries: entries.collect(),
            certificates: certificates.map(|(name, entry)| (name.clone(), end(entry))).collect(),
            removed: self.removed.clone(),
        }
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
            return Err(Unidentified { token_name: removed, ..failure.into() });
        };
        entry.identify(now)
    }

    /// The principal whom a verified client certificate with these names, which proves nothing from
    /// `until` on, proves at the moment `now`. One that several entries name proves nobody.
    ///
    /// # Errors
    /// [`Unidentified`] for one that is unknown, revoked or expired.
    pub fn identify_certificate(
        &self,
        names: &[Arc<str>],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Unidentified> {
        let mut named = names.iter().filter_map(|name| self.certificates.get(name));
        match (named.next(), named.next()) {
            (Some(entry), None) => Ok(entry.identify(now)?.by_certificate(until)),
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
                None if *by_proof_of(held, &entry.principal) == *held => Standing::Same,
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
}

/// Who comes by `entry` with what `held` has shown.
fn by_proof_of(held: &Principal, entry: &Arc<Principal>) -> Arc<Principal> {
    match held.proof() {
        Proof::Certificate { until, .. } => entry.by_certificate(*until),
        Proof::Jwt { .. } | Proof::Token { .. } => Arc::clone(entry),
    }
}

#[cfg(test)]
mod tests;
