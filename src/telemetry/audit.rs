//! The audit trail: one record per request, allowed or refused. The names of its fields live here.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde::{Serialize, Serializer};

/// How many records may wait to be written.
const CAPACITY: usize = 8192;

/// How long the writer gathers records before it writes them.
const GATHER: Duration = Duration::from_millis(2);

/// Longest text from a caller in a record, in characters.
const MAX_TEXT: usize = 256;

/// One request and what became of it. `None` is written as null: it is not known.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// Version of this schema.
    pub v: u8,
    /// When the request's head had been read; RFC 3339, UTC.
    #[serde(serialize_with = "to_milliseconds")]
    pub time: jiff::Timestamp,
    /// Sets audit records apart from log lines.
    pub kind: &'static str,
    /// The id that the caller got as `X-Request-Id`.
    pub request_id: &'a str,
    /// Who called.
    pub user: Option<&'a str>,
    /// The caller's organization.
    pub organization: Option<&'a str>,
    /// The name of the token that proved it, or of the expired or revoked one that did not.
    pub token: Option<&'a str>,
    /// The name of the issuer of the JWT that proved it.
    pub issuer: Option<&'a str>,
    /// The address of the TCP peer.
    pub client_ip: Option<IpAddr>,
    /// Where the request was meant to go.
    pub upstream: Option<&'a str>,
    /// JSON-RPC method; `GET` or `DELETE` where there is none; as the caller sent it, shortened.
    pub method: Option<&'a str>,
    /// The tool that a call names; as the caller sent it, shortened.
    pub tool: Option<&'a str>,
    /// The prompt or resource that the request names; as the caller sent it, shortened.
    pub target: Option<&'a str>,
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// Whether the decision counted; false where a rule is only tried out, and the request passed.
    pub enforced: bool,
    /// Why; operators alert on these words.
    pub reason: &'static str,
    /// The rule of the configuration that decided, where one did.
    pub rule: Option<&'a str>,
    /// `file:line` of the rule.
    pub place: Option<String>,
    /// More about the reason.
    pub detail: Option<String>,
    /// How it ended, in the words of the metrics.
    pub outcome: &'static str,
    /// HTTP status that the caller got; null where the connection ended before.
    pub status: Option<u16>,
    /// From the request's head to the end of the answer.
    pub duration_ms: f64,
    /// Length of the request body.
    pub bytes_in: usize,
    /// Length of the answer's body.
    pub bytes_out: usize,
}

/// Shortens what a caller sent to what a record may hold.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT { text.to_owned() } else { text.chars().take(MAX_TEXT).collect() }
}

fn to_milliseconds<S: Serializer>(time: &jiff::Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

impl Record<'_> {
    fn append_to(&self, lines: &mut Vec<u8>, json: bool) {
        if json {
            // A vector takes everything, and a record has nothing that JSON could not say.
            let _ = serde_json::to_writer(&mut *lines, self);
        } else {
            lines.extend_from_slice(self.to_text().as_bytes());
        }
        lines.push(b'\n');
    }

    /// For a terminal. What a caller sent is escaped, so that it cannot move the cursor.
    fn to_text(&self) -> String {
        let who = self.user.unwrap_or("-");
        let what = [self.upstream, self.method, self.tool, self.target];
        let what: Vec<&str> = what.into_iter().flatten().collect();
        let status = self.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let text = format!(
            "{:.3} {}{} {who} {} {} ({}) {status} {:.1} ms {}",
            self.time,
            self.decision,
            if self.enforced { "" } else { " (not enforced)" },
            what.join(" "),
            self.outcome,
            self.reason,
            self.duration_ms,
            self.request_id,
        );
        text.escape_debug().to_string()
    }
}

/// Takes records and writes them one after another on a thread of its own, so that a slow reader
/// never holds up a request.
#[derive(Debug)]
pub struct Audit {
    queue: Option<Arc<Queue>>,
    json: bool,
}

/// Waits until the records in the queue are written.
#[derive(Debug)]
pub struct Writer(Option<JoinHandle<()>>);

/// Room for one record. A call that has none is not made.
#[derive(Debug)]
pub struct Slot {
    queue: Option<Arc<Queue>>,
    json: bool,
}

#[derive(Debug, Default)]
struct Queue {
    /// Records that wait, and slots that are out.
    taken: AtomicUsize,
    lines: Mutex<Lines>,
    filled: Condvar,
    /// Whether the last records could not be written.
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    records: usize,
    closed: bool,
}

impl Audit {
    /// Writes to `sink`, as JSON or for people.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(sink: impl Write + Send + 'static, json: bool) -> io::Result<(Self, Writer)> {
        let queue = Arc::new(Queue::default());
        let reader = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || reader.write_to(sink))?;
        Ok((Self { queue: Some(queue), json }, Writer(Some(thread))))
    }

    /// Records nothing, because the configuration says so.
    #[must_use]
    pub fn off() -> (Self, Writer) {
        (Self { queue: None, json: true }, Writer(None))
    }

    /// Room for the record of one request; `None` where too many wait to be written.
    #[must_use]
    pub fn reserve(&self) -> Option<Slot> {
        if let Some(queue) = &self.queue
            && queue.taken.fetch_add(1, Ordering::Relaxed) >= CAPACITY
        {
            queue.taken.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Slot { queue: self.queue.clone(), json: self.json })
    }

    /// Whether the last records could not be written. Refusals are still offered to the writer
    /// then, so that it notices when the sink is well again.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.broken.load(Ordering::Relaxed))
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
    fn write_to(&self, mut sink: impl Write) {
        let mut text = Vec::new();
        loop {
            text.clear();
            let records = {
                let mut lines = self.lines.lock();
                while lines.records == 0 {
                    if lines.closed {
                        return;
                    }
                    self.filled.wait(&mut lines);
                }
                if !lines.closed {
                    // One wake and one write for what a busy moment brings, not one for each.
                    self.filled.wait_while_for(&mut lines, |lines| !lines.closed, GATHER);
                }
                std::mem::swap(&mut lines.text, &mut text);
                std::mem::take(&mut lines.records)
            };
            let written = sink.write_all(&text).and_then(|()| sink.flush());
            self.taken.fetch_sub(records, Ordering::Relaxed);
            let was_broken = self.broken.swap(written.is_err(), Ordering::Relaxed);
            if let (Err(error), false) = (written, was_broken) {
                tracing::error!(event = "audit.write_failed", %error);
            }
        }
    }
}

impl Slot {
    /// Hands the record to the writer.
    pub fn write(mut self, record: &Record<'_>) {
        let Some(queue) = self.queue.take() else { return };
        let mut line = Vec::with_capacity(1024);
        record.append_to(&mut line, self.json);
        let mut lines = queue.lines.lock();
        lines.text.extend_from_slice(&line);
        lines.records += 1;
        // While records are being gathered, the writer wakes by itself.
        if lines.records == 1 {
            queue.filled.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.taken.fetch_sub(1, Ordering::Relaxed);
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
            user: Some("alice"),
            organization: None,
            token: None,
            client_ip: None,
            issuer: None,
            upstream: Some("t"),
            method: Some(method),
            tool: None,
            target: None,
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
        }
    }

    fn written(json: bool, method: &str) -> String {
        let sink = Sink::default();
        let (audit, writer) = Audit::start(sink.clone(), json).unwrap();
        audit.reserve().unwrap().write(&record(&shorten(method)));
        drop(audit);
        writer.wait();
        String::from_utf8(sink.0.lock().clone()).unwrap()
    }

    #[test]
    fn a_record_is_one_line_whatever_the_caller_sent() {
        for json in [true, false] {
            let text = written(json, "x\r\n\u{1b}[31m\u{202e}forged");
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(!text.contains('\u{1b}'), "{text:?}");
        }
        assert!(written(true, &"y".repeat(10_000)).len() < 1000);
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
        let (audit, writer) = Audit::start(Stuck(gate), true).unwrap();
        let mut taken = 0;
        while let Some(slot) = audit.reserve() {
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
        let (audit, writer) = Audit::start(Full(done), true).unwrap();
        let queue = audit.queue.clone().unwrap();
        audit.reserve().unwrap().write(&record("m"));
        drop(audit);
        finished.recv().unwrap();
        assert!(queue.broken.load(Ordering::Relaxed));
        assert_eq!(queue.taken.load(Ordering::Relaxed), 0);
        writer.wait();
    }
}
