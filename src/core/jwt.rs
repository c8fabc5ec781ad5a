//! JSON Web Tokens as access tokens (RFC 7519, RFC 9068), read by the rules of RFC 8725.
//!
//! A token chooses nothing: its issuer must be one of the configuration, its algorithm one that
//! the configuration allows and its key is for, and its key one that the issuer is known to have.
//! Whatever in a header could point elsewhere is refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::issuer::Issuer;
use super::json;
use super::keys::{KeySet, MAX_DEPTH, MAX_KID};
use super::token::UnixSeconds;

/// Header members that name keys or change what a signature covers (RFC 7515 4.1, RFC 7797).
const FORBIDDEN: [&str; 8] = ["b64", "crit", "cty", "jku", "jwk", "x5c", "x5u", "zip"];

/// Why a JWT proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwtFault {
    /// `aud` does not name us (RFC 8707).
    Audience,
    /// A claim is missing, of the wrong type, or cannot be an identity.
    Claim(&'static str),
    /// The moment of `exp` is past.
    Expired,
    /// `iss` is none of the configuration.
    Issuer,
    /// Not a JWT, or one whose header is not allowed.
    Malformed(&'static str),
    /// The signature is not one of the key, or the algorithm not one of the issuer.
    Signature,
    /// `nbf` or `iat` is still to come.
    TooEarly,
    /// The issuer is not known to have the key.
    UnknownKey,
}

impl fmt::Display for JwtFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audience => f.write_str("aud names somebody else"),
            Self::Claim(name) => write!(f, "claim {name} is missing or unfit"),
            Self::Expired => f.write_str("exp is past"),
            Self::Issuer => f.write_str("iss is not known"),
            Self::Malformed(what) => write!(f, "{what} is not allowed"),
            Self::Signature => f.write_str("the signature or its algorithm is wrong"),
            Self::TooEarly => f.write_str("nbf or iat is still to come"),
            Self::UnknownKey => f.write_str("kid is not known"),
        }
    }
}

/// A JWT that has been read and not verified: it proves nothing yet.
pub struct Unverified<'t> {
    token: &'t str,
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified(…)")
    }
}

/// What a token must be, besides signed.
#[derive(Debug)]
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    /// One of these must be in `aud`.
    pub(super) audiences: &'e [&'e str],
    pub(super) algorithms: &'e [Algorithm],
    /// How far clocks may differ, in seconds.
    pub(super) leeway: i64,
    /// How far ahead `exp` may be, in seconds.
    pub(super) max_lifetime: Option<i64>,
}

/// Whether a bearer token has the form of a JWT: three parts.
pub(super) fn has_form(token: &str) -> bool {
    token.split('.').count() == 3
}

impl<'t> Unverified<'t> {
    /// Reads header and claims.
    pub(super) fn read(token: &'t str) -> Result<Self, JwtFault> {
        let mut parts = token.split('.');
        let mut part = || parts.next().ok_or(JwtFault::Malformed("form"));
        let (header, payload) = (part()?, part()?);
        let header = decoded(header).ok_or(JwtFault::Malformed("header"))?;
        let claims = decoded(payload).ok_or(JwtFault::Malformed("payload"))?;
        if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
            return Err(JwtFault::Malformed(name));
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(|name| name.parse().ok());
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KID => Some(id.clone()),
            Some(_) => return Err(JwtFault::Malformed("kid")),
        };
        let type_is_fit = match header.get("typ") {
            None => true,
            Some(Value::String(name)) => {
                let fit = ["jwt", "at+jwt", "application/at+jwt"];
                fit.iter().any(|fit| name.eq_ignore_ascii_case(fit))
            }
            Some(_) => false,
        };
        if !type_is_fit {
            return Err(JwtFault::Malformed("typ"));
        }
        let algorithm = algorithm.ok_or(JwtFault::Signature)?;
        Ok(Self { token, algorithm, key_id, claims })
    }

    /// Who says to have issued it.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Whether it would make no difference to ask the issuer for its keys again: it has a key for
    /// this token, or the token is none that it would sign.
    #[must_use]
    pub fn may_be_signed_with(&self, keys: &KeySet, issuer: &Issuer) -> bool {
        !issuer.algorithms.contains(&self.algorithm)
            || keys.find(self.key_id.as_deref(), self.algorithm).is_some()
    }

    /// The claims, once everything about the token is as it must be at the moment `now`.
    pub(super) fn verify(
        self,
        expected: &Expected<'_>,
        keys: &KeySet,
        now: UnixSeconds,
    ) -> Result<Claims, JwtFault> {
        if !expected.algorithms.contains(&self.algorithm) {
            return Err(JwtFault::Signature);
        }
        let key = keys.find(self.key_id.as_deref(), self.algorithm).ok_or(JwtFault::UnknownKey)?;
        // One algorithm, and so one family, for one token.
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(expected.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Below, against the moment that is given.
        validation.validate_exp = false;
        decode::<IgnoredAny>(self.token, key, &validation).map_err(|error| fault(&error))?;
        let claims = Claims(self.claims);
        claims.check_times(expected, now)?;
        Ok(claims)
    }
}

fn fault(error: &jsonwebtoken::errors::Error) -> JwtFault {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidAudience => JwtFault::Audience,
        ErrorKind::InvalidIssuer => JwtFault::Issuer,
        ErrorKind::MissingRequiredClaim(name) if name == "aud" => JwtFault::Audience,
        // Behind a good signature: a claim of RFC 7519 that has another type.
        ErrorKind::Json(_) => JwtFault::Claim("sub"),
        ErrorKind::MissingRequiredClaim(_) => JwtFault::Claim("exp"),
        _ => JwtFault::Signature,
    }
}

/// An object in base64url without padding, in which no name occurs twice.
fn decoded(part: &str) -> Option<Map<String, Value>> {
    json::object(&URL_SAFE_NO_PAD.decode(part).ok()?, MAX_DEPTH)
}

/// The claims of a verified token.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Claims that nobody has verified, of a token that nobody holds.
    pub(super) fn assumed(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// A claim by its name, or by a JSON pointer (RFC 6901) where `name` begins with `/`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else {
            return self.0.get(name);
        };
        let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = self.0.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    }

    /// The moment of `exp`, which [`Self::check_times`] has found fit.
    pub(super) fn expires(&self) -> Option<UnixSeconds> {
        self.seconds("exp").ok().flatten()
    }

    /// A NumericDate (RFC 7519 2), rounded down.
    fn seconds(&self, name: &'static str) -> Result<Option<UnixSeconds>, JwtFault> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        // Far beyond any date, and far within what a float can tell exactly.
        let sound = |seconds: &f64| (0.0..1e12).contains(seconds);
        let seconds = value.as_f64().filter(sound).ok_or(JwtFault::Claim(name))?;
        #[expect(clippy::cast_possible_truncation, reason = "it is below 1e12")]
        Ok(Some(seconds as i64))
    }

    fn check_times(&self, expected: &Expected<'_>, now: UnixSeconds) -> Result<(), JwtFault> {
        let Expected { leeway, max_lifetime, .. } = expected;
        let expires = self.seconds("exp")?.ok_or(JwtFault::Claim("exp"))?;
        if expires + leeway <= now {
            return Err(JwtFault::Expired);
        }
        if max_lifetime.is_some_and(|longest| expires - now > longest + leeway) {
            return Err(JwtFault::Claim("exp"));
        }
        for name in ["nbf", "iat"] {
            if self.seconds(name)?.is_some_and(|from| from > now + leeway) {
                return Err(JwtFault::TooEarly);
            }
        }
        Ok(())
    }
}
