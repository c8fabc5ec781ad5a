//! What an edit changes, for whom, and whether it gives anybody more.

use std::path::Path;

use doorward::config::{self, Config};
use doorward::core::access::{Difference, Tools};
use doorward::core::argument;
use doorward::core::permission::{Question, Target, TargetKind};
use doorward::core::policy::Policy;
use doorward::core::principal::PresentedToken;
use doorward::core::trace::NoTrace;

use crate::support::gateway::sha256;
use crate::support::{ALICE, Call, Gateway, Setup, Upstream, echo, eventually, tool_call};

const BEFORE: &str = r#"
[server]
public_url = "https://mcp.example.com"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:9/mcp"
[roles.reader]
tools = ["t/read_*", "t/create"]
deny = ["t/read_secret"]
[[roles.reader.when]]
tools = ["t/create"]
arguments."/p" = { in = ["low"] }
[tools."t/read_a"]
arguments."/n" = { max = 9 }
[tokens.alice]
sha256 = "DIGEST"
user = "alice"
organization = "acme"
roles = ["reader"]
tools = ["t/x"]
expires = 2999-01-01
[issuers.corp]
issuer = "https://login.example.com"
jwks_url = "https://login.example.com/certs"
organization = "acme"
roles_claim = "groups"
roles_map = { readers = "reader" }
"#;

const NOW: i64 = 1_800_000_000;

fn parsed(text: &str) -> Result<Config, String> {
    let text = text.replace("DIGEST", &sha256(ALICE));
    config::parse(Path::new("gateway.toml"), &text).map_err(|f| f.to_string())
}

fn read(text: &str) -> Config {
    parsed(text).unwrap()
}

/// From [`BEFORE`] with `from` to the same with `to`.
fn difference(from: &str, to: &str) -> Difference {
    assert!(BEFORE.contains(from), "{from}");
    let (old, new) = (read(BEFORE), read(&BEFORE.replacen(from, to, 1)));
    let tools: Tools = old.named_tools.union(&new.named_tools).cloned().collect();
    Difference::between(&old.policy, &new.policy, &tools, NOW)
}

/// Edits of [`BEFORE`], with the beginning of a line that says what each changes.
const EDITS: &[(&str, &str, &str)] = &[
    (
        "[\"t/read_*\", ",
        "[\"t/read_*\", \"t/delete\", ",
        "+ token alice, JWTs of corp, group readers: gains t/delete",
    ),
    ("t/read_*", "t/re*", "+ token alice, JWTs of corp, group readers: has other patterns"),
    ("t/read_*", "t/read_one", "- token alice, JWTs of corp, group readers: loses t/read_a"),
    (
        "\"t/create\"]\ndeny",
        "]\ndeny",
        "- token alice, JWTs of corp, group readers: loses t/create",
    ),
    (
        "deny = [\"t/read_secret\"]",
        "",
        "+ token alice, JWTs of corp, group readers: gains t/read_secret",
    ),
    (
        "deny = [",
        "deny = [\"t/read_b\", ",
        "- token alice, JWTs of corp, group readers: loses t/read_b",
    ),
    (
        "{ in = [\"low\"] }",
        "{ in = [\"low\", \"urgent\"] }",
        "+ token alice, JWTs of corp, group readers: has other",
    ),
    (
        "{ in = [\"low\"] }",
        "{ in = [\"low\"] }\nmode = \"shadow\"\nuntil = 2999-01-01",
        "+ token alice",
    ),
    ("[roles.reader]", "[roles.reader]\nmode = \"shadow\"\nuntil = 2999-01-01", "+ token alice"),
    (
        "{ max = 9 }",
        "{ max = 10 }",
        "+ token alice, JWTs of corp, group readers: has fewer conditions",
    ),
    (
        "[tools.\"t/read_a\"]",
        "[tools.\"t/read_b\"]\narguments.\"/n\" = { max = 1 }\n[tools.\"t/read_a\"]",
        "- token alice, JWTs of corp, group readers: has more or narrower conditions",
    ),
    (
        "{ max = 9 }",
        "{ max = 8 }",
        "- token alice, JWTs of corp, group readers: has more or narrower conditions",
    ),
    (
        "{ max = 9 }",
        "{ max = 8.5 }",
        "+ token alice, JWTs of corp, group readers: has fewer conditions",
    ),
    ("tools = [\"t/x\"]", "tools = []", "- token alice: loses t/x"),
    ("tools = [\"t/x\"]", "tools = [\"t/x\", \"*/y\"]", "+ token alice: gains t/y"),
    ("user = \"alice\"", "user = \"root\"", "+ token alice: is root of acme and was alice of acme"),
    (
        "DIGEST",
        "00000000000000000000000000000000000000000000000000000000000000aa",
        "+ token alice: has another secret",
    ),
    ("expires = 2999-01-01", "expires = \"never\"", "+ token alice: has another end"),
    ("expires = 2999-01-01", "expires = 2998-01-01", "- token alice: has another end"),
    (
        "expires = 2999-01-01",
        "expires = 2999-01-01\nrevoked = 2020-01-01T00:00:00Z",
        "- token alice: is revoked; loses t/create, t/read_a, t/x",
    ),
    ("[tokens.alice]", "[tokens.bob]", "- token alice: is gone; loses t/create, t/read_a, t/x"),
    (
        "[tokens.alice]",
        "[tokens.bob]",
        "+ token bob: is new, for alice of acme; gains t/create, t/read_a, t/x",
    ),
    ("readers = \"reader\"", "", "- JWTs of corp, group readers: loses t/create, t/read_a"),
    (
        "{ readers = \"reader\" }",
        "{ readers = \"reader\", all = \"reader\" }",
        "+ JWTs of corp, group all: gains",
    ),
    (
        "roles_claim = \"groups\"",
        "roles_claim = \"teams\"",
        "+ JWTs of corp: are checked in another way",
    ),
    (
        "https://login.example.com\"\njwks",
        "https://other.example.com\"\njwks",
        "+ JWTs of corp: are checked in another way",
    ),
    (
        "path = \"/mcp\"\n",
        "path = \"/mcp\"\ntasks = \"sealed\"\n",
        "+ upstream t: lets tasks through",
    ),
];

#[test]
fn an_edit_that_gives_more_is_told_from_one_that_does_not() {
    for (from, to, said) in EDITS {
        let difference = difference(from, to);
        let lines = difference.lines();
        assert!(lines.iter().any(|line| line.starts_with(said)), "{from} -> {to}: {lines:#?}");
        assert_eq!(difference.widens(), lines.iter().any(|line| line.starts_with('+')), "{to}");
    }
}

/// Whether alice may call it by this policy.
fn may(policy: &Policy, tool: &str, arguments: &str) -> bool {
    let header = format!("Bearer {ALICE}");
    let token = PresentedToken::from_authorization(&header).unwrap();
    let (Ok(alice), Some(route)) = (policy.identify(token, NOW), policy.route(b"/mcp")) else {
        return false;
    };
    let (user, organization) = (alice.user().as_str(), alice.organization().as_str());
    let facts = &route.facts;
    let call = Some(argument::Call { arguments: Some(arguments), user, organization, facts });
    let target = Target { kind: TargetKind::Tool, name: tool };
    let question = Question { call, ..route.question(target, NOW) };
    alice.judge(&question, &mut NoTrace).passes()
}

#[test]
fn while_any_edit_is_held_exactly_that_passes_which_either_file_lets_pass() {
    let tools = ["read_a", "read_b", "read_secret", "create", "x", "y", "delete", "other"];
    let all = ["{}", r#"{"p":"low","n":9}"#, r#"{"p":"urgent","n":10}"#, r#"{"p":"low","n":1}"#];
    let texts: Vec<String> = EDITS
        .iter()
        .flat_map(|one| EDITS.iter().map(move |other| (one, other)))
        .map(|(one, other)| BEFORE.replacen(one.0, one.1, 1).replacen(other.0, other.1, 1))
        .filter(|text| parsed(text).is_ok())
        .collect();
    assert!(texts.len() > 300, "{}", texts.len());
    let taken = read(BEFORE).policy;
    let mut differing = [0, 0];
    for text in &texts {
        let held = read(text).policy;
        let bounded = taken.bounded_by(read(text).policy);
        for (tool, arguments) in tools.iter().flat_map(|t| all.iter().map(move |a| (t, a))) {
            let (was, is) = (may(&taken, tool, arguments), may(&held, tool, arguments));
            assert_eq!(may(&bounded, tool, arguments), was && is, "{tool} {arguments}: {text}");
            differing[0] += usize::from(was && !is);
            differing[1] += usize::from(!was && is);
        }
    }
    assert!(differing.iter().all(|count| *count > 100), "{differing:?}");
}

#[test]
fn an_edit_that_changes_nobodys_rights_says_nothing() {
    for (from, to) in
        [("[upstreams.t]", "# a comment\n\n[upstreams.t]"), ("127.0.0.1:9/", "127.0.0.1:10/")]
    {
        assert!(difference(from, to).is_empty(), "{to}: {:?}", difference(from, to).lines());
    }
}

#[test]
fn an_upstream_that_is_new_is_reached_by_those_whose_patterns_cover_it() {
    let any = BEFORE.replace("[\"t/x\"]", "[\"*/x\"]");
    let two = any.replace(
        "[roles.reader]",
        "[upstreams.u]\npath = \"/u\"\nurl = \"http://127.0.0.1:9/mcp\"\n[roles.reader]",
    );
    let (old, new) = (read(&any), read(&two));
    let tools: Tools = old.named_tools.union(&new.named_tools).cloned().collect();
    let difference = Difference::between(&old.policy, &new.policy, &tools, 0);
    let expected = [
        "+ token alice: reaches u; gains u/x",
        "+ upstream u (https://mcp.example.com/u), JWTs of corp: are good there",
    ];
    assert_eq!(difference.lines(), expected);
}

const ACK: &str = "[reload]\nwidening = \"ack\"\n";
const GRANT: &str = "[\"t/echo\", \"t/read\"]";

fn is_refused(gateway: &Gateway, tool: &str) -> bool {
    gateway.ask(&Call::post(tool_call(tool))).text().contains("Unknown tool")
}

#[test]
fn a_reload_that_gives_more_is_held_until_somebody_says_yes() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(ACK).start();
    assert_eq!(gateway.command(&["reload", "--ack"]).0, Some(1), "nothing is held");
    let held = || gateway.events("config.held").len();
    gateway.put(
        "gateway.toml",
        &std::fs::read_to_string(gateway.folder().join("gateway.toml"))
            .unwrap()
            .replace(GRANT, "[\"t/echo\", \"t/delete_all\"]"),
    );
    eventually("it is held", || held() == 1);
    // What it takes away is gone at once.
    assert!(is_refused(&gateway, "delete_all") && is_refused(&gateway, "read"));
    let status = gateway.status();
    let changes = &status["config"]["held"]["changes"];
    assert_eq!(
        changes[0],
        "+ token alice-key, token alice-new-key: gains t/delete_all; loses t/read"
    );
    assert!((gateway.metric("doorward_config_last_reload_successful") - 0.0).abs() < 0.1);
    let (code, told) = gateway.command(&["diff"]);
    assert_eq!((code, told.lines().next()), (Some(1), changes[0].as_str()), "{told}");
    let (code, told) = gateway.command(&["reload"]);
    assert!(code == Some(1) && told.contains("--ack"), "asked again, not taken: {told}");
    assert!(is_refused(&gateway, "delete_all"));
    let (code, told) = gateway.command(&["reload", "--ack"]);
    assert!(code == Some(0) && told.contains("gains t/delete_all"), "{told}");
    assert!(!is_refused(&gateway, "delete_all") && is_refused(&gateway, "read"));
    assert!(gateway.status()["config"]["held"].is_null());
    assert_eq!(gateway.command(&["diff"]), (Some(0), "nothing changes\n".into()));
}

#[test]
fn to_be_asked_no_longer_needs_a_yes_as_well_and_less_needs_none() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(ACK).start();
    assert!(gateway.edit(GRANT, "[\"t/echo\"]"), "less is taken at once");
    assert!(is_refused(&gateway, "read"));
    let file = gateway.folder().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    gateway
        .put("gateway.toml", &text.replace("\"ack\"", "\"apply\"").replace("[\"t/echo\"]", GRANT));
    eventually("it is held", || gateway.events("config.held").len() == 1);
    assert!(is_refused(&gateway, "read"));
    // A held file that is broken is refused like every other, and one that is put back is taken.
    gateway.put("gateway.toml", "broken");
    let (code, told) = gateway.command(&["reload"]);
    assert_eq!(code, Some(2), "{told}");
    gateway.put("gateway.toml", &text);
    assert_eq!(gateway.command(&["reload"]).0, Some(0));
    assert_eq!(gateway.ask(&echo()).status, 200);
}

#[test]
fn the_running_gateway_knows_what_nobody_uses() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).start();
    gateway.ask(&echo());
    gateway.ask(&Call::post(tool_call("delete_all")));
    gateway.ask(&Call::post(crate::support::LIST).token(crate::support::BOB));
    let told = || {
        let (code, told) = gateway.command(&["unused", "--running", "--json"]);
        assert_eq!(code, Some(1), "{told}");
        serde_json::from_str::<serde_json::Value>(&told).unwrap()
    };
    // What was done is remembered when the record of it is written.
    gateway.audit(3);
    eventually("it is remembered", || told()["records"] == 3);
    let told = told();
    assert_eq!(told["tokens"], serde_json::json!(["alice-new-key", "carol-key"]));
    let grants: Vec<_> = told["grants"].as_array().unwrap().iter().collect();
    assert_eq!(grants[0]["unused"], serde_json::json!(["t/read"]));
    assert_eq!(grants[0]["narrowed"], serde_json::json!(["t/echo"]));
    assert_eq!(grants[1]["unused"], serde_json::json!(["t/delete_all"]));
    let (code, words) = gateway.command(&["unused", "--running"]);
    assert!(code == Some(1) && words.contains("3 uses, which begin only at"), "{words}");
}
