//! The numbers that readers make of one number of JSON (RFC 8259 6): some know doubles only, some
//! whole numbers of 32 or 64 bits, and cut, round or wrap what does not fit.

use super::test::{Literal, Test};
use crate::core::decimal::Decimal;

/// The largest whole number up to which doubles hold every one (RFC 8259 6): 2^53 - 1.
const MAX_SAFE: i128 = (1 << 53) - 1;

/// The kinds of numbers that a condition is about, by the numbers that it names itself. A server
/// with narrower ones could not have been meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Scope {
    /// It names no fraction, so the server may know whole numbers only.
    is_whole: bool,
    /// The numbers that it names fit into 32 bits.
    is_narrow: bool,
    /// The largest number in either direction that all its readers tell from its neighbours;
    /// `None` where there is no bound.
    bound: Option<i128>,
}

impl Scope {
    /// The scope of conditions on one value.
    pub(super) fn of(tests: &[Test]) -> Self {
        let mut scope = Self { is_whole: true, is_narrow: true, bound: Some(MAX_SAFE) };
        for number in tests.iter().flat_map(numbers) {
            scope.is_whole &= number.is_whole();
            let whole = number.floor();
            scope.is_narrow &= whole.is_some_and(|n| i32::try_from(n).is_ok());
            let is_within = |most: i128| whole.is_some_and(|n| (-most..=most).contains(&n));
            scope.bound = match scope.bound {
                Some(bound) if is_within(bound) => Some(bound),
                Some(_) if is_within(i64::MAX.into()) => Some(i64::MAX.into()),
                _ => None,
            };
        }
        scope
    }

    /// True where every number that fulfils something in all readings of this scope does so in those
    /// of the other one.
    pub(super) fn is_as_strict_as(self, other: Self) -> bool {
        let bound = |scope: Self| scope.bound.unwrap_or(i128::MAX);
        (self.is_whole || !other.is_whole)
            && (self.is_narrow || !other.is_narrow)
            && bound(self) <= bound(other)
    }

    /// True where `holds` is true for the number that `text` spells in every reading.
    pub(super) fn every_reading(self, text: &str, holds: impl Fn(&Decimal) -> bool) -> bool {
        let (Some(exact), Some(double)) = (Decimal::parse(text), Decimal::rounded(text)) else {
            return false;
        };
        if !holds(&exact) || !holds(&double) {
            return false;
        }
        // Cut and rounded; the double of a number within the bound has the same neighbours.
        let wholes = [&exact, &double].map(|number| Some((number.floor()?, number.ceil()?)));
        let [Some(exact_wholes), Some(double_wholes)] = wholes else {
            return self.bound.is_none();
        };
        [exact_wholes, double_wholes].into_iter().flat_map(|(low, high)| [low, high]).all(|whole| {
            self.bound.is_none_or(|bound| (-bound..=bound).contains(&whole))
                && (!self.is_whole || holds(&Decimal::from_whole(whole)))
                && (!self.is_narrow || narrow(whole).all(|n| holds(&Decimal::from_whole(n))))
        })
    }
}

/// The numbers that a reader with 32 bits makes of one that does not fit: it wraps, or stays at
/// the end.
fn narrow(whole: i128) -> impl Iterator<Item = i128> {
    const SPAN: i128 = 1 << 32;
    let does_not_fit = i32::try_from(whole).is_err();
    let wrapped = (whole - i128::from(i32::MIN)).rem_euclid(SPAN) + i128::from(i32::MIN);
    let ended = whole.clamp(i32::MIN.into(), i32::MAX.into());
    [wrapped, ended].into_iter().filter(move |_| does_not_fit)
}

/// The numbers that a test names.
fn numbers(test: &Test) -> Vec<&Decimal> {
    fn of(literal: &Literal) -> Option<&Decimal> {
        match literal {
            Literal::Number(number, _) => Some(number),
            Literal::Bool(_) | Literal::Text(_) => None,
        }
    }
    match test {
        Test::Equals(literal) => of(literal).into_iter().collect(),
        Test::In(literals) | Test::NotIn(literals) => literals.iter().filter_map(of).collect(),
        Test::Max(number, _) | Test::Min(number, _) => vec![number],
        _ => Vec::new(),
    }
}
