//! A legacy session belongs to the person who opened it (MCP 2025-11-25, "Session Hijacking").

use crate::support::gateway::ROTATED;
use crate::support::{
    ALICE_AT, BOB, Call, Gateway, LIST, Next, Setup, Upstream, echo, json, modern_call, rpc,
    sealed_session, tool_call,
};

const SESSION: &str = "Mcp-Session-Id";

/// Everything that a client sends in a session.
fn in_session(session: &str) -> [Call; 6] {
    let elicited = r#"{"jsonrpc":"2.0","id":"e1","result":{"action":"accept","content":{}}}"#;
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    [
        Call::post(LIST),
        Call::post(rpc("1", "ping", "{}")),
        Call::post(elicited),
        Call::post(initialized),
        Call::empty("GET"),
        Call::empty("DELETE"),
    ]
    .map(|call| call.header(SESSION, session))
}

/// Opens a session and returns its id.
fn open(gateway: &Gateway) -> String {
    let answer = gateway.ask(&Call::post(rpc("1", "initialize", "{}")));
    answer.header("mcp-session-id").expect("a session").to_owned()
}

#[test]
fn a_session_that_was_handed_out_serves_its_owner_with_any_of_their_tokens() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let session = open(&gateway);
    for call in in_session(&session) {
        for call in [call.clone(), call.token(ROTATED)] {
            let status = gateway.ask(&call).status;
            assert!(matches!(status, 200 | 202), "{status}");
            let request = upstream.requests().pop().unwrap();
            assert_eq!(request.values("mcp-session-id"), ["session-5f3a"]);
        }
    }
}

#[test]
fn another_principals_session_is_404_on_every_path_and_the_owner_is_unaffected() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let session = open(&gateway);
    let before = upstream.requests().len();
    for call in in_session(&session) {
        let refused = gateway.ask(&call.clone().token(BOB));
        assert_eq!(refused.status, 404);
        let unknown = Call::clone(&call).without(SESSION).header(SESSION, "nobody.knows");
        assert_eq!(gateway.ask(&unknown).comparable(), refused.comparable());
    }
    assert_eq!(upstream.requests().len(), before, "the upstream heard of it");
    for call in in_session(&session) {
        assert!(matches!(gateway.ask(&call).status, 200 | 202));
    }
    let records = gateway.audit(19);
    let refused = records.iter().filter(|r| r["reason"] == "session" && r["decision"] == "deny");
    assert_eq!(refused.count(), 12);
}

#[test]
fn an_id_that_the_gateway_did_not_seal_is_not_a_session() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let sealed = sealed_session(ALICE_AT, "s-1");
    let elsewhere = sealed_session(("alice", "globex"), "s-1");
    let other_case = sealed.to_uppercase();
    for id in ["s-1", "s-1.", ".", "", &elsewhere, &other_case, &format!("{sealed}=")] {
        for call in in_session(id) {
            assert_eq!(gateway.ask(&call).status, 404, "{id:?}");
        }
    }
    upstream.assert_untouched("foreign ids");
}

#[test]
fn an_unknown_session_is_told_with_the_callers_id() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let call = Call::post(rpc("\"seven\"", "tools/list", "{}")).header(SESSION, "gone");
    let answer = gateway.ask(&call);
    assert_eq!((answer.status, answer.error()), (404, ("seven".into(), -32600)));
}

/// Clients take a 404 in a session for its end, so a refused call must never be one.
#[test]
fn a_refused_call_in_a_session_is_never_404() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s-1");
    for body in [tool_call("delete_all"), rpc("1", "tools/execute", "{}")] {
        assert_eq!(gateway.ask(&Call::post(body).header(SESSION, &session)).status, 200);
    }
    upstream.assert_untouched("refused calls");
}

#[test]
fn the_upstreams_word_on_a_session_that_is_gone_passes() {
    let gone = json("404 Not Found", "", r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001}}"#);
    let upstream = Upstream::fixed(gone, Next::Keep);
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s-1");
    for call in [echo(), Call::empty("GET"), Call::empty("DELETE")] {
        assert_eq!(gateway.ask(&call.header(SESSION, &session)).status, 404);
    }
}

#[test]
fn replicas_with_the_same_key_know_each_others_sessions() {
    let upstream = Upstream::good();
    let session = open(&Gateway::before(&upstream));
    let replica = Gateway::before(&upstream);
    assert_eq!(replica.ask(&echo().header(SESSION, &session)).status, 200);
    let key = "another secret of more than thirty-two bytes";
    let stranger = Setup::new(&upstream).file("session.key", key).start();
    assert_eq!(stranger.ask(&echo().header(SESSION, &session)).status, 404);
}

#[test]
fn without_a_key_file_sessions_end_with_the_process_and_the_log_says_so() {
    let upstream = Upstream::good();
    let alone = || Setup::new(&upstream).without_session_key().start();
    let (first, second) = (alone(), alone());
    let session = open(&first);
    assert_eq!(first.ask(&echo().header(SESSION, &session)).status, 200);
    assert_eq!(second.ask(&echo().header(SESSION, &session)).status, 404);
    assert!(first.output().contains("session_key.random"), "{}", first.output());
    assert!(!Gateway::before(&upstream).output().contains("session_key.random"));
}

#[test]
fn a_modern_request_has_no_session() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&modern_call("echo").header(SESSION, "anything"));
    assert_eq!((answer.status, answer.header("mcp-session-id")), (200, None));
    assert!(upstream.only_request().values("mcp-session-id").is_empty());
}
