//! Requests that are for another host, path or origin than ours: what records hold of them, and a
//! hint in the log the first time.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use http::header;
use parking_lot::Mutex;
use pingora::protocols::http::ServerSession;

use super::{Snapshot, head};
use crate::core::harmless::visible;
use crate::core::refusal::Refusal;
use crate::core::revision::Header;

/// Most characters that are repeated of a host, a path or an origin.
const MAX_SHOWN: usize = 128;

/// Most hints of a kind in a while, and how long that is: whoever invents hosts and paths must not
/// fill the log.
const MAX_HINTS: usize = 16;
const WHILE: Duration = Duration::from_secs(3600);

/// Most hosts, paths or origins of ours that a hint names.
const MAX_NAMED: usize = 8;

/// What was asked for and is not ours.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    Host,
    /// A path that is nearly one of ours.
    NearPath,
    Origin,
    Path,
}

/// What a request was for.
pub(super) struct Misdirected {
    kind: Kind,
    host: String,
    path: String,
    origin: String,
}

impl Misdirected {
    /// `None` for refusals of other reasons.
    pub(super) fn of(session: &ServerSession, refusal: &Refusal) -> Option<Self> {
        let kind = match refusal {
            Refusal::ForeignHost => Kind::Host,
            Refusal::ForeignOrigin => Kind::Origin,
            Refusal::NotFound => Kind::Path,
            _ => return None,
        };
        let sent = session.req_header();
        let one = |name| match head::only(&sent.headers, name) {
            Header::One(value) => shown(value),
            Header::Absent | Header::Unclear => String::new(),
        };
        let host = match sent.uri.authority().filter(|_| session.is_http2()) {
            Some(authority) => shown(authority.as_str()),
            None => one(header::HOST),
        };
        // Without the query, which may be secret.
        let path = shown(&String::from_utf8_lossy(head::path(session)));
        Some(Self { kind, host, path, origin: one(header::ORIGIN) })
    }

    /// For the record.
    pub(super) fn detail(&self) -> String {
        let Self { host, path, origin, .. } = self;
        match self.kind {
            Kind::Origin => format!("Origin {origin}, Host {host}, path {path}"),
            Kind::Host | Kind::NearPath | Kind::Path => format!("Host {host}, path {path}"),
        }
    }

    /// How to mend it, and what makes it the same as another; `None` where there is no need.
    fn hint(&self, snapshot: &Snapshot) -> Option<(Kind, String, String)> {
        let options = &snapshot.options;
        let (key, hint) = match self.kind {
            Kind::Host => (
                &self.host,
                format!(
                    "where clients are to use this host, name it in server.public_url or \
                     server.allowed_hosts; ours: {}",
                    some(options.hosts.iter().map(String::as_str))
                ),
            ),
            Kind::Origin => (
                &self.origin,
                format!(
                    "where pages of this origin may call, name it in server.allowed_origins; \
                     ours: {}",
                    some(options.origins.iter().map(String::as_str))
                ),
            ),
            Kind::Path | Kind::NearPath => return self.path_hint(snapshot),
        };
        Some((self.kind, key.clone(), hint))
    }

    fn path_hint(&self, snapshot: &Snapshot) -> Option<(Kind, String, String)> {
        let path = &self.path;
        // Clients look there by themselves, whether anything is there or not.
        if path.starts_with("/.well-known/") {
            return None;
        }
        let ours = || snapshot.policy.routes().map(|(path, _)| path);
        if let Some(route) = nearest(path, ours()) {
            let hint = format!("clients must write {route}, and not {path}");
            return Some((Kind::NearPath, route.to_owned(), hint));
        }
        let ours = some(ours());
        let hint = match path.rsplit('/').next() {
            Some("sse" | "message" | "messages") => format!(
                "HTTP+SSE of 2024-11-05 is not served; clients must use Streamable HTTP at {ours}"
            ),
            _ => format!("nothing is served there; ours: {ours}"),
        };
        Some((Kind::Path, path.clone(), hint))
    }
}

/// The path of ours that only differs in slashes or in upper and lower case.
fn nearest<'p>(path: &str, mut ours: impl Iterator<Item = &'p str>) -> Option<&'p str> {
    let plain = plain(path);
    ours.find(|ours| self::plain(ours) == plain)
}

fn plain(path: &str) -> String {
    let path = path.to_ascii_lowercase().replace("%2f", "/");
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Some of ours, in a fixed order.
fn some<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let more = if names.len() > MAX_NAMED { ", …" } else { "" };
    names.truncate(MAX_NAMED);
    if names.is_empty() { "none".to_owned() } else { names.join(", ") + more }
}

/// What a caller sent, shortened, and so that it only shows.
pub(super) fn shown(sent: &str) -> String {
    let mut short: String = sent.chars().take(MAX_SHOWN).collect();
    if short.len() < sent.len() {
        short.push('…');
    }
    visible(&short)
}

/// The hints that were given of late.
#[derive(Debug)]
pub(super) struct Hints(Mutex<Given>);

#[derive(Debug)]
struct Given {
    since: Instant,
    hints: HashSet<(Kind, String)>,
}

impl Default for Hints {
    fn default() -> Self {
        Self(Mutex::new(Given { since: Instant::now(), hints: HashSet::new() }))
    }
}

impl Hints {
    /// Says in the log how to mend it, unless that was said.
    pub(super) fn give(&self, misdirected: &Misdirected, reason: &str, snapshot: &Snapshot) {
        let Some((kind, key, hint)) = misdirected.hint(snapshot) else { return };
        if !self.is_new(kind, key) {
            return;
        }
        let Misdirected { host, path, .. } = misdirected;
        let origin = Some(&misdirected.origin).filter(|_| kind == Kind::Origin);
        tracing::warn!(event = "request.misdirected", reason, host, path, origin, hint);
    }

    fn is_new(&self, kind: Kind, key: String) -> bool {
        let mut given = self.0.lock();
        if given.since.elapsed() > WHILE {
            *given = Given { since: Instant::now(), hints: HashSet::new() };
        }
        let count = given.hints.iter().filter(|(known, _)| *known == kind).count();
        count < MAX_HINTS && given.hints.insert((kind, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_nearly_ours_is_known_for_it() {
        let near = |path| nearest(path, ["/mcp", "/Tickets/mcp"].into_iter());
        for path in ["/mcp/", "/mcp//", "//mcp", "/MCP", "/Mcp/", "/mcp%2F"] {
            assert_eq!(near(path), Some("/mcp"), "{path}");
        }
        assert_eq!(near("/tickets/mcp/"), Some("/Tickets/mcp"));
        for path in ["/", "", "/mc", "/mcp/x", "/x/mcp", "/mcp.php"] {
            assert_eq!(near(path), None, "{path}");
        }
    }

    #[test]
    fn hints_are_bounded_by_kind() {
        let hints = Hints::default();
        let given = (0..100).filter(|n| hints.is_new(Kind::Path, n.to_string())).count();
        assert_eq!(given, MAX_HINTS);
        assert!(hints.is_new(Kind::NearPath, "/mcp".to_owned()), "others have room of their own");
        assert!(!hints.is_new(Kind::NearPath, "/mcp".to_owned()), "it was given");
    }
}
