//! The audit trail: one record per request, allowed or refused, in a chain that shows what was
//! changed later. What costs its caller nothing is summed.

mod file;
mod queue;
mod record;
mod sink;
mod summed;
mod trouble;
mod writing;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

pub use self::record::{Args, Note, Record, shorten};
pub use self::trouble::{Cause, State, Trouble};

use self::file::AuditFile;
use self::queue::{Claim, Holder, Queue};
use self::sink::{Follows, Sink};
use self::trouble::Watch;
use self::writing::Writing;
use crate::core::argument::shown::Wanted;
use crate::core::chain::Chain;
use crate::core::harmless::harmless;

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
    follows: Follows,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer(Option<(JoinHandle<()>, Arc<Queue>)>);

/// Room for one record.
#[derive(Debug)]
pub struct Slot {
    queue: Option<Arc<Queue>>,
    json: bool,
    claim: Claim,
}

/// There is no room for the record of a call, and it must not be made without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRoom;

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
        let queue = Queue::new("standard output".to_owned(), on_failure);
        Self::start(Sink::Stream(Box::new(sink)), json, queue)
    }

    /// Writes to the end of the file at `path`, as JSON.
    ///
    /// # Errors
    /// Where it cannot be opened, or no thread can be started.
    pub fn to_file(path: PathBuf, on_failure: OnFailure) -> io::Result<(Self, Writer)> {
        let queue = Queue::new(path.display().to_string(), on_failure);
        Self::start(Sink::File(AuditFile::open(path)?), true, queue)
    }

    /// Finds out whether records could go to this file, and makes none.
    ///
    /// # Errors
    /// Those of [`Self::to_file`].
    pub fn probe(path: &Path) -> io::Result<()> {
        AuditFile::probe(path)
    }

    fn start(mut sink: Sink, json: bool, queue: Queue) -> io::Result<(Self, Writer)> {
        let queue = Arc::new(queue);
        queue.room.store(sink.room(0).0, Ordering::Relaxed);
        let follows = sink.follows();
        let (reader, watched) = (Arc::clone(&queue), Arc::clone(&queue));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("audit-watch").spawn(move || Watch::new(&watched).run())?;
        let writer = thread("audit").spawn(move || {
            let chain = json.then(|| Chain::new(instance()));
            Writing::new(&reader, sink, chain).run();
            reader.health.over();
        })?;
        let writer = Writer(Some((writer, Arc::clone(&queue))));
        Ok((Self { queue: Some(queue), json, follows }, writer))
    }

    /// Records nothing, because the configuration says so.
    #[must_use]
    pub fn off() -> (Self, Writer) {
        (Self { queue: None, json: true, follows: Follows::Stream }, Writer(None))
    }

    /// Room for the record of a call that is about to be made, or of a stream without an end.
    /// `None` where it is made without.
    ///
    /// # Errors
    /// [`NoRoom`] where it must not be made.
    pub fn admit(&self, wanted: &Wanted, is_endless: bool) -> Result<Option<Slot>, NoRoom> {
        let Some(queue) = &self.queue else { return Ok(None) };
        let slot = match is_endless {
            true => self.slot(RECORD, Holder::Stream),
            false => self.reserve(wanted),
        };
        match (slot.filter(|_| !queue.health.is_failing()), queue.on_failure) {
            (None, OnFailure::Deny) => {
                queue.health.refused.fetch_add(1, Ordering::Relaxed);
                Err(NoRoom)
            }
            (slot, _) => Ok(slot),
        }
    }

    /// Writes down what became of a request, in `slot` where it has been admitted. What costs its
    /// caller nothing has a record of its own now and then only, and is summed; so is what was
    /// refused, where half of all places are taken: the others are for calls that are made.
    pub fn record(&self, slot: Option<Slot>, record: &Record<'_>, wanted: &Wanted) {
        let Some(queue) = &self.queue else { return };
        let slot = match slot {
            None if record.is_cheap() => {
                let place = || self.slot(RECORD, Holder::Anybody);
                let place = || place().filter(|_| !queue.health.is_failing());
                let single = queue.sums.lock().single(record, place);
                let Some(slot) = single else { return };
                Some(slot)
            }
            None if record.is_refused() => match self.slot(size(wanted), Holder::Anybody) {
                None => return queue.sums.lock().add(record),
                slot => slot,
            },
            slot => slot.or_else(|| self.reserve(wanted)),
        };
        match slot {
            Some(slot) => slot.write(record),
            None => queue.health.lose(1),
        }
    }

    /// Room for the record of one request; `None` where too many wait to be written, or the disk
    /// has none.
    fn reserve(&self, wanted: &Wanted) -> Option<Slot> {
        self.slot(size(wanted), Holder::Call)
    }

    fn slot(&self, wanted: i64, holder: Holder) -> Option<Slot> {
        let claim = match &self.queue {
            Some(queue) => queue.claim(wanted, holder)?,
            None => Claim::default(),
        };
        Some(Slot { queue: self.queue.clone(), json: self.json, claim })
    }

    /// Writes down something that is not a request. For people it is in the log.
    pub fn note(&self, note: &Note<'_>) {
        if let Some(queue) = self.queue.as_ref().filter(|_| self.json) {
            match self.reserve(&Wanted::None) {
                Some(slot) => slot.put(&note.to_json()),
                None => queue.health.lose(1),
            }
        }
    }

    /// Writes down that the process begins, with this configuration.
    pub fn begin(&self, config: &str) {
        let follows = match &self.follows {
            Follows::Line(digest) => Some(digest.as_str()),
            Follows::Stream => None,
        };
        self.note(&Note::start(config, follows));
    }

    /// Opens the file by its name again: somebody has moved the old one away.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.reopen();
        }
    }

    /// How records fare; `None` where there are none.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        let queue = self.queue.as_ref()?;
        Some(State {
            to: queue.place.clone(),
            waiting: queue.waiting(),
            lost: queue.health.lost.load(Ordering::Relaxed),
            calls_refused: queue.health.refused.load(Ordering::Relaxed),
            trouble: queue.health.trouble(),
        })
    }

    /// Why calls are refused at the moment, in a line.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let queue = self.queue.as_ref().filter(|queue| queue.refuses_calls())?;
        let (cause, error) = queue.ailment(true)?;
        Some(format!(
            "audit records cannot be written to {}: {}: {error}",
            queue.place,
            cause.as_str()
        ))
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

/// The room for a record with these arguments, in bytes.
fn size(wanted: &Wanted) -> i64 {
    RECORD + if matches!(wanted, Wanted::Full { .. }) { ARGUMENTS } else { 0 }
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
    fn write(self, record: &Record<'_>) {
        let text = if self.json { record.to_json() } else { record.to_text() };
        self.put(&text);
    }

    fn put(mut self, text: &str) {
        let Some(queue) = self.queue.take() else { return };
        let line = if self.json { harmless(text) } else { text.into() };
        queue.put(&line, self.claim);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.release(0, self.claim);
        }
    }
}

impl Writer {
    /// Whether every record is written, or given up. It can be so only after the last [`Audit`] is
    /// gone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(|(thread, _)| thread.is_finished())
    }

    /// Leaves the thread to itself, and says what is lost by that.
    pub fn abandon(&self) {
        if let Some((_, queue)) = self.0.as_ref().filter(|_| !self.is_done()) {
            let (records, path) = (queue.waiting(), &queue.place);
            tracing::error!(event = "audit.lost", records, path, "nobody took them in time");
        }
    }

    /// Waits until every record is written.
    #[cfg(test)]
    fn wait(self) {
        if let Some((thread, _)) = self.0 {
            thread.join().unwrap();
        }
    }
}

#[cfg(test)]
mod tests;
