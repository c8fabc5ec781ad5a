//! The era of a request is the era that every server will take it for, or it goes nowhere.

use crate::support::{ALICE_AT, Call, Gateway, MODERN, Upstream, rpc, sealed_session, tool_call};

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// What is no revision, or none that is known: servers read these in different ways.
const UNKNOWN: [&str; 16] = [
    "",
    "x",
    "1.0",
    "zzzz",
    "draft",
    "DRAFT-2026-v1",
    "v999.0.0",
    "2025-11-26",
    "2026-07-27",
    "2026-07-29",
    "2026-7-28",
    "2026-07-28x",
    "2026-07-28T00:00:00Z",
    "02026-07-28",
    "2027-01-01",
    "9999-12-31",
];

/// A message of this kind with a claim in `_meta`, where there is one; it is JSON.
fn message(kind: &str, claim: Option<&str>) -> String {
    let meta = claim.map_or_else(String::new, |claim| {
        format!(r#","_meta":{{"io.modelcontextprotocol/protocolVersion":{claim}}}"#)
    });
    let request = |method: &str, members: &str| rpc("7", method, &format!("{{{members}{meta}}}"));
    match kind {
        "call" => request("tools/call", r#""name":"echo","arguments":{}"#),
        "task" => request("tools/call", r#""name":"echo","task":{"ttl":1}"#),
        "list" => request("tools/list", r#""x":1"#),
        "listen" => request("subscriptions/listen", r#""notifications":{}"#),
        "initialize" => request("initialize", r#""capabilities":{}"#),
        "notification" => {
            request("notifications/progress", r#""progressToken":1"#).replace(r#""id":7,"#, "")
        }
        other => panic!("{other}"),
    }
}

fn call(kind: &str, header: Option<&str>, claim: Option<&str>) -> Call {
    let method = message(kind, None);
    let method = method.split(r#""method":""#).nth(1).unwrap().split('"').next().unwrap();
    let post = Call::post(message(kind, claim)).header("Mcp-Method", method);
    let post = if method == "tools/call" { post.header("Mcp-Name", "echo") } else { post };
    match header {
        Some(version) => post.header("MCP-Protocol-Version", version),
        None => post,
    }
}

const KINDS: [&str; 6] = ["call", "task", "list", "listen", "initialize", "notification"];

/// JSON-RPC code of the answer, which must be a refusal; the upstream must hear nothing.
fn refused(gateway: &Gateway, upstream: &Upstream, call: &Call, row: &str) -> i64 {
    let answer = gateway.ask(call);
    assert_eq!(answer.status, 400, "{row}: {}", answer.text());
    upstream.assert_untouched(row);
    answer.error().1
}

#[test]
fn a_version_that_is_not_known_is_refused_wherever_it_stands() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for kind in KINDS {
        for version in UNKNOWN.iter().chain(&LEGACY) {
            let quoted = format!("\"{version}\"");
            let is_legacy = LEGACY.contains(version);
            let row = format!("{kind} {version:?}");
            let both = call(kind, Some(version), Some(&quoted));
            assert_eq!(refused(&gateway, &upstream, &both, &row), -32022, "{row}");
            let answer: serde_json::Value =
                serde_json::from_slice(&gateway.ask(&both).body).unwrap();
            let data = serde_json::json!({"supported": [MODERN], "requested": version});
            assert_eq!(answer["error"]["data"], data, "{row}");
            let others = [(None, quoted.as_str()), (Some(MODERN), &quoted)];
            for (header, claim) in others {
                let row = format!("{row} under {header:?}");
                let call = call(kind, header, Some(claim));
                assert_eq!(refused(&gateway, &upstream, &call, &row), -32020, "{row}");
            }
            let modern = call(kind, Some(version), Some(&format!("\"{MODERN}\"")));
            assert_eq!(refused(&gateway, &upstream, &modern, &row), -32020, "{row}");
            if !is_legacy {
                let bare = call(kind, Some(version), None);
                assert_eq!(refused(&gateway, &upstream, &bare, &row), -32022, "{row}");
            }
        }
    }
}

#[test]
fn a_claim_of_another_kind_or_spelling_is_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let others = ["null", "20260728", "true", "[\"2026-07-28\"]", "{\"a\":\"2026-07-28\"}"];
    let spellings =
        [r#""2026-07-28 ""#, r#""2026-07-28\u0000""#, r#"" 2026-07-28""#, r#""2026\u201107-28""#];
    for kind in KINDS {
        for header in [None, Some(MODERN), Some("2025-11-25")] {
            for (claims, code) in [(&others[..], -32602), (&spellings[..], -32020)] {
                for claim in claims {
                    let row = format!("{kind} {header:?} {claim}");
                    let call = call(kind, header, Some(claim));
                    assert_eq!(refused(&gateway, &upstream, &call, &row), code, "{row}");
                }
            }
        }
        let twice = call(kind, Some(MODERN), None).header("MCP-Protocol-Version", "2025-11-25");
        assert_eq!(refused(&gateway, &upstream, &twice, kind), -32020, "{kind}");
    }
}

/// What is forwarded is of one era for a server that looks at the header alone, for one that looks
/// at the body alone, and for one that looks at both.
#[test]
fn what_is_forwarded_is_of_the_era_that_it_was_judged_in() {
    let modern = format!("\"{MODERN}\"");
    let legacy_headers = LEGACY.map(Some).into_iter().chain([None]);
    let legacy = legacy_headers.map(|header| (header, None, false));
    let rows: Vec<_> = legacy
        .chain([
            (Some(MODERN), Some(modern.as_str()), true),
            (Some(" \t2026-07-28 "), Some(&modern), true),
        ])
        .collect();
    for (header, claim, is_modern) in rows {
        let upstream = Upstream::good();
        let gateway = Gateway::before(&upstream);
        // Tasks are off: only a modern server, who ignores the member, may see it.
        for (kind, is_forwarded) in [
            ("call", true),
            ("task", is_modern),
            ("list", true),
            ("listen", is_modern),
            ("initialize", !is_modern),
        ] {
            let before = upstream.requests().len();
            let answer = gateway.ask(&call(kind, header, claim));
            let row = format!("{kind} {header:?}: {}", answer.text());
            assert_eq!(upstream.requests().len(), before + usize::from(is_forwarded), "{row}");
            let Some(request) = upstream.requests().pop().filter(|_| is_forwarded) else {
                continue;
            };
            let sent: Vec<&str> = header.map(str::trim).into_iter().collect();
            assert_eq!(request.values("mcp-protocol-version"), sent, "{row}");
            assert_eq!(request.values("mcp-method").len(), usize::from(is_modern), "{row}");
        }
    }
}

#[test]
fn a_session_means_something_in_the_legacy_era_alone() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let foreign = "s-1.forged";
    for version in LEGACY.map(Some).into_iter().chain([None]) {
        let call = call("list", version, None).header("Mcp-Session-Id", foreign);
        assert_eq!(gateway.ask(&call).status, 404, "{version:?}");
    }
    upstream.assert_untouched("a session that is not the caller's");
}

#[test]
fn get_and_delete_are_of_the_legacy_era() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s-1");
    let empty = |method: &str, version: &str| {
        let call = Call::empty(method).header("Mcp-Session-Id", &session);
        call.header("MCP-Protocol-Version", version)
    };
    for method in ["GET", "DELETE"] {
        let answer = gateway.ask(&empty(method, MODERN));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        for version in UNKNOWN {
            assert_eq!(gateway.ask(&empty(method, version)).status, 400, "{method} {version:?}");
        }
        let twice = empty(method, "2025-11-25").header("MCP-Protocol-Version", MODERN);
        assert_eq!(gateway.ask(&twice).status, 400, "{method}");
    }
    upstream.assert_untouched("GET and DELETE of another era");
    for method in ["GET", "DELETE"] {
        for (at, version) in LEGACY.iter().enumerate() {
            gateway.ask(&empty(method, version));
            assert_eq!(upstream.requests().len() % LEGACY.len(), (at + 1) % LEGACY.len());
        }
    }
}

/// A client that is told so can name another revision, or begin with a handshake.
#[test]
fn a_notification_and_an_answer_of_an_unknown_revision_go_nowhere() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = r#"{"jsonrpc":"2.0","id":"s1","result":{}}"#;
    for version in UNKNOWN.iter().chain([&MODERN]) {
        let sent = Call::post(answer).header("MCP-Protocol-Version", version);
        assert_eq!(gateway.ask(&sent).status, 400, "{version:?}");
    }
    upstream.assert_untouched("answers of another era");
    assert_eq!(gateway.ask(&Call::post(tool_call("echo"))).status, 200);
}
