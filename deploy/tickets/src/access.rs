//! The key that keeps local users from going around the gateway. Knows nothing of tickets.

use std::fmt;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::refusal::Refusal;

/// A shared secret that every request but `/health` must carry as `Authorization: Bearer <key>`.
///
/// It has no `Display`, and its `Debug` is masked.
#[derive(Clone)]
pub struct AccessKey(String);

impl AccessKey {
    /// Takes a key: one or more visible ASCII characters without spaces.
    ///
    /// # Errors
    /// If the key is empty or could not travel in a header. The error does not repeat the key.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidAccessKey> {
        let key = key.into();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAccessKey(()));
        }
        Ok(Self(key))
    }

    /// The header value that presents this key, or none if it could not be built.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn opens(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Some((scheme, presented)) = value.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(presented.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(masked)")
    }
}

/// The text given as an access key cannot be one.
#[derive(Debug)]
pub struct InvalidAccessKey(());

impl fmt::Display for InvalidAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an access key must be one or more visible ASCII characters without spaces")
    }
}

impl std::error::Error for InvalidAccessKey {}

/// The one path that is open to probes, which hold no key.
pub(crate) const HEALTH: &str = "/health";

/// Lets a request through if no key is asked for, or if it carries the key.
pub(crate) async fn guard(
    State(key): State<Option<AccessKey>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(key) = key else {
        return next.run(request).await;
    };
    if request.uri().path() != HEALTH && !key.opens(request.headers()) {
        let mut response =
            Refusal::unauthenticated("this service needs its access key as a bearer token")
                .into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    // Handlers get the whole header map, and none of them has use for the key.
    request.headers_mut().remove(AUTHORIZATION);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn only_one_exact_bearer_opens() {
        let key = AccessKey::new("s3cret").unwrap();
        for (values, opens) in [
            (&["Bearer s3cret"][..], true),
            (&["bearer s3cret"], true),
            (&["Bearer s3cre"], false),
            (&["Bearer s3cret2"], false),
            (&["Bearer "], false),
            (&["Basic s3cret"], false),
            (&["s3cret"], false),
            (&["Bearer s3cret", "Bearer s3cret"], false),
            (&[], false),
        ] {
            assert_eq!(key.opens(&headers(values)), opens, "{values:?}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = AccessKey::new("s3cret").unwrap();
        assert!(!format!("{key:?}").contains("s3cret"));
        assert!(!format!("{:?}", key.header().unwrap()).contains("s3cret"));
        let error = AccessKey::new("not allowed").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("not allowed"));
    }

    #[test]
    fn keys_that_cannot_travel_are_refused() {
        for key in ["", " ", "a b", "a\n", "schlüssel"] {
            assert!(AccessKey::new(key).is_err(), "{key:?}");
        }
    }
}
