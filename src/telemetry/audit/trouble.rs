//! Records that cannot be written: why, since when, and what it costs. A thread of its own looks,
//! because the one that writes may be stuck in its write.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::OnFailure;
use super::queue::{CAPACITY, Queue};

/// How often the state is looked at, and how long it must be good before trouble is over.
const LOOK: Duration = Duration::from_millis(250);
const CALM: Duration = Duration::from_secs(1);

/// How long one write may take before nobody is taken to read.
const STALL: Duration = Duration::from_secs(1);

/// Why records cannot be written: the label of the metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Whoever read standard output is gone.
    Closed,
    /// The disk, the quota, or the greatest size of a file (`RLIMIT_FSIZE`) is reached.
    DiskFull,
    /// Another error of the operating system.
    Io,
    /// The folder of the file is gone.
    Missing,
    /// The file may not be written or made.
    Permission,
    /// Nobody reads, or not fast enough, or the disk does not answer.
    Stalled,
}

impl Cause {
    /// Every variant, for metrics that show a zero before the first event.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::DiskFull, Self::Io, Self::Missing, Self::Permission, Self::Stalled];

    /// The word for it in metrics, logs and `/status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::Missing => "missing",
            Self::Permission => "permission",
            Self::Stalled => "stalled",
        }
    }

    fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::DiskFull,
            Kind::BrokenPipe | Kind::ConnectionReset | Kind::NotConnected => Self::Closed,
            Kind::NotFound | Kind::NotADirectory => Self::Missing,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Permission,
            _ if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::BADF) => {
                Self::Closed
            }
            _ => Self::Io,
        }
    }
}

/// How records fare.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// The file, or `standard output`.
    pub to: String,
    /// Records that wait to be written.
    pub waiting: usize,
    /// Records that were lost since the start.
    pub lost: u64,
    /// Calls that were refused since the start, because their records had no place.
    pub calls_refused: u64,
    /// What is amiss.
    pub trouble: Option<Trouble>,
}

/// Records cannot be written.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// Why.
    pub cause: Cause,
    /// The error of the operating system, or what was seen.
    pub error: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// Whether calls are refused meanwhile.
    pub refuses_calls: bool,
}

/// What the writer and the callers have met with.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Whether the last attempt to write failed; [`Self::failure`] says why.
    is_failing: AtomicBool,
    failure: Mutex<Option<(Cause, String)>>,
    /// Since when the writer has been at its work.
    busy: Mutex<Option<Instant>>,
    pub(super) refused: AtomicU64,
    pub(super) lost: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Health {
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        *self.busy.lock() = Some(Instant::now());
    }

    /// What came of the writer's latest attempt.
    pub(super) fn attempted(&self, result: &io::Result<()>) {
        *self.busy.lock() = None;
        let failure = result.as_ref().err().map(|error| (Cause::of(error), error.to_string()));
        let is_failing = failure.is_some();
        *self.failure.lock() = failure;
        if self.is_failing.swap(is_failing, Ordering::Relaxed) != is_failing {
            self.changed.notify_one();
        }
    }

    pub(super) fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::Relaxed);
    }

    /// Ends the thread that looks.
    pub(super) fn over(&self) {
        *self.is_over.lock() = true;
        self.changed.notify_one();
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().clone()
    }

    fn stuck(&self) -> Option<Duration> {
        self.busy.lock().map(|since| since.elapsed()).filter(|time| *time >= STALL)
    }
}

impl Queue {
    /// Whether a call would be refused at this moment for the sake of its record.
    pub(super) fn refuses_calls(&self) -> bool {
        self.on_failure == OnFailure::Deny && (self.health.is_failing() || self.is_full())
    }

    /// What is amiss at this moment; `refused` says whether anybody was refused of late.
    pub(super) fn ailment(&self, refused: bool) -> Option<(Cause, String)> {
        let failure = self.health.failure.lock().clone();
        let stuck = || {
            let time = self.health.stuck()?.as_secs();
            Some((Cause::Stalled, format!("a write has not come back for {time} s")))
        };
        let slow = || match (self.is_full(), refused) {
            (false, false) => None,
            (false, true) if self.has_bounds() => {
                Some((Cause::DiskFull, "no room for the records of all calls under way".to_owned()))
            }
            _ => Some((Cause::Stalled, "records come faster than they are taken".to_owned())),
        };
        failure.or_else(stuck).or_else(slow)
    }
}

/// The thread that looks, and tells the log when trouble begins and when it is over.
pub(super) struct Watch<'q> {
    pub(super) queue: &'q Queue,
    /// Counts when trouble began: calls refused, records lost.
    before: (u64, u64),
    began: Instant,
    /// When something was last amiss.
    latest: Instant,
}

impl<'q> Watch<'q> {
    pub(super) fn new(queue: &'q Queue) -> Self {
        let now = Instant::now();
        Self { queue, before: (0, 0), began: now, latest: now }
    }

    pub(super) fn run(mut self) {
        let health = &self.queue.health;
        let mut counts = self.counts();
        loop {
            let mut is_over = health.is_over.lock();
            if !*is_over {
                health.changed.wait_for(&mut is_over, LOOK);
            }
            if *is_over {
                return;
            }
            drop(is_over);
            let now = self.counts();
            self.look(self.queue.ailment(now != counts), counts);
            counts = now;
        }
    }

    fn counts(&self) -> (u64, u64) {
        let health = &self.queue.health;
        (health.refused.load(Ordering::Relaxed), health.lost.load(Ordering::Relaxed))
    }

    fn look(&mut self, ailment: Option<(Cause, String)>, before: (u64, u64)) {
        let known = self.queue.health.trouble();
        let refuses = self.queue.refuses_calls();
        match (known, ailment) {
            (None, Some((cause, error))) => {
                (self.before, self.began, self.latest) = (before, Instant::now(), Instant::now());
                let since = jiff::Timestamp::now();
                self.tell(Trouble { cause, error, since, refuses_calls: refuses });
            }
            (Some(known), Some((cause, error))) => {
                self.latest = Instant::now();
                let is_news = cause != known.cause || (refuses && !known.refuses_calls);
                let refuses_calls = refuses || (known.refuses_calls && cause == known.cause);
                let trouble = Trouble { cause, error, refuses_calls, ..known };
                match is_news {
                    true => self.tell(trouble),
                    false => *self.queue.health.trouble.lock() = Some(trouble),
                }
            }
            (Some(known), None) if self.latest.elapsed() >= CALM => {
                let (refused, lost) = self.counts();
                let (calls_refused, records_lost) = (refused - self.before.0, lost - self.before.1);
                tracing::info!(
                    event = "audit.written_again",
                    cause = known.cause.as_str(),
                    path = self.queue.place,
                    seconds = self.began.elapsed().as_secs(),
                    calls_refused,
                    records_lost,
                    "records are written again"
                );
                *self.queue.health.trouble.lock() = None;
            }
            (_, None) => {}
        }
    }

    fn tell(&self, trouble: Trouble) {
        let means = match (self.queue.on_failure, trouble.refuses_calls) {
            (OnFailure::Deny, true) => "calls are refused with 503 until it is over".to_owned(),
            (OnFailure::Deny, false) => format!(
                "calls are made while records have a place, {} of {CAPACITY} are taken",
                self.queue.waiting()
            ),
            (OnFailure::Count, _) => {
                "calls are made, and what has no place is lost and counted".to_owned()
            }
        };
        tracing::error!(
            event = "audit.write_failed",
            cause = trouble.cause.as_str(),
            error = trouble.error,
            path = self.queue.place,
            "records cannot be written: {means}"
        );
        *self.queue.health.trouble.lock() = Some(trouble);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn an_error_of_the_system_has_its_cause() {
        for (errno, cause) in [
            (Errno::NOSPC, Cause::DiskFull),
            (Errno::DQUOT, Cause::DiskFull),
            (Errno::FBIG, Cause::DiskFull),
            (Errno::PIPE, Cause::Closed),
            (Errno::BADF, Cause::Closed),
            (Errno::NOENT, Cause::Missing),
            (Errno::NOTDIR, Cause::Missing),
            (Errno::ACCESS, Cause::Permission),
            (Errno::PERM, Cause::Permission),
            (Errno::ROFS, Cause::Permission),
            (Errno::IO, Cause::Io),
        ] {
            assert_eq!(Cause::of(&errno.into()), cause, "{errno:?}");
        }
    }
}
