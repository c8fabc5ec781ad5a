//! The log: a reader that is slow or gone costs lines, and nothing else; and every line about a
//! request says which.

use serde_json::Value;

use crate::support::gateway::Reader;
use crate::support::{
    ALICE, Call, Gateway, LIST, Next, Setup, Upstream, echo, eventually, json, tool_call,
};

/// Before `good` under `t`, and an upstream that answers nonsense, which is told in the log.
fn start(good: &Upstream, nonsense: &Upstream) -> Gateway {
    let other = format!(
        "[upstreams.broken]\npath = \"/broken\"\nurl = \"http://{}/mcp\"\n\
         [roles.more]\ntools = [\"broken/echo\"]",
        nonsense.address
    );
    Setup::new(good).more(&other).role("more").start()
}

fn nonsense() -> Upstream {
    Upstream::fixed(json("500 Internal Server Error", "", "{}"), Next::Keep)
}

/// Makes the gateway write to its log until lines are lost, while the good upstream is served.
fn talk_until_lines_are_lost(gateway: &Gateway) {
    let (mut broken, mut good) = (gateway.connect(), gateway.connect());
    let call = Call::post(tool_call("echo")).target("/broken");
    eventually("lines are lost", || {
        for _ in 0..100 {
            assert_eq!(broken.ask(&call).status, 502);
        }
        assert_eq!(good.ask(&echo()).status, 200);
        assert_eq!(gateway.admin("/livez").0, 200);
        gateway.metric("doorward_log_lines_dropped_total") > 0.0
    });
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_what_is_missing_is_told_once() {
    let (good, nonsense) = (Upstream::good(), nonsense());
    let gateway = start(&good, &nonsense);
    assert_eq!(gateway.metric("doorward_log_lines_dropped_total"), 0.0);
    gateway.log_reader(Reader::Stuck);
    talk_until_lines_are_lost(&gateway);
    let lost = gateway.metric("doorward_log_lines_dropped_total");
    gateway.log_reader(Reader::Reading);
    eventually("the log says what is missing", || !gateway.events("log.dropped").is_empty());
    let told = gateway.events("log.dropped");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["lines"].as_f64(), Some(lost));
    assert_eq!(gateway.metric("doorward_log_lines_dropped_total"), lost);
    // It goes on as before.
    let before = gateway.events("upstream.answer").len();
    gateway.ask(&Call::post(tool_call("echo")).target("/broken"));
    eventually("the next line", || gateway.events("upstream.answer").len() > before);
}

#[test]
fn a_gateway_whose_log_nobody_reads_ends_when_it_is_told_to() {
    for reader in [Reader::Stuck, Reader::Gone] {
        for (signal, code) in [("-TERM", Some(0)), ("-INT", Some(0))] {
            let (good, nonsense) = (Upstream::good(), nonsense());
            let mut gateway = start(&good, &nonsense);
            gateway.log_reader(reader);
            talk_until_lines_are_lost(&gateway);
            gateway.signal(signal);
            assert_eq!(gateway.exit_code(), code, "{reader:?} {signal}");
        }
    }
}

#[test]
fn the_last_words_are_written_before_the_end() {
    let upstream = Upstream::good();
    let mut gateway = Gateway::before(&upstream);
    gateway.terminate();
    assert_eq!(gateway.exit_code(), Some(0));
    eventually("the last words", || !gateway.events("server.stopped").is_empty());
}

/// The lines of the log about this request, when it has ended.
fn about(gateway: &Gateway, id: &str) -> Vec<Value> {
    let lines = || {
        let output = gateway.output();
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_line = |line: &Value| line["request_id"] == *id && line["event"].is_string();
        lines.filter(is_line).collect::<Vec<_>>()
    };
    eventually("its end", || lines().iter().any(|line| line["event"] == "request.ended"));
    lines()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["event"].as_str()).collect()
}

#[test]
fn at_debug_the_log_tells_the_steps_of_a_request() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let secret = "s3cret-argument";
    let call = tool_call("echo").replace("hi", secret);
    let answer = gateway.ask(&Call::post(call).target("/mcp?t=s3cret-query"));
    let lines = about(&gateway, answer.header("x-request-id").unwrap());
    let steps = [
        "request.accepted",
        "request.routed",
        "request.authenticated",
        "request.judged",
        "request.permitted",
        "upstream.connected",
        "upstream.answered",
        "request.ended",
    ];
    assert_eq!(events(&lines), steps, "{lines:#?}");
    for (step, field, value) in [
        (0, "client_ip", "127.0.0.1"),
        (1, "http_method", "POST"),
        (1, "upstream", "t"),
        (2, "user", "alice"),
        (2, "organization", "acme"),
        (2, "token", "alice-key"),
        (3, "method", "tools/call"),
        (3, "tool", "echo"),
        (3, "decision", "forward"),
        (4, "rule", "roles.reader.tools"),
        (5, "address", &upstream.address.to_string()),
        (7, "outcome", "ok"),
    ] {
        assert_eq!(lines[step][field], value, "{field} of {}", lines[step]);
    }
    assert_eq!(lines[6]["status"], 200);
    for word in [secret, "s3cret", ALICE] {
        assert!(!gateway.output().contains(word), "{word}");
    }
}

#[test]
fn every_line_about_a_request_has_its_id() {
    let (good, nonsense) = (Upstream::good(), nonsense());
    let gateway = start(&good, &nonsense);
    let broken = Call::post(tool_call("echo")).target("/broken");
    for (what, call, told) in [
        ("a good one", echo(), "upstream.answered"),
        ("a list", Call::post(LIST), "upstream.answered"),
        ("a refused one", Call::post(tool_call("no_such")), "request.judged"),
        ("an unreadable one", Call::post("{"), "request.authenticated"),
        ("nobody", echo().without("Authorization"), "request.unauthenticated"),
        ("for nothing", echo().target("/mcp/"), "request.misdirected"),
        ("a broken upstream", broken, "upstream.answer"),
    ] {
        let answer = gateway.ask(&call);
        let lines = about(&gateway, answer.header("x-request-id").unwrap());
        assert!(events(&lines).contains(&told), "{what}: {lines:#?}");
    }
    let answer = gateway.ask_raw(b"POST /mcp HTTP/1.1\r\nX-A : b\r\n\r\n").unwrap();
    about(&gateway, answer.header("x-request-id").unwrap());
    let output = gateway.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = ["server.", "admin.", "config."];
    for line in lines.filter(|line| line["event"].is_string()) {
        let is_about_all = ours.iter().any(|o| line["event"].as_str().unwrap().starts_with(o));
        assert!(is_about_all || line["request_id"].is_string(), "{line}");
    }
}
