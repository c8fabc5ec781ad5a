//! The public keys of an issuer of JWTs: a JWK set (RFC 7517).
//!
//! Keys are given and never fetched here. What cannot verify a signature in the way that the
//! configuration wants is not in the set: symmetric keys, keys for encryption, private keys, weak
//! ones.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::json;

/// Longest JWK set in bytes that is read.
pub const MAX_KEY_SET: usize = 256 << 10;

/// Most keys of a set that are looked at.
const MAX_KEYS: usize = 100;

/// Longest `kid` in bytes.
pub(super) const MAX_KID: usize = 128;

/// Deepest nesting of a set, a header or claims.
pub(super) const MAX_DEPTH: usize = 16;

/// Why a text is no set of keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadKeySet {
    /// Longer than [`MAX_KEY_SET`].
    TooLong,
    /// Not an object with an array `keys`.
    Unreadable,
    /// It holds no key that can be used.
    NoKey,
}

impl fmt::Display for BadKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is longer than 256 KiB",
            Self::Unreadable => "is not a JWK set (RFC 7517)",
            Self::NoKey => "holds no public key that can verify a signature",
        })
    }
}

/// One key, and what it may verify.
struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    /// The one algorithm that the key names for itself.
    only: Option<Algorithm>,
    key: DecodingKey,
}

/// The keys of one issuer.
pub struct KeySet(Vec<Key>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({})", self.0.len())
    }
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot be used are passed over; there must be one that can.
    ///
    /// # Errors
    /// [`BadKeySet`]
    pub fn parse(text: &[u8]) -> Result<Self, BadKeySet> {
        if text.len() > MAX_KEY_SET {
            return Err(BadKeySet::TooLong);
        }
        let set = json::object(text, MAX_DEPTH).ok_or(BadKeySet::Unreadable)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(BadKeySet::Unreadable)?;
        let keys: Vec<Key> = keys.iter().take(MAX_KEYS).filter_map(usable).collect();
        if keys.is_empty() { Err(BadKeySet::NoKey) } else { Ok(Self(keys)) }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a set has a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says why [`Self::find`] has none. The id itself is not repeated: a token that nobody has
    /// verified says it.
    pub(super) fn lack(&self, id: Option<&str>, algorithm: Algorithm) -> String {
        let named = |key: &&Key| id.is_some() && key.id.as_deref() == id;
        match (id, self.0.iter().find(named)) {
            (None, _) => {
                format!(
                    "kid: expected one, since not exactly one key of the issuer is for {algorithm:?}; found nothing"
                )
            }
            (Some(_), Some(_)) => {
                format!("kid: expected a key for {algorithm:?}, found one that is not")
            }
            (Some(_), None) => {
                format!("kid: expected one of the issuer's {} keys, found another", self.0.len())
            }
        }
    }

    /// The key with this id, or the only key that fits where a token names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.0.iter().filter(|key| {
            key.algorithms.contains(&algorithm) && key.only.is_none_or(|only| only == algorithm)
        });
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)).map(|key| &key.key),
            None => {
                let first = fitting.next()?;
                fitting.next().is_none().then_some(&first.key)
            }
        }
    }
}

/// A public key for signatures by an algorithm that is served.
fn usable(value: &Value) -> Option<Key> {
    if value.get("d").is_some() {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let common = &jwk.common;
    let for_signing = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let for_verifying =
        common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
    if !for_signing || !for_verifying || common.key_id.as_ref().is_some_and(|id| id.len() > MAX_KID)
    {
        return None;
    }
    let only = match value.get("alg") {
        Some(named) => Some(named.as_str()?.parse().ok()?),
        None => None,
    };
    let algorithms = algorithms(&jwk.algorithm)?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: common.key_id.clone(), algorithms, only, key })
}

/// What a key of this type may verify; the type decides, and never the token (RFC 8725 3.1).
fn algorithms(key: &AlgorithmParameters) -> Option<&'static [Algorithm]> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(rsa) => {
            // Six bits a digit of base64: 2,048 to 8,192 bits (RFC 7518 3.3).
            let is_sound = (342..=1366).contains(&rsa.n.len());
            is_sound.then_some(&[RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(&[ES256]),
            EllipticCurve::P384 => Some(&[ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(okp) => {
            (okp.curve == EllipticCurve::Ed25519).then_some(&[EdDSA])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ES: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn parse(keys: &[String]) -> Result<KeySet, BadKeySet> {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    #[test]
    fn what_cannot_verify_is_not_in_the_set() {
        let good = format!(r#"{{{ES},"kid":"a","use":"sig"}}"#);
        assert_eq!(parse(std::slice::from_ref(&good)).unwrap().len(), 1);
        let weak = format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, "A".repeat(171));
        for bad in [
            r#"{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}"#.to_owned(),
            format!(r#"{{{ES},"use":"enc"}}"#),
            format!(r#"{{{ES},"key_ops":["sign"]}}"#),
            format!(r#"{{{ES},"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}}"#),
            format!(r#"{{{ES},"alg":"HS256","kid":"{}"}}"#, "k".repeat(129)),
            weak,
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#.to_owned(),
            "{}".to_owned(),
            "7".to_owned(),
        ] {
            assert_eq!(parse(std::slice::from_ref(&bad)).unwrap_err(), BadKeySet::NoKey, "{bad}");
            assert_eq!(parse(&[bad, good.clone()]).unwrap().len(), 1);
        }
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "\u{feff}{}"] {
            assert_eq!(KeySet::parse(bad.as_bytes()).unwrap_err(), BadKeySet::Unreadable, "{bad}");
        }
        let huge = vec![b' '; MAX_KEY_SET + 1];
        assert_eq!(KeySet::parse(&huge).unwrap_err(), BadKeySet::TooLong);
    }

    #[test]
    fn a_key_is_found_by_its_id_and_its_own_algorithm() {
        let named = |id: &str| format!(r#"{{{ES},"kid":"{id}","alg":"ES256"}}"#);
        let one = parse(&[named("a")]).unwrap();
        assert!(one.find(Some("a"), Algorithm::ES256).is_some());
        assert!(one.find(None, Algorithm::ES256).is_some());
        assert!(one.find(Some("b"), Algorithm::ES256).is_none());
        assert!(one.find(Some("a"), Algorithm::ES384).is_none());
        assert!(one.find(Some("a"), Algorithm::HS256).is_none());
        let two = parse(&[named("a"), named("b")]).unwrap();
        assert!(two.find(Some("b"), Algorithm::ES256).is_some());
        assert!(two.find(None, Algorithm::ES256).is_none(), "which one is not clear");
    }
}
