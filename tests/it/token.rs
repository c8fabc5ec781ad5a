//! `doorward token`, with the real binary.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::gateway::sha256;
use crate::support::{Gateway, Upstream, echo};

const FILE: &str = "# the whole configuration\n[server]\nlisten = [\"127.0.0.1:0\"]\n\
    [admin]\nlisten = \"127.0.0.1:0\"\n[upstreams.t]\npath = \"/mcp\"\nurl = \"http://127.0.0.1:9/mcp\"\n\
    [roles.reader] # who reads\ntools = [\"t/echo\"]\n\n\
    [tokens.alice]  # on her laptop\nsha256 = \"ALICE\"\nuser = \"alice\"\norganization = \"acme\"\n\
    roles = [\"reader\"]\nexpires = 2020-01-01 # long ago\n\n\
    [tokens]\nbob = { sha256 = \"BOB\", user = \"bob\", organization = \"globex\", expires = \"never\" }\n";

const ALICE: &str = "alice-secret-0123456789";
const BOB: &str = "bob-secret-0123456789ab";

/// A folder with a configuration.
struct Site(TempDir);

/// Exit code, standard output and standard error.
type Ran = (Option<i32>, String, String);

impl Site {
    fn new() -> Self {
        let text = FILE.replace("ALICE", &sha256(ALICE)).replace("BOB", &sha256(BOB));
        Self::with(&text)
    }

    fn with(text: &str) -> Self {
        let site = Self(TempDir::new().unwrap());
        std::fs::write(site.path("gateway.toml"), text).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path("gateway.toml")).unwrap()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        self.spawn(doorward.arg("token").args(arguments), input)
    }

    fn spawn(&self, command: &mut Command, input: &str) -> Ran {
        let mut child = command
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

const NEW: [&str; 8] =
    ["new", "carol", "--user", "carol", "--organization", "acme", "--role", "reader"];

fn new<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&NEW[..], more].concat()
}

#[test]
fn a_new_token_opens_the_gateway_that_reads_the_file() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let folder = gateway.folder().to_owned();
    let run = |arguments: &[&str]| {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        doorward.current_dir(&folder).arg("token").args(arguments).output().unwrap()
    };
    assert!(gateway.after_reload(|| {
        let output = run(&new(&["--write", "--out", "secret"]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }));
    let secret = std::fs::read_to_string(folder.join("secret")).unwrap();
    let mode = std::fs::metadata(folder.join("secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(gateway.ask(&echo().token(secret.trim_end())).status, 200);
    assert_eq!(upstream.only_request().values("x-user-id"), ["carol"]);
    assert!(gateway.after_reload(|| {
        assert!(run(&["revoke", "carol", "--write"]).status.success());
    }));
    assert_eq!(gateway.ask(&echo().token(secret.trim_end())).status, 401);
    assert_eq!(gateway.audit(2)[1]["reason"], "revoked");
}

#[test]
fn a_secret_is_shown_on_a_terminal_and_never_goes_into_a_pipe() {
    let site = Site::new();
    let before = site.text();
    let (code, out, err) = site.run(&new(&["--write"]), "");
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("--out"), "{err}");
    assert_eq!(site.text(), before);

    let command = format!("{} token {}", env!("CARGO_BIN_EXE_doorward"), NEW.join(" "));
    let (code, out, _) =
        site.spawn(Command::new("script").args(["-qec", &command, "/dev/null"]), "");
    assert_eq!(code, Some(0), "{out}");
    let secret = out.lines().find(|line| line.starts_with("dw_carol_")).expect("the secret").trim();
    assert!(out.contains(&format!("sha256       = \"{}\"", sha256(secret))), "{out}");
    assert_eq!(site.text(), before, "nothing was written");
}

#[test]
fn what_would_not_be_a_good_entry_is_not_made() {
    let site = Site::new();
    let before = site.text();
    for (arguments, said) in [
        (new(&["--role", "raeder"]), "role `raeder` does not exist"),
        (new(&["--tool", "x/y"]), "names no upstream"),
        (new(&["--expires", "soon"]), "90d, 2027-06-30, or never"),
        (vec!["new", "alice", "--user", "a", "--organization", "o"], "gateway.toml:12"),
        (new(&["--expires", "2020-01-01"]), "over already"),
        (vec!["new", "a b", "--user", "a", "--organization", "o"], "is not a name"),
        (vec!["new", "carol", "--user", "a, b", "--organization", "o"], "`user`"),
        (vec!["new", "carol", "--user", "a\r\nX: y", "--organization", "o"], "`user`"),
    ] {
        let arguments = [&arguments[..], &["--write", "--out", "secret"]].concat();
        let (code, out, err) = site.run(&arguments, "");
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?} {err}");
        assert!(err.contains(said), "{arguments:?} {err}");
        assert!(!site.path("secret").exists(), "{arguments:?}");
        assert_eq!(site.text(), before, "{arguments:?}");
    }
    std::fs::write(site.path("taken"), "x").unwrap();
    let (code, _, err) = site.run(&new(&["--write", "--out", "taken"]), "");
    assert!(code == Some(2) && err.contains("cannot be made"), "{err}");
    assert_eq!(std::fs::read_to_string(site.path("taken")).unwrap(), "x");
    assert_eq!(site.text(), before);
}

#[test]
fn revoking_leaves_everything_else_as_it_is_written() {
    let site = Site::new();
    let before = site.text();
    let (code, out, _) = site.run(&["revoke", "alice"], "");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("Add to gateway.toml:12  [tokens.alice]"), "{out}");
    assert_eq!(site.text(), before);

    for name in ["alice", "bob"] {
        let (code, out, err) = site.run(&["revoke", name, "--write"], "");
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains(&format!("[tokens.{name}]  revoked = 20")), "{out}");
    }
    let after = site.text();
    let lines: Vec<&str> = after.lines().filter(|line| !line.starts_with("revoked = ")).collect();
    let bob = lines.iter().find(|line| line.starts_with("bob = {")).unwrap();
    assert!(bob.contains(", revoked = 20"), "{bob}");
    let others = before.lines().filter(|line| !line.starts_with("bob = {"));
    assert!(others.clone().all(|line| lines.contains(&line)), "{after}");
    assert_eq!(lines.len(), before.lines().count());
    assert!(after.contains("expires = 2020-01-01 # long ago\nrevoked = "), "{after}");

    let (code, out, _) = site.run(&["revoke", "bob", "--write"], "");
    assert!(code == Some(0) && out.contains("is revoked since"), "{out}");
    assert_eq!(site.text(), after);
    let (code, _, err) = site.run(&["revoke", "alcie", "--write"], "");
    assert!(code == Some(1) && err.contains("did you mean `alice`?"), "{err}");
}

#[test]
fn a_revocation_that_is_to_come_does_not_hold_off_one_that_is_now() {
    let site = Site::new();
    let (code, out, err) = site.run(&["revoke", "bob", "--at", "2999-01-01", "--write"], "");
    assert!(code == Some(0) && out.contains("revoked = 2999-01-01T00:00:00Z"), "{out}{err}");
    let (code, out, err) = site.run(&["revoke", "bob", "--write"], "");
    assert!(code == Some(0) && out.contains("revoked = 20"), "{out}{err}");
    assert!(!site.text().contains("2999") && site.text().contains("revoked = 20"));
}

#[test]
fn edits_at_once_do_not_lose_each_other() {
    let site = Site::new();
    let names: Vec<String> = (0..12).map(|n| format!("new-{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let site = &site;
            scope.spawn(move || {
                let more = ["--organization", "acme", "--write", "--out", name];
                let arguments = [&["new", name, "--user", "u"][..], &more].concat();
                let (code, _, err) = site.run(&arguments, "");
                assert_eq!(code, Some(0), "{err}");
            });
        }
    });
    let text = site.text();
    assert!(names.iter().all(|name| text.contains(&format!("[tokens.{name}]"))), "{text}");
}

#[test]
fn an_edit_keeps_mode_owner_and_line_ends() {
    let site = Site::with(&Site::new().text().replace('\n', "\r\n"));
    let path = site.path("gateway.toml");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    // Only root can give files away; for others this changes nothing.
    let _ = std::os::unix::fs::chown(&path, Some(65_534), Some(65_534));
    let before = std::fs::metadata(&path).unwrap();
    let (code, _, err) = site.run(&["revoke", "bob", "--write"], "");
    assert_eq!(code, Some(0), "{err}");
    let after = std::fs::metadata(&path).unwrap();
    let kept = |m: &std::fs::Metadata| (m.mode(), m.uid(), m.gid());
    assert_eq!(kept(&after), kept(&before));
    assert!(after.ino() != before.ino(), "it was replaced");
    assert_eq!(site.text().matches('\n').count(), site.text().matches("\r\n").count());
}

#[test]
fn an_entry_is_revoked_in_the_file_that_holds_it() {
    let included = "[tokens.carol]\nsha256 = \"ab\"\nuser = \"c\"\norganization = \"o\"\nexpires = \"never\"\n";
    let site = Site::with(
        &format!("include = [\"tokens.d/*.toml\"]\n{FILE}")
            .replace("ALICE", &sha256(ALICE))
            .replace("BOB", &sha256(BOB)),
    );
    let before = site.text();
    std::fs::create_dir(site.path("tokens.d")).unwrap();
    let path = site.path("tokens.d/more.toml");
    std::fs::write(&path, included.replace("ab", &sha256("carol"))).unwrap();
    let (code, out, err) = site.run(&["revoke", "carol", "--write"], "");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("tokens.d/more.toml:1  [tokens.carol]"), "{out}");
    assert!(std::fs::read_to_string(&path).unwrap().contains("\nrevoked = 20"));
    assert_eq!(site.text(), before);
}

/// Its token would work, and no command could find the entry again.
#[test]
fn a_token_in_a_file_without_a_name_in_text_is_said_to_be_lost_by_every_verb() {
    use std::os::unix::ffi::OsStrExt as _;
    let site = Site::with(
        &format!("include = [\"tokens.d/*.toml\"]\n{FILE}")
            .replace("ALICE", &sha256(ALICE))
            .replace("BOB", &sha256(BOB)),
    );
    let folder = site.path("tokens.d");
    std::fs::create_dir(&folder).unwrap();
    let entry = format!(
        "[tokens.carol]\nsha256 = \"{}\"\nuser = \"c\"\norganization = \"o\"\nexpires = \"never\"\n",
        sha256("carol")
    );
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff.toml")), entry).unwrap();
    for (verb, exit) in [(&["list"][..], 0), (&["revoke", "carol", "--write"], 2), (&["verify"], 2)]
    {
        let (code, out, err) = site.run(verb, "carol");
        assert_eq!(code, Some(exit), "{verb:?}: {err}");
        assert!(!out.contains("carol"), "{verb:?}: {out}");
        assert!(err.contains("its name is not UTF-8; rename it"), "{verb:?}: {err}");
    }
}

#[test]
fn the_list_says_whose_tokens_there_are_and_until_when() {
    let site = Site::new();
    let (code, ..) = site.run(&new(&["--write", "--out", "s", "--expires", "80h"]), "");
    assert_eq!(code, Some(0));
    site.run(&["revoke", "bob", "--write"], "");
    let (code, out, _) = site.run(&["list"], "");
    assert_eq!(code, Some(0));
    let lines: Vec<Vec<&str>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "USER", "ORGANIZATION", "ROLES", "EXPIRES", "STATE"]);
    assert_eq!(lines[1], ["alice", "alice", "acme", "reader", "2020-01-01T00:00:00Z", "expired"]);
    assert_eq!(lines[2], ["bob", "bob", "globex", "-", "never", "revoked"]);
    assert_eq!((lines[3][0], &lines[3][5..]), ("carol", &["active", "for", "3", "days"][..]));
    let (_, out, _) = site.run(&["list", "--expiring", "7d"], "");
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains("carol"), "{out}");
    let (_, out, _) = site.run(&["list", "--expiring", "1h", "--json"], "");
    assert_eq!(out.trim(), "[]");
    let (_, out, _) = site.run(&["list", "--json"], "");
    let rows: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(rows[1]["state"], "revoked");
    assert_eq!(rows[1]["expires"], serde_json::Value::Null);
    assert!(!out.contains(&sha256(BOB)), "no digests");
}

#[test]
fn a_token_is_known_by_what_is_read_and_never_printed() {
    let site = Site::new();
    let (code, out, _) = site.run(&["hash"], &format!("{BOB}\n"));
    assert_eq!((code, out.trim()), (Some(0), sha256(BOB).as_str()));
    let (_, _, err) = site.run(&["hash"], "hunter2");
    assert!(err.contains("short enough to be guessed"), "{err}");
    assert_eq!(site.run(&["hash"], "").0, Some(2));

    site.run(&new(&["--write", "--out", "s"]), "");
    let carol = std::fs::read_to_string(site.path("s")).unwrap();
    let typo = carol.replacen("dw_carol_", "dw_carol_x", 1);
    let swapped = carol.trim().chars().rev().take(1).collect::<String>();
    let mistyped = format!(
        "{}{}",
        &carol.trim()[..carol.trim().len() - 1],
        if swapped == "a" { "b" } else { "a" }
    );
    for (token, code, said) in [
        (
            carol.as_str(),
            0,
            "made for the entry `carol`\nentry: carol, of carol in acme\nstate: active",
        ),
        (
            BOB,
            0,
            "not made by doorward, which is no fault\nentry: bob, of bob in globex\nstate: active",
        ),
        (ALICE, 1, "state: expired"),
        (mistyped.as_str(), 1, "a typo?\nentry: none"),
        (typo.as_str(), 1, "entry: none"),
    ] {
        let (exit, out, err) = site.run(&["verify"], token);
        assert_eq!(exit, Some(code), "{out}{err}");
        assert!(out.contains(said), "{out}");
        assert!(!format!("{out}{err}").contains(token.trim()), "{out}{err}");
    }
}
