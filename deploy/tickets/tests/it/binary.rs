//! The binary: what it prints, how it stops, how it fails.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{ALICE, ask, call, connect, eras};

const BINARY: &str = env!("CARGO_BIN_EXE_doorward-tickets");

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    without_settings(command)
}

/// The same, after the shell has done this.
fn command_after(shell: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} && exec \"$0\" \"$@\""), BINARY]).args(arguments);
    without_settings(command)
}

fn without_settings(mut command: Command) -> Command {
    command.env_remove("TICKETS_ACCESS_KEY").env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

/// A running service, killed when the test is over.
pub(crate) struct Running {
    child: Child,
    line: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(arguments))
    }

    /// One that may open so many files.
    pub(crate) fn within(files: u32, arguments: &[&str]) -> Self {
        Self::spawn(command_after(&format!("ulimit -n {files}"), arguments))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, line: line.trim_end().to_owned() }
    }

    /// The address after this prefix of the line that says ready.
    pub(crate) fn address(&self, prefix: &str) -> &str {
        self.line.strip_prefix(prefix).unwrap_or_else(|| panic!("{:?}", self.line))
    }

    /// Sends a signal; gives back the exit code and the log.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn two_processes_serve_a_client_and_stop_on_signals() {
    let api = Running::start(&["api", "--listen", "127.0.0.1:0"]);
    let base = api.address("tickets api listening on ").to_owned();
    let mcp = Running::start(&["mcp", "--listen", "127.0.0.1:0", "--api", &base]);
    let url = mcp.address("tickets mcp listening on ").to_owned();
    assert!(url.ends_with("/mcp"), "{url}");

    let client = connect(&url, eras()[1].1.clone(), ALICE).await;
    let arguments = json!({"title": "a-title", "description": "a-description"});
    assert!(!call(&client, "create_ticket", arguments).await.0);
    assert!(!call(&client, "search_tickets", json!({"query": "a-title"})).await.0);
    client.cancel().await.unwrap();
    let (status, _) = ask(&base, Method::GET, "/api/v1/tickets/T-9", ALICE, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let (code, mcp_log) = mcp.stop("-INT");
    assert_eq!(code, Some(0), "{mcp_log}");
    let (code, api_log) = api.stop("-TERM");
    assert_eq!(code, Some(0), "{api_log}");

    let lines: Vec<_> =
        api_log.lines().filter(|line| line.contains("ticket api request")).collect();
    assert_eq!(lines.len(), 3, "{api_log}");
    for (line, parts) in lines.iter().zip([
        ["method=POST", "path=\"/api/v1/tickets/ai-create\"", "status=201"],
        ["method=GET", "path=\"/api/v1/tickets/search\"", "status=200"],
        ["method=GET", "path=\"/api/v1/tickets/T-9\"", "status=404"],
    ]) {
        assert!(line.contains("user=\"alice\" organization=\"acme\""), "{line}");
        for part in parts {
            assert!(line.contains(part), "{line} lacks {part}");
        }
    }
    for log in [api_log, mcp_log] {
        assert!(!log.contains("a-title") && !log.contains("a-description"), "{log}");
    }
}

#[test]
fn nobody_else_can_read_what_people_wrote() {
    let folder = tempfile::TempDir::new().unwrap();
    let arguments = ["api", "--listen", "127.0.0.1:0", "--database"];
    let start = |file: &Path| {
        let mut arguments: Vec<&str> = arguments.to_vec();
        arguments.push(file.to_str().unwrap());
        Running::spawn(command_after("umask 0", &arguments))
    };
    let modes = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        let modes = files.map(|file| (file.file_name(), file.metadata().unwrap().mode() & 0o777));
        modes.collect::<BTreeMap<_, _>>()
    };
    let service = start(&folder.path().join("tickets.db"));
    let made = modes();
    assert_eq!(made.len(), 3, "{made:?}");
    assert!(made.values().all(|mode| *mode == 0o600), "{made:?}");
    drop(service);
    // An operator's own mode stays.
    let file = folder.path().join("tickets.db");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    drop(start(&file));
    assert_eq!(modes().remove(OsStr::new("tickets.db")), Some(0o640));
    let (code, error) = failure(&command(&arguments).arg("/nowhere/x").output().unwrap());
    assert_eq!(code, Some(1));
    assert!(error.contains("ticket database: No such file"), "{error}");
}

#[test]
fn health_says_whether_a_service_is_well() {
    let health = |url: &str| command(&["health", url]).output().unwrap();
    let api = Running::start(&["api", "--listen", "127.0.0.1:0"]);
    let base = api.address("tickets api listening on ");
    assert_eq!(health(&format!("{base}/health")).status.code(), Some(0));
    let (code, error) = failure(&health(&format!("{base}/nowhere")));
    assert_eq!((code, error.contains("it answers 404")), (Some(1), true), "{error}");
    let url = format!("{base}/health");
    api.stop("-TERM");
    let (code, error) = failure(&health(&url));
    assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
}

fn failure(output: &Output) -> (Option<i32>, String) {
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn a_port_in_use_is_one_sentence_and_exit_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for service in ["api", "mcp"] {
        let output = command(&[service, "--listen", &address]).output().unwrap();
        let (code, error) = failure(&output);
        assert_eq!(code, Some(3), "{error}");
        assert!(error.contains(&address) && error.contains("already in use"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn an_unusable_key_stops_the_start_and_is_not_printed() {
    for key in ["", "two words"] {
        let mut command = command(&["api", "--listen", "127.0.0.1:0"]);
        let (code, error) = failure(&command.env("TICKETS_ACCESS_KEY", key).output().unwrap());
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("TICKETS_ACCESS_KEY") && !error.contains("two words"), "{error}");
    }
}

#[test]
fn an_unusable_database_url_is_one_sentence_without_its_password() {
    for (url, more, code, part) in [
        ("postgres://tickets:secret@127.0.0.1:1/t", &[][..], 1, "error connecting to server"),
        ("postgres://tickets:secret@127.0.0.1:1/t", &["--database", "file"], 2, "two databases"),
        ("postgres://tickets:secret@127.0.0.1:x/t", &[], 2, "DATABASE_URL is not an address"),
        ("mysql://tickets:secret@127.0.0.1/t", &[], 2, "DATABASE_URL must look like postgres://"),
    ] {
        let mut command = command(&["api", "--listen", "127.0.0.1:0"]);
        let output = command.args(more).env("DATABASE_URL", url).output().unwrap();
        let (exit, error) = failure(&output);
        assert_eq!((exit, error.lines().count()), (Some(code), 1), "{url}: {error}");
        assert!(error.contains(part) && !error.contains("secret"), "{url}: {error}");
    }
}

#[test]
fn bad_usage_is_exit_2() {
    for arguments in [
        &["api", "--listen", "nowhere"][..],
        &["mcp", "--listen", "127.0.0.1:0", "--api", "https://127.0.0.1:1"],
        &["mcp", "--listen", "127.0.0.1:0", "--allowed-host", "http://x"],
    ] {
        let output = command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
