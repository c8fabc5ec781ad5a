//! The audit trail: one record per request, allowed or refused. The names of its fields live here.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde::Serialize;
use tokio::sync::mpsc;

/// How many records may wait to be written.
const QUEUE: usize = 8192;

/// Longest text from a caller in a record, in characters.
const MAX_TEXT: usize = 256;

/// One request and what became of it. `None` is written as null: it is not known.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// Version of this schema.
    pub v: u8,
    /// When the request's head had been read; RFC 3339, UTC.
    pub time: String,
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
    /// The address of the TCP peer.
    pub client_ip: Option<String>,
    /// Where the request was meant to go.
    pub upstream: Option<&'a str>,
    /// JSON-RPC method; `GET` or `DELETE` where there is none; as the caller sent it, shortened.
    pub method: Option<String>,
    /// The tool that a call names; as the caller sent it, shortened.
    pub tool: Option<String>,
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// Why; operators alert on these words.
    pub reason: &'static str,
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
    text.chars().take(MAX_TEXT).collect()
}

impl Record<'_> {
    fn to_line(&self, json: bool) -> Vec<u8> {
        let mut line = if json {
            serde_json::to_vec(self).unwrap_or_default()
        } else {
            self.to_text().into_bytes()
        };
        line.push(b'\n');
        line
    }

    /// For a terminal. What a caller sent is escaped, so that it cannot move the cursor.
    fn to_text(&self) -> String {
        let who = self.user.unwrap_or("-");
        let what = [self.upstream, self.method.as_deref(), self.tool.as_deref()];
        let what: Vec<&str> = what.into_iter().flatten().collect();
        let status = self.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let text = format!(
            "{} {} {who} {} {} ({}) {status} {:.1} ms {}",
            self.time,
            self.decision,
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
    queue: Option<mpsc::Sender<Vec<u8>>>,
    broken: Arc<AtomicBool>,
    json: bool,
}

/// Waits until the records in the queue are written.
#[derive(Debug)]
pub struct Writer(Option<JoinHandle<()>>);

/// Room for one record. A call that has none is not made.
#[derive(Debug)]
pub struct Slot {
    room: Option<mpsc::OwnedPermit<Vec<u8>>>,
    json: bool,
}

impl Audit {
    /// Writes to `sink`, as JSON or for people.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(mut sink: impl Write + Send + 'static, json: bool) -> io::Result<(Self, Writer)> {
        let (queue, mut records) = mpsc::channel::<Vec<u8>>(QUEUE);
        let broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&broken);
        let write = move || {
            while let Some(record) = records.blocking_recv() {
                let written = sink.write_all(&record).and_then(|()| sink.flush());
                if let Err(error) = &written
                    && !flag.load(Ordering::Relaxed)
                {
                    tracing::error!(event = "audit.write_failed", %error);
                }
                flag.store(written.is_err(), Ordering::Relaxed);
            }
        };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(write)?;
        Ok((Self { queue: Some(queue), broken, json }, Writer(Some(thread))))
    }

    /// Records nothing, because the configuration says so.
    #[must_use]
    pub fn off() -> (Self, Writer) {
        let broken = Arc::new(AtomicBool::new(false));
        (Self { queue: None, broken, json: true }, Writer(None))
    }

    /// Room for the record of one request; `None` where the queue is full or the last record
    /// could not be written.
    #[must_use]
    pub fn reserve(&self) -> Option<Slot> {
        let Some(queue) = &self.queue else {
            return Some(Slot { room: None, json: self.json });
        };
        let room = queue.clone().try_reserve_owned().ok()?;
        Some(Slot { room: Some(room), json: self.json })
    }

    /// Whether the last record could not be written. Refusals are still offered to the writer
    /// then, so that it notices when the sink is well again.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// Hands the record to the writer.
    pub fn write(self, record: &Record<'_>) {
        if let Some(room) = self.room {
            room.send(record.to_line(self.json));
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
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(method: &str) -> Record<'_> {
        Record {
            v: 1,
            time: "2026-11-23T00:00:00Z".into(),
            kind: "request",
            request_id: "r1",
            user: Some("alice"),
            organization: None,
            token: None,
            client_ip: None,
            upstream: Some("t"),
            method: Some(shorten(method)),
            tool: None,
            decision: "deny",
            reason: "method",
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
        audit.reserve().unwrap().write(&record(method));
        drop(audit);
        writer.wait();
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
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
            assert!(taken <= QUEUE + 1);
        }
        assert!(taken >= QUEUE);
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
        let (mut audit, writer) = Audit::start(Full(done), true).unwrap();
        audit.reserve().unwrap().write(&record("m"));
        audit.queue = None;
        finished.recv().unwrap();
        assert!(audit.is_broken());
        writer.wait();
    }
}
