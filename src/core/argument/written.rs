//! A value as it is written, for the operator who asks why a condition fails that seems to hold.

use super::find::Found;
use super::glob::GlobTest;
use super::test::{Literal, Test};
use crate::core::decimal::Decimal;

/// True where the value as it is written fulfils the test, whatever other readings it has.
pub(super) fn fulfils(test: &Test, found: Found<'_>) -> bool {
    match found {
        Found::Number(text) => Decimal::parse(text).is_some_and(|number| is_fine(test, &number)),
        Found::Text(text) => is_match(test, &text.decode()),
        _ => false,
    }
}

fn is_fine(test: &Test, number: &Decimal) -> bool {
    let is_it = |literal: &Literal| matches!(literal, Literal::Number(n, _) if n == number);
    match test {
        Test::Equals(literal) => is_it(literal),
        Test::In(literals) => literals.iter().any(is_it),
        Test::NotIn(literals) => !literals.iter().any(is_it),
        Test::Max(most, _) => number <= most,
        Test::Min(least, _) => number >= least,
        _ => false,
    }
}

fn is_match(test: &Test, text: &str) -> bool {
    let is_it = |literal: &Literal| matches!(literal, Literal::Text(word) if word == text);
    match test {
        Test::NotIn(literals) => !literals.iter().any(is_it),
        Test::MaxLength(most) => text.encode_utf16().count() <= *most,
        Test::Glob(GlobTest::Path(glob)) => glob.is_match(text),
        Test::Regex { whole, .. } => whole.is_match(text),
        _ => false,
    }
}
