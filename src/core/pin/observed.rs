//! What callers were shown of one approved tool, and who was shown it.
//!
//! An upstream can show different lists to different callers, and an older one again to somebody
//! who asks for a replay. So a change is kept beside the caller who saw it: it is over when the
//! same caller is shown the tool as it was approved, in a whole list that was asked for after the
//! change was seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{Change, Changes};

/// Texts of any length in sixteen bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mark([u8; 16]);

impl Mark {
    /// The mark of these texts in this order.
    #[must_use]
    pub fn of(texts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let mut mark = [0; 16];
        for (byte, hashed) in mark.iter_mut().zip(hash.finalize()) {
            *byte = hashed;
        }
        Self(mark)
    }
}

/// Counts what was seen, so that it can be said what came first. Starts at 0.
#[derive(Debug, Default)]
pub(super) struct Clock(AtomicU64);

impl Clock {
    /// The number of the latest change that was seen.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Most callers who are told apart for one tool. What more of them see, no list takes back.
pub(super) const MAX_WITNESSES: usize = 1_024;

/// The changes that were seen of one tool.
#[derive(Debug, Default)]
pub(super) struct Observed {
    seen: Mutex<Seen>,
    /// Bits of all that was seen: this is asked for with every call.
    all: AtomicU8,
}

#[derive(Debug, Default)]
struct Seen {
    by: HashMap<Mark, Witness>,
    /// Changes seen by those who are not told apart.
    lasting: Changes,
    is_missing: bool,
}

#[derive(Clone, Copy, Debug)]
struct Witness {
    changes: Changes,
    /// When, by the [`Clock`].
    at: u64,
}

impl Observed {
    /// Changes seen by anybody.
    pub(super) fn all(&self) -> Changes {
        Changes(self.all.load(Ordering::SeqCst))
    }

    /// Changes seen by anybody else.
    pub(super) fn by_others(&self, asker: Mark) -> Changes {
        let seen = self.lock();
        let others = seen.by.iter().filter(|(known, _)| **known != asker);
        others.fold(seen.lasting, |all, (_, witness)| all.and(witness.changes))
    }

    /// The asker was shown these changes, and perhaps others before.
    pub(super) fn add(&self, asker: Mark, changes: Changes, clock: &Clock) {
        let mut seen = self.lock();
        seen.add(asker, changes, clock);
        self.all.store(seen.all().0, Ordering::SeqCst);
    }

    /// A whole list that the asker asked for at `began` shows these changes, or none. What was
    /// seen since then stays.
    pub(super) fn settle(&self, asker: Mark, changes: Changes, began: u64, clock: &Clock) {
        let mut seen = self.lock();
        seen.is_missing = false;
        if seen.by.get(&asker).is_some_and(|witness| witness.at <= began) {
            seen.by.remove(&asker);
        }
        seen.add(asker, changes, clock);
        self.all.store(seen.all().0, Ordering::SeqCst);
    }

    /// A whole list does not have it.
    pub(super) fn miss(&self) {
        let mut seen = self.lock();
        seen.is_missing = true;
        self.all.store(seen.all().0, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn add(&mut self, asker: Mark, changes: Changes, clock: &Clock) {
        if changes.is_empty() {
            return;
        }
        let is_full = self.by.len() >= MAX_WITNESSES;
        match self.by.entry(asker) {
            Entry::Occupied(mut known) => {
                let changes = known.get().changes.and(changes);
                known.insert(Witness { changes, at: clock.tick() });
            }
            Entry::Vacant(_) if is_full => self.lasting = self.lasting.and(changes),
            Entry::Vacant(place) => {
                place.insert(Witness { changes, at: clock.tick() });
            }
        }
    }

    fn all(&self) -> Changes {
        let all = self.by.values().fold(self.lasting, |all, witness| all.and(witness.changes));
        if self.is_missing { all.with(Change::Missing) } else { all }
    }
}
