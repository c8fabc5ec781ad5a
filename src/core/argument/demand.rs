//! Conditions that refuse all that others refuse.

use super::declared::Declared;
use super::test::{Literal, Test};
use super::{Condition, When, hint};
use crate::core::decimal::Decimal;
use crate::core::pattern::Pattern;
use crate::core::token::UnixSeconds;

impl When {
    /// True where every call that one of `before` refuses, one of `now` certainly refuses as well,
    /// at any time: of the tools of `of`, where it is named, else of all. Conditions that are put
    /// together or taken apart mean the same; what a caller is told is no part of it.
    #[must_use]
    pub fn demand(now: &[Self], before: &[Self], of: Option<&Pattern>) -> bool {
        before.iter().all(|before| {
            let tools = before.tools.iter().filter(|tool| of.is_none_or(|of| tool.meets(of)));
            tools.into_iter().all(|tool| {
                before.conditions.iter().all(|wanted| {
                    let is_asked = |when: &Self| {
                        let is_about = when.tools.contains(tool)
                            || when.tools.iter().any(|wider| wider.includes(tool));
                        is_about
                            && when.conditions.iter().any(|condition| {
                                when.begins(condition) <= before.begins(wanted)
                                    && condition.demands(wanted)
                            })
                    };
                    now.iter().any(is_asked)
                })
            })
        })
    }

    /// From this moment on a condition of it is enforced.
    fn begins(&self, condition: &Condition) -> UnixSeconds {
        let ends = [self.shadow, condition.shadow].into_iter().flatten();
        ends.map(|shadow| shadow.until).max().unwrap_or(UnixSeconds::MIN)
    }

    /// True where this approved schema of a tool makes one of the conditions hold for arguments for
    /// which it does not hold without a schema.
    #[must_use]
    pub fn is_eased_by(&self, schema: Declared<'_>) -> bool {
        self.conditions.iter().any(|condition| condition.is_eased_by(schema))
    }
}

impl Condition {
    fn demands(&self, before: &Self) -> bool {
        let Self { pointer, tests, is_optional, shadow: _, rule: _ } = before;
        // One test can change what another one means: a bound below, for a bound above.
        let mut pairs = self.tests.iter().zip(tests);
        self.pointer == *pointer
            && (*is_optional || !self.is_optional)
            && self.tests.len() == tests.len()
            && pairs.all(|(now, before)| implies(now, before))
    }

    fn is_eased_by(&self, schema: Declared<'_>) -> bool {
        let mut here = schema;
        for segment in &self.pointer.segments {
            // A name that is declared is never taken for another.
            let names = here.names();
            let mut others = names.iter().filter(|name| **name != segment.name);
            if others.any(|name| segment.is_like(hint(name))) {
                return true;
            }
            here = here.at(&segment.name);
        }
        let reads_text = |test: &Test| {
            matches!(
                test,
                Test::Glob(_)
                    | Test::MaxLength(_)
                    | Test::NotIn(_)
                    | Test::Regex { .. }
                    | Test::Url(_)
            )
        };
        let knows = ["constructor", "prototype"].iter().any(|name| schema.mentions(name));
        knows || here.is_plain_text() && self.tests.iter().any(reads_text)
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
                // A number more can widen the kinds of numbers that are looked at, and the first
                // one of its type makes all others of it good.
                let narrows = |new: &Literal| {
                    !matches!(new, Literal::Number(..))
                        && before.iter().any(|old| old.is_of_the_type_of(new))
                };
                is_one_of(before, now) && now.iter().all(|n| before.contains(n) || narrows(n))
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
