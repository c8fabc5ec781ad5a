//! The wall clock, which somebody may set, and which goes on while the machine sleeps. What waits
//! for a moment waits by the clock that nobody sets, and has to be told.

use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Gateway;

/// How often the two clocks are compared.
const LOOK: Duration = Duration::from_secs(1);

/// The least difference in milliseconds that is told: tokens end by the second.
const LEAST: i64 = 1_000;

/// How far the wall clock was ahead when that was last told.
struct Clocks {
    ahead: i64,
}

impl Clocks {
    /// By how many milliseconds the wall clock has jumped, where it has; both in milliseconds
    /// since whenever.
    fn compare(&mut self, wall: i64, steady: i64) -> Option<i64> {
        let ahead = wall.saturating_sub(steady);
        let jump = ahead.saturating_sub(self.ahead);
        if jump.saturating_abs() < LEAST {
            return None;
        }
        self.ahead = ahead;
        Some(jump)
    }
}

/// Tells open streams when the wall clock has jumped, for as long as the gateway lives.
pub async fn follow_clock(gateway: Weak<Gateway>) {
    let began = Instant::now();
    let wall = || jiff::Timestamp::now().as_millisecond();
    let mut clocks = Clocks { ahead: wall() };
    loop {
        sleep(LOOK).await;
        let Some(gateway) = gateway.upgrade() else { return };
        let steady = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        if let Some(jump) = clocks.compare(wall(), steady) {
            tracing::info!(event = "clock.jumped", milliseconds = jump);
            gateway.replaced.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_once_and_a_slow_drift_when_it_has_come_to_a_second() {
        let mut clocks = Clocks { ahead: 0 };
        let told = |clocks: &mut Clocks, times: &[(i64, i64)]| {
            times.iter().map(|&(wall, steady)| clocks.compare(wall, steady)).collect::<Vec<_>>()
        };
        let forward = told(&mut clocks, &[(1_000, 1_000), (3_602_000, 2_000), (3_603_000, 3_000)]);
        assert_eq!(forward, [None, Some(3_600_000), None]);
        let back = told(&mut clocks, &[(4_000, 4_000), (5_000, 5_000)]);
        assert_eq!(back, [Some(-3_600_000), None]);
        let drift = told(&mut clocks, &[(6_400, 6_000), (7_800, 7_000), (9_100, 8_000)]);
        assert_eq!(drift, [None, None, Some(1_100)]);
        assert_eq!(clocks.compare(i64::MIN, i64::MAX), Some(i64::MIN));
    }
}
