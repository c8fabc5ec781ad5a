//! What operators see: right counts, one record a request, and no secret anywhere.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::gateway::{EXPIRED, REVOKED, sha256};
use crate::support::{
    ALICE, ALICE_AT, BOB, Call, Gateway, LIST, Next, Setup, Upstream, echo, eventually, json, rpc,
    sealed_session, sse, tool_call,
};

/// The counters follow an answer within moments, not at once.
fn assert_counts(gateway: &Gateway, counts: &[(&str, f64)]) {
    for (series, count) in counts {
        let series = format!("doorward_{series}");
        let what = format!("{series} = {count} in\n{}", gateway.metrics());
        eventually(&what, || gateway.metric(&series) >= *count);
        assert_eq!(gateway.metric(&series), *count, "{series}");
    }
}

#[test]
fn a_mix_of_calls_is_counted_as_what_it_was() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for _ in 0..3 {
        gateway.ask(&echo());
    }
    gateway.ask(&Call::post(tool_call("delete_all")));
    gateway.ask(&Call::post(tool_call("delete_all")).token(BOB));
    gateway.ask(&Call::post(tool_call("no_such_tool")));
    gateway.ask(&Call::post(LIST));
    gateway.ask(&Call::post(rpc("1", "no/such/method", "{}")));
    gateway.ask(&Call::post("{"));
    gateway.ask(&echo().without("Authorization"));
    gateway.ask(&echo().token("unknown-token"));
    gateway.ask(&echo().token(EXPIRED));
    gateway.ask(&echo().token(REVOKED));
    gateway.ask(&echo().target("/nowhere"));
    assert_counts(
        &gateway,
        &[
            (r#"requests_total{method="tools/call",outcome="ok",upstream="t"}"#, 4.0),
            (r#"requests_total{method="tools/call",outcome="denied",upstream="t"}"#, 2.0),
            (r#"requests_total{method="tools/list",outcome="ok",upstream="t"}"#, 1.0),
            (r#"requests_total{method="other",outcome="denied",upstream="t"}"#, 1.0),
            (r#"requests_total{method="none",outcome="invalid",upstream="t"}"#, 1.0),
            (r#"requests_total{method="none",outcome="unauthenticated",upstream="t"}"#, 4.0),
            (r#"requests_total{method="none",outcome="invalid",upstream="none"}"#, 1.0),
            (r#"tool_calls_total{outcome="ok",tool="echo",upstream="t"}"#, 3.0),
            (r#"tool_calls_total{outcome="ok",tool="delete_all",upstream="t"}"#, 1.0),
            (r#"tool_calls_total{outcome="denied",tool="delete_all",upstream="t"}"#, 1.0),
            (r#"tool_calls_total{outcome="denied",tool="other",upstream="t"}"#, 1.0),
            (r#"policy_decisions_total{decision="allow",reason="allowed",upstream="t"}"#, 5.0),
            (r#"policy_decisions_total{decision="deny",reason="no_match",upstream="t"}"#, 2.0),
            (r#"policy_decisions_total{decision="deny",reason="method",upstream="t"}"#, 1.0),
            (r#"auth_total{result="ok",scheme="token"}"#, 9.0),
            (r#"auth_total{result="missing",scheme="token"}"#, 1.0),
            (r#"auth_total{result="unknown",scheme="token"}"#, 1.0),
            (r#"auth_total{result="expired",scheme="token"}"#, 1.0),
            (r#"auth_total{result="revoked",scheme="token"}"#, 1.0),
            (r#"tokens{state="active"}"#, 4.0),
            (r#"tokens{state="expired"}"#, 1.0),
            (r#"tokens{state="revoked"}"#, 1.0),
            (r#"requests_in_flight{upstream="t"}"#, 0.0),
        ],
    );
    assert_eq!(gateway.audit(14).len(), 14);
}

#[test]
fn failures_that_come_with_a_200_are_counted_as_failures() {
    let answers = [
        (r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true}}"#, "tool_error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"x"}}"#, "rpc_error"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "ok"),
    ];
    for (answer, outcome) in answers {
        let stream = format!("{}{:x}\r\ndata: {answer}\n\n\r\n0\r\n\r\n", sse(), answer.len() + 8);
        for bytes in [json("200 OK", "", answer), stream] {
            let upstream = Upstream::fixed(bytes, Next::Keep);
            let gateway = Gateway::before(&upstream);
            assert_eq!(gateway.ask(&echo()).status, 200);
            let series =
                format!(r#"tool_calls_total{{outcome="{outcome}",tool="echo",upstream="t"}}"#);
            assert_counts(&gateway, &[(&series, 1.0)]);
            assert_eq!(gateway.audit(1)[0]["outcome"], outcome);
        }
    }
}

#[test]
fn invented_names_add_no_series() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    let mut send = |n: usize| {
        client.ask(&Call::post(tool_call(&format!("invented_{n}"))));
        client.ask(&Call::post(rpc("1", &format!("invented/{n}"), "{}")));
        client.ask(&Call::post("{}").target(&format!("/invented/{n}")));
        client.ask(&echo().token(&format!("invented-{n}")));
    };
    send(0);
    gateway.audit(4);
    // Process metrics are always there; what counts is the number of lines.
    let before = gateway.metrics().lines().count();
    for n in 1..1_000 {
        send(n);
    }
    // Who is known has a record for each; of the others the first of a kind.
    gateway.audit(2_000 + 2 * 16);
    let metrics = gateway.metrics();
    assert_eq!(metrics.lines().count(), before);
    assert!(!metrics.contains("invented"));
    assert_counts(
        &gateway,
        &[(r#"tool_calls_total{outcome="denied",tool="other",upstream="t"}"#, 1_000.0)],
    );
}

#[test]
fn a_record_says_who_called_what_and_how_it_ended() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&echo());
    let record = gateway.audit(1).remove(0);
    for (field, value) in [
        ("kind", "request"),
        ("user", "alice"),
        ("organization", "acme"),
        ("token", "alice-key"),
        ("client_ip", "127.0.0.1"),
        ("upstream", "t"),
        ("method", "tools/call"),
        ("tool", "echo"),
        ("decision", "allow"),
        ("reason", "allowed"),
        ("outcome", "ok"),
        ("request_id", answer.header("x-request-id").unwrap()),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!(record["status"], 200);
    assert_eq!(record["bytes_in"], tool_call("echo").len());
    assert_eq!(record["bytes_out"], answer.body.len());
}

/// The fields by which `doorward audit` groups, as it says itself.
fn known_fields() -> BTreeSet<String> {
    let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
    let output = doorward.args(["audit", "--group", "none", "/dev/null"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let (_, list) = said.split_once("there are: ").expect(&said);
    list.trim().split(", ").map(str::to_owned).collect()
}

#[test]
fn records_have_the_fields_that_one_can_ask_for_and_no_others() {
    let upstream = Upstream::good();
    let to_file = "[audit]\nto = \"file\"\nfile = \"audit.jsonl\"\n";
    let mut gateway = Setup::new(&upstream).more(to_file).start();
    gateway.ask(&echo());
    gateway.ask(&Call::post(tool_call("no_such_tool")));
    gateway.ask(&Call::post("[]"));
    gateway.ask_raw(b"GARBAGE\r\n\r\n");
    for _ in 0..40 {
        gateway.ask(&echo().without("Authorization"));
    }
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    let path = gateway.folder().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| -> Vec<BTreeSet<String>> {
        let records = records.iter().filter(|record| record["kind"] == kind);
        records.map(|record| record.as_object().unwrap().keys().cloned().collect()).collect()
    };
    let (requests, sums) = (of("request"), of("summed"));
    assert!(requests.len() > 4 && sums.len() == 1, "{text}");
    assert!(requests.iter().all(|fields| *fields == requests[0]), "{requests:?}");
    let known = known_fields();
    assert_eq!(&requests[0] | &sums[0], known);
    for field in known {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let output = doorward.args(["audit", "--group", &field]).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{field}");
    }
}

#[test]
fn a_record_says_why_a_request_was_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    gateway.ask(&Call::post(tool_call(r"del\r\n\u001b[31mete")));
    gateway.ask(&Call::post("[]"));
    gateway.ask_raw(b"GARBAGE\r\n\r\n");
    let records = gateway.audit(3);
    let by = |reason: &str| records.iter().find(|r| r["reason"] == reason).expect(reason).clone();
    let denied = by("no_match");
    assert_eq!((&denied["decision"], &denied["status"]), (&"deny".into(), &200.into()));
    assert_eq!(denied["tool"], "del\r\n\u{1b}[31mete");
    assert!(by("unreadable")["detail"].as_str().unwrap().contains("batches"));
    assert_eq!(by("bad_head")["status"], 400);
}

/// At every level, the framework's own included: D9, and finding 9 of the threat model.
#[test]
fn no_secret_is_in_any_output_at_the_most_talkative_level() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).trace_everything().start();
    let secret = "s3cr3t-argument-value";
    let call =
        rpc("1", "tools/call", &format!(r#"{{"name":"echo","arguments":{{"x":"{secret}"}}}}"#));
    let session = &sealed_session(ALICE_AT, "session-0badcafe");
    let broken = "HTTP/1.1\r\nAuthorization: Bearer broken-head-secret\r\n\r\n";
    gateway.ask(&Call::post(call.as_str()).header("Mcp-Session-Id", session));
    gateway.ask(&Call::post(call.as_str()).token(BOB).header("Mcp-Session-Id", session));
    gateway.ask(&Call::post(&call.as_bytes()[..call.len() - 1]));
    gateway.ask(&Call::empty("GET").header("Last-Event-ID", session));
    gateway.ask(&Call::empty("DELETE").header("Mcp-Session-Id", session));
    gateway.ask(&echo().token(EXPIRED));
    gateway.ask(&echo().token(REVOKED));
    gateway.ask(&echo().token("guessed-secret-1").header("Cookie", "cookie-secret-2"));
    gateway.ask(&echo().header("Authorization", "Bearer second-secret-3"));
    gateway.ask(&echo().target("/mcp?access_token=query-secret-4"));
    gateway.ask(&Call::post(rpc("1", "initialize", "{}")));
    gateway.ask_raw(format!("POST /mcp {broken}").as_bytes());
    gateway.ask_raw(
        format!("POST /mcp HTTP/1.1\r\nX-A : b\r\nAuthorization: Bearer {ALICE}\r\n\r\n")
            .as_bytes(),
    );
    gateway.audit(13);
    assert_eq!(gateway.metric("doorward_auth_total{result=\"expired\",scheme=\"token\"}"), 1.0);
    let said = format!("{}\n{}", gateway.output(), gateway.metrics());
    for token in [ALICE, BOB, EXPIRED, REVOKED] {
        assert!(!said.contains(token), "{token}");
        assert!(!said.contains(&sha256(token)[..16]), "digest of {token}");
    }
    // The id that the honest upstream gives to a new session, too.
    for word in
        [secret, session, "session-5f3a", "guessed-", "cookie-", "second-", "query-", "broken-head"]
    {
        assert!(!said.contains(word), "{word}");
    }
}

#[test]
fn the_metrics_are_what_prometheus_wants() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    gateway.ask(&echo());
    gateway.ask(&Call::post(LIST));
    gateway.audit(2);
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("skipped: no promtool on the PATH");
        return;
    };
    promtool.stdin.take().unwrap().write_all(gateway.metrics().as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_admin_listener_only_reads_and_is_not_the_public_one() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.admin("/nowhere").0, 404);
    assert_eq!(gateway.admin("/mcp").0, 404);
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(gateway.admin(path).0, 200, "{path}");
        assert_eq!(gateway.ask(&Call::empty("GET").target(path)).status, 404, "{path}");
    }
    upstream.assert_untouched("admin");
}
