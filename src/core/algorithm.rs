//! Names of the algorithms that sign JWTs (RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2).

use jsonwebtoken::Algorithm;

/// Names that may be repeated from a token that nobody has verified.
const KNOWN: [&str; 20] = [
    "ES256",
    "ES256K",
    "ES384",
    "ES512",
    "Ed25519",
    "Ed448",
    "EdDSA",
    "HS256",
    "HS384",
    "HS512",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
    "none",
];

/// What may verify a signature with a public key, as `check` and the schema name it.
pub const SERVED: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"];

/// The algorithm with this name, where a public key can verify it here. `EdDSA` is older than its
/// curves' own names (RFC 9864 2.2); with the one curve that is served both names are one.
#[must_use]
pub fn served(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA),
        name if SERVED.contains(&name) => name.parse().ok(),
        _ => None,
    }
}

/// The name for people.
#[must_use]
pub fn name(algorithm: Algorithm) -> String {
    match algorithm {
        Algorithm::EdDSA => "EdDSA (Ed25519)".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The same name from a fixed list, and why there is no such algorithm here; `None` for a name
/// that nobody has registered.
#[must_use]
pub fn known(name: &str) -> Option<(&'static str, &'static str)> {
    let name = KNOWN.into_iter().find(|known| *known == name)?;
    let why = match name {
        "none" => ", which signs nothing",
        "HS256" | "HS384" | "HS512" => ", whose key is a secret",
        name if served(name).is_some() => "",
        _ => ", which doorward cannot verify",
    };
    Some((name, why))
}
