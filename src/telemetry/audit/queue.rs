//! Where records wait for the thread that writes.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::OnFailure;
use super::sink::{ENDLESS, LEAST};
use super::summed::Sums;
use super::trouble::Health;

/// How many records may wait to be written before another call is refused. The records of what is
/// under way then find a place all the same: `limits.in_flight` and `limits.streams` bound them.
pub(super) const CAPACITY: usize = 8192;

/// How long the writer gathers records before it writes them.
const GATHER: Duration = Duration::from_millis(2);

/// How often the writer looks for its file and for room, whatever comes in.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Records on their way to the writer, and what is kept free for those to come.
#[derive(Debug)]
pub(super) struct Queue {
    /// The file, or standard output, in the words of an operator.
    pub(super) place: String,
    pub(super) on_failure: OnFailure,
    /// Records that are not written yet.
    waiting: AtomicUsize,
    /// Bytes that the records of calls under way, and of those that wait, need at most.
    calls: AtomicI64,
    /// The same of streams, which live long: calls do not wait for them.
    streams: AtomicI64,
    /// Bytes that there is room for.
    pub(super) room: AtomicI64,
    lines: Mutex<Lines>,
    filled: Condvar,
    pub(super) sums: Mutex<Sums>,
    pub(super) health: Health,
}

/// Whose record a claim is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holder {
    /// A request that costs its caller nothing: it leaves half of everything to calls.
    Anybody,
    Call,
    /// A stream without an end.
    Stream,
}

/// Bytes that are kept free.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim {
    pub(super) calls: i64,
    pub(super) streams: i64,
}

/// What has come in.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) text: String,
    pub(super) records: usize,
    pub(super) claimed: Claim,
    pub(super) closed: bool,
    pub(super) reopen: bool,
}

impl Queue {
    pub(super) fn new(place: String, on_failure: OnFailure) -> Self {
        Self {
            place,
            on_failure,
            waiting: AtomicUsize::new(0),
            calls: AtomicI64::new(0),
            streams: AtomicI64::new(0),
            room: AtomicI64::new(ENDLESS),
            lines: Mutex::default(),
            filled: Condvar::new(),
            sums: Mutex::default(),
            health: Health::default(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting() >= CAPACITY
    }

    /// Whether it is known how much room there is.
    pub(super) fn has_bounds(&self) -> bool {
        self.room.load(Ordering::Relaxed) != ENDLESS
    }

    /// Bytes that are claimed in all.
    pub(super) fn claimed(&self) -> i64 {
        self.calls.load(Ordering::Relaxed) + self.streams.load(Ordering::Relaxed)
    }

    /// Keeps `wanted` bytes free for a record.
    pub(super) fn claim(&self, wanted: i64, holder: Holder) -> Option<Claim> {
        let room = self.room.load(Ordering::Relaxed);
        let most = if holder == Holder::Anybody { CAPACITY / 2 } else { CAPACITY };
        if self.waiting() >= most {
            return None;
        }
        if room == ENDLESS {
            return Some(Claim::default());
        }
        if holder == Holder::Stream {
            // The writer sets more aside the more streams there are; where the disk has no more,
            // their records wait in memory.
            self.streams.fetch_add(wanted, Ordering::Relaxed);
            let claim = Claim { calls: 0, streams: wanted };
            return self.take_back_unless(room >= LEAST_ROOM, claim);
        }
        let calls = self.calls.fetch_add(wanted, Ordering::Relaxed).saturating_add(wanted);
        let streams = self.streams.load(Ordering::Relaxed).min(room / 2);
        let most = if holder == Holder::Anybody { room / 2 } else { room };
        self.take_back_unless(calls + streams <= most, Claim { calls: wanted, streams: 0 })
    }

    fn take_back_unless(&self, is_good: bool, claim: Claim) -> Option<Claim> {
        if !is_good {
            self.release(0, claim);
        }
        is_good.then_some(claim)
    }

    /// So many records are written or lost, and what was kept free for them is free again.
    pub(super) fn release(&self, records: usize, claim: Claim) {
        self.calls.fetch_sub(claim.calls, Ordering::Relaxed);
        self.streams.fetch_sub(claim.streams, Ordering::Relaxed);
        self.waiting.fetch_sub(records, Ordering::Relaxed);
    }

    pub(super) fn put(&self, line: &str, claim: Claim) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut lines = self.lines.lock();
        lines.text.push_str(line);
        lines.text.push('\n');
        lines.records += 1;
        lines.claimed.calls += claim.calls;
        lines.claimed.streams += claim.streams;
        // While records are being gathered, the writer wakes by itself.
        if lines.records == 1 {
            self.filled.notify_one();
        }
    }

    pub(super) fn reopen(&self) {
        self.lines.lock().reopen = true;
        self.filled.notify_one();
    }

    pub(super) fn close(&self) {
        self.lines.lock().closed = true;
        self.filled.notify_one();
    }

    /// What has come in, at the latest after a tick; where writing fails, not before.
    pub(super) fn next(&self) -> Lines {
        let mut lines = self.lines.lock();
        let is_failing = self.health.is_failing();
        let is_quiet = |lines: &mut Lines| {
            (lines.records == 0 || is_failing) && !lines.closed && !lines.reopen
        };
        self.filled.wait_while_for(&mut lines, is_quiet, TICK);
        if lines.records > 0 && !lines.closed && !lines.reopen {
            // One wake and one write for what a busy moment brings, not one for each.
            self.filled.wait_while_for(&mut lines, |lines| !lines.closed, GATHER);
        }
        let taken = std::mem::take(&mut *lines);
        // It is never opened again.
        lines.closed = taken.closed;
        taken
    }
}

/// The least room in which a call is made, in bytes.
const LEAST_ROOM: i64 = LEAST as i64;
