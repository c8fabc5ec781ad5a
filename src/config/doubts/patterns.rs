//! Patterns that cannot match what they seem to.

use crate::config::code::Code;
use crate::config::read::{At, Report};
use crate::core::harmless::visible;
use crate::core::pattern::Pattern;

/// Warns of a pattern of names that cannot match what it seems to. `allows` says whether it is to
/// allow something.
pub(in crate::config) fn check_name_pattern(report: &Report, text: &At<&str>, allows: bool) {
    let (_, name) = text.value.split_once('/').unwrap_or_default();
    let glob = name.contains(['*', '?', '[', '{']);
    let warn = |message: String, help: String| {
        report.warning(Code::Unmatched, text.span.clone(), message, help);
    };
    let trimmed = text.value.trim();
    let is_spaced = glob || text.value != trimmed || name != name.trim();
    if glob && let Some(habit) = habit(name) {
        let meant = name.replace(".*", "*").replace(".+", "?*");
        let meant = meant.trim_start_matches('^').trim_end_matches('$');
        let help = if meant == name { String::new() } else { format!("; perhaps `{meant}`") };
        warn(
            format!("`{}` is a glob, and {habit} in it is taken as it stands", text.value),
            format!("* is any text, {{a,b}} one of several{help}"),
        );
    } else if is_spaced && text.value.contains([' ', '\t']) {
        warn(
            format!("`{}` holds blanks, and names of tools have none", visible(text.value)),
            String::new(),
        );
    } else if glob && ["{,", ",,", ",}"].iter().any(|empty| name.contains(empty)) {
        warn(
            format!("`{}` has an empty alternative, which is left out", visible(text.value)),
            "write a pattern of its own for it".to_owned(),
        );
    } else if name.ends_with('/') {
        warn(
            format!("`{}` ends in \"/\", and names of tools do not", text.value),
            "remove it".to_owned(),
        );
    } else if !glob && looks_like_pattern(name) {
        warn(
            format!("`{}` names one tool, as it stands", visible(text.value)),
            "patterns are globs: * is any text, {a,b} one of several".to_owned(),
        );
    } else if glob
        && allows
        && let Some(odd) = odd(name)
    {
        warn(
            format!("`{}` matches nothing: no glob reaches a name with {odd:?}", text.value),
            "write the name out".to_owned(),
        );
    }
}

/// Characters that hardly any name of a tool has, and a pattern in another syntax has.
const ODD: [char; 10] = ['%', '$', '^', '|', '+', '#', ';', ',', '<', '='];

/// True for a name that looks like a pattern in another syntax. A word in brackets behind a blank
/// is a part of a name for people.
fn looks_like_pattern(name: &str) -> bool {
    let bare = name.split_once(" (").filter(|(_, behind)| behind.ends_with(')'));
    let bare = bare.map_or(name, |(bare, _)| bare);
    name.contains(ODD) || bare.contains(['(', ')'])
}

/// What is written in a regular expression and means nothing in a glob.
fn habit(name: &str) -> Option<&'static str> {
    let habits = [
        (".+", "\".+\""),
        ("\\w", "\"\\w\""),
        ("\\d", "\"\\d\""),
        ("\\s", "\"\\s\""),
        ("\\.", "\"\\.\""),
        ("(?", "\"(?\""),
        ("|", "\"|\""),
        (")", "\")\""),
    ];
    // Behind what a dotted name begins with, it is a family: `fs.*`, `a.b.*`.
    let is_family = |name: &str| {
        let first = name.strip_suffix(".*").unwrap_or_default();
        let is_label = |label: &str| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
            !label.is_empty() && label.bytes().all(legal)
        };
        first.contains('.') && first.split('.').all(is_label)
    };
    match name {
        name if name.starts_with('^') => Some("\"^\""),
        name if name.ends_with('$') => Some("\"$\""),
        name if name.contains(".*") && !is_family(name) => Some("the \".\""),
        name => habits.into_iter().find(|(mark, _)| name.contains(mark)).map(|(_, shown)| shown),
    }
}

/// A character outside classes that no name has which a glob may reach.
fn odd(name: &str) -> Option<char> {
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' => {
                chars.by_ref().take_while(|c| *c != ']').for_each(drop);
            }
            '\\' | '*' | '?' | '{' | '}' | ',' | '!' | '_' | '.' | '-' => {}
            c if c.is_ascii_alphanumeric() => {}
            c => return Some(c),
        }
    }
    None
}

/// Warns of a pattern of URIs that cannot match what it seems to.
/// `allows` says whether it is to allow something.
pub(in crate::config) fn check_uri_pattern(
    report: &Report,
    text: &At<&str>,
    pattern: &Pattern,
    allows: bool,
) {
    let (upstream, uri) = text.value.split_once('/').unwrap_or_default();
    let warn = |message: String, help: String| {
        report.warning(Code::Unmatched, text.span.clone(), message, help);
    };
    if uri == "*" {
        warn(
            format!("`{}` reaches no URI with \"//\" in it", text.value),
            format!("`{upstream}/**` is every URI, `{upstream}/docs://**` those of one scheme"),
        );
    } else if uri.contains(".*") && uri.ends_with(".*") && habit(uri).is_some()
        || uri.starts_with('^')
        || uri.ends_with('$')
    {
        let meant = uri.replace(".*", "**");
        let meant = meant.trim_start_matches('^').trim_end_matches('$');
        warn(
            format!("`{}` is a glob, and looks like a regular expression", text.value),
            format!("perhaps `{upstream}/{meant}`"),
        );
    } else if text.value != text.value.trim() || uri.contains([' ', '\t']) {
        warn(format!("`{}` holds blanks, and URIs have none", visible(text.value)), String::new());
    } else if allows && let Some(vain) = pattern.vain() {
        let shown = visible(&vain.written);
        let help = match vain.meant {
            Some(meant) => format!("write `{upstream}/{}`", visible(&meant)),
            None => "wildcards reach URIs in normal form only; write others out".to_owned(),
        };
        warn(
            format!(
                "`{shown}` reaches no URI: none that is written so is taken for the same by all"
            ),
            help,
        );
    }
}
