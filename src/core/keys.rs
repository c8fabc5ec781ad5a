//! The public keys of an issuer of JWTs: a JWK set (RFC 7517).
//!
//! Keys are given and never fetched here. What cannot verify a signature in the way that the
//! configuration wants is not in the set: symmetric keys, keys for encryption, private keys, weak
//! ones.

use std::collections::BTreeSet;
use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::algorithm;
use super::json::{self, Unfit};
use super::jwt::JwtFault;
use super::principal::Digest;

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
    /// JSON of another kind; holds what it is.
    Other(&'static str),
    /// No JSON object.
    Unreadable(Unfit),
    /// It holds no key that can be used; holds what is wrong with the first one.
    NoKey(Option<&'static str>),
}

impl fmt::Display for BadKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("is longer than 256 KiB"),
            Self::Other(what) => write!(f, "is not a JWK set (RFC 7517): {what}"),
            Self::Unreadable(why) => write!(f, "is not a JWK set (RFC 7517): {why}"),
            Self::NoKey(None) => f.write_str("holds no key"),
            Self::NoKey(Some(why)) => {
                write!(f, "holds no public key that can verify a signature: the first one {why}")
            }
        }
    }
}

/// The key that has verified a token, and how the token named it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyMark {
    id: Option<String>,
    algorithm: Algorithm,
    print: Digest,
}

/// One key, and what it may verify.
struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    /// The one algorithm that the key names for itself.
    only: Option<Algorithm>,
    key: DecodingKey,
    /// The members that say which key it is.
    text: String,
    /// SHA-256 of what makes it this key.
    print: Digest,
}

/// The keys of one issuer.
pub struct KeySet {
    keys: Vec<Key>,
    /// Ids of keys that cannot be used, and why.
    unfit: Vec<(Option<String>, &'static str)>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({})", self.keys.len())
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
        let set = json::object(text, MAX_DEPTH).map_err(BadKeySet::Unreadable)?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| BadKeySet::Other(other(&set)))?;
        let mut set = Self { keys: Vec::new(), unfit: Vec::new() };
        for value in keys.iter().take(MAX_KEYS) {
            match usable(value) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.unfit.push((key_id(value).ok().flatten(), why)),
            }
        }
        let first = set.unfit.first().map(|(_, why)| *why);
        if set.keys.is_empty() { Err(BadKeySet::NoKey(first)) } else { Ok(set) }
    }

    /// A digest of each key that can be used: the same wherever it stands and however it is
    /// written. One that others of its name, or without a name, decide about has that in it.
    #[must_use]
    pub fn digests(&self) -> BTreeSet<Digest> {
        let mut texts: Vec<&str> = self.keys.iter().map(|key| key.text.as_str()).collect();
        texts.sort_unstable();
        let all = texts.join("\0");
        let digest = |(place, key): (usize, &Key)| {
            let before = self.keys.iter().take(place).filter(|other| other.id == key.id);
            let others: String = match key.id {
                // It is found where no other fits.
                None => all.clone(),
                // The first one is found.
                Some(_) => before.map(|other| format!("{}\0", other.text)).collect(),
            };
            Sha256::digest(format!("{}\0\0{others}", key.text)).into()
        };
        self.keys.iter().enumerate().map(digest).collect()
    }

    /// True where some key can verify what is signed with this algorithm.
    #[must_use]
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.serves(algorithm))
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set has a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Says why [`Self::find`] has none. The id itself is not repeated: a token that nobody has
    /// verified says it.
    pub(super) fn lack(&self, id: Option<&str>, algorithm: Algorithm) -> String {
        let name = algorithm::name(algorithm);
        let Some(id) = id else {
            return format!(
                "kid: expected one, since not exactly one key of the issuer is for {name}, \
                 found nothing"
            );
        };
        let unfit = self.unfit.iter().find(|(named, _)| named.as_deref() == Some(id));
        if self.keys.iter().any(|key| key.id.as_deref() == Some(id)) {
            format!("kid: expected a key for {name}, found one of the issuer that is not")
        } else if let Some((_, why)) = unfit {
            format!("kid: expected a key that can be used, found one of the issuer that {why}")
        } else {
            format!("kid: expected one of {} keys of the issuer, found another", self.keys.len())
        }
    }

    /// The key with this id, or the only key that fits where a token names none.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        self.find_whole(id, algorithm).map(|key| &key.key)
    }

    /// The mark of the key that [`Self::find`] finds.
    pub(super) fn mark(&self, id: Option<&str>, algorithm: Algorithm) -> Option<KeyMark> {
        let print = self.find_whole(id, algorithm)?.print;
        Some(KeyMark { id: id.map(str::to_owned), algorithm, print })
    }

    /// Why a token that the key with this mark has verified would be refused now; `None` where the
    /// same key would be found for it.
    #[must_use]
    pub fn fault(&self, mark: &KeyMark) -> Option<JwtFault> {
        match self.find_whole(mark.id.as_deref(), mark.algorithm) {
            None => Some(JwtFault::UnknownKey),
            Some(key) if key.print != mark.print => Some(JwtFault::Signature),
            Some(_) => None,
        }
    }

    fn find_whole(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.serves(algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => {
                let first = fitting.next()?;
                fitting.next().is_none().then_some(first)
            }
        }
    }
}

/// The kind of an object without an array `keys`, as far as its members tell.
fn other(object: &Map<String, Value>) -> &'static str {
    let has = |name| object.contains_key(name);
    if has("keys") {
        "an object whose `keys` are no array"
    } else if has("jwks_uri") {
        "the issuer's discovery document; the set is where its `jwks_uri` says"
    } else if has("kty") {
        "one key, which must stand in {\"keys\": [...]}"
    } else if object.values().any(|v| v.as_str().is_some_and(|v| v.contains("BEGIN CERTIFICATE"))) {
        "an object of certificates; the set is at another address of the issuer"
    } else if has("error") {
        "an error"
    } else {
        "an object without `keys`"
    }
}

impl Key {
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm) && self.only.is_none_or(|only| only == algorithm)
    }
}

/// Members of a key that are looked at here (RFC 7517 4, RFC 7518 6, RFC 8037 2). Others, like
/// certificates, say nothing that would count.
const MEMBERS: [&str; 8] = ["crv", "e", "key_ops", "kty", "n", "use", "x", "y"];

/// A public key for signatures by an algorithm that is served; or what is wrong with it, to be put
/// behind "the key".
fn usable(value: &Value) -> Result<Key, &'static str> {
    let text = |name| value.get(name).and_then(Value::as_str);
    if value.get("d").is_some() {
        return Err("is a private key, which the issuer should not show");
    }
    match (text("kty"), text("crv")) {
        (Some("oct"), _) => return Err("is a secret (kty oct), and not a public key"),
        (Some("OKP"), Some("Ed25519")) | (Some("EC"), Some("P-256" | "P-384")) => {}
        (Some("OKP"), Some("Ed448")) => {
            return Err("is on the curve Ed448, which doorward cannot verify; Ed25519 is served");
        }
        (Some("OKP" | "EC"), _) => {
            return Err("is on a curve that is not served; P-256, P-384 and Ed25519 are");
        }
        (Some("RSA"), _) => {}
        _ => return Err("is of a type (kty) that is not served; RSA, EC and OKP are"),
    }
    let members = value.as_object().into_iter().flatten();
    let known = members.filter(|(name, _)| MEMBERS.contains(&name.as_str()));
    let known: Map<String, Value> = known.map(|(n, v)| (n.clone(), v.clone())).collect();
    let jwk: Jwk = serde_json::from_value(known.into()).map_err(|_| "is not a JWK (RFC 7517)")?;
    let common = &jwk.common;
    let for_signing = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let for_verifying =
        common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
    if !for_signing || !for_verifying {
        return Err("is not for signatures (use, key_ops)");
    }
    let algorithms = algorithms(&jwk.algorithm).ok_or("is too short or too long")?;
    let only = match value.get("alg") {
        Some(named) => Some(named.as_str().and_then(algorithm::served).ok_or(OTHER_ALGORITHM)?),
        None => None,
    };
    if only.is_some_and(|only| !algorithms.contains(&only)) {
        return Err(OTHER_ALGORITHM);
    }
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| "has numbers that cannot be read")?;
    let parts = ["kty", "crv", "n", "e", "x", "y", "kid", "alg"];
    let parts = parts.map(|name| text(name).unwrap_or_default());
    let (id, text, print) = (key_id(value)?, format!("{parts:?}"), print(value));
    Ok(Key { id, algorithms, only, key, text, print })
}

/// SHA-256 over the type and the numbers of a key: the same in whatever set it stands.
fn print(value: &Value) -> Digest {
    let mut all = Sha256::new();
    for name in ["kty", "crv", "n", "e", "x", "y"] {
        let text = value.get(name).and_then(Value::as_str).unwrap_or_default();
        all.update((text.len() as u64).to_be_bytes());
        all.update(text);
    }
    all.finalize().into()
}

const OTHER_ALGORITHM: &str = "is for an algorithm (alg) that is not served, or not of its type";

/// The id of a key, where it has one that a token can name.
fn key_id(value: &Value) -> Result<Option<String>, &'static str> {
    match value.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if id.len() <= MAX_KID => Ok(Some(id.clone())),
        Some(_) => Err("has an id (kid) that is no text of at most 128 bytes"),
    }
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
            let refused = parse(std::slice::from_ref(&bad)).unwrap_err();
            assert!(matches!(refused, BadKeySet::NoKey(Some(_))), "{bad}: {refused}");
            assert_eq!(parse(&[bad, good.clone()]).unwrap().len(), 1);
        }
        for (bad, why) in [
            ("", "empty"),
            (" \n", "empty"),
            ("[]", "JSON, but an array and no object"),
            ("null", "JSON, but no object"),
            ("{}", "an object without `keys`"),
            (r#"{"keys":{}}"#, "an object whose `keys` are no array"),
            (r#"{"kty":"EC"}"#, r#"one key, which must stand in {"keys": [...]}"#),
            (r#"{"issuer":"x","jwks_uri":"y"}"#, "the issuer's discovery document; the set is"),
            (r#"{"k":"-----BEGIN CERTIFICATE-----"}"#, "an object of certificates"),
            (r#"{"error":"not_found"}"#, "an error"),
            (r#"{"keys":[],"keys":[]}"#, "a member name occurs twice in one object at byte 18"),
            (r#"{"keys":[]"#, "JSON that ends too early at byte 10"),
            (r#"{"keys":[]} x"#, "something behind the end of the JSON at byte 12"),
            (r#"{"keys":[NaN]}"#, "no valid JSON at byte 9"),
            ("\u{feff}{}", "a text with a byte order mark"),
            ("<!doctype html>", "like HTML or XML, and no JSON"),
        ] {
            let told = KeySet::parse(bad.as_bytes()).unwrap_err().to_string();
            let why = format!("is not a JWK set (RFC 7517): {why}");
            assert!(told.starts_with(&why), "{bad}: {told}");
        }
        let bytes: [(&[u8], &str); 3] = [
            (b"\x1f\x8b\x08\0", "compressed (gzip)"),
            (b"{\"k\":\"\xe4\"}", "not UTF-8 at byte 6"),
            (b"\xff\xfe{\0}\0", "in UTF-16"),
        ];
        for (bad, why) in bytes {
            let told = KeySet::parse(bad).unwrap_err().to_string();
            assert!(told.contains(&format!(": {why}")), "{told}");
        }
        let huge = vec![b' '; MAX_KEY_SET + 1];
        assert_eq!(KeySet::parse(&huge).unwrap_err(), BadKeySet::TooLong);
    }

    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    #[test]
    fn what_cannot_be_used_is_said_with_its_cause() {
        let ed448 = r#""kty":"OKP","crv":"Ed448","x":"AA""#;
        for (key, why) in [
            (ed448.to_owned(), "Ed448"),
            (format!(r#"{ed448},"alg":"Ed448""#), "Ed448"),
            (format!(r#"{ed448},"alg":"EdDSA""#), "Ed448"),
            (r#""kty":"OKP","crv":"X25519","x":"AA""#.to_owned(), "a curve that is not served"),
            (r#""kty":"EC","crv":"secp256k1","x":"AA","y":"AA""#.to_owned(), "a curve that"),
            (r#""kty":"AKP","alg":"ML-DSA-44","pub":"AA""#.to_owned(), "a type (kty)"),
            (r#""kty":"oct","k":"c2VjcmV0""#.to_owned(), "a secret"),
            (format!(r#"{ED},"d":"AA""#), "a private key"),
            (format!(r#"{ED},"use":"enc""#), "not for signatures"),
            (format!(r#"{ED},"alg":"Ed448""#), "an algorithm"),
            (format!(r#"{ED},"alg":"ES256""#), "an algorithm"),
            (format!(r#"{ED},"alg":7"#), "an algorithm"),
        ] {
            let set = parse(&[format!("{{{key}}}")]).unwrap_err().to_string();
            assert!(set.contains(why), "{key}: {set}");
            let both = parse(&[format!(r#"{{{key},"kid":"u"}}"#), format!("{{{ES}}}")]).unwrap();
            let said = both.lack(Some("u"), Algorithm::EdDSA);
            assert!(said.contains(why) && !said.contains("\"u\""), "{key}: {said}");
        }
        assert_eq!(parse(&[]).unwrap_err().to_string(), "holds no key");
    }

    #[test]
    fn both_names_of_eddsa_are_one_for_its_curve() {
        for alg in ["", r#","alg":"EdDSA""#, r#","alg":"Ed25519""#] {
            let set = parse(&[format!(r#"{{{ED},"kid":"e"{alg}}}"#)]).unwrap();
            for token in ["EdDSA", "Ed25519"] {
                let algorithm = algorithm::served(token).unwrap();
                assert!(set.find(Some("e"), algorithm).is_some(), "{alg} {token}");
                assert!(set.find(None, algorithm).is_some(), "{alg} {token}");
            }
        }
        for name in ["Ed448", "ed25519", "EDDSA", "ES512", "ES256K", "HS256", "none", "ESP256", ""]
        {
            assert_eq!(algorithm::served(name), None, "{name}");
        }
        for name in algorithm::SERVED {
            assert!(algorithm::served(name).is_some(), "{name}");
            assert_eq!(algorithm::known(name), Some((name, "")));
        }
    }

    #[test]
    fn members_of_a_key_that_do_not_count_do_not_spoil_it() {
        for more in [
            r#""x5c":7"#,
            r#""x5c":["AA",7]"#,
            r#""x5t":7,"x5t#S256":[]"#,
            r#""x5u":{}"#,
            r#""issuer":"https://login.example.com","exp":1"#,
            r#""oth":[],"r":1,"revoked":{}"#,
        ] {
            assert_eq!(parse(&[format!("{{{ES},{more}}}")]).unwrap().len(), 1, "{more}");
        }
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
