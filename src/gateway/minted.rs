//! Which tool made which task, for the notices on a GET stream, which do not say.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::decide::Permit;
use crate::core::pin::Mark;
use crate::core::tasks::Makers;
use crate::telemetry::metrics::{Forgotten, Metrics};

/// How many tasks are remembered; of one that is not, notices keep the upstream's id.
const CAPACITY: usize = 10_000;

/// Longest name of a tool that is remembered, in bytes; the tasks of a longer one are treated like
/// forgotten ones.
const MAX_TOOL: usize = 1_024;

/// Tasks that calls through this process made, [`CAPACITY`] of them. Where there are more, the
/// oldest is forgotten of whoever made most: of the upstream with most tasks, the owner with most.
pub(super) struct Minted {
    memory: Mutex<Memory>,
    metrics: Arc<Metrics>,
}

impl Minted {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { memory: Mutex::default(), metrics }
    }
}

/// Ids have any length, and an upstream chooses them: each is kept as a mark.
#[derive(Debug, Default)]
struct Memory {
    tools: HashMap<Mark, Arc<str>>,
    shares: HashMap<Arc<str>, Share>,
    /// Number of the latest task.
    latest: u64,
}

/// The tasks of one upstream.
#[derive(Debug, Default)]
struct Share {
    count: usize,
    /// By their owners, and by their numbers.
    owners: HashMap<Mark, BTreeMap<u64, Mark>>,
    /// The owners: last the one who has most, of several the one who has the oldest.
    ranking: BTreeSet<Rank>,
}

/// How many tasks an owner has, the number of the oldest, and whose they are.
type Rank = (usize, Reverse<Option<u64>>, Mark);

impl Memory {
    /// True where something is forgotten for it, or it is not remembered itself.
    fn learn(&mut self, upstream: &str, owner: Mark, task: Mark, tool: &str) -> bool {
        if tool.len() > MAX_TOOL {
            return true;
        }
        if self.tools.insert(task, tool.into()).is_some() {
            return false;
        }
        self.latest += 1;
        let share = match self.shares.get_mut(upstream) {
            Some(share) => share,
            None => self.shares.entry(upstream.into()).or_default(),
        };
        share.learn(owner, self.latest, task);
        let is_full = self.tools.len() > CAPACITY;
        if is_full {
            self.forget();
        }
        is_full
    }

    /// Upstreams are few: those of the configuration, and of earlier ones.
    fn forget(&mut self) {
        let most = self.shares.values_mut().max_by_key(|share| share.count);
        if let Some(oldest) = most.and_then(Share::forget) {
            self.tools.remove(&oldest);
        }
    }
}

impl Share {
    fn learn(&mut self, owner: Mark, number: u64, task: Mark) {
        let tasks = self.owners.entry(owner).or_default();
        self.ranking.remove(&rank(owner, tasks));
        tasks.insert(number, task);
        self.ranking.insert(rank(owner, tasks));
        self.count += 1;
    }

    fn forget(&mut self) -> Option<Mark> {
        let (.., owner) = self.ranking.pop_last()?;
        let tasks = self.owners.get_mut(&owner)?;
        let (_, oldest) = tasks.pop_first()?;
        match tasks.is_empty() {
            true => drop(self.owners.remove(&owner)),
            false => drop(self.ranking.insert(rank(owner, tasks))),
        }
        self.count -= 1;
        Some(oldest)
    }
}

fn rank(owner: Mark, tasks: &BTreeMap<u64, Mark>) -> Rank {
    (tasks.len(), Reverse(tasks.first_key_value().map(|(number, _)| *number)), owner)
}

/// Organization, user and upstream.
fn owner(permit: &Permit) -> Mark {
    let owner = permit.principal();
    Mark::of(&[owner.organization().as_str(), owner.user().as_str(), permit.upstream()])
}

/// The same, and the id as the upstream knows it.
fn mark(permit: &Permit, id: &str) -> Mark {
    let owner = permit.principal();
    Mark::of(&[owner.organization().as_str(), owner.user().as_str(), permit.upstream(), id])
}

impl Makers for Minted {
    fn learn(&self, permit: &Permit, id: &str, tool: &str) {
        let (owner, task) = (owner(permit), mark(permit, id));
        if self.memory.lock().learn(permit.upstream(), owner, task, tool) {
            self.metrics.forget(Forgotten::Task, 1);
        }
    }

    fn tool(&self, permit: &Permit, id: &str) -> Option<Arc<str>> {
        self.memory.lock().tools.get(&mark(permit, id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: usize) -> Mark {
        Mark::of(&[&n.to_string()])
    }

    fn knows(memory: &Memory, n: usize) -> bool {
        memory.tools.contains_key(&task(n))
    }

    #[test]
    fn tasks_are_remembered_in_bounded_number_and_length() {
        let mut memory = Memory::default();
        let owner = Mark::of(&["alice"]);
        let forgotten =
            (0..CAPACITY + 500).filter(|n| memory.learn("t", owner, task(*n), "export")).count();
        assert_eq!(forgotten, 500);
        assert!(memory.learn("t", owner, Mark::of(&["long"]), &"x".repeat(MAX_TOOL + 1)));
        let share = &memory.shares["t"];
        let of_owners: usize = share.owners.values().map(BTreeMap::len).sum();
        assert_eq!((memory.tools.len(), share.count, of_owners), (CAPACITY, CAPACITY, CAPACITY));
        assert_eq!(share.ranking.len(), share.owners.len());
        assert!(memory.tools.values().all(|tool| tool.len() <= MAX_TOOL));
        assert!(!knows(&memory, 499), "the oldest goes first");
        assert!(knows(&memory, 500) && knows(&memory, CAPACITY + 499));
        assert!(!memory.learn("t", owner, task(CAPACITY), "export"), "it is there already");
    }

    #[test]
    fn whoever_makes_most_tasks_loses_their_own() {
        let mut memory = Memory::default();
        let of = |name: &str| Mark::of(&[name]);
        for n in 0..50 {
            memory.learn("good", of("alice"), task(n), "export");
            memory.learn("hostile", of("alice"), task(1_000 + n), "export");
        }
        for n in 0..3_000 {
            memory.learn("hostile", of(["bob", "carol", "dave"][n % 3]), task(2_000 + n), "export");
        }
        for n in 0..3 * CAPACITY {
            memory.learn("hostile", of("mallory"), task(10_000 + n), "export");
        }
        let kept = |from: usize, to: usize| (from..to).filter(|n| knows(&memory, *n)).count();
        assert_eq!(kept(0, 50), 50, "lost for what another upstream makes");
        assert_eq!(kept(1_000, 1_050), 50, "lost for what another caller makes");
        assert_eq!(kept(2_000, 5_000), 3_000, "lost for what another caller makes");
        assert_eq!(kept(10_000, 10_000 + 3 * CAPACITY), CAPACITY - 3_100);
        // Many who have one each: the oldest goes, and a good upstream keeps what it has.
        for n in 0..2 * CAPACITY {
            memory.learn("hostile", of(&n.to_string()), task(50_000 + n), "export");
        }
        let kept = |from: usize, to: usize| (from..to).filter(|n| knows(&memory, *n)).count();
        assert_eq!((kept(0, 50), memory.tools.len()), (50, CAPACITY));
        let share = &memory.shares["hostile"];
        assert_eq!((share.owners.len(), share.ranking.len()), (CAPACITY - 50, CAPACITY - 50));
        assert!(knows(&memory, 50_000 + 2 * CAPACITY - 1), "the latest is there");
    }
}
