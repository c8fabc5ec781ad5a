//! URIs of resources as permissions see them (RFC 3986; MCP, "Resources").
//!
//! A server is free to fold a URI before it looks it up: scheme and host in lower case, `%41` for
//! `A`, `a/../b` for `b`, without its fragment. So a glob reaches only a URI that is in its normal
//! form already, and a deny holds for every form that the one that was sent may be folded to.

use iri_string::types::UriStr;

/// `uri` in its normal form (RFC 3986 6.2.2); `None` where it is no URI.
fn normal(uri: &str) -> Option<String> {
    UriStr::new(uri).ok().map(|uri| uri.normalize().to_string())
}

/// Whether a glob may reach `uri`: in normal form (the case of its authority aside, where servers
/// keep identifiers), without fragment, without empty segments, and without an escape that hides
/// a separator, another escape or a control character.
#[must_use]
pub fn is_plain(uri: &str) -> bool {
    let Some(normal) = normal(uri) else {
        return false;
    };
    let (Ok(sent), Ok(normal)) = (UriStr::new(uri), UriStr::new(&normal)) else {
        return false;
    };
    let authority = sent.authority_str();
    sent.fragment().is_none()
        && sent.scheme_str() == normal.scheme_str()
        && authority.map(str::to_ascii_lowercase)
            == normal.authority_str().map(str::to_ascii_lowercase)
        && sent.path_str() == normal.path_str()
        && sent.query_str() == normal.query_str()
        && !matches!(authority, Some("." | ".."))
        && has_plain_segments(sent.path_str())
        && !hides(uri)
}

fn has_plain_segments(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let inner = path.strip_suffix('/').unwrap_or(path);
    path.is_empty() || inner.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Whether an escape stands for what may not stand there in clear.
fn hides(uri: &str) -> bool {
    uri.split('%').skip(1).any(|piece| {
        let hidden = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        hidden.is_none_or(|byte| byte.is_ascii_control() || b"/\\%".contains(&byte))
    })
}

/// Every form that a server may fold `uri` to, the one that was sent first.
#[must_use]
pub fn forms(uri: &str) -> Vec<String> {
    let mut forms = vec![uri.to_owned()];
    if let Some(normal) = normal(uri) {
        let whole = normal.split('#').next().unwrap_or_default();
        let bare = whole.split('?').next().unwrap_or_default();
        forms.extend([whole, bare, bare.trim_end_matches('/')].map(str::to_owned));
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

    const ROUNDS: u32 = 20_000;

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
            ("note:a/../secret", "note:/secret"),
            ("x://h/%c3", "x://h/%C3"),
        ];
        for (uri, form) in cases {
            let forms = forms(uri);
            assert!(forms.iter().any(|f| f == form), "{uri}: {forms:?}");
            assert_eq!(forms.first().map(String::as_str), Some(uri));
        }
    }

    /// Strings of what means something in a URI, from a generator that always starts the same.
    #[test]
    fn no_uri_is_too_strange_to_be_read() {
        let pieces = [
            "a", "A", "x:", ":", "/", "//", "..", ".", "?", "#", "%2e", "%2F", "%", "@", "[", "]",
            "{", "}", "é", "\0", "1",
        ];
        let mut state = 1_u64;
        for _ in 0..ROUNDS {
            let mut uri = String::new();
            for _ in 0..state >> 60 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                uri.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let forms = forms(&uri);
            assert!(
                !is_plain(&uri) || forms.iter().any(|f| f.eq_ignore_ascii_case(&uri)),
                "{uri:?}"
            );
            assert!(fill(&uri, "x").is_none_or(|t| !t.contains('{')), "{uri:?}");
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
