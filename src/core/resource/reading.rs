//! What servers may take a URI for: the spellings that a deny holds for.

use url::Url;

use super::parts::{Parts, decoded, default_port, host_and_port};
use crate::core::names::folded_text;

/// A URI as one kind of reader takes it apart. Each part has several spellings, any of which
/// another reader may use, without case and in composed form.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) scheme: String,
    /// Empty where there is none.
    pub(super) authorities: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) queries: Vec<String>,
    pub(super) fragments: Vec<String>,
}

/// All readings of `uri`: as it is spelled, with slashes for backslashes, and by WHATWG URL.
pub(super) fn all(uri: &str) -> Vec<Reading> {
    let slashed = uri.replace('\\', "/");
    let canonical = Url::parse(uri).map(String::from).unwrap_or_default();
    let mut texts = vec![uri, slashed.as_str(), canonical.as_str()];
    texts.dedup();
    let mut readings = Vec::new();
    for parts in texts.into_iter().filter_map(Parts::split) {
        readings.extend(Reading::of(&parts));
        readings.extend(without_slashes(&parts));
    }
    readings
}

/// `scheme:x` and its like with the first segment as the authority, which some readers make of it.
fn without_slashes(parts: &Parts<'_>) -> Option<Reading> {
    if parts.authority.is_some_and(|authority| !authority.is_empty()) {
        return None;
    }
    let bare = parts.path.trim_start_matches('/');
    let (authority, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
    Reading::of(&Parts { authority: Some(authority), path, ..*parts })
}

impl Reading {
    fn of(parts: &Parts<'_>) -> Option<Self> {
        let scheme = folded_text(parts.scheme).into_owned();
        let authorities = authorities(parts.authority.unwrap_or_default(), &scheme);
        // Without an authority a path may begin with any number of slashes.
        let is_bare = parts.authority.is_none_or(str::is_empty);
        let mut paths = paths(parts.path);
        if is_bare {
            let bare = paths.iter().map(|path| path.trim_start_matches('/').to_owned());
            let bare: Vec<String> = bare.collect();
            paths.extend(bare.iter().map(|path| format!("/{path}")));
            paths.extend(bare);
        }
        let spellings = |part: Option<&str>| part.map(spellings).unwrap_or_default();
        let (queries, fragments) = (spellings(parts.query), spellings(parts.fragment));
        (!scheme.is_empty()).then_some(Self { scheme, authorities, paths, queries, fragments })
    }
}

/// Number of times that a text is decoded: by a reader, and by whom it hands the part on to.
const DECODINGS: usize = 2;

/// `text` as it is, decoded, and decoded again.
fn decodings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for _ in 0..DECODINGS {
        let last = all.last().filter(|last| last.contains('%'));
        let Some(next) = last.map(|last| String::from_utf8_lossy(&decoded(last)).into_owned())
        else {
            break;
        };
        all.push(next);
    }
    all
}

/// The same, folded.
pub(super) fn spellings(text: &str) -> Vec<String> {
    decodings(text).iter().map(|text| folded_text(text).into_owned()).collect()
}

/// With and without user, port and last dots. Of a file the host says nothing.
fn authorities(authority: &str, scheme: &str) -> Vec<String> {
    let mut all = Vec::new();
    for spelled in spellings(authority) {
        let without_user = spelled.rsplit_once('@').map_or(spelled.as_str(), |(_, host)| host);
        // Decoded, it may hold what ends it.
        let end = without_user.find(['/', '\\', '?', '#']).unwrap_or(without_user.len());
        let (host, port) = host_and_port(without_user.get(..end).unwrap_or_default());
        let host = host.trim_end_matches('.').to_owned();
        let port = port.map(|port| port.trim_start_matches('0'));
        if let Some(port) =
            port.filter(|port| !port.is_empty() && default_port(scheme) != Some(port))
        {
            all.push(format!("{host}:{port}"));
        }
        all.extend([spelled, host]);
    }
    if scheme == "file" {
        all.push(String::new());
    }
    all
}

/// As it is, decoded, and as routers and file systems walk it; with and without a last slash.
fn paths(path: &str) -> Vec<String> {
    let mut all = Vec::new();
    for spelled in decodings(path) {
        // What folding takes away may be what keeps a segment from being dots.
        for form in [&spelled, &*folded_text(&spelled)] {
            for form in [form.to_owned(), walked(form, |name| name), walked(form, trimmed)] {
                let bare = folded_text(form.trim_end_matches('/')).into_owned();
                all.extend([format!("{bare}/"), bare, folded_text(&form).into_owned()]);
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The path without empty and dotted segments, where segments are read with `read`.
fn walked(path: &str, read: fn(&str) -> &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match read(segment) {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let root = if path.starts_with(['/', '\\']) { "/" } else { "" };
    format!("{root}{}", kept.join("/"))
}

/// A segment without what some servers cut off: parameters behind `;`, last dots and blanks.
fn trimmed(segment: &str) -> &str {
    let name = segment.split(';').next().unwrap_or_default().trim();
    if name == ".." { name } else { name.trim_end_matches(['.', ' ']) }
}
