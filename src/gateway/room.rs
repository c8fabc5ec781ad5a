//! Bounds on how many may be inside at once.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts who is inside. The limit is named at the door, since a reload may change it while some
/// are inside.
#[derive(Debug, Default)]
pub struct Room(AtomicUsize);

/// A place in a room; it is left when this is dropped, in a panic, too.
#[derive(Debug)]
pub struct Inside<'r>(&'r Room);

impl Room {
    /// A place, where fewer than `limit` are taken.
    #[must_use]
    pub fn enter(&self, limit: usize) -> Option<Inside<'_>> {
        let before = self.0.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(self);
        (before < limit).then_some(inside)
    }

    /// How many are inside.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether nobody is inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_lets_nobody_in_until_enough_have_left() {
        let room = Room::default();
        let (first, second) = (room.enter(2).unwrap(), room.enter(2).unwrap());
        assert!(room.enter(2).is_none() && room.enter(1).is_none());
        drop(first);
        assert!(room.enter(1).is_none());
        drop(second);
        assert!(room.is_empty() && room.enter(1).is_some());
    }
}
