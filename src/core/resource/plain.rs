//! URIs that every server takes for the same.

use iri_string::types::UriStr;
use url::Url;

use super::parts::{Parts, decoded, host_and_port, is_special};
use crate::core::names::is_read_otherwise;

/// Highest port there is.
const MAX_PORT: u32 = 65_535;

/// True where RFC 3986, WHATWG URL and those who decode or cut all leave `uri` as it is: in normal
/// form, without user, without empty or dotted segments, and without an escape that hides
/// something.
pub(super) fn is_plain(uri: &str) -> bool {
    let Some(parts) = Parts::split(uri) else {
        return false;
    };
    is_normal(uri)
        && is_canonical(uri)
        && parts.authority.is_none_or(|authority| is_plain_authority(authority, parts.scheme))
        && has_plain_segments(parts.path)
        && [Some(parts.path), parts.query, parts.fragment].into_iter().flatten().all(hides_nothing)
        && [parts.query, parts.fragment].into_iter().flatten().all(has_plain_pieces)
}

/// True for what a library of WHATWG URL reads and writes again as it is; servers in TypeScript and
/// Python do that.
pub(super) fn is_canonical(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| url.as_str() == uri)
}

/// True for a URI in the normal form of RFC 3986 6.2.2. The case of an authority is left to the
/// schemes: some servers keep identifiers there.
fn is_normal(uri: &str) -> bool {
    let Ok(sent) = UriStr::new(uri) else {
        return false;
    };
    let normal = sent.normalize().to_string();
    let Ok(normal) = UriStr::new(&normal) else {
        return false;
    };
    let lower = |uri: &UriStr| uri.authority_str().map(str::to_ascii_lowercase);
    sent.scheme_str() == normal.scheme_str()
        && lower(sent) == lower(normal)
        && sent.path_str() == normal.path_str()
        && sent.query_str() == normal.query_str()
        && sent.fragment().map(|f| f.as_str()) == normal.fragment().map(|f| f.as_str())
}

/// `host` or `host:port`, with nothing that one reader leaves out or another decodes.
fn is_plain_authority(authority: &str, scheme: &str) -> bool {
    if authority.is_empty() || scheme == "file" {
        return authority.is_empty() && (scheme == "file" || !is_special(scheme));
    }
    let (host, port) = host_and_port(authority);
    let is_port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit())
            && !port.starts_with('0')
            && port.parse().is_ok_and(|port: u32| port <= MAX_PORT)
    };
    // The library has checked it where the scheme knows addresses; elsewhere it is any text.
    let is_address = is_special(scheme) && host.starts_with('[') && host.ends_with(']');
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            // A name in another script, which readers may write out.
            && !label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
    };
    (is_address || host.split('.').all(is_label)) && port.is_none_or(is_port)
}

/// True where no segment is empty, but for a last one, and none is dots to some reader.
fn has_plain_segments(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let inner = path.strip_suffix('/').unwrap_or(path);
    let is_plain = |segment: &str| {
        let text = decoded(segment);
        !segment.is_empty() && !is_dots(&String::from_utf8_lossy(&text))
    };
    path.is_empty() || inner.split('/').all(is_plain)
}

/// The same of a query or fragment, whose pieces may be empty but between slashes.
fn has_plain_pieces(text: &str) -> bool {
    let is_plain = |piece: &str| {
        let text = decoded(&piece.replace('+', " "));
        piece.is_empty() || !is_dots(&String::from_utf8_lossy(&text))
    };
    !text.contains("//") && text.split(['/', '?', '&', '=', ';']).all(is_plain)
}

/// True for what some server takes for this folder or the one above: `..`, `..;x` (which cuts
/// parameters), `.. ` and `...` (which trim).
pub(in crate::core) fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    name.chars().all(|c| c == '.' || c.is_whitespace() || c.is_control())
}

/// True where the escapes stand for text that may stand there: no separator, no other escape, no
/// control, and nothing that normalises to one.
fn hides_nothing(part: &str) -> bool {
    let escapes = part.split('%').skip(1);
    let mut hidden = escapes.map(|rest| rest.get(..2).and_then(|d| u8::from_str_radix(d, 16).ok()));
    let is_harmless = |byte: u8| !byte.is_ascii_control() && !b"/\\%?#".contains(&byte);
    hidden.all(|byte| byte.is_some_and(is_harmless))
        && String::from_utf8(decoded(part))
            .is_ok_and(|text| !is_read_otherwise(&text) && !text.chars().any(char::is_control))
}
