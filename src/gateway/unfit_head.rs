//! A head that is refused for one of its parts: what records hold of that part.

use http::header::{self, HeaderMap, HeaderName};
use pingora::protocols::http::ServerSession;

use super::misdirected::shown;
use crate::core::refusal::Refusal;
use crate::core::revision::Disagreement;
use crate::core::token::AuthFailure;

/// Schemes of `Authorization` that are named (the registry of IANA, and what is in use besides).
/// Any other word there may be the secret itself.
const SCHEMES: [&str; 19] = [
    "ApiKey",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Digest",
    "DPoP",
    "GNAP",
    "Hawk",
    "HOBA",
    "JWT",
    "Key",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "PrivateToken",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "Token",
    "vapid",
];

/// More about the refusal, where it is for a part of the head; nothing in it is secret.
pub(super) fn detail(session: &ServerSession, refusal: &Refusal) -> Option<String> {
    let head = session.req_header();
    match refusal {
        Refusal::MethodNotAllowed | Refusal::Headers(Disagreement::Bodyless) => {
            Some(format!("method {}", shown(head.method.as_str())))
        }
        Refusal::UnsupportedType => Some(sent(&head.headers, &header::CONTENT_TYPE)),
        Refusal::Encoded => Some(sent(&head.headers, &header::CONTENT_ENCODING)),
        Refusal::Expectation => Some(sent(&head.headers, &header::EXPECT)),
        Refusal::Unauthenticated(AuthFailure::Malformed) => Some(scheme(&head.headers)),
        _ => None,
    }
}

/// What a header says, which is none of those that hold a secret.
fn sent(headers: &HeaderMap, name: &HeaderName) -> String {
    let title = match *name {
        header::CONTENT_TYPE => "Content-Type",
        header::CONTENT_ENCODING => "Content-Encoding",
        _ => "Expect",
    };
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => format!("no {title}"),
        (Some(_), Some(_)) => format!("{title} more than once"),
        (Some(value), None) => {
            format!("{title} {}", shown(&String::from_utf8_lossy(value.as_bytes())))
        }
    }
}

/// The scheme of `Authorization`, where it is known to be one.
fn scheme(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let value = value.unwrap_or_default().trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace);
    let (word, rest) = value.split_at(end.unwrap_or(value.len()));
    let is = |scheme: &str| word.eq_ignore_ascii_case(scheme.as_bytes());
    let known = SCHEMES.into_iter().find(|scheme| is(scheme));
    match (known, rest) {
        (Some(scheme), _) => format!("Authorization of the scheme {scheme}, and not Bearer"),
        (None, []) if value.is_empty() => "an empty Authorization".to_owned(),
        (None, []) if is("Bearer") => "Authorization: Bearer without a token".to_owned(),
        (None, _) if is("Bearer") => {
            "Authorization: Bearer with what is no token (RFC 6750 2.1)".to_owned()
        }
        (None, []) => "Authorization without a scheme; it must be Bearer and a token".to_owned(),
        (None, _) => "Authorization of another scheme than Bearer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).unwrap());
        headers
    }

    #[test]
    fn a_scheme_is_named_and_a_secret_is_not() {
        for (value, said) in [
            ("Basic czNjcmV0", "Authorization of the scheme Basic, and not Bearer"),
            ("basic czNjcmV0", "Authorization of the scheme Basic, and not Bearer"),
            ("DPoP s3cret", "Authorization of the scheme DPoP, and not Bearer"),
            ("Digest username=\"s3cret\"", "Authorization of the scheme Digest, and not Bearer"),
            ("Negotiate", "Authorization of the scheme Negotiate, and not Bearer"),
            ("s3cret", "Authorization without a scheme; it must be Bearer and a token"),
            ("dw_s3cret s3cret", "Authorization of another scheme than Bearer"),
            ("Bearer", "Authorization: Bearer without a token"),
            ("Bearer s3cret s3cret", "Authorization: Bearer with what is no token (RFC 6750 2.1)"),
            ("Bearer:s3cret", "Authorization without a scheme; it must be Bearer and a token"),
            ("", "an empty Authorization"),
            ("\u{fc}ser s3cret", "Authorization of another scheme than Bearer"),
        ] {
            let told = scheme(&headers(header::AUTHORIZATION, value.as_bytes()));
            assert_eq!(told, said, "{value}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn what_is_sent_is_short_and_only_shows() {
        let long = "x".repeat(9000);
        for (value, said) in [
            ("text/plain", "Content-Type text/plain"),
            ("application/json; charset=utf-16", "Content-Type application/json; charset=utf-16"),
            ("a\u{202e}b", "Content-Type a\\u{202e}b"),
            (&long, "Content-Type xxx"),
        ] {
            let told =
                sent(&headers(header::CONTENT_TYPE, value.as_bytes()), &header::CONTENT_TYPE);
            assert!(told.starts_with(said) && told.len() < 200, "{told}");
        }
        assert_eq!(sent(&HeaderMap::new(), &header::CONTENT_TYPE), "no Content-Type");
        let mut twice = headers(header::CONTENT_TYPE, b"a");
        twice.append(header::CONTENT_TYPE, HeaderValue::from_static("b"));
        assert_eq!(sent(&twice, &header::CONTENT_TYPE), "Content-Type more than once");
    }
}
