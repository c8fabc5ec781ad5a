//! What becomes of a call that may be made, of one that may not, and of an upstream's trouble.

use crate::support::{
    BOB, Call, Gate, Gateway, LIST, MODERN, Next, Response, Setup, Upstream, echo, json,
    modern_call, rpc, sse, tool_call,
};

const CALLED: &str = "{ \"jsonrpc\" : \"2.0\",\"id\":1 ,\"result\":{\"content\":[{\"n\":1.50,\"t\":\"\\u00e9\"}]}}\n";

#[test]
fn the_answer_to_a_permitted_call_is_byte_for_byte_the_upstreams() {
    let upstream = Upstream::fixed(json("200 OK", "", CALLED), Next::Keep);
    let gateway = Gateway::before(&upstream);
    for call in [echo(), modern_call("echo")] {
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.text()), (200, CALLED.to_owned()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn an_event_stream_that_answers_a_call_passes_byte_for_byte() {
    let events = format!(
        ": hi\r\n\r\nid: 1\r\nretry: 10\r\ndata:\r\n\r\nevent: message\ndata: {}\n\n",
        CALLED.trim_end()
    );
    let sent = events.clone();
    let upstream = Upstream::script(move |_, wire| {
        wire.send(sse());
        for part in sent.as_bytes().chunks(5) {
            wire.chunk(part);
        }
        wire.chunk("");
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&echo());
    assert_eq!((answer.status, answer.text()), (200, events));
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
}

/// No oracle: whether a tool exists cannot be told from the refusal.
#[test]
fn a_forbidden_tool_and_one_that_exists_nowhere_are_refused_alike() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let refused = |call: &Call, tool: &str| {
        let answer = gateway.ask(call);
        let (status, headers, body) = answer.comparable();
        (status, headers, body.replace(tool, "TOOL"))
    };
    let forbidden = refused(&Call::post(tool_call("delete_all")), "delete_all");
    assert_eq!(forbidden.0, 200);
    assert!(
        forbidden.2.contains(r#""code":-32602,"message":"Unknown tool: TOOL""#),
        "{forbidden:?}"
    );
    assert_eq!(forbidden, refused(&Call::post(tool_call("nowhere_10")), "nowhere_10"));
    let modern = refused(&modern_call("delete_all"), "delete_all");
    assert_eq!(modern, forbidden);
    assert_eq!(modern, refused(&modern_call("nowhere_10"), "nowhere_10"));
    // For bob it is the other way round.
    assert_eq!(refused(&echo().token(BOB), "echo").2, forbidden.2);
    upstream.assert_untouched("refused calls");
}

#[test]
fn a_refusal_carries_the_callers_id_in_its_own_spelling() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for id in ["0", "-7", "\"7\"", "9007199254740993", "\"\"", r#""\u0041\n""#] {
        for (method, params) in [("tools/call", r#"{"name":"x"}"#), ("no/such", "{}")] {
            let answer = gateway.ask(&Call::post(rpc(id, method, params)));
            assert_eq!(answer.status, 200);
            let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#);
            assert!(answer.text().starts_with(&start), "{}", answer.text());
        }
    }
    upstream.assert_untouched("refused calls");
}

#[test]
fn an_unknown_method_is_200_in_the_legacy_era_and_404_in_the_modern() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let legacy = gateway.ask(&Call::post(rpc("5", "tasks/list", "{}")));
    assert_eq!((legacy.status, legacy.error()), (200, (5.into(), -32601)));
    let meta = format!(r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}}}"#);
    for method in ["tasks/list", "initialize", "ping", "logging/setLevel"] {
        let call = Call::post(rpc("5", method, &meta))
            .header("MCP-Protocol-Version", MODERN)
            .header("Mcp-Method", method);
        let modern = gateway.ask(&call);
        assert_eq!((modern.status, modern.error()), (404, (5.into(), -32601)), "{method}");
    }
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
    assert_eq!(gateway.ask(&Call::post(notification)).status, 400);
    upstream.assert_untouched("unknown methods");
}

#[test]
fn known_legacy_messages_pass() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for method in ["initialize", "ping", "logging/setLevel", "tools/list"] {
        assert_eq!(gateway.ask(&Call::post(rpc("1", method, "{}"))).status, 200, "{method}");
    }
    for method in ["initialized", "cancelled", "progress", "roots/list_changed"] {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}"}}"#);
        let answer = gateway.ask(&Call::post(body));
        assert_eq!((answer.status, answer.text()), (202, String::new()), "{method}");
    }
    let response = r#"{"jsonrpc":"2.0","id":"s1","result":{}}"#;
    assert_eq!(gateway.ask(&Call::post(response)).status, 200);
}

#[test]
fn a_modern_call_whose_headers_say_something_else_is_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let call = || modern_call("echo");
    let set = |name: &str, value: &str| call().without(name).header(name, value);
    let rows = [
        ("M1", set("Mcp-Method", "tools/list"), -32020),
        ("M1", modern_call("delete_all").without("Mcp-Name").header("Mcp-Name", "echo"), -32020),
        ("M2", set("Mcp-Name", "delete_all"), -32020),
        ("M2", call().header("Mcp-Name", "echo"), -32020),
        ("M2", call().header("mcp-name", "delete_all"), -32020),
        ("M2", set("Mcp-Name", "echo, delete_all"), -32020),
        ("M2", set("Mcp-Name", "ECHO"), -32020),
        ("M2", call().without("Mcp-Name").header("Mcp_Name", "echo"), -32020),
        ("M2", call().without("Mcp-Method"), -32020),
        ("M3", set("Mcp-Name", "=?base64?ZGVsZXRlX2FsbA==?="), -32020),
        ("M3", set("Mcp-Name", "=?base64?ZWNobw?="), -32020),
        ("M3", set("Mcp-Name", "=?base64?!!?="), -32020),
        ("M4", call().without("MCP-Protocol-Version"), -32020),
        ("M4", set("MCP-Protocol-Version", "2025-11-25"), -32020),
        ("M4", set("MCP-Protocol-Version", "2027-01-01"), -32020),
        ("M4", call().header("MCP-Protocol-Version", MODERN), -32020),
        ("M4 no _meta", echo().header("MCP-Protocol-Version", MODERN), -32602),
        ("I4", call().header("Connection", "Mcp-Name").without("Mcp-Name"), -32020),
    ];
    for (row, call, code) in rows {
        let answer = gateway.ask(&call);
        let got = (answer.status, answer.error());
        assert_eq!(got, (400, (1.into(), code)), "{row}: {}", call.head(gateway.address));
        upstream.assert_untouched(row);
    }
    let encoded = set("Mcp-Name", "=?base64?ZWNobw==?=");
    assert_eq!(gateway.ask(&encoded).status, 200, "a name in Base64 is the name");
}

fn assert_upstream_trouble(answer: &Response, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.error(), ("c-1".into(), -32603), "{what}");
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    for stray in ["www-authenticate", "retry-after", "mcp-session-id", "content-encoding"] {
        // When a busy upstream can be asked again concerns its callers.
        let is_meant = (stray, what) == ("retry-after", "503");
        assert_eq!(names.contains(&stray), is_meant, "{what}: {names:?}");
    }
}

fn named(tool: &str) -> Call {
    Call::post(rpc("\"c-1\"", "tools/call", &format!(r#"{{"name":"{tool}"}}"#)))
}

#[test]
fn an_answer_that_concerns_the_gateway_alone_is_a_502() {
    let evil = "WWW-Authenticate: Bearer realm=\"evil\"\r\nLocation: http://evil.example/\r\nServer: x\r\nSet-Cookie: a=b\r\nX-User-ID: root\r\nRetry-After: 9\r\nMcp-Session-Id: s\r\n";
    let status = |line: &str| json(line, evil, CALLED);
    let rows = [
        ("401", status("401 Unauthorized")),
        ("403", status("403 Forbidden")),
        ("301", status("301 Moved Permanently")),
        ("307", status("307 Temporary Redirect")),
        ("407", status("407 Proxy Authentication Required")),
        ("500", status("500 Internal Server Error")),
        ("503", status("503 Service Unavailable")),
        ("206", status("206 Partial Content")),
        ("999", status("999 What")),
        (
            "101",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n{evil}\r\n"
            ),
        ),
        ("gzip", json("200 OK", "Content-Encoding: gzip\r\n", CALLED)),
        ("br", json("200 OK", "Content-Encoding: br\r\n", CALLED)),
        ("garbage", "\u{16}\u{3}\u{1} this is not HTTP\r\n\r\n".to_owned()),
        ("no status", "HTTP/1.1\r\n\r\n".to_owned()),
        ("nothing", String::new()),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-Ty".to_owned()),
    ];
    for (what, bytes) in rows {
        let upstream = Upstream::fixed(bytes, Next::Close);
        let gateway = Gateway::before(&upstream);
        assert_upstream_trouble(&gateway.ask(&named("echo")), 502, what);
        assert_eq!(upstream.requests().len(), 1, "{what}: a call is never sent twice");
    }
}

#[test]
fn headers_of_a_good_answer_pass_by_an_allow_list() {
    let headers = "Server: x\r\nSet-Cookie: a=b\r\nX-User-ID: root\r\nVia: 1.1 x\r\nX-Powered-By: y\r\nAccess-Control-Allow-Origin: *\r\nX-Request-Id: theirs\r\nMcp-Protocol-Version: 2025-11-25\r\nETag: \"1\"\r\nCache-Control: public, max-age=9\r\n";
    let upstream = Upstream::fixed(json("200 OK", headers, CALLED), Next::Keep);
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&echo());
    assert_eq!((answer.status, answer.text()), (200, CALLED.to_owned()));
    assert_eq!(answer.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_ne!(answer.header("x-request-id"), Some("theirs"));
}

#[test]
fn an_upstream_that_is_not_there_is_a_502() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Setup::at(&format!("http://{gone}/mcp")).start();
    assert_upstream_trouble(&gateway.ask(&named("echo")), 502, "down");
    let record = gateway.audit(1).remove(0);
    assert_eq!(
        (&record["decision"], &record["reason"]),
        (&"allow".into(), &"upstream_unreachable".into())
    );
}

#[test]
fn an_upstream_that_says_nothing_is_a_504_and_is_left() {
    let upstream = Upstream::script(|_, wire| {
        wire.wait_closed();
        Next::Close
    });
    let gateway = Setup::new(&upstream).upstream("call_timeout = \"200ms\"").start();
    assert_upstream_trouble(&gateway.ask(&named("echo")), 504, "silent");
    crate::support::eventually("the upstream is left", || upstream.left() == 1);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn interim_answers_of_the_upstream_are_passed_over() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let upstream = Upstream::fixed(format!("{interim}{}", json("200 OK", "", CALLED)), Next::Keep);
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.ask(&echo()).text(), CALLED);
}

/// The caller must see that something is missing.
#[test]
fn an_answer_that_breaks_off_is_cut_off_for_the_caller_too() {
    let whole = json("200 OK", "", CALLED);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{CALLED}"
    );
    for bytes in [whole[..whole.len() - 9].to_owned(), chunked] {
        let upstream = Upstream::fixed(bytes, Next::Close);
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        client.send(&echo().bytes(gateway.address));
        assert_eq!(client.head().status, 200);
        let end = loop {
            match client.try_part() {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(end.is_err(), "the body must not look complete");
        assert_eq!(gateway.audit(1)[0]["outcome"], "upstream_error");
    }
}

/// Closes the connection on its second request, without an answer to it.
fn stale() -> Upstream {
    let served = std::sync::Mutex::new(std::collections::HashMap::new());
    Upstream::script(move |request, wire| {
        let mut served = served.lock().unwrap();
        let count = served.entry(request.connection).or_insert(0);
        *count += 1;
        if *count == 2 {
            return Next::Close;
        }
        let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
        wire.send(json("200 OK", "", list));
        Next::Keep
    })
}

/// How often a call is tried until one meets a stale connection: the gateway's pool may take a
/// new one at any time.
const TRIES: usize = 100;

#[test]
fn a_list_on_a_stale_connection_is_asked_for_again() {
    let upstream = stale();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    let retries = || gateway.metric("doorward_upstream_retries_total{upstream=\"t\"}");
    let mut asked = 0;
    while asked == 0 || retries() == 0.0 {
        assert!(asked < TRIES, "no connection was used again");
        assert_eq!(client.ask(&Call::post(LIST)).status, 200);
        asked += 1;
    }
    assert_eq!(upstream.requests().len(), asked + 1);
}

#[test]
fn a_tool_call_on_a_stale_connection_is_never_sent_twice() {
    let upstream = stale();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    let mut asked = 1;
    let mut answer = client.ask(&named("echo"));
    while answer.status == 200 {
        assert!(asked < TRIES, "no connection was used again");
        answer = client.ask(&named("echo"));
        asked += 1;
    }
    assert_upstream_trouble(&answer, 502, "stale");
    assert_eq!(upstream.requests().len(), asked);
    assert_eq!(client.ask(&named("echo")).status, 200, "and the next one is served");
}

#[test]
fn a_list_on_a_fresh_connection_is_asked_for_once() {
    let upstream = Upstream::script(|_, _| Next::Close);
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.ask(&Call::post(LIST)).status, 502);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_connection_with_stray_bytes_is_not_used_again() {
    let stray = json("200 OK", "", "{\"stray\":1}");
    let upstream = Upstream::fixed(format!("{}{stray}", json("200 OK", "", CALLED)), Next::Keep);
    let gateway = Gateway::before(&upstream);
    for _ in 0..3 {
        let answer = gateway.ask(&echo());
        assert!(!answer.text().contains("stray"), "one caller got another's answer");
    }
}

/// One answer never reaches another caller, however the calls overlap (M9).
#[test]
fn calls_with_the_same_id_at_once_get_their_own_answers() {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::script(move |request, wire| {
        opened.wait();
        let user = &request.values("x-user-id")[0];
        wire.send(json("200 OK", "", &format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{user}"}}"#)));
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    let calls = [echo(), Call::post(tool_call("delete_all")).token(BOB)];
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&calls[n % 2].bytes(gateway.address));
    }
    upstream.wait_for(20);
    gate.open();
    for (n, client) in clients.iter_mut().enumerate() {
        let user = ["alice", "bob"][n % 2];
        assert!(client.response().text().contains(user));
    }
}
