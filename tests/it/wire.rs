//! What the revisions of MCP say about a single exchange, seen from both of its ends.

use crate::support::{
    Call, Gateway, MODERN, Next, Setup, Upstream, echo, json, modern, modern_call, rpc, sse,
};

#[test]
fn a_modern_header_without_meta_is_invalid_params_before_any_mismatch() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let bare = Call::post(rpc("1", "tools/list", "{}")).header("MCP-Protocol-Version", MODERN);
    for call in [bare.clone(), bare.header("Mcp-Method", "prompts/list")] {
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.error()), (400, (1.into(), -32602)));
    }
    upstream.assert_untouched("requests without _meta");
}

#[test]
fn a_modern_name_must_be_the_target_of_its_body() {
    let cases = [
        ("tools/call", r#""name":"echo""#, "echo"),
        ("prompts/get", r#""name":"greet""#, "greet"),
        ("resources/read", r#""uri":"docs://a""#, "docs://a"),
    ];
    for (method, params, name) in cases {
        let upstream = Upstream::good();
        let gateway = Gateway::before(&upstream);
        let call = modern(method, params);
        let wrong = [call.clone(), call.clone().header("Mcp-Name", "other")];
        for wrong in wrong {
            let answer = gateway.ask(&wrong);
            assert_eq!((answer.status, answer.error().1), (400, -32020), "{method}");
        }
        upstream.assert_untouched(method);
        let right = call.header("mcp-NAME", &format!("   {name}  "));
        let judged = gateway.ask(&right);
        assert_ne!(judged.error().1, -32020, "{method}: {}", judged.text());
    }
}

#[test]
fn a_method_that_is_gone_is_unknown_before_its_headers_are_looked_at() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (method, params) in [
        ("tasks/result", r#""taskId":"1""#),
        ("resources/subscribe", r#""uri":"docs://a""#),
        ("logging/setLevel", r#""level":"info""#),
    ] {
        let answer = gateway.ask(&modern(method, params));
        assert_eq!((answer.status, answer.error().1), (404, -32601), "{method}");
    }
    upstream.assert_untouched("methods that are gone");
}

#[test]
fn a_name_that_nothing_was_compared_with_is_left_behind() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.ask(&modern("tools/list", "").header("Mcp-Name", "secret")).status, 200);
    assert!(upstream.only_request().values("mcp-name").is_empty());
}

#[test]
fn an_accepted_notification_is_202_without_a_body_or_a_type() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for method in ["initialized", "cancelled", "progress", "roots/list_changed", "tasks/status"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}"}}"#);
        let answer = gateway.ask(&Call::post(body));
        assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{method}");
        assert_eq!(answer.header("content-type"), None);
    }
}

/// mcp-remote sends it, and every server accepts it and does nothing.
#[test]
fn a_modern_cancellation_is_accepted_and_goes_no_further() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}"#);
    let notification = |method: &str| {
        let params = format!(r#"{{"requestId":1,{meta}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        Call::post(body).header("MCP-Protocol-Version", MODERN)
    };
    let cancelled = notification("notifications/cancelled");
    let named = cancelled.clone().header("Mcp-Method", "notifications/cancelled");
    for call in [cancelled.clone(), named] {
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    }
    assert_eq!(gateway.ask(&cancelled.clone().token("nobody")).status, 401);
    assert_eq!(gateway.ask(&cancelled.header("Mcp-Method", "tools/call")).status, 400);
    assert_eq!(gateway.ask(&notification("notifications/progress")).status, 404);
    upstream.assert_untouched("modern notifications");
}

#[test]
fn a_posted_response_is_for_the_legacy_era() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let response = r#"{"jsonrpc":"2.0","id":"s-1","result":{"action":"decline"}}"#;
    assert_eq!(gateway.ask(&Call::post(response)).status, 200);
    assert_eq!(upstream.only_request().body, response.as_bytes());
    let modern = Call::post(response).header("MCP-Protocol-Version", MODERN);
    assert_eq!(gateway.ask(&modern).status, 400);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn each_round_of_a_call_is_judged_and_its_state_passes_byte_for_byte() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let round = |tool: &str| {
        let state = r#""requestState":"e\u0079J=. \/","inputResponses":{"a":{"n":1.50e3}}"#;
        let params = format!(r#""name":"{tool}", {state}"#);
        modern("tools/call", &params).header("Mcp-Name", tool)
    };
    assert_eq!(gateway.ask(&round("echo")).status, 200);
    let request = upstream.only_request();
    assert!(round("echo").bytes(gateway.address).ends_with(&request.body));
    let refused = gateway.ask(&round("delete_all"));
    assert!(refused.text().contains("Unknown tool: delete_all"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_modern_initialize_is_an_unknown_method_and_makes_no_session() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&modern("initialize", ""));
    assert_eq!((answer.status, answer.error().1), (404, -32601));
    assert_eq!(answer.header("mcp-session-id"), None);
    upstream.assert_untouched("a modern initialize");
}

#[test]
fn what_a_legacy_upstream_says_to_a_probe_reaches_the_client() {
    let words = [
        json("400 Bad Request", "", r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600}}"#),
        json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#),
        json("404 Not Found", "", r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}"#),
    ];
    for said in words {
        let upstream = Upstream::fixed(said.clone(), Next::Keep);
        let answer = Gateway::before(&upstream).ask(&modern("server/discover", ""));
        assert!(said.starts_with(&format!("HTTP/1.1 {}", answer.status)), "{}", answer.status);
        assert!(said.ends_with(&answer.text()), "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_modern_request_says_no_more_than_that_its_upstream_is_down() {
    let gateway = Setup::at("http://127.0.0.1:1/mcp").start();
    let answer = gateway.ask(&modern("server/discover", ""));
    assert_eq!((answer.status, answer.error()), (502, (1.into(), -32603)));
}

#[test]
fn an_answer_in_lines_of_json_flows_as_it_comes() {
    let gate = crate::support::Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::script(move |_, wire| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        wire.chunk("{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n");
        opened.wait();
        wire.chunk("{\"jsonrpc\":\"2.0\",\"method\":\"b\"}\n");
        wire.chunk("");
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    let listen = modern("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
    for call in [listen, modern_call("echo")] {
        let mut client = gateway.connect();
        client.send(&call.bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        assert_eq!(client.part().unwrap(), b"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n");
        gate.open();
        assert_eq!(client.part().unwrap(), b"{\"jsonrpc\":\"2.0\",\"method\":\"b\"}\n");
        assert_eq!(client.part(), None);
    }
}

#[test]
fn requests_from_the_server_and_their_answers_pass() {
    let asked = "event: message\nid: 7\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"s-1\",\"method\":\"elicitation/create\",\"params\":{\"message\":\"?\"}}\n\n";
    let upstream = Upstream::script(move |request, wire| {
        if request.method().is_empty() {
            wire.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        } else {
            wire.send(sse());
            wire.chunk(asked);
            wire.chunk("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}\n\n");
            wire.chunk("");
        }
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    assert!(gateway.ask(&echo()).text().starts_with(asked));
    let accepted = r#"{"jsonrpc":"2.0","id":"s-1","result":{"action":"accept","content":{"x":1}}}"#;
    let answer = gateway.ask(&Call::post(accepted));
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    assert_eq!(upstream.requests()[1].body, accepted.as_bytes());
}

/// Its messages would go by another path, which the gateway does not know; so a client is told
/// what it expects of a server without that transport ("Backwards Compatibility").
#[test]
fn the_transport_of_2024_is_answered_405_and_never_half_open() {
    let upstream = Upstream::script(|request, wire| {
        if request.line().starts_with("GET") {
            wire.send(sse());
            wire.chunk("event: endpoint\ndata: /messages/?session_id=5f3a\n\n");
            wire.wait_closed();
        } else {
            wire.send("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n");
        }
        Next::Close
    });
    let gateway = Gateway::before(&upstream);
    let get =
        gateway.ask(&Call::empty("GET").without("Accept").header("Accept", "text/event-stream"));
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert!(!get.text().contains("messages"), "{}", get.text());
    let post = gateway.ask(&Call::post(rpc("1", "initialize", "{}")));
    assert_eq!((post.status, post.header("allow")), (405, Some("GET")));
    assert_eq!(gateway.ask(&Call::post("{}").target("/messages/?session_id=5f3a")).status, 404);
    assert!(gateway.output().contains("old_transport"), "{}", gateway.output());
}
