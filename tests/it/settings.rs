//! The words of `check` about a file: as many as there are causes, and none that somebody has
//! accepted; and settings at the ends of their ranges.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Call, Next, Setup, Upstream, echo, json};

const GOOD: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "0.0.0.0:0"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:1/mcp"
[roles.reader]
tools = ["t/*"]
[tokens.a]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "alice"
organization = "acme"
roles = ["reader"]
expires = "never"
[tokens.b]
sha256 = "2222222222222222222222222222222222222222222222222222222222222222"
user = "bob"
organization = "acme"
roles = ["reader"]
expires = "never"
"#;

/// Exit code, findings as `line code`, and all that is said to a person.
fn check(text: &str, files: &[(&str, &str)]) -> (Option<i32>, Vec<String>, String) {
    check_with(text, files, &[])
}

fn check_with(
    text: &str,
    files: &[(&str, &str)],
    more: &[&str],
) -> (Option<i32>, Vec<String>, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let ran = |options: &[&str]| {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let doorward = doorward.args(["check", "--config"]).arg(&path).args(options).args(more);
        doorward.env("NO_COLOR", "1").output().unwrap()
    };
    let told: Value = serde_json::from_slice(&ran(&["--json"]).stdout).unwrap();
    let findings = told["findings"].as_array().unwrap().iter();
    let findings = findings
        .map(|finding| format!("{} {}", finding["line"], finding["code"].as_str().unwrap()))
        .collect();
    let output = ran(&["--deny-warnings"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), findings, said)
}

#[test]
fn a_warning_is_accepted_by_its_code_and_where_it_stands() {
    let all = ["5 DW0102", "10 DW0105", "11 DW0106", "17 DW0106"];
    for (accept, left) in [
        ("", &all[..]),
        ("\"DW0102\"", &all[1..]),
        ("\"dw0102\", \"DW0105\"", &all[2..]),
        ("\"DW0102\", \"DW0105\", \"DW0106\"", &[]),
        ("\"DW0102 admin\", \"DW0105 roles.reader.tools\", \"DW0106 tokens\"", &[]),
        ("\"DW0102 admin.listen\", \"DW0105 roles\", \"DW0106 tokens.a\"", &all[3..]),
        ("\"DW0102\", \"DW0105\", \"DW0106 tokens.a\", \"DW0106 tokens.b\"", &[]),
        // A key that only begins alike is another one.
        (
            "\"DW0102\", \"DW0105\", \"DW0106 tokens.b\", \"DW0106 token\"",
            &["11 DW0106", "24 DW0123"],
        ),
        ("\"DW0102\", \"DW0105 roles.read\", \"DW0106\"", &["10 DW0105", "24 DW0123"]),
        ("\"DW0102\", \"DW0105\", \"DW0106\", \"DW0104\"", &["24 DW0123"]),
        // These come and go by themselves.
        ("\"DW0102\", \"DW0105\", \"DW0106\", \"DW0107\", \"DW0114\"", &[]),
        ("\"DW0102\", \"DW0105\", \"DW0106\", \"DW0017\"", &["24 DW0006"]),
        ("\"DW0102\", \"DW0105\", \"DW0106\", \"\"", &["24 DW0006"]),
        ("\"DW0102\", \"DW0105\", \"DW0106\", 105", &["24 DW0004"]),
    ] {
        let text = format!("{GOOD}[check]\naccept = [{accept}]\n");
        let (code, findings, said) = check(&text, &[]);
        assert_eq!(findings, left, "{accept}: {said}");
        assert_eq!(code, Some(if left.is_empty() { 0 } else { 2 }), "{accept}: {said}");
        let is_told = said.contains("accepted: ");
        assert_eq!(is_told, left.len() < 4 && accept.contains("DW010"), "{accept}: {said}");
    }
    let text = format!("{GOOD}[check]\naccept = [\"DW0102\", \"DW0105\", \"DW0106\"]\n");
    let (_, _, said) = check(&text, &[]);
    assert!(said.contains("accepted: DW0102, DW0105, DW0106 (2 times)\n"), "{said}");
}

#[test]
fn the_configuration_of_the_containers_passes_without_warnings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gateway.compose.toml");
    let text = std::fs::read_to_string(root).unwrap();
    let digest = |c: &str| c.repeat(64);
    let text = text.replace("ALICE_SHA256", &digest("1")).replace("BOB_SHA256", &digest("2"));
    let key = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]).output().unwrap();
    let key = String::from_utf8(key.stdout).unwrap();
    let files = [("session.key", digest("a")), ("assertion.pem", key)];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let (code, findings, said) = check_with(&text, &files, &["--elsewhere"]);
    assert_eq!((code, findings), (Some(0), Vec::new()), "{said}");
    // Its address is that of a container.
    let (code, findings, said) = check(&text, &files);
    assert_eq!(code, Some(2), "{said}");
    assert!(findings.iter().all(|finding| finding.ends_with(" DW0021")), "{findings:?}");
}

/// One fault is one error, and not as many as there are lines behind it.
#[test]
fn a_cause_is_told_and_its_consequences_are_not() {
    let many = "x = \"\n[y\nz = '\n".repeat(60);
    for (from, to, files, expected, said) in [
        ("tools = [\"t/*\"]", "tools = [\"t/*\"", &[][..], &["DW0002"][..], "follow"),
        ("[tokens.a]", "[tokens.a", &[], &["DW0002"], "unclosed table"),
        ("user = \"alice\"", "user = \"alice", &[], &["DW0002"], ""),
        (
            "user = \"alice\"",
            "user = \"alice\"\nuser = \"x\"",
            &[],
            &["DW0002"],
            "first one is in line 13",
        ),
        ("[tokens.b]", "[tokens.a]", &[], &["DW0002"], "first one is in line 11"),
        ("[tokens.b]", "[\"tokens\".'a']", &[], &["DW0002"], "first one is in line 11"),
        ("roles = [\"reader\"]", "roles = [\"reader\"]\nroles.x = 1", &[], &["DW0002"], ""),
        ("\n[server]", &format!("{many}[server]"), &[], &["DW0002"], "follow"),
        (
            "\n[server]",
            "include = [\"gateway.toml\"]\n[server]",
            &[],
            &["DW0013"],
            "this very file",
        ),
        (
            "\n[server]",
            "include = [\"./gateway.toml\", \"*.toml\"]\n[server]",
            &[],
            &["DW0013", "DW0013"],
            "this very file",
        ),
        (
            "\n[server]",
            "include = [\"more\"]\n[[expect]]\ntoken = \"c\"\nallow = [\"t/x\"]\n[server]",
            &[("more", "[tokens.c\n")],
            &["DW0002"],
            "more:1:",
        ),
        (
            "\n[server]",
            "include = [\"none\"]\n[[expect]]\ntoken = \"c\"\nallow = [\"t/x\"]\n[server]",
            &[],
            &["DW0001"],
            "",
        ),
        ("[upstreams.t]", "[upstream.t]", &[], &["DW0003"], "did you mean `upstreams`?"),
        ("user = \"alice\"", "usre = \"alice\"", &[], &["DW0003"], "did you mean `user`?"),
        ("path = \"/mcp\"", "pth = \"/mcp\"", &[], &["DW0003"], "did you mean `path`?"),
        ("", "[tools.\"t/x\"]\narguments.\"/a\" = { maxx = 1 }", &[], &["DW0003"], "maxx"),
        ("", "[tools.\"t/x\"]\narguments.\"/a\" = { in = [] }", &[], &["DW0014"], "`in`"),
        ("", "[tools.\"t/x\"]\narguments.\"/a\" = { glob = 1 }", &[], &["DW0004"], "glob"),
        ("", "[tools.\"t/x\"]\narguments.\"/a\" = 1", &[], &["DW0004"], "a table like"),
        ("", "[tools.\"t/x\"]\narguments.\"/a\" = { }", &[], &["DW0014"], "nothing is asked"),
        (
            "",
            "[tools.\"t/x\"]\narguments.\"/a\" = { optional = true }",
            &[],
            &["DW0014"],
            "nothing is asked",
        ),
    ] {
        let text = match from {
            "" => format!("{GOOD}{to}\n"),
            from => GOOD.replacen(from, to, 1),
        };
        let (code, findings, told) = check(&text, files);
        let errors: Vec<&str> = findings
            .iter()
            .filter_map(|finding| finding.split(' ').nth(1))
            .filter(|code| *code < "DW0100")
            .collect();
        assert_eq!((code, &errors[..]), (Some(2), expected), "{to}: {told}");
        assert!(told.contains(said), "{to}: {said:?} is not in {told}");
        assert!(told.lines().count() < 40, "{to}: {told}");
    }
}

/// The keys of the limits and of an upstream, with the ends of their ranges.
fn ends(pointer: &str, end: usize) -> String {
    let schema = include_str!("../../deploy/gateway.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let properties = schema.pointer(&format!("{pointer}/properties")).unwrap();
    let line = |(key, about): (&String, &Value)| {
        if about["type"] == "integer" {
            let bound = ["minimum", "maximum"][end];
            return Some(format!("{key} = {}\n", about[bound]));
        }
        let is_sized = about["$ref"] == "#/$defs/duration" || about["$ref"] == "#/$defs/size";
        let text = about["description"].as_str().filter(|_| is_sized)?;
        let (_, range) = text.rsplit_once("from ").unwrap();
        let value = range.trim_end_matches('.').split(" to ").nth(end).unwrap().to_owned();
        // Whoever waits a thousandth of a second for a client or an upstream gets no answer.
        let value = if key.contains("timeout") && end == 0 { "5s" } else { &value };
        Some(format!("{key} = \"{value}\"\n"))
    };
    properties.as_object().unwrap().iter().filter_map(line).collect()
}

#[test]
fn the_gateway_runs_and_answers_at_both_ends_of_every_range() {
    for end in [0, 1] {
        let upstream = Upstream::good();
        let limits = ends("/properties/limits", end);
        assert!(limits.lines().count() >= 10, "{limits}");
        let lines = ends("/$defs/upstream", end);
        // A stream of a millisecond is over before its answer is.
        let lines = lines.replace("stream_idle = \"1ms\"", "stream_idle = \"5s\"");
        let lines = lines.replace("stream_max = \"1ms\"", "stream_max = \"5s\"");
        let gateway = Setup::new(&upstream).limits(&limits).upstream(&lines).start();
        // One connection is the least that there can be.
        let mut client = gateway.connect();
        for _ in 0..2 {
            assert_eq!(client.ask(&echo()).status, 200, "{limits}{lines}");
        }
        let streamed = Upstream::script(|_, wire| {
            wire.send(crate::support::sse());
            wire.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n");
            wire.chunk("");
            Next::Keep
        });
        let gateway = Setup::new(&streamed).limits(&limits).upstream(&lines).start();
        let answer = gateway.ask(&echo());
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("result"), "{}", answer.text());
        assert!(!gateway.output().contains("panicked"), "{}", gateway.output());
    }
}

/// The step of the README, as it stands there, before a server with other tools than the demo's.
#[test]
fn the_step_to_guard_a_server_ends_in_a_list_that_is_not_empty() {
    let tools = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"read"},{"name":"other"}]}}"#;
    let upstream = Upstream::fixed(json("200 OK", "", tools), Next::Keep);
    let readme = include_str!("../../README.md");
    let section = readme.split("## Guard a server").nth(1).unwrap().split("\n## ").next().unwrap();
    let block = section.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut text = include_str!("../../gateway.toml").to_owned();
    let mut table = "";
    for line in block.lines() {
        if line.starts_with('[') {
            table = line;
            continue;
        }
        let key = line.split(' ').next().unwrap();
        let from = text.find(&format!("\n{table}")).unwrap() + 1;
        // What is replaced: `builtin` by `url`, and `tools` by others.
        let old = if key == "url" { "builtin" } else { key };
        let at = from + text[from..].find(&format!("\n{old} ")).unwrap() + 1;
        let end = at + text[at..].find('\n').unwrap();
        text.replace_range(at..end, line);
    }
    let server = format!("http://{}/mcp", upstream.address);
    let text = text
        .replace("http://127.0.0.1:8001/mcp\"\n", &format!("{server}\"\n"))
        .replace("127.0.0.1:8080\"]", "127.0.0.1:0\"]")
        .replace("127.0.0.1:9901", "127.0.0.1:0");
    let gateway = Setup::verbatim(&text);
    let answer = gateway.ask(&Call::post(crate::support::LIST).token("dev-alice-token"));
    assert_eq!(answer.status, 200);
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    let names: Vec<&str> = told["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["echo", "read"], "{text}");
}
