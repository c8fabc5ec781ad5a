//! Verbs that are needed in trouble need only the keys that they use.

use crate::support::gateway::sha256;
use crate::support::{BOB, Call, Gateway, Setup, Upstream, echo, eventually, tool_call};

/// What may be wrong with a saved file: what stands before it, and what behind it.
const FAULTS: [(&str, &str); 7] = [
    ("", "\n[broken\n"),
    ("x = [\n", ""),
    ("= =\n", ""),
    ("", "\n[nonsense]\nkey = 1\n"),
    ("", "\n[tokens.carol-key]\n"),
    ("", "\n[tokens.dave]\nroles = [\"nobody\"]\n"),
    ("include = [\"missing.toml\"]\n", "\n[roles.x]\ntools = [\"[\"]\n"),
];

fn break_file(gateway: &Gateway, before: &str, behind: &str) {
    let text = std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap();
    let broken = format!("{before}{text}{behind}");
    assert!(!gateway.after_reload(|| gateway.put("gateway.toml", &broken)), "{broken}");
}

#[test]
fn a_token_is_ended_whatever_else_is_wrong_with_the_file() {
    for (before, behind) in FAULTS {
        let upstream = Upstream::good();
        let gateway = Setup::new(&upstream).start();
        break_file(&gateway, before, behind);
        let fault = format!("{before}…{behind}");
        assert_eq!(gateway.ask(&echo()).status, 200, "{fault}");
        let (code, told) = gateway.command(&["health"]);
        assert_eq!((code, &*told), (Some(0), "ready\n"), "{fault}");
        let (code, told) = gateway.command(&["token", "list"]);
        assert!(code == Some(0) && told.contains("alice-key"), "{fault}: {told}");
        assert!(told.contains("error"), "{fault}: what is wrong is said: {told}");
        let seen = upstream.requests().len();
        let (code, told) = gateway.command(&["token", "revoke", "alice-key", "--write"]);
        assert!(code == Some(0) && told.contains("In force: at"), "{fault}: {told}");
        assert!(told.contains("has other errors"), "{fault}: {told}");
        assert_eq!(gateway.ask(&echo()).status, 401, "{fault}");
        assert_eq!(upstream.requests().len(), seen, "{fault}: nothing reached the upstream");
        let bob = Call::post(tool_call("delete_all")).token(BOB);
        assert_eq!(gateway.ask(&bob).status, 200, "{fault}: bob goes on");
        let ended = gateway.status()["config"]["ended_by_refused"].clone();
        assert_eq!(ended, serde_json::json!(["alice-key"]), "{fault}");
        eventually("the log says it", || gateway.events("config.revoked").len() == 1);
        let (code, told) = gateway.command(&["reload"]);
        assert!(code == Some(2) && told.contains("ended all the same"), "{fault}: {told}");
        // A worse file gives nothing back; a mended one says what holds.
        assert!(!gateway.after_reload(|| gateway.put("gateway.toml", "broken")), "{fault}");
        assert_eq!(gateway.ask(&echo()).status, 401, "{fault}: behind a worse one");
    }
}

#[test]
fn records_are_read_and_health_is_asked_although_the_file_has_errors() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(folder.path().join("audit.jsonl"), "").unwrap();
    let run = |verb: &[&str]| {
        let mut doorward = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
        let output = doorward.args(verb).arg("--config").arg(&path).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    for fault in ["[broken\n", "[limits]\nnonsense = 1\n", "[tokens.x]\nroles = [\"y\"]\n"] {
        let rest = "[audit]\nto = \"file\"\nfile = \"audit.jsonl\"\n";
        std::fs::write(&path, format!("[admin]\nlisten = \"{closed}\"\n{rest}{fault}")).unwrap();
        let (code, told) = run(&["health"]);
        assert!(code == Some(1) && told.contains(&format!("not ready: {closed}")), "{told}");
        let (code, told) = run(&["audit"]);
        assert!(code != Some(2) && !told.contains("cannot be read"), "{fault}: {code:?} {told}");
        let (code, told) = run(&["explain", "0123456789abcdef"]);
        assert!(code == Some(1) && told.contains("no record"), "{fault}: {told}");
    }
    // A byte of another encoding spoils its own line at most.
    let text = format!("# M\u{fc}nchen\n[admin]\nlisten = \"{closed}\"\n");
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    std::fs::write(&path, latin).unwrap();
    let (_, told) = run(&["health"]);
    assert!(told.contains(&format!("not ready: {closed}")), "{told}");
    std::fs::write(&path, "[admin\nlisten = 7").unwrap();
    let (_, told) = run(&["health"]);
    assert!(told.contains("asking 127.0.0.1:9901, the default"), "{told}");
}

/// A mistake elsewhere keeps nobody from knowing whose a token is that was found somewhere.
#[test]
fn whose_a_token_is_can_be_told_although_the_file_has_errors() {
    let folder = tempfile::TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let verify = |token: &str| {
        put("token", token);
        let mut doorward = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
        doorward.args(["token", "verify", "--config"]).arg(folder.path().join("gateway.toml"));
        doorward.stdin(std::fs::File::open(folder.path().join("token")).unwrap());
        let output = doorward.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let entry = |name: &str, digest: &str, more: &str| {
        let digest = digest.to_owned();
        format!("[tokens.{name}]\n{digest}\nuser = \"u\"\norganization = \"o\"\n{more}\n")
    };
    let written = |token: &str| format!("sha256 = \"{}\"", sha256(token));
    put("digest", &sha256("filed"));
    let text = entry("one", &written("good"), "expires = \"never\"")
        + &entry("two", "sha256_file = \"digest\"", "expires = 2999-01-01")
        + &entry("three", &written("over"), "expires = 2020-01-01")
        + &entry("four", &written("revoked"), "expires = \"never\"\nrevoked = 2020-01-01");
    for (before, behind) in FAULTS {
        let fault = format!("{before}…{behind}");
        put("gateway.toml", &format!("{before}{text}{behind}"));
        for (token, code, said) in [
            ("good", 0, "entry: one, of u in o\nstate: active\n"),
            ("filed", 0, "entry: two, of u in o\nstate: active for"),
            ("over", 1, "state: expired"),
            ("revoked", 1, "state: revoked"),
            ("unknown", 2, "the token is in no entry that can be read"),
        ] {
            let told = verify(token);
            assert!(told.0 == Some(code) && told.1.contains(said), "{fault}, {token}: {told:?}");
            assert!(told.1.contains("error"), "{fault}: {told:?}");
        }
    }
    std::fs::remove_file(folder.path().join("gateway.toml")).unwrap();
    assert_eq!(verify("good").0, Some(2), "nothing can be read");
}

#[test]
fn a_lock_that_somebody_holds_for_ever_keeps_no_token_alive() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).start();
    let folder = std::fs::File::open(gateway.folder()).unwrap();
    folder.lock().unwrap();
    let (code, told) = gateway.command(&["token", "revoke", "alice-key", "--write"]);
    assert!(code == Some(0) && told.contains("In force: at"), "{told}");
    assert!(told.contains(&format!("locked by process {}", std::process::id())), "{told}");
    assert_eq!(gateway.ask(&echo()).status, 401);
    upstream.assert_untouched("with the token");
}
