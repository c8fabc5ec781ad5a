//! Conditions on the arguments of a call: a closed vocabulary, without an expression language.
//!
//! A condition that cannot be evaluated with certainty does not hold: a value that is missing, of
//! another type, in a place that servers may find differently, or too long.

mod declared;
mod demand;
mod find;
mod glob;
mod kinds;
mod number;
mod possible;
pub mod shown;
mod test;
mod text;
mod url;
mod written;

use std::fmt;

pub use self::declared::{Declared, Undeclared, is_word};
pub use self::glob::GlobTest;
pub use self::possible::{asks_nothing, contradiction, literals};
pub use self::test::{BadTest, Literal, Test};
pub use self::url::UrlTest;

use self::find::{Found, find};
use self::number::Scope;
use self::test::About;
use super::harmless::visible;
use super::names::folded_name;
use super::pattern::Pattern;
use super::rule::Rule;
use super::token::UnixSeconds;

/// Most names of a pointer: no request is nested deeper (`limits.json_depth`).
const MAX_SEGMENTS: usize = 128;

/// Longest pointer in bytes.
const MAX_POINTER: usize = 4 << 10;

/// Why a text is not the way to a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadPointer {
    /// It is no JSON pointer, or leads to the arguments as a whole.
    Form,
    /// It has too many names or bytes.
    TooLong,
}

/// Completes the sentence "the text …".
impl fmt::Display for BadPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("is no JSON pointer (RFC 6901)"),
            Self::TooLong => write!(
                f,
                "leads through more than {MAX_SEGMENTS} names or has more than {MAX_POINTER} bytes"
            ),
        }
    }
}

/// The way to one value within the arguments: a JSON pointer (RFC 6901).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Segment {
    name: String,
    /// Alike for all names that readers may take for this one.
    hint: u64,
    /// The same of this name joined with those that follow: `filter.org`, `filter[org]`.
    joined: Vec<u64>,
    /// The position in an array that it can be.
    index: Option<usize>,
}

impl Segment {
    /// True where a name with this hint may be taken for this one, or for the way on from it.
    fn is_like(&self, hint: u64) -> bool {
        self.hint == hint || self.joined.contains(&hint)
    }
}

/// A number that is the same for names that some reader takes for one another (FNV-1a over the
/// folded name). Others that have it by chance are refused for nothing, and harm nobody.
fn hint(name: &str) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let start = 0xcbf2_9ce4_8422_2325;
    if name.is_ascii() {
        let bytes = name.bytes().filter(u8::is_ascii_alphanumeric);
        return bytes.fold(start, |hash, byte| mix(hash, byte.to_ascii_lowercase()));
    }
    folded_name(name).bytes().fold(start, mix)
}

impl Pointer {
    /// Reads a pointer below the arguments themselves.
    ///
    /// # Errors
    /// [`BadPointer`] where it is none, or leads deeper than any request goes.
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        let segments = text.strip_prefix('/').ok_or(BadPointer::Form)?;
        if text.len() > MAX_POINTER || segments.split('/').count() > MAX_SEGMENTS {
            return Err(BadPointer::TooLong);
        }
        let segment = |raw: &str| {
            let is_escaped_well =
                raw.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'));
            let name = raw.replace("~1", "/").replace("~0", "~");
            let is_index = name == "0"
                || (!name.starts_with('0') && name.bytes().all(|digit| digit.is_ascii_digit()));
            let index = name.parse().ok().filter(|_| is_index);
            let (hint, joined) = (hint(&name), Vec::new());
            is_escaped_well.then_some(Segment { name, hint, joined, index })
        };
        let segments = segments.split('/').map(segment).collect::<Option<Vec<_>>>();
        let mut segments = segments.ok_or(BadPointer::Form)?;
        let names: Vec<String> = segments.iter().map(|segment| segment.name.clone()).collect();
        for (from, segment) in segments.iter_mut().enumerate() {
            let ways = (from + 2..=names.len()).filter_map(|to| names.get(from..to));
            segment.joined = ways.map(|way| hint(&way.concat())).collect();
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names on the way.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|segment| segment.name.as_str())
    }
}

/// Until when a rule is only tried out: what it would refuse passes, and is recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shadow {
    /// From this moment on it is enforced.
    pub until: UnixSeconds,
}

impl Shadow {
    /// Whether a rule with this mode is only tried out at the moment `now`.
    #[must_use]
    pub fn holds(shadow: Option<Self>, now: UnixSeconds) -> bool {
        shadow.is_some_and(|shadow| now < shadow.until)
    }
}

/// What must hold for one value of the arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where the value stands.
    pub pointer: Pointer,
    /// What must hold for it, all of it.
    pub tests: Vec<Test>,
    /// Whether it may be missing.
    pub is_optional: bool,
    /// Whether it is only tried out.
    pub shadow: Option<Shadow>,
    /// Where it stands in the configuration.
    pub rule: Rule,
}

/// Conditions on the calls of some tools.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// The tools whose calls it is about.
    pub tools: Vec<Pattern>,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// What a caller is told whose call is refused.
    pub message: Option<String>,
    /// Whether it is only tried out.
    pub shadow: Option<Shadow>,
    /// Where it stands in the configuration.
    pub rule: Rule,
}

/// A call whose arguments are judged.
#[derive(Clone, Copy, Debug)]
pub struct Call<'c> {
    /// The arguments: JSON that was read strictly. `None` where there are none.
    pub arguments: Option<&'c str>,
    /// Who calls.
    pub user: &'c str,
    /// The caller's organization.
    pub organization: &'c str,
    /// What holds for every caller.
    pub facts: &'c [When],
}

/// One condition, evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'w> {
    /// What it belongs to.
    pub when: &'w When,
    /// The condition.
    pub condition: &'w Condition,
    /// Whether it holds.
    pub holds: bool,
    found: Found<'w>,
}

impl Checked<'_> {
    /// Whether a call is refused where it does not hold.
    #[must_use]
    pub fn is_enforced(&self, now: UnixSeconds) -> bool {
        self.when.enforces(self.condition, now)
    }
}

impl<'w> When {
    /// True where a call is refused that does not fulfil `condition`, which is one of it.
    #[must_use]
    pub fn enforces(&self, condition: &Condition, now: UnixSeconds) -> bool {
        !Shadow::holds(condition.shadow, now) && !Shadow::holds(self.shadow, now)
    }

    /// Whether it is about this tool.
    #[must_use]
    pub fn covers(&self, upstream: &str, tool: &str) -> bool {
        self.tools.iter().any(|pattern| pattern.covers(upstream, tool))
    }

    /// Every condition of `all`, evaluated in one pass over the arguments.
    pub(super) fn check(
        all: &[&'w Self],
        call: &Call<'w>,
        declared: Declared<'_>,
    ) -> Vec<Checked<'w>> {
        let each = || all.iter().flat_map(|when| when.conditions.iter().map(move |c| (*when, c)));
        let pointers: Vec<&Pointer> = each().map(|(_, condition)| &condition.pointer).collect();
        let found = find(call.arguments, &pointers, declared);
        let check = |((when, condition), found): ((&'w Self, &'w Condition), Found<'w>)| Checked {
            when,
            condition,
            holds: condition.holds(found, call, declared),
            found,
        };
        each().zip(found).map(check).collect()
    }
}

impl Condition {
    fn holds(&self, found: Found<'_>, call: &Call<'_>, declared: Declared<'_>) -> bool {
        match found {
            Found::Absent => self.is_optional || self.tests.contains(&Test::Absent),
            Found::Unclear | Found::Null => false,
            found => {
                let segments = self.pointer.segments.iter();
                let declared = segments.fold(declared, |declared, s| declared.at(&s.name));
                let about = About {
                    call,
                    scope: Scope::of(&self.tests),
                    is_plain_text: declared.is_plain_text(),
                };
                !self.tests.is_empty() && self.tests.iter().all(|test| test.holds(found, &about))
            }
        }
    }
}

/// For people: `/priority in ["low", "normal"]`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pointer.as_str())?;
        for (i, test) in self.tests.iter().enumerate() {
            write!(f, "{} {test}", if i == 0 { "" } else { "," })?;
        }
        if self.is_optional { f.write_str(", or missing") } else { Ok(()) }
    }
}

/// What was found, for people, at most this many characters of it.
const MAX_SHOWN: usize = 64;

impl Checked<'_> {
    /// The value that stood there, for an operator who may see it. Where the condition seems to
    /// hold for it and does not, it is said why.
    #[must_use]
    pub fn got(&self) -> String {
        let seems_to_hold = || self.condition.tests.iter().all(|t| written::fulfils(t, self.found));
        let other = if !self.holds && seems_to_hold() {
            ", which some servers read as something else"
        } else {
            ""
        };
        let shown = match self.found {
            Found::Absent => "nothing".to_owned(),
            Found::Array { items } => format!("an array of {items}"),
            Found::Bool(value) => value.to_string(),
            Found::Null => "null".to_owned(),
            Found::Number(text) => text.chars().take(MAX_SHOWN).collect(),
            Found::Object => "an object".to_owned(),
            Found::Text(text) => {
                let shown: String = text.decode().chars().take(MAX_SHOWN).collect();
                format!("\"{}\"", visible(&shown))
            }
            Found::Unclear => "something that some servers find in another place: a name like it, \
                               or a text where an object was meant"
                .to_owned(),
        };
        shown + other
    }
}
