//! Connections that have not asked anything yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Those that wait for their question, the oldest first. One too many makes the oldest go, so
/// that silent ones never stand in the way of those who ask.
#[derive(Debug)]
pub(super) struct Waiting {
    most: usize,
    next: AtomicU64,
    queue: Mutex<BTreeMap<u64, Sender<()>>>,
}

/// A place among them; it is left when this is dropped.
pub(super) struct Place<'w> {
    waiting: &'w Waiting,
    number: u64,
    displaced: Receiver<()>,
}

impl Waiting {
    /// For at most so many.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), next: AtomicU64::new(0), queue: Mutex::default() }
    }

    /// A place, in exchange for the oldest one where there are too many.
    pub(super) fn join(&self) -> Place<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, displaced) = channel();
        let mut queue = self.queue.lock();
        if queue.len() >= self.most
            && let Some((_, oldest)) = queue.pop_first()
        {
            // It may have just asked, and then it stays.
            let _ = oldest.send(());
        }
        queue.insert(number, sender);
        Place { waiting: self, number, displaced }
    }
}

impl Place<'_> {
    /// Returns when another connection needs the place.
    pub(super) async fn displaced(&mut self) {
        if (&mut self.displaced).await.is_err() {
            // It is in no queue any more, so that nobody will ask for it.
            std::future::pending().await
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.queue.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_too_many_makes_the_oldest_go() {
        let waiting = Waiting::new(2);
        let (mut first, second) = (waiting.join(), waiting.join());
        drop(second);
        let mut third = waiting.join();
        assert!(first.displaced.try_recv().is_err(), "there is room for two");
        let mut fourth = waiting.join();
        first.displaced().await;
        assert!(third.displaced.try_recv().is_err() && fourth.displaced.try_recv().is_err());
        assert_eq!(waiting.queue.lock().len(), 2);
        drop((first, third, fourth));
        assert!(waiting.queue.lock().is_empty());
    }
}
