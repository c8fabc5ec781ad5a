//! Tools that are not, or no longer, what was approved: the word about it.

use crate::core::pin::{Pins, Sighting};
use crate::telemetry::metrics::Metrics;

/// Logs what is news, and shows how things stand. A name comes from the upstream: the log escapes
/// it.
pub(super) fn tell(metrics: &Metrics, upstream: &str, pins: &Pins, news: &[Sighting]) {
    for Sighting { tool, changes } in news {
        tracing::warn!(
            event = "upstream.tools_changed",
            upstream,
            tool,
            changes = changes.words(),
            "doorward lock --check tells more"
        );
        for change in changes.iter() {
            metrics.tool_changed(upstream, change);
        }
    }
    metrics.show_drift(upstream, Some(pins));
}
