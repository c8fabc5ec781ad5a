use super::*;
use crate::telemetry::audit::queue::CAPACITY;
use parking_lot::Mutex;

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

pub(super) fn record(method: &str) -> Record<'_> {
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

/// Each write waits for a word, until nobody is there to give one.
struct Stuck(std::sync::mpsc::Receiver<()>, Sink);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_queue_has_no_room() {
    let (release, gate) = std::sync::mpsc::channel();
    let sink = Stuck(gate, Sink::default());
    let (audit, writer) = Audit::to_stream(sink, true, OnFailure::Deny).unwrap();
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
fn calls_that_are_refused_leave_half_of_all_places_and_are_summed_beyond() {
    let (release, gate) = std::sync::mpsc::channel();
    let text = Sink::default();
    let sink = Stuck(gate, text.clone());
    let (audit, writer) = Audit::to_stream(sink, true, OnFailure::Deny).unwrap();
    for _ in 0..2 * CAPACITY {
        audit.record(None, &record("m"), &Wanted::Keys);
    }
    assert!(audit.admit(&Wanted::Keys, false).is_ok(), "the call of another");
    assert_eq!(audit.state().unwrap().lost, 0);
    drop(release);
    drop(audit);
    writer.wait();
    let text = String::from_utf8(text.0.lock().clone()).unwrap();
    let singles = text.lines().filter(|line| line.contains(r#""request_id":"r1""#)).count();
    let sum = text.lines().find(|line| line.contains(r#""kind":"summed""#)).unwrap();
    assert_eq!(singles, CAPACITY / 2);
    assert!(sum.contains(&format!(r#""count":{}"#, 2 * CAPACITY - singles)), "{sum}");
    assert!(sum.contains(r#""user":"alice""#), "{sum}");
}

#[test]
fn a_reader_who_is_slow_makes_places_free_again_before_all_is_read() {
    let (word, gate) = std::sync::mpsc::channel();
    let sink = Stuck(gate, Sink::default());
    let (audit, writer) = Audit::to_stream(sink, true, OnFailure::Deny).unwrap();
    while let Some(slot) = audit.reserve(&Wanted::Keys) {
        slot.write(&record("m"));
    }
    // The first may be for what had come before the writer looked.
    for _ in 0..2 {
        word.send(()).unwrap();
    }
    let queue = audit.queue.clone().unwrap();
    while queue.waiting() == CAPACITY {
        std::thread::yield_now();
    }
    assert!(queue.waiting() > CAPACITY / 2, "not all at once");
    assert!(audit.admit(&Wanted::Keys, false).is_ok());
    drop((word, audit, queue));
    writer.wait();
}

/// Streams that are open for hours, in any number, leave calls what they need.
#[test]
fn beside_ten_thousand_open_streams_and_calls_another_call_is_admitted() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    let full = Wanted::Full { redact: Vec::new() };
    for to_file in [true, false] {
        let (audit, writer) = match to_file {
            true => Audit::to_file(path.clone(), OnFailure::Deny).unwrap(),
            false => Audit::to_stream(Sink::default(), true, OnFailure::Deny).unwrap(),
        };
        let open = |_| audit.admit(&full, true).unwrap().unwrap();
        let streams: Vec<Slot> = (0..20_000).map(open).collect();
        let open = |_| audit.admit(&full, false).unwrap().unwrap();
        let calls: Vec<Slot> = (0..1_000).map(open).collect();
        for slot in streams.into_iter().chain(calls) {
            slot.write(&record("m"));
        }
        drop(audit);
        writer.wait();
    }
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 21_001);
}

#[test]
fn who_has_no_token_leaves_half_of_everything_to_calls() {
    let queue = Queue::new(String::new(), OnFailure::Deny);
    queue.room.store(100 * RECORD, Ordering::Relaxed);
    for (holder, most) in [(Holder::Anybody, 50), (Holder::Call, 50)] {
        let claims = (0..1000).map_while(|_| queue.claim(RECORD, holder));
        assert_eq!(claims.count(), most, "{holder:?}");
    }
    let queue = Queue::new(String::new(), OnFailure::Deny);
    let put = |holder| queue.claim(RECORD, holder).map(|claim| queue.put("{}", claim));
    for holder in [Holder::Anybody, Holder::Call] {
        let records = (0..CAPACITY).map_while(|_| put(holder));
        assert_eq!(records.count(), CAPACITY / 2, "{holder:?}");
    }
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
    writer.wait();
    assert!(queue.health.is_failing());
    assert_eq!(queue.waiting(), 0);
}
