//! Who may ask: whoever reaches the listener, and no page of somebody else in a browser.
//!
//! A page is read by its origin, so that one of another origin must not come through, and a name
//! that its owner points here must not make it ours (DNS rebinding). What nobody outside can point
//! here is ours: addresses, names without a dot, names that are reserved for private use.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{self, AsHeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Uri, Version};

use crate::telemetry::metrics::AdminRefusal;

/// Nobody outside has names below these (RFC 6761 6.3, RFC 6762 3, RFC 8375 and ICANN's
/// resolution 2024.07.29.06).
const PRIVATE: [&str; 4] = [".localhost", ".local", ".home.arpa", ".internal"];

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What of a head says who asks.
pub(super) struct Asked<'h> {
    pub(super) version: Version,
    pub(super) uri: &'h Uri,
    pub(super) headers: &'h HeaderMap,
}

/// Refuses what is for somebody else's host, or comes from somebody else's page. `is_ours` knows
/// the names that the configuration calls ours.
pub(super) fn check(asked: &Asked<'_>, is_ours: impl Fn(&str) -> bool) -> Result<(), AdminRefusal> {
    let host = match only(asked.headers, header::HOST)? {
        // No browser speaks it any more.
        None if asked.version < Version::HTTP_11 => None,
        None => return Err(AdminRefusal::Head),
        Some(text) => {
            let host: Authority = text.parse().map_err(|_| AdminRefusal::Head)?;
            if text.contains('@') || !is_known(host.host(), &is_ours) {
                return Err(AdminRefusal::ForeignHost);
            }
            Some(text)
        }
    };
    if asked.uri.authority().is_some_and(|target| !is_known(target.host(), &is_ours)) {
        return Err(AdminRefusal::ForeignHost);
    }
    let is_same = |origin: &str| {
        let own = host.and_then(|host| Some((origin.strip_prefix("http://")?, host)));
        own.is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    };
    if only(asked.headers, header::ORIGIN)?.is_some_and(|origin| !is_same(origin)) {
        return Err(AdminRefusal::CrossOrigin);
    }
    match only(asked.headers, &FETCH_SITE)? {
        None | Some("none" | "same-origin") => Ok(()),
        Some(_) => Err(AdminRefusal::CrossOrigin),
    }
}

fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<&str>, AdminRefusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| AdminRefusal::Head),
        _ => Err(AdminRefusal::Head),
    }
}

fn is_known(host: &str, is_ours: &impl Fn(&str) -> bool) -> bool {
    let name = host.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match literal {
        Some(literal) => literal.parse::<Ipv6Addr>().is_ok(),
        None if name.is_empty() => false,
        None => {
            !name.contains('.')
                || name.parse::<Ipv4Addr>().is_ok()
                || PRIVATE.iter().any(|suffix| name.ends_with(suffix))
                || is_ours(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str, version: Version, headers: &[(&str, &str)]) -> Option<AdminRefusal> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let asked = Asked { version, uri: &target.parse().unwrap(), headers: &all };
        check(&asked, |name| name == "mcp.example.com").err()
    }

    fn with(headers: &[(&str, &str)]) -> Option<AdminRefusal> {
        checked("/metrics", Version::HTTP_11, headers)
    }

    #[test]
    fn what_nobody_outside_can_point_here_is_ours() {
        for host in [
            "127.0.0.1:9901",
            "10.1.2.3",
            "[::1]:9901",
            "[fd00::7]",
            "localhost:9901",
            "LOCALHOST",
            "gateway:9901",
            "doorward.monitoring.svc.cluster.local:9901",
            "gw.internal",
            "x.localhost.",
            "MCP.example.com:9901",
        ] {
            assert_eq!(with(&[("host", host)]), None, "{host}");
        }
        assert_eq!(checked("/livez", Version::HTTP_10, &[]), None, "of a time before pages");
    }

    #[test]
    fn what_somebody_outside_can_point_here_is_not() {
        use AdminRefusal::{ForeignHost, Head};
        for (host, refusal) in [
            ("evil.example", ForeignHost),
            ("evil.example:9901", ForeignHost),
            ("127.0.0.1.nip.io:9901", ForeignHost),
            ("localhost.evil.example", ForeignHost),
            ("x.mcp.example.com", ForeignHost),
            ("127.0.0.1@evil.example", ForeignHost),
            ("evil.example.", ForeignHost),
            ("evillocal.com", ForeignHost),
            ("", Head),
            ("a b", Head),
        ] {
            assert_eq!(with(&[("host", host)]), Some(refusal), "{host}");
        }
        assert_eq!(with(&[]), Some(Head));
        assert_eq!(with(&[("host", "a"), ("host", "a")]), Some(Head));
        let absolute = checked("http://evil.example/", Version::HTTP_11, &[("host", "a")]);
        assert_eq!(absolute, Some(ForeignHost));
    }

    #[test]
    fn no_page_of_another_origin_is_served() {
        let host = ("host", "localhost:9901");
        for good in [
            ("origin", "http://localhost:9901"),
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(with(&[host, good]), None, "{good:?}");
        }
        for bad in [
            ("origin", "http://localhost:3000"),
            ("origin", "https://localhost:9901"),
            ("origin", "null"),
            ("origin", "chrome-extension://x"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "new-word"),
        ] {
            assert_eq!(with(&[host, bad]), Some(AdminRefusal::CrossOrigin), "{bad:?}");
        }
    }
}
