//! The gateway's signed word that a request was permitted, for services that do not want to believe
//! whoever reaches them. Knows nothing of tickets.
//!
//! The header, the claims and where the keys are is described in the README of doorward.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Validation, decode};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::identity::{ORGANIZATION, USER};

use self::keys::Keys;

mod keys;
mod spent;

pub use self::keys::AssertionKeys;
pub(crate) use self::spent::Spent;

/// The header that carries an assertion.
pub(crate) static ASSERTION: HeaderName = HeaderName::from_static("x-doorward-assertion");

/// What no other kind of token is (RFC 8725 3.11).
const TYPE: &str = "doorward-assertion+jwt";

/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;

/// The longest life that the gateway gives, in seconds: the end of the range of its `ttl`.
const MAX_LIFE: u64 = 600;

/// Longest assertion in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// Longest id of an assertion in bytes.
const MAX_ID: usize = 256;

/// Header members that name keys or change what a signature covers (RFC 7515 4.1, RFC 7797); the
/// gateway refuses the same in tokens. `crit` names what must be understood, and nothing is.
const FORBIDDEN: [&str; 8] = ["b64", "crit", "cty", "jku", "jwk", "x5c", "x5u", "zip"];

/// Checks assertions.
#[derive(Clone)]
pub struct Assertions(Arc<Inner>);

struct Inner {
    keys: Arc<Keys>,
    audience: String,
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Assertions").field(&self.0.keys.source).finish()
    }
}

/// Why an assertion proves nothing. For the log; callers are told less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Missing,
    Repeated,
    Form,
    Header(&'static str),
    UnknownKey,
    Claims,
    TooEarly,
    Expired,
    Life,
    AnotherCaller,
    AnotherBody,
    AnotherTool,
    Spent,
    TooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header(name) => return write!(f, "its header has {name}, which is not allowed"),
            Self::Missing => "there is none",
            Self::Repeated => "there are two",
            Self::Form => "it is not an assertion of doorward",
            Self::UnknownKey => "its key is not known",
            Self::Claims => "its signature is wrong, or it is for another audience",
            Self::TooEarly => "its nbf or iat is still to come; compare the clocks",
            Self::Expired => "its exp is past",
            Self::Life => "it lives longer than the gateway lets one",
            Self::AnotherCaller => "it is about another caller",
            Self::AnotherBody => "it is about another body",
            Self::AnotherTool => "it is about another tool",
            Self::Spent => "it has been used before",
            Self::TooMany => "too many of its caller's, or of all, have been used lately",
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
    jti: String,
    iat: u64,
    nbf: Option<u64>,
    exp: u64,
}

impl Assertions {
    /// Assertions for `audience`, the name that the gateway has for this system.
    #[must_use]
    pub fn new(source: AssertionKeys, audience: String) -> Self {
        Self(Arc::new(Inner { keys: Arc::new(Keys::new(source)), audience }))
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
        let id = key_id(token)?;
        let (key, algorithm) = self.0.keys.find(&id).await.ok_or(Fault::UnknownKey)?;

        // The key decides how it is used, and never the assertion.
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.0.audience]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // Below, so that the log can tell which.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation).map_err(|_| Fault::Claims)?.claims;
        claims.check_times(now())?;
        if claims.jti.is_empty() || claims.jti.len() > MAX_ID {
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

/// The key that the header names, if the header is one that the gateway could have written.
fn key_id(token: &str) -> Result<String, Fault> {
    let header = token.split('.').next().filter(|_| token.len() <= MAX_LENGTH);
    let header = header.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).ok_or(Fault::Form)?;
    let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| Fault::Form)?;
    if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
        return Err(Fault::Header(name));
    }
    let text = |name| header.get(name).and_then(Value::as_str);
    match (text("typ"), text("kid")) {
        (Some(TYPE), Some(id)) => Ok(id.to_owned()),
        _ => Err(Fault::Form),
    }
}

impl Claims {
    /// True for a request that the gateway itself may send again, where a connection breaks
    /// before the answer: it does no harm twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        let method = self.method.as_deref();
        method.is_some_and(|name| {
            name.ends_with("/list") || matches!(name, "ping" | "server/discover")
        })
    }

    /// The rules of RFC 7519 4.1, and that nothing lives longer than the gateway lets it.
    fn check_times(&self, now: u64) -> Result<(), Fault> {
        let latest = now.saturating_add(LEEWAY);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Fault::TooEarly);
        }
        if self.exp.saturating_add(LEEWAY) < now {
            return Err(Fault::Expired);
        }
        if self.exp.saturating_sub(self.iat) > MAX_LIFE {
            return Err(Fault::Life);
        }
        Ok(())
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}
