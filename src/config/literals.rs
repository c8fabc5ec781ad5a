//! Names that are compared as they stand, and are written as if they were read in another way: as
//! paths to claims in another syntax than that of JSON pointers, or as patterns.

use super::code::Code;
use super::read::{At, Report};
use crate::core::harmless::visible;

/// A claim of Kubernetes that has a dot in its name.
const KUBERNETES: &str = "kubernetes.io";

/// Longest class of a glob in bytes; what is longer in brackets is a text.
const MAX_CLASS: usize = 8;

/// What names begin with that are built of a domain from behind.
const REVERSED: [&str; 4] = ["com.", "dev.", "io.", "net."];

/// Warns of the name of a claim under `key` that looks like a way through several claims, and is
/// none.
pub(super) fn check_claim(report: &Report, key: &str, text: &At<&str>) {
    let shown = visible(text.value);
    let (message, help) = match meant(text.value) {
        Some(meant) => (
            format!("`{key}` names one claim, which is called `{shown}` as it stands"),
            format!(
                "a claim within others is named by a JSON pointer (RFC 6901): perhaps \"{}\"",
                visible(&meant)
            ),
        ),
        None if text.value.contains('*') => (
            format!("`{key}` names one claim, and `*` in `{shown}` is no wildcard"),
            "write the name out".to_owned(),
        ),
        None => return,
    };
    report.warning(Code::ClaimPath, text.span.clone(), message, help);
}

/// The same of the name of a claim in the claims of a test, where a pointer is none, either.
pub(super) fn check_claim_of_test(report: &Report, name: &At<&str>) {
    let pointer = Some(name.value).filter(|name| name.starts_with('/')).map(str::to_owned);
    let Some(meant) = meant(name.value).or(pointer) else { return };
    let way: Vec<String> = meant.split('/').filter(|step| !step.is_empty()).map(visible).collect();
    let message = format!("`claims` has one claim here, which is called `{}`", visible(name.value));
    let help = match way.as_slice() {
        [] | [_] => format!("perhaps `{}`", way.concat()),
        way => format!("claims lie in one another as in the token: {} = …", way.join(".")),
    };
    report.warning(Code::ClaimPath, name.span.clone(), message, help);
}

/// The name or the JSON pointer that was likely meant, where a text is written like a path in
/// another syntax. URLs and URNs are names, and so is what begins with a host.
fn meant(text: &str) -> Option<String> {
    if text.trim() != text {
        return Some(meant(text.trim()).unwrap_or_else(|| text.trim().to_owned()));
    }
    let Some(path) = text.strip_prefix('/') else { return meant_by_name(text) };
    if !path.contains('/') {
        // A pointer of one step is the name alone.
        return meant_by_name(&path.replace("~1", "/").replace("~0", "~"));
    }
    let mut steps = Vec::new();
    for raw in path.split('/') {
        let step = raw.replace("~1", "/").replace("~0", "~");
        // Between slashes a dot is a part of a name, as in those of clients.
        match step.contains('[') && !step.contains(':') {
            true => steps.extend(read(&step)?),
            false => steps.push(step),
        }
    }
    let pointer = pointer(steps);
    (pointer != text).then_some(pointer)
}

fn meant_by_name(text: &str) -> Option<String> {
    let root = text.strip_prefix(['$', '@']).filter(|rest| rest.starts_with(['.', '[', '/']));
    let root = root.or_else(|| text.strip_prefix('#').filter(|rest| rest.starts_with('/')));
    let first = text.split('/').next().unwrap_or_default();
    let is_of_host = text.contains('/') && first.contains('.') && !first.starts_with('.');
    let is_reversed = text.matches('.').count() > 1 && REVERSED.iter().any(|d| text.starts_with(d));
    if root.is_none() && (text.contains(':') || is_of_host || is_reversed || text == KUBERNETES) {
        return None;
    }
    read(root.unwrap_or(text)).map(pointer)
}

/// The steps of a path as many other syntaxes have them: `a.b`, `a/b`, `a['b']`, `a->b`. `None`
/// where it is a name alone.
fn read(text: &str) -> Option<Vec<String>> {
    let (mut steps, mut step, mut is_path) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '.' | '/' => {}
            '-' if chars.next_if_eq(&'>').is_some() => {}
            '[' => {
                steps.push(std::mem::take(&mut step));
                let inner: Vec<char> = chars.by_ref().take_while(|c| *c != ']').collect();
                step = String::from_iter(inner).trim_matches(['\'', '"', ' ']).to_owned();
            }
            // In other syntaxes it takes its meaning from what is behind.
            '\\' => continue,
            c => {
                step.push(c);
                continue;
            }
        }
        is_path = true;
        steps.push(std::mem::take(&mut step));
    }
    steps.push(step);
    is_path.then_some(steps)
}

/// The name of a claim, or where it lies deeper the pointer. A list is looked at as a whole.
fn pointer(mut steps: Vec<String>) -> String {
    steps.retain(|step| !step.is_empty());
    if steps.last().is_some_and(|last| last == "*") {
        steps.pop();
    }
    let escaped = |step: &String| match step.as_str() {
        "*" => "NAME".to_owned(),
        step => step.replace('~', "~0").replace('/', "~1"),
    };
    match steps.as_slice() {
        [one] if !one.starts_with('/') => one.clone(),
        steps => steps.iter().map(|step| format!("/{}", escaped(step))).collect(),
    }
}

/// Warns of a text that is compared as it stands, and looks like a pattern. `what` says what it is.
pub(super) fn check_literal(report: &Report, what: &str, text: &At<&str>) {
    if is_like_pattern(text.value) {
        let message =
            format!("`{}` is one {what} as it stands, and no pattern", visible(text.value));
        report.warning(Code::Unmatched, text.span.clone(), message, "name each that is meant");
    }
}

/// The same of somebody's id, in which brackets can stand.
pub(super) fn check_identity(report: &Report, what: &str, text: &At<&str>) {
    if text.value.contains('*') {
        let message =
            format!("`{}` is one {what} as it stands, and no pattern", visible(text.value));
        let help = "it is what upstreams are told";
        report.warning(Code::Unmatched, text.span.clone(), message, help);
    }
}

/// Warns of a value of an argument that looks like a pattern: a word with a wildcard, which is
/// neither a whole command nor a sign.
pub(super) fn check_value(report: &Report, key: &str, text: &At<&str>) {
    let is_word = |c: char| c.is_alphanumeric() || "*/_-.:@".contains(c);
    let is_pattern = text.value.contains('*')
        && text.value.contains(char::is_alphabetic)
        && text.value.chars().all(is_word);
    if is_pattern {
        let message = format!("`{key}` compares with `{}` as it stands", visible(text.value));
        let help = match key {
            "not_in" => "what it matches as a glob passes; write `in`, or `glob` for what may be",
            _ => "for a pattern write `glob`",
        };
        report.warning(Code::Loose, text.span.clone(), message, help);
    }
}

/// True for what is a glob or a regular expression elsewhere, and hardly ever a part of a name.
fn is_like_pattern(text: &str) -> bool {
    let within = |open: char, close: char, is_mark: &dyn Fn(&str) -> bool| {
        let parts = text.split(open).skip(1);
        parts.filter_map(|part| part.split_once(close)).any(|(inner, _)| is_mark(inner))
    };
    let is_range = |inner: &str| {
        let is_one = |three: &[u8]| matches!(three, [from, b'-', to] if from.is_ascii_alphanumeric() && to.is_ascii_alphanumeric());
        inner.len() <= MAX_CLASS && inner.as_bytes().windows(3).any(is_one)
    };
    text.contains('*')
        || text.starts_with('^')
        || within('[', ']', &is_range)
        || within('{', '}', &|inner| inner.contains(','))
}

#[cfg(test)]
#[path = "literals_tests.rs"]
mod tests;
