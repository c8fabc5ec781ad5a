//! The closed vocabulary of what can be asked of a value.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::{Regex, RegexBuilder};

use super::{Call, Found};
use crate::core::decimal::Decimal;

/// Longest text in bytes that a glob or a regular expression is tried on; longer ones match none,
/// so that no call can keep the gateway busy.
const MAX_MATCHED: usize = 64 << 10;

/// Bound on a compiled regular expression in bytes.
const MAX_REGEX: usize = 256 << 10;

/// A value of the configuration that a value of the arguments is compared with.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Debug)]
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
    Glob(GlobMatcher),
    /// One of these.
    In(Vec<Literal>),
    /// At most this number.
    Max(Decimal, String),
    /// An array of at most this many items.
    MaxItems(usize),
    /// A string of at most this many characters.
    MaxLength(usize),
    /// At least this number.
    Min(Decimal, String),
    /// Of the type of these, and none of them, whatever its case and the blanks around it.
    NotIn(Vec<Literal>),
    /// A string that matches as a whole.
    Regex {
        /// What is tried: the whole of a string.
        whole: Regex,
        /// As it was written.
        text: String,
    },
}

impl Test {
    /// A glob.
    ///
    /// # Errors
    /// [`BadTest`] with the reason.
    pub fn glob(text: &str) -> Result<Self, BadTest> {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| BadTest(format!("is not a glob: {}", error.kind())))
    }

    /// A regular expression, which takes linear time.
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
        let whole = build(&format!(r"\A(?:{text})\z"))?;
        Ok(Self::Regex { whole, text: text.to_owned() })
    }

    pub(super) fn holds(&self, found: Found<'_>, call: &Call<'_>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found == Found::Absent,
            (Self::Equals(wanted), found) => wanted.equals(found),
            (Self::EqualsOrganization, Found::Text(text)) => text.decode() == call.organization,
            (Self::EqualsUser, Found::Text(text)) => text.decode() == call.user,
            (Self::Glob(glob), Found::Text(text)) => {
                let text = text.decode();
                let climbs = text.split(['/', '\\']).any(|segment| segment == "..");
                text.len() <= MAX_MATCHED && !climbs && glob.is_match(text.as_ref())
            }
            (Self::In(wanted), found) => wanted.iter().any(|wanted| wanted.equals(found)),
            (Self::Max(most, _), Found::Number(text)) => every_reading(text, |n| n <= most),
            (Self::Min(least, _), Found::Number(text)) => every_reading(text, |n| n >= least),
            (Self::MaxItems(most), Found::Array { items }) => items <= *most,
            (Self::MaxLength(most), Found::Text(text)) => text.decode().chars().count() <= *most,
            (Self::NotIn(unwanted), found) => {
                unwanted.iter().any(|unwanted| unwanted.is_comparable(found))
                    && !unwanted.iter().any(|unwanted| unwanted.may_be(found))
            }
            (Self::Regex { whole, .. }, Found::Text(text)) => {
                let text = text.decode();
                text.len() <= MAX_MATCHED && whole.is_match(&text)
            }
            _ => false,
        }
    }
}

/// Whether `holds` for the number itself and for what a reader makes of it who knows doubles only.
fn every_reading(text: &str, holds: impl Fn(&Decimal) -> bool) -> bool {
    // Whole numbers of so many digits are doubles.
    if text.len() <= 15 && !text.contains(['.', 'e', 'E']) {
        return Decimal::parse(text).as_ref().is_some_and(&holds);
    }
    let readings = [Decimal::parse(text), Decimal::rounded(text)];
    readings.iter().all(|number| number.as_ref().is_some_and(&holds))
}

impl Literal {
    fn equals(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Bool(wanted), Found::Bool(value)) => *wanted == value,
            (Self::Number(wanted, _), Found::Number(text)) => every_reading(text, |n| n == wanted),
            (Self::Text(wanted), Found::Text(text)) => text.decode() == wanted.as_str(),
            _ => false,
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

    /// Whether some server takes the value for this one.
    fn may_be(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Number(unwanted, _), Found::Number(text)) => {
                !every_reading(text, |n| n != unwanted)
            }
            (Self::Text(unwanted), Found::Text(text)) => {
                folded(&text.decode()).eq(folded(unwanted))
            }
            _ => self.equals(found),
        }
    }
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.trim().chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(_, text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
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
            Self::Glob(glob) => write!(f, "like \"{}\"", glob.glob().glob().escape_debug()),
            Self::In(literals) => list(f, "in", literals),
            Self::Max(_, text) => write!(f, "<= {text}"),
            Self::MaxItems(most) => write!(f, "of at most {most} items"),
            Self::MaxLength(most) => write!(f, "of at most {most} characters"),
            Self::Min(_, text) => write!(f, ">= {text}"),
            Self::NotIn(literals) => list(f, "not in", literals),
            Self::Regex { text, .. } => write!(f, "matching \"{}\"", text.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::argument::Pointer;
    use crate::core::argument::find::find;

    /// Whether the test holds for `/v` of the arguments.
    fn holds(test: &Test, value: &str) -> bool {
        let text = format!(r#"{{"v":{value}}}"#);
        let found = find(Some(&text), &[&Pointer::parse("/v").unwrap()])[0];
        test.holds(
            found,
            &Call { arguments: None, user: "alice", organization: "acme", facts: &[] },
        )
    }

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    fn number(text: &str) -> Literal {
        Literal::Number(Decimal::parse(text).unwrap(), text.to_owned())
    }

    fn check(test: &Test, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!(holds(test, value), "{test}: {value}");
        }
        for value in bad {
            assert!(!holds(test, value), "{test}: {value}");
        }
    }

    #[test]
    fn a_value_of_another_type_never_holds() {
        let everything = ["null", "{}", "[]", "[\"low\"]", "{\"low\":1}"];
        for test in [
            Test::Equals(text("low")),
            Test::In(vec![text("low")]),
            Test::NotIn(vec![text("low")]),
            Test::Glob(GlobBuilder::new("**").build().unwrap().compile_matcher()),
            Test::regex(".*").unwrap(),
            Test::Min(Decimal::parse("-1").unwrap(), "-1".into()),
            Test::Max(Decimal::parse("1").unwrap(), "1".into()),
            Test::MaxLength(1 << 20),
            Test::EqualsUser,
            Test::EqualsOrganization,
        ] {
            check(&test, &[], &everything);
        }
        check(&Test::MaxItems(9), &["[]", "[1]"], &["null", "{}", "\"\"", "1", "true"]);
        check(&Test::Absent, &[], &["null", "{}", "\"\"", "1", "true", "[]"]);
    }

    #[test]
    fn equality_is_of_worth_and_type() {
        check(
            &Test::Equals(text("low")),
            &[r#""low""#, r#""\u006cow""#],
            &[r#""Low""#, r#""low ""#, r#""""#, "1"],
        );
        check(&Test::Equals(number("1")), &["1", "1.0", "1e0"], &["\"1\"", "2", "true", "1.1"]);
        check(&Test::Equals(Literal::Bool(true)), &["true"], &["false", "1", "\"true\""]);
        let several = Test::In(vec![text("low"), number("7"), Literal::Bool(false)]);
        check(&several, &[r#""low""#, "7", "false"], &["true", "8", r#""7""#]);
    }

    #[test]
    fn a_number_holds_in_every_reading_or_not() {
        let most = |text: &str| Test::Max(Decimal::parse(text).unwrap(), text.to_owned());
        let least = |text: &str| Test::Min(Decimal::parse(text).unwrap(), text.to_owned());
        check(&most("100"), &["100", "-1e9", "99.9"], &["100.0000000000000000000001", "1e400"]);
        check(&least("0"), &["0", "-0", "1e-400"], &["-1", "-1e-400", "1e400"]);
        // As a double, the one more is rounded away.
        check(
            &Test::Equals(number("9007199254740992")),
            &["9007199254740992"],
            &["9007199254740993"],
        );
        check(&Test::NotIn(vec![number("0")]), &["1"], &["0", "0.0", "1e-400", "\"1\""]);
    }

    #[test]
    fn what_must_not_be_is_found_in_other_spellings_too() {
        check(
            &Test::NotIn(vec![text("urgent"), text("Straße")]),
            &[r#""low""#, r#""urgently""#],
            &[r#""urgent""#, r#""URGENT""#, r#"" Urgent\n""#, r#""STRASSE""#, "1", "null"],
        );
    }

    #[test]
    fn a_glob_and_a_regex_match_the_whole_of_a_text() {
        check(
            &Test::glob("/docs/*.md").unwrap(),
            &[r#""/docs/a.md""#],
            &[r#""/docs/a/b.md""#, r#""/docs/a.md.exe""#, r#""x/docs/a.md""#, r#""/docs/../a.md""#],
        );
        check(
            &Test::glob("/docs/**").unwrap(),
            &[r#""/docs/a/b""#],
            &[r#""/docs/../etc""#, r#""/docs/..\\etc""#, r#""/doc""#],
        );
        check(
            &Test::regex("[A-Z]+-[0-9]+").unwrap(),
            &[r#""TCK-1""#],
            &[r#""xTCK-1""#, r#""TCK-1x""#, r#""TCK-1\n""#, r#""""#],
        );
        check(&Test::regex("a|b").unwrap(), &[r#""a""#], &[r#""ac""#, r#""cb""#]);
        let long = format!("\"{}\"", "a".repeat(MAX_MATCHED + 1));
        check(&Test::regex("a*").unwrap(), &[&long.replacen('a', "", 1)], &[&long]);
        check(&Test::glob("*").unwrap(), &[&long.replacen('a', "", 1)], &[&long]);
    }

    #[test]
    fn a_regex_is_bounded_and_cannot_leave_its_group() {
        for bad in ["a{1000}{1000}", "a)|(?:b", "[", r"(a)\1", &"(".repeat(200)] {
            assert!(Test::regex(bad).is_err(), "{bad}");
        }
        assert!(Test::glob("[").is_err());
    }

    #[test]
    fn lengths_are_counted_in_characters_and_items() {
        check(&Test::MaxLength(2), &[r#""""#, r#""éé""#, r#""\u00e9a""#], &[r#""abc""#]);
        check(&Test::MaxItems(2), &["[1,[2,3,4]]"], &["[1,2,3]"]);
    }

    #[test]
    fn a_caller_is_compared_exactly() {
        check(&Test::EqualsUser, &[r#""alice""#], &[r#""Alice""#, r#""acme""#, r#""""#]);
        check(&Test::EqualsOrganization, &[r#""acme""#], &[r#""alice""#, r#""globex""#]);
    }
}
