//! What is amiss with an upstream, in words for operators: in which step, at which address, and why.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{StatusCode, header};
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::upstreams::peer::Tracing;

use super::head::only;
use crate::core::harmless::visible;
use crate::core::revision::Header;

/// Most characters of what an upstream sent that are repeated.
const MAX_WORDS: usize = 240;

/// The step in which it shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The name of the host is looked up.
    Resolve,
    /// A connection is made.
    Connect,
    /// TLS is begun on it.
    Tls,
    /// The request is sent.
    Write,
    /// The head of the answer is waited for and read.
    Head,
    /// The body of the answer is read.
    Body,
}

impl Phase {
    /// The word for it in the log and in records.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::Head => "head",
            Self::Body => "body",
        }
    }
}

/// Why an upstream, or its answer, is of no use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Trouble {
    phase: Phase,
    place: String,
    words: String,
    hint: Option<&'static str>,
}

impl Trouble {
    /// `place` is the address, as [`super::Upstream::place`] says it.
    pub(super) fn new(phase: Phase, place: String, words: &str) -> Self {
        Self { phase, place, words: shown(words), hint: None }
    }

    /// From an error that ended the exchange in this phase, or in one that the error tells better.
    pub(super) fn of(error: &pingora::Error, phase: Phase, place: String) -> Self {
        let Cause { phase, words, hint } = Cause::of(error, phase);
        Self { hint, ..Self::new(phase, place, &words) }
    }

    /// The time that `key` of the configuration allows was not enough.
    pub(super) fn late(phase: Phase, place: String, key: &str, time: Duration) -> Self {
        let what = match phase {
            Phase::Resolve | Phase::Connect | Phase::Tls => "timed out",
            Phase::Write => "timed out, since the request was not taken",
            Phase::Head => "timed out without an answer",
            Phase::Body => "timed out before the answer ended",
        };
        let time = humantime::format_duration(time);
        Self::new(phase, place, &format!("{what}, after {key} = {time}"))
    }

    /// From a status that says more to operators than to callers.
    pub(super) fn status(head: &ResponseHeader, place: String) -> Self {
        Self {
            hint: status_hint(head.status),
            ..Self::new(Phase::Head, place, &status_words(head))
        }
    }

    /// One line for the record of the request.
    pub(super) fn detail(&self) -> String {
        format!("{} {}: {}", self.phase.as_str(), self.place, self.words)
    }

    /// Says it in the log.
    pub(super) fn tell(&self, upstream: &str, reason: &str) {
        let (address, phase) = (self.place.as_str(), self.phase.as_str());
        let (cause, hint) = (self.words.as_str(), self.hint);
        match self.phase {
            Phase::Resolve | Phase::Connect | Phase::Tls | Phase::Write => {
                tracing::warn!(
                    event = "upstream.failed",
                    upstream,
                    address,
                    phase,
                    reason,
                    cause,
                    hint
                );
            }
            Phase::Head | Phase::Body => {
                tracing::warn!(
                    event = "upstream.answer",
                    upstream,
                    address,
                    phase,
                    reason,
                    cause,
                    hint
                );
            }
        }
    }
}

/// What an error of the framework means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cause {
    phase: Phase,
    words: String,
    hint: Option<&'static str>,
}

impl Cause {
    /// `phase` is where the error was seen. Words of the framework that quote what an upstream
    /// sent are left out.
    pub(super) fn of(error: &pingora::Error, phase: Phase) -> Self {
        use ErrorType as Type;
        let told = |phase, words: &str, hint| Self { phase, words: words.to_owned(), hint };
        match error.etype() {
            Type::TLSHandshakeFailure | Type::TLSHandshakeTimedout | Type::InvalidCert => {
                tls(error
                    .context
                    .as_ref()
                    .map_or(error.etype().as_str(), |context| context.as_str()))
            }
            Type::ConnectTimedout => told(phase, "timed out", None),
            Type::ConnectRefused => {
                let words = system(error).unwrap_or_else(|| "connection refused".to_owned());
                told(Phase::Connect, &words, Some("is it running, and is the port in url right?"))
            }
            Type::InvalidHTTPHeader => {
                told(Phase::Head, "what came is no head of HTTP/1.1, or too long a one", None)
            }
            Type::ConnectionClosed => told(phase, "it closed the connection before the end", None),
            kind => {
                let words = system(error).unwrap_or_else(|| kind.as_str().to_owned());
                // In TLS 1.3 a client learns behind the handshake that its certificate is refused.
                match words.contains("received fatal alert") {
                    true => tls(&words),
                    false => told(phase, &words, None),
                }
            }
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.phase.as_str(), shown(&self.words))
    }
}

/// The words of the operating system or of the TLS library, where there are some.
fn system(error: &pingora::Error) -> Option<String> {
    let root = error.root_cause();
    match root.downcast_ref::<io::Error>() {
        Some(error) => Some(error.to_string()),
        None if root.is::<pingora::Error>() => None,
        None => Some(root.to_string()),
    }
}

/// Faults of a handshake, told apart by the words of the TLS library, which gives nothing else.
fn tls(said: &str) -> Cause {
    const KNOWN: [(&str, &str, &str); 9] = [
        (
            "UnknownIssuer",
            "its certificate is from an unknown issuer",
            "name the file with the certificate of its authority in ca_file of the upstream",
        ),
        (
            "BadSignature",
            "its certificate is from an unknown issuer with the name of a known one",
            "was its authority made anew? ca_file of the upstream must have the new one",
        ),
        (
            "not valid for name",
            "its certificate is for another name",
            "url must name the host as the certificate does",
        ),
        ("not valid yet", "its certificate is not valid yet", "compare the clocks"),
        ("certificate expired", "its certificate has expired", "it needs a new one"),
        (
            "received corrupt message",
            "it does not speak TLS",
            "if it is meant to, look at the port; if not, write url with http://",
        ),
        (
            "CertificateRequired",
            "it wants a certificate of the gateway",
            "name one in client_cert_file and client_key_file of the upstream",
        ),
        (
            "UnknownCA",
            "it does not know the issuer of the gateway's certificate",
            "the authority of client_cert_file must be known there",
        ),
        ("handshake eof", "it closed the connection in the handshake", "does it speak TLS?"),
    ];
    // The framework puts its own words around those of the library.
    let said = said.rsplit("cause: ").next().unwrap_or(said);
    let said = said.rsplit_once(", SNI: ").map_or(said, |(said, _)| said);
    let known = KNOWN.into_iter().find(|(word, ..)| said.contains(word));
    let (words, hint) = match known {
        Some((_, words, hint)) => (format!("{words} ({said})"), Some(hint)),
        None => (said.to_owned(), None),
    };
    Cause { phase: Phase::Tls, words, hint }
}

/// The number, and the headers that explain it.
fn status_words(head: &ResponseHeader) -> String {
    let mut words = format!("status {}", head.status.as_u16());
    let explains = [header::LOCATION, header::RETRY_AFTER, header::CONTENT_TYPE];
    for name in &explains {
        let Header::One(value) = only(&head.headers, name) else { continue };
        let value = if name == header::LOCATION { plain_url(value) } else { value.to_owned() };
        let title = match name {
            name if name == header::LOCATION => "Location",
            name if name == header::RETRY_AFTER => "Retry-After",
            _ => "Content-Type",
        };
        words += &format!(", {title} {}", value.chars().take(MAX_WORDS / 2).collect::<String>());
    }
    words
}

fn status_hint(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        300..=399 => Some("redirects are not followed; url must be where it leads"),
        401 | 403 => Some("it wants other credentials than the gateway sends"),
        404 => Some("is the path in url right?"),
        405 => Some("is the path in url that of Streamable HTTP?"),
        _ => None,
    }
}

/// A URL without what may be secret in it: user, password, query and fragment.
fn plain_url(url: &str) -> String {
    // Clients take one for the other.
    let url = url.replace('\\', "/");
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (kept, rest) = url.split_at(end);
    let more = if rest.is_empty() { "" } else { "?…" };
    let (scheme, place) = kept.split_once("//").map_or(("", kept), |(s, p)| (s, p));
    let slashes = if kept.contains("//") { "//" } else { "" };
    let authority = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(authority);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}{slashes}{host}{path}{more}")
}

/// What an upstream sent, shortened, and so that it only shows.
fn shown(words: &str) -> String {
    let mut short: String = words.chars().take(MAX_WORDS).collect();
    if short.len() < words.len() {
        short.push('…');
    }
    visible(&short)
}

/// Notices that a connection is made, and that what follows is TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Connected(Arc<AtomicBool>);

impl Connected {
    /// The phase in which connecting failed.
    pub(super) fn phase(&self) -> Phase {
        if self.0.load(Ordering::Relaxed) { Phase::Tls } else { Phase::Connect }
    }
}

impl Tracing for Connected {
    fn on_connected(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn on_disconnected(&self) {}

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_nothing_is_told_that_may_be_secret() {
        for (url, plain) in [
            ("https://a.example/mcp", "https://a.example/mcp"),
            ("https://u:secret@a.example:8443/mcp/?x=secret", "https://a.example:8443/mcp/?…"),
            ("https://a.example/mcp#secret", "https://a.example/mcp?…"),
            ("https://secret@b@a.example", "https://a.example"),
            ("//secret@a.example/x@y", "//a.example/x@y"),
            ("/login?token=secret", "/login?…"),
            ("https://a.example?//secret@x/", "https://a.example?…"),
            ("https:\\\\secret@a.example", "https://a.example"),
            ("https:secret@a.example/x", "a.example/x"),
            ("", ""),
        ] {
            assert_eq!(plain_url(url), plain, "{url}");
        }
    }

    #[test]
    fn what_an_upstream_sends_is_short_and_only_shows() {
        let hostile = format!("\u{1b}[2J\r\n{}", "x".repeat(10_000));
        let trouble = Trouble::new(Phase::Body, "a:1".to_owned(), &hostile);
        let detail = trouble.detail();
        assert!(detail.starts_with("body a:1: \\u{1b}[2J\\r\\nxxx"), "{detail}");
        assert!(detail.len() < 300, "{}", detail.len());
        let mut head = ResponseHeader::build(302, None).unwrap();
        head.insert_header(header::LOCATION, format!("https://a/{}", "x".repeat(9_000))).unwrap();
        head.insert_header(header::CONTENT_TYPE, "text/html").unwrap();
        let words = status_words(&head);
        assert!(words.starts_with("status 302, Location https://a/xx"), "{words}");
        assert!(words.ends_with("Content-Type text/html") && words.len() < 300, "{words}");
    }

    #[test]
    fn faults_of_a_handshake_have_words_of_their_own() {
        let around = |said: &str| {
            format!("TLSHandshakeFailure context: TLS connect() failed: cause: {said}, SNI: host")
        };
        for (said, words) in [
            ("invalid peer certificate: UnknownIssuer", "unknown issuer"),
            ("invalid peer certificate: BadSignature", "unknown issuer with the name"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "another name"),
            ("invalid peer certificate: certificate expired: verification", "has expired"),
            ("invalid peer certificate: certificate not valid yet: veri", "not valid yet"),
            ("received corrupt message of type InvalidContentType", "does not speak TLS"),
            ("received fatal alert: CertificateRequired", "wants a certificate"),
            ("tls handshake eof", "closed the connection"),
            ("something new", "something new"),
        ] {
            let cause = tls(&around(said));
            assert!(cause.words.contains(words), "{cause:?}");
            assert!(cause.words.contains(said) && !cause.words.contains("SNI"), "{cause:?}");
            assert_eq!(cause.phase, Phase::Tls);
        }
    }
}
