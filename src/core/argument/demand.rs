//! Conditions that refuse all that others refuse.

use super::declared::Declared;
use super::number::Scope;
use super::test::{Literal, Test, is_expression_within};
use super::{Condition, When, hint};
use crate::core::pattern::Pattern;
use crate::core::token::UnixSeconds;

impl When {
    /// True where every call that one of `before` refuses, one of `now` certainly refuses as well,
    /// at any time: of the tools of `of`, where it is named, else of all. Conditions that are put
    /// together or taken apart mean the same; what a caller is told is no part of it.
    #[must_use]
    pub fn demand(now: &[&Self], before: &[Self], of: Option<&Pattern>) -> bool {
        before.iter().all(|before| {
            let tools = before.tools.iter().filter(|tool| of.is_none_or(|of| tool.meets(of)));
            let tools: Vec<&Pattern> = tools.collect();
            tools.is_empty()
                || before.conditions.iter().all(|wanted| {
                    let asks = |when: &&&Self| {
                        when.conditions.iter().any(|condition| {
                            when.begins(condition) <= before.begins(wanted)
                                && condition.demands(wanted)
                        })
                    };
                    let about = now.iter().filter(asks).flat_map(|when| &when.tools);
                    let about: Vec<&Pattern> = about.collect();
                    of.is_some_and(|of| of.is_covered_by(&about))
                        || tools.iter().all(|tool| tool.is_covered_by(&about))
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
    /// Whether it certainly refuses all that `before` refuses.
    fn demands(&self, before: &Self) -> bool {
        let Self { pointer, tests, is_optional, shadow: _, rule: _ } = before;
        let may_be_missing = *is_optional || tests.contains(&Test::Absent);
        if self.pointer != *pointer {
            return false;
        }
        if self.tests.contains(&Test::Absent) {
            // It holds for nothing else.
            return may_be_missing;
        }
        // One test can change what another one means: a bound below, for a bound above.
        let scopes = [&self.tests, tests].map(|tests| Scope::of(tests));
        (may_be_missing || !self.is_optional)
            && !tests.is_empty()
            && scopes[0].is_as_strict_as(scopes[1])
            && tests
                .iter()
                .all(|before| self.tests.iter().any(|now| implies(now, before, scopes[1])))
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

/// Whether every value that is good for `now` was good for `before`, which is asked of numbers of
/// this scope.
fn implies(now: &Test, before: &Test, scope: Scope) -> bool {
    let is_one_of = |some: &[Literal], all: &[Literal]| some.iter().all(|one| all.contains(one));
    now == before
        || match (now, before) {
            (Test::In(_) | Test::Equals(_), Test::In(before)) => is_one_of(now.literals(), before),
            (Test::In(_) | Test::Equals(_), _) => {
                now.literals().iter().all(|literal| literal.fulfils(before, scope))
            }
            (Test::NotIn(now), Test::NotIn(before)) => {
                // The first one of its type makes all others of it good.
                let narrows = |new: &Literal| before.iter().any(|old| old.is_of_the_type_of(new));
                is_one_of(before, now) && now.iter().all(|n| before.contains(n) || narrows(n))
            }
            (Test::Max(now, _), Test::Max(before, _)) => now <= before,
            (Test::Min(now, _), Test::Min(before, _)) => now >= before,
            (Test::MaxLength(now), Test::MaxLength(before)) => now <= before,
            (Test::MaxItems(now), Test::MaxItems(before)) => now <= before,
            (Test::Glob(now), Test::Glob(before)) => now.is_within(before),
            (Test::Url(now), Test::Url(before)) => now.is_within(before),
            (Test::Regex { .. }, Test::Regex { .. }) => is_expression_within(now, before),
            _ => false,
        }
}
