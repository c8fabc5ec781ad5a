//! `doorward can PRINCIPAL -`: many questions on standard input, their answers in order.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/commands/can.in");

/// How long an answer may take before the test gives up on it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The longest line that is answered.
const MAX_LINE: usize = 1 << 20;

fn can(arguments: &[&str]) -> Child {
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    doorward.arg("can").args(arguments).current_dir(FOLDER).env_remove("DOORWARD_CONFIG");
    let piped = doorward.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().unwrap()
}

/// What is answered to all of `input`.
fn asked(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = can(arguments);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    })
}

/// The first word of each line.
fn words(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn many_answers_are_those_to_one_question_each() {
    let tools = ["search_tickets", "create_ticket", "delete_ticket", "purge_all", "*", "a/b", "é"];
    for principal in ["alice-laptop", "alice", "alice-old", "carol"] {
        let targets: Vec<String> = tools.iter().map(|tool| format!("tickets/{tool}")).collect();
        let alone: Vec<&str> = targets
            .iter()
            .map(|target| match asked(&[principal, target], b"").status.code() {
                Some(0) => "yes",
                Some(1) => "no",
                other => panic!("{principal} {target}: {other:?}"),
            })
            .collect();
        let together = asked(&[principal, "-"], targets.join("\n").as_bytes());
        assert_eq!(words(&together), alone, "{principal}");
        assert_eq!(together.status.code(), Some(0));
    }
}

#[test]
fn an_answer_comes_before_the_next_question_is_read() {
    let mut child = can(&["carol", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, answers) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        stdout.lines().for_each(|line| sender.send(line.unwrap()).unwrap());
    });
    for (tool, word) in [("search_tickets", "yes"), ("purge_all", "no"), ("x", "yes")] {
        writeln!(stdin, "tickets/{tool}").unwrap();
        assert!(answers.recv_timeout(PATIENCE).unwrap().starts_with(word), "{tool}");
    }
    drop(stdin);
    reader.join().unwrap();
    assert!(answers.recv().is_err());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_json_string_is_the_target_that_it_stands_for() {
    let input = "\"tickets/purge\\u005fall\"\n\"tickets/purge_all\\n\"\ntickets/x\n";
    let output = asked(&["carol", "-", "--json"], input.as_bytes());
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let targets: Vec<&str> = rows.iter().map(|row| row["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["tickets/purge_all", "tickets/purge_all\n", "tickets/x"]);
    let allowed: Vec<bool> = rows.iter().map(|row| row["allowed"].as_bool().unwrap()).collect();
    assert_eq!(allowed, [false, false, true]);
}

#[test]
fn a_line_without_an_answer_says_error_and_the_others_are_answered() {
    let mut input = b"tickets/x\n\n\"open\nnowhere/x\nword\ntickets/\xff\n".to_vec();
    input.extend(vec![b'a'; MAX_LINE + 1]);
    input.extend(b"\ntickets/y");
    let output = asked(&["carol", "-"], &input);
    let error = "error";
    assert_eq!(words(&output), ["yes", error, error, error, error, error, error, "yes"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_longest_line_is_answered() {
    let mut line = String::from("tickets/");
    write!(line, "{}", "a".repeat(MAX_LINE - line.len())).unwrap();
    for end in ["", "\n"] {
        let output = asked(&["carol", "-"], format!("{line}{end}").as_bytes());
        assert_eq!(words(&output), ["no"]);
    }
}

#[test]
fn the_same_arguments_go_with_every_target() {
    let input = b"tickets/create_ticket\ntickets/search_tickets\n";
    let urgent = ["alice", "-", "--args", r#"{"title":"x","priority":"urgent"}"#];
    assert_eq!(words(&asked(&urgent, input)), ["no", "yes"]);
    assert_eq!(asked(&["alice", "-", "--args", "-"], input).status.code(), Some(2));
}
