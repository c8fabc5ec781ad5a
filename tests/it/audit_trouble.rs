//! The audit trail in trouble: what callers, logs, `/readyz`, `/status` and metrics say meanwhile,
//! and that it is over by itself when the cause is.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Call, Gateway, Setup, Upstream, echo, eventually, tool_call};

/// Where records go, and how they get into trouble and out of it.
struct Sink {
    cause: &'static str,
    folder: TempDir,
    /// The other end of standard output, where records go there.
    reader: Option<File>,
    kind: Kind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// A disk that somebody else fills.
    Disk,
    /// The greatest size of a file.
    Limit,
    FolderGone,
    /// Something else has the name of the file.
    NotAFile,
    Closed,
    Unread,
}

impl Sink {
    fn new(kind: Kind, cause: &'static str) -> Option<Self> {
        let mut sink = Self { cause, folder: TempDir::new().unwrap(), reader: None, kind };
        std::fs::create_dir(sink.path("records")).unwrap();
        match kind {
            Kind::Disk => {
                let mut mount = Command::new("mount");
                mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(sink.path("records"));
                if !mount.output().is_ok_and(|output| output.status.success()) {
                    return None;
                }
                let filler = format!("of={}", sink.path("records/filler").display());
                assert!(run("dd", &["if=/dev/zero", "bs=4k", "count=180", &filler]));
                Some(sink)
            }
            Kind::Closed | Kind::Unread => {
                assert!(run("mkfifo", &[&sink.path("fifo").to_string_lossy()]));
                let reader = File::options().read(true).write(true).open(sink.path("fifo"));
                sink.reader = Some(reader.unwrap());
                Some(sink)
            }
            _ => Some(sink),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("records/audit.jsonl")
    }

    fn start(&mut self, upstream: &Upstream, on_failure: &str) -> Gateway {
        let setup = Setup::new(upstream);
        if self.reader.is_none() {
            let to = format!("to = \"file\"\nfile = {:?}\n", self.file());
            let more = format!("[audit]\n{to}on_failure = \"{on_failure}\"\n");
            return setup.more(&more).start();
        }
        let writer = File::options().write(true).open(self.path("fifo")).unwrap();
        // From now on it is the only reader, and writes no more.
        self.reader = Some(File::open(self.path("fifo")).unwrap());
        setup.more(&format!("[audit]\non_failure = \"{on_failure}\"\n")).stdout(writer).start()
    }

    fn spoil(&mut self, gateway: &Gateway) {
        match self.kind {
            Kind::Limit => limit(gateway, "4096:"),
            Kind::FolderGone => {
                std::fs::rename(self.path("records"), self.path("away")).unwrap();
            }
            Kind::NotAFile => {
                std::fs::remove_file(self.file()).unwrap();
                std::fs::create_dir(self.file()).unwrap();
            }
            Kind::Closed => self.reader = None,
            Kind::Disk | Kind::Unread => {}
        }
    }

    /// Ends the cause.
    fn mend(&mut self, gateway: &Gateway) {
        match self.kind {
            Kind::Disk => std::fs::remove_file(self.path("records/filler")).unwrap(),
            Kind::Limit => limit(gateway, "unlimited:"),
            Kind::FolderGone => std::fs::create_dir(self.path("records")).unwrap(),
            Kind::NotAFile => std::fs::remove_dir(self.file()).unwrap(),
            Kind::Closed | Kind::Unread => {
                let reader = self.reader.take();
                let fifo = self.path("fifo");
                let mut reader = reader.unwrap_or_else(|| File::open(fifo).unwrap());
                std::thread::spawn(move || while matches!(reader.read(&mut [0; 4096]), Ok(1..)) {});
            }
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let kinds = [
            (Kind::Disk, "disk_full"),
            (Kind::Limit, "disk_full"),
            (Kind::FolderGone, "missing"),
            (Kind::NotAFile, "io"),
            (Kind::Closed, "closed"),
            (Kind::Unread, "stalled"),
        ];
        kinds.into_iter().filter_map(|(kind, cause)| {
            let sink = Self::new(kind, cause);
            if sink.is_none() {
                eprintln!("SKIPPED: not allowed to mount a small disk");
            }
            sink
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.kind == Kind::Disk {
            let _ = Command::new("umount").arg("-l").arg(self.path("records")).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().unwrap().status.success()
}

fn limit(gateway: &Gateway, size: &str) {
    assert!(run("prlimit", &["--pid", &gateway.pid(), &format!("--fsize={size}")]));
}

fn trouble(gateway: &Gateway) -> Value {
    gateway.status()["audit"]["trouble"].clone()
}

fn is_ready(gateway: &Gateway) -> bool {
    gateway.admin("/readyz").0 == 200
}

/// Calls until one is refused, as when the queue or what is set aside has to fill up first.
fn call_until(gateway: &Gateway, status: u16) {
    eventually(&format!("a call is answered with {status}"), || {
        // No connection lives for more than 10,000 requests.
        let mut client = gateway.connect();
        (0..200).any(|_| client.ask(&echo()).status == status)
    });
}

#[test]
fn trouble_refuses_calls_says_why_everywhere_and_is_over_with_its_cause() {
    for mut sink in Sink::all() {
        let cause = sink.cause;
        let upstream = Upstream::good();
        let gateway = sink.start(&upstream, "deny");
        assert_eq!(gateway.ask(&echo()).status, 200, "{cause}");
        assert!(is_ready(&gateway) && trouble(&gateway).is_null());
        sink.spoil(&gateway);
        call_until(&gateway, 503);
        eventually("it is told", || !gateway.events("audit.write_failed").is_empty());
        eventually("it is not ready", || gateway.ask(&echo()).status == 503 && !is_ready(&gateway));
        let before = upstream.requests().len();
        let refused = gateway.ask(&echo());
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(upstream.requests().len(), before, "{cause}: the upstream heard of it");
        eventually("the cause is told", || trouble(&gateway)["cause"] == cause);
        assert!(gateway.admin("/readyz").1.contains(cause), "{:?}", gateway.admin("/readyz"));
        gateway.counts(&format!(r#"doorward_audit_trouble{{cause="{cause}"}}"#), 1.0);
        // Without a token nothing is asked of the records.
        assert_eq!(gateway.ask(&echo().token("nobody-1234567890")).status, 401);
        eventually("it is told what it means for calls", || {
            let told = gateway.events("audit.write_failed").pop().unwrap();
            assert_eq!(told["cause"], cause, "{told}");
            assert!(told["path"].is_string() && told["error"].is_string(), "{told}");
            told["message"].as_str().unwrap().contains("503")
        });
        sink.mend(&gateway);
        call_until(&gateway, 200);
        eventually("it is over", || trouble(&gateway).is_null() && is_ready(&gateway));
        eventually("the log says so", || !gateway.events("audit.written_again").is_empty());
        let over = gateway.events("audit.written_again");
        assert_eq!(over.len(), 1, "{over:?}");
        assert!(over[0]["calls_refused"].as_u64().unwrap() > 0, "{over:?}");
        gateway.counts(&format!(r#"doorward_audit_trouble{{cause="{cause}"}}"#), 0.0);
    }
}

/// One line when it begins; the queue that is full is another thing to be told than a stuck write.
#[test]
fn a_night_of_trouble_is_two_lines_in_the_log() {
    let upstream = Upstream::good();
    let mut sink = Sink::new(Kind::Limit, "disk_full").unwrap();
    let mut gateway = sink.start(&upstream, "deny");
    sink.spoil(&gateway);
    call_until(&gateway, 503);
    eventually("it is not ready", || !is_ready(&gateway));
    for _ in 0..100 {
        assert_eq!(gateway.ask(&echo()).status, 503);
    }
    eventually("it is told", || !gateway.events("audit.write_failed").is_empty());
    sink.mend(&gateway);
    call_until(&gateway, 200);
    eventually("it is over", || !gateway.events("audit.written_again").is_empty());
    assert_eq!(gateway.events("audit.write_failed").len(), 1);
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let text = std::fs::read_to_string(sink.file()).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let refused = records.filter(|record| record["reason"] == "audit_unavailable");
    let counts = refused.map(|record| record["count"].as_u64().unwrap_or(1));
    assert!(counts.sum::<u64>() >= 100, "they are in the records, too: {text}");
}

#[test]
fn every_call_that_was_made_has_its_record_when_trouble_is_over() {
    for kind in [Kind::Limit, Kind::FolderGone, Kind::NotAFile] {
        let upstream = Upstream::good();
        let mut sink = Sink::new(kind, "").unwrap();
        let gateway = sink.start(&upstream, "deny");
        sink.spoil(&gateway);
        call_until(&gateway, 503);
        let made = upstream.requests().len();
        sink.mend(&gateway);
        let folder = sink.folder.path();
        let files = ["records/audit.jsonl", "away/audit.jsonl"].map(|name| folder.join(name));
        // What was in a file that somebody removed is gone with it.
        if kind != Kind::NotAFile {
            eventually("every call has its record", || {
                let text = files.each_ref().map(|f| std::fs::read_to_string(f).unwrap_or_default());
                text.concat().matches(r#""decision":"allow""#).count() >= made
            });
        }
        call_until(&gateway, 200);
    }
}

#[test]
fn count_makes_every_call_and_counts_every_record_that_is_lost() {
    for mut sink in Sink::all() {
        let cause = sink.cause;
        let upstream = Upstream::good();
        let gateway = sink.start(&upstream, "count");
        sink.spoil(&gateway);
        // A full pipe has to fill first, and after it the queue.
        eventually(&format!("{cause}: what is lost is counted"), || {
            let mut client = gateway.connect();
            for _ in 0..500 {
                assert_eq!(client.ask(&echo()).status, 200);
            }
            gateway.metric("doorward_audit_records_dropped_total") > 3.0
        });
        eventually("the cause is told", || trouble(&gateway)["cause"] == cause);
        assert!(is_ready(&gateway), "{cause}");
        sink.mend(&gateway);
        eventually("it is over", || trouble(&gateway).is_null());
        let lost = gateway.metric("doorward_audit_records_dropped_total");
        assert_eq!(gateway.ask(&echo()).status, 200);
        eventually("nothing more is lost", || trouble(&gateway).is_null());
        assert!((gateway.metric("doorward_audit_records_dropped_total") - lost).abs() < 0.5);
        if sink.reader.is_none() && sink.file().is_file() {
            eventually("the hole is told in the file", || {
                let text = std::fs::read_to_string(sink.file()).unwrap();
                text.contains(r#""kind":"lost""#)
            });
        }
    }
}

#[test]
fn a_file_that_was_removed_or_renamed_is_made_anew_without_a_signal() {
    for is_renamed in [false, true] {
        let upstream = Upstream::good();
        let mut sink = Sink::new(Kind::FolderGone, "missing").unwrap();
        let gateway = sink.start(&upstream, "deny");
        gateway.ask(&echo());
        let old = sink.path("records/audit.jsonl.1");
        match is_renamed {
            true => std::fs::rename(sink.file(), old).unwrap(),
            false => std::fs::remove_file(sink.file()).unwrap(),
        }
        eventually("the file is there again", || sink.file().exists());
        assert_eq!(gateway.ask(&Call::post(tool_call("read"))).status, 200);
        eventually("it holds the record", || {
            std::fs::read_to_string(sink.file()).unwrap().contains(r#""tool":"read""#)
        });
        assert!(gateway.events("audit.write_failed").is_empty());
    }
}

#[test]
fn a_file_that_was_emptied_goes_on_at_its_beginning() {
    let upstream = Upstream::good();
    let mut sink = Sink::new(Kind::FolderGone, "missing").unwrap();
    let mut gateway = sink.start(&upstream, "deny");
    gateway.ask(&echo());
    let text = || std::fs::read_to_string(sink.file()).unwrap();
    eventually("there are records", || text().contains("echo"));
    File::create(sink.file()).unwrap();
    gateway.ask(&Call::post(tool_call("read")));
    eventually("it holds the record", || text().contains(r#""tool":"read""#));
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    assert!(!text().contains('\0'), "{:?}", text());
}

#[test]
fn a_process_whose_output_nobody_reads_can_be_ended() {
    for signals in [&["-TERM"][..], &["-TERM", "-TERM"], &["-INT"]] {
        let upstream = Upstream::good();
        let mut sink = Sink::new(Kind::Unread, "stalled").unwrap();
        let mut gateway = sink.start(&upstream, "deny");
        call_until(&gateway, 503);
        for signal in signals {
            gateway.signal(signal);
        }
        assert_eq!(gateway.exit_code(), Some(0), "{signals:?}");
        let lost = gateway.events("audit.lost").pop().expect("a last word");
        assert!(lost["records"].as_u64().unwrap() > 8_000, "{lost}");
    }
}

#[test]
fn records_that_go_nowhere_from_the_start_are_told() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).stdout(std::process::Stdio::null()).start();
    let told = gateway.events("audit.discarded");
    assert!(told[0]["message"].as_str().unwrap().contains("/dev/null"), "{told:?}");
    let gateway = Setup::new(&upstream).start();
    assert!(gateway.events("audit.discarded").is_empty());
}
