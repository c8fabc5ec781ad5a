//! Conditions that are legal, and hold never, always, or for something else than it seems.

use crate::config::code::Code;
use crate::config::read::{At, Table};
use crate::core::argument::{self, GlobTest, Literal, Test};
use crate::core::decimal::Decimal;
use crate::core::harmless::visible;
use crate::core::resource::Vain;

/// Reports what can never hold: the call would be refused for ever, and nobody told why.
pub(super) fn check_ranges(tests: &[Test], name: &At<&str>, table: &Table<'_>) {
    let literals = tests.iter().flat_map(|test| match test {
        Test::Equals(literal) => std::slice::from_ref(literal),
        Test::In(literals) => literals,
        _ => &[],
    });
    for literal in literals.filter(|literal| literal.is_between_doubles()) {
        let message = format!("no value is certainly equal to {literal}");
        let help = "readers round it to another number; let the tool take it as a text";
        table.report().error(Code::Condition, name.span.clone(), message, help);
    }
    if let Some((message, help)) = impossible(tests) {
        table.report().error(Code::Condition, name.span.clone(), message, help);
        return;
    }
    let (_, refused) = argument::literals(tests);
    if let Some(first) = refused.first().filter(|literal| !literal.is_between_doubles()) {
        let message = format!("{first} never passes: it fails another test");
        table.report().warning(Code::Nothing, name.span.clone(), message, ALL);
    }
}

const ALL: &str = "of these tests all must hold; take one out";

/// Why no value passes all of these tests, where that is so, and what to do.
pub(in crate::config) fn impossible(tests: &[Test]) -> Option<(String, &'static str)> {
    if let Some((one, other)) = argument::contradiction(tests) {
        return Some((
            format!("no value is {one} and {other}"),
            "they ask for values of two kinds",
        ));
    }
    if let (Some((least, least_text)), Some((most, most_text))) = range(tests)
        && least > most
    {
        let message = format!("no number is at least {least_text} and at most {most_text}");
        return Some((message, "swap `min` and `max`"));
    }
    let (named, refused) = argument::literals(tests);
    let first = refused.first().filter(|literal| !literal.is_between_doubles())?;
    let is_all = named.len() == refused.len();
    is_all.then(|| (format!("no value passes: {first} fails another test"), ALL))
}

type Bound<'t> = Option<(&'t Decimal, &'t str)>;

/// The largest number of `min`, and the smallest of `max`.
fn range(tests: &[Test]) -> (Bound<'_>, Bound<'_>) {
    let (mut least, mut most): (Bound<'_>, Bound<'_>) = (None, None);
    for test in tests {
        match test {
            Test::Min(number, text) if least.is_none_or(|(known, _)| known < number) => {
                least = Some((number, text));
            }
            Test::Max(number, text) if most.is_none_or(|(known, _)| known > number) => {
                most = Some((number, text));
            }
            _ => {}
        }
    }
    (least, most)
}

/// Conditions that are legal, and for which there is a better one.
pub(super) fn warn_of_loose(tests: &[Test], name: &At<&str>, table: &Table<'_>) {
    let warn = |message: String, help: &str| {
        table.report().warning(Code::Loose, name.span.clone(), message, help);
    };
    match range(tests) {
        (None, Some(_)) => warn(
            "`max` without `min`: -1 passes, which means all to many tools".to_owned(),
            "add `min`",
        ),
        (Some((_, least)), None) => warn(
            format!(
                "`min` without `max`: at least {least}, and at most 2147483647 unless `max` is larger"
            ),
            "add `max`; numbers beyond 32 bits are refused without it, since servers may wrap them",
        ),
        _ => {}
    }
    warn_of_never(tests, name, table);
    for test in tests {
        match test {
            Test::Glob(_) | Test::Regex { .. } if argument::asks_nothing(test) => {
                table.report().warning(
                    Code::Nothing,
                    name.span.clone(),
                    "every text fulfils this: it asks only that there is one".to_owned(),
                    "say which texts may be",
                )
            }
            Test::NotIn(words) if words.iter().any(|w| matches!(w, Literal::Text(_))) => warn(
                "`not_in` guesses what servers take for these words".to_owned(),
                "write `in` with the words that may be",
            ),
            Test::Glob(glob) if glob.is_of_urls() => warn(
                "a glob of URLs reaches no query".to_owned(),
                "write url = { scheme = \"https\", host = [\"*.example.com\"], path = \"/**\" }",
            ),
            Test::Equals(literal) if literal.is_parsed() => warn_of_parsed(&warn, literal),
            Test::In(literals) => {
                let mut parsed = literals.iter().filter(|literal| literal.is_parsed());
                parsed.by_ref().take(1).for_each(|literal| warn_of_parsed(&warn, literal));
            }
            _ => {}
        }
    }
}

fn warn_of_parsed(warn: &impl Fn(String, &str), literal: &Literal) {
    warn(
        format!("some servers take {literal} for something that is no text"),
        "make sure that this one does not, or leave it out",
    );
}

/// Warns of globs and URLs that no value fulfils: only what all readers take for the same does.
fn warn_of_never(tests: &[Test], name: &At<&str>, table: &Table<'_>) {
    let warn = |code, message: String, help: &str| {
        table.report().warning(code, name.span.clone(), message, help);
    };
    let most = tests.iter().find_map(|test| match test {
        Test::MaxLength(most) => Some(*most),
        _ => None,
    });
    for test in tests {
        match test {
            Test::Url(url) => {
                url.vain().into_iter().for_each(|vain| warn_of_vain(&warn, vain, "URL"));
            }
            Test::Glob(glob) => warn_of_glob(&warn, glob, most),
            _ => {}
        }
    }
}

fn warn_of_vain(warn: &impl Fn(Code, String, &str), vain: Vain, what: &str) {
    let message = format!(
        "no {what} fulfils `{}`: only those in normal form do, which all readers take for the same",
        visible(&vain.written)
    );
    let help =
        vain.meant.map_or_else(String::new, |meant| format!("perhaps `{}`", visible(&meant)));
    warn(Code::Unmatched, message, &help);
}

/// The same of one glob, beside a `max_length` of `most`.
fn warn_of_glob(warn: &impl Fn(Code, String, &str), glob: &GlobTest, most: Option<usize>) {
    let shown = visible(glob.text());
    if glob.has_empty() {
        let message = format!("`{shown}` has an empty alternative, which is left out");
        warn(Code::Unmatched, message, "write the alternatives out, or a `regex`");
    } else if let Some(written) = glob.parsed() {
        let written = visible(&written);
        let message = format!("some servers take \"{written}\" for something that is no text");
        let help = "it fulfils a glob only where the approved schema says that there is a text";
        warn(Code::Loose, message, help);
    } else if let Some(vain) = glob.vain() {
        warn_of_vain(warn, vain, if glob.is_of_urls() { "URL" } else { "text" });
    }
    if let (Some(least), Some(most)) = (glob.least(), most)
        && least > most
    {
        let message = format!(
            "no text fulfils this: the glob takes at least {least} characters, `max_length` {most}"
        );
        warn(Code::Unmatched, message, "raise `max_length`, or shorten the glob");
    }
}
