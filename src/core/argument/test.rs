//! The closed vocabulary of what can be asked of a value.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::number::Scope;
use super::text::{is_parsed, stands_for_words};
use super::{Call, Found, GlobTest, UrlTest};
use crate::core::decimal::Decimal;
use crate::core::harmless::visible;
use crate::core::inclusion::Texts;
use crate::core::names::folded_text;

/// Longest text in bytes that a glob or a regular expression is tried on; longer ones match none,
/// so that no call can keep the gateway busy.
const MAX_MATCHED: usize = 64 << 10;

/// Bound on a compiled regular expression in bytes.
const MAX_REGEX: usize = 256 << 10;

/// A value of the configuration that a value of the arguments is compared with.
#[derive(Clone, Debug)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// A number, by its worth.
    Number(Decimal, String),
    /// A string, exactly.
    Text(String),
}

/// Why something cannot be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadTest(pub String);

/// One thing that must hold for a value.
#[derive(Clone, Debug)]
pub enum Test {
    /// There must be none.
    Absent,
    /// This and nothing else.
    Equals(Literal),
    /// The caller's organization.
    EqualsOrganization,
    /// The caller's user.
    EqualsUser,
    /// A string that matches as a whole: `*` stays within a segment of a path, `**` crosses them.
    Glob(GlobTest),
    /// One of these.
    In(Vec<Literal>),
    /// At most this number.
    Max(Decimal, String),
    /// An array of at most this many items.
    MaxItems(usize),
    /// A string of at most this many characters, those beyond the first 65,536 of Unicode (many
    /// emoji) counted twice, as Java, JavaScript and C# do.
    MaxLength(usize),
    /// At least this number.
    Min(Decimal, String),
    /// Of the type of these, and none of them to any reader: in any case and form, as a list of
    /// words, as the number of a word.
    NotIn(Vec<Literal>),
    /// A string that matches as a whole.
    Regex {
        /// What is tried: the whole of a string.
        whole: Regex,
        /// As it was written.
        text: String,
    },
    /// A URL.
    Url(UrlTest),
}

/// The facts about a value beside the value itself.
pub(super) struct About<'a> {
    pub(super) call: &'a Call<'a>,
    /// Of all numbers that are asked of it.
    pub(super) scope: Scope,
    /// The approved schema says that it is a text, and nothing else.
    pub(super) is_plain_text: bool,
}

impl About<'_> {
    /// True for a text of a bearable length that no reader takes for anything else.
    fn is_text(&self, text: &str) -> bool {
        text.len() <= MAX_MATCHED && (self.is_plain_text || !is_parsed(text))
    }
}

impl Test {
    /// A glob.
    ///
    /// # Errors
    /// [`BadTest`] with the reason.
    pub fn glob(text: &str) -> Result<Self, BadTest> {
        GlobTest::new(text).map(Self::Glob)
    }

    /// A regular expression, which takes linear time. `\\d`, `\\w`, `\\s` and `\\b` are about
    /// ASCII, as in the languages that most servers are written in.
    ///
    /// # Errors
    /// [`BadTest`] with the reason.
    pub fn regex(text: &str) -> Result<Self, BadTest> {
        let build = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(MAX_REGEX).nest_limit(50).build();
            built.map_err(|error| {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                BadTest(format!(
                    "is not a regular expression: {}",
                    last.trim_start_matches("error: ")
                ))
            })
        };
        // By itself first, so that it cannot close the group that it is put in.
        build(text)?;
        let whole = build(&format!(r"\A(?:{})\z", in_ascii(text)))?;
        Ok(Self::Regex { whole, text: text.to_owned() })
    }

    pub(super) fn holds(&self, found: Found<'_>, about: &About<'_>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found == Found::Absent,
            (Self::Equals(wanted), found) => wanted.equals(found),
            (Self::EqualsOrganization, Found::Text(text)) => {
                text.decode() == about.call.organization
            }
            (Self::EqualsUser, Found::Text(text)) => text.decode() == about.call.user,
            (Self::In(wanted), found) => wanted.iter().any(|wanted| wanted.equals(found)),
            (Self::Max(most, _), Found::Number(text)) => {
                about.scope.every_reading(text, |n| n <= most)
            }
            (Self::Min(least, _), Found::Number(text)) => {
                about.scope.every_reading(text, |n| n >= least)
            }
            (Self::MaxItems(most), Found::Array { items }) => items <= *most,
            (Self::NotIn(unwanted), found) if !unwanted.iter().any(|u| u.is_comparable(found)) => {
                false
            }
            (Self::NotIn(unwanted), Found::Text(text)) => {
                let text = text.decode();
                about.is_text(&text)
                    && (about.is_plain_text || !stands_for_words(&text))
                    && !is_one_of(&text, unwanted)
            }
            (Self::NotIn(unwanted), found) => {
                !unwanted.iter().any(|unwanted| unwanted.may_be(found, about.scope))
            }
            (_, Found::Text(text)) => self.holds_for_text(&text.decode(), about),
            _ => false,
        }
    }

    fn holds_for_text(&self, text: &str, about: &About<'_>) -> bool {
        match self {
            Self::Glob(glob) => about.is_text(text) && glob.matches(text),
            Self::MaxLength(most) => {
                (about.is_plain_text || !is_parsed(text)) && text.encode_utf16().count() <= *most
            }
            Self::Regex { whole, text: written } => {
                let is_folded = |c: char| FOLDED.contains(&c) && !written.contains(c);
                about.is_text(text) && !text.contains(is_folded) && whole.is_match(text)
            }
            Self::Url(url) => about.is_text(text) && url.holds(text),
            _ => false,
        }
    }
}

/// Whether one expression certainly holds only for texts for which the other does.
pub(super) fn is_expression_within(now: &Test, before: &Test) -> bool {
    let (Test::Regex { whole: one, text: now }, Test::Regex { whole: other, text: before }) =
        (now, before)
    else {
        return false;
    };
    FOLDED.iter().all(|c| !now.contains(*c) || before.contains(*c))
        && Texts::of_regex(one).are_among(&[Texts::of_regex(other)])
}

/// Letters beyond ASCII that are one with `s` and `k` where case does not count.
const FOLDED: [char; 2] = ['\u{17f}', '\u{212a}'];

/// A regular expression with its classes spelled in ASCII.
fn in_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[\t\n\x0B\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\x0B\f\r ]"),
            // Between two characters as before; a word is one of ASCII.
            Some('b') if !chars.as_str().starts_with('{') => out.push_str(r"(?-u:\b)"),
            other => {
                out.push(c);
                out.extend(other);
            }
        }
    }
    out
}

/// True for the number itself and for what a reader makes of it who knows doubles only.
fn is_exactly(text: &str, wanted: &Decimal) -> bool {
    // Whole numbers of so many digits are doubles.
    if text.len() <= 15 && !text.contains(['.', 'e', 'E']) {
        return Decimal::parse(text).as_ref() == Some(wanted);
    }
    [Decimal::parse(text), Decimal::rounded(text)].iter().all(|n| n.as_ref() == Some(wanted))
}

impl Literal {
    fn equals(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Bool(wanted), Found::Bool(value)) => *wanted == value,
            (Self::Number(wanted, _), Found::Number(text)) => is_exactly(text, wanted),
            (Self::Text(wanted), Found::Text(text)) => text.decode() == wanted.as_str(),
            _ => false,
        }
    }

    pub(super) fn is_of_the_type_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether `test` certainly holds where this value stands, however it is spelled.
    pub(super) fn fulfils(&self, test: &Test, scope: Scope) -> bool {
        let call = &Call { arguments: None, user: "", organization: "", facts: &[] };
        let about = About { call, scope, is_plain_text: false };
        match (self, test) {
            (_, Test::EqualsOrganization | Test::EqualsUser) => false,
            (Self::Text(_), Test::NotIn(_)) => false,
            (Self::Text(text), test) => test.holds_for_text(text, &about),
            (Self::Bool(value), test) => test.holds(Found::Bool(*value), &about),
            // Readers of doubles take the nearest one for it, and nothing is equal to that.
            (Self::Number(..), _) if self.is_between_doubles() => false,
            (Self::Number(_, text), test) => test.holds(Found::Number(text), &about),
        }
    }

    fn is_comparable(&self, found: Found<'_>) -> bool {
        matches!(
            (self, found),
            (Self::Bool(_), Found::Bool(_))
                | (Self::Number(..), Found::Number(_))
                | (Self::Text(_), Found::Text(_))
        )
    }

    /// True where some reader takes a number or a boolean for this one.
    fn may_be(&self, found: Found<'_>, scope: Scope) -> bool {
        match (self, found) {
            (Self::Number(unwanted, _), Found::Number(text)) => {
                !scope.every_reading(text, |n| n != unwanted)
            }
            _ => self.equals(found),
        }
    }

    /// True for a text that some reader takes for something else; see the values that fail.
    #[must_use]
    pub fn is_parsed(&self) -> bool {
        matches!(self, Self::Text(text) if is_parsed(text))
    }

    /// True for a number that a reader who knows doubles only cannot tell from its neighbours, so
    /// that nothing is certainly equal to it.
    #[must_use]
    pub fn is_between_doubles(&self) -> bool {
        match self {
            Self::Number(number, text) => Decimal::rounded(text).as_ref() != Some(number),
            Self::Bool(_) | Self::Text(_) => false,
        }
    }
}

/// True where some reader takes `text`, as one of a list of words, for one of these.
fn is_one_of(text: &str, words: &[Literal]) -> bool {
    let folded = folded_text(text);
    words.iter().any(|word| matches!(word, Literal::Text(word) if folded_text(word) == folded))
}

/// They are the same where they mean the same, however it is written.
impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Equals(_) | Self::In(_), Self::Equals(_) | Self::In(_)) => {
                are_same(self.literals(), other.literals())
            }
            (Self::NotIn(one), Self::NotIn(other)) => are_same(one, other),
            (Self::Max(one, _), Self::Max(other, _)) | (Self::Min(one, _), Self::Min(other, _)) => {
                one == other
            }
            (Self::MaxItems(one), Self::MaxItems(other))
            | (Self::MaxLength(one), Self::MaxLength(other)) => one == other,
            (Self::Glob(one), Self::Glob(other)) => one.text() == other.text(),
            (Self::Regex { text: one, .. }, Self::Regex { text: other, .. }) => one == other,
            (Self::Url(one), Self::Url(other)) => one == other,
            (Self::Absent, Self::Absent)
            | (Self::EqualsOrganization, Self::EqualsOrganization)
            | (Self::EqualsUser, Self::EqualsUser) => true,
            _ => false,
        }
    }
}

impl Test {
    /// The values of which it must be one.
    pub(super) fn literals(&self) -> &[Literal] {
        match self {
            Self::Equals(literal) => std::slice::from_ref(literal),
            Self::In(literals) => literals,
            _ => &[],
        }
    }
}

/// Whether both lists hold the same, in whatever order and however often.
fn are_same(one: &[Literal], other: &[Literal]) -> bool {
    one.iter().all(|l| other.contains(l)) && other.iter().all(|l| one.contains(l))
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one, _), Self::Number(other, _)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(_, text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{}\"", visible(text)),
        }
    }
}

/// For people, behind the name of the value.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, word, literals: &[Literal]| {
            let literals: Vec<String> = literals.iter().map(Literal::to_string).collect();
            write!(f, "{word} [{}]", literals.join(", "))
        };
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Equals(literal) => write!(f, "= {literal}"),
            Self::EqualsOrganization => f.write_str("= the caller's organization"),
            Self::EqualsUser => f.write_str("= the caller's user"),
            Self::Glob(glob) => write!(f, "like \"{}\"", visible(glob.text())),
            Self::In(literals) => list(f, "in", literals),
            Self::Max(_, text) => write!(f, "<= {text}"),
            Self::MaxItems(most) => write!(f, "of at most {most} items"),
            Self::MaxLength(most) => write!(f, "of at most {most} characters"),
            Self::Min(_, text) => write!(f, ">= {text}"),
            Self::NotIn(literals) => list(f, "not in", literals),
            Self::Regex { text, .. } => write!(f, "matching \"{}\"", visible(text)),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests;
