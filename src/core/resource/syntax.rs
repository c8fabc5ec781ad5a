//! The syntax of globs: what is escaped, what is in a class, what alternatives stand for.

use url::Host;

use super::pattern::BadUriPattern;

/// Most patterns that the alternatives (`{a,b}`) of one may stand for.
pub(super) const MAX_ALTERNATIVES: usize = 64;

/// Characters that make a pattern a glob.
pub(super) const WILDCARDS: [char; 6] = ['*', '[', ']', '{', '}', '\\'];

/// The characters of a pattern that are neither escaped nor in a class, with their places.
fn bare_chars(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut is_escaped, mut is_class) = (false, false);
    text.char_indices().filter(move |(_, c)| {
        let is_bare = !is_escaped && !is_class;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => is_class = true,
            ']' => is_class = false,
            _ => {}
        }
        is_bare
    })
}

pub(super) fn has_wildcards(text: &str) -> bool {
    // An address that was escaped is none.
    let unescaped = text.replace("\\[", "").replace("\\]", "");
    unescaped.contains(WILDCARDS)
}

/// The texts before and behind the first bare `mark`.
pub(super) fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match bare_chars(text).find(|(_, c)| *c == mark) {
        None => (text, None),
        Some((at, _)) => {
            let (before, behind) = text.split_at(at);
            (before, behind.get(mark.len_utf8()..))
        }
    }
}

/// The pattern with the brackets of an IPv6 address, which are no class, escaped.
pub(super) fn with_address_escaped(text: &str) -> String {
    let bracketed = text.split_once("://[").and_then(|(scheme, rest)| {
        let (address, behind) = rest.split_once(']')?;
        let is_address = matches!(Host::parse(&format!("[{address}]")), Ok(Host::Ipv6(_)));
        is_address.then(|| format!("{scheme}://\\[{address}\\]{behind}"))
    });
    bracketed.unwrap_or_else(|| text.to_owned())
}

/// Every text that the alternatives of `text` stand for.
pub(in crate::core) fn expand(text: &str, out: &mut Vec<String>) -> Result<(), BadUriPattern> {
    let Some((from, _)) = bare_chars(text).find(|(_, c)| *c == '{') else {
        out.push(text.to_owned());
        return if out.len() > MAX_ALTERNATIVES { Err(BadUriPattern::TooMany) } else { Ok(()) };
    };
    let (before, rest) = text.split_at(from);
    let (mut depth, mut start) = (0_usize, 1);
    let mut found = Vec::new();
    for (at, c) in bare_chars(rest) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                found.push(rest.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            '}' if depth == 1 => {
                found.push(rest.get(start..at).unwrap_or_default());
                let behind = rest.get(at + 1..).unwrap_or_default();
                let each = found.iter().map(|one| format!("{before}{one}{behind}"));
                return each.into_iter().try_for_each(|text| expand(&text, out));
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Err(BadUriPattern::Unclosed)
}
