//! Conditions that no value can fulfil, and literals that none of the other tests lets through.

use super::declared::Declared;
use super::find::find;
use super::number::Scope;
use super::test::{About, Literal, Test};
use super::{Call, Pointer};

/// The kinds of values that tests let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Array,
    Bool,
    Number,
    Text,
}

impl Kind {
    fn of(literal: &Literal) -> Self {
        match literal {
            Literal::Bool(_) => Self::Bool,
            Literal::Number(..) => Self::Number,
            Literal::Text(_) => Self::Text,
        }
    }

    fn of_test(test: &Test) -> Vec<Self> {
        match test {
            Test::Absent => Vec::new(),
            Test::Equals(literal) => vec![Self::of(literal)],
            Test::In(literals) | Test::NotIn(literals) => literals.iter().map(Self::of).collect(),
            Test::Max(..) | Test::Min(..) => vec![Self::Number],
            Test::MaxItems(_) => vec![Self::Array],
            Test::EqualsOrganization
            | Test::EqualsUser
            | Test::Glob(_)
            | Test::MaxLength(_)
            | Test::Regex { .. }
            | Test::Url(_) => vec![Self::Text],
        }
    }
}

/// Two of these tests that no value fulfils both, as far as the kinds of values tell. What asks for
/// none is left aside.
#[must_use]
pub fn contradiction(tests: &[Test]) -> Option<(&Test, &Test)> {
    let tests = || tests.iter().filter(|test| **test != Test::Absent);
    tests().enumerate().find_map(|(place, one)| {
        let kinds = Kind::of_test(one);
        let clashes = |other: &&Test| !Kind::of_test(other).iter().any(|kind| kinds.contains(kind));
        tests().skip(place + 1).find(clashes).map(|other| (one, other))
    })
}

/// The values that `equals` and `in` name, and those of them that some other of these tests refuses
/// whoever calls.
#[must_use]
pub fn literals(tests: &[Test]) -> (Vec<&Literal>, Vec<&Literal>) {
    let named = tests.iter().flat_map(|test| match test {
        Test::Equals(literal) => std::slice::from_ref(literal),
        Test::In(literals) => literals,
        _ => &[],
    });
    let named: Vec<&Literal> = named.collect();
    let refused = named.iter().copied().filter(|literal| is_refused(literal, tests)).collect();
    (named, refused)
}

/// True for a glob or an expression that every text fulfils, as far as samples tell.
#[must_use]
pub fn asks_nothing(test: &Test) -> bool {
    match test {
        Test::Glob(glob) => glob.takes_all(&["a", "Z", "9.é", "a b", "_-.", &"x".repeat(9_999)]),
        Test::Regex { whole, .. } => samples().iter().all(|text| whole.is_match(text)),
        _ => false,
    }
}

/// Texts on one line that have little in common but all the characters that people exclude.
fn samples() -> [String; 6] {
    let of = |from: u32, to: u32| (from..=to).filter_map(char::from_u32).collect::<String>();
    let controls = of(0, 0x1f).replace('\n', "") + &of(0x7f, 0x9f);
    let all = of(0xa0, 0x2fff) + "表あ한\u{fffd}🙂\u{10ffff}";
    ["a".to_owned(), "Z9".to_owned(), of(0x20, 0x7e), controls, all, "x".repeat(60_000)]
}

fn is_refused(literal: &Literal, tests: &[Test]) -> bool {
    let value = match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::Number(_, text) => text.clone(),
        Literal::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
    };
    let arguments = format!("{{\"v\":{value}}}");
    let call = Call { arguments: Some(&arguments), user: "", organization: "", facts: &[] };
    // The most that any schema lets pass.
    let about = About { call: &call, scope: Scope::of(tests), is_plain_text: true };
    let Ok(pointer) = Pointer::parse("/v") else { return false };
    let found = find(call.arguments, &[&pointer], Declared::default()).into_iter().next();
    let depends = |test: &Test| matches!(test, Test::EqualsUser | Test::EqualsOrganization);
    let mut asked = tests.iter().filter(|test| !depends(test));
    found.is_some_and(|found| !asked.all(|test| test.holds(found, &about)))
}
