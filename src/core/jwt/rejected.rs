//! Why a JWT proves nothing, and the words for it.

use std::fmt;

use serde_json::Value;

use crate::core::harmless::visible;

/// Longest value of a claim in characters that is repeated.
const MAX_FOUND: usize = 128;

/// Most values that are named as expected.
const MAX_EXPECTED: usize = 4;

/// Why a JWT proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwtFault {
    /// `aud` does not name us (RFC 8707).
    Audience,
    /// A claim is missing, of the wrong type, or cannot be an identity.
    Claim,
    /// The moment of `exp` is past.
    Expired,
    /// `iss` is none of the configuration.
    Issuer,
    /// Not a JWT, or one whose header is not allowed; holds what.
    Malformed(&'static str),
    /// The signature is not one of the key, or the algorithm not one of the issuer.
    Signature,
    /// `nbf` or `iat` is still to come.
    TooEarly,
    /// The issuer is not known to have the key.
    UnknownKey,
}

impl fmt::Display for JwtFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audience => f.write_str("aud names somebody else"),
            Self::Claim => f.write_str("a claim is missing or unfit"),
            Self::Expired => f.write_str("exp is past"),
            Self::Issuer => f.write_str("iss is not known"),
            Self::Malformed(what) => write!(f, "{what} is not allowed"),
            Self::Signature => f.write_str("the signature or its algorithm is wrong"),
            Self::TooEarly => f.write_str("nbf or iat is still to come"),
            Self::UnknownKey => f.write_str("kid is not known"),
        }
    }
}

/// A JWT that proves nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejected {
    /// Why.
    pub fault: JwtFault,
    /// More about it, for operators: what was expected, and what was found as far as it may be
    /// repeated. At most about 2 KiB, on one line.
    pub detail: String,
    /// Whether the signature is good: nobody but the issuer says what the detail repeats.
    pub is_signed: bool,
}

impl Rejected {
    /// Before the signature is known to be good; `detail` repeats nothing that its sender chose.
    pub(in crate::core) fn unsigned(fault: JwtFault, detail: String) -> Self {
        Self { fault, detail, is_signed: false }
    }

    /// Behind a good signature: the claim `name` is not what it must be.
    pub(in crate::core) fn claim(fault: JwtFault, name: &str, expected: &str, found: &str) -> Self {
        let detail = format!("{}: expected {expected}, found {found}", visible(name));
        Self { fault, detail, is_signed: true }
    }
}

impl From<JwtFault> for Rejected {
    fn from(fault: JwtFault) -> Self {
        Self::unsigned(fault, fault.to_string())
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The value of a claim for operators: JSON, shortened, on one line, and nothing in it that could
/// be a token.
pub(in crate::core) fn found(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let json = value.to_string();
    // A JSON object in base64, which is how the header of every JWT begins.
    if json.contains("\"eyJ") {
        return "what looks like a token".to_owned();
    }
    let mut cut: String = json.chars().take(MAX_FOUND).collect();
    if cut.len() < json.len() {
        cut.push('…');
    }
    visible(&cut)
}

/// Some texts of the configuration of which one is expected.
pub(in crate::core) fn one_of<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut texts = texts.fuse();
    let named: Vec<String> =
        texts.by_ref().take(MAX_EXPECTED).map(|text| found(Some(&text.into()))).collect();
    let more = match texts.count() {
        0 => String::new(),
        more => format!(" or {more} more"),
    };
    named.join(" or ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_found_is_short_and_on_one_line_and_no_token() {
        assert_eq!(found(None), "nothing");
        assert_eq!(found(Some(&json!("acme"))), r#""acme""#);
        assert_eq!(found(Some(&json!(["a", 7, null]))), r#"["a",7,null]"#);
        let hostile = "x\r\n\u{1b}[31m\u{202e}\u{200b}".to_owned() + &"\u{e0041}".repeat(9000);
        for value in [json!(hostile), json!([hostile]), json!({ hostile.clone(): 1 })] {
            let shown = found(Some(&value));
            assert!(shown.len() < 2000, "{}", shown.len());
            assert!(shown.chars().all(|c| c.is_ascii_graphic() || c == '…' || c == ' '), "{shown}");
        }
        for value in [json!("eyJhbGciOiJub25lIn0.e30."), json!({"a": ["x", "eyJhbGci"]})] {
            assert!(!found(Some(&value)).contains("eyJ"), "{value}");
        }
    }

    #[test]
    fn of_many_expected_values_some_are_named() {
        assert_eq!(one_of(["a", "b"].into_iter()), r#""a" or "b""#);
        assert_eq!(one_of(["a"; 7].into_iter()), r#""a" or "a" or "a" or "a" or 3 more"#);
    }
}
