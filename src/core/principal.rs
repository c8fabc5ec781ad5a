//! Who is calling: identities that are always legal header values, and the secret that proves one.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::issuer::Issuer;
use super::keys::KeyMark;
use super::permission::{Grants, Judged, Question};
use super::token::UnixSeconds;
use super::trace::Trace;

/// Longest identity value in bytes.
const MAX_IDENTITY: usize = 256;

/// Why a text cannot be an identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadIdentity;

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {MAX_IDENTITY} visible ASCII characters without blank or comma")
    }
}

/// A comma would let a reader that splits header lists see two identities in one.
fn parse_identity(text: &str) -> Result<Arc<str>, BadIdentity> {
    let legal = text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if legal && (1..=MAX_IDENTITY).contains(&text.len()) {
        Ok(text.into())
    } else {
        Err(BadIdentity)
    }
}

macro_rules! identity {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses 1 to 256 visible ASCII characters without blank or comma.
            ///
            /// # Errors
            /// [`BadIdentity`] for anything else.
            pub fn parse(text: &str) -> Result<Self, BadIdentity> {
                parse_identity(text).map(Self)
            }

            /// The value, safe to stand in a header.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

identity!(UserId, "The user on whose behalf a request is made; becomes `X-User-ID`.");
identity!(OrganizationId, "The organization of the user; becomes `X-Organization-ID`.");

/// What proved an identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// A bearer token of the token table.
    Token {
        /// The name of its entry.
        entry: Arc<str>,
        /// SHA-256 of the token.
        digest: Digest,
    },
    /// A client certificate that the token table names.
    Certificate {
        /// The name of its entry.
        entry: Arc<str>,
        /// The subject alternative name, behind its kind.
        name: Arc<str>,
        /// From this moment on the certificate proves nothing; of an entry that is not compared
        /// with one yet, the end of time.
        until: UnixSeconds,
    },
    /// A JWT.
    Jwt {
        /// Who issued it, by the rules of then.
        issuer: Arc<Issuer>,
        /// Its scopes, as far as they mean something here.
        scopes: Vec<String>,
        /// Why its claim for roles gives none, where that is so: expected and found.
        lack: Option<Arc<str>>,
        /// The key that has verified it; `None` where somebody only asks about such a caller.
        key: Option<KeyMark>,
    },
}

impl Proof {
    /// The word for it in metrics and audit.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Certificate { .. } => "mtls",
            Self::Jwt { .. } => "jwt",
        }
    }
}

/// An authenticated caller. Only the token table and issuers of JWTs make one; there is no
/// anonymous principal.
#[derive(Debug, PartialEq)]
pub struct Principal {
    user: UserId,
    organization: OrganizationId,
    proof: Proof,
    grants: Arc<Grants>,
    expires: Option<UnixSeconds>,
    bound: Option<Bound>,
}

/// The same caller by each of two policies, who may do only what both permit.
#[derive(Debug, PartialEq)]
struct Bound {
    /// By the policy in use.
    taken: Arc<Principal>,
    /// By the policy that waits.
    held: Arc<Principal>,
}

impl Principal {
    /// Somebody who was granted nothing: in whose name an operator asks what an upstream has.
    #[must_use]
    pub fn without_grants(user: UserId, organization: OrganizationId) -> Self {
        let proof = Proof::Token { entry: "-".into(), digest: [0; 32] };
        Self::new(user, organization, proof, Arc::default(), None)
    }

    pub(super) fn new(
        user: UserId,
        organization: OrganizationId,
        proof: Proof,
        grants: Arc<Grants>,
        expires: Option<UnixSeconds>,
    ) -> Self {
        Self { user, organization, proof, grants, expires, bound: None }
    }

    /// The same caller, until another moment.
    pub(super) fn until(&self, expires: Option<UnixSeconds>) -> Self {
        let (user, organization) = (self.user.clone(), self.organization.clone());
        Self::new(user, organization, self.proof.clone(), Arc::clone(&self.grants), expires)
    }

    /// The same caller, where a certificate proved it, by one that proves nothing from `until` on.
    pub(super) fn by_certificate(self: &Arc<Self>, until: UnixSeconds) -> Arc<Self> {
        let Proof::Certificate { entry, name, .. } = &self.proof else { return Arc::clone(self) };
        let proof = Proof::Certificate { entry: Arc::clone(entry), name: Arc::clone(name), until };
        let expires = self.expires.map_or(until, |own| own.min(until));
        let (user, organization) = (self.user.clone(), self.organization.clone());
        let grants = Arc::clone(&self.grants);
        Arc::new(Self::new(user, organization, proof, grants, Some(expires)))
    }

    /// The caller of `self` who may do only what `held`, the same proof by another policy, may do
    /// as well. Who it is, `self` says.
    #[must_use]
    pub fn bounded_by(self: &Arc<Self>, held: &Arc<Self>) -> Arc<Self> {
        if self == held {
            return Arc::clone(self);
        }
        Arc::new(Self {
            user: self.user.clone(),
            organization: self.organization.clone(),
            proof: self.proof.clone(),
            grants: Arc::clone(&self.grants),
            expires: [self.expires, held.expires].into_iter().flatten().min(),
            bound: Some(Bound { taken: Arc::clone(self), held: Arc::clone(held) }),
        })
    }

    /// The two of whom the caller is made, where it is [bounded](Self::bounded_by): by the policy
    /// in use, and by the one that waits.
    #[must_use]
    pub fn parts(&self) -> Option<(&Self, &Self)> {
        self.bound.as_ref().map(|bound| (&*bound.taken, &*bound.held))
    }

    /// Judges one target of one upstream for this caller. Every question about what somebody may
    /// do ends here.
    #[must_use]
    pub fn judge<T: Trace>(&self, question: &Question<'_>, trace: &mut T) -> Judged {
        let judged = self.grants.judge(question, trace);
        let Some(bound) = self.bound.as_ref().filter(|_| judged.passes()) else {
            return judged;
        };
        let held = bound.held.grants.judge(question, trace);
        if held.passes() { judged } else { held }
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The organization.
    #[must_use]
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// What proved the identity.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The name (never the secret) of the entry of the token table, where one proved the
    /// identity.
    #[must_use]
    pub fn token_name(&self) -> Option<&str> {
        match &self.proof {
            Proof::Token { entry, .. } | Proof::Certificate { entry, .. } => Some(entry),
            Proof::Jwt { .. } => None,
        }
    }

    /// The name of the issuer of the JWT, where one proved the identity.
    #[must_use]
    pub fn issuer_name(&self) -> Option<&str> {
        match &self.proof {
            Proof::Token { .. } | Proof::Certificate { .. } => None,
            Proof::Jwt { issuer, .. } => Some(&issuer.name),
        }
    }

    /// Why the JWT's claim for roles gives none, where that is so; for operators.
    #[must_use]
    pub fn lack(&self) -> Option<&str> {
        let own = match &self.proof {
            Proof::Token { .. } | Proof::Certificate { .. } => None,
            Proof::Jwt { lack, .. } => lack.as_deref(),
        };
        own.or_else(|| self.bound.as_ref()?.held.lack())
    }

    /// From this moment on the proof is worth nothing; `None` for never.
    #[must_use]
    pub fn expires(&self) -> Option<UnixSeconds> {
        self.expires
    }

    /// The first moment after `now` at which a role that is only tried out is enforced; `None` for
    /// never.
    #[must_use]
    pub fn next_enforced(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let held = self.bound.as_ref().map(|bound| &bound.held.grants);
        let roles = [Some(&self.grants), held].into_iter().flatten().flat_map(|g| &g.roles);
        let untils = roles.filter_map(|role| role.shadow).map(|shadow| shadow.until);
        untils.filter(|until| *until > now).min()
    }

    /// What the principal may do, as far as nothing [bounds](Self::bounded_by) it; for words about
    /// it. [`Self::judge`] decides.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.grants
    }
}

/// SHA-256 of a token.
pub type Digest = [u8; 32];

/// A bearer token as it came in. It cannot be printed: `Debug` masks it, and it has neither
/// `Display` nor `Serialize`.
#[derive(Clone, Copy)]
pub struct PresentedToken<'h>(&'h str);

impl<'h> PresentedToken<'h> {
    /// The token in the value of an `Authorization` header: the scheme `Bearer` in any case, then
    /// a `token68` (RFC 6750 2.1, RFC 9110 11.1). Its length is bounded with that of all headers
    /// (`limits.headers`), and by nothing else: JWTs with many groups get long.
    #[must_use]
    pub fn from_authorization(value: &'h str) -> Option<Self> {
        let (scheme, rest) = value.split_once(' ')?;
        let token = rest.trim_matches([' ', '\t']);
        let body = token.trim_end_matches('=');
        let is_token68 = !body.is_empty()
            && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        (is_bearer && is_token68).then_some(Self(token))
    }

    pub(super) fn text(self) -> &'h str {
        self.0
    }

    pub(super) fn digest(self) -> Digest {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_that_could_break_a_header_is_refused() {
        let long = "a".repeat(257);
        for bad in ["", "a b", "a,b", "a\r\nX-Org: b", "a\0", "é", "\u{7f}", long.as_str()] {
            assert_eq!(UserId::parse(bad), Err(BadIdentity), "{bad:?}");
        }
        for good in ["alice", "9cdd4c6c-a65d-464b-b3ba-64e6781fba2b", "a@b.example", "auth0|x"] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn only_a_bearer_token68_is_a_token() {
        let token = |v| PresentedToken::from_authorization(v).map(|t| t.0.to_owned());
        for good in ["Bearer abc", "bearer abc", "BEARER  abc ", "Bearer abc\t"] {
            assert_eq!(token(good).as_deref(), Some("abc"), "{good:?}");
        }
        assert_eq!(token("Bearer a-._~+/9==").as_deref(), Some("a-._~+/9=="));
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            "Bearer a b",
            "Bearer a,Bearer b",
            "Bearer \"abc\"",
            "Bearer token=abc!",
            "Bearerabc",
            "Bearer a\0",
            "Bearer =",
            "abc",
        ] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
        assert_eq!(token(&format!("Bearer {}", "a".repeat(1 << 20))).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_presented_token_cannot_be_printed() {
        let token = PresentedToken::from_authorization("Bearer s3cr3t").unwrap();
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }
}
