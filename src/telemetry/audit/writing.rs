//! The thread that writes records, and never gives up: what cannot be written is tried again each
//! second.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::OnFailure;
use super::file::{Kept, Shortened, whole_lines};
use super::queue::{Claim, Lines, Queue, TICK};
use super::record::Note;
use super::sink::{ENDLESS, Sink};
use super::summed::SUM;
use crate::core::chain::{Chain, Mark};

/// Most bytes that are written at once: about what a pipe holds.
const PIECE: usize = 64 << 10;

/// The thread that writes.
pub(super) struct Writing<'q> {
    queue: &'q Queue,
    sink: Sink,
    /// Absent for people.
    chain: Option<Chain>,
    /// The chain as far as it is written.
    mark: Option<Mark>,
    /// Lines that are not written yet.
    text: Vec<u8>,
    /// Records among them, and what they have claimed.
    records: usize,
    claimed: Claim,
    /// Whether the last that was written is no whole line, and whether its rest is lost.
    is_torn: bool,
    is_cut: bool,
    /// Somebody wants the file to be opened again.
    reopen: bool,
    /// When the name of the file was last looked at.
    kept: Option<Instant>,
    /// Lost records of which a record tells.
    told: u64,
    /// The same, in a line that is not written yet.
    telling: u64,
}

impl<'q> Writing<'q> {
    pub(super) fn new(queue: &'q Queue, sink: Sink, chain: Option<Chain>) -> Self {
        let mark = chain.as_ref().map(Chain::mark);
        Self {
            queue,
            sink,
            chain,
            mark,
            text: Vec::new(),
            records: 0,
            claimed: Claim::default(),
            is_torn: false,
            is_cut: false,
            reopen: false,
            kept: None,
            told: 0,
            telling: 0,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let lines = self.queue.next();
            let is_end = lines.closed && lines.records == 0;
            self.take(&lines);
            let waiting = self.records;
            self.queue.health.begin();
            let result = self.attempt(is_end);
            if result.is_err() && self.queue.on_failure == OnFailure::Count {
                self.lose();
            }
            self.queue.health.attempted(&result);
            if is_end {
                if let (Err(error), 1..) = (&result, waiting) {
                    let path = &self.queue.place;
                    tracing::error!(event = "audit.lost", records = waiting, path, %error);
                }
                self.queue.release(self.records, self.claimed);
                self.sink.close();
                return;
            }
        }
    }

    fn take(&mut self, lines: &Lines) {
        self.seal(&lines.text);
        self.records += lines.records;
        self.claimed.calls += lines.claimed.calls;
        self.claimed.streams += lines.claimed.streams;
        self.reopen |= lines.reopen;
    }

    fn attempt(&mut self, is_end: bool) -> io::Result<()> {
        let is_failing = self.queue.health.is_failing();
        if self.reopen || is_failing || self.kept.is_none_or(|at| at.elapsed() >= TICK) {
            let kept = self.sink.keep(self.reopen)?;
            self.reopen = false;
            self.kept = Some(Instant::now());
            self.tell_kept(kept);
        } else if is_end {
            let shortened = self.sink.shortened();
            self.tell_kept(Kept { shortened, is_new: false });
        }
        if !is_failing || self.text.is_empty() {
            self.tell_lost();
        }
        if !is_failing || is_end {
            self.tell_sums(is_end);
        }
        if is_end {
            self.note("stop");
        }
        self.write()?;
        let (room, result) = self.sink.room(self.queue.claimed());
        self.queue.room.store(room, Ordering::Relaxed);
        result
    }

    /// Records that are gone with what somebody cut off leave no gap in the chain of those to come.
    fn tell_kept(&mut self, kept: Kept) {
        if let Some(Shortened { from, to }) = kept.shortened {
            tracing::warn!(
                event = "audit.shortened",
                path = self.queue.place,
                from,
                to,
                "somebody else has emptied or shortened the file: records in it are gone unless \
                 they were copied; to rotate, move the file away"
            );
            self.note("truncate");
        } else if kept.is_new && self.text.is_empty() {
            // Whoever starts next must find something to go on from.
            self.note("rotate");
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        if self.is_cut {
            self.sink.write(b"\n").1?;
            self.is_cut = false;
        }
        let mut written = 0;
        let result = loop {
            let rest = self.text.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            // A reader who is slow and not stuck makes places free again, piece by piece.
            self.queue.health.begin();
            let (some, result) = self.sink.write(piece(rest));
            self.wrote(written, some);
            written += some;
            if result.is_err() {
                break result;
            }
        };
        self.text.drain(..written);
        if self.text.is_empty() {
            if let (Some(chain), Some(mark)) = (&self.chain, &mut self.mark) {
                *mark = chain.mark();
            }
            (self.told, self.telling) = (self.told + self.telling, 0);
            self.release(self.records, self.claimed);
        }
        result
    }

    /// So many bytes behind the first `from` have been written now.
    fn wrote(&mut self, from: usize, some: usize) {
        let done = self.text.get(from..from + some).unwrap_or_default();
        let whole = whole_lines(done);
        self.is_torn = if some > 0 { whole < some } else { self.is_torn };
        if from + some == self.text.len() {
            return;
        }
        let done = done.get(..whole).unwrap_or_default();
        if let Some(mark) = &mut self.mark {
            mark.advance(done);
        }
        let lines = done.iter().filter(|byte| **byte == b'\n').count();
        // Some lines are no records; what they are too many now is released at the end.
        self.release(lines.min(self.records), Claim::default());
    }

    fn release(&mut self, records: usize, claim: Claim) {
        self.records -= records;
        self.claimed.calls -= claim.calls;
        self.claimed.streams -= claim.streams;
        self.queue.release(records, claim);
    }

    /// Calls go on, so what cannot be written must not pile up.
    fn lose(&mut self) {
        let lines = self.text.iter().filter(|byte| **byte == b'\n').count();
        let lost = lines - usize::from(self.telling > 0).min(lines);
        self.queue.health.lose(lost as u64);
        self.telling = 0;
        self.text.clear();
        self.is_cut |= std::mem::take(&mut self.is_torn);
        if let (Some(chain), Some(mark)) = (&mut self.chain, &self.mark) {
            chain.rewind(mark.clone());
        }
        self.release(self.records, self.claimed);
    }

    /// A hole in the chain would not show; a record of it does.
    fn tell_lost(&mut self) {
        let lost = self.queue.health.lost.load(Ordering::Relaxed) - self.told - self.telling;
        if lost == 0 || self.telling > 0 {
            return;
        }
        self.telling = lost;
        match self.chain.is_some() {
            true => self.seal(&Note::lost(lost).to_json()),
            false => self.seal(&format!("{lost} records were lost before this line\n")),
        }
    }

    fn tell_sums(&mut self, is_end: bool) {
        let room = self.queue.room.load(Ordering::Relaxed);
        let mut sums = self.queue.sums.lock();
        let wanted = SUM * i64::try_from(sums.len()).unwrap_or(0);
        // What calls have claimed is theirs.
        if room != ENDLESS && !is_end && room - self.queue.claimed() < wanted {
            return;
        }
        let taken = sums.take(is_end);
        drop(sums);
        for sum in taken {
            match self.chain.is_some() {
                true => self.seal(&sum.to_json()),
                false => self.seal(&(sum.to_text() + "\n")),
            }
        }
    }

    fn note(&mut self, kind: &'static str) {
        if self.chain.is_some() {
            self.seal(&Note::new(kind, "").to_json());
        }
    }

    /// Puts the records of `text` into the chain, and what becomes of them behind what waits.
    fn seal(&mut self, text: &str) {
        let Some(chain) = &mut self.chain else {
            self.text.extend_from_slice(text.as_bytes());
            return;
        };
        for record in text.split('\n').filter(|record| !record.is_empty()) {
            chain.append(record, &mut self.text);
        }
    }
}

/// The first lines, as many as are written at once.
fn piece(text: &[u8]) -> &[u8] {
    let most = text.get(..PIECE).unwrap_or(text);
    text.get(..whole_lines(most)).filter(|lines| !lines.is_empty()).unwrap_or(most)
}
