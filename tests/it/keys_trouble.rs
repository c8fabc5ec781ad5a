//! Issuers whose keys cannot be had: the record of every caller who is refused for it, and the
//! log, say at which address, in which step, and why.

use std::net::TcpListener;

use crate::support::issuer::{SILENCE, Signer, Web, claims, key_set, with, with_issuer};
use crate::support::{Gateway, Upstream, eventually, json};

/// What is there in the place of keys, the step in which it shows, and what is said of it.
struct Row {
    what: &'static str,
    answer: String,
    phase: &'static str,
    said: &'static [&'static str],
}

fn row(
    what: &'static str,
    answer: impl Into<String>,
    phase: &'static str,
    said: &'static [&'static str],
) -> Row {
    Row { what, answer: answer.into(), phase, said }
}

/// One call is refused since there are no keys: the record, the readiness and the log agree.
fn assert_told(gateway: &Gateway, address: &str, row: &Row) {
    let Row { what, phase, said, .. } = row;
    eventually(what, || !gateway.events("jwks.failed").is_empty());
    let signer = Signer::es256("k");
    let answer = gateway.ask(&with(&signer.sign(&claims())));
    assert_eq!(answer.status, 503, "{what}");
    assert!(!answer.text().contains("127.0.0.1"), "{what}: {}", answer.text());
    let record = gateway.audit(1).remove(0);
    assert_eq!(record["reason"], "keys_unavailable", "{what}");
    let detail = record["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with(&format!("no keys: {phase} {address}")), "{what}: {detail}");
    let line = gateway.events("jwks.failed").remove(0);
    assert_eq!((&line["phase"], &line["issuer"]), (&(*phase).into(), &"corp".into()), "{what}");
    assert!(line["address"].as_str().unwrap().starts_with(address), "{what}: {line}");
    for word in *said {
        assert!(detail.contains(word), "{what}: {word} is not in {detail}");
        assert!(line["error"].as_str().unwrap().contains(word), "{what}: {word}: {line}");
    }
    let (_, ready) = gateway.admin("/readyz");
    assert!(ready.contains(&format!("issuer corp has no keys: {phase} {address}")), "{ready}");
    let file = gateway.folder().join("audit.jsonl");
    std::fs::write(&file, format!("{record}\n")).unwrap();
    let id = record["request_id"].as_str().unwrap();
    let (code, told) = gateway.command(&["explain", id, file.to_str().unwrap()]);
    assert!(code == Some(0) && told.contains(said[0]), "{what}: {told}");
    assert!(!format!("{record}{line}{told}").contains("s3cret"), "{what}: {record} {line}");
}

#[test]
fn keys_that_cannot_be_had_are_missed_with_address_step_and_cause() {
    let body = |text: &str| json("200 OK", "", text);
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let coded = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\
                 Content-Length: 4\r\n\r\n\u{1f}xyz";
    let moved = "HTTP/1.1 302 Found\r\nLocation: https://u:s3cret@other.example/k?t=s3cret\r\n\
                 Content-Length: 0\r\n\r\n";
    let discovery = r#"{"issuer":"https://a.example","jwks_uri":"https://a.example/keys"}"#;
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"keys\"";
    let rows = [
        row("not found", json("404 Not Found", "", "{}"), "head", &["status 404"]),
        row("forbidden", json("403 Forbidden", "", "s3cret"), "head", &["status 403"]),
        row("broken", json("500 Oh", "", "{}"), "head", &["status 500"]),
        row("moved", moved, "head", &["status 302, Location https://other.example/k"]),
        row("a page", page, "body", &["status 200, Content-Type text/html", "like HTML"]),
        row("compressed", coded, "head", &["Content-Encoding gzip"]),
        row("a BOM", body("\u{feff}{}"), "body", &["status 200", "byte order mark"]),
        row("discovery", body(discovery), "body", &["the issuer's discovery document"]),
        row("empty", body(""), "body", &[": empty"]),
        row("cut JSON", body(r#"{"keys":["#), "body", &["JSON that ends too early at byte 9"]),
        row("a list", body("[]"), "body", &["an array and no object"]),
        row("no key", key_set(&[]), "body", &["holds no key"]),
        row("cut", half, "body", &["closed the connection"]),
        row("too much", body(&" ".repeat(300_000)), "body", &["more than 262144 bytes"]),
        row("no HTTP", "220 mail\r\n\r\n", "head", &["no head of HTTP/1.1"]),
        row("nothing", "", "head", &["closed the connection"]),
        row("silence", SILENCE, "head", &["timed out after 5s"]),
    ];
    let upstream = Upstream::good();
    for row in rows {
        let web = Web::serving(&[]);
        web.answers(row.answer.as_str());
        let source = format!("jwks_url = \"{}\"", web.url());
        let gateway = with_issuer(&upstream, &source, "").start();
        assert_told(&gateway, &web.server.address.to_string(), &row);
    }
    // Nobody is there at all, and nobody answers in TLS.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = with_issuer(&upstream, &format!("jwks_url = \"http://{gone}/\""), "").start();
    assert_told(&gateway, &gone.to_string(), &row("gone", "", "connect", &["refused"]));
    let web = Web::serving(&[]);
    let source = format!("jwks_url = \"https://{}/\"", web.server.address);
    let gateway = with_issuer(&upstream, &source, "").start();
    let row = row("no TLS", "", "tls", &["timed out after 4s"]);
    assert_told(&gateway, &web.server.address.to_string(), &row);
    upstream.assert_untouched("without keys");
}

#[test]
fn a_key_that_is_not_known_is_told_with_the_fetch_that_could_not_bring_it() {
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("new"));
    let web = Web::serving(&[signer.jwk()]);
    let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    eventually("it has keys", || gateway.ask(&with(&signer.sign(&claims()))).status == 200);
    web.answers(json("500 Oh", "", ""));
    eventually("a fetch fails", || !gateway.events("jwks.failed").is_empty());
    let id = gateway.ask(&with(&other.sign(&claims()))).header("x-request-id").unwrap().to_owned();
    let record = eventually_record(&gateway, &id);
    assert_eq!(record["reason"], "unknown_key");
    let detail = record["detail"].as_str().unwrap();
    let why = format!("; the last fetch of keys failed: head {}: status 500", web.server.address);
    assert!(detail.starts_with("kid: expected one of 1 keys"), "{detail}");
    assert!(detail.contains(&why), "{detail}");
}

fn eventually_record(gateway: &Gateway, id: &str) -> serde_json::Value {
    let mut found = None;
    eventually("its record", || {
        let output = gateway.output();
        let mut lines = output.lines().filter(|line| line.contains(r#""kind":"request""#));
        found = lines.find(|line| line.contains(id)).map(str::to_owned);
        found.is_some()
    });
    serde_json::from_str(&found.unwrap()).unwrap()
}
