//! The names of request headers, in lower case: those that the gateway passes on or writes, and
//! those that somebody on the way gives a meaning. None of them can carry what the configuration
//! puts into a header of its own.

/// Copied from the caller to the upstream, in either era.
pub const PASSED: [&str; 3] = ["mcp-protocol-version", "traceparent", "tracestate"];

/// Copied besides, in the legacy era.
pub const PASSED_LEGACY: [&str; 1] = ["last-event-id"];

/// Copied besides, in the modern era.
pub const PASSED_MODERN: [&str; 1] = ["mcp-method"];

/// Copied besides in the modern era where the method has a target, or written.
pub const NAME: &str = "mcp-name";

/// The beginning of names of headers that repeat arguments, which are copied besides in the modern
/// era.
const PARAMETER: &str = "mcp-param-";

/// Written by the gateway for every upstream.
pub const WRITTEN: [&str; 6] =
    ["accept", "accept-encoding", "content-length", "content-type", "host", "x-request-id"];

/// Beginnings of names that have a meaning: of HTTP, of MCP, of tracing, of proxies and of
/// browsers.
const PREFIXES: [&str; 22] = [
    "accept-",
    "access-control-",
    "authentication-",
    "cache-",
    "cdn-",
    "content-",
    "cross-origin-",
    "if-",
    "mcp-",
    "odata-",
    "protocol-",
    "proxy-",
    "public-key-pins",
    "repeatability-",
    "sec-",
    "set-cookie",
    "surrogate-",
    "want-",
    "x-b3-",
    "x-forwarded",
    "x-http-method",
    "x-original-",
];

/// Names by which proxies tell of the user who has logged in at them: an identity, as ours is.
const IDENTITIES: [&str; 4] = [
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
];

/// Other names with a meaning: fields of the registry of HTTP that are in use, those of tracing
/// and of proxies, and names that CGI (RFC 3875 4.1.18) makes variables of that mean something
/// else, like `HTTP_PROXY`.
const OTHERS: [&str; 113] = [
    "a-im",
    "accept",
    "age",
    "allow",
    "alpn",
    "alt-svc",
    "alt-used",
    "authorization",
    "available-dictionary",
    "b3",
    "baggage",
    "capsule-protocol",
    "clear-site-data",
    "client-cert",
    "client-cert-chain",
    "close",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "dav",
    "delta-base",
    "depth",
    "destination",
    "dictionary-id",
    "digest",
    "dnt",
    "dpop",
    "dpop-nonce",
    "early-data",
    "etag",
    "expect",
    "expect-ct",
    "expires",
    "forwarded",
    "from",
    "hobareg",
    "host",
    "http2-settings",
    "https",
    "im",
    "incremental",
    "isolation",
    "keep-alive",
    "label",
    "last-event-id",
    "last-modified",
    "link",
    "link-template",
    "location",
    "lock-token",
    "max-forwards",
    "memento-datetime",
    "meter",
    "mime-version",
    "negotiate",
    "nel",
    "optional-www-authenticate",
    "ordering-type",
    "origin",
    "origin-agent-cluster",
    "overwrite",
    "p3p",
    "permissions-policy",
    "ping-from",
    "ping-to",
    "position",
    "pragma",
    "prefer",
    "preference-applied",
    "priority",
    "proxy",
    "public",
    "range",
    "referer",
    "referrer-policy",
    "refresh",
    "replay-nonce",
    "reporting-endpoints",
    "repr-digest",
    "retry-after",
    "save-data",
    "schedule-reply",
    "sentry-trace",
    "server",
    "server-timing",
    "signature",
    "signature-input",
    "slug",
    "soapaction",
    "status-uri",
    "strict-transport-security",
    "sunset",
    "te",
    "timeout",
    "timing-allow-origin",
    "topic",
    "traceparent",
    "traceresponse",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "ttl",
    "uber-trace-id",
    "upgrade",
    "upgrade-insecure-requests",
    "urgency",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-request-id",
];

/// More of proxies and frameworks, which servers act on.
const VENDORS: [&str; 19] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "front-end-https",
    "true-client-ip",
    "x-accel-buffering",
    "x-amzn-trace-id",
    "x-client-ip",
    "x-cloud-trace-context",
    "x-cluster-client-ip",
    "x-content-type-options",
    "x-correlation-id",
    "x-frame-options",
    "x-host",
    "x-method-override",
    "x-real-ip",
    "x-requested-with",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];

/// True for the name of a header, in lower case, that repeats an argument and is no other name to
/// a server behind CGI (RFC 3875 4.1.18), which takes `_` and `-` for the same.
#[must_use]
pub fn is_parameter(name: &str) -> bool {
    let rest = name.strip_prefix(PARAMETER);
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// True for a name, in lower case, that means something to somebody between caller and upstream.
#[must_use]
pub fn has_meaning(name: &str) -> bool {
    let is_ours = || {
        let passed = PASSED.iter().chain(&PASSED_LEGACY).chain(&PASSED_MODERN);
        passed.chain(&WRITTEN).chain([&NAME]).any(|ours| *ours == name)
            || name.starts_with(PARAMETER)
    };
    let is_theirs = || {
        OTHERS.contains(&name)
            || VENDORS.contains(&name)
            || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    is_ours() || (is_theirs() && !IDENTITIES.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_or_written_has_a_meaning() {
        let lists: [&[&str]; 4] = [&PASSED, &PASSED_LEGACY, &PASSED_MODERN, &WRITTEN];
        for name in lists.concat().into_iter().chain([NAME, "mcp-param-region"]) {
            assert!(has_meaning(name), "{name}");
        }
    }

    #[test]
    fn names_are_in_lower_case_and_once() {
        let all: Vec<&str> = PREFIXES.iter().chain(&OTHERS).chain(&VENDORS).copied().collect();
        for (i, name) in all.iter().enumerate() {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(!all[..i].contains(name), "{name} twice");
        }
    }

    #[test]
    fn a_parameter_has_one_name_to_every_server() {
        assert!(is_parameter("mcp-param-region-1"));
        for name in ["mcp-param-user_id", "mcp_param-x", "mcp-param", "mcp-param-a.b", "x"] {
            assert!(!is_parameter(name), "{name}");
        }
    }

    #[test]
    fn a_name_of_ones_own_has_none() {
        for name in ["x-user-id", "x-organization-id", "x-doorward-assertion", "remote-user"] {
            assert!(!has_meaning(name), "{name}");
        }
        for name in ["x-api-key", "private-token", "x-webauth-user", "x-forwarded-user", "ifx"] {
            assert!(!has_meaning(name), "{name}");
        }
    }
}
