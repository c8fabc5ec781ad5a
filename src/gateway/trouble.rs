//! What is amiss with an upstream, in words for operators: in which step, at which address, and why.

mod cause;
mod tls;

use std::time::Duration;

use http::{StatusCode, header};
use pingora::http::ResponseHeader;

pub(super) use self::cause::{Cause, Connected};
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

    /// The same, with more about why.
    pub(super) fn adding(self, more: Option<String>) -> Self {
        match more {
            Some(more) => Self { words: shown(&format!("{}; {more}", self.words)), ..self },
            None => self,
        }
    }

    /// The same, with another word on how to mend it, where it has none of its own kind.
    pub(super) fn hinting(self, hint: &'static str) -> Self {
        let is_late_in = matches!(self.phase, Phase::Head | Phase::Body);
        Self { hint: if is_late_in { Some(hint) } else { self.hint }, ..self }
    }

    /// Says in the log that the keys of an issuer could not be fetched.
    pub(super) fn tell_of_keys(&self, issuer: &str) {
        let (address, phase, error) = (self.place.as_str(), self.phase.as_str(), &*self.words);
        let hint = self.hint;
        tracing::warn!(event = "jwks.failed", issuer, address, phase, error, hint);
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

/// The number, and the headers that explain it.
pub(super) fn status_words(head: &ResponseHeader) -> String {
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
}
