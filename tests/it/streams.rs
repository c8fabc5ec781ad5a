//! Streams flow event by event, sessions pass, and whoever leaves is missed at once.

use crate::support::{
    ALICE_AT, Call, Gate, Gateway, Next, Setup, Upstream, Wire, echo, eventually, json, rpc,
    sealed_session, sse,
};

const DONE: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";
const NOTICE: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n";

/// Sends a first event at once and a second one when `gate` opens.
fn two_events(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::script(move |_, wire| {
        wire.send(sse());
        wire.chunk(NOTICE);
        gate.wait();
        wire.chunk(DONE);
        wire.chunk("");
        Next::Keep
    })
}

fn call_and_get() -> [Call; 2] {
    [echo(), Call::empty("GET").header("Mcp-Session-Id", &sealed_session(ALICE_AT, "s-1"))]
}

#[test]
fn an_event_reaches_the_client_before_the_next_is_written() {
    for call in call_and_get() {
        let gate = Gate::default();
        let upstream = two_events(&gate);
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        let head = client.head();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("cache-control"), Some("no-store"));
        assert_eq!(client.part().unwrap(), NOTICE.as_bytes());
        gate.open();
        assert_eq!(client.part().unwrap(), DONE.as_bytes());
        assert_eq!(client.part(), None);
    }
}

#[test]
fn the_head_of_a_get_stream_does_not_wait_for_an_event_that_may_never_come() {
    let session = sealed_session(ALICE_AT, "s-1");
    let get = Call::empty("GET");
    for call in [get.clone(), get.header("Mcp-Session-Id", &session)] {
        let upstream = silent_after(sse());
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        let streams = "doorward_streams_active{kind=\"get\",upstream=\"t\"}";
        gateway.counts(streams, 1.0);
    }
}

fn silent_after(start: &'static str) -> Upstream {
    Upstream::script(move |_, wire: &mut Wire| {
        wire.send(start);
        wire.wait_closed();
        Next::Close
    })
}

#[test]
fn a_client_that_leaves_takes_its_upstream_connection_with_it() {
    let stream_head = sse();
    for start in ["", stream_head] {
        for call in call_and_get() {
            let upstream = silent_after(start);
            let gateway = Gateway::before(&upstream);
            let mut client = gateway.connect();
            client.send(&call.bytes(gateway.address));
            upstream.wait_for(1);
            if !start.is_empty() {
                assert_eq!(client.head().status, 200);
            }
            drop(client);
            eventually("the upstream connection is closed", || upstream.left() == 1);
            assert_eq!(gateway.audit(1)[0]["outcome"], "cancelled");
        }
    }
}

#[test]
fn an_upstream_that_leaves_ends_the_clients_stream() {
    for call in call_and_get() {
        let upstream = Upstream::script(|_, wire| {
            wire.send(sse());
            wire.chunk(NOTICE);
            Next::Close
        });
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        assert_eq!(client.part().unwrap(), NOTICE.as_bytes());
        assert!(client.try_part().is_err(), "the stream must not look complete");
    }
}

#[test]
fn a_stream_that_is_silent_or_old_is_ended() {
    for limit in ["stream_idle = \"200ms\"", "stream_max = \"200ms\""] {
        let upstream = silent_after(sse());
        let gateway = Setup::new(&upstream).upstream(limit).start();
        let mut client = gateway.connect();
        client.send(&echo().bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        assert!(client.try_part().is_err(), "{limit}");
        eventually("the upstream is left", || upstream.left() == 1);
        assert_eq!(gateway.audit(1)[0]["outcome"], "timeout", "{limit}");
    }
}

#[test]
fn get_and_delete_pass_with_their_session() {
    let upstream = Upstream::fixed(json("200 OK", "", ""), Next::Keep);
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s-1");
    let call = Call::empty("DELETE").header("Mcp-Session-Id", &session);
    assert_eq!(gateway.ask(&call).status, 200);
    let request = upstream.only_request();
    assert_eq!(request.line(), "DELETE /backend/mcp HTTP/1.1");
    assert_eq!(request.values("mcp-session-id"), ["s-1"]);
    assert_eq!(request.values("x-user-id"), ["alice"]);
    assert!(request.values("content-length").is_empty() || request.body.is_empty());

    let upstream = Upstream::fixed(
        "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n",
        Next::Keep,
    );
    let gateway = Gateway::before(&upstream);
    for method in ["GET", "DELETE"] {
        let answer = gateway.ask(&Call::empty(method).header("Mcp-Session-Id", &session));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    let lines: Vec<String> = upstream.requests().iter().map(|r| r.line().to_owned()).collect();
    assert_eq!(lines, ["GET /backend/mcp HTTP/1.1", "DELETE /backend/mcp HTTP/1.1"]);
}

#[test]
fn an_unclear_session_is_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for name in ["Mcp-Session-Id", "Last-Event-ID"] {
        for call in [echo(), Call::empty("GET"), Call::empty("DELETE")] {
            let twice = call.clone().header(name, "a").header(name, "b");
            assert_eq!(gateway.ask(&twice).status, 400, "{name} twice");
            let strange = call.header(name, "a\u{e9}");
            assert_eq!(gateway.ask(&strange).status, 400, "{name} not ASCII");
        }
    }
    upstream.assert_untouched("unclear sessions");
}

#[test]
fn a_session_id_is_handed_out_by_initialize_alone() {
    let answer =
        json("200 OK", "Mcp-Session-Id: s-9\r\n", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let upstream = Upstream::fixed(answer, Next::Keep);
    let gateway = Gateway::before(&upstream);
    let opened = gateway.ask(&Call::post(rpc("1", "initialize", "{}")));
    let sealed = sealed_session(ALICE_AT, "s-9");
    assert_eq!(opened.header("mcp-session-id"), Some(sealed.as_str()));
    for call in [echo(), Call::post(rpc("1", "ping", "{}")), Call::empty("DELETE")] {
        assert_eq!(gateway.ask(&call).header("mcp-session-id"), None);
    }
}

#[test]
fn a_call_in_flight_at_sigterm_is_finished_and_the_process_exits_0() {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::script(move |_, wire| {
        opened.wait();
        wire.send(json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
        Next::Keep
    });
    let mut gateway = Gateway::before(&upstream);
    assert_eq!((gateway.admin("/readyz").0, gateway.admin("/livez").0), (200, 200));
    let mut client = gateway.connect();
    client.send(&echo().bytes(gateway.address));
    upstream.wait_for(1);
    gateway.terminate();
    eventually("/readyz says no", || gateway.admin("/readyz").0 == 503);
    assert_eq!(gateway.admin("/livez").0, 200);
    // The public listener goes, the call stays, and the admin listener outlives both.
    eventually("no new connection", || std::net::TcpStream::connect(gateway.address).is_err());
    assert_eq!(gateway.admin("/readyz").0, 503);
    gate.open();
    assert_eq!(client.response().status, 200);
    assert_eq!(gateway.exit_code(), Some(0));
    assert_eq!(gateway.audit(1)[0]["outcome"], "ok");
}

#[test]
fn idle_connections_and_get_streams_do_not_hold_up_the_end() {
    let upstream = silent_after(sse());
    let mut gateway = Gateway::before(&upstream);
    let mut idle = gateway.connect();
    let mut stream = gateway.connect();
    stream.send(&Call::empty("GET").bytes(gateway.address));
    assert_eq!(stream.head().status, 200);
    gateway.terminate();
    assert!(stream.try_part().is_err());
    idle.assert_closed();
    assert_eq!(gateway.exit_code(), Some(0));
    assert!(!gateway.output().contains("server.drain_timeout"), "it waited for nothing");
}

#[test]
fn more_than_the_limit_at_once_is_told_so() {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::script(move |_, wire| {
        opened.wait();
        wire.send(json("200 OK", "", "{}"));
        Next::Keep
    });
    let gateway = Setup::new(&upstream).limits("in_flight = 1\nstreams = 1").start();
    for call in call_and_get() {
        let before = upstream.requests().len();
        let mut first = gateway.connect();
        first.send(&call.bytes(gateway.address));
        upstream.wait_for(before + 1);
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(upstream.requests().len(), before + 1);
        drop(first);
        eventually("the place is free again", || {
            gateway.metric("doorward_requests_in_flight{upstream=\"t\"}") == 0.0
        });
    }
    gate.open();
    assert_eq!(gateway.ask(&echo()).status, 200);
}

#[test]
fn a_thousand_events_arrive_one_by_one_and_whole() {
    let gate = Gate::default();
    let opened = gate.clone();
    let event = |n: usize| format!("id: {n}\r\ndata: {{\"n\":{n}}}\r\n\r\n");
    let upstream = Upstream::script(move |_, wire| {
        wire.send(sse());
        for n in 0..1_000 {
            wire.chunk(event(n));
            if n == 499 {
                opened.wait();
            }
        }
        wire.chunk("");
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.send(&echo().bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    let mut received = Vec::new();
    let half: String = (0..500).map(event).collect();
    while received.len() < half.len() {
        received.extend(client.part().unwrap());
    }
    // Nothing of the second half can have been sent, and nothing of the first is held back.
    assert_eq!(received, half.as_bytes());
    gate.open();
    while let Some(part) = client.part() {
        received.extend(part);
    }
    let all: String = (0..1_000).map(event).collect();
    assert_eq!(received, all.as_bytes());
}

#[test]
fn a_silent_stream_is_kept_alive_by_comments_where_that_is_wanted() {
    for (kind, call) in call_and_get().into_iter().enumerate() {
        let gate = Gate::default();
        let opened = gate.clone();
        let upstream = Upstream::script(move |_, wire| {
            wire.send(sse());
            wire.chunk(NOTICE);
            wire.chunk("data: {\"jsonrpc\":\"2.0\",\n");
            opened.wait();
            wire.chunk("data: \"id\":1,\"result\":{}}\n\n");
            wire.chunk("");
            Next::Keep
        });
        let gateway = Setup::new(&upstream).upstream("stream_keep_alive = \"50ms\"").start();
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        let mut text = Vec::new();
        while !text.windows(13).any(|w| w == b": keep-alive\n") {
            text.extend(client.part().unwrap());
        }
        gate.open();
        while let Some(part) = client.part() {
            text.extend(part);
        }
        let text = String::from_utf8(text).unwrap().replace(": keep-alive\n", "");
        let whole = "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{}}\n\n";
        assert_eq!(text, format!("{NOTICE}{whole}"), "{kind}");
    }
}

/// A line end that is cut in two must not become two line ends.
#[test]
fn no_comment_is_written_where_a_line_may_not_have_ended() {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::script(move |_, wire| {
        wire.send(sse());
        wire.chunk("data: {}\r");
        opened.wait();
        wire.chunk("\n\r\n");
        wire.chunk("");
        Next::Keep
    });
    let setup =
        Setup::new(&upstream).upstream("stream_keep_alive = \"1ms\"\nstream_idle = \"300ms\"");
    let gateway = setup.start();
    let mut client = gateway.connect();
    client.send(&echo().bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.part().unwrap(), b"data: {}\r");
    // Nothing comes until the silence has gone on for too long.
    assert!(client.try_part().is_err());
    gate.open();
}

#[test]
fn what_is_kept_alive_is_still_ended_when_its_upstream_is_silent_for_too_long() {
    let upstream = silent_after(sse());
    let limits = "stream_keep_alive = \"20ms\"\nstream_idle = \"300ms\"";
    let gateway = Setup::new(&upstream).upstream(limits).start();
    let mut client = gateway.connect();
    client.send(&echo().bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    let mut comments = 0;
    while client.try_part().is_ok() {
        comments += 1;
    }
    assert!(comments > 0);
    eventually("the upstream is left", || upstream.left() == 1);
}
