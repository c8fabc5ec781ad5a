//! The audit trail: one record per request, allowed or refused, in a chain that shows what was
//! changed later.

mod record;
mod sink;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub use self::record::{Args, Note, Record, shorten};

use self::sink::{AuditFile, ENDLESS, Sink};
use crate::core::argument::shown::Wanted;
use crate::core::chain::Chain;
use crate::core::harmless::harmless;

/// How many records may wait to be written.
const CAPACITY: usize = 8192;

/// How long the writer gathers records before it writes them.
const GATHER: Duration = Duration::from_millis(2);

/// How long the writer waits after a failure before it tries again.
const RETRY: Duration = Duration::from_millis(250);

/// The room that is kept for a record, in bytes: more than one without arguments can be long.
const RECORD: i64 = 8 << 10;

/// The room for arguments in full, in bytes.
const ARGUMENTS: i64 = 16 << 10;

/// What is done where records cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// Calls are made all the same, and what is lost is counted.
    Count,
    /// A call whose record has no place is not made.
    Deny,
}

/// Takes records and writes them one after another on a thread of its own, so that a slow reader
/// never holds up a request.
#[derive(Debug)]
pub struct Audit {
    queue: Option<Arc<Queue>>,
    json: bool,
    on_failure: OnFailure,
}

/// Waits until the records in the queue are written.
#[derive(Debug)]
pub struct Writer(Option<JoinHandle<()>>);

/// Room for one record.
#[derive(Debug)]
pub struct Slot {
    queue: Option<Arc<Queue>>,
    json: bool,
    size: i64,
}

/// There is no room for the record of a call, and it must not be made without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRoom;

#[derive(Debug, Default)]
struct Queue {
    /// Records that wait, and slots that are out.
    taken: AtomicUsize,
    /// Bytes that these may need at most.
    claimed: AtomicI64,
    /// Bytes that there is room for.
    room: AtomicI64,
    lines: Mutex<Lines>,
    filled: Condvar,
    /// Whether the last records could not be written.
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    records: usize,
    claimed: i64,
    closed: bool,
    reopen: bool,
}

impl Audit {
    /// Writes to `sink`, as JSON or for people.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn to_stream(
        sink: impl Write + Send + 'static,
        json: bool,
        on_failure: OnFailure,
    ) -> io::Result<(Self, Writer)> {
        Self::start(Sink::Stream(Box::new(sink)), json, on_failure)
    }

    /// Writes to the end of the file at `path`, as JSON.
    ///
    /// # Errors
    /// Where it cannot be opened, or no thread can be started.
    pub fn to_file(path: PathBuf, on_failure: OnFailure) -> io::Result<(Self, Writer)> {
        Self::start(Sink::File(AuditFile::open(path)?), true, on_failure)
    }

    fn start(mut sink: Sink, json: bool, on_failure: OnFailure) -> io::Result<(Self, Writer)> {
        let queue = Arc::new(Queue::default());
        queue.room.store(sink.room(), Ordering::Relaxed);
        let reader = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || {
            Writing { queue: &reader, sink, chain: json.then(|| Chain::new(instance())) }.run();
        })?;
        Ok((Self { queue: Some(queue), json, on_failure }, Writer(Some(thread))))
    }

    /// Records nothing, because the configuration says so.
    #[must_use]
    pub fn off() -> (Self, Writer) {
        (Self { queue: None, json: true, on_failure: OnFailure::Count }, Writer(None))
    }

    /// Room for the record of a call that is about to be made. `None` where it is made without.
    ///
    /// # Errors
    /// [`NoRoom`] where it must not be made.
    pub fn admit(&self, wanted: &Wanted) -> Result<Option<Slot>, NoRoom> {
        let is_well = !self.queue.as_ref().is_some_and(|q| q.broken.load(Ordering::Relaxed));
        match (self.reserve(wanted).filter(|_| is_well), self.on_failure) {
            (None, OnFailure::Deny) => Err(NoRoom),
            (slot, _) => Ok(slot),
        }
    }

    /// Room for the record of one request; `None` where too many wait to be written, or the disk
    /// has none.
    #[must_use]
    pub fn reserve(&self, wanted: &Wanted) -> Option<Slot> {
        let wanted = RECORD + if matches!(wanted, Wanted::Full { .. }) { ARGUMENTS } else { 0 };
        let size = match &self.queue {
            Some(queue) => queue.claim(wanted)?,
            None => 0,
        };
        Some(Slot { queue: self.queue.clone(), json: self.json, size })
    }

    /// Writes down something that is not a request. For people it is in the log.
    pub fn note(&self, note: &Note<'_>) {
        if let Some(slot) = self.reserve(&Wanted::None).filter(|_| self.json) {
            slot.put(&serde_json::to_string(note).unwrap_or_default());
        }
    }

    /// Opens the file by its name again: somebody has moved the old one away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.lines.lock().reopen = true;
            queue.filled.notify_one();
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.lines.lock().closed = true;
            queue.filled.notify_one();
        }
    }
}

impl Queue {
    /// A place for a record of `wanted` bytes at most, and how many of them count.
    fn claim(&self, wanted: i64) -> Option<i64> {
        let room = self.room.load(Ordering::Relaxed);
        let is_full = self.taken.fetch_add(1, Ordering::Relaxed) >= CAPACITY;
        if room == ENDLESS && !is_full {
            return Some(0);
        }
        let claimed = self.claimed.fetch_add(wanted, Ordering::Relaxed);
        if is_full || claimed.saturating_add(wanted) > room {
            self.release(1, wanted);
            return None;
        }
        Some(wanted)
    }

    fn release(&self, records: usize, size: i64) {
        if size > 0 {
            self.claimed.fetch_sub(size, Ordering::Relaxed);
        }
        self.taken.fetch_sub(records, Ordering::Relaxed);
    }

    /// What has come in, at the latest after `patience`.
    fn next(&self, patience: Option<Duration>) -> Lines {
        let mut lines = self.lines.lock();
        let is_quiet = |lines: &mut Lines| lines.records == 0 && !lines.closed && !lines.reopen;
        match patience {
            None => self.filled.wait_while(&mut lines, is_quiet),
            Some(patience) => {
                self.filled.wait_while_for(&mut lines, |lines| !lines.closed, patience);
            }
        }
        if !lines.closed && !lines.reopen {
            // One wake and one write for what a busy moment brings, not one for each.
            self.filled.wait_while_for(&mut lines, |lines| !lines.closed, GATHER);
        }
        let taken = std::mem::take(&mut *lines);
        // It is never opened again.
        lines.closed = taken.closed;
        taken
    }
}

/// The thread that writes.
struct Writing<'q> {
    queue: &'q Queue,
    sink: Sink,
    /// Absent for people.
    chain: Option<Chain>,
}

impl Writing<'_> {
    fn run(mut self) {
        // What could not be written stays here, and keeps its place in the queue.
        let (mut waiting, mut records, mut claimed) = (Vec::new(), 0, 0);
        let mut is_broken = false;
        loop {
            let lines = self.queue.next(is_broken.then_some(RETRY));
            if lines.closed && lines.records == 0 && self.chain.is_some() {
                self.seal(&stop(), &mut waiting);
            }
            self.seal(&lines.text, &mut waiting);
            records += lines.records;
            claimed += lines.claimed;
            let mut written = if lines.reopen { self.sink.reopen() } else { Ok(()) };
            written = written.and_then(|()| self.sink.write(&waiting));
            self.queue.room.store(self.sink.room(), Ordering::Relaxed);
            if written.is_ok() {
                waiting.clear();
                self.queue.release(std::mem::take(&mut records), std::mem::take(&mut claimed));
            }
            let was_broken = std::mem::replace(&mut is_broken, written.is_err());
            self.queue.broken.store(is_broken, Ordering::Relaxed);
            match written {
                Err(error) if !was_broken => tracing::error!(event = "audit.write_failed", %error),
                Ok(()) if was_broken => tracing::info!(event = "audit.written_again"),
                _ => {}
            }
            if lines.closed && lines.records == 0 {
                if records > 0 {
                    tracing::error!(event = "audit.lost", records);
                }
                self.queue.release(records, claimed);
                self.sink.close();
                return;
            }
        }
    }

    /// Puts the records of `text` into the chain, and what becomes of them behind `out`.
    fn seal(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(chain) = &mut self.chain else {
            out.extend_from_slice(text.as_bytes());
            return;
        };
        for record in text.split('\n').filter(|record| !record.is_empty()) {
            chain.append(record, out);
        }
    }
}

fn stop() -> String {
    serde_json::to_string(&Note::new("stop", "")).unwrap_or_default()
}

/// A name for this process that no other has.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let host: String = host.trim().chars().filter(is_plain).take(63).collect();
    let id = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}-{}", id.get(..8).unwrap_or_default())
}

impl Slot {
    /// Hands the record to the writer.
    pub fn write(self, record: &Record<'_>) {
        let text = if self.json { record.to_json() } else { record.to_text() };
        self.put(&text);
    }

    fn put(mut self, text: &str) {
        let Some(queue) = self.queue.take() else { return };
        let line = if self.json { harmless(text) } else { text.into() };
        let mut lines = queue.lines.lock();
        lines.text.push_str(&line);
        lines.text.push('\n');
        lines.records += 1;
        lines.claimed += self.size;
        // While records are being gathered, the writer wakes by itself.
        if lines.records == 1 {
            queue.filled.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.release(1, self.size);
        }
    }
}

impl Writer {
    /// Returns when every record is written. Call it after the last [`Audit`] is gone.
    pub fn wait(mut self) {
        if let Some(thread) = self.0.take() {
            // A writer that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(method: &str) -> Record<'_> {
        Record {
            v: 1,
            time: jiff::Timestamp::UNIX_EPOCH,
            kind: "request",
            request_id: "r1",
            auth: Some("token"),
            user: Some("alice"),
            organization: None,
            token: None,
            client_ip: None,
            issuer: None,
            roles: vec!["agent"],
            upstream: Some("t"),
            method: Some(method),
            tool: None,
            target: None,
            args: None,
            decision: "deny",
            enforced: true,
            reason: "method",
            rule: None,
            place: None,
            detail: None,
            outcome: "denied",
            status: Some(200),
            duration_ms: 0.5,
            bytes_in: 0,
            bytes_out: 0,
            config: "51be07aa",
        }
    }

    fn written(json: bool, method: &str) -> String {
        let sink = Sink::default();
        let (audit, writer) = Audit::to_stream(sink.clone(), json, OnFailure::Deny).unwrap();
        audit.reserve(&Wanted::Keys).unwrap().write(&record(&shorten(method)));
        drop(audit);
        writer.wait();
        String::from_utf8(sink.0.lock().clone()).unwrap()
    }

    #[test]
    fn a_record_is_one_line_whatever_the_caller_sent() {
        for json in [true, false] {
            let text = written(json, "x\r\n\u{1b}[31m\u{9b}1m\u{2028}\u{202e}forged");
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{2028}']), "{text:?}");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), if json { 2 } else { 1 }, "{text:?}");
            assert!(!json || lines[1].contains(r#""kind":"stop""#), "{text:?}");
        }
        assert!(written(true, &"y".repeat(10_000)).len() < 1500);
    }

    #[test]
    fn a_full_queue_has_no_room() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, gate) = std::sync::mpsc::channel();
        let (audit, writer) = Audit::to_stream(Stuck(gate), true, OnFailure::Deny).unwrap();
        let mut taken = 0;
        while let Some(slot) = audit.reserve(&Wanted::Keys) {
            slot.write(&record("m"));
            taken += 1;
            assert!(taken <= CAPACITY);
        }
        assert_eq!(taken, CAPACITY);
        drop(release);
        drop(audit);
        writer.wait();
    }

    #[test]
    fn a_sink_that_fails_is_noticed() {
        struct Full(std::sync::mpsc::Sender<()>);
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Drop for Full {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (done, finished) = std::sync::mpsc::channel();
        let (audit, writer) = Audit::to_stream(Full(done), true, OnFailure::Deny).unwrap();
        let queue = audit.queue.clone().unwrap();
        audit.reserve(&Wanted::Keys).unwrap().write(&record("m"));
        drop(audit);
        finished.recv().unwrap();
        assert!(queue.broken.load(Ordering::Relaxed));
        assert_eq!(queue.taken.load(Ordering::Relaxed), 0);
        writer.wait();
    }
}
