//! Which tool made which task, for the notices on a GET stream, which do not say.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::decide::Permit;
use crate::core::tasks::Makers;

/// How many tasks are remembered; of an older one, notices keep the upstream's id.
const CAPACITY: usize = 10_000;

/// Organization, user, upstream, and the id as the upstream knows it.
type Key = [Arc<str>; 4];

/// Tasks that calls through this process made, the latest [`CAPACITY`] of them.
#[derive(Debug, Default)]
pub(super) struct Minted(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    tools: HashMap<Key, Arc<str>>,
    oldest_first: VecDeque<Key>,
}

fn key(permit: &Permit, id: &str) -> Key {
    let owner = permit.principal();
    let parts = [owner.organization().as_str(), owner.user().as_str(), permit.upstream(), id];
    parts.map(Arc::from)
}

impl Makers for Minted {
    fn learn(&self, permit: &Permit, id: &str, tool: &str) {
        let key = key(permit, id);
        let mut memory = self.0.lock();
        if memory.tools.insert(key.clone(), tool.into()).is_none() {
            memory.oldest_first.push_back(key);
        }
        if memory.oldest_first.len() > CAPACITY
            && let Some(oldest) = memory.oldest_first.pop_front()
        {
            memory.tools.remove(&oldest);
        }
    }

    fn tool(&self, permit: &Permit, id: &str) -> Option<Arc<str>> {
        self.0.lock().tools.get(&key(permit, id)).cloned()
    }
}
