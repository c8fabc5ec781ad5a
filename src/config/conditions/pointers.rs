//! Pointers to arguments in a likely other spelling, and what the schema says of their end.

use serde_json::Value;

use crate::config::code::Code;
use crate::config::read::{At, Report, did_you_mean};
use crate::core::argument::{Declared, Literal, Pointer, Test, is_word};
use crate::core::harmless::visible;

/// Most words of a schema that are listed.
const LISTED: usize = 12;

/// Warns of a pointer that leads, as it stands, to a member that hardly any tool has.
pub(super) fn check_spelling(report: &Report, name: &At<&str>) {
    let Some((why, meant)) = doubt(name.value) else { return };
    let message = format!("`{}` {why}", visible(name.value));
    let help = meant.map_or_else(String::new, |meant| format!("perhaps `{}`", visible(&meant)));
    report.warning(Code::Unmatched, name.span.clone(), message, help);
}

/// What is odd about a pointer, and what it is likely to mean.
fn doubt(text: &str) -> Option<(String, Option<String>)> {
    let segments: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let with = |at: usize, other: &str| {
        let all = segments.iter().enumerate().map(|(i, s)| if i == at { other } else { s });
        format!("/{}", all.collect::<Vec<_>>().join("/"))
    };
    let wrapper = |rest: &str| ("begins outside the arguments".to_owned(), Some(rest.to_owned()));
    if text.ends_with('/') {
        let meant = text.trim_end_matches('/');
        let meant = (!meant.is_empty()).then(|| meant.to_owned());
        return Some(("is about a member whose name is empty".to_owned(), meant));
    }
    for start in ["/params/arguments", "/arguments", "/params", "/$", "/#"] {
        if let Some(rest) = text.strip_prefix(start).filter(|rest| rest.starts_with('/')) {
            return Some(wrapper(rest));
        }
    }
    segments.iter().enumerate().find_map(|(at, segment)| {
        let (why, meant) = segment_doubt(segment)?;
        let why = format!("holds `{segment}`, which is the name of a member as it stands: {why}");
        Some((why, meant.map(|meant| with(at, &meant))))
    })
}

/// The same of one name on the way.
fn segment_doubt(segment: &str) -> Option<(&'static str, Option<String>)> {
    let is_plain = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    };
    let trimmed = segment.trim();
    let unquoted = trimmed.trim_matches(['"', '\'', '`']);
    // There are names like `filter[org]`.
    let is_place = |inner: &str| {
        let inner = inner.trim_end_matches(']');
        inner.bytes().all(|b| b.is_ascii_digit() || b == b'*') || inner.starts_with(['\'', '"'])
    };
    let indexed = segment
        .split_once('[')
        .filter(|(_, rest)| segment.ends_with(']') && rest.split('[').all(is_place));
    let decoded = || percent_decoded(segment);
    if segment.is_empty() {
        return Some(("it is empty", None));
    }
    if trimmed != segment {
        return Some(("names hold no blanks at their ends", Some(trimmed.to_owned())));
    }
    if unquoted.len() + 2 == segment.len() {
        return Some(("names stand without quotes", Some(unquoted.to_owned())));
    }
    if let Some((front, _)) = indexed {
        let inner = segment.get(front.len()..).unwrap_or_default();
        let inner = inner.replace("][", "/").replace(['[', ']', '"', '\''], "");
        let meant = match front {
            "" => inner.clone(),
            front => format!("{front}/{inner}"),
        };
        let is_meant = !inner.is_empty() && inner != "*";
        return Some(("items are named by their place", is_meant.then_some(meant)));
    }
    match segment {
        "*" | "**" => return Some(("there are no wildcards; name each place", None)),
        "-" => return Some(("it is behind the last item, where nothing is", None)),
        _ if decoded().is_some() => {
            return Some(("escapes are those of JSON pointers, ~0 and ~1", decoded()));
        }
        _ => {}
    }
    let digits = segment.trim_start_matches('0');
    if segment.len() > 1 && segment.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        let meant = if digits.is_empty() { "0" } else { digits };
        return Some(("places have no zeros in front", Some(meant.to_owned())));
    }
    for (mark, why) in [
        (".", "parts are joined by \"/\""),
        ("\\", "parts are joined by \"/\""),
        ("->", "parts are joined by \"/\""),
        ("::", "parts are joined by \"/\""),
    ] {
        let parts: Vec<&str> = segment.split(mark).collect();
        if parts.len() > 1 && parts.iter().all(|part| is_plain(part)) {
            return Some((why, Some(parts.join("/"))));
        }
    }
    None
}

/// A name without the escapes of URLs, as a segment of a pointer, where it has some.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = segment;
    while let Some((before, behind)) = rest.split_once('%') {
        let byte = behind.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
        out.extend(before.bytes().chain([byte]));
        rest = behind.get(2..).unwrap_or_default();
    }
    if out.is_empty() {
        return None;
    }
    out.extend(rest.bytes());
    let text = String::from_utf8(out).ok()?;
    Some(text.replace('~', "~0").replace('/', "~1"))
}

/// Warns of tests that the approved schema leaves nothing for: of another kind of value, or of
/// words that it does not have.
pub(super) fn check_kinds(
    report: &Report,
    name: &At<&str>,
    pointer: &Pointer,
    schemas: &[Declared<'_>],
    tests: &[Test],
) {
    let ends: Vec<Declared<'_>> = schemas.iter().map(|schema| schema.of(pointer)).collect();
    let warn = |message: String, help: String| {
        report.warning(Code::Nothing, name.span.clone(), message, help);
    };
    if let Some(test) = tests.iter().find(|test| ends.iter().all(|end| end.excludes(test))) {
        let message = format!(
            "`{}` {test}: the schema of the tool has values of another kind there",
            visible(name.value)
        );
        warn(message, "ask for what the schema says that it is".to_owned());
        return;
    }
    let words: Option<Vec<Vec<&Value>>> = ends.iter().map(|end| end.words()).collect();
    let Some(words) = words.map(|words| words.concat()).filter(|words| !words.is_empty()) else {
        return;
    };
    let literals = tests.iter().flat_map(|test| match test {
        Test::Equals(literal) => std::slice::from_ref(literal),
        Test::In(literals) | Test::NotIn(literals) => literals.as_slice(),
        _ => &[],
    });
    let is_foreign = |literal: &&Literal| !words.iter().any(|word| is_word(literal, word));
    for literal in literals.filter(is_foreign) {
        let shown: Vec<String> = words.iter().take(LISTED).map(ToString::to_string).collect();
        let near = did_you_mean(&literal.to_string(), &shown);
        let message =
            format!("{literal} is none of the values that the schema of the tool has there");
        warn(message, format!("{near}there are: {}", visible(&shown.join(", "))));
    }
}
