//! A bound on the lines of the log. Knows nothing of either service.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines below ERROR in a second. Everybody can be refused as often as they like.
const A_SECOND: usize = 200;

/// Leaves out what comes too fast, and says how much that was.
#[derive(Debug)]
pub struct LogRate {
    began: Instant,
    count: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    second: u64,
    lines: usize,
    left_out: usize,
}

impl Default for LogRate {
    fn default() -> Self {
        Self { began: Instant::now(), count: Mutex::default() }
    }
}

impl<S: Subscriber> Layer<S> for LogRate {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() == Level::ERROR {
            return true;
        }
        let second = self.began.elapsed().as_secs();
        let (passes, left_out) =
            self.count.lock().unwrap_or_else(PoisonError::into_inner).passes(second);
        if left_out > 0 {
            tracing::warn!(left_out, "more than {A_SECOND} lines came in a second");
        }
        passes
    }
}

impl Count {
    /// Whether a line of this second is written, and how many before it were not.
    fn passes(&mut self, second: u64) -> (bool, usize) {
        let mut left_out = 0;
        if second != self.second {
            left_out = std::mem::take(&mut self.left_out);
            (self.second, self.lines) = (second, 0);
        }
        self.lines += 1;
        let passes = self.lines <= A_SECOND;
        self.left_out += usize::from(!passes);
        (passes, left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn what_comes_too_fast_is_counted_and_told_in_the_next_second() {
        let mut count = Count::default();
        let passed = (0..1000).filter(|_| count.passes(7).0).count();
        assert_eq!(passed, A_SECOND);
        assert_eq!(count.passes(8), (true, 800));
        assert_eq!(count.passes(8), (true, 0));
    }

    /// Counts what gets as far as the log.
    struct Seen(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn errors_pass_and_a_flood_of_others_does_not() {
        let seen = Arc::<AtomicUsize>::default();
        let log = tracing_subscriber::registry().with(Seen(Arc::clone(&seen)));
        tracing::subscriber::with_default(log.with(LogRate::default()), || {
            for _ in 0..100_000 {
                tracing::info!("refused");
            }
            assert!(seen.load(Ordering::Relaxed) < 50_000, "{seen:?}");
            let before = seen.load(Ordering::Relaxed);
            for _ in 0..1000 {
                tracing::error!("broken");
            }
            assert_eq!(seen.load(Ordering::Relaxed), before + 1000);
        });
    }
}
