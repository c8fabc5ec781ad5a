//! What is no regular file, in the place of every file that is read or written: nobody waits for it,
//! and it is said what it is.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Kinds, and the word for each.
const KINDS: [&str; 4] = ["named pipe", "folder", "socket", "device"];

fn put(kind: &str, path: &Path) {
    let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
    match kind {
        "named pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "folder" => std::fs::create_dir(path).unwrap(),
        // The name stays when the socket is closed.
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "device" => symlink("/dev/zero", path).unwrap(),
        _ => unreachable!(),
    }
}

/// The exit code of a verb and all that it says; `None` where it waits for ever.
fn run(folder: &Path, verb: &[&str]) -> (Option<i32>, String) {
    let out = folder.join("said");
    let file = std::fs::File::create(&out).unwrap();
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    doorward.args(verb).current_dir(folder).env_remove("DOORWARD_CONFIG").env("NO_COLOR", "1");
    doorward.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = doorward.spawn().unwrap();
    let began = Instant::now();
    let code = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            // What waits for nobody is done long before.
            None if began.elapsed() > Duration::from_secs(60) => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::park_timeout(Duration::from_millis(5)),
        }
    };
    (code, String::from_utf8_lossy(&std::fs::read(out).unwrap()).into_owned())
}

const CONFIG: &str = r#"
include = ["more.toml"]
[server]
listen = ["127.0.0.1:0"]
public_url = "http://127.0.0.1:8080"
session_key_file = "session.key"
[server.tls]
cert_file = "tls.crt"
key_file = "tls.key"
client_ca_file = "clients.pem"
[admin]
listen = "127.0.0.1:1"
[identity]
assertion = { key_file = "assertion.pem", retired_key_files = ["retired.pem"] }
[upstreams.t]
path = "/t"
url = "https://127.0.0.1:9/mcp"
ca_file = "ca.pem"
credential = { bearer_file = "bearer" }
client_cert_file = "own.crt"
client_key_file = "own.key"
[issuers.i]
issuer = "https://login.example"
jwks_file = "keys.jwks"
organization = "o"
[issuers.j]
issuer = "https://other.example"
jwks_url = "https://other.example/keys"
ca_file = "issuer.pem"
organization = "p"
[roles.r]
tools = ["t/a"]
[tokens.w]
sha256_file = "digest"
user = "w"
organization = "o"
roles = ["r"]
expires = 2099-01-01
[lock]
file = "tools.lock"
[audit]
to = "file"
file = "records/audit.jsonl"
"#;

/// Files that the configuration names.
const FILES: [&str; 17] = [
    "more.toml",
    "session.key",
    "tls.crt",
    "tls.key",
    "clients.pem",
    "assertion.pem",
    "retired.pem",
    "ca.pem",
    "bearer",
    "own.crt",
    "own.key",
    "keys.jwks",
    "issuer.pem",
    "digest",
    "tools.lock",
    "records/audit.jsonl",
    "gateway.toml",
];

fn site() -> TempDir {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("records")).unwrap();
    put("gateway.toml", CONFIG);
    put("more.toml", "");
    put("session.key", &"k".repeat(64));
    put("bearer", "secret");
    put("digest", &"1".repeat(64));
    put("tools.lock", r#"{"version":1,"upstreams":{}}"#);
    put("records/audit.jsonl", "");
    put(
        "keys.jwks",
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    );
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for name in ["tls.crt", "clients.pem", "ca.pem", "own.crt", "issuer.pem"] {
        put(name, &made.cert.pem());
    }
    for name in ["tls.key", "own.key"] {
        put(name, &made.signing_key.serialize_pem());
    }
    for name in ["assertion.pem", "retired.pem"] {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        put(name, &key.serialize_pem());
    }
    folder
}

#[test]
fn what_is_no_file_in_the_place_of_one_that_the_configuration_names_is_an_error_and_no_wait() {
    let whole = site();
    let (code, said) = run(whole.path(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
    let mut wrong = Vec::new();
    for name in FILES {
        for kind in KINDS {
            // Records may go to a device.
            if name == "records/audit.jsonl" && kind == "device" {
                continue;
            }
            let folder = site();
            put(kind, &folder.path().join(name));
            let place = |said: &str| said.contains(name.rsplit('/').next().unwrap());
            for verb in [&["check"][..], &["run"]] {
                let (code, said) = run(folder.path(), verb);
                if code.is_none() || code == Some(0) || !said.contains(kind) || !place(&said) {
                    wrong.push(format!("{verb:?} with a {kind} for {name}: {code:?} {said}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_verb_waits_for_what_is_no_file() {
    const VERBS: &[&[&str]] = &[
        &["diff", "ODD", "gateway.toml"],
        &["diff", "gateway.toml", "ODD"],
        &["audit", "ODD"],
        &["audit", "--verify", "ODD"],
        &["unused", "ODD"],
        &["explain", "01a21088-0000", "ODD"],
        &["can", "w", "t/a", "--args", "@ODD"],
        &["can", "--issuer", "i", "--claims", "ODD", "t/a"],
        &["lock", "--check", "--config", "odd/gateway.toml"],
        &[
            "token",
            "new",
            "x",
            "--user",
            "x",
            "--organization",
            "o",
            "--out",
            "secret",
            "--write",
            "--config",
            "ODD",
        ],
        &["token", "revoke", "w", "--write", "--config", "ODD"],
        &["token", "list", "--config", "ODD"],
        &["health", "--config", "ODD"],
        &["reload", "--config", "ODD"],
        &["check", "--config", "ODD"],
    ];
    let mut wrong = Vec::new();
    for kind in KINDS {
        let folder = site();
        put(kind, &folder.path().join("ODD"));
        for verb in VERBS {
            let (code, said) = run(folder.path(), verb);
            let is_named = said.contains(kind) || verb.contains(&"odd/gateway.toml");
            if code.is_none() || code == Some(0) || !is_named {
                wrong.push(format!("{verb:?} with a {kind}: {code:?} {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file of tools that is none is never written over.
#[test]
fn what_is_written_takes_the_place_of_files_only() {
    for kind in KINDS {
        let folder = site();
        let config = CONFIG.replace("[lock]\nfile = \"tools.lock\"\n", "");
        std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
        let lock: PathBuf = folder.path().join("tools.lock");
        put(kind, &lock);
        let (code, said) = run(folder.path(), &["lock"]);
        assert!(code.is_some_and(|code| code != 0), "{kind}: {code:?} {said}");
        let about = std::fs::metadata(&lock).unwrap();
        assert!(!about.is_file(), "{kind}: {said}");
        let verb =
            ["token", "new", "x", "--user", "x", "--organization", "o", "--out", "tools.lock"];
        let (code, said) = run(folder.path(), &verb);
        assert!(code.is_some_and(|code| code != 0) && said.contains("cannot be made"), "{said}");
    }
}
