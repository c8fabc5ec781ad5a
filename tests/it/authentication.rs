//! Nobody unknown gets through (threats.md 2.6), and no token comes back out.

use crate::support::gateway::{EXPIRED, REVOKED, sha256};
use crate::support::{ALICE, BOB, Call, Gateway, Upstream, echo, tool_call};

fn assert_challenged(gateway: &Gateway, call: &Call, what: &str) {
    let answer = gateway.ask(call);
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer "), "{what}: {challenge}");
    assert_eq!(answer.error().0, serde_json::Value::Null, "{what}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
}

fn authorization(value: &str) -> Call {
    echo().without("Authorization").header("Authorization", value)
}

#[test]
fn only_the_exact_token_in_the_one_right_place_is_taken() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let nobody = || echo().without("Authorization");
    let rows = [
        ("no token", nobody()),
        ("A3 prefix", echo().token(&ALICE[..ALICE.len() - 1])),
        ("A3 longer", echo().token(&format!("{ALICE}1"))),
        ("A3 upper case", echo().token(&ALICE.to_uppercase())),
        ("A3 quoted", echo().token(&format!("\"{ALICE}\""))),
        ("A3 parameter", authorization(&format!("Bearer token={ALICE}"))),
        ("A3 two in one", authorization(&format!("Bearer {ALICE}, Bearer {BOB}"))),
        ("A3 no scheme", authorization(ALICE)),
        ("A3 scheme alone", authorization("Bearer")),
        ("A3 empty", authorization("")),
        ("A3 8 KB", echo().token(&"a".repeat(8_000))),
        ("A3 basic", authorization("Basic YWxpY2U6YWxpY2U=")),
        ("A4 digest", echo().token(&sha256(ALICE))),
        ("A5 query", nobody().target(&format!("/mcp?access_token={ALICE}"))),
        ("A5 cookie", nobody().header("Cookie", &format!("access_token={ALICE}"))),
        ("A5 api key", nobody().header("X-API-Key", ALICE)),
        ("A5 forwarded", nobody().header("X-Forwarded-Authorization", &format!("Bearer {ALICE}"))),
        ("A5 proxy", nobody().header("Proxy-Authorization", &format!("Bearer {ALICE}"))),
        ("A6 query", nobody().target("/mcp?x=/.well-known/oauth-protected-resource")),
        ("A6 probe", nobody().header("User-Agent", "kube-probe/1.31")),
        ("A7 identity header", nobody().header("X-User-ID", "alice")),
        ("GET", Call::empty("GET").without("Authorization")),
        ("DELETE", Call::empty("DELETE").without("Authorization")),
        ("expired", echo().token(EXPIRED)),
        ("revoked", echo().token(REVOKED)),
    ];
    for (what, call) in &rows {
        assert_challenged(&gateway, call, what);
        upstream.assert_untouched(what);
    }
    let audit = gateway.audit(rows.len());
    assert!(audit.iter().all(|r| r["outcome"] == "unauthenticated" && r["user"].is_null()));
    // Records are written when a request ends, which is not quite the order of the answers.
    for (reason, token) in [("revoked", "gone-key"), ("expired", "old-key")] {
        let record = audit.iter().find(|r| r["reason"] == reason).expect(reason);
        assert_eq!(record["token"], token);
    }
}

#[test]
fn two_authorization_headers_are_never_one_identity() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let bearer = |token: &str| format!("Bearer {token}");
    let pairs = [
        (bearer(ALICE), bearer(BOB)),
        (bearer(BOB), bearer(ALICE)),
        (bearer(ALICE), bearer(ALICE)),
        ("Basic eDp5".to_owned(), bearer(ALICE)),
        (bearer(ALICE), String::new()),
    ];
    for (first, second) in &pairs {
        let call = authorization(first).header("authorization", second);
        let answer = gateway.ask(&call);
        assert_eq!(answer.status, 400, "{first} {second}");
        assert!(answer.header("www-authenticate").unwrap().contains("invalid_request"));
        upstream.assert_untouched("A1");
    }
}

#[test]
fn the_scheme_is_read_without_its_case() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for scheme in ["bearer", "BEARER", "Bearer"] {
        let call = authorization(&format!("{scheme} {ALICE} \t"));
        assert_eq!(gateway.ask(&call).status, 200, "{scheme}");
    }
}

#[test]
fn other_paths_answer_404_with_and_without_a_token() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/healthz/../mcp",
        "/metrics",
        "/readyz",
        "/sse",
        "/messages",
        "/backend/mcp",
        "/",
    ] {
        for call in [echo(), echo().without("Authorization"), Call::empty("GET")] {
            assert_eq!(gateway.ask(&call.target(path)).status, 404, "{path}");
        }
    }
    upstream.assert_untouched("other paths");
}

#[test]
fn every_request_of_a_connection_is_authenticated_anew() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    assert_eq!(client.ask(&echo()).status, 200);
    assert_eq!(client.ask(&echo().without("Authorization")).status, 401);
    assert_eq!(client.ask(&echo().token(BOB)).error().1, -32602);
    assert_eq!(client.ask(&Call::post(tool_call("delete_all")).token(BOB)).status, 200);
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn no_token_goes_upstream_or_comes_back() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answers = [
        gateway.ask(&echo()),
        gateway.ask(&echo().token(EXPIRED)),
        gateway.ask(&echo().token(&format!("{ALICE}x"))),
    ];
    gateway.audit(3);
    let heads: Vec<String> = upstream.requests().into_iter().map(|r| r.head).collect();
    let said = format!("{answers:?}\n{}\n{}\n{heads:?}", gateway.output(), gateway.metrics());
    for secret in [ALICE, EXPIRED] {
        assert!(!said.contains(secret) && !said.contains(&sha256(secret)), "{secret}");
    }
}

#[test]
fn the_record_says_which_part_of_a_head_was_refused() {
    let upstream = Upstream::good();
    let typed = |value: &str| echo().without("Content-Type").header("Content-Type", value);
    let rows = [
        (authorization("Basic czNjcmV0"), "malformed", "of the scheme Basic"),
        (authorization("DPoP s3cret"), "malformed", "of the scheme DPoP"),
        (authorization("s3cret"), "malformed", "without a scheme"),
        (authorization("s3cret s3cret"), "malformed", "of another scheme"),
        (authorization("Bearer s3cret, s3cret"), "malformed", "what is no token"),
        (typed("text/plain"), "content_type", "Content-Type text/plain"),
        (typed("application/json; charset=latin1"), "content_type", "charset=latin1"),
        (echo().without("Content-Type"), "content_type", "no Content-Type"),
        (echo().header("Content-Encoding", "gzip"), "encoded", "Content-Encoding gzip"),
        (echo().header("Expect", "200-ok"), "expectation", "Expect 200-ok"),
        (Call::empty("PUT"), "http_method", "method PUT"),
        (Call::empty("PROPFIND"), "http_method", "method PROPFIND"),
        (
            Call::empty("GET").header("MCP-Protocol-Version", "2026-07-28"),
            "http_method",
            "method GET",
        ),
    ];
    let gateway = Gateway::before(&upstream);
    for (count, (call, reason, said)) in rows.iter().enumerate() {
        gateway.ask(call);
        let record = gateway.audit(count + 1).remove(count);
        assert_eq!(record["reason"], *reason, "{said}: {record}");
        assert!(record["detail"].as_str().unwrap_or_default().contains(said), "{said}: {record}");
    }
    assert!(!gateway.output().contains("s3cret"), "{}", gateway.output());
    upstream.assert_untouched("a head that is refused");
}
