//! What is held for all callers together is bounded, and the last of it is for small calls.

use crate::support::{
    Call, Client, Gate, Gateway, Next, Request, Setup, Upstream, Wire, eventually, json, rpc,
};

/// Bytes of `limits.buffers` in these tests.
const LIMIT: f64 = 8.0 * 1024.0 * 1024.0;

const TAKEN: &str = "doorward_buffers_bytes";
const REFUSED: &str = "doorward_buffers_refused_total";

fn bounded(upstream: &Upstream) -> Gateway {
    // Nothing of what is held may end by its deadline while the test looks at it.
    let limits = "buffers = \"8MiB\"\nbody_timeout = \"5m\"";
    Setup::new(upstream).limits(limits).upstream("call_timeout = \"5m\"").start()
}

/// A call whose body has `length` bytes.
fn call_of(length: usize) -> Call {
    let text = "x".repeat(length);
    Call::post(rpc(
        "1",
        "tools/call",
        &format!(r#"{{"name":"echo","arguments":{{"t":"{text}"}}}}"#),
    ))
}

/// A call whose body does not end: `sent` of its bytes come.
fn endless(gateway: &Gateway, call: &Call, sent: usize) -> Client {
    let bytes = call.bytes(gateway.address);
    let head = call.head(gateway.address).len();
    let mut client = gateway.connect();
    client.try_send(&bytes[..head + sent]);
    client
}

/// Holds calls open until there is no room for another one, which is the last of them.
fn fill(gateway: &Gateway, call: &Call, sent: usize) -> Vec<Client> {
    let (mut held, refused) = (Vec::new(), gateway.metric(REFUSED));
    while gateway.metric(REFUSED) <= refused {
        let before = gateway.metric(TAKEN);
        held.push(endless(gateway, call, sent));
        assert!(held.len() < 200, "there is no bound");
        eventually("it is held, or refused", || {
            gateway.metric(TAKEN) > before || gateway.metric(REFUSED) > refused
        });
    }
    held
}

/// Fills what is left to those that are longer than 64 KiB, and returns what it holds for it.
fn fill_up(gateway: &Gateway) -> Vec<Client> {
    // A little more than that, so that all of it is read before the answer.
    let mut held = fill(gateway, &call_of(1 << 20), 70_000);
    let answer = held.pop().unwrap().response();
    assert_eq!((answer.status, answer.error().1), (503, -32603), "{}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"));
    held
}

/// Takes what is left to those that are longer than 4 KiB, to the last bytes.
fn squeeze(gateway: &Gateway) -> Vec<Client> {
    let (mut held, refused) = (Vec::new(), gateway.metric(REFUSED));
    loop {
        let before = gateway.metric(TAKEN);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole")]
        let left = (LIMIT - before) as usize;
        if left < 4_200 {
            return held;
        }
        held.push(endless(gateway, &call_of(1 << 20), (left - 50).min(60_000)));
        eventually("it is held, or refused", || {
            gateway.metric(TAKEN) > before || gateway.metric(REFUSED) > refused
        });
        if gateway.metric(REFUSED) > refused {
            return held;
        }
        // The rest of it may be on its way.
        let mut last = before;
        eventually("all of it has come", || {
            let now = gateway.metric(TAKEN);
            std::mem::replace(&mut last, now).to_bits() == now.to_bits()
        });
    }
}

#[test]
fn bodies_that_do_not_end_leave_room_for_small_calls() {
    for chunk in [None, Some(40_000)] {
        let upstream = Upstream::good();
        let gateway = bounded(&upstream);
        let long = call_of(1 << 20);
        let long = chunk.map_or_else(|| long.clone(), |size| long.clone().chunked(size));
        let held = (fill(&gateway, &long, 900_000), fill_up(&gateway), squeeze(&gateway));
        assert!(gateway.metric(TAKEN) <= LIMIT, "{}", gateway.metric(TAKEN));
        upstream.assert_untouched("none of them has ended");
        let mut good = gateway.connect();
        for _ in 0..20 {
            assert_eq!(good.ask(&call_of(3_900)).status, 200, "a small call");
        }
        let (status, notes) = gateway.admin("/readyz");
        assert!(status == 200 && notes.contains("limits.buffers"), "{notes}");
        assert!(!gateway.events("buffers.full").is_empty());
        drop(held);
        gateway.counts(TAKEN, 0.0);
        assert_eq!(gateway.ask(&call_of(1 << 20)).status, 200, "there is room again");
        assert_eq!(gateway.admin("/readyz").1, "ok\n");
    }
}

#[test]
fn a_refusal_for_want_of_room_is_recorded_with_its_reason() {
    let upstream = Upstream::good();
    let gateway = bounded(&upstream);
    let _held = fill(&gateway, &call_of(1 << 20), 900_000);
    let record = gateway.audit(1).remove(0);
    assert_eq!((&record["reason"], &record["status"]), (&"buffers_full".into(), &503.into()));
    assert_eq!(record["outcome"], "overloaded");
}

/// An upstream whose long lists do not end before the gate opens, in the form that it is told.
fn stalling(media: &'static str, gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::script(move |request: &Request, wire: &mut Wire| {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        if !text.contains("long") {
            let result = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"}]}}"#;
            wire.send(json("200 OK", "", result));
            return Next::Keep;
        }
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        wire.chunk("data: {\"jsonrpc\":\"2.0\",");
        wire.chunk("x".repeat(1_500_000));
        gate.wait();
        Next::Close
    })
}

#[test]
fn answers_that_do_not_end_leave_room_for_small_lists() {
    for media in ["application/json", "text/event-stream"] {
        let gate = Gate::default();
        let upstream = stalling(media, &gate);
        let gateway = bounded(&upstream);
        let list = |cursor: &str| {
            Call::post(rpc("1", "tools/list", &format!(r#"{{"cursor":"{cursor}"}}"#)))
        };
        let mut held = Vec::new();
        while gateway.metric(REFUSED) < 1.0 {
            let before = gateway.metric(TAKEN);
            let mut client = gateway.connect();
            client.send(&list("long").bytes(gateway.address));
            held.push(client);
            assert!(held.len() < 50, "{media}: there is no bound");
            eventually("it is held, or refused", || {
                gateway.metric(TAKEN) > before + 1_000_000.0 || gateway.metric(REFUSED) >= 1.0
            });
        }
        let refused = held.pop().unwrap().response();
        assert_eq!((refused.status, refused.error().1), (503, -32603), "{media}");
        assert_eq!(refused.error().0, 1, "the caller's own id");
        assert!(gateway.metric(TAKEN) <= LIMIT);
        assert_eq!(gateway.ask(&list("short")).status, 200, "{media}");
        gate.open();
        drop(held);
        gateway.counts(TAKEN, 0.0);
    }
}
