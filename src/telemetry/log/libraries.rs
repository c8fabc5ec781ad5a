//! Lines of libraries, which say what a stranger does as often as he does it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::Metadata;
use tracing::callsite::Identifier;

use crate::telemetry::seldom::Seldom;

/// Lines that were left out, and not counted yet.
static REPEATED: AtomicU64 = AtomicU64::new(0);

/// Lines of libraries that were left out since this was last asked.
pub fn newly_repeated() -> u64 {
    REPEATED.swap(0, Ordering::Relaxed)
}

/// A place in the code. Those who log by the `log` crate share what identifies it, but for the line.
type Place = (Identifier, Option<u32>);

/// Lets one line in ten seconds pass from each place in a library. The others are counted.
#[derive(Debug, Default)]
pub(super) struct Libraries(Mutex<HashMap<Place, Seldom>>);

impl Libraries {
    /// False where a line of this place was written a moment ago.
    pub(super) fn may_speak(&self, place: &Metadata<'_>) -> bool {
        if !place.is_event() || place.target().starts_with("doorward") {
            return true;
        }
        // Places are in the code, so their number is bounded.
        let key = (place.callsite(), place.line());
        let may = self.0.lock().entry(key).or_default().say().is_some();
        if !may {
            REPEATED.fetch_add(1, Ordering::Relaxed);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use tracing::{Event, Subscriber};
    use tracing_subscriber::filter::dynamic_filter_fn;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::{Layer, registry};

    use super::*;

    struct Written(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_place_in_a_library_speaks_once_in_a_while_and_our_own_whenever_it_has_to() {
        let (written, libraries) = (Arc::default(), Libraries::default());
        let filter = dynamic_filter_fn(move |place, _| libraries.may_speak(place));
        let layer = Written(Arc::clone(&written)).with_filter(filter);
        tracing::subscriber::with_default(registry().with(layer), || {
            for _ in 0..100 {
                tracing::warn!(target: "h2::proto", "one");
                tracing::warn!(target: "h2::proto", "another");
                tracing::warn!(target: "doorward::gateway", "own");
            }
        });
        assert_eq!(written.load(Ordering::Relaxed), 102);
        assert!(newly_repeated() >= 198);
    }
}
