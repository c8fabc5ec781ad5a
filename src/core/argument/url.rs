//! URLs among the arguments of a call.

use std::fmt;

use super::test::BadTest;
use crate::core::resource::{Resource, UriPattern, Vain, vain};

/// A question about a URL: its scheme, its host, its path. Only a text holds that libraries of
/// WHATWG URL, of RFC 3986 and those who cut texts take apart alike; query and fragment are free.
#[derive(Clone, Debug)]
pub struct UrlTest {
    /// One for each scheme and host, without query and fragment.
    patterns: Vec<UriPattern>,
    text: String,
}

/// They are the same where their patterns are, in whatever order.
impl PartialEq for UrlTest {
    fn eq(&self, other: &Self) -> bool {
        let is_in = |one: &Self, all: &Self| one.patterns.iter().all(|p| all.patterns.contains(p));
        is_in(self, other) && is_in(other, self)
    }
}

impl UrlTest {
    /// A URL with one of `schemes`, one of `hosts` (globs of `host` or `host:port`), and a path that
    /// the glob `path` matches.
    ///
    /// # Errors
    /// [`BadTest`] with the reason.
    pub fn new(schemes: &[&str], hosts: &[&str], path: &str) -> Result<Self, BadTest> {
        let bad =
            |what: &str, text: &str| Err(BadTest(format!("has a {what} that is none: {text}")));
        let is_scheme = |text: &&&str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b))
        };
        if let Some(text) = schemes.iter().find(|text| !is_scheme(text)) {
            return bad("scheme", text);
        }
        // Two asterisks for a host would reach into the path.
        let is_no_host = |text: &&&str| {
            text.is_empty() || text.contains("**") || text.contains(['/', '?', '#', '@', '\\'])
        };
        if let Some(text) = hosts.iter().find(is_no_host) {
            return bad("host", text);
        }
        if !path.starts_with('/') || path.contains(['?', '#', '\\']) {
            return bad("path", path);
        }
        let mut patterns = Vec::new();
        for (scheme, host) in
            schemes.iter().flat_map(|scheme| hosts.iter().map(move |h| (scheme, h)))
        {
            let pattern = UriPattern::parse(&format!("{scheme}://{host}{path}"));
            patterns.push(pattern.map_err(|why| BadTest(why.to_string()))?);
        }
        let text = format!("{}://{}{path}", schemes.join("|"), hosts.join("|"));
        Ok(Self { patterns, text })
    }

    /// Whether it certainly holds only where `other` does.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let all: Vec<&UriPattern> = other.patterns.iter().collect();
        self.patterns.iter().all(|pattern| pattern.is_matched_by(&all))
    }

    /// One of its schemes, hosts and paths, as a URL, that no URL fulfils: only those in normal
    /// form hold.
    #[must_use]
    pub fn vain(&self) -> Option<Vain> {
        let holds = |pattern: &UriPattern, url: &str| pattern.matches(&Resource::of_url(url));
        self.patterns.iter().find_map(|pattern| vain(pattern.as_str(), holds))
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        let url = Resource::of_url(text);
        self.patterns.iter().any(|pattern| pattern.matches(&url))
    }
}

impl fmt::Display for UrlTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a URL like {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_judged_by_what_every_library_makes_of_it() {
        let test =
            UrlTest::new(&["https"], &["*.example.com", "api.acme.org:8443"], "/v1/**").unwrap();
        for text in [
            "https://a.example.com/v1/x",
            "https://a.b.example.com/v1/x?next=/../y&z=%2F#part",
            "https://api.acme.org:8443/v1/x",
        ] {
            assert!(test.holds(text), "{text}");
        }
        for text in [
            "http://a.example.com/v1/x",
            "https://example.com/v1/x",
            "https://a.example.com/v2/x",
            "https://a.example.com/v1/../x",
            "https://a.example.com/v1/%2e%2e/x",
            "https://a.example.com/v1/..%2Fx",
            "https://a.example.com/v1/..;/x",
            "https://a.example.com/v1//x",
            "https://a.example.com:443/v1/x",
            "https://a.example.com:8443/v1/x",
            "https://u@a.example.com/v1/x",
            "https://evil.com\\.example.com/v1/x",
            "https://evil.com?.example.com/v1/x",
            "https://evil.com#.example.com/v1/x",
            "https://evil.com%2f.example.com/v1/x",
            "https://u@evil.com#@x.example.com/v1/x",
            "https://A.example.com/v1/x",
            "https:a.example.com/v1/x",
            "https:/a.example.com/v1/x",
            " https://a.example.com/v1/x",
            "https://a.example.com/v1/x\n",
            "https://a.example.com./v1/x",
            "https://a.example.com/v1/x?a b",
            "//a.example.com/v1/x",
            "",
        ] {
            assert!(!test.holds(text), "{text:?}");
        }
    }

    #[test]
    fn a_url_test_that_cannot_be_meant_is_refused() {
        for (scheme, host, path) in [
            ("https:", "a", "/"),
            ("HTTPS", "a", "/"),
            ("https", "a/b", "/"),
            ("https", "", "/"),
            ("https", "u@a", "/"),
            ("https", "a", "x"),
            ("https", "a", "/x?y"),
            ("https", "[a", "/"),
            ("https", "**", "/v1/**"),
        ] {
            assert!(UrlTest::new(&[scheme], &[host], path).is_err(), "{scheme} {host} {path}");
        }
    }
}
