//! The gateway's signed word that a request was permitted, for services that do not want to believe
//! whoever reaches them. Knows nothing of tickets.
//!
//! The header, the claims and where the keys are is described in the README of doorward.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::identity::{ORGANIZATION, USER};

/// The header that carries an assertion.
pub(crate) static ASSERTION: HeaderName = HeaderName::from_static("x-doorward-assertion");

/// What no other kind of token is (RFC 8725 3.11).
const TYPE: &str = "doorward-assertion+jwt";

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;

/// The shortest time between two readings of the keys.
const PAUSE: Duration = Duration::from_secs(5);

/// For one reading of the keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest set of keys in bytes.
const MAX_KEYS: usize = 64 * 1024;

/// Where the public keys of the gateway are: a JWK set.
#[derive(Clone, Debug)]
pub enum AssertionKeys {
    /// A file; read again when an assertion names a key that is not in it.
    File(PathBuf),
    /// An `http` URL, `/.well-known/doorward/jwks.json` of the gateway; asked again likewise.
    /// Nothing but the network between vouches for what it answers.
    Url(Uri),
}

/// Checks assertions.
#[derive(Clone)]
pub struct Assertions(Arc<Inner>);

struct Inner {
    source: AssertionKeys,
    audience: String,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Option<JwkSet>,
    read: Option<Instant>,
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Assertions").field(&self.0.source).finish()
    }
}

/// Why an assertion proves nothing. For the log; callers are told less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Missing,
    Repeated,
    Form,
    UnknownKey,
    Claims,
    AnotherCaller,
    AnotherBody,
    AnotherTool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is none",
            Self::Repeated => "there are two",
            Self::Form => "it is not an assertion of doorward",
            Self::UnknownKey => "its key is not known",
            Self::Claims => "signature, audience or time is wrong",
            Self::AnotherCaller => "it is about another caller",
            Self::AnotherBody => "it is about another body",
            Self::AnotherTool => "it is about another tool",
        })
    }
}

/// What an assertion says, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    sub: String,
    org: String,
    pub(crate) method: Option<String>,
    pub(crate) tool: Option<String>,
    pub(crate) body_sha256: String,
    iat: u64,
}

impl Assertions {
    /// Assertions for `audience`, the name that the gateway has for this system.
    #[must_use]
    pub fn new(source: AssertionKeys, audience: String) -> Self {
        Self(Arc::new(Inner { source, audience, known: Mutex::default() }))
    }

    /// The claims of the one assertion of a request, if they are about the caller that its
    /// identity headers name.
    pub(crate) async fn check(&self, headers: &HeaderMap) -> Result<Claims, Fault> {
        let mut values = headers.get_all(&ASSERTION).iter();
        let value = values.next().ok_or(Fault::Missing)?;
        if values.next().is_some() {
            return Err(Fault::Repeated);
        }
        let token = value.to_str().map_err(|_| Fault::Form)?;
        let header = decode_header(token).map_err(|_| Fault::Form)?;
        let id = header.kid.filter(|_| header.typ.as_deref() == Some(TYPE)).ok_or(Fault::Form)?;
        let (key, algorithm) = self.0.key(&id).await.ok_or(Fault::UnknownKey)?;

        // The key decides how it is used, and never the assertion.
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.set_audience(&[&self.0.audience]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        let claims = decode::<Claims>(token, &key, &validation).map_err(|_| Fault::Claims)?.claims;
        if claims.iat > jsonwebtoken::get_current_timestamp() + LEEWAY {
            return Err(Fault::Claims);
        }
        let is_about = |name: &str, who: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().is_some_and(|value| value == who) && values.next().is_none()
        };
        if is_about(USER, &claims.sub) && is_about(ORGANIZATION, &claims.org) {
            Ok(claims)
        } else {
            Err(Fault::AnotherCaller)
        }
    }
}

impl Inner {
    /// The key with this id. One that is not known may be new.
    async fn key(&self, id: &str) -> Option<(DecodingKey, Algorithm)> {
        let mut known = self.known.lock().await;
        if let Some(found) = known.keys.as_ref().and_then(|keys| usable(keys, id)) {
            return Some(found);
        }
        if known.read.is_none_or(|read| read.elapsed() >= PAUSE) {
            known.read = Some(Instant::now());
            match self.read().await {
                Ok(keys) => known.keys = Some(keys),
                Err(error) => tracing::warn!(%error, "the gateway's keys could not be read"),
            }
        }
        usable(known.keys.as_ref()?, id)
    }

    async fn read(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let text = match &self.source {
            AssertionKeys::File(path) => {
                let path = path.clone();
                tokio::task::spawn_blocking(|| std::fs::read(path)).await??.into()
            }
            AssertionKeys::Url(url) => tokio::time::timeout(PATIENCE, fetch(url.clone())).await??,
        };
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Redirects are not followed.
async fn fetch(url: Uri) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(url).await?;
    if !answer.status().is_success() {
        return Err(format!("the gateway answers {}", answer.status()).into());
    }
    Ok(to_bytes(Body::new(answer.into_body()), MAX_KEYS).await?)
}

fn usable(keys: &JwkSet, id: &str) -> Option<(DecodingKey, Algorithm)> {
    let jwk = keys.find(id)?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    Some((DecodingKey::from_jwk(jwk).ok()?, algorithm))
}
