//! Every way in which an upstream or its answer is of no use: record and log say in which step, at
//! which address, and why; the caller is told none of it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;

use crate::support::{
    Call, Gateway, LIST, Next, Response, Setup, Upstream, echo, eventually, json, modern_call, rpc,
};

const TIMES: &str = "connect_timeout = \"1s\"\ncall_timeout = \"1s\"\n";

/// What alice is answered, the record of it, and the line in the log.
struct Told {
    answer: Response,
    record: Value,
    line: Value,
}

fn lines(gateway: &Gateway) -> Vec<Value> {
    [gateway.events("upstream.failed"), gateway.events("upstream.answer")].concat()
}

fn ask(gateway: &Gateway, call: &Call, what: &str) -> Told {
    let answer = gateway.ask(call);
    let record = gateway.audit(1).remove(0);
    eventually(&format!("a line about {what}, {record}"), || !lines(gateway).is_empty());
    let mut lines = lines(gateway);
    assert_eq!(lines.len(), 1, "{what}: {lines:#?}");
    Told { answer, record, line: lines.remove(0) }
}

/// `words` are what both must say, with the phase first.
fn assert_told(told: &Told, status: u16, words: &[&str], address: &str, what: &str) {
    let detail = told.record["detail"].as_str().unwrap_or_default();
    let line = told.line.to_string();
    assert_eq!(told.answer.status, status, "{what}: {detail}");
    assert!(detail.starts_with(&format!("{} {address}", words[0])), "{what}: {detail}");
    for word in words {
        assert!(detail.contains(word), "{what}: {word} is not in {detail}");
        assert!(line.contains(word), "{what}: {word} is not in {line}");
    }
    assert_eq!(told.line["phase"], words[0], "{what}");
    assert!(told.line["address"].as_str().unwrap().contains(address), "{what}: {line}");
    assert!(!told.answer.text().contains("127.0.0.1"), "{what}: {}", told.answer.text());
    assert!(told.record["outcome"] == "upstream_error" || told.record["outcome"] == "timeout");
}

fn at(upstream: &Upstream) -> Setup {
    Setup::new(upstream).upstream(TIMES)
}

#[test]
fn an_answer_that_is_of_no_use_is_told_by_its_status_and_headers() {
    let page = "Content-Type: text/html\r\n";
    let secret = "Location: https://me:s3cret@elsewhere.example/mcp?code=s3cret#s3cret\r\n";
    let cases: [(&str, &str, u16, &[&str]); 17] = [
        ("401 Unauthorized", "", 502, &["head", "status 401"]),
        ("402 Payment Required", "", 502, &["head", "status 402"]),
        ("403 Forbidden", page, 502, &["head", "status 403", "text/html"]),
        ("418 Teapot", "", 502, &["head", "status 418"]),
        ("500 Internal Server Error", "", 502, &["head", "status 500"]),
        ("503 Busy", "Retry-After: 7\r\n", 502, &["head", "status 503", "Retry-After 7"]),
        ("599 x", "", 502, &["head", "status 599"]),
        ("301 Moved", secret, 502, &["head", "301", "Location https://elsewhere.example/mcp?…"]),
        ("303 See Other", "Location: /login\r\n", 502, &["head", "303", "Location /login"]),
        ("308 Moved", "Location: //a.example\r\n", 502, &["head", "308", "//a.example"]),
        ("404 Not Found", page, 404, &["head", "status 404", "text/html"]),
        ("405 Not Allowed", "", 405, &["head", "status 405"]),
        ("415 Unsupported", page, 415, &["head", "status 415"]),
        ("200 OK", page, 502, &["head", "status 200", "text/html"]),
        ("200 OK", "Content-Type: text/plain\r\n", 502, &["head", "text/plain"]),
        ("200 OK", "Content-Encoding: gzip\r\n", 502, &["head", "Content-Encoding gzip"]),
        ("204 No Content\r\nX: y", "Content-Encoding: br\r\n", 502, &["head", "br"]),
    ];
    for (status, headers, expected, words) in cases {
        let body = if status.starts_with("204") { "" } else { "<html>s3cret</html>" };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        let upstream = Upstream::fixed(answer, Next::Close);
        let gateway = at(&upstream).start();
        let told = ask(&gateway, &echo(), status);
        assert_told(&told, expected, words, &upstream.address.to_string(), status);
        assert!(!gateway.output().contains("s3cret"), "{}", gateway.output());
    }
}

#[test]
fn an_answer_that_breaks_off_or_is_none_is_told() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    let list = || Call::post(LIST);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let cases: [(&str, String, Call, u16, &[&str]); 13] = [
        ("nothing", String::new(), echo(), 502, &["head", "closed"]),
        ("another protocol", "220 mail ESMTP\r\n\r\n".to_owned(), echo(), 502, &["head"]),
        ("half a head", "HTTP/1.1 200 OK\r\nX-A".to_owned(), echo(), 502, &["head", "closed"]),
        ("half a body", format!("{head}Content-Length: 9\r\n\r\n{{}}"), echo(), 200, &["body"]),
        ("half a list", format!("{head}Content-Length: 9\r\n\r\n{{}}"), list(), 502, &["body"]),
        ("no chunk", format!("{head}{chunked}ZZ\r\n"), echo(), 200, &["body"]),
        ("no chunk in a list", format!("{head}{chunked}ZZ\r\n"), list(), 502, &["body"]),
        (
            "half a stream",
            format!("{events}{chunked}4\r\n: x\n\r\n"),
            echo(),
            200,
            &["body", "closed"],
        ),
        ("no JSON", json("200 OK", "", r#"{"jsonrpc":"2.0","#), echo(), 200, &["body", "JSON"]),
        ("other JSON", json("200 OK", "", r#"{"a":1}"#), echo(), 200, &["body", "JSON-RPC"]),
        ("empty", json("200 OK", "", ""), echo(), 200, &["body", "empty"]),
        ("a list that is none", json("200 OK", "", r#"{"a":1}"#), list(), 502, &["body"]),
        ("no list", json("200 OK", "", "<html>"), list(), 502, &["body"]),
    ];
    for (what, answer, call, status, words) in cases {
        let upstream = Upstream::fixed(answer, Next::Close);
        let gateway = at(&upstream).start();
        let mut client = gateway.connect();
        client.send(&call.bytes(client.address));
        // Whether it comes whole is not what this is about.
        let mut answer = client.head();
        while let Ok(Some(part)) = client.try_part() {
            answer.body.extend_from_slice(&part);
        }
        let record = gateway.audit(1).remove(0);
        eventually(&format!("a line about {what}"), || !lines(&gateway).is_empty());
        let line = lines(&gateway).remove(0);
        let told = Told { answer, record, line };
        assert_told(&told, status, words, &upstream.address.to_string(), what);
    }
}

#[test]
fn of_a_refusal_only_a_body_of_mcp_reaches_the_caller() {
    let page = "<html>nginx s3cret</html>";
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no"}}"#;
    let (html, plain, none) = ("text/html", "text/plain", "");
    let rows: [(u16, &str, String, bool); 15] = [
        (400, html, page.to_owned(), false),
        (400, plain, error.to_owned(), false),
        (400, "application/json", r#"{"detail":"s3cret"}"#.to_owned(), false),
        (400, "application/json", error.to_owned(), true),
        (400, "application/json; charset=utf-8", error.to_owned(), true),
        (400, none, error.to_owned(), true),
        (400, none, page.to_owned(), false),
        (400, none, String::new(), false),
        (404, "application/json", r#"["s3cret"]"#.to_owned(), false),
        (406, "text/event-stream", format!("data: {error}\n\n"), false),
        (409, "application/json", r#"{"error":"s3cret"}"#.to_owned(), false),
        (413, html, page.to_owned(), false),
        (422, "application/problem+json", r#"{"detail":"s3cret"}"#.to_owned(), false),
        (429, "application/json", r#"{"message":"s3cret"}"#.to_owned(), false),
        (429, "application/json", " ".repeat(9 << 20), false),
    ];
    for (status, media, body, passes) in rows {
        let kind =
            if media.is_empty() { String::new() } else { format!("Content-Type: {media}\r\n") };
        let head = format!("HTTP/1.1 {status} Oh\r\n{kind}Content-Length: {}", body.len());
        for call in [echo(), Call::post(LIST)] {
            let upstream = Upstream::fixed(format!("{head}\r\n\r\n{body}"), Next::Close);
            let gateway = at(&upstream).start();
            let answer = gateway.ask(&call);
            let what = format!("{status} {media}");
            assert_eq!(answer.status, status, "{what}");
            let record = gateway.audit(1).remove(0);
            let detail = record["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("status {status}")), "{what}: {detail}");
            if passes {
                assert_eq!(answer.text(), body, "{what}");
                assert_eq!(record["outcome"], "rpc_error", "{what}");
                continue;
            }
            assert_eq!(
                (answer.text().as_str(), answer.header("content-type")),
                ("", None),
                "{what}"
            );
            assert_eq!(record["outcome"], "upstream_error", "{what}");
            assert!(detail.contains(media), "{what}: {detail}");
            eventually(&what, || lines(&gateway).len() == 1);
            assert!(!gateway.output().contains("s3cret"), "{what}: {}", gateway.output());
        }
    }
}

#[test]
fn a_length_that_is_not_one_number_is_no_answer() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let right = body.len();
    for length in [
        "5, 5".to_owned(),
        format!("{right}, {right}"),
        format!("{right}\r\nContent-Length: {right}"),
        format!("+{right}"),
        format!("-{right}"),
        format!("0x{right:x}"),
        format!("{right}.0"),
        format!("{right} bytes"),
        format!("{right};"),
        "99999999999999999999999".to_owned(),
    ] {
        for call in [echo(), Call::post(LIST)] {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
            let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            let upstream = Upstream::fixed(answer, Next::Keep);
            let gateway = at(&upstream).start();
            let told = ask(&gateway, &call, &length);
            assert_told(&told, 502, &["head"], &upstream.address.to_string(), &length);
        }
    }
}

/// A stream that ends well, and what came in it; the word that the record has for it.
/// An event stream with this body.
fn stream_of(body: &str) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A call that is answered by this stream has no answer, and `words` say why.
fn assert_unanswered(what: &str, body: &str, words: &str) {
    let upstream = Upstream::fixed(stream_of(body), Next::Close);
    let gateway = at(&upstream).start();
    let told = ask(&gateway, &modern_call("echo"), what);
    assert_eq!(told.answer.body, body.as_bytes(), "{what}");
    let why = format!("the event stream ended without an answer: {words}");
    let words = ["body", &why];
    assert_told(&told, 200, &words, &upstream.address.to_string(), what);
    assert_eq!(told.record["outcome"], "upstream_error", "{what}");
    // In the legacy era the client may have cancelled it, unless what came is none of MCP.
    let legacy = at(&upstream).start();
    legacy.ask(&echo());
    let record = legacy.audit(1).remove(0);
    let is_clear = words[1].ends_with("is no JSON") || words[1].contains("has a name");
    let outcome = if is_clear { "upstream_error" } else { "cancelled" };
    assert_eq!(record["outcome"], outcome, "{what}");
    assert!(record["detail"].as_str().unwrap().contains(words[1]), "{what}: {record}");
    assert_eq!(lines(&legacy).is_empty(), !is_clear, "{what}");
}

#[test]
fn a_stream_that_ends_without_an_answer_is_told() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let data = |text: &str| format!("data: {text}\n\n");
    let rows: [(&str, String, &str); 12] = [
        ("empty", String::new(), "it was empty"),
        ("a page", "<html>oh</html>".to_owned(), "no event was in it"),
        ("a comment", ": ping\n\n".to_owned(), "no event was in it"),
        ("half a comment", ": ping".to_owned(), "no event was in it"),
        ("no data", "data:\n\nretry: 5\n\n".to_owned(), "no event was in it"),
        ("no JSON", data("oh"), "an event in it is no JSON"),
        ("half JSON", data(r#"{"jsonrpc":"2.0""#), "an event in it is no JSON"),
        ("a notice", data(note), "only other messages were in it"),
        ("a failure", format!("event: error\n{}", data("{}")), "an event in it has a name"),
        ("another name", format!("event: result\n{}", data(result)), "an event in it has a name"),
        ("no end", format!("data: {result}\n"), "no event was in it"),
        ("other JSON", data("{}"), "only other messages were in it"),
    ];
    for (what, body, words) in rows {
        assert_unanswered(what, &body, words);
    }
}

#[test]
fn a_stream_without_an_answer_that_nobody_waits_for_or_that_goes_on_is_no_fault() {
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"x"}}"#;
    let data = |text: &str| format!("data: {text}\n\n");
    // A list whose head is gone already, and who waits for no answer.
    let upstream = Upstream::fixed(stream_of(&data(note)), Next::Close);
    let listed = at(&upstream).start();
    listed.ask(&Call::post(LIST));
    let record = listed.audit(1).remove(0);
    assert_eq!(record["outcome"], "cancelled");
    assert!(record["detail"].as_str().unwrap().ends_with("only other messages were in it"));
    let named = format!("event: message\n{}", data(result));
    let primed = format!("id: 1\ndata:\n\n{}", data(note));
    let open = "the stream ended without an answer, which may come in another one";
    let notice = Call::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    for (what, body, call, outcome, detail) in [
        ("an answer", data(result), echo(), "ok", Value::Null),
        ("an answer by name", named, echo(), "ok", Value::Null),
        ("an error", data(error), echo(), "rpc_error", Value::Null),
        ("the answer and more", data(result) + &data(note), echo(), "ok", Value::Null),
        ("one that can be taken up again", primed, echo(), "ok", open.into()),
        ("no request", String::new(), notice, "ok", Value::Null),
    ] {
        let upstream = Upstream::fixed(stream_of(&body), Next::Close);
        let gateway = at(&upstream).start();
        gateway.ask(&call);
        let record = gateway.audit(1).remove(0);
        assert_eq!((&record["outcome"], &record["detail"]), (&outcome.into(), &detail), "{what}");
        assert!(lines(&gateway).is_empty(), "{what}: {:?}", lines(&gateway));
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_told_with_the_key_that_says_so() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";
    for (what, sent, call, words) in [
        ("silence", "", echo(), ["head", "call_timeout = 1s"]),
        ("half a head", "HTTP/1.1 200 OK\r\nX", echo(), ["head", "call_timeout = 1s"]),
        ("half a list", head, Call::post(LIST), ["body", "call_timeout = 1s"]),
    ] {
        let upstream = Upstream::script(move |_, wire| {
            wire.send(sent);
            wire.wait_closed();
            Next::Close
        });
        let gateway = at(&upstream).start();
        let told = ask(&gateway, &call, what);
        assert_told(&told, 504, &words, &upstream.address.to_string(), what);
    }
}

#[test]
fn an_upstream_that_does_not_take_the_request_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Kept open, and never read.
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).collect::<Vec<_>>());
    let setup = Setup::at(&format!("http://{address}/mcp")).upstream(TIMES);
    let gateway = setup.limits("request_body = \"32MiB\"").start();
    // More than the buffers of a connection hold.
    let text = "x".repeat(24 << 20);
    let params = format!(r#"{{"name":"echo","arguments":{{"text":"{text}"}}}}"#);
    let told = ask(&gateway, &Call::post(rpc("1", "tools/call", &params)), "a large request");
    let words = ["write", "call_timeout = 1s"];
    assert_told(&told, 504, &words, &address.to_string(), "a large request");
}

#[test]
fn an_upstream_that_cannot_be_connected_to_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/mcp");
    let refused: (&str, &str, &[&str]) = (&url, &closed.to_string(), &["connect", "refused"]);
    let nowhere = ("http://no-such-host.invalid/mcp", "no-such-host.invalid", &["resolve"][..]);
    let named = format!("http://localhost:{}/mcp", closed.port());
    let local = format!("localhost:{} (", closed.port());
    for (url, address, words) in [refused, nowhere, (&named, &local, &["connect", "refused"])] {
        let gateway = Setup::at(url).upstream(TIMES).start();
        let told = ask(&gateway, &echo(), url);
        assert_told(&told, 502, words, address, url);
    }
}

#[test]
fn a_busy_upstream_says_when_to_come_again() {
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    let long = "9".repeat(200);
    for (status, value, passed, kept) in [
        ("503 Busy", "7", 502, Some("7")),
        ("503 Busy", date, 502, Some(date)),
        ("500 Internal Server Error", "1", 502, None),
        ("429 Too Many Requests", "120", 429, Some("120")),
        ("503 Busy", &long, 502, None),
        ("301 Moved", "7", 502, None),
    ] {
        for call in [echo(), Call::post(LIST)] {
            let headers = format!("Retry-After: {value}\r\n");
            let upstream = Upstream::fixed(json(status, &headers, "{}"), Next::Close);
            let gateway = at(&upstream).start();
            let answer = gateway.ask(&call);
            assert_eq!((answer.status, answer.header("retry-after")), (passed, kept), "{status}");
        }
    }
}

#[test]
fn an_agent_that_is_told_nothing_else_is_told_the_request_id() {
    let silent = || {
        Upstream::script(|_, wire| {
            wire.wait_closed();
            Next::Close
        })
    };
    let refuses = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refuses = format!("http://{refuses}/mcp");
    let busy = Upstream::fixed(json("500 Oops", "", "{}"), Next::Close);
    let silent = silent();
    for (setup, status) in [(Setup::at(&refuses), 502), (at(&busy), 502), (at(&silent), 504)] {
        let gateway = setup.start();
        let answer = gateway.ask(&echo());
        assert_eq!(answer.status, status);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(body["error"]["data"], serde_json::json!({"request_id": id}));
        assert_eq!(gateway.audit(1)[0]["request_id"], id);
    }
}

#[test]
fn answers_that_mean_something_in_mcp_are_no_faults() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#;
    let session = crate::support::sealed_session(crate::support::ALICE_AT, "s");
    let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let none = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
    let done = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for (what, answer, call) in [
        ("an error", json("404 Not Found", "", error), echo()),
        ("an error", json("400 Bad Request", "", error), Call::post(rpc("1", "ping", "{}"))),
        ("a session that is over", page.to_owned(), echo().header("Mcp-Session-Id", &session)),
        ("no stream", none.to_owned(), Call::empty("GET")),
        ("sessions end by themselves", none.to_owned(), Call::empty("DELETE")),
        ("a notification", done.to_owned(), Call::post(notice)),
    ] {
        let upstream = Upstream::fixed(answer, Next::Keep);
        let gateway = at(&upstream).start();
        gateway.ask(&call);
        let record = gateway.audit(1).remove(0);
        assert_ne!(record["outcome"], "upstream_error", "{what}: {record}");
        assert!(lines(&gateway).is_empty(), "{what}: {:?}", lines(&gateway));
    }
}

/// A server with TLS, or something else where it should be.
struct Secure {
    address: SocketAddr,
    ca: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Authority,
    Eof,
    Expired,
    NoTls,
    NotForServers,
    NotYet,
    OtherName,
    SameName,
    Silent,
    Untrusted,
    WantsCertificate,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn secure(fault: Fault) -> Secure {
    let ours = authority("ours");
    let other = match fault {
        Fault::SameName => Some(authority("ours")),
        Fault::Untrusted => Some(authority("other")),
        _ => None,
    };
    let mut params = CertificateParams::default();
    let host = if fault == Fault::OtherName { "127.0.0.9" } else { "127.0.0.1" };
    params.subject_alt_names = vec![SanType::IpAddress(host.parse().unwrap())];
    match fault {
        Fault::Authority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Fault::NotForServers => {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        }
        Fault::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Fault::NotYet => params.not_before = rcgen::date_time_ymd(4000, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let signer = other.as_ref().unwrap_or(&ours);
    let cert = params.signed_by(&key, signer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if fault == Fault::WantsCertificate {
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || serve(stream, config, fault));
        }
    });
    Secure { address, ca: ours.pem() }
}

fn serve(mut stream: std::net::TcpStream, config: Arc<ServerConfig>, fault: Fault) {
    let mut buffer = [0; 4096];
    match fault {
        Fault::Eof => drop(stream.read(&mut buffer)),
        Fault::NoTls => {
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
        Fault::Silent => while matches!(stream.read(&mut buffer), Ok(1..)) {},
        _ => {
            let connection = ServerConnection::new(config).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
            // Closed at once, its last words might be lost in a reset.
            let _ = stream.flush();
            while matches!(stream.sock.read(&mut buffer), Ok(1..)) {}
        }
    }
}

#[test]
fn faults_of_tls_each_have_words_of_their_own() {
    let cases: [(Fault, u16, &[&str]); 11] = [
        (Fault::Authority, 502, &["tls", "(CA:TRUE), which no server may use"]),
        (Fault::NotForServers, 502, &["tls", "not for servers"]),
        (Fault::Untrusted, 502, &["tls", "unknown issuer"]),
        (Fault::SameName, 502, &["tls", "unknown issuer"]),
        (Fault::OtherName, 502, &["tls", "another name", "127.0.0.9"]),
        (Fault::Expired, 502, &["tls", "has expired"]),
        (Fault::NotYet, 502, &["tls", "not valid yet"]),
        (Fault::NoTls, 502, &["tls", "does not speak TLS"]),
        (Fault::Eof, 502, &["tls", "closed"]),
        (Fault::WantsCertificate, 502, &["tls", "wants a certificate"]),
        (Fault::Silent, 504, &["tls", "timed out", "connect_timeout = 1s"]),
    ];
    for (fault, status, words) in cases {
        let server = secure(fault);
        let setup = Setup::at(&format!("https://{}/mcp", server.address)).upstream(TIMES);
        let gateway = setup.upstream("ca_file = \"ca.pem\"").file("ca.pem", &server.ca).start();
        let what = format!("{fault:?}");
        let told = ask(&gateway, &echo(), &what);
        assert_told(&told, status, words, &server.address.to_string(), &what);
        assert!(!told.line.to_string().contains("Other("), "{}", told.line);
        assert!(fault == Fault::Silent || told.line["hint"].is_string(), "{}", told.line);
    }
}
