//! Eras of MCP: which one a request belongs to, and whether its headers agree with its body.
//!
//! The body decides; headers are cross-checks (MCP 2026-07-28, "Request Metadata", "Server
//! Validation"). "Legacy" are the revisions with an initialize handshake, 2024-11-05 to
//! 2025-11-25; "modern" is 2026-07-28, where each request describes itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

use super::message::{Field, Kind, Message};
use super::method::{self, Eras};

/// The first revision without a handshake.
pub const FIRST_MODERN: &str = "2026-07-28";

/// Which family of revisions a request is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// What the request head says of one header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header<'h> {
    /// Not there.
    Absent,
    /// There once, as visible ASCII; surrounding blanks are gone.
    One(&'h str),
    /// There more than once, or not visible ASCII.
    Unclear,
}

/// The headers that repeat what the body says.
#[derive(Clone, Copy, Debug)]
pub struct McpHeaders<'h> {
    /// `MCP-Protocol-Version`.
    pub version: Header<'h>,
    /// `Mcp-Method`.
    pub method: Header<'h>,
    /// `Mcp-Name`.
    pub name: Header<'h>,
}

/// Why head and body do not belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disagreement {
    /// A header is missing, repeated, badly encoded, or says something else than the body.
    Header,
    /// The version header is of the modern era and the body lacks its `_meta`.
    MissingMeta,
}

/// Finds the era of `message` and checks its headers against it.
///
/// # Errors
/// [`Disagreement`] where a modern request's headers are missing or say something else. Legacy
/// requests carry no such duty; their `Mcp-Method` and `Mcp-Name` mean nothing and are dropped.
pub fn agree(message: &Message<'_>, headers: &McpHeaders<'_>) -> Result<Era, Disagreement> {
    if headers.version == Header::Unclear {
        return Err(Disagreement::Header);
    }
    let Some(claimed) = message.claimed_version() else {
        return match headers.version {
            Header::One(version) if is_modern(version) => match message.kind() {
                Kind::Request(_) => Err(Disagreement::MissingMeta),
                Kind::Notification | Kind::Response => Ok(Era::Modern),
            },
            _ => Ok(Era::Legacy),
        };
    };
    let same = |header, wanted: &str| header == Header::One(wanted);
    // What headers a notification has is left open.
    let may_lack_method = *message.kind() == Kind::Notification && headers.method == Header::Absent;
    let same_method = may_lack_method || same(headers.method, message.method());
    if !same(headers.version, claimed) || !same_method {
        return Err(Disagreement::Header);
    }
    // A method that is gone is unknown, whatever its headers say.
    let method = method::find(message.method()).filter(|m| m.eras != Eras::Legacy);
    if let Some(Field::Text(target)) = method.and_then(|m| m.target).and_then(|t| message.param(t))
        && !name_matches(headers.name, target)
    {
        return Err(Disagreement::Header);
    }
    Ok(Era::Modern)
}

/// Whether a version is a date from [`FIRST_MODERN`] on; anything that is no date is not.
fn is_modern(version: &str) -> bool {
    let is_date = version.len() == FIRST_MODERN.len()
        && version.bytes().zip(FIRST_MODERN.bytes()).all(|(b, like)| match like {
            b'-' => b == b'-',
            _ => b.is_ascii_digit(),
        });
    is_date && version >= FIRST_MODERN
}

fn name_matches(header: Header<'_>, target: &str) -> bool {
    match header {
        Header::One(value) => decode_sentinel(value).is_some_and(|name| name == target),
        Header::Absent | Header::Unclear => false,
    }
}

/// The value behind `=?base64?…?=`, or the value itself where it is not in that form; `None` where
/// the form is there and its content is not strict Base64 of UTF-8 ("Value Encoding").
fn decode_sentinel(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix("=?base64?").and_then(|v| v.strip_suffix("?=")) else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = STANDARD.decode(inner).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The value of a header that says `name`: `name` itself, or its sentinel form where that would
/// not come through.
#[must_use]
pub fn encode_sentinel(name: &str) -> Cow<'_, str> {
    let is_plain = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_graphic())
        && !name.starts_with("=?base64?");
    if is_plain {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODERN_CALL: &str = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"alpha","#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#
    );

    fn check(body: &str, headers: McpHeaders<'_>) -> Result<Era, Disagreement> {
        agree(&Message::read(body.as_bytes(), 64).unwrap(), &headers)
    }

    fn modern<'h>(method: &'h str, name: Header<'h>) -> McpHeaders<'h> {
        McpHeaders { version: Header::One("2026-07-28"), method: Header::One(method), name }
    }

    #[test]
    fn headers_of_a_modern_request_must_repeat_its_body() {
        use Header::{Absent, One, Unclear};
        let call = "tools/call";
        let cases = [
            (modern(call, One("alpha")), Ok(Era::Modern)),
            (modern(call, One("=?base64?YWxwaGE=?=")), Ok(Era::Modern)),
            (modern(call, One("=?base64?YWxwaGE?=")), Err(Disagreement::Header)),
            (modern(call, One("=?BASE64?YWxwaGE=?=")), Err(Disagreement::Header)),
            (modern(call, One("beta")), Err(Disagreement::Header)),
            (modern(call, Absent), Err(Disagreement::Header)),
            (modern(call, Unclear), Err(Disagreement::Header)),
            (modern("tools/list", One("alpha")), Err(Disagreement::Header)),
            (modern("TOOLS/CALL", One("alpha")), Err(Disagreement::Header)),
            (
                McpHeaders { version: Absent, ..modern(call, One("alpha")) },
                Err(Disagreement::Header),
            ),
            (
                McpHeaders { version: One("2025-11-25"), ..modern(call, One("alpha")) },
                Err(Disagreement::Header),
            ),
            (
                McpHeaders { method: Absent, ..modern(call, One("alpha")) },
                Err(Disagreement::Header),
            ),
        ];
        for (headers, expected) in cases {
            assert_eq!(check(MODERN_CALL, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_body_without_meta_is_legacy_unless_its_header_is_modern() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let with = |version| McpHeaders { version, ..modern("x", Header::One("y")) };
        for version in ["2025-11-25", "2024-11-05", "1.0", "zzzz", "2026-07-28x"] {
            assert_eq!(check(body, with(Header::One(version))), Ok(Era::Legacy), "{version}");
        }
        assert_eq!(check(body, with(Header::Absent)), Ok(Era::Legacy));
        assert_eq!(check(body, with(Header::Unclear)), Err(Disagreement::Header));
        let modern_header = check(body, with(Header::One("2026-07-28")));
        assert_eq!(modern_header, Err(Disagreement::MissingMeta));
    }

    #[test]
    fn a_name_that_is_encoded_reads_as_itself() {
        for name in ["alpha", "a b", "é", "=?base64?YQ==?=", "a\n", ""] {
            let value = encode_sentinel(name);
            assert!(value.bytes().all(|b| b.is_ascii_graphic()), "{value}");
            assert_eq!(decode_sentinel(&value).as_deref(), Some(name));
        }
    }
}
