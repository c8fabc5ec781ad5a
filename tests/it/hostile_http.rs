//! Requests that break HTTP or mean to be read differently further on (threats.md 2.4).
//!
//! In the raw requests `{host}` stands for the gateway's address and `{auth}` for alice's token.

use crate::support::{ALICE, BOB, Call, Gateway, Response, Upstream, echo, tool_call};

fn raw(gateway: &Gateway, text: &str) -> Vec<u8> {
    let auth = format!("Authorization: Bearer {ALICE}");
    text.replace("{host}", &gateway.address.to_string()).replace("{auth}", &auth).into_bytes()
}

/// A POST with `lines` in its head, which end in CRLF, and `body` behind it.
fn post(lines: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {{host}}\r\n{{auth}}\r\nContent-Type: application/json\r\n{lines}\r\n{body}"
    )
}

/// Sends each request; its answer has one of `statuses`, the connection ends with it, and the
/// upstream hears nothing.
fn refuses_and_closes(rows: &[(&str, String)], statuses: &[u16]) {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (row, request) in rows {
        let shown: String = request.chars().take(300).collect();
        let mut client = gateway.connect();
        client.try_send(&raw(&gateway, request));
        let answer = client.response();
        assert!(statuses.contains(&answer.status), "{row}: {}: {shown:?}", answer.status);
        client.assert_closed();
        upstream.assert_untouched(row);
    }
    assert_eq!(gateway.ask(&echo()).status, 200, "the gateway still serves");
}

fn length(body: &str) -> String {
    format!("Content-Length: {}\r\n", body.len())
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

const TE: &str = "Transfer-Encoding: chunked\r\n";

#[test]
fn a_body_with_two_lengths_is_refused() {
    let body = tool_call("echo");
    let hidden = post(&length(&body), &body);
    let both = format!("{}{TE}", length(&body));
    let other = |value: &str| post(&format!("Content-Length: {value}\r\n"), &body);
    let two =
        |a: &str, b: &str| post(&format!("Content-Length: {a}\r\nContent-Length: {b}\r\n"), &body);
    let size = body.len();
    let mut rows = vec![
        ("H1 CL.TE", post(&both, &format!("0\r\n\r\n{hidden}"))),
        (
            "H1 TE.CL",
            post(&format!("{TE}Content-Length: 4\r\n"), &format!("{}{hidden}", chunked(&body))),
        ),
        ("H4", post(TE, &chunked(&body)).replace("HTTP/1.1", "HTTP/1.0")),
        ("H5", two(&size.to_string(), "5")),
        ("H5", two(&size.to_string(), &size.to_string())),
        ("H5", other(&format!("{size}, {size}"))),
        ("H5", other(&format!("+{size}"))),
        ("H5", other(&format!("0x{size:x}"))),
        ("H5", other("5 5")),
        ("H5", other(&format!("{}", (1_u128 << 64) + 5))),
        ("H5", other("1_00")),
        ("H5", other("-1")),
        ("H5", other("")),
        ("H6", post(&format!("Content-Length : {size}\r\n"), &body)),
        ("H6", post(&format!("X-User-ID : root\r\n{}", length(&body)), &body)),
    ];
    for coding in [
        "xchunked",
        "chunked, identity",
        "\"chunked\"",
        "chunked;a",
        "\u{b}chunked",
        "identity, chunked",
        "gzip, chunked",
        "gzip",
        "identity",
        "chunked, chunked",
        "",
    ] {
        rows.push(("H2 H3", post(&format!("Transfer-Encoding: {coding}\r\n"), &chunked(&body))));
    }
    rows.push(("H3", post(&format!("{TE}{TE}"), &chunked(&body))));
    refuses_and_closes(&rows, &[400, 501]);
}

#[test]
fn a_head_with_other_line_ends_is_refused() {
    let body = tool_call("echo");
    let with = |lines: &str| post(&format!("{lines}{}", length(&body)), &body);
    let rows = [
        ("H7", with("X-A: b\nX-User-ID: root\r\n")),
        ("H7", with("").replacen("\r\n", "\n", 1)),
        ("H7", with("").replace("\r\n", "\n")),
        ("H8 bare CR", with("X-A: b\rX-User-ID: root\r\n")),
        ("H8 NUL", with("X-A: b\0c\r\n")),
        ("H8 fold", with("X-A: b\r\n X-User-ID: root\r\n")),
        ("H8 fold", with("X-A: b\r\n\tc\r\n")),
        ("no colon", with("X-A\r\n")),
        ("empty name", with(": b\r\n")),
        ("no version", with("").replacen(" HTTP/1.1", "", 1)),
        ("HTTP/2 in text", with("").replacen("HTTP/1.1", "HTTP/2.0", 1)),
        ("preface", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", with(""))),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned()),
    ];
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (row, request) in rows {
        let answer = gateway.ask_raw(&raw(&gateway, &request));
        let status = answer.map(|a| a.status);
        assert!(matches!(status, None | Some(400)), "{row}: {status:?}: {request:?}");
        upstream.assert_untouched(row);
    }
    assert_eq!(gateway.ask(&echo()).status, 200, "the gateway still serves");
}

/// What is generously read is at least exactly what is judged and forwarded, and the connection
/// ends, so that nothing behind it becomes a request.
#[test]
fn broken_chunks_are_refused_or_read_in_one_way_only() {
    let body = tool_call("echo");
    let hex = format!("{:x}", body.len());
    let framed = |size: &str, end: &str| format!("{size}\r\n{body}{end}0\r\n\r\n");
    let hidden = post(&length(&body), &body);
    let refused = [
        ("H9", framed("-5", "\r\n")),
        ("H9", framed(&format!("0x{hex}"), "\r\n")),
        ("H9", framed(&format!("+{hex}"), "\r\n")),
        ("H9", framed(&format!("{hex}_0"), "\r\n")),
        ("H9", framed(&format!("1{}", "0".repeat(16)), "\r\n")),
        ("H9", framed("ffffffffffffffff", "\r\n")),
        ("H9 empty", framed("", "\r\n")),
        ("H9 empty", framed(";a", "\r\n")),
        ("H9 no hex", framed("g", "\r\n")),
    ];
    let refused: Vec<_> =
        refused.into_iter().map(|(row, b)| (row, post(TE, &format!("{b}{hidden}")))).collect();
    refuses_and_closes(&refused, &[400, 413]);
    let unclear = [
        ("H10", framed(&format!("{hex};a=b"), "\r\n")),
        ("H10", framed(&format!("{hex};\n"), "\r\n")),
        ("H10", framed(&format!("{hex};a\rb"), "\r\n")),
        ("H10", framed(&format!("{hex};{}", "a".repeat(200_000)), "\r\n")),
        ("H10", framed(&hex, "\n")),
        ("H10", framed(&hex, "XX")),
    ];
    for (row, request) in unclear {
        let upstream = Upstream::good();
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        client.try_send(&raw(&gateway, &post(TE, &format!("{request}{hidden}"))));
        let answer = client.response();
        client.assert_closed();
        match answer.status {
            200 => assert_eq!(upstream.only_request().body, body.as_bytes(), "{row}"),
            status => {
                assert!([400, 408, 413].contains(&status), "{row}: {status}");
                upstream.assert_untouched(row);
            }
        }
    }
}

#[test]
fn an_upgrade_is_refused_with_all_that_follows_it() {
    let body = tool_call("echo");
    let hidden = post(&length(&body), &body);
    let row = |protocol: &str| {
        let lines = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n{}", length(&body));
        ("H12", post(&lines, &format!("{body}{hidden}")))
    };
    let get = |protocol: &str| {
        let head = "GET /mcp HTTP/1.1\r\nHost: {host}\r\n{auth}\r\nConnection: Upgrade\r\n";
        ("H12", format!("{head}Upgrade: {protocol}\r\n\r\n{hidden}"))
    };
    let rows = [row("websocket"), row("h2c"), row("foo"), get("websocket"), get("h2c")];
    refuses_and_closes(&rows, &[400]);
}

#[test]
fn each_pipelined_request_is_judged_anew() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let d = || Call::post(tool_call("delete_all"));
    let calls = [echo(), d(), echo().without("Authorization"), d().token(BOB), echo()];
    let bytes: Vec<u8> = calls.iter().flat_map(|call| call.bytes(gateway.address)).collect();
    let mut client = gateway.connect();
    client.send(&bytes);
    let answers: Vec<Response> = calls.iter().map(|_| client.response()).collect();
    let statuses: Vec<u16> = answers.iter().map(|a| a.status).collect();
    assert_eq!(statuses, [200, 200, 401, 200, 200]);
    assert_eq!(answers[1].error().1, -32602);
    let users: Vec<String> =
        upstream.requests().iter().flat_map(|r| r.values("x-user-id")).collect();
    assert_eq!(users, ["alice", "bob", "alice"]);
}

fn answers_with(rows: Vec<(&str, Call, &[u16])>) {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (row, call, statuses) in rows {
        let head = call.head(gateway.address);
        let answer = gateway.ask(&call);
        assert!(statuses.contains(&answer.status), "{row}: {}: {head:?}", answer.status);
        if answer.status == 415 && head.contains("Content-Encoding") {
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{row}");
        }
        if answer.status == 405 {
            assert!(answer.header("allow").is_some(), "{row}");
        }
        upstream.assert_untouched(row);
    }
    assert_eq!(gateway.ask(&echo()).status, 200, "the gateway still serves");
}

#[test]
fn only_plain_json_is_a_body() {
    let typed = |value: &str| echo().without("Content-Type").header("Content-Type", value);
    let mut rows: Vec<(&str, Call, &[u16])> = vec![
        ("H14", echo().header("Expect", "200-ok"), &[417]),
        ("H14", echo().header("Expect", "100-continue, x"), &[417]),
        ("H16", echo().without("Content-Type"), &[415]),
        ("H16", echo().header("Content-Type", "text/plain"), &[415]),
        ("H15", Call::post(b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice()), &[400]),
    ];
    for coding in ["gzip", "deflate", "br", "x-gzip", "gzip, gzip", "identity", "zstd", ""] {
        rows.push(("H15", echo().header("Content-Encoding", coding), &[415]));
    }
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/x-ndjson",
        "application/jsonx",
        "application/json, text/plain",
        "application/json; charset=utf-16le",
        "application/json; charset=utf-16",
        "application/json; charset=utf-32",
        "application/json; charset=utf-7",
        "application/json; charset=utf-8; charset=utf-7",
        "",
    ] {
        rows.push(("E2 E3 H16", typed(media), &[415]));
    }
    answers_with(rows);
}

#[test]
fn only_the_known_methods_are_served() {
    let body = tool_call("echo");
    let mut rows: Vec<(&str, Call, &[u16])> = Vec::new();
    for method in ["TRACE", "PUT", "PATCH", "post", "Post", "get", "PROPFIND", "OPTIONS"] {
        rows.push(("H18", Call::empty(method), &[405]));
    }
    rows.push(("H18", Call::empty("CONNECT"), &[400, 404, 405]));
    for method in ["GET", "DELETE"] {
        let call = Call::empty(method).header("Content-Length", "5");
        rows.push(("H18", call, &[400]));
    }
    answers_with(rows);
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.send(&Call::empty("HEAD").bytes(gateway.address));
    assert_eq!(client.head().status, 405);
    let with_body =
        format!("GET /mcp HTTP/1.1\r\nHost: {{host}}\r\n{{auth}}\r\n{TE}\r\n{}", chunked(&body));
    assert_eq!(gateway.ask_raw(&raw(&gateway, &with_body)).unwrap().status, 400);
    upstream.assert_untouched("H18");
}

#[test]
fn only_the_exact_path_is_a_route() {
    let mut rows: Vec<(&str, Call, &[u16])> = Vec::new();
    for path in [
        "/mcp/",
        "//mcp",
        "/x/../mcp",
        "/./mcp",
        "/%6dcp",
        "/mcp%00",
        "/mcp;a",
        "\\mcp",
        "/MCP",
        "/mcp%20",
        "/mcp.",
        "/mcp/.",
        "mcp",
        "*",
        "http://evil/mcp",
        "/mcp\\",
        "/mcpx",
    ] {
        rows.push(("H19", echo().target(path), &[400, 404]));
    }
    answers_with(rows);
}

/// RFC 9112 3.2: a request target has no fragment.
#[test]
fn a_target_with_a_fragment_is_no_route() {
    answers_with(vec![("H19", echo().target("/mcp#x"), &[400, 404])]);
}

#[test]
fn only_our_own_host_is_served() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let port = gateway.address.port();
    let absolute = format!("http://{}/mcp", gateway.address);
    assert_eq!(gateway.ask(&echo().target(&absolute)).status, 404, "absolute form");
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "a/.well-known?", "", "localhost"] {
        let status = gateway.ask(&echo().header("Host", host)).status;
        assert!([400, 421].contains(&status), "{host:?}: {status}");
    }
    for host in [format!("user@127.0.0.1:{port}"), format!("127.0.0.1:{port}.evil.example")] {
        let status = gateway.ask(&echo().header("Host", &host)).status;
        assert!([400, 421].contains(&status), "{host:?}: {status}");
    }
    let two = echo().header("host", "evil.example");
    assert_eq!(gateway.ask(&two).status, 400, "two hosts");
    let none = String::from_utf8(echo().bytes(gateway.address)).unwrap();
    let none = none.replace(&format!("Host: {}\r\n", gateway.address), "");
    assert_eq!(gateway.ask_raw(none.as_bytes()).expect("an answer").status, 400, "no host");
    upstream.assert_untouched("H20");
    for host in [format!("localhost:{port}"), format!("LOCALHOST:{port}"), format!("[::1]:{port}")]
    {
        assert_eq!(gateway.ask(&echo().header("Host", &host)).status, 200, "{host}");
    }
}

#[test]
fn only_an_allowed_origin_is_served() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let ours = format!("http://{}", gateway.address);
    let mut hostile: Vec<String> =
        ["https://evil.example", "null", "", "http://localhost", "*"].map(String::from).into();
    hostile.push(format!("{ours}.evil.example"));
    hostile.push(format!("https://{}", gateway.address));
    hostile.push(format!("{ours}, https://evil.example"));
    for origin in &hostile {
        let answer = gateway.ask(&echo().header("Origin", origin));
        assert_eq!(answer.status, 403, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        let preflight = Call::empty("OPTIONS").header("Access-Control-Request-Method", "POST");
        assert_eq!(gateway.ask(&preflight.header("Origin", origin)).status, 403, "{origin}");
    }
    let two = echo().header("Origin", &ours).header("Origin", "https://evil.example");
    assert_eq!(gateway.ask(&two).status, 403);
    upstream.assert_untouched("H21");
    let answer = gateway.ask(&echo().header("Origin", &ours));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ours.as_str()));
}

/// A preflight carries no token (Fetch), and opens nothing.
#[test]
fn a_preflight_of_an_allowed_origin_is_answered_without_a_token() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let ours = format!("http://{}", gateway.address);
    let preflight = Call::empty("OPTIONS").without("Authorization").header("Origin", &ours);
    let asked = "authorization, Mcp-Param-Region, x-user-id, mcp-param-a b";
    let preflight = preflight.header("Access-Control-Request-Headers", asked);
    let answer = gateway.ask(&preflight.header("Access-Control-Request-Method", "POST"));
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.ends_with("Last-Event-ID, Mcp-Param-Region"), "{allowed}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ours.as_str()));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    upstream.assert_untouched("preflight");
    assert_eq!(gateway.audit(1)[0]["decision"], "allow");
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let long = echo().header("X-Long", &"a".repeat(40_000));
    assert_eq!(gateway.ask_raw(&long.bytes(gateway.address)).expect("an answer").status, 431);
    let many = (0..1_000).fold(echo(), |call, n| call.header(&format!("X-{n}"), &"v".repeat(40)));
    let answer = gateway.ask_raw(&many.bytes(gateway.address));
    assert!(answer.is_none_or(|a| [400, 431].contains(&a.status)));
    upstream.assert_untouched("heads");
}

#[test]
fn no_answer_tells_what_the_gateway_is_made_of() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask_raw(b"GARBAGE\r\n\r\n").expect("an answer");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("server"), None);
    assert_eq!(answer.error(), (serde_json::Value::Null, -32600));
}
