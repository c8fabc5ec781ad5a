//! Step 2 and 3 of the story: what the head of a request must be, and what is read from it.

use http::header::{self, AsHeaderName};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::protocols::http::ServerSession;

use super::Options;
use crate::core::headers;
use crate::core::limits::Limits;
use crate::core::principal::PresentedToken;
use crate::core::refusal::Refusal;
use crate::core::revision::{Header, McpHeaders};
use crate::core::token::AuthFailure;

/// What an admitted head asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admitted {
    /// DELETE.
    EndSession,
    /// POST with a JSON body.
    Message,
    /// OPTIONS of a browser, from an allowed origin (Fetch, "CORS-preflight request").
    Preflight,
    /// GET.
    Stream,
}

pub(super) static LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
pub(super) static MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(super) static MCP_NAME: HeaderName = HeaderName::from_static(headers::NAME);
pub(super) static MCP_SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) static MCP_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// Checks everything about the head that is the same for every route, and gives back its length in
/// bytes.
pub(super) fn check_framing(session: &ServerSession, limits: &Limits) -> Result<usize, Refusal> {
    let head = session.req_header();
    let length = if let Some(http1) = session.as_http1() {
        let raw = http1.get_headers_raw_bytes();
        if raw.len() > limits.headers {
            return Err(Refusal::HeadTooLarge);
        }
        check_raw_head(&raw)?;
        match only(&head.headers, header::TRANSFER_ENCODING) {
            Header::Absent => {}
            Header::One(value) if value.eq_ignore_ascii_case("chunked") => {}
            Header::One(_) | Header::Unclear => {
                return Err(Refusal::BadHead("transfer-encoding"));
            }
        }
        raw.len()
    } else {
        let size = |(n, v): (&HeaderName, &HeaderValue)| n.as_str().len() + v.len();
        let length = head.headers.iter().map(size).sum::<usize>();
        if length > limits.headers {
            return Err(Refusal::HeadTooLarge);
        }
        length
    };
    if head.headers.contains_key(header::UPGRADE) {
        return Err(Refusal::BadHead("upgrade"));
    }
    match only(&head.headers, header::EXPECT) {
        Header::Absent => Ok(length),
        Header::One(value) if value.eq_ignore_ascii_case("100-continue") => Ok(length),
        Header::One(_) | Header::Unclear => Err(Refusal::Expectation),
    }
}

/// The parser accepts what other readers of the same bytes take for something else: lines that
/// end in a bare LF, a body with two lengths, a target with a fragment (RFC 9112 2.2, 6.3, 3.2).
fn check_raw_head(raw: &[u8]) -> Result<(), Refusal> {
    if raw.split(|&b| b == b'\r').next().unwrap_or_default().contains(&b'#') {
        return Err(Refusal::BadHead("fragment"));
    }
    let (mut lengths, mut codings) = (0, 0);
    for line in raw.split_inclusive(|&b| b == b'\n') {
        if !line.ends_with(b"\r\n") {
            return Err(Refusal::BadHead("bare LF"));
        }
        let name = line.split(|&b| b == b':').next().unwrap_or_default();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        codings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    if lengths + codings > 1 { Err(Refusal::BadHead("two body lengths")) } else { Ok(()) }
}

/// `Host` must be one of ours (RFC 9112 3.2; DNS rebinding).
pub(super) fn check_host(session: &ServerSession, options: &Options) -> Result<(), Refusal> {
    let head = session.req_header();
    let authority = head.uri.authority().filter(|_| session.is_http2());
    let host = match (authority, only(&head.headers, header::HOST)) {
        (Some(authority), Header::Absent) => authority.as_str(),
        (Some(authority), Header::One(host)) if authority.as_str() == host => host,
        (None, Header::One(host)) => host,
        _ => return Err(Refusal::BadHead("host")),
    };
    if options.hosts.contains(&host.to_ascii_lowercase()) {
        Ok(())
    } else {
        Err(Refusal::ForeignHost)
    }
}

/// An `Origin`, where there is one, must be allowed; it is returned, to be named in the answer.
pub(super) fn check_origin(
    session: &ServerSession,
    options: &Options,
) -> Result<Option<HeaderValue>, Refusal> {
    let headers = &session.req_header().headers;
    match only(headers, header::ORIGIN) {
        Header::Absent => Ok(None),
        Header::One(origin) if options.origins.contains(&origin.to_ascii_lowercase()) => {
            Ok(headers.get(header::ORIGIN).cloned())
        }
        Header::One(_) | Header::Unclear => Err(Refusal::ForeignOrigin),
    }
}

/// The raw path, before any `?`: no decoding and no folding, so that what is matched is what the
/// caller sent. Upstreams never see it.
pub(super) fn path(session: &ServerSession) -> &[u8] {
    let raw = session.req_header().raw_path();
    if session.is_http2() {
        return session.req_header().uri.path().as_bytes();
    }
    raw.split(|&b| b == b'?').next().unwrap_or_default()
}

/// The method, and what goes with it.
pub(super) fn admit(session: &mut ServerSession) -> Result<Admitted, Refusal> {
    let has_body = !session.is_body_empty();
    let head = session.req_header();
    let bodyless = |admitted| {
        if has_body { Err(Refusal::BadHead("body not allowed")) } else { Ok(admitted) }
    };
    match head.method {
        Method::POST => check_media(&head.headers).map(|()| Admitted::Message),
        Method::GET => bodyless(Admitted::Stream),
        Method::DELETE => bodyless(Admitted::EndSession),
        Method::OPTIONS
            if head.headers.contains_key(header::ORIGIN)
                && head.headers.contains_key("access-control-request-method") =>
        {
            bodyless(Admitted::Preflight)
        }
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Exactly `application/json`, in UTF-8 if it says so, and not encoded.
fn check_media(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::Encoded);
    }
    let Header::One(value) = only(headers, header::CONTENT_TYPE) else {
        return Err(Refusal::UnsupportedType);
    };
    match media_type(value) {
        Some(media) if media.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Refusal::UnsupportedType),
    }
}

/// The media type of a `Content-Type`, where its text is UTF-8 as far as it says.
pub(super) fn media_type(value: &str) -> Option<&str> {
    let (media, parameter) = match value.split_once(';') {
        None => (value, None),
        Some((media, parameter)) => (media, Some(parameter.trim())),
    };
    let utf8 = |p: &str| {
        p.eq_ignore_ascii_case("charset=utf-8") || p.eq_ignore_ascii_case("charset=\"utf-8\"")
    };
    parameter.is_none_or(utf8).then_some(media.trim())
}

/// The bearer token. No other place is ever looked at (RFC 6750 2.1; MCP, "Token Requirements").
pub(super) fn bearer(headers: &HeaderMap) -> Result<PresentedToken<'_>, AuthFailure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthFailure::Missing)?;
    if values.next().is_some() {
        return Err(AuthFailure::Repeated);
    }
    let value = value.to_str().map_err(|_| AuthFailure::Malformed)?;
    PresentedToken::from_authorization(value).ok_or(AuthFailure::Malformed)
}

/// The headers that repeat what the body says.
pub(super) fn mcp(headers: &HeaderMap) -> McpHeaders<'_> {
    McpHeaders {
        version: only(headers, &MCP_VERSION),
        method: only(headers, &MCP_METHOD),
        name: only(headers, &MCP_NAME),
    }
}

/// The session of a legacy request. It, the resumption point and the version are there at most
/// once each, in visible ASCII, and as long as the head may be: what was handed out comes back.
pub(super) fn session(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let once = |name| match only(headers, name) {
        Header::Absent => Ok(None),
        Header::One(value) => Ok(Some(value)),
        Header::Unclear => Err(Refusal::BadHead("session headers")),
    };
    once(&LAST_EVENT)?;
    once(&MCP_VERSION)?;
    once(&MCP_SESSION)
}

/// The single value of a header.
pub(super) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Header<'_> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Header::Absent;
    };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Header::One(text.trim_matches([' ', '\t'])),
        _ => Header::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn only_json_in_utf8_is_taken() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json ; charset=\"utf-8\"",
        ] {
            assert_eq!(check_media(&headers(&[("content-type", good)])), Ok(()), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonx",
            "application/json, text/plain",
            "application/json;charset=utf-16le",
            "application/json;charset=utf-7",
            "application/json;charset=utf-8;charset=utf-7",
            "application/x-ndjson",
            "application/json;boundary=x",
            "multipart/form-data",
            "application/json;",
        ] {
            let sent = headers(&[("content-type", bad)]);
            assert_eq!(check_media(&sent), Err(Refusal::UnsupportedType), "{bad}");
        }
        let twice = headers(&[("content-type", "application/json"), ("content-type", "a/b")]);
        assert_eq!(check_media(&twice), Err(Refusal::UnsupportedType));
        assert_eq!(check_media(&headers(&[])), Err(Refusal::UnsupportedType));
        let gzip = headers(&[("content-type", "application/json"), ("content-encoding", "gzip")]);
        assert_eq!(check_media(&gzip), Err(Refusal::Encoded));
    }

    #[test]
    fn a_head_with_two_readings_is_refused() {
        let good = b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(check_raw_head(good), Ok(()));
        for bad in [
            "POST / HTTP/1.1\nHost: a\r\n\r\n",
            "POST /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nX-A: b\nX-User-ID: root\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(check_raw_head(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn there_is_one_place_for_a_token() {
        let failure = |pairs: &[(&str, &str)]| bearer(&headers(pairs)).err();
        assert_eq!(failure(&[("authorization", "Bearer a")]), None);
        assert_eq!(
            failure(&[("cookie", "token=a"), ("x-api-key", "a")]),
            Some(AuthFailure::Missing)
        );
        assert_eq!(failure(&[("authorization", "Basic YTpi")]), Some(AuthFailure::Malformed));
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(failure(&twice), Some(AuthFailure::Repeated));
    }
}
