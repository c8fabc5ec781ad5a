//! A URI taken apart.

/// Schemes whose URLs browsers and WHATWG libraries read in a way of their own, with the port that
/// is the same as none (WHATWG URL, "special scheme").
const SPECIAL: [(&str, Option<&str>); 6] = [
    ("file", None),
    ("ftp", Some("21")),
    ("http", Some("80")),
    ("https", Some("443")),
    ("ws", Some("80")),
    ("wss", Some("443")),
];

/// The parts of a URI as they are spelled (RFC 3986 appendix B).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts<'u> {
    pub(super) scheme: &'u str,
    /// Behind `//`; `None` where that is missing.
    pub(super) authority: Option<&'u str>,
    pub(super) path: &'u str,
    pub(super) query: Option<&'u str>,
    pub(super) fragment: Option<&'u str>,
}

impl<'u> Parts<'u> {
    /// Takes any text with a scheme apart, also one that is no URI.
    pub(super) fn split(text: &'u str) -> Option<Self> {
        let (rest, fragment) = cut(text, '#');
        let (rest, query) = cut(rest, '?');
        let (scheme, rest) = rest.split_once(':').filter(|(scheme, _)| !scheme.contains('/'))?;
        let (authority, path) = match rest.strip_prefix("//") {
            None => (None, rest),
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
        };
        Some(Self { scheme, authority, path, query, fragment })
    }
}

/// The texts before and behind the first `mark`.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// True for a scheme in lower case that WHATWG URL treats specially.
pub(super) fn is_special(scheme: &str) -> bool {
    SPECIAL.iter().any(|(special, _)| *special == scheme)
}

/// The port that means the same as none.
pub(super) fn default_port(scheme: &str) -> Option<&'static str> {
    SPECIAL.iter().find(|(special, _)| *special == scheme)?.1
}

/// Host and port of an authority without user. The colons of an address in brackets are the
/// host's.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let from = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority.get(from..).and_then(|rest| rest.find(':')) {
        None => (authority, None),
        Some(colon) => {
            let (host, port) = authority.split_at(from + colon);
            (host, port.get(1..))
        }
    }
}

/// `text` with its escapes (`%41`) decoded once; an escape that is none stays as it is.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_taken_apart_as_the_standard_says() {
        let parts = |text| {
            let Parts { scheme, authority, path, query, fragment } = Parts::split(text)?;
            Some((scheme, authority, path, query, fragment))
        };
        for (text, expected) in [
            ("a://b/c?d#e", Some(("a", Some("b"), "/c", Some("d"), Some("e")))),
            ("a:///c", Some(("a", Some(""), "/c", None, None))),
            ("a://b", Some(("a", Some("b"), "", None, None))),
            ("a:b/c", Some(("a", None, "b/c", None, None))),
            ("a:/c", Some(("a", None, "/c", None, None))),
            ("a:", Some(("a", None, "", None, None))),
            ("a://b?c/d", Some(("a", Some("b"), "", Some("c/d"), None))),
            ("a://b#c?d", Some(("a", Some("b"), "", None, Some("c?d")))),
            ("a/b:c", None),
            ("a?b:c", None),
            ("", None),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn a_port_stands_behind_the_host() {
        for (authority, expected) in [
            ("h", ("h", None)),
            ("h:80", ("h", Some("80"))),
            ("h:", ("h", Some(""))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some("80"))),
        ] {
            assert_eq!(host_and_port(authority), expected, "{authority}");
        }
    }

    #[test]
    fn escapes_are_decoded_once() {
        for (text, expected) in
            [("%41%2541", "A%41"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%+1%C3%A9", "%+1é")]
        {
            assert_eq!(decoded(text), expected.as_bytes(), "{text}");
        }
    }
}
