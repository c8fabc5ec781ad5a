//! How a decision came about, for those who ask. Traffic does not ask, and pays nothing for it.

use super::argument::Checked;
use super::pattern::Pattern;
use super::permission::{Grants, Judged, Permission};
use super::rule::Rule;

/// Takes down the steps of a decision.
pub trait Trace {
    /// Takes down one step, or does not even look at it.
    fn step(&mut self, step: impl FnOnce() -> Step);
}

/// Takes nothing down.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

impl Trace for Vec<Step> {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// One step of a decision about a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The roles of the caller, by their names.
    Roles(Vec<String>),
    /// Whether a pattern denies it.
    Denied {
        /// The denying rule, where there is one.
        rule: Option<Rule>,
        /// Whether the denial counts.
        is_enforced: bool,
        /// Whether there is one.
        is_denied: bool,
    },
    /// A pattern that allows it, perhaps with conditions.
    Allowed {
        /// The pattern.
        pattern: String,
        /// Where it stands.
        rule: Option<Rule>,
    },
    /// No pattern allows it.
    NotAllowed {
        /// A role that is only tried out, for whose holders everything passes.
        tried_out: Option<Rule>,
    },
    /// A condition on the arguments.
    Condition {
        /// What must hold.
        condition: String,
        /// What was found.
        got: String,
        /// Whether it holds.
        holds: bool,
        /// Whether it counts.
        is_enforced: bool,
        /// Where it stands.
        rule: Rule,
    },
    /// Whether the tool is what was approved; why not.
    Pinned(Option<Permission>),
}

impl Step {
    pub(super) fn roles(grants: &Grants) -> Self {
        Self::Roles(grants.roles.iter().map(|role| role.name.clone()).collect())
    }

    pub(super) fn denied(denied: Option<&Judged>) -> Self {
        Self::Denied {
            rule: denied.and_then(|denied| denied.rule.clone()),
            is_enforced: denied.is_none_or(|denied| denied.is_enforced),
            is_denied: denied.is_some(),
        }
    }

    pub(super) fn allowed(pattern: &Pattern) -> Self {
        Self::Allowed { pattern: pattern.as_str().to_owned(), rule: pattern.rule().cloned() }
    }

    pub(super) fn not_allowed(judged: &Judged) -> Self {
        Self::NotAllowed { tried_out: judged.rule.clone() }
    }

    pub(super) fn condition(checked: &Checked<'_>, is_enforced: bool) -> Self {
        Self::Condition {
            condition: checked.condition.to_string(),
            got: checked.got(),
            holds: checked.holds,
            is_enforced,
            rule: checked.condition.rule.clone(),
        }
    }
}
