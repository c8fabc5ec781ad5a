//! The log: a reader that is slow or gone costs lines, and nothing else.

use crate::support::gateway::Reader;
use crate::support::{Call, Gateway, Next, Setup, Upstream, echo, eventually, json, tool_call};

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
