//! Records against those who make many of them at no cost.

use std::path::Path;

use serde_json::Value;

use crate::support::{Call, Gateway, Next, Setup, Upstream, echo, eventually, sse, tool_call};

const TO_FILE: &str = "[audit]\nto = \"file\"\nfile = \"audit.jsonl\"\n";

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Requests that cost nothing, each with the reason in its record.
fn cheap(gateway: &Gateway) -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let at = gateway.address;
    let own = |call: Call| call.bytes(at);
    vec![
        ("missing", own(Call::post("{}").without("Authorization"))),
        ("unknown", own(Call::post("{}").token("nobody-1234567890"))),
        ("expired", own(Call::post("{}").token(crate::support::gateway::EXPIRED))),
        ("malformed", own(Call::post("{}").without("Authorization").header("Authorization", "x"))),
        ("not_found", own(Call::post("{}").target("/nowhere"))),
        ("foreign_host", Call::post("{}").header("Host", "evil.example").bytes(at)),
        ("foreign_origin", own(Call::post("{}").header("Origin", "https://evil.example"))),
        ("http_method", own(Call::empty("PUT"))),
        ("content_type", own(Call::post("{}").without("Content-Type"))),
        ("bad_head", text("GET /mcp HTTP/1.1\r\nHost : localhost\r\n\r\n")),
    ]
}

#[test]
fn a_flood_without_a_token_is_summed_and_counted_and_calls_are_recorded() {
    const EACH: usize = 120;
    let upstream = Upstream::good();
    let mut gateway = Setup::new(&upstream).more(TO_FILE).start();
    let path = gateway.folder().join("audit.jsonl");
    let kinds = cheap(&gateway);
    for _ in 0..EACH {
        for (reason, bytes) in &kinds {
            let answer = gateway.ask_raw(bytes).expect(reason);
            assert!((400..=421).contains(&answer.status), "{reason}: {}", answer.status);
        }
    }
    upstream.assert_untouched("a flood");
    assert_eq!(gateway.ask(&echo()).status, 200);
    let counted = |outcome: &str| -> f64 {
        let metrics = gateway.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with("doorward_requests_total"));
        let lines = lines.filter(|line| line.contains(outcome));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    let all = (EACH * kinds.len()) as f64;
    eventually("metrics count each", || counted("unauthenticated") + counted("invalid") >= all);
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let records = records(&path);
    assert!(records.iter().any(|record| record["decision"] == "allow"));
    for (reason, _) in &kinds {
        let of = |kind: &str| -> Vec<&Value> {
            records.iter().filter(|r| r["kind"] == kind && r["reason"] == *reason).collect()
        };
        let (singles, sums) = (of("request"), of("summed"));
        assert_eq!(singles.len(), 16, "{reason}");
        assert_eq!(sums.len(), 1, "{reason}");
        assert_eq!(sums[0]["count"], EACH - 16, "{reason}");
        assert_eq!(sums[0]["client_ip"], "127.0.0.1", "{reason}");
        assert!(sums[0]["first"].as_str().unwrap() <= sums[0]["last"].as_str().unwrap());
        assert!(singles[0]["request_id"].is_string());
    }
    let stale = records.iter().find(|r| r["kind"] == "summed" && r["reason"] == "expired").unwrap();
    assert_eq!(stale["token"], "old-key");
    assert!(verified(&path).0, "{:?}", verified(&path));
}

/// Whether the chain of the file is whole, and what was said.
fn verified(path: &Path) -> (bool, String) {
    let mut doorward = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"));
    let output = doorward.args(["audit", "--verify"]).arg(path).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn what_is_answered_without_a_token_and_well_is_summed_too() {
    let upstream = Upstream::good();
    let setup = Setup::new(&upstream).more(TO_FILE);
    let mut gateway = setup.server("allowed_origins = [\"https://app.example\"]").start();
    let preflight = Call::empty("OPTIONS")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "POST");
    for _ in 0..40 {
        assert_eq!(gateway.ask(&preflight).status, 204);
    }
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let records = records(&gateway.folder().join("audit.jsonl"));
    let sum = records.iter().find(|record| record["kind"] == "summed").expect("a sum");
    assert_eq!((&sum["count"], &sum["decision"]), (&24.into(), &"allow".into()));
}

/// An event stream that says nothing.
fn endless() -> Upstream {
    Upstream::script(|request, wire| {
        if request.line().starts_with("GET") {
            wire.send(sse());
            wire.chunk(": hello\n\n");
            wire.wait_closed();
            return Next::Close;
        }
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        wire.send(crate::support::json("200 OK", "", answer));
        Next::Keep
    })
}

/// As many streams as the limit lets in hold nothing that the records of calls need.
#[test]
fn beside_all_the_streams_that_fit_calls_are_made_and_recorded() {
    let upstream = endless();
    let setup = Setup::new(&upstream).limits("streams = 200\nin_flight = 4");
    let gateway = setup.more(&format!("{TO_FILE}arguments = \"full\"\n")).start();
    let open = |gateway: &Gateway| {
        let mut client = gateway.connect();
        let call = Call::empty("GET").header("Mcp-Session-Id", &session());
        client.send(&call.bytes(client.address));
        (client.head().status, client)
    };
    let streams: Vec<_> = (0..200).map(|_| open(&gateway)).collect();
    assert!(streams.iter().all(|(status, _)| *status == 200));
    assert_eq!(open(&gateway).0, 503);
    for _ in 0..20 {
        assert_eq!(gateway.ask(&Call::post(tool_call("echo"))).status, 200);
    }
    drop(streams);
    let path = gateway.folder().join("audit.jsonl");
    eventually("each has its record", || {
        let records = records(&path);
        let of = |method: &str| {
            let allowed = records.iter().filter(|record| record["decision"] == "allow");
            allowed.filter(|record| record["method"] == method).count()
        };
        of("GET") == 200 && of("tools/call") == 20
    });
}

fn session() -> String {
    crate::support::sealed_session(crate::support::ALICE_AT, "s-1")
}
