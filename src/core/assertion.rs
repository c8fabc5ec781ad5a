//! A signed statement to the upstream that this very request was permitted, so that it need not
//! believe whoever can reach it.
//!
//! It is a JWS in compact form (RFC 7515) with the claims of `Claims`. The upstream, or what
//! lies behind it, checks it with the public keys that the gateway shows.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::decide::Permit;
use super::token::UnixSeconds;

/// `typ` of an assertion, so that it is never taken for another kind of token (RFC 8725 3.11).
pub const TYPE: &str = "doorward-assertion+jwt";

/// Why a text is no key to sign with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadKey;

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "holds no private key for ES256 or EdDSA in PKCS #8 PEM form: \
             openssl genpkey -algorithm ed25519",
        )
    }
}

/// A private key. It cannot be printed.
#[derive(Clone)]
pub struct AssertionKey {
    key: EncodingKey,
    algorithm: Algorithm,
    id: String,
    public: Jwk,
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({})", self.id)
    }
}

impl AssertionKey {
    /// A key on P-256 or Ed25519, from PEM.
    ///
    /// # Errors
    /// [`BadKey`]
    pub fn parse(pem: &[u8]) -> Result<Self, BadKey> {
        let ec = EncodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256));
        let ed = || EncodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA));
        let (key, algorithm) = ec.or_else(|_| ed()).map_err(|_| BadKey)?;
        let mut public = Jwk::from_encoding_key(&key, algorithm).map_err(|_| BadKey)?;
        let id = public.thumbprint(ThumbprintHash::SHA256).map_err(|_| BadKey)?;
        public.common.key_id = Some(id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, algorithm, id, public })
    }

    /// The public key, as its JWK.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.public
    }
}

/// What is signed.
#[derive(Debug, Serialize)]
struct Claims<'c> {
    /// The gateway, by its public URL.
    iss: &'c str,
    /// Whom it is for: the upstream's name.
    aud: &'c str,
    /// The user.
    sub: &'c str,
    org: &'c str,
    /// The entry of the token table, where one proved the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'c str>,
    /// The issuer of the JWT, where one proved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'c str>,
    upstream: &'c str,
    /// The MCP method; absent for GET and DELETE, and for a client's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'c str>,
    /// The tool, where it is a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'c str>,
    /// The request id, as in `X-Request-Id` and the audit record.
    jti: &'c str,
    /// Of exactly the bytes of the body; of no bytes where there is none.
    body_sha256: String,
    iat: UnixSeconds,
    exp: UnixSeconds,
}

/// Signs assertions.
#[derive(Clone, Debug)]
pub struct Asserter {
    key: AssertionKey,
    issuer: String,
    /// In seconds.
    lifetime: i64,
}

impl Asserter {
    /// In the name of `issuer`; each assertion is good for `lifetime` seconds.
    #[must_use]
    pub fn new(key: AssertionKey, issuer: String, lifetime: i64) -> Self {
        Self { key, issuer, lifetime }
    }

    /// The assertion for a permitted request with this body; `None` where the key cannot sign.
    #[must_use]
    pub fn assert(
        &self,
        permit: &Permit,
        body: &[u8],
        request_id: &str,
        now: UnixSeconds,
    ) -> Option<String> {
        let principal = permit.principal();
        let claims = Claims {
            iss: &self.issuer,
            aud: permit.upstream(),
            sub: principal.user().as_str(),
            org: principal.organization().as_str(),
            token: principal.token_name(),
            issuer: principal.issuer_name(),
            upstream: permit.upstream(),
            method: permit.method().map(|method| method.name),
            tool: permit.tool(),
            jti: request_id,
            body_sha256: URL_SAFE_NO_PAD.encode(Sha256::digest(body)),
            iat: now,
            exp: now.saturating_add(self.lifetime),
        };
        let mut header = Header::new(self.key.algorithm);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.key.id.clone());
        encode(&header, &claims, &self.key.key).ok()
    }
}
