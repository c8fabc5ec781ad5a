//! Why a caller is not known, and the words for it.

use std::sync::Arc;

use crate::core::jwt::{JwtFault, Rejected};

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
            Self::Jwt(JwtFault::Claim) => "bad_claim",
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
        Self::Jwt(JwtFault::Claim),
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
    /// The name of the issuer that a JWT says to be of.
    pub issuer: Option<Arc<str>>,
    /// More about the failure of a JWT.
    pub rejected: Option<Box<Rejected>>,
    /// More about a failure that is not in what was shown, or before it could be read.
    pub cause: Option<String>,
}

impl From<AuthFailure> for Unidentified {
    fn from(failure: AuthFailure) -> Self {
        Self { failure, token_name: None, issuer: None, rejected: None, cause: None }
    }
}

impl From<Rejected> for Unidentified {
    fn from(rejected: Rejected) -> Self {
        let failure = AuthFailure::Jwt(rejected.fault);
        Self { rejected: Some(Box::new(rejected)), ..failure.into() }
    }
}

impl Unidentified {
    /// The same, of a JWT that says to be of this issuer.
    #[must_use]
    pub fn of(self, issuer: &Arc<str>) -> Self {
        Self { issuer: Some(Arc::clone(issuer)), ..self }
    }

    /// The same, by a configuration that is not in force and only takes away.
    #[must_use]
    pub fn by_what_waits(mut self) -> Self {
        let details = self.rejected.as_mut().map(|rejected| &mut rejected.detail);
        for detail in details.into_iter().chain(&mut self.cause) {
            detail.insert_str(0, "by the configuration that waits: ");
        }
        self
    }

    /// The same, with more about why.
    #[must_use]
    pub fn since(self, cause: String) -> Self {
        Self { cause: Some(cause), ..self }
    }

    /// More about why, for operators.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match (&self.rejected, &self.cause) {
            (Some(rejected), Some(cause)) => Some(format!("{}; {cause}", rejected.detail)),
            (Some(rejected), None) => Some(rejected.detail.clone()),
            (None, cause) => cause.clone(),
        }
    }
}
