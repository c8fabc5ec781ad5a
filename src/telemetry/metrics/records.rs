//! How audit records fare.

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::{Family, Make, number};
use crate::telemetry::audit::{Cause, State};

/// Records that wait, that are lost, and why.
#[derive(Debug)]
pub struct Records {
    lost: IntCounter,
    waiting: IntGauge,
    trouble: IntGaugeVec,
}

const TROUBLE: Family =
    ("audit_trouble", "1 where audit records cannot be written, by cause.", &["cause"]);

impl Records {
    pub(super) fn new(make: &Make<'_>) -> prometheus::Result<Self> {
        let lost = IntCounter::new("audit_records_dropped_total", "Audit records that are lost.")?;
        Ok(Self {
            lost: make.registered(lost)?,
            waiting: make.gauge("audit_records_waiting", "Audit records not yet written.")?,
            trouble: make.gauges(&TROUBLE)?,
        })
    }

    /// Shows how they fare now.
    pub fn show(&self, state: &State) {
        self.lost.inc_by(state.lost.saturating_sub(self.lost.get()));
        self.waiting.set(number(state.waiting));
        for cause in Cause::ALL {
            let is_it = state.trouble.as_ref().is_some_and(|trouble| trouble.cause == cause);
            self.trouble.with_label_values(&[cause.as_str()]).set(i64::from(is_it));
        }
    }
}
