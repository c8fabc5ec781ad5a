//! Conditions that refuse all that others refuse.

use super::test::{Literal, Test};
use super::{Condition, When};
use crate::core::decimal::Decimal;

impl When {
    /// Whether it certainly refuses every call that `before` refused. What a caller is told then is
    /// no part of it.
    #[must_use]
    pub fn demands(&self, before: &Self) -> bool {
        let Self { tools, conditions, message: _, shadow, rule: _ } = before;
        let is_tried_alike = self.shadow.is_none() || self.shadow == *shadow;
        is_tried_alike
            && tools.iter().all(|tool| self.tools.contains(tool))
            && conditions.iter().all(|before| self.conditions.iter().any(|c| c.demands(before)))
    }
}

impl Condition {
    fn demands(&self, before: &Self) -> bool {
        let Self { pointer, tests, is_optional, shadow, rule: _ } = before;
        let is_tried_alike = self.shadow.is_none() || self.shadow == *shadow;
        // One test can change what another one means: a bound below, for a bound above.
        let mut pairs = self.tests.iter().zip(tests);
        is_tried_alike
            && self.pointer == *pointer
            && (*is_optional || !self.is_optional)
            && self.tests.len() == tests.len()
            && pairs.all(|(now, before)| implies(now, before))
    }
}

/// Whether a number is of the kind that every reader knows, so that another one in its place
/// changes nothing but the bound.
fn is_plain(number: &Decimal) -> bool {
    number.is_whole() && number.floor().is_some_and(|whole| i32::try_from(whole).is_ok())
}

/// Whether every value that is good for `now` was good for `before`.
fn implies(now: &Test, before: &Test) -> bool {
    let is_one_of = |some: &[Literal], all: &[Literal]| some.iter().all(|one| all.contains(one));
    now == before
        || match (now, before) {
            (Test::In(now), Test::In(before)) => is_one_of(now, before),
            (Test::Equals(now), Test::In(before)) => before.contains(now),
            (Test::NotIn(now), Test::NotIn(before)) => {
                let mut added = now.iter().filter(|literal| !before.contains(literal));
                // A number more can widen the kinds of numbers that are looked at.
                is_one_of(before, now) && added.all(|new| !matches!(new, Literal::Number(..)))
            }
            (Test::Max(now, _), Test::Max(before, _)) => {
                is_plain(now) && is_plain(before) && now <= before
            }
            (Test::Min(now, _), Test::Min(before, _)) => {
                is_plain(now) && is_plain(before) && now >= before
            }
            (Test::MaxLength(now), Test::MaxLength(before)) => now <= before,
            (Test::MaxItems(now), Test::MaxItems(before)) => now <= before,
            _ => false,
        }
}
