//! JSON Web Tokens as access tokens (RFC 7519, RFC 9068), read by the rules of RFC 8725.
//!
//! A token chooses nothing: its issuer must be one of the configuration, its algorithm one that
//! the configuration allows and its key is for, and its key one that the issuer is known to have.
//! Whatever in a header points to keys is not looked at. What a token says is repeated only once
//! its signature is good.

mod check;
mod claims;
mod examine;
mod rejected;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Map, Value};

use super::issuer::Issuer;
use super::keys::{KeySet, MAX_DEPTH, MAX_KID};
use super::{algorithm, json};

pub(super) use self::check::Expected;
pub(super) use self::claims::Claims;
pub use self::examine::{Check, Verdict};
pub use self::rejected::{JwtFault, Rejected};
pub(super) use self::rejected::{found, one_of};

/// Header members that change what a signature covers, or that must be understood (RFC 7515 4.1.11,
/// RFC 7516 4.1.3, RFC 7797). All others that are not read below are ignored (RFC 7515 4), those
/// that name keys (jku, jwk, x5c, x5t, x5u) included: keys come from the configuration alone.
const FORBIDDEN: [&str; 3] = ["b64", "crit", "zip"];

/// A JWT that has been read and not verified: it proves nothing yet.
pub struct Unverified<'t> {
    token: &'t str,
    /// `None` for one that is not served.
    algorithm: Option<Algorithm>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified(…)")
    }
}

/// Whether a bearer token has the form of a JWT: three parts.
#[must_use]
pub fn has_form(token: &str) -> bool {
    token.split('.').count() == 3
}

impl<'t> Unverified<'t> {
    /// Reads header and claims.
    ///
    /// # Errors
    /// [`JwtFault::Malformed`]
    pub fn read(token: &'t str) -> Result<Self, JwtFault> {
        let mut parts = token.split('.');
        let mut part = || parts.next().ok_or(JwtFault::Malformed("form"));
        let (header, payload) = (part()?, part()?);
        let header = decoded(header).ok_or(JwtFault::Malformed("header"))?;
        let claims = decoded(payload).ok_or(JwtFault::Malformed("payload"))?;
        // A token in a token (RFC 7519 5.2) has no claims that could be read here.
        let is_nested = |kind: &Value| kind.as_str().is_some_and(|k| k.eq_ignore_ascii_case("JWT"));
        if header.get("cty").is_some_and(is_nested) {
            return Err(JwtFault::Malformed("cty"));
        }
        if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
            return Err(JwtFault::Malformed(name));
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(algorithm::served);
        let is_fit = |id: &Value| id.as_str().is_some_and(|id| id.len() <= MAX_KID);
        if !header.get("kid").is_none_or(is_fit) {
            return Err(JwtFault::Malformed("kid"));
        }
        Ok(Self { token, algorithm, header, claims })
    }

    /// Who says to have issued it.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    fn key_id(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// Whether it would make no difference to ask the issuer for its keys again: it has a key for
    /// this token, or the token is none that it would sign.
    #[must_use]
    pub fn may_be_signed_with(&self, keys: &KeySet, issuer: &Issuer) -> bool {
        let algorithm = self.algorithm.filter(|name| issuer.algorithms.contains(name));
        algorithm.is_none_or(|algorithm| keys.find(self.key_id(), algorithm).is_some())
    }

    /// The claims, once the signature is one of these keys by one of these algorithms.
    pub(super) fn verify(
        self,
        algorithms: &[Algorithm],
        keys: &KeySet,
    ) -> Result<Claims, Rejected> {
        self.check_signature(algorithms, keys)?;
        Ok(Claims::new(self.claims, self.header.get("typ").cloned()))
    }

    fn check_signature(&self, algorithms: &[Algorithm], keys: &KeySet) -> Result<(), Rejected> {
        let served = self.algorithm.filter(|name| algorithms.contains(name));
        let algorithm = served.ok_or_else(|| self.bad_algorithm(algorithms))?;
        let key = keys.find(self.key_id(), algorithm).ok_or_else(|| {
            let why = keys.lack(self.key_id(), algorithm);
            Rejected::unsigned(JwtFault::UnknownKey, why)
        })?;
        let wrong = || {
            let why = "the signature is not one of the issuer's key";
            Rejected::unsigned(JwtFault::Signature, why.to_owned())
        };
        // The key decides: one family, and here one algorithm, for one token.
        let (message, signature) = self.token.rsplit_once('.').ok_or_else(wrong)?;
        let is_good = crypto::verify(signature, message.as_bytes(), key, algorithm);
        if is_good.unwrap_or(false) { Ok(()) } else { Err(wrong()) }
    }

    fn bad_algorithm(&self, algorithms: &[Algorithm]) -> Rejected {
        let expected: Vec<String> = algorithms.iter().copied().map(algorithm::name).collect();
        let named = self.header.get("alg").and_then(Value::as_str);
        let (found, why) = match named.and_then(algorithm::known) {
            Some(known) => known,
            None if self.header.contains_key("alg") => ("another", ""),
            None => ("nothing", ""),
        };
        let detail = format!("alg: expected {}, found {found}{why}", expected.join(" or "));
        Rejected::unsigned(JwtFault::Signature, detail)
    }
}

/// An object in base64url without padding, in which no name occurs twice.
fn decoded(part: &str) -> Option<Map<String, Value>> {
    json::object(&URL_SAFE_NO_PAD.decode(part).ok()?, MAX_DEPTH)
}
