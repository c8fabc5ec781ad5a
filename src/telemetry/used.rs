//! Who has used which tools since the start, for those who take away what nobody needs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Most tools of one upstream that are remembered of one caller; a glob may grant any name.
const MAX_TOOLS: usize = 1_000;

/// Most tools that are remembered of all callers together.
const MAX_USES: usize = 500_000;

/// Longest name of a tool that is remembered, in bytes.
const MAX_NAME: usize = 1_024;

/// Most callers that are remembered.
const MAX_CALLERS: usize = 200_000;

/// By what somebody came to their rights.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Caller {
    /// The roles that a JWT gave.
    Roles(Vec<String>),
    /// An entry of the token table.
    Token(String),
}

/// When somebody last used something, in Unix seconds.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Use {
    /// Who.
    pub caller: Caller,
    /// The upstream and the tool; `None` for the last request of any kind.
    pub tool: Option<(String, String)>,
    /// When.
    pub last: i64,
}

/// See [`Use`]. It lives as long as the process.
#[derive(Debug, Default)]
pub struct Used(RwLock<Memory>);

#[derive(Debug, Default)]
struct Memory {
    callers: HashMap<Caller, Known>,
    /// Tools of all callers.
    uses: usize,
}

#[derive(Debug, Default)]
struct Known {
    last: AtomicI64,
    tools: HashMap<String, HashMap<String, AtomicI64>>,
}

impl Known {
    /// Whether there is a place for it already.
    fn note(&self, tool: Option<(&str, &str)>, now: i64) -> bool {
        self.last.fetch_max(now, Ordering::Relaxed);
        tool.is_none_or(|(upstream, tool)| {
            let known = self.tools.get(upstream).and_then(|tools| tools.get(tool));
            known.map(|last| last.fetch_max(now, Ordering::Relaxed)).is_some()
        })
    }
}

impl Memory {
    fn note(&mut self, caller: &Caller, tool: Option<(&str, &str)>, now: i64) -> bool {
        let Self { callers, uses } = self;
        if callers.len() >= MAX_CALLERS && !callers.contains_key(caller) {
            return false;
        }
        let known = callers.entry(caller.clone()).or_default();
        if let Some((upstream, tool)) = tool
            && tool.len() <= MAX_NAME
            && *uses < MAX_USES
        {
            let tools = known.tools.entry(upstream.to_owned()).or_default();
            if tools.len() < MAX_TOOLS && !tools.contains_key(tool) {
                tools.insert(tool.to_owned(), AtomicI64::default());
                *uses += 1;
            }
        }
        known.note(tool, now)
    }
}

impl Used {
    /// Notes a request that was let through. False where there is no place for the caller, or for
    /// the tool.
    pub fn note(&self, caller: &Caller, tool: Option<(&str, &str)>, now: i64) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.callers.get(caller).is_some_and(|known| known.note(tool, now)) {
            return true;
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.note(caller, tool, now)
    }

    /// Everything, in order.
    #[must_use]
    pub fn all(&self) -> Vec<Use> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (caller, known) in &known.callers {
            let mut add = |tool, last: &AtomicI64| {
                all.push(Use { caller: caller.clone(), tool, last: last.load(Ordering::Relaxed) });
            };
            add(None, &known.last);
            for (upstream, tools) in &known.tools {
                for (tool, last) in tools {
                    add(Some((upstream.clone(), tool.clone())), last);
                }
            }
        }
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_of_each_tool_is_kept_and_invented_names_fill_nothing() {
        let used = Used::default();
        let alice = Caller::Token("alice".to_owned());
        used.note(&alice, Some(("t", "read")), 5);
        used.note(&alice, Some(("t", "read")), 9);
        used.note(&alice, Some(("t", "read")), 7);
        used.note(&alice, None, 11);
        let of = |tool: Option<(&str, &str)>, last| Use {
            caller: alice.clone(),
            tool: tool.map(|(upstream, tool)| (upstream.to_owned(), tool.to_owned())),
            last,
        };
        assert_eq!(used.all(), [of(None, 11), of(Some(("t", "read")), 9)]);
        for n in 0..2 * MAX_TOOLS {
            let is_noted = used.note(&alice, Some(("t", &format!("t{n}"))), 12);
            assert_eq!(is_noted, n < MAX_TOOLS - 1, "{n}");
        }
        assert_eq!(used.all().len(), 1 + MAX_TOOLS);
    }

    #[test]
    fn names_of_any_length_and_of_all_callers_have_a_bound() {
        let used = Used::default();
        let of = |n: usize| Caller::Token(format!("t{n}"));
        let [short, long] = [MAX_NAME, MAX_NAME + 1].map(|length| "x".repeat(length));
        assert!(used.note(&of(0), Some(("t", &short)), 5));
        assert!(!used.note(&of(0), Some(("t", &long)), 6));
        let last = |used: &Used| used.all().iter().map(|one| one.last).collect::<Vec<_>>();
        assert_eq!(last(&used), [6, 5], "that it called is known all the same");
        used.0.write().unwrap().uses = MAX_USES - 1;
        assert!(used.note(&of(1), Some(("t", "a")), 7));
        assert!(!used.note(&of(1), Some(("t", "b")), 7));
        assert!(used.note(&of(1), Some(("t", "a")), 8) && used.note(&of(2), None, 9));
        assert!(!used.note(&of(3), Some(("t", "a")), 9));
    }
}
