//! Which tool made which task, for the notices on a GET stream, which do not say.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::decide::Permit;
use crate::core::pin::Mark;
use crate::core::tasks::Makers;

/// How many tasks are remembered; of an older one, notices keep the upstream's id.
const CAPACITY: usize = 10_000;

/// Longest name of a tool that is remembered, in bytes; the tasks of a longer one are treated like
/// forgotten ones.
const MAX_TOOL: usize = 1_024;

/// Tasks that calls through this process made, the latest [`CAPACITY`] of them.
#[derive(Debug, Default)]
pub(super) struct Minted(Mutex<Memory>);

/// Ids have any length, and an upstream chooses them: each is kept as a mark.
#[derive(Debug, Default)]
struct Memory {
    tools: HashMap<Mark, Arc<str>>,
    oldest_first: VecDeque<Mark>,
}

impl Memory {
    fn learn(&mut self, task: Mark, tool: &str) {
        if tool.len() > MAX_TOOL {
            return;
        }
        if self.tools.insert(task, tool.into()).is_none() {
            self.oldest_first.push_back(task);
        }
        if self.oldest_first.len() > CAPACITY
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.tools.remove(&oldest);
        }
    }
}

/// Organization, user, upstream, and the id as the upstream knows it.
fn mark(permit: &Permit, id: &str) -> Mark {
    let owner = permit.principal();
    Mark::of(&[owner.organization().as_str(), owner.user().as_str(), permit.upstream(), id])
}

impl Makers for Minted {
    fn learn(&self, permit: &Permit, id: &str, tool: &str) {
        self.0.lock().learn(mark(permit, id), tool);
    }

    fn tool(&self, permit: &Permit, id: &str) -> Option<Arc<str>> {
        self.0.lock().tools.get(&mark(permit, id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_remembered_in_bounded_number_and_length() {
        let mut memory = Memory::default();
        for n in 0..CAPACITY + 500 {
            memory.learn(Mark::of(&[&n.to_string()]), "export");
        }
        memory.learn(Mark::of(&["long"]), &"x".repeat(MAX_TOOL + 1));
        assert_eq!((memory.tools.len(), memory.oldest_first.len()), (CAPACITY, CAPACITY));
        assert!(memory.tools.values().all(|tool| tool.len() <= MAX_TOOL));
        assert!(!memory.tools.contains_key(&Mark::of(&["0"])), "the oldest goes first");
        assert!(memory.tools.contains_key(&Mark::of(&[&(CAPACITY + 499).to_string()])));
    }
}
