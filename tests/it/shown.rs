//! Text from outside is shown for what it is, by whatever prints it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::gateway::sha256;
use crate::support::{ALICE, Call, Next, Setup, Upstream, Wire, echo, eventually, json as answer};

/// Ends quotes and lists, sends commands to terminals, begins lines, turns text around, hides.
fn hostile() -> String {
    format!(
        "x\", \"t/delete_all\u{1b}[2J\u{1b}]0;t\u{7}\r\nFORGED {}ok\u{202e}\u{2066}\u{200b}\u{e0041}\u{9b}\
         \u{2028}\u{85}\u{a0}\u{feff}\u{7f}'[]{{}}`$(id)",
        " ".repeat(256)
    )
}

fn is_raw(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Everything that it shows can be seen, on the line where it belongs.
fn assert_shown(what: &str, text: &str) {
    assert!(is_shown(text), "{what}: {text}");
}

fn is_shown(text: &str) -> bool {
    let is_forged = |line: &str| line.trim_start().starts_with("FORGED");
    !text.contains(is_raw) && !text.lines().any(is_forged)
}

fn record(roles: &[&str], token: &Value, tool: &str, more: &Value) -> String {
    let mut record = json!({
        "v": 1, "time": jiff::Timestamp::now().to_string(), "kind": "request",
        "request_id": "01a21088-0000-7000-8000-000000000000", "auth": "token", "user": "alice",
        "organization": "acme", "token": token, "issuer": null, "roles": roles,
        "client_ip": "127.0.0.1", "upstream": "t", "method": "tools/call", "tool": tool,
        "args": {"mode": "keys", "keys": ["/text"]}, "decision": "allow", "enforced": true,
        "reason": "allowed", "outcome": "ok", "status": 200, "duration_ms": 1.0,
        "instance": "host-1", "seq": 1, "prev": "",
    });
    let fields = record.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    record.to_string() + "\n"
}

/// A configuration whose role is only tried out, so that any name passes.
fn file(url: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstreams.t]\npath = \"/mcp\"\nurl = \"{url}\"\n\
         [roles.agent]\ntools = [\"t/*\"]\nmode = \"shadow\"\nuntil = 2999-01-01\n\
         [tokens.alice]\nsha256 = \"{}\"\nuser = \"alice\"\norganization = \"acme\"\n\
         roles = [\"agent\"]\nexpires = 2999-01-01\n{more}\n",
        sha256(ALICE)
    )
}

/// All that a verb says.
fn run(folder: &Path, verb: &[&str]) -> String {
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    doorward.args(verb.iter().map(|word| word.replace('\0', "")));
    doorward
        .stdin(std::process::Stdio::null())
        .current_dir(folder)
        .env_remove("DOORWARD_CONFIG")
        .env("NO_COLOR", "1");
    let output = doorward.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn what_verbs_say_of_records_shows_what_callers_have_made_up() {
    let (folder, hostile) = (TempDir::new().unwrap(), hostile());
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("gateway.toml", &file("http://127.0.0.1:9/mcp", ""));
    let known = json!("alice");
    let text: Value = hostile.as_str().into();
    let mut all = record(&["agent"], &known, &hostile, &json!({}));
    all += &record(&["agent"], &known, "real_one", &json!({}));
    for field in [
        "user",
        "organization",
        "token",
        "issuer",
        "upstream",
        "method",
        "target",
        "detail",
        "reason",
        "outcome",
        "rule",
        "place",
        "client_ip",
        "instance",
        "time",
        "request_id",
    ] {
        let denied = json!({"decision": "deny", field: text});
        all += &record(&["agent"], &known, "real_one", &denied);
    }
    all += &record(&[&hostile], &Value::Null, &hostile, &json!({"args": {"values": {"a": text}}}));
    put("audit.jsonl", &all);
    for verb in [
        &["audit", "audit.jsonl"][..],
        &["audit", "--json", "audit.jsonl"],
        &["audit", "--group", "tool", "audit.jsonl"],
        &["audit", "--verify", "audit.jsonl"],
        &["unused", "audit.jsonl"],
        &["unused", "--json", "audit.jsonl"],
    ] {
        let said = run(folder.path(), verb);
        assert!(said.contains("real_one") || verb.contains(&"--verify"), "{verb:?}: {said}");
        assert_shown(&verb.join(" "), &said);
    }
    // What came of it stays in sight.
    let said = run(folder.path(), &["audit", "audit.jsonl"]);
    assert!(said.contains("\\u{20}{257}"), "{said}");
    let last = said.find("WHY").unwrap();
    assert!(last < 300 && !said.contains(&" ".repeat(100)), "{said}");
    // Each alone, so that a verb that stops at the first sees them all.
    for line in all.lines() {
        put("one.jsonl", &format!("{line}\n"));
        for verb in
            [&["explain", "01a21088-0000", "one.jsonl"], &["audit", "--verify", "one.jsonl"]]
        {
            let said = run(folder.path(), verb);
            assert_shown(&format!("{verb:?} of {line}"), &said);
        }
    }
}

#[test]
fn what_is_to_be_pasted_holds_only_names_that_a_pattern_can_hold() {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let any = file("http://127.0.0.1:9/mcp", "").replace("[\"t/*\"]", "[\"*/*\"]");
    put("gateway.toml", &any);
    let names =
        [&*hostile(), "x\", \"t/delete_all", "*", "a?", "[ab]", "{a,b}", "two words", "größe"];
    let made_up = names.map(|name| record(&["agent"], &json!("alice"), name, &json!({})));
    let elsewhere = ["x\", \"t", "*", "no_upstream_of_this_file"];
    let elsewhere = elsewhere
        .map(|upstream| record(&["agent"], &json!("alice"), "y", &json!({"upstream": upstream})));
    let good = record(&["agent"], &json!("alice"), "good", &json!({}));
    put("audit.jsonl", &(made_up.concat() + &elsewhere.concat() + &good));
    let said = run(folder.path(), &["unused", "audit.jsonl"]);
    let enough = said.lines().find_map(|line| line.trim().strip_prefix("enough:")).unwrap();
    let pasted: toml::Table = toml::from_str(enough.trim()).unwrap();
    assert_eq!(pasted["tools"].as_array().unwrap(), &[toml::Value::from("t/good")], "{said}");
    let told: Value =
        serde_json::from_str(run(folder.path(), &["unused", "audit.jsonl", "--json"]).trim())
            .unwrap();
    assert_eq!(told["grants"][0]["narrowed"], json!(["t/good"]));
}

#[test]
fn what_verbs_say_of_a_file_shows_what_stands_in_it() {
    let (folder, hostile) = (TempDir::new().unwrap(), hostile());
    let quoted = toml_edit::Value::from(hostile.as_str()).to_string();
    let digest = "ab".repeat(32);
    for (what, more) in [
        ("a key", format!("{quoted} = 1\n")),
        ("a table", format!("[{quoted}]\n")),
        ("a role", format!("[roles.{quoted}]\ntools = []\n")),
        (
            "a token",
            format!(
                "[tokens.{quoted}]\nsha256 = \"{digest}\"\nuser = \"u\"\norganization = \"o\"\n"
            ),
        ),
        (
            "an upstream",
            format!("[upstreams.{quoted}]\npath = \"/u\"\nurl = \"http://127.0.0.1:9/\"\n"),
        ),
        ("a pattern", format!("[roles.more]\ntools = [{quoted}]\n")),
        ("a tool", format!("[tools.{quoted}]\narguments.\"/a\" = {{ in = [{quoted}] }}\n")),
        (
            "a tool of t",
            "[tools.\"t/a\"]\narguments.QUOTED = { in = [QUOTED] }\n".replace("QUOTED", &quoted),
        ),
        (
            "a value",
            "[tools.\"t/a\"]\narguments.\"/a\" = { in = [QUOTED] }\n".replace("QUOTED", &quoted),
        ),
        ("an expectation", format!("[[expect]]\ntoken = {quoted}\nallow = [{quoted}]\n")),
        ("a mode", format!("[roles.more]\nmode = {quoted}\n")),
        ("a file", format!("[audit]\nto = \"file\"\nfile = {quoted}\n")),
        ("an issuer", format!("[issuers.{quoted}]\nissuer = {quoted}\njwks_file = {quoted}\n")),
        ("raw", format!("[roles.more]\nx = \"{}\"\n", hostile.replace(['"', '\\'], ""))),
    ] {
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("gateway.toml", &file("http://127.0.0.1:9/mcp", &more));
        put("old.toml", &file("http://127.0.0.1:9/mcp", ""));
        for verb in [
            &["check"][..],
            &["check", "--json"],
            &["check", "--format", "github"],
            &["diff", "old.toml", "gateway.toml"],
            &["token", "list"],
            &["can", "alice", "t/a", "--why", "--args", "{}"],
            &["can", "alice", &format!("t/{hostile}").replace('\0', "")],
            &["can", &hostile, "t/a"],
            &["token", "revoke", &hostile],
        ] {
            assert_shown(&format!("{what}: {verb:?}"), &run(folder.path(), verb));
        }
    }
}

#[test]
fn what_verbs_and_logs_say_of_upstreams_shows_what_they_name() {
    let hostile = hostile();
    let listed = hostile.clone();
    let upstream = Upstream::script(move |request, wire: &mut Wire| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let sent: Value = serde_json::from_str(&text).unwrap_or_default();
        let tool = |name: &str| json!({"name": name, "description": listed, "inputSchema": {"type": "object"}});
        let result = match sent["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": listed, "version": "1"},
            }),
            Some("tools/list") => json!({"tools": [tool(&listed), tool("echo")]}),
            _ => json!({"content": []}),
        };
        let body = json!({"jsonrpc": "2.0", "id": sent["id"], "result": result}).to_string();
        wire.send(answer("200 OK", "", &body));
        Next::Keep
    });
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let url = format!("http://{}/mcp", upstream.address);
    let grant = "[roles.more]\ntools = [\"t/ecoh\", \"t/x\"]\n";
    put("gateway.toml", &file(&url, grant));
    for verb in [
        &["check", "--online"][..],
        &["lock"],
        &["lock", "--check", "--json"],
        &["lock", "--check"],
    ] {
        let said = run(folder.path(), verb);
        assert_shown(&format!("{verb:?}"), &said);
    }
    let lock = std::fs::read_to_string(folder.path().join("tools.lock")).unwrap();
    assert!(lock.contains("FORGED"), "it was listed: {lock}");
    assert_shown("the lock", &lock);
    put("old.toml", &file(&url, grant));
    put("gateway.toml", &file(&url, &format!("{grant}[lock]\nfile = \"tools.lock\"\n")));
    for verb in [&["diff", "old.toml", "gateway.toml"][..], &["can", "alice"], &["check"]] {
        assert_shown(&format!("{verb:?}"), &run(folder.path(), verb));
    }
    // The log, records and the admin listener of a gateway that meets them.
    let lock = lock.replace("\"echo\"", "\"other\"");
    let gateway = Setup::new(&upstream)
        .file("tools.lock", &lock)
        .everything()
        .more("[lock]\nfile = \"tools.lock\"")
        .start();
    gateway.ask(&Call::post(crate::support::LIST));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": hostile, "arguments": {&hostile: hostile}}});
    gateway.ask(&Call::post(call.to_string()));
    gateway.ask(&echo().target("/\u{1b}[2J"));
    eventually("it is told", || gateway.output().contains("FORGED"));
    assert_shown("log and records", &gateway.output());
    for path in ["/status", "/diff", "/used", "/token?%1B%0A"] {
        assert_shown(path, &gateway.admin(path).1);
    }
}

/// What an upstream calls its tools, and their arguments, is no advice to grant more.
#[test]
fn names_that_an_upstream_made_up_are_offered_as_themselves_or_not_at_all() {
    let names = ["x\", \"t/delete_all", "*", "{a,b}", "e\u{202e}cho", "a  b", "ech"];
    let upstream = Upstream::script(move |request, wire: &mut Wire| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let sent: Value = serde_json::from_str(&text).unwrap_or_default();
        let schema = json!({"type": "object", "additionalProperties": false,
            "properties": {"v\" = { absent = true }, \"": {}, "good": {}}});
        let tool = |name: &str| json!({"name": name, "inputSchema": schema});
        let result = match sent["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            }),
            _ => json!({"tools": names.map(tool)}),
        };
        let body = json!({"jsonrpc": "2.0", "id": sent["id"], "result": result}).to_string();
        wire.send(answer("200 OK", "", &body));
        Next::Keep
    });
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let url = format!("http://{}/mcp", upstream.address);
    put("gateway.toml", &file(&url, "[roles.more]\ntools = [\"t/echo\"]\n"));
    let said = run(folder.path(), &["check", "--online"]);
    let known = said.lines().find_map(|line| line.split_once("known: ")).unwrap().1;
    let list = r#""t/a \u0020b", t/ech, "t/e\u202Echo", "t/x\", \"t/delete_all""#;
    assert_eq!(known.trim(), list, "{said}");
    assert!(said.contains("did you mean `t/ech`?"), "{said}");
    assert!(run(folder.path(), &["lock"]).lines().count() > 1);
    let more =
        "[lock]\nfile = \"tools.lock\"\n[tools.\"t/ech\"]\narguments.\"/v\" = { in = [1] }\n";
    put("gateway.toml", &file(&url, more));
    let said = run(folder.path(), &["check"]);
    let declared = said.lines().find_map(|line| line.split_once("declared: ")).unwrap().1;
    assert_eq!(declared.trim(), r#"good, "v\" = { absent = true }, \"""#, "{said}");
}

/// Verbs with something hostile for an argument, or for the name of a file.
const OF_ARGUMENTS: &[&[&str]] = &[
    &["audit", "NAME"],
    &["audit", "--verify", "NAME"],
    &["audit", "--since", "NAME", "audit.jsonl"],
    &["audit", "--user", "NAME", "audit.jsonl"],
    &["audit", "--tool", "NAME", "audit.jsonl"],
    &["audit", "--reason", "NAME", "audit.jsonl"],
    &["audit", "--group", "NAME", "audit.jsonl"],
    &["can", "alice", "t/a", "--args", "NAME"],
    &["can", "alice", "t/a", "--args", "@NAME"],
    &["can", "--issuer", "NAME", "--claims", "claims.json", "t/a"],
    &["can", "--role", "NAME", "t/a"],
    &["can", "NAME", "t/a"],
    &["can", "alice", "NAME"],
    &["check", "--config", "NAME"],
    &["check", "--explain", "NAME"],
    &["check", "--format", "NAME"],
    &["diff", "NAME", "gateway.toml"],
    &["diff", "gateway.toml", "NAME"],
    &["explain", "NAME", "audit.jsonl"],
    &["explain", "01a21088-0000", "NAME"],
    &["explain", "01a21088-0000", "audit.jsonl", "--args", "NAME"],
    &["health", "--config", "NAME"],
    &["health", "--admin", "NAME"],
    &["lock", "NAME"],
    &["lock", "--as", "NAME"],
    &["lock", "--config", "NAME"],
    &["reload", "--config", "NAME"],
    &["run", "--config", "NAME"],
    &["token", "list", "--config", "NAME"],
    &["token", "list", "--expiring", "NAME"],
    &["token", "new", "NAME", "--user", "u", "--organization", "o", "--out", "one"],
    &["token", "new", "x", "--user", "NAME", "--organization", "o", "--out", "two"],
    &["token", "new", "x", "--user", "u", "--organization", "NAME", "--out", "three"],
    &["token", "new", "x", "--user", "u", "--organization", "o", "--role", "NAME", "--out", "four"],
    &[
        "token",
        "new",
        "x",
        "--user",
        "u",
        "--organization",
        "o",
        "--expires",
        "NAME",
        "--out",
        "five",
    ],
    &["token", "new", "x", "--user", "u", "--organization", "o", "--out", "gateway.toml"],
    &["token", "new", "x", "--user", "u", "--organization", "o", "--out", "BROKEN"],
    &["token", "revoke", "NAME", "--write"],
    &["token", "revoke", "alice", "--at", "NAME"],
    &["token", "revoke", "alice", "--config", "NAME"],
    &["token", "verify", "--config", "NAME"],
    &["unused", "NAME"],
    &["unused", "--since", "NAME"],
    &["NAME"],
    &["token", "NAME"],
];

/// Files can be named by others, and arguments come from scripts.
#[test]
fn what_verbs_say_of_their_arguments_shows_what_they_are() {
    // As long as the name of a file can be.
    let hostile = hostile().replace('/', "|").replace(&" ".repeat(256), &" ".repeat(110));
    let folder = TempDir::new().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("gateway.toml", &file("http://127.0.0.1:9/mcp", ""));
    put("claims.json", "{}");
    put("audit.jsonl", "");
    let broken = format!("broken{hostile}");
    std::fs::write(folder.path().join(&broken), "[\n{\"kind\":\"request\"}\n\n").unwrap();
    let mut wrong = Vec::new();
    for name in [&*hostile, &broken] {
        for verb in OF_ARGUMENTS {
            let verb =
                verb.iter().map(|word| word.replace("NAME", name).replace("BROKEN", &broken));
            let verb: Vec<String> = verb.collect();
            let verb: Vec<&str> = verb.iter().map(String::as_str).collect();
            let said = run(folder.path(), &verb);
            if !is_shown(&said) || said.contains(&" ".repeat(100)) {
                let verb: Vec<&str> = verb.iter().copied().filter(|word| word.len() < 50).collect();
                wrong.push(format!("{verb:?}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever a verb says goes through one of the functions that escape it.
#[test]
fn no_verb_prints_by_itself() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let is_place = path.ends_with("talk.rs");
            for way in ["print!(", "println!(", "stdout()", "stderr().lock", "dbg!("] {
                let asks = text.contains("stdout().is_terminal()") && way == "stdout()";
                assert!(is_place || asks || !text.contains(way), "{}: {way}", path.display());
            }
            let spells = text.contains(".display()") && !path.ends_with("token/verify.rs");
            assert!(is_place || !spells, "{}: a name as it is", path.display());
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}
