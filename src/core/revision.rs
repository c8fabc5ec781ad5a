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

/// Revisions in which each request names its own; the others are none.
pub const MODERN: [&str; 1] = ["2026-07-28"];

/// Revisions with a handshake, by the values of `MCP-Protocol-Version`.
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

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
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Disagreement {
    /// A GET or a DELETE of the modern era, which has neither.
    Bodyless,
    /// A header is missing, repeated, badly encoded, or says something else than the body.
    Header,
    /// The version header is of the modern era and the body lacks its `_meta`.
    MissingMeta,
    /// A revision that is not known here; holds its name.
    Unsupported(String),
}

/// Finds the era of `message` and checks its headers against it.
///
/// The era follows from the value of the version and never from its place: servers disagree about
/// every value that is none of the known revisions. Some compare it as a text with the first
/// modern one, some take all but the known legacy ones for modern, some do not look at it.
///
/// # Errors
/// [`Disagreement`] where the version is not known, or where a modern request's headers are
/// missing or say something else. Legacy requests carry no such duty; their `Mcp-Method` and
/// `Mcp-Name` mean nothing and are dropped.
pub fn agree(message: &Message<'_>, headers: &McpHeaders<'_>) -> Result<Era, Disagreement> {
    let Some(claimed) = message.claimed_version() else {
        return match (era_of(headers.version)?, message.kind()) {
            (Era::Modern, Kind::Request(_)) => Err(Disagreement::MissingMeta),
            (era, _) => Ok(era),
        };
    };
    if headers.version != Header::One(claimed) {
        return Err(Disagreement::Header);
    }
    if !MODERN.contains(&claimed) {
        return Err(Disagreement::Unsupported(claimed.to_owned()));
    }
    match repeats(message, headers) {
        true => Ok(Era::Modern),
        false => Err(Disagreement::Header),
    }
}

/// Checks the version header of a GET or a DELETE, which belong to the legacy era.
///
/// # Errors
/// [`Disagreement`] where the header names anything else than a legacy revision.
pub fn agree_without_body(version: Header<'_>) -> Result<(), Disagreement> {
    match era_of(version)? {
        Era::Legacy => Ok(()),
        Era::Modern => Err(Disagreement::Bodyless),
    }
}

/// The era of a request that claims none itself. Without a version it is of 2025-03-26 (MCP
/// 2025-06-18, "Protocol Version Header").
fn era_of(version: Header<'_>) -> Result<Era, Disagreement> {
    match version {
        Header::Absent => Ok(Era::Legacy),
        Header::One(known) if LEGACY.contains(&known) => Ok(Era::Legacy),
        Header::One(known) if MODERN.contains(&known) => Ok(Era::Modern),
        Header::One(other) => Err(Disagreement::Unsupported(other.to_owned())),
        Header::Unclear => Err(Disagreement::Header),
    }
}

/// True where the headers of a modern message repeat its method and its target.
fn repeats(message: &Message<'_>, headers: &McpHeaders<'_>) -> bool {
    // What headers a notification has is left open.
    let may_lack_method = *message.kind() == Kind::Notification && headers.method == Header::Absent;
    if !may_lack_method && headers.method != Header::One(message.method()) {
        return false;
    }
    // A method that is gone is unknown, whatever its headers say.
    let method = method::find(message.method()).filter(|m| m.eras != Eras::Legacy);
    match method.and_then(|m| m.target).and_then(|target| message.param(target)) {
        Some(Field::Text(target)) => name_matches(headers.name, target),
        _ => true,
    }
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
    fn a_body_without_meta_is_of_the_era_of_its_header() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
        let with = |version| McpHeaders { version, ..modern("x", Header::One("y")) };
        for version in LEGACY {
            assert_eq!(check(body, with(Header::One(version))), Ok(Era::Legacy), "{version}");
        }
        assert_eq!(check(body, with(Header::Absent)), Ok(Era::Legacy));
        assert_eq!(check(body, with(Header::Unclear)), Err(Disagreement::Header));
        let modern_header = with(Header::One("2026-07-28"));
        assert_eq!(check(body, modern_header), Err(Disagreement::MissingMeta));
        assert_eq!(check(notice, modern_header), Ok(Era::Modern));
        for version in ["", "x", "1.0", "zzzz", "2026-07-28x", "2025-11-26", "2027-01-01"] {
            let unsupported = Err(Disagreement::Unsupported(version.to_owned()));
            for body in [body, notice] {
                assert_eq!(check(body, with(Header::One(version))), unsupported, "{version}");
            }
        }
    }

    #[test]
    fn a_claim_that_is_no_modern_revision_makes_nothing_modern() {
        for version in ["", "x", "2025-11-25", "2026-07-28 ", "2026-7-28", "2027-01-01", "v999.0.0"]
        {
            let body = MODERN_CALL.replace("2026-07-28", version);
            let said =
                |said| McpHeaders { version: said, ..modern("tools/call", Header::One("alpha")) };
            let unsupported = Err(Disagreement::Unsupported(version.to_owned()));
            assert_eq!(check(&body, said(Header::One(version))), unsupported, "{version}");
            for other in [Header::Absent, Header::Unclear, Header::One("2026-07-28")] {
                assert_eq!(check(&body, said(other)), Err(Disagreement::Header), "{version}");
            }
        }
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
