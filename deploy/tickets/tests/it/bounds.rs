//! Both binaries with few files and many clients that hold something back: a good caller is served.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::binary::Running;
use crate::support::{ALICE, ORGANIZATION, USER, ask, call, connect, eras, http};

/// Open files of a service. It has to serve within them, and its own connections need some.
const FILES: u32 = 128;

fn head(path: &str, rest: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-User-ID: alice\r\nX-Organization-ID: acme\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{rest}"
    )
}

/// What a client sends before it falls silent, by what it holds back.
fn held(path: &str) -> Vec<(&'static str, String)> {
    vec![
        ("nothing", String::new()),
        ("half a head", head(path, "")),
        ("a body", head(path, "Content-Length: 20\r\n\r\n")),
        ("half a body", head(path, "Content-Length: 20\r\n\r\n{\"title\":")),
        ("a chunk", head(path, "Transfer-Encoding: chunked\r\n\r\n5\r\n{")),
        ("the body of a refused request", head("/x", "Content-Length: 20\r\n\r\n")),
        ("the next request", "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
    ]
}

/// So many clients that send this, and stay.
fn silent(base: &str, text: &str, count: usize) -> Vec<TcpStream> {
    let address = base.trim_start_matches("http://");
    (0..count)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            // It may have been ended already.
            drop(client.write_all(text.as_bytes()));
            client
        })
        .collect()
}

fn both() -> (Running, String, Running, String) {
    let api = Running::within(FILES, &["api", "--listen", "127.0.0.1:0"]);
    let base = api.address("tickets api listening on ").to_owned();
    let mcp = Running::within(FILES, &["mcp", "--listen", "127.0.0.1:0", "--api", &base]);
    let url = mcp.address("tickets mcp listening on ").to_owned();
    (api, base, mcp, url)
}

fn clean(service: Running) {
    let (code, log) = service.stop("-TERM");
    assert_eq!(code, Some(0));
    for trouble in ["panicked", "could not be accepted", "Too many open files"] {
        assert!(!log.contains(trouble), "{log}");
    }
}

#[tokio::test]
async fn however_many_hold_something_back_a_good_caller_is_served() {
    let (api, base, mcp, url) = both();
    for (what, text) in held("/api/v1/tickets/ai-create") {
        let _held = silent(&base, &text, 200);
        let body = json!({"title": what, "description": ""}).to_string();
        let path = "/api/v1/tickets/ai-create";
        let (status, answer) = ask(&base, Method::POST, path, ALICE, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{what}: {answer}");
    }
    for (what, text) in held("/mcp") {
        let _held = silent(url.trim_end_matches("/mcp"), &text, 200);
        for (era, mode) in eras() {
            let client = connect(&url, mode, ALICE).await;
            let arguments = json!({"title": what, "description": ""});
            let (error, answer) = call(&client, "create_ticket", arguments).await;
            assert!(!error, "{what}, {era}: {answer}");
            client.cancel().await.unwrap();
        }
    }
    clean(mcp);
    clean(api);
}

/// One message to the MCP server, by hand; its status and its session, where it opened one.
async fn post(url: &str, user: &str, session: Option<&str>, body: String) -> (u16, Option<String>) {
    let mut request = http()
        .post(url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header(USER, user)
        .header(ORGANIZATION, "acme")
        .body(body);
    if let Some(id) = session {
        request = request.header("mcp-session-id", id);
    }
    let answer = request.send().await.unwrap();
    let id = answer.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    (answer.status().as_u16(), id)
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"}
    }})
}

#[tokio::test]
async fn json_of_any_depth_is_refused_and_the_next_call_is_answered() {
    let (api, base, mcp, url) = both();
    let params = |arguments: &str| {
        let params = format!(r#"{{"name":"whoami","arguments":{arguments}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
    };
    for deep in
        ["[".repeat(60_000), "[".repeat(30_000) + &"]".repeat(30_000), "{\"a\":".repeat(40_000)]
    {
        let path = "/api/v1/tickets/ai-create";
        let (status, _) = ask(&base, Method::POST, path, ALICE, Some(deep.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        for body in [deep.clone(), params(&deep), params(&format!("{{\"title\":{deep}}}"))] {
            let (status, _) = post(&url, "alice", None, body).await;
            assert!((400..500).contains(&status), "{status}");
        }
    }
    let client = connect(&url, eras()[1].1.clone(), ALICE).await;
    assert!(!call(&client, "whoami", json!({})).await.0);
    client.cancel().await.unwrap();
    clean(mcp);
    clean(api);
}

#[test]
fn a_body_that_is_too_long_is_told_before_it_comes() {
    let (_api, base, _mcp, url) = both();
    let mcp = url.trim_end_matches("/mcp");
    for (base, path, most) in [(&*base, "/api/v1/tickets/ai-create", 256), (mcp, "/mcp", 512)] {
        let length = most * 1024 + 1;
        let text = head(path, &format!("Content-Length: {length}\r\n\r\n"));
        let mut answer = String::new();
        silent(base, &text, 1)[0].read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains(&format!("the body is larger than {most} KiB")), "{answer}");
    }
}

#[tokio::test]
async fn sessions_of_one_caller_take_no_room_of_another() {
    let services = crate::support::start(None).await;
    let url = services.mcp_url();
    let (status, good) = post(&url, "bob", None, initialize().to_string()).await;
    assert_eq!(status, 200);
    let (_, first) = post(&url, "alice", None, initialize().to_string()).await;
    for _ in 0..256 {
        let (status, id) = post(&url, "alice", None, initialize().to_string()).await;
        assert!(status == 200 && id.is_some());
    }
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let (status, _) = post(&url, "bob", good.as_deref(), ready.clone()).await;
    assert_eq!(status, 202, "bob's session is older than any of alice's, and is there");
    let (status, _) = post(&url, "alice", first.as_deref(), ready).await;
    assert_eq!(status, 404, "alice has too many");
}

#[tokio::test]
async fn streams_of_one_caller_take_no_room_of_another() {
    let (_api, _base, _mcp, url) = both();
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..100 {
        let (_, id) = post(&url, "greedy", None, initialize().to_string()).await;
        let request = http()
            .get(&url)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", id.unwrap_or_default())
            .header(USER, "greedy")
            .header(ORGANIZATION, "acme");
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::OK => streams.push(answer),
            _ => refused += 1,
        }
    }
    assert!(refused > 0 && !streams.is_empty(), "{refused} of 100 were refused");
    for (era, mode) in eras() {
        let client = connect(&url, mode, ALICE).await;
        assert!(!call(&client, "whoami", json!({})).await.0, "{era}");
        client.cancel().await.unwrap();
    }
}
