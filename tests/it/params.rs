//! Members of `params` that a server reads where the gateway does not: refused, never forwarded.

use serde_json::{Value, json as value};

use crate::support::{Call, Gateway, MODERN, Setup, Upstream, modern, rpc};

/// alice's requests that name something, by method, with what their `params` hold.
fn requests() -> [(&'static str, &'static str, &'static str); 4] {
    [
        ("tools/call", r#""name":"echo","arguments":{}"#, "echo"),
        ("prompts/get", r#""name":"greet""#, "greet"),
        ("resources/read", r#""uri":"docs://a""#, "docs://a"),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"a","value":""}"#,
            "",
        ),
    ]
}

/// The request in both eras, with this text at the end of its `_meta`.
fn calls(method: &str, params: &str, name: &str, meta: &str) -> [Call; 2] {
    let legacy = Call::post(rpc("1", method, &format!(r#"{{{params},"_meta":{{{meta}}}}}"#)));
    let version = format!(r#""io.modelcontextprotocol/protocolVersion":"{MODERN}""#);
    let params = format!(r#"{{{params},"_meta":{{{version},{meta}}}}}"#);
    let modern = Call::post(rpc("1", method, &params))
        .header("MCP-Protocol-Version", MODERN)
        .header("Mcp-Method", method);
    let modern = if name.is_empty() { modern } else { modern.header("Mcp-Name", name) };
    [legacy, modern]
}

#[test]
fn a_version_that_no_list_shows_cannot_be_picked() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let picks = [
        r#""fastmcp":{"version":"1.0"}"#,
        r#""_fastmcp":{"version":"1.0"}"#,
        r#""FastMCP":{"VERSION":"1.0"}"#,
        r#""fastmcp":{"tags":[],"version":{"gte":"1.0"}}"#,
        r#""\u0066astmcp":{"v\u0065rsion":"1.0"}"#,
        r#""fastmcp":{"version":null}"#,
    ];
    for (method, params, name) in requests() {
        for pick in picks {
            for call in calls(method, params, name, pick) {
                let answer = gateway.ask(&call);
                let got = (answer.status, answer.error());
                assert_eq!(got, (200, (1.into(), -32602)), "{method} {pick}: {}", answer.text());
            }
        }
    }
    upstream.assert_untouched("picked versions");
    let records = gateway.audit(requests().len() * picks.len() * 2);
    let reasons = records.iter().map(|record| &record["reason"]);
    assert!(reasons.clone().all(|reason| reason == "version_picked"), "{records:#?}");
}

#[test]
fn a_version_is_not_told_by_whether_the_tool_is_there() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let pick = r#""fastmcp":{"version":"1.0"}"#;
    let answers = ["echo", "delete_all", "no_such"].map(|tool| {
        let [legacy, _] = calls("tools/call", &format!(r#""name":"{tool}""#), tool, pick);
        gateway.ask(&legacy).comparable()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    upstream.assert_untouched("picked versions");
}

/// What clients and servers of FastMCP say to each other besides passes as it is.
#[test]
fn what_picks_no_version_passes_as_it_is() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).everything().start();
    let others = [
        r#""fastmcp":{"tags":["a"]}"#,
        r#""fastmcp":{"wrap_result":true,"x":{"version":"1.0"}}"#,
        r#""fastmcp":"version""#,
        r#""version":"1.0","progressToken":7"#,
        r#""acme/app":{"version":"1.0"}"#,
    ];
    for (method, params, name) in requests() {
        for other in others {
            for call in calls(method, params, name, other) {
                let before = upstream.requests().len();
                assert_eq!(gateway.ask(&call).status, 200, "{method} {other}");
                assert_eq!(upstream.requests().len(), before + 1, "{method} {other}");
                let body = upstream.requests().pop().unwrap().body;
                assert!(String::from_utf8(body).unwrap().contains(other), "{method} {other}");
            }
        }
    }
    // A list shows what there is, whoever asks for what.
    let list = modern("tools/list", r#""_x":1"#);
    assert_eq!(gateway.ask(&list).status, 200);
}

#[test]
fn a_member_that_a_model_takes_for_another_is_refused_wherever_it_stands() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let version = format!(r#"{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}"#);
    let rows = [
        ("meta", version.as_str()),
        ("Meta", &version),
        ("__meta__", &version),
        ("task_id", r#""t""#),
        ("task-id", r#""t""#),
        ("input_responses", "{}"),
        ("INPUT_RESPONSES", "{}"),
        ("request_state", r#""s""#),
        ("requeststate", r#""s""#),
        ("na_me", r#""delete_all""#),
        ("_name", r#""delete_all""#),
        ("name[]", r#""delete_all""#),
        ("n\\u0430me", r#""delete_all""#),
        ("u_ri", r#""docs://secret""#),
        ("ta_sk", "{}"),
        ("cur_sor", r#""x""#),
        ("__proto__", r#"{"name":"delete_all"}"#),
        ("constructor", r#"{"prototype":{"name":"delete_all"}}"#),
        ("prototype", "{}"),
    ];
    for (method, params, name) in requests() {
        for (member, json) in rows {
            let (before, behind) = (
                format!(r#""{member}":{json},{params}"#),
                format!(r#"{params},"{member}":{json}"#),
            );
            for params in [before, behind] {
                for call in calls(method, &params, name, r#""x":1"#) {
                    let answer = gateway.ask(&call);
                    let code = answer.error().1;
                    assert_eq!(answer.status, 400, "{method} {member}: {}", answer.text());
                    assert!([-32600, -32602].contains(&code), "{method} {member}: {code}");
                }
            }
        }
    }
    upstream.assert_untouched("members that a reader takes for others");
}

/// No captured client sends one of those names.
#[test]
fn the_members_of_honest_clients_pass() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).everything().upstream("tasks = \"sealed\"").start();
    let rows = [
        (
            "initialize",
            value!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}),
        ),
        (
            "tools/call",
            value!({"name": "echo", "arguments": {}, "task": {"ttl": 1}, "_meta": {"progressToken": 1}}),
        ),
        (
            "completion/complete",
            value!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "a", "value": ""}, "context": {"arguments": {}}}),
        ),
        ("logging/setLevel", value!({"level": "info"})),
        ("tools/list", value!({"cursor": "c", "_meta": {}})),
    ];
    for (method, params) in rows {
        let params: Value = params;
        let answer = gateway.ask(&Call::post(rpc("1", method, &params.to_string())));
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.method(), method);
    }
}
