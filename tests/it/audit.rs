//! Audit records in a file: their chain, their place on the disk, and what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{
    ALICE, BOB, Call, Gateway, Setup, Upstream, echo, eventually, rpc, tool_call,
};

const TO_FILE: &str = "[audit]\nto = \"file\"\nfile = \"audit.jsonl\"\n";

fn to_file(more: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(&format!("{TO_FILE}{more}")).start();
    (upstream, gateway)
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for so many records of requests.
fn requests(path: &Path, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually("the records are written", || {
        found = records(path).into_iter().filter(|record| record["kind"] == "request").collect();
        found.len() >= count
    });
    assert_eq!(found.len(), count);
    found
}

fn call(arguments: &str) -> Call {
    Call::post(rpc("1", "tools/call", &format!(r#"{{"name":"echo","arguments":{arguments}}}"#)))
}

#[test]
fn a_file_holds_every_request_between_start_and_stop_in_one_chain() {
    let (_upstream, mut gateway) = to_file("");
    let path = gateway.folder().join("audit.jsonl");
    // One connection, so that one record is written before the next request is read.
    let mut client = gateway.connect();
    client.ask(&echo());
    client.ask(&Call::post(tool_call("delete_all")));
    client.ask(&Call::post(tool_call("echo")).token("nobody-1234567890"));
    assert!(gateway.after_reload(|| gateway.signal("-HUP")));
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let records = records(&path);
    let kinds: Vec<&str> = records.iter().map(|r| r["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "request", "request", "request", "reload", "stop"]);
    let reasons: Vec<&Value> = records[1..4].iter().map(|r| &r["reason"]).collect();
    assert_eq!(reasons, ["allowed", "no_match", "unknown"]);
    let numbers: Vec<u64> = records.iter().map(|r| r["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let verified = audit(&path, &["--verify"]);
    assert!(verified.0 && verified.1.contains("6 records"), "{verified:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("delete_all", "delete_one")).unwrap();
    let verified = audit(&path, &["--verify"]);
    assert!(!verified.0 && verified.1.contains(":4: "), "{verified:?}");
}

/// Whether it succeeded, and what it said.
fn audit(path: &PathBuf, arguments: &[&str]) -> (bool, String) {
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let output = doorward.arg("audit").args(arguments).arg(path).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_by_sighup() {
    let (_upstream, gateway) = to_file("");
    let path = gateway.folder().join("audit.jsonl");
    gateway.ask(&echo());
    requests(&path, 1);
    let old = gateway.folder().join("audit.jsonl.1");
    std::fs::rename(&path, &old).unwrap();
    assert!(gateway.after_reload(|| gateway.signal("-HUP")));
    eventually("the file is there again", || path.exists());
    gateway.ask(&echo());
    requests(&path, 1);
    assert_eq!(requests(&old, 1).len(), 1);
    let verified = audit(&path, &["--verify", old.to_str().unwrap()]);
    assert!(verified.0, "the chain goes on in the new file: {verified:?}");
}

#[test]
fn a_line_that_was_left_open_is_ended_before_the_next() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(TO_FILE).file("audit.jsonl", "{\"torn").start();
    gateway.ask(&echo());
    let path = gateway.folder().join("audit.jsonl");
    eventually("records are written", || {
        std::fs::read_to_string(&path).unwrap().contains("request_id")
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "{\"torn");
    assert!(lines[1..].iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
    // Somebody else may leave one open later, too.
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, b"{\"another").unwrap();
    gateway.ask(&echo());
    let calls = |text: &str| text.matches(r#""kind":"request""#).count();
    eventually("the next record is written", || {
        calls(&std::fs::read_to_string(&path).unwrap()) == 2
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let broken = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err());
    assert_eq!(broken.collect::<Vec<_>>(), ["{\"torn", "{\"another"]);
}

#[test]
fn a_disk_without_room_makes_no_call() {
    for (file, is_made) in [("/dev/full", false), ("/dev/full", true)] {
        let on_failure = if is_made { "count" } else { "deny" };
        let upstream = Upstream::good();
        let audit =
            format!("[audit]\nto = \"file\"\nfile = \"{file}\"\non_failure = \"{on_failure}\"\n");
        let gateway = Setup::new(&upstream).more(&audit).start();
        // The first record, that of the start, fails.
        eventually("the failure is noticed", || !gateway.events("audit.write_failed").is_empty());
        let answer = gateway.ask(&echo());
        assert_eq!(answer.status, if is_made { 200 } else { 503 }, "{}", answer.text());
        assert_eq!(upstream.requests().len(), usize::from(is_made));
        // What is refused anyway is refused as ever.
        assert_eq!(gateway.ask(&Call::post(tool_call("x")).token("nobody-123")).status, 401);
    }
}

/// On a disk that fills up while calls are made, each call that reached the upstream has its record.
#[test]
fn on_a_disk_that_fills_up_no_call_is_without_its_record() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(TO_FILE).start();
    let folder = gateway.folder().join("small");
    std::fs::create_dir(&folder).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&folder)
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: not allowed to mount a small disk");
        return;
    }
    let _unmount = Unmount(folder.clone());
    drop(gateway);
    let file = folder.join("audit.jsonl");
    let to_small = TO_FILE.replace("audit.jsonl", file.to_str().unwrap());
    let gateway = Setup::new(&upstream).more(&to_small).start();
    let mut refused = 0;
    for _ in 0..2000 {
        refused += usize::from(gateway.ask(&echo()).status == 503);
    }
    let calls = upstream.requests().len();
    assert!(calls > 10 && refused > 10, "{calls} made, {refused} refused");
    assert_eq!(calls + refused, 2000);
    eventually("every call has its record", || {
        let allowed = |record: &Value| record["decision"] == "allow";
        records(&file).iter().filter(|record| allowed(record)).count() == calls
    });
    assert!(audit(&file, &["--verify"]).0);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn arguments_are_recorded_as_far_as_the_configuration_wants() {
    let sent = r#"{"b":"s3cr3t-value","a/b":{"c":1},"Password":"s3cr3t-value"}"#;
    for (wanted, expected) in [
        ("arguments = \"none\"\n", "null"),
        ("", r#"{"mode":"keys","keys":["/b","/a~1b","/Password"]}"#),
        (
            "arguments = \"full\"\n",
            r#"{"mode":"full","values":{"b":"s3cr3t-value","a/b":{"c":1},"Password":"[redacted]"}}"#,
        ),
        (
            "arguments = \"full\"\nredact = [\"B\"]\n",
            r#"{"mode":"full","values":{"b":"[redacted]","a/b":"[redacted]","Password":"s3cr3t-value"}}"#,
        ),
    ] {
        let (_upstream, gateway) = to_file(wanted);
        gateway.ask(&call(sent));
        let path = gateway.folder().join("audit.jsonl");
        requests(&path, 1);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("\"args\":{expected},\"decision\"")), "{wanted}: {text}");
        if !wanted.contains("full") {
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }
}

#[test]
fn hostile_arguments_and_names_make_no_line_and_move_no_cursor() {
    let (_upstream, gateway) = to_file("arguments = \"full\"\n");
    let path = gateway.folder().join("audit.jsonl");
    // One connection, so that one record is written before the next request is read.
    let mut client = gateway.connect();
    let hostile = "x\u{9b}31m\u{2028}\u{202e}\\u001b[2J\\r\\n{\\\"kind\\\":\\\"request\\\"}";
    client.ask(&call(&format!("{{\"k\":\n\t\"{hostile}\"\r\n}}")));
    client.ask(&Call::post(tool_call(hostile)));
    client.ask(&call(&format!("{{\"big\":\"{}\"}}", "y".repeat(1 << 20))));
    client.ask(&call(&format!("{{\"c1\":\"{}\"}}", "\u{9b}".repeat(4000))));
    let records = requests(&path, 4);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{2028}', '\u{202e}', '\r']), "{text}");
    let told = "x\u{9b}31m\u{2028}\u{202e}\u{1b}[2J\r\n{\"kind\":\"request\"}";
    assert_eq!(records[0]["args"]["values"]["k"], told);
    assert_eq!(records[1]["tool"], told);
    assert_eq!(records[2]["args"]["keys"][0], "/big", "too long, so the names only");
    assert_eq!(records[3]["args"]["keys"][0], "/c1");
    assert!(text.lines().all(|line| line.len() < 8 << 10));
    assert!(!text.contains(ALICE) && !text.contains(BOB));
}

/// Cuts the file to the length that `left` makes of the lengths of its lines.
fn shorten(path: &Path, left: fn(&[u64]) -> u64) {
    let text = std::fs::read_to_string(path).unwrap();
    let lengths: Vec<u64> = text.split_inclusive('\n').map(|line| line.len() as u64).collect();
    std::fs::File::options().write(true).open(path).unwrap().set_len(left(&lengths)).unwrap();
}

#[test]
fn a_file_that_somebody_shortened_says_so_itself() {
    type Cut = fn(&[u64]) -> u64;
    let cuts: [(&str, Cut, bool); 4] = [
        ("all", |_| 0, true),
        ("all but a start", |lines| lines[0], false),
        ("the last line", |lines| lines.iter().rev().skip(1).sum(), false),
        ("half a line", |lines| lines.iter().sum::<u64>() - 30, false),
    ];
    for (what, left, is_doubt) in cuts {
        for moment in ["before a call", "before SIGHUP", "before the end"] {
            let (_upstream, mut gateway) = to_file("");
            let path = gateway.folder().join("audit.jsonl");
            (0..3).for_each(|_| drop(gateway.ask(&echo())));
            requests(&path, 3);
            let copy = gateway.folder().join("audit.jsonl.1");
            std::fs::copy(&path, &copy).unwrap();
            shorten(&path, left);
            match moment {
                "before a call" => drop(gateway.ask(&echo())),
                "before SIGHUP" => assert!(gateway.after_reload(|| gateway.signal("-HUP"))),
                _ => {}
            }
            if moment != "before the end" {
                eventually("it is told", || !gateway.events("audit.shortened").is_empty());
            }
            gateway.terminate();
            assert_eq!(gateway.exit_code(), Some(0));
            assert_eq!(gateway.events("audit.shortened").len(), 1, "{what} {moment}");
            let text = std::fs::read_to_string(&path).unwrap();
            let notes = text.lines().filter(|line| line.contains(r#""kind":"truncate""#));
            assert_eq!(notes.count(), 1, "{what} {moment}: {text}");
            assert!(!text.contains(r#""kind":"rotate""#), "{what} {moment}: {text}");
            let whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
            assert!(text.lines().filter(|line| !whole(line)).count() <= 1, "{what}: {text}");
            assert!(text.lines().rev().take(2).all(|line| whole(&line)), "{what}: {text}");
            let (is_good, said) = audit(&path, &["--verify"]);
            assert_eq!(is_good, is_doubt, "{what} {moment}: {said}");
            assert!(!said.contains("no gap"), "{what} {moment}: {said}");
            if is_doubt {
                assert!(said.contains("somebody emptied or shortened"), "{moment}: {said}");
                let (is_good, said) = audit(&path, &["--verify", copy.to_str().unwrap()]);
                assert!(is_good && said.contains("no gap"), "{moment}, with the copy: {said}");
            }
        }
    }
}
