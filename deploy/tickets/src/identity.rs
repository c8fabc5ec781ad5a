//! Who a request acts for: the two headers that the gateway sets. Knows no routes and no storage.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::refusal::Refusal;

/// The header that names the user.
pub(crate) const USER: &str = "X-User-ID";

/// The header that names the organization.
pub(crate) const ORGANIZATION: &str = "X-Organization-ID";

/// The most bytes that an identity may have.
const MAX_LENGTH: usize = 256;

/// One user of one organization, read from exactly one header each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// Becomes `created_by` of the tickets made in this request.
    pub(crate) user: String,
    /// The only organization whose tickets exist for this request.
    pub(crate) organization: String,
}

impl Identity {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, IdentityError> {
        Ok(Self { user: single(headers, USER)?, organization: single(headers, ORGANIZATION)? })
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::from_headers(&parts.headers)
            .map_err(|error| Refusal::unauthenticated(error.to_string()))
    }
}

/// Which header was at fault, and how.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct IdentityError {
    header: &'static str,
    fault: &'static str,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the identity header {} {}", self.header, self.fault)
    }
}

/// Two headers would mean that one of them was not set by the gateway, and nobody can say which.
fn single(headers: &HeaderMap, header: &'static str) -> Result<String, IdentityError> {
    let refuse = |fault| Err(IdentityError { header, fault });
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else {
        return refuse("is missing");
    };
    if values.next().is_some() {
        return refuse("was sent more than once");
    }
    match value.to_str().map(str::trim) {
        Err(_) => refuse("is not printable ASCII"),
        Ok("") => refuse("is empty"),
        Ok(text) if text.len() > MAX_LENGTH => refuse("is longer than 256 bytes"),
        Ok(text) => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(users: &[&[u8]]) -> Result<Identity, IdentityError> {
        let mut headers = HeaderMap::new();
        headers.insert(ORGANIZATION, HeaderValue::from_static("acme"));
        for user in users {
            headers.append(USER, HeaderValue::from_bytes(user).unwrap());
        }
        Identity::from_headers(&headers)
    }

    #[test]
    fn one_clean_header_each_is_an_identity() {
        let identity = Identity { user: "alice".into(), organization: "acme".into() };
        assert_eq!(read(&[b"alice"]), Ok(identity));
    }

    #[test]
    fn anything_else_is_refused_with_its_name() {
        let long = [b'a'; MAX_LENGTH + 1];
        for (users, fault) in [
            (&[][..], "is missing"),
            (&[&b""[..]], "is empty"),
            (&[&b"  "[..]], "is empty"),
            (&[&b"alice"[..], b"bob"], "was sent more than once"),
            (&[&b"alice"[..], b"alice"], "was sent more than once"),
            (&[&b"al\xefce"[..]], "is not printable ASCII"),
            (&[&long[..]], "is longer than 256 bytes"),
        ] {
            assert_eq!(read(users), Err(IdentityError { header: USER, fault }), "{users:?}");
        }
    }
}
