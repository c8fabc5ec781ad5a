//! A bound on how often the log says the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The shortest time between two words about the same thing.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one word about something pass in ten seconds, and counts the others.
#[derive(Debug)]
pub struct Seldom {
    began: Instant,
    /// When the next word may pass, in milliseconds since the beginning.
    next: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self { began: Instant::now(), next: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }
}

impl Seldom {
    /// How often it was not said since it was last said, where it may be said now.
    pub fn say(&self) -> Option<u64> {
        self.say_at(self.began.elapsed())
    }

    fn say_at(&self, now: Duration) -> Option<u64> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let due = |next: u64| (next <= millis(now)).then(|| millis(now.saturating_add(PAUSE)));
        match self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due) {
            Ok(_) => Some(self.unsaid.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.unsaid.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_counted() {
        let seldom = Seldom::default();
        let at = |seconds| seldom.say_at(Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(1), at(9), at(10), at(11), at(30)],
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }
}
