//! URIs of resources as permissions see them (RFC 3986; MCP, "Resources").
//!
//! A server is free to fold a URI before it looks it up: scheme and host in lower case, `%41` for
//! `A`, `a/../b` for `b`, without its fragment. So a glob reaches only a URI that is in its normal
//! form already, and a deny holds for every form that the one that was sent may be folded to.

use std::fmt::Write as _;

/// The parts of a URI that are treated apart; the fragment is dropped.
struct Parts<'u> {
    scheme: &'u str,
    authority: Option<&'u str>,
    path: &'u str,
    query: Option<&'u str>,
    has_fragment: bool,
}

impl<'u> Parts<'u> {
    fn of(uri: &'u str) -> Option<Self> {
        let (uri, fragment) = cut(uri, '#');
        let (scheme, rest) = uri.split_once(':')?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            None => (None, rest),
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
        };
        let has_fragment = fragment.is_some();
        is_scheme.then_some(Self { scheme, authority, path, query, has_fragment })
    }

    fn has_plain_segments(&self) -> bool {
        let is_dots = |segment: &str| segment == "." || segment == "..";
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        let inner = path.strip_suffix('/').unwrap_or(path);
        !self.authority.is_some_and(is_dots)
            && !path.split('/').any(is_dots)
            && (path.is_empty() || inner.split('/').all(|segment| !segment.is_empty()))
    }

    /// Scheme, authority and path as RFC 3986 6.2.2 normalises them.
    fn normal(&self) -> String {
        let mut out = self.scheme.to_ascii_lowercase();
        out.push(':');
        if let Some(authority) = self.authority {
            out.push_str("//");
            out.push_str(&decode_unreserved(authority).to_ascii_lowercase());
        }
        let mut kept: Vec<&str> = Vec::new();
        let path = decode_unreserved(self.path);
        // Before a leading slash stands an empty segment, which stays.
        let root = usize::from(path.starts_with('/'));
        for segment in path.split('/') {
            match segment {
                "." => {}
                ".." => kept.truncate(kept.len().saturating_sub(1).max(root)),
                _ => kept.push(segment),
            }
        }
        out.push_str(&kept.join("/"));
        out
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Whether a glob may reach `uri`: in normal form (the case of its authority aside, where servers
/// keep identifiers), without fragment, without empty segments, and without an escape that hides
/// a separator, another escape or a control character.
#[must_use]
pub fn is_plain(uri: &str) -> bool {
    Parts::of(uri).is_some_and(|parts| {
        !parts.has_fragment
            && !parts.scheme.bytes().any(|b| b.is_ascii_uppercase())
            && parts.has_plain_segments()
            && has_plain_bytes(uri)
    })
}

fn has_plain_bytes(uri: &str) -> bool {
    let mut pieces = uri.split('%');
    let legal =
        |text: &str| text.bytes().all(|b| is_unreserved(b) || b":/?[]@!$&'()*+,;=".contains(&b));
    pieces.next().is_some_and(legal)
        && pieces.all(|piece| match escape(piece) {
            Some((hidden, digits, rest)) => {
                let is_normal = !digits.bytes().any(|b| b.is_ascii_lowercase());
                let hides = is_unreserved(hidden) || hidden.is_ascii_control();
                is_normal && !hides && !b"/\\%".contains(&hidden) && legal(rest)
            }
            None => false,
        })
}

/// The byte that an escape stands for, its two digits, and what follows them.
fn escape(behind_percent: &str) -> Option<(u8, &str, &str)> {
    let digits = behind_percent.get(..2)?;
    let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    Some((byte, digits, behind_percent.get(2..)?))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Escapes of unreserved characters are undone, the digits of all others put in upper case.
fn decode_unreserved(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match escape(piece) {
            Some((byte, _, rest)) if is_unreserved(byte) => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            Some((byte, _, rest)) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}{rest}");
            }
            None => {
                out.push('%');
                out.push_str(piece);
            }
        }
    }
    out
}

/// Every form that a server may fold `uri` to, the one that was sent first.
#[must_use]
pub fn forms(uri: &str) -> Vec<String> {
    let mut forms = vec![uri.to_owned()];
    if let Some(parts) = Parts::of(uri) {
        let normal = parts.normal();
        if let Some(query) = parts.query {
            forms.push(format!("{normal}?{query}"));
        }
        forms.push(normal.trim_end_matches('/').to_owned());
        forms.push(normal);
    }
    forms
}

/// A URI template with each expression (RFC 6570) replaced by `filler`; `None` where its braces
/// do not match.
#[must_use]
pub fn fill(template: &str, filler: &str) -> Option<String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((literal, behind)) = rest.split_once('{') {
        let (expression, behind) = behind.split_once('}')?;
        if literal.contains('}') || expression.is_empty() || expression.contains('{') {
            return None;
        }
        out.push_str(literal);
        out.push_str(filler);
        rest = behind;
    }
    out.push_str(rest);
    (!rest.contains('}')).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_in_normal_form_is_plain() {
        for uri in [
            "file:///srv/docs/a.md",
            "ticket://TCK-1",
            "ticket://list?status=in%20progress",
            "docs://all/",
            "urn:isbn:0451450523",
            "note:a/b",
            "http://[::1]:80/x",
            "x://h/%C3%A9",
        ] {
            assert!(is_plain(uri), "{uri}");
        }
    }

    #[test]
    fn a_uri_that_a_server_may_fold_is_not() {
        for uri in [
            "",
            "docs",
            "FILE:///a",
            "file:///a/../b",
            "file:///a/./b",
            "file:///a/..",
            "file:///a//b",
            "file:////a",
            "file://../a",
            "note:../a",
            "file:///a/%2e%2e/b",
            "file:///a/%2E%2E/b",
            "file:///a%2Fb",
            "file:///a%2fb",
            "file:///a%5Cb",
            "file:///a\\b",
            "file:///a%252Fb",
            "file:///%41",
            "file:///a%00",
            "file:///a%0A",
            "file:///a%",
            "file:///a%2",
            "file:///a%+2",
            "file:///a%é",
            "file:///a b",
            "file:///a\n",
            "file:///é",
            "file:///a#b",
            "file:///{a}",
            "1a://b",
            "://b",
        ] {
            assert!(!is_plain(uri), "{uri:?}");
        }
    }

    #[test]
    fn the_forms_of_a_uri_hold_what_a_server_may_take_it_for() {
        let cases = [
            ("FILE://Host/a/%2e%2e/%73ecret#x", "file://host/secret"),
            ("file:///a/b/../../secret/", "file:///secret"),
            ("file:///../../secret", "file:///secret"),
            ("ticket://SECRET", "ticket://secret"),
            ("ticket://secret?x=1", "ticket://secret"),
            ("ticket://%53ecret/", "ticket://secret"),
            ("note:a/../secret", "note:secret"),
            ("x://h/%c3", "x://h/%C3"),
        ];
        for (uri, form) in cases {
            let forms = forms(uri);
            assert!(forms.iter().any(|f| f == form), "{uri}: {forms:?}");
            assert_eq!(forms.first().map(String::as_str), Some(uri));
        }
    }

    #[test]
    fn expressions_of_a_template_are_filled() {
        assert_eq!(fill("t://{id}/x{?q,r}", "-").as_deref(), Some("t://-/x-"));
        assert_eq!(fill("t://a", "-").as_deref(), Some("t://a"));
        for broken in ["t://{", "t://}", "t://{}", "t://{{a}}", "t://{a", "t://a}{b}"] {
            assert_eq!(fill(broken, "-"), None, "{broken}");
        }
    }
}
