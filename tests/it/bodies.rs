//! What is forwarded is exactly what was judged, whatever its length and framing.

use crate::support::{ALICE, Call, Client, Gateway, Setup, Upstream, echo, eventually, rpc};

const MIB4: usize = 4 << 20;

/// A permitted call of exactly `length` bytes in which no two places look alike.
fn call_of(length: usize) -> String {
    let frame = rpc("1", "tools/call", r#"{"name":"echo","arguments":{"text":""}}"#);
    let mut text = String::with_capacity(length);
    let mut n = 0_u64;
    while text.len() + frame.len() < length {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{n:016x}"));
    }
    text.truncate(length - frame.len());
    rpc("1", "tools/call", &format!(r#"{{"name":"echo","arguments":{{"text":"{text}"}}}}"#))
}

fn assert_arrives(client: &mut Client, upstream: &Upstream, call: &Call, body: &str, what: &str) {
    let before = upstream.requests().len();
    let answer = client.ask(call);
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    let requests = upstream.requests();
    assert_eq!(requests.len(), before + 1, "{what}");
    let request = requests.last().unwrap();
    assert!(request.body == body.as_bytes(), "{what}: another body arrived");
    assert_eq!(request.values("content-length"), [body.len().to_string()], "{what}");
}

#[test]
fn a_body_of_any_length_arrives_byte_for_byte() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    let lengths = [
        300,
        1_000,
        8_191,
        8_192,
        16_384,
        65_535,
        65_536,
        65_537,
        131_073,
        1 << 20,
        MIB4 - 1,
        MIB4,
    ];
    for length in lengths {
        let body = call_of(length);
        assert_eq!(body.len(), length);
        let what = format!("{length} by length");
        assert_arrives(&mut client, &upstream, &Call::post(body.as_str()), &body, &what);
    }
}

#[test]
fn a_chunked_body_of_any_length_arrives_byte_for_byte() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let cases = [
        (300, 1),
        (300, 7),
        (65_535, 4_096),
        (65_536, 65_536),
        (65_537, 65_535),
        (200_003, 1_021),
        (MIB4 - 1, 65_521),
        (MIB4, 1_000_003),
    ];
    for (length, chunk) in cases {
        let body = call_of(length);
        let call = Call::post(body.as_str()).chunked(chunk);
        let what = format!("{length} in chunks of {chunk}");
        assert_arrives(&mut gateway.connect(), &upstream, &call, &body, &what);
    }
}

#[test]
fn a_body_beyond_the_limit_is_413_and_never_reaches_the_upstream() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let body = call_of(MIB4 + 1);
    for call in [Call::post(body.as_str()), Call::post(body.as_str()).chunked(65_521)] {
        let mut client = gateway.connect();
        // The head goes first, so that the answer is there before the rest can be in its way.
        client.send(call.head(gateway.address).as_bytes());
        let bytes = call.bytes(gateway.address);
        let rest = &bytes[call.head(gateway.address).len()..];
        if !call.head(gateway.address).contains("Content-Length") {
            client.send(rest);
        }
        let answer = client.response();
        assert_eq!((answer.status, answer.error().1), (413, -32600));
    }
    let lies = echo().header("X", "1").head(gateway.address);
    let lies = lies.replace("Content-Length: ", "Content-Length: 9999999999");
    assert_eq!(gateway.ask_raw(lies.as_bytes()).expect("an answer").status, 413);
    upstream.assert_untouched("too long");
}

/// H14.
#[test]
fn a_client_that_expects_100_gets_it_and_then_its_answer() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let body = call_of(100_000);
    let call = Call::post(body.as_str()).header("Expect", "100-continue");
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(call.head(gateway.address).as_bytes());
        assert_eq!(client.head().status, 100);
        client.send(body.as_bytes());
        assert_eq!(client.response().status, 200);
    }
    assert!(upstream.requests().iter().all(|r| r.body == body.as_bytes()));
}

#[test]
fn a_client_that_expects_100_is_refused_before_it_sends() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (call, status) in [
        (echo().without("Authorization"), 401),
        (Call::post(call_of(MIB4 + 1)), 413),
        (echo().without("Content-Type"), 415),
    ] {
        let mut client = gateway.connect();
        client.send(call.header("Expect", "100-continue").head(gateway.address).as_bytes());
        assert_eq!(client.response().status, status);
    }
    upstream.assert_untouched("refused by the head");
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).limits("body_timeout = \"200ms\"").start();
    let whole = echo().bytes(gateway.address);
    let chunked = echo().chunked(20).bytes(gateway.address);
    for (bytes, missing) in [(&whole, 1), (&whole, 60), (&chunked, 2), (&chunked, 40)] {
        let mut client = gateway.connect();
        client.send(&bytes[..bytes.len() - missing]);
        let answer = client.response();
        assert_eq!((answer.status, answer.error().1), (408, -32600), "{missing} bytes short");
        client.assert_closed();
    }
    upstream.assert_untouched("slow bodies");
}

#[test]
fn a_client_that_leaves_in_its_body_was_never_there() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let whole = echo().bytes(gateway.address);
    let chunked = echo().chunked(20).bytes(gateway.address);
    for (bytes, missing) in [(&whole, 1), (&whole, 60), (&chunked, 5), (&chunked, 40)] {
        gateway.connect().send(&bytes[..bytes.len() - missing]);
    }
    for record in gateway.audit(4) {
        assert_eq!((&record["decision"], &record["user"]), (&"deny".into(), &"alice".into()));
    }
    upstream.assert_untouched("broken bodies");
}

/// D1: a byte now and then buys no time.
#[test]
fn a_head_that_does_not_end_is_cut_off() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).limits("head_timeout = \"200ms\"").start();
    for bytes in [&b""[..], b"P", b"POST /mcp HTTP/1.1\r\nHost: x\r\n"] {
        let mut client = gateway.connect();
        client.try_send(bytes);
        client.assert_closed();
    }
    let slow = std::net::TcpStream::connect(gateway.address).unwrap();
    let mut slow = Client::over(slow, gateway.address);
    eventually("a slow head is cut off", || !slow.survives(b"X"));
    assert_eq!(gateway.ask(&Call::post(call_of(300)).token(ALICE)).status, 200);
}
