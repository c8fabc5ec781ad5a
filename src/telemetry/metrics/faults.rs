//! What goes wrong in the process itself.

use prometheus::IntCounter;

use super::Make;
use crate::telemetry::log;

/// Counts of what the log has lost, and of faults.
#[derive(Debug)]
pub(super) struct Faults {
    log_dropped: IntCounter,
    log_repeated: IntCounter,
    panics: IntCounter,
}

impl Faults {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let counter = |name, help| make.registered(IntCounter::new(name, help)?);
        Ok(Self {
            log_dropped: counter(
                "log_lines_dropped_total",
                "Lines of the log that found no room, or could not be written to standard error.",
            )?,
            log_repeated: counter(
                "log_lines_repeated_total",
                "Lines of libraries that were left out: the same place had one within ten seconds.",
            )?,
            panics: counter(
                "panics_total",
                "Faults of the gateway that ended a request or another task of it.",
            )?,
        })
    }

    /// Takes over what was counted meanwhile.
    pub(super) fn show(&self) {
        self.log_dropped.inc_by(log::newly_dropped());
        self.log_repeated.inc_by(log::newly_repeated());
        self.panics.inc_by(log::new_panics());
    }
}
