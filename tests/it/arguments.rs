//! Calls that may be made with some arguments and not with others.

use serde_json::Value;

use crate::support::{BOB, Call, Gateway, LIST, MODERN, Setup, Upstream, modern, rpc};

const RULES: &str = r#"
[[roles.reader.when]]
tools = ["t/echo"]
arguments."/priority" = { in = ["low", "normal"] }
arguments."/filter/org" = { equals_organization = true, optional = true }
message = "low and normal only"

[tools."*/{echo,delete_all}"]
arguments."/text" = { max_length = 5, optional = true }
"#;

fn guarded() -> (Upstream, Gateway) {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(RULES).start();
    (upstream, gateway)
}

fn echo(arguments: &str) -> Call {
    let params = format!(r#"{{"name":"echo","arguments":{arguments}}}"#);
    Call::post(rpc(r#""q-1""#, "tools/call", &params))
}

fn modern_echo(arguments: &str) -> Call {
    let params = format!(r#""name":"echo","arguments":{arguments}"#);
    modern("tools/call", &params).header("Mcp-Name", "echo")
}

#[test]
fn a_call_is_refused_for_its_arguments_with_a_result_that_the_model_reads() {
    let (upstream, gateway) = guarded();
    for (arguments, said) in [
        (r#"{"priority":"urgent"}"#, "low and normal only"),
        (r#"{"priority":["low"]}"#, "low and normal only"),
        (r#"{"priority":null}"#, "low and normal only"),
        (r#"{"Priority":"low"}"#, "low and normal only"),
        (r#"{"priority":"low","PRIORITY":"urgent"}"#, "low and normal only"),
        ("{}", "low and normal only"),
        ("[]", "low and normal only"),
        (r#"{"priority":"low","filter":{"org":"globex"}}"#, "low and normal only"),
        (r#"{"priority":"low","filter":"{\"org\":\"globex\"}"}"#, "low and normal only"),
        (r#"{"priority":"low","text":"longer"}"#, "Not permitted with these arguments"),
    ] {
        let answer = gateway.ask(&echo(arguments));
        let expected = format!(
            r#"{{"jsonrpc":"2.0","id":"q-1","result":{{"content":[{{"type":"text","text":"{said}"}}],"isError":true}}}}"#
        );
        assert_eq!((answer.status, answer.text()), (200, expected), "{arguments}");
        let answer = gateway.ask(&modern_echo(arguments));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["result"]["resultType"], "complete", "{arguments}");
        assert_eq!(body["result"]["isError"], true, "{arguments}");
        assert_eq!(body["result"]["content"][0]["text"], said, "{arguments}");
        assert_eq!(answer.status, 200);
    }
    let without = Call::post(rpc("1", "tools/call", r#"{"name":"echo"}"#));
    assert!(gateway.ask(&without).text().contains("isError"));
    upstream.assert_untouched("arguments that are not permitted");
}

#[test]
fn a_call_with_good_arguments_passes_byte_for_byte() {
    let (upstream, gateway) = guarded();
    for arguments in [
        r#"{"priority":"low"}"#,
        r#"{ "priority" : "\u006eormal" , "x":{"priority":"urgent"}, "text":"short" }"#,
        r#"{"filter":{"org":"acme"},"priority":"low"}"#,
    ] {
        for call in [echo(arguments), modern_echo(arguments)] {
            let answer = gateway.ask(&call);
            assert!(!answer.text().contains("isError"), "{arguments}: {}", answer.text());
        }
    }
    let bodies: Vec<String> =
        upstream.requests().iter().map(|r| String::from_utf8_lossy(&r.body).into_owned()).collect();
    assert_eq!(bodies.len(), 6);
    assert!(bodies[2].contains(r#"{ "priority" : "\u006eormal" , "x""#), "{}", bodies[2]);
}

#[test]
fn a_tool_with_conditions_is_listed_and_the_record_names_the_rule() {
    let (_upstream, gateway) = guarded();
    gateway.ask(&Call::post(LIST));
    gateway.ask(&echo(r#"{"priority":"urgent"}"#));
    gateway.ask(&echo(r#"{"priority":"low"}"#));
    // bob may call `delete_all`; the fact about it holds for him, too.
    let params = r#"{"name":"delete_all","arguments":{"text":"longer"}}"#;
    let refused = gateway.ask(&Call::post(rpc("1", "tools/call", params)).token(BOB));
    assert!(refused.text().contains("isError"), "{}", refused.text());
    // A record is written when its answer has ended, so their order is not that of the calls.
    let records = gateway.audit(4);
    let by = |field: &str, value: &str| {
        records.iter().find(|record| record[field] == value).expect(value).clone()
    };
    let refused = by("rule", r#"roles.reader.when[0].arguments."/priority""#);
    assert_eq!((&refused["decision"], &refused["reason"]), (&"deny".into(), &"argument".into()));
    assert_eq!((&refused["detail"], &refused["outcome"]), (&"/priority".into(), &"denied".into()));
    let text = std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap();
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let place = refused["place"].as_str().unwrap();
    assert!(place.ends_with(&format!("gateway.toml:{}", line(r#"."/priority""#))), "{place}");
    assert_eq!(by("rule", "roles.reader.tools")["decision"], "allow");
    assert_eq!(by("user", "bob")["rule"], r#"tools."*/{echo,delete_all}".arguments."/text""#);
    let denied =
        r#"doorward_policy_decisions_total{decision="deny",reason="argument",upstream="t"}"#;
    assert!((gateway.metric(denied) - 2.0).abs() < 0.1);
}

#[test]
fn what_is_tried_out_passes_and_is_recorded_as_a_denial() {
    let upstream = Upstream::good();
    let shadow = "mode = \"shadow\"\nuntil = 2999-01-01\n";
    let rules = RULES.replace("message = ", &format!("{shadow}message = "));
    let gateway = Setup::new(&upstream).more(&rules).start();
    let answer = gateway.ask(&echo(r#"{"priority":"urgent"}"#));
    assert!(!answer.text().contains("isError"), "{}", answer.text());
    let record = gateway.audit(1).remove(0);
    assert_eq!((&record["decision"], &record["enforced"]), (&"deny".into(), &false.into()));
    assert_eq!((&record["reason"], &record["outcome"]), (&"argument".into(), &"ok".into()));
    assert_eq!(record["detail"], "/priority");
    let counted =
        r#"doorward_policy_decisions_total{decision="shadow_deny",reason="argument",upstream="t"}"#;
    assert!((gateway.metric(counted) - 1.0).abs() < 0.1);
    assert_eq!(upstream.requests().len(), 1);
    // What is enforced beside it still refuses.
    let answer = gateway.ask(&echo(r#"{"priority":"urgent","text":"longer"}"#));
    assert!(answer.text().contains("isError"), "{}", answer.text());
    assert_eq!(upstream.requests().len(), 1);
    let status = gateway.status();
    assert_eq!(status["tried_out"][0]["rule"], "roles.reader.when[0]", "{status}");
    assert_eq!(status["tried_out"][0]["until"], "2999-01-01T00:00:00Z");
    assert_eq!(gateway.events("rule.tried_out").len(), 1);
}

#[test]
fn a_rule_that_was_tried_out_is_enforced_after_its_end() {
    let upstream = Upstream::good();
    let shadow = "mode = \"shadow\"\nuntil = 2020-01-01\n";
    let rules = RULES.replace("message = ", &format!("{shadow}message = "));
    let gateway = Setup::new(&upstream).more(&rules).start();
    let answer = gateway.ask(&modern_echo(r#"{"priority":"urgent"}"#).header("X-Era", MODERN));
    assert!(answer.text().contains("isError"), "{}", answer.text());
    upstream.assert_untouched("a rule whose trial is over");
}

/// What `can` and an expectation say is what happens to the very call.
#[test]
fn a_call_that_passes_on_trial_can_be_made_and_is_not_denied() {
    let upstream = Upstream::good();
    let shadow = "mode = \"shadow\"\nuntil = 2999-01-01\n";
    let rules = RULES.replace("message = ", &format!("{shadow}message = "));
    let gateway = Setup::new(&upstream).more(&rules).start();
    let urgent = r#"{"priority":"urgent"}"#;
    assert!(!gateway.ask(&echo(urgent)).text().contains("isError"));
    let doorward = |verb: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(verb).arg("--config").arg(gateway.folder().join("gateway.toml"));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = doorward(&["can", "alice-key", "t/echo", "--args", urgent]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is only tried out"), "{said}");
    let (_, said) = doorward(&["can", "alice-key", "t/echo"]);
    let line = |pointer: &str| said.lines().find(|line| line.contains(pointer)).unwrap().to_owned();
    assert!(line("/priority").ends_with(", which is only tried out"), "{said}");
    assert!(line("/text").ends_with(')'), "{said}");
    let (_, said) = doorward(&["can", "--matrix", "--json"]);
    assert!(said.contains(r#""t/echo": "if""#), "/text counts: {said}");
    let expectation = "[[expect]]\ntoken = \"alice-key\"\narguments.priority = \"urgent\"\n\
        deny = [\"t/echo\"]\n[log]";
    assert!(!gateway.edit("[log]", expectation), "a reload takes what check refuses");
    let (code, said) = doorward(&["check"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`t/echo` passes for alice-key until 2999-01-01"), "{said}");
    assert!(gateway.edit("2999-01-01", "2020-01-01"), "the trial is over");
    assert!(gateway.ask(&echo(urgent)).text().contains("isError"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_role_on_trial_gives_what_is_asked_of_every_caller() {
    let upstream = Upstream::good();
    let role = "[roles.trial]\nprompts = [\"t/x\"]\nmode = \"shadow\"\nuntil = 2999-01-01\n";
    let gateway = Setup::new(&upstream).more(&format!("{RULES}{role}")).start();
    let mut can = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
    can.args(["can", "--role", "trial", "t/echo", "--config"]);
    let output = can.arg(gateway.folder().join("gateway.toml")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("yes  because roles.trial"), "{said}");
    assert!(said.contains("     if /text of at most 5 characters, or missing"), "{said}");
    assert!(!said.contains("/priority"), "that is another role's: {said}");
}
