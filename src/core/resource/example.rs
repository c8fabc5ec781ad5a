//! Texts that a glob is written for: they show whether it can match anything that may be matched.

use iri_string::types::UriStr;
use url::Url;

use super::parts::{Parts, host_and_port};
use super::pattern::UriPattern;
use super::syntax::{expand, with_address_escaped};

/// What stands for wildcards in examples: a letter, a digit of a port or an address, nothing.
const FILLERS: [&str; 3] = ["x", "1", ""];

/// A pattern, or one of its alternatives, that matches nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vain {
    /// As it is written.
    pub written: String,
    /// What may have been meant, and matches something.
    pub meant: Option<String>,
}

/// A piece of a glob without alternatives.
enum Piece<'g> {
    Char(char),
    /// `*`, `**`, or `?` where that is one.
    Wildcard(&'g str),
    /// `[a-z]`.
    Class(&'g str),
}

/// The pieces of a glob without alternatives; in URIs a `?` is itself.
fn pieces(glob: &str, is_of_uris: bool) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '*' => rest.len() - rest.trim_start_matches('*').len(),
            // `]` and `!]` may be the first of a class.
            '[' => {
                let from = rest.get(1..).unwrap_or_default();
                let skipped = from.len() - from.trim_start_matches(['!', '^']).len();
                let from = from.get(skipped..).unwrap_or_default();
                let first = from.chars().next().map_or(0, char::len_utf8);
                let end = from.get(first..).and_then(|rest| rest.find(']'));
                end.map_or(rest.len(), |end| 1 + skipped + first + end + 1)
            }
            '\\' => 1 + rest.get(1..).and_then(|r| r.chars().next()).map_or(0, char::len_utf8),
            c => c.len_utf8(),
        };
        let (piece, behind) = rest.split_at(len);
        all.push(match c {
            '*' => Piece::Wildcard(piece),
            '?' if !is_of_uris => Piece::Wildcard(piece),
            '[' => Piece::Class(piece),
            '\\' => Piece::Char(piece.chars().next_back().unwrap_or(c)),
            c => Piece::Char(c),
        });
        rest = behind;
    }
    all
}

/// A character of a class: the first of it, or the last.
fn member(class: &str, is_last: bool) -> char {
    let inner = class.get(1..class.len().saturating_sub(1)).unwrap_or_default();
    match inner.strip_prefix(['!', '^']) {
        Some(others) => ['x', '1', 'q'].into_iter().find(|c| !others.contains(*c)).unwrap_or('x'),
        None if is_last => inner.chars().next_back().unwrap_or('x'),
        None => inner.chars().next().unwrap_or('x'),
    }
}

/// A text that a glob without alternatives may match, with `filler` for its wildcards.
fn fill(glob: &str, is_of_uris: bool, filler: &str) -> String {
    let mut out = String::new();
    for piece in pieces(glob, is_of_uris) {
        match piece {
            Piece::Char(c) => out.push(c),
            Piece::Wildcard("?") => out.push(if filler == "1" { '1' } else { 'x' }),
            Piece::Wildcard(_) => out.push_str(filler),
            Piece::Class(class) => out.push(member(class, filler == "1")),
        }
    }
    out
}

/// Every alternative of a glob of texts, with examples of what it matches; nothing where there are
/// too many.
pub(in crate::core) fn examples(glob: &str) -> Vec<(String, [String; 3])> {
    let mut alternatives = Vec::new();
    if expand(glob, &mut alternatives).is_err() {
        return Vec::new();
    }
    let filled = |glob: String| {
        let examples = FILLERS.map(|filler| fill(&glob, false, filler));
        (glob, examples)
    };
    alternatives.into_iter().map(filled).collect()
}

/// The first alternative of a pattern of URIs that matches none which `is_reached`.
pub(in crate::core) fn vain(
    text: &str,
    is_reached: impl Fn(&UriPattern, &str) -> bool,
) -> Option<Vain> {
    let mut alternatives = Vec::new();
    expand(&with_address_escaped(text), &mut alternatives).ok()?;
    let is_good = |text: &str| {
        // It is about every scheme.
        text.starts_with("**")
            || text == "*"
            || UriPattern::parse(text).is_ok_and(|pattern| {
                FILLERS.iter().any(|filler| {
                    let uri = fill(text, true, filler);
                    let canonical = Url::parse(&uri).map(String::from).unwrap_or_default();
                    is_reached(&pattern, &uri) || is_reached(&pattern, &canonical)
                })
            })
    };
    let written = alternatives.into_iter().find(|text| !is_good(text))?;
    let meant = meant(&written).filter(|meant| *meant != written && is_good(meant));
    let plain = |text: String| text.replace("\\[", "[").replace("\\]", "]");
    Some(Vain { meant: meant.map(plain), written: plain(written) })
}

/// What all readers of URIs may make of a pattern without alternatives: its normal form.
fn meant(glob: &str) -> Option<String> {
    let mut marked = String::new();
    let mut wildcards = Vec::new();
    for piece in pieces(glob, true) {
        match piece {
            Piece::Char(c) => marked.push(c),
            Piece::Wildcard(text) | Piece::Class(text) => {
                marked += &mark(wildcards.len());
                wildcards.push(text);
            }
        }
    }
    let mut normal = without_extras(&marked)?;
    for _ in 0..2 {
        normal = Url::parse(&normal).ok()?.to_string();
        let parsed = UriStr::new(&normal).ok()?.normalize().to_string();
        normal = without_extras(&parsed)?;
    }
    let restore = |text: String, (at, wildcard): (usize, &&str)| text.replace(&mark(at), wildcard);
    Some(wildcards.iter().enumerate().fold(normal, restore))
}

/// A text that stands for a wildcard, and that readers leave as it is.
fn mark(at: usize) -> String {
    format!("zq{at}qz")
}

/// A URI without user, last dot of the host, empty segments, and host of a file.
fn without_extras(uri: &str) -> Option<String> {
    let parts = Parts::split(uri)?;
    let mut path = parts.path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let mut out = format!("{}:", parts.scheme.to_ascii_lowercase());
    if let Some(authority) = parts.authority {
        let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = host_and_port(host);
        let host = host.trim_end_matches('.');
        out += match parts.scheme {
            "file" if !host.is_empty() && host != "localhost" => "///",
            _ => "//",
        };
        if host != "localhost" || parts.scheme != "file" {
            out += host;
        }
        out.extend(port.map(|port| format!(":{port}")));
    }
    out += &path;
    out.extend(parts.query.map(|query| format!("?{query}")));
    out.extend(parts.fragment.map(|fragment| format!("#{fragment}")));
    Some(out)
}
