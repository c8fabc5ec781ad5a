//! What `check` says of this machine is what `run` finds: no start fails behind a good check.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Gateway, Setup, Upstream};

fn text(admin: &str, more: &str) -> String {
    let base = "listen = [\"127.0.0.1:0\"]\n[upstreams.t]\npath = \"/mcp\"\n\
                url = \"http://127.0.0.1:1/mcp\"\n[roles.r]\ntools = [\"t/x\"]\n";
    format!("[server]\n{base}[admin]\nlisten = \"{admin}\"\n{more}")
}

/// The exit code of `check`, and what it says.
fn check(path: &Path) -> (Option<i32>, String) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let output = check.args(["check", "--config"]).arg(path).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

/// Whether it starts; the exit code where it does not.
fn starts(path: &Path) -> Result<(), Option<i32>> {
    let mut run = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let run = run.args(["run", "--config"]).arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = run.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.contains("server.ready"));
    if is_ready {
        child.kill().unwrap();
        child.wait().unwrap();
        return Ok(());
    }
    Err(child.wait().unwrap().code())
}

#[test]
fn a_file_of_records_is_good_for_check_where_run_can_open_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("records")).unwrap();
    std::fs::write(at("there.jsonl"), "").unwrap();
    for (link, target) in
        [("to-new", "records/new.jsonl"), ("to-nowhere", "gone/x"), ("round", "round")]
    {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
    }
    let long = "x".repeat(300);
    for (file, is_good) in [
        ("new.jsonl", true),
        ("there.jsonl", true),
        ("records/new.jsonl", true),
        ("to-new", true),
        ("/dev/null", true),
        ("new.jsonl/", false),
        ("there.jsonl/", false),
        ("records/", false),
        ("records", false),
        ("records/..", false),
        ("records/.", false),
        ("", false),
        ("gone/x.jsonl", false),
        ("there.jsonl/x", false),
        ("to-nowhere", false),
        ("round", false),
        (&long, false),
        ("/sys/x.jsonl", false),
        ("/proc/x.jsonl", false),
        ("/proc/self/fd/x.jsonl", false),
        ("/dev/pts/x.jsonl", false),
    ] {
        let more = format!("[audit]\nto = \"file\"\nfile = \"{file}\"\n");
        std::fs::write(&path, text("127.0.0.1:0", &more)).unwrap();
        let before: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
        let (code, told) = check(&path);
        assert_eq!(code, Some(if is_good { 0 } else { 2 }), "{file}: {told}");
        assert!(is_good || told.contains("gateway.toml:12:8"), "{file}: {told}");
        let after = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(after, before.len(), "{file}: check leaves nothing behind");
        assert_eq!(starts(&path).is_ok(), is_good, "{file}");
        for made in ["new.jsonl", "records/new.jsonl"] {
            let _ = std::fs::remove_file(at(made));
        }
    }
}

#[test]
fn what_the_gateway_writes_is_nothing_that_it_includes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let real = folder.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("tokens.d")).unwrap();
    std::os::unix::fs::symlink("tokens.d", real.join("linked")).unwrap();
    let absolute = format!("{}/tokens.d/*.toml", real.display());
    for (include, file, is_good) in [
        ("tokens.d/*.toml", "tokens.d/audit.toml", false),
        ("tokens.d/*", "tokens.d/audit.jsonl", false),
        ("./tokens.d/*.toml", "tokens.d/audit.toml", false),
        ("tokens.d/*.toml", "linked/audit.toml", false),
        (&absolute, "tokens.d/audit.toml", false),
        ("*.jsonl", "audit.jsonl", false),
        ("tokens.d/*.toml", "tokens.d/audit.jsonl", true),
        ("tokens.d/*.toml", "tokens.d/.audit.toml", true),
        ("tokens.d/*.toml", "audit.toml", true),
        ("*.jsonl", "tokens.d/audit.jsonl", true),
    ] {
        for table in [
            format!("[audit]\nto = \"file\"\nfile = \"{file}\"\n"),
            format!("[lock]\nfile = \"{file}\"\n"),
        ] {
            let is_lock = table.starts_with("[lock]");
            let more = format!("include = [\"{include}\"]\n{}", text("127.0.0.1:0", &table));
            std::fs::write(&path, more).unwrap();
            let (code, told) = check(&path);
            let what = format!("{include} {file}: {told}");
            assert_eq!(told.contains("is one that `include` stands for"), !is_good, "{what}");
            // A lock that is not there yet is another mistake.
            assert!(is_lock || code == Some(if is_good { 0 } else { 2 }), "{what}");
        }
    }
}

#[test]
fn an_address_that_somebody_else_has_is_told_and_one_of_a_doorward_is_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    for address in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
        let admin = text(&address, "");
        let listen = text("127.0.0.1:0", "").replacen("127.0.0.1:0", &address, 1);
        // For callers another rule forbids every address at once.
        let listen = Some(listen).filter(|_| address.starts_with("127"));
        for configuration in [admin].into_iter().chain(listen) {
            std::fs::write(&path, configuration).unwrap();
            let (code, told) = check(&path);
            let who = format!("{address} is in use by process {} (", std::process::id());
            assert!(code == Some(2) && told.contains(&who), "{address}: {told}");
            assert_eq!(starts(&path), Err(Some(3)), "{address}");
        }
    }
    // The gateway of this configuration, and of one that was edited since.
    let gateway: Gateway = Setup::new(&Upstream::good()).start();
    for address in [gateway.admin, gateway.address] {
        std::fs::write(&path, text(&address.to_string(), "")).unwrap();
        let (code, told) = check(&path);
        assert_eq!(code, Some(0), "{told}");
    }
}
