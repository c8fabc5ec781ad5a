//! `audit` and `explain` on files as nights leave them: killed processes, lines of any length, and
//! many of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Call, Gateway, Setup, Upstream, echo, eventually};

/// Exit code, answer, and what was said beside it.
fn doorward(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let output = doorward.args(arguments).env_remove("DOORWARD_CONFIG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file that several processes write, one after another.
struct Shared {
    folder: TempDir,
    upstream: Upstream,
}

impl Shared {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), upstream: Upstream::good() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn start(&self) -> Gateway {
        let more = format!("[audit]\nto = \"file\"\nfile = {:?}\n", self.file());
        Setup::new(&self.upstream).more(&more).start()
    }

    /// One process with this many calls, which is killed or ends in good order.
    fn process(&self, calls: usize, is_killed: bool) {
        let before = self.lines().len();
        let mut gateway = self.start();
        let mut client = gateway.connect();
        (0..calls).for_each(|_| assert_eq!(client.ask(&echo()).status, 200));
        eventually("its records are written", || self.lines().len() > before + calls);
        if !is_killed {
            gateway.terminate();
            assert_eq!(gateway.exit_code(), Some(0));
        }
    }

    /// Whether these lines pass for whole, and what is said.
    fn verify(&self, lines: &[String]) -> (Option<i32>, String) {
        let path = self.folder.path().join("tried.jsonl");
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let (code, said, _) = doorward(&["audit", "--verify", path.to_str().unwrap()]);
        (code, said)
    }
}

#[test]
fn what_is_taken_out_between_processes_shows() {
    let shared = Shared::new();
    shared.process(3, true);
    let first = shared.lines().len();
    shared.process(2, false);
    let second = shared.lines().len();
    shared.process(1, false);
    let all = shared.lines();
    let (code, said) = shared.verify(&all);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("died, and the next start found its last record"), "{said}");
    assert!(said.contains("what came behind the last line cannot be known"), "{said}");
    let without = |from: usize, to: usize| [&all[..from], &all[to..]].concat();
    for (what, lines) in [
        ("the last of one that was killed", without(first - 1, first)),
        ("the last two", without(first - 2, first)),
        ("a whole process", without(first, second)),
        ("the end of one, and the next", without(first - 1, second)),
        ("a whole process, and the start of the next", without(first, second + 1)),
        ("the end of one, and the start of the next", without(first - 1, first + 1)),
    ] {
        let (code, said) = shared.verify(&lines);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains("taken out"), "{what}: {said}");
    }
    let (code, said) = shared.verify(&without(0, first));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("records that are not here"), "{said}");
}

#[test]
fn a_line_in_which_a_process_died_is_told_and_the_next_begins_on_its_own() {
    let shared = Shared::new();
    shared.process(2, true);
    let text = std::fs::read_to_string(shared.file()).unwrap();
    std::fs::write(shared.file(), &text[..text.len() - 40]).unwrap();
    let torn = shared.lines().len();
    shared.process(1, false);
    let lines = shared.lines();
    assert!(lines[torn].contains(r#""kind":"start""#), "{lines:?}");
    let (code, said) = shared.verify(&lines);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!(":{torn}: is not whole: the process died in it")), "{said}");
}

#[test]
fn rotated_files_are_one_chain_even_where_nothing_was_called_in_between() {
    let shared = Shared::new();
    let gateway = shared.start();
    gateway.ask(&echo());
    eventually("there is a record", || shared.lines().len() == 2);
    let old = shared.folder.path().join("audit.jsonl.1");
    std::fs::rename(shared.file(), &old).unwrap();
    eventually("the new file begins", || !shared.lines().is_empty());
    drop(gateway);
    shared.process(1, false);
    let new = shared.file();
    let files = [old.to_str().unwrap(), new.to_str().unwrap()];
    let (code, said, _) = doorward(&["audit", "--verify", files[0], files[1]]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the next start found its last record"), "{said}");
    assert_eq!(said.matches("cannot be known").count(), 1, "{said}");
}

/// A record as the gateway writes it, with this detail.
fn record(n: usize, detail: &str) -> String {
    format!(
        r#"{{"v":1,"time":"2026-11-24T13:06:43.374Z","kind":"request","request_id":"01a20daa-702e-7186-a2e3-{n:012}","auth":"token","user":"alice","organization":"dev-org","token":"dev-alice","issuer":null,"roles":["agent"],"client_ip":"127.0.0.1","upstream":"tickets","method":"tools/call","tool":"create_ticket","target":null,"args":null,"decision":"deny","enforced":true,"reason":"argument","rule":null,"place":null,"detail":"{detail}","outcome":"denied","status":200,"duration_ms":0.9,"bytes_in":1,"bytes_out":1,"config":"2e52b958","instance":"g","seq":{n},"prev":""}}"#
    )
}

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("long.jsonl");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_line_of_any_length_is_told_left_out_and_no_reason_to_stop() {
    let folder = TempDir::new().unwrap();
    let long = "\0".repeat(3 << 20);
    let unended = "x".repeat(1 << 20);
    let text = format!("{}\n{long}\n{}\n{unended}", record(1, "a"), record(2, "b"));
    let file = write(folder.path(), &text);
    let (code, said, beside) = doorward(&["audit", &file]);
    assert_eq!(code, Some(0), "{beside}");
    assert_eq!(said.lines().count(), 3, "{}", said.len());
    for number in [2, 4] {
        assert!(beside.contains(&format!("long.jsonl:{number}: longer than")), "{beside}");
    }
    let (code, _, beside) = doorward(&["explain", "01a20daa-702e-7186-a2e3-000000000009", &file]);
    assert_eq!(code, Some(1));
    assert!(beside.contains(":2: longer than"), "{beside}");
    let (code, said, _) = doorward(&["audit", "--verify", &file]);
    assert_eq!(code, Some(1));
    assert!(said.contains(":2: is longer than any record"), "{said}");
    // Very many of them are not told one by one.
    let many = format!("{}\n", "y".repeat(300 << 10)).repeat(30);
    let (_, _, beside) = doorward(&["audit", &write(folder.path(), &many)]);
    assert!(beside.lines().count() < 15 && beside.contains("30 lines in all"), "{beside}");
}

#[test]
fn one_record_makes_no_line_of_the_table_long() {
    let folder = TempDir::new().unwrap();
    let text = format!("{}\n{}\n", record(1, "a"), record(2, &"z".repeat(9000)));
    let (_, said, _) = doorward(&["audit", &write(folder.path(), &text)]);
    assert_eq!(said.lines().count(), 3);
    assert!(said.lines().all(|line| line.chars().count() < 300), "{said}");
}

/// Many records pass through little memory.
#[test]
fn many_records_need_no_memory() {
    const MANY: usize = 120_000;
    let folder = TempDir::new().unwrap();
    let mut text = String::new();
    for n in 0..MANY {
        writeln!(text, "{}", record(n, "a")).unwrap();
    }
    let file = write(folder.path(), &text);
    for arguments in [&["audit"][..], &["audit", "--group", "request_id"], &["audit", "--json"]] {
        let measured = Command::new("sh")
            .args(["-c", r#"ulimit -d 61440; exec "$@""#, "sh", env!("CARGO_BIN_EXE_doorward")])
            .args(arguments)
            .arg(&file)
            .output()
            .unwrap();
        let beside = String::from_utf8_lossy(&measured.stderr);
        assert!(measured.status.success(), "{arguments:?}: {beside}");
        let lines = measured.stdout.split(|byte| *byte == b'\n').count();
        assert!(lines > 10_000, "{arguments:?}: {lines}");
    }
}

#[test]
fn a_request_that_was_summed_is_explained_by_its_sum() {
    let shared = Shared::new();
    let mut gateway = shared.start();
    let nobody: Call = echo().without("Authorization");
    let ids: Vec<String> =
        (0..40).map(|_| gateway.ask(&nobody).header("x-request-id").unwrap().to_owned()).collect();
    let file = shared.file();
    let file = file.to_str().unwrap();
    let ask = |id: &str| doorward(&["explain", id, file]);
    let (code, _, beside) = ask(&ids[39]);
    assert_eq!(code, Some(1));
    assert!(beside.contains("summed, which is written once a minute"), "{beside}");
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let (code, _, beside) = ask(&ids[30]);
    assert_eq!(code, Some(1));
    assert!(beside.contains("24 of missing, from 127.0.0.1, upstream t: 20"), "{beside}");
    let (_, said, _) = doorward(&["audit", "--reason", "missing", file]);
    assert!(said.contains("24 more"), "{said}");
}

#[test]
fn a_file_without_a_record_is_no_empty_answer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("given");
    let given = path.to_str().unwrap();
    let record = r#"{"v":1,"time":"2026-11-25T00:00:00Z","kind":"start","seq":1}"#;
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(300_000));
    for (text, is_foreign) in [
        ("[server]\nlisten = [\"127.0.0.1:0\"]\n", true),
        ("{\"level\":\"info\",\"message\":\"x\"}\n", true),
        ("{\"time\":\"2026-11-25T00:00:00Z\",\"event\":\"server.ready\"}\n", true),
        ("[1]\n7\n", true),
        ("\u{0}\u{1}\u{2}", true),
        (&long, true),
        ("", false),
        ("\n \n", false),
        (record, false),
        (&format!("half a line\n{record}\nhalf"), false),
    ] {
        std::fs::write(&path, text).unwrap();
        for verb in [
            &["audit", given][..],
            &["audit", "--json", given],
            &["audit", "--group", "reason", given],
            &["explain", "01a20daa-702e", given],
        ] {
            let (code, out, told) = doorward(verb);
            let what = format!("{verb:?} {}: {out}{told}", &text[..text.len().min(80)]);
            assert_eq!(told.contains("holds no record of doorward"), is_foreign, "{what}");
            assert_eq!(code == Some(2), is_foreign, "{what}");
        }
    }
}

#[test]
fn what_no_record_can_have_is_a_mistake_and_no_empty_answer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, "").unwrap();
    let long = "x".repeat(257);
    for (options, said) in [
        (&["--user", ""][..], "no record can have the user ``"),
        (&["--user", "a\u{1b}[2Jb"], "no record can have the user `a\\u{1b}[2Jb`"),
        (&["--user", "a b"], "no record can have the user `a b`"),
        (&["--user", "a,b"], "no record can have the user `a,b`"),
        (&["--user", "m\u{fc}ller"], "no record can have the user"),
        (&["--user", &long], "no record can have the user"),
        (&["--token", ""], "no record has an empty token"),
        (&["--upstream", ""], "no record has an empty upstream"),
        (&["--tool", ""], "no record has an empty tool"),
        (&["--since", "1d", "--until", "2d"], "--until must be after --since"),
        (&["--since", "2026-01-02", "--until", "2026-01-01"], "--until must be after --since"),
        (&["--since", "2026-01-01", "--until", "2026-01-01"], "--until must be after --since"),
    ] {
        let verb = [&["audit"], options, &[path.to_str().unwrap()]].concat();
        let (code, out, told) = doorward(&verb);
        assert!(code == Some(2) && told.contains(said), "{options:?}: {code:?} {out}{told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
    for options in [&["--user", "a"][..], &["--since", "2d", "--until", "1d"], &["--until", "1d"]] {
        let verb = [&["audit"], options, &[path.to_str().unwrap()]].concat();
        assert_eq!(doorward(&verb).0, Some(0), "{options:?}");
    }
}
