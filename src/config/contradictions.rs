//! Conditions of which each makes sense, and that no call fulfils together.

use std::ops::Range;

use super::code::Code;
use super::conditions::impossible;
use super::read::Report;
use crate::core::argument::{Condition, Test};
use crate::core::pattern::Pattern;

/// Conditions, in the order in which they were read.
#[derive(Default)]
pub(super) struct Asked {
    all: Vec<One>,
    /// So many of them are asked of everybody.
    of_all: usize,
}

struct One {
    span: Range<usize>,
    tools: Vec<Pattern>,
    condition: Condition,
}

impl Asked {
    pub(super) fn push(&mut self, span: Range<usize>, tools: &[Pattern], condition: &Condition) {
        let (tools, condition) = (tools.to_vec(), condition.clone());
        self.all.push(One { span, tools, condition });
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// What was read so far is asked of everybody.
    pub(super) fn are_of_all(&mut self) {
        self.of_all = self.all.len();
    }

    /// Warns of each condition from `from` on, those of one role, that contradicts one before it of
    /// the same role or of everybody.
    pub(super) fn check(&self, report: &Report, from: usize) {
        for (place, one) in self.all.iter().enumerate().skip(from) {
            let before = self.all.iter().enumerate().take(place);
            let mut before = before.filter(|(at, _)| *at < self.of_all || *at >= from);
            let found = before.find_map(|(_, other)| Some((other, one.contradicts(other)?)));
            let Some((other, (tool, why))) = found else { continue };
            let message = format!("no call of `{tool}` passes: {why}");
            let rule = &other.condition.rule;
            let help = format!("all must hold, also {}, {}", rule.name(), rule.place());
            report.warning(Code::Never, one.span.clone(), message, help);
        }
    }
}

impl One {
    /// A pattern of tools of which no call can pass, and why.
    fn contradicts(&self, other: &Self) -> Option<(String, String)> {
        let (one, before) = (&self.condition, &other.condition);
        if one.pointer != before.pointer {
            return None;
        }
        let mut pairs = self.tools.iter().flat_map(|a| other.tools.iter().map(move |b| (a, b)));
        let both = pairs.find_map(|(a, b)| match a.is_covered_by(&[b]) {
            true => Some(a),
            false => b.is_covered_by(&[a]).then_some(b),
        })?;
        let may_lack = |one: &Condition| one.is_optional || one.tests.contains(&Test::Absent);
        let must_lack = |one: &Condition| one.tests.contains(&Test::Absent);
        let why = match (may_lack(one) && may_lack(before), must_lack(one) || must_lack(before)) {
            (true, _) => return None,
            (false, true) => {
                format!("`{}` must be absent, and must be there", one.pointer.as_str())
            }
            (false, false) => impossible(&[&*one.tests, &*before.tests].concat())?.0,
        };
        Some((both.as_str().to_owned(), why))
    }
}
