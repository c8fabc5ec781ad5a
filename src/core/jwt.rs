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

/// Whether a bearer token has the form of a JWT: three parts, or five where it is encrypted.
#[must_use]
pub fn has_form(token: &str) -> bool {
    token.split('.').count() == 3 || is_encrypted(token)
}

/// Whether it is a JWE (RFC 7516 7.1): five parts, and a header that says how it is encrypted.
fn is_encrypted(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    token.split('.').count() == 5
        && decoded("header", header).is_ok_and(|header| header.contains_key("enc"))
}

const ENCRYPTED: &str = "it is encrypted (JWE, RFC 7516), and doorward cannot read it: the issuer \
    must give a signed one (JWS), which for some takes a named audience or resource";

impl<'t> Unverified<'t> {
    /// Reads header and claims.
    ///
    /// # Errors
    /// Why it is [`JwtFault::Malformed`]; nothing that its sender chose is repeated.
    pub fn read(token: &'t str) -> Result<Self, Rejected> {
        let bad = |what, why: String| Rejected::unsigned(JwtFault::Malformed(what), why);
        if is_encrypted(token) {
            return Err(bad("form", ENCRYPTED.to_owned()));
        }
        let mut parts = token.split('.');
        let mut part = |name| {
            let part = parts.next().ok_or_else(|| "it has no three parts".to_owned());
            part.and_then(|part| decoded(name, part)).map_err(|why| bad(name, why))
        };
        let (header, claims) = (part("header")?, part("payload")?);
        // A token in a token (RFC 7519 5.2) has no claims that could be read here.
        let is_nested = |kind: &Value| kind.as_str().is_some_and(|k| k.eq_ignore_ascii_case("JWT"));
        if header.get("cty").is_some_and(is_nested) {
            return Err(bad("cty", "cty: JWT, so it is a token within a token".to_owned()));
        }
        if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
            let why = format!("{name}: the header has it, and doorward serves no token with it");
            return Err(bad(name, why));
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(algorithm::served);
        let unfit = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KID => None,
            Some(Value::String(_)) => Some("a longer one"),
            Some(other) => Some(kind(other)),
        };
        if let Some(found) = unfit {
            let why = format!("kid: expected a text of at most {MAX_KID} bytes, found {found}");
            return Err(bad("kid", why));
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
        let key = self.algorithm.and_then(|algorithm| keys.mark(self.key_id(), algorithm));
        let claims = Claims::new(self.claims, self.header.get("typ").cloned());
        Ok(claims.verified_with(key))
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

/// An object in base64url without padding, in which no name occurs twice; or what is wrong with
/// this part of a token.
fn decoded(part: &str, text: &str) -> Result<Map<String, Value>, String> {
    let text = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("{part}: expected base64url without padding, found something else"))?;
    let object = json::object(&text, MAX_DEPTH);
    object.map_err(|unfit| format!("{part}: no JSON object: {unfit}"))
}

/// The type of a value, which repeats nothing of it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
