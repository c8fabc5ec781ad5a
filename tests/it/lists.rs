//! A list shows exactly what its caller may call, in whatever form the upstream sends it.

use crate::support::{
    ALICE_AT, BOB, Call, Gateway, LIST, MODERN, Next, Setup, Upstream, json, rpc, sealed_session,
    sse,
};

const ECHO: &str =
    "{\"name\":\"echo\",\"x\" : [1.50,\"\\u00e9\"],\"inputSchema\":{\"name\":\"hidden\"}}";

/// A list with `tools` between the brackets.
fn list(tools: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{{\"tools\":[{tools}],\"nextCursor\":\"c\",\"ttlMs\":12}}}}"
    )
}

fn full() -> String {
    list(&format!(
        "{{\"name\":\"secret_tool\"}} , {ECHO}\n,{{\"name\":\"read\"}},{{\"name\":\"delete_all\"}}"
    ))
}

fn for_alice() -> String {
    list(&format!("{ECHO},{{\"name\":\"read\"}}"))
}

/// Data of an event stream as a client reads it.
fn data(stream: &str) -> Vec<String> {
    let text = stream.replace("\r\n", "\n").replace('\r', "\n");
    let event = |event: &str| {
        let lines: Vec<&str> = event
            .lines()
            .filter_map(|l| l.strip_prefix("data:"))
            .map(|l| l.strip_prefix(' ').unwrap_or(l))
            .collect();
        lines.join("\n")
    };
    text.split("\n\n").map(event).filter(|data| !data.is_empty()).collect()
}

fn events(stream: &str, chunk: usize) -> Upstream {
    let stream = stream.as_bytes().to_vec();
    Upstream::script(move |_, wire| {
        wire.send(sse());
        for part in stream.chunks(chunk) {
            wire.chunk(part);
        }
        wire.chunk("");
        Next::Keep
    })
}

#[test]
fn a_list_in_json_is_cut_to_what_each_caller_may_call() {
    let upstream = Upstream::fixed(json("200 OK", "", &full()), Next::Keep);
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&Call::post(LIST));
    assert_eq!((answer.status, answer.text()), (200, for_alice()));
    assert_eq!(answer.header("content-length"), Some(for_alice().len().to_string().as_str()));
    let bobs = gateway.ask(&Call::post(LIST).token(BOB)).text();
    assert_eq!(bobs, list("{\"name\":\"delete_all\"}"));
    let carols = gateway.ask(&Call::post(LIST).token(crate::support::gateway::CAROL)).text();
    assert_eq!(carols, list(""));
}

#[test]
fn a_modern_list_is_cut_and_never_publicly_cacheable() {
    let body = full().replace("\"ttlMs\":12", "\"cacheScope\":\"public\",\"ttlMs\":5");
    let cut = for_alice().replace("\"ttlMs\":12", "\"cacheScope\":\"private\",\"ttlMs\":5");
    let upstream = Upstream::fixed(json("200 OK", "", &body), Next::Keep);
    let gateway = Gateway::before(&upstream);
    let meta = format!(r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}}}"#);
    let call = Call::post(rpc("1", "tools/list", &meta))
        .header("MCP-Protocol-Version", MODERN)
        .header("Mcp-Method", "tools/list");
    let answer = gateway.ask(&call);
    assert_eq!((answer.status, answer.text()), (200, cut));
}

#[test]
fn a_list_in_an_event_stream_is_cut_wherever_the_chunks_are_cut() {
    let full = full().replace('\n', "");
    for end in ["\n", "\r\n", "\r"] {
        let stream = [": hi", "", "id: 1", "retry: 9", "data:", "", "event: message"].join(end)
            + &format!("{end}data: {full}{end}{end}");
        for size in [1, 2, 3, 7, 64, 10_000] {
            let upstream = events(&stream, size);
            let gateway = Gateway::before(&upstream);
            let answer = gateway.ask(&Call::post(LIST));
            assert_eq!(answer.status, 200, "{end:?} by {size}: {}", answer.text());
            let text = answer.text();
            assert_eq!(data(&text), [for_alice()], "{end:?} by {size}");
            assert!(text.contains("retry: 9") && !text.contains(": hi"), "{text:?}");
            assert!(!text.contains("secret_tool"), "{text:?}");
        }
    }
}

#[test]
fn a_stream_cut_at_each_of_its_bytes_is_filtered_all_the_same() {
    let stream = "id: 1\r\ndata:\r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[\r\ndata: {\"name\":\"secret_tool\"},\r\ndata: {\"name\":\"echo\"}]}}\r\n\r\n";
    let cut = std::sync::atomic::AtomicUsize::new(0);
    let upstream = Upstream::script(move |_, wire| {
        let at = cut.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let (head, tail) = stream.split_at(at);
        wire.send(sse());
        wire.chunk(head);
        wire.chunk(tail);
        wire.chunk("");
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    for at in 1..stream.len() {
        let answer = client.ask(&Call::post(LIST));
        assert_eq!(answer.status, 200, "cut at {at}");
        let read: Vec<serde_json::Value> =
            data(&answer.text()).iter().map(|d| serde_json::from_str(d).unwrap()).collect();
        let names: Vec<_> = read.iter().map(|m| m["result"]["tools"].clone()).collect();
        assert_eq!(names, [serde_json::json!([{"name": "echo"}])], "cut at {at}");
    }
}

#[test]
fn notices_before_a_list_pass_and_so_does_an_error() {
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"x":"é"}}"#;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}"#;
    let upstream = events(&format!("data: {notice}\n\ndata: {error}\n\n"), 10);
    let gateway = Gateway::before(&upstream);
    let answer = gateway.ask(&Call::post(LIST));
    assert_eq!((answer.status, data(&answer.text())), (200, vec![notice.into(), error.into()]));
    let upstream = Upstream::fixed(json("200 OK", "", error), Next::Keep);
    assert_eq!(Gateway::before(&upstream).ask(&Call::post(LIST)).text(), error);
}

/// M11: what a more lenient reader might find a hidden tool in does not pass at all.
#[test]
fn an_answer_that_cannot_be_filtered_is_a_502_and_shows_no_hidden_name() {
    let full = full();
    let utf16: Vec<u8> = full.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let typed = |media: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\n{media}Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let good = |body: &str| json("200 OK", "", body).into_bytes();
    let is_json = "Content-Type: application/json\r\n";
    let second = r#""result":{"tools":[{"name":"secret_tool"}]}"#;
    let stream = |events: &str| typed("Content-Type: text/event-stream\r\n", events.as_bytes());
    let rows = [
        ("gzip", typed(&format!("{is_json}Content-Encoding: gzip\r\n"), full.as_bytes())),
        ("text/plain", typed("Content-Type: text/plain\r\n", full.as_bytes())),
        ("text/html", typed("Content-Type: text/html\r\n", full.as_bytes())),
        ("no type", typed("", full.as_bytes())),
        ("utf-16", typed("Content-Type: application/json; charset=utf-16le\r\n", &utf16)),
        ("bom", good(&format!("\u{feff}{full}"))),
        ("batch", good(&format!("[{full}]"))),
        ("two", good(&format!("{full}{full}"))),
        (
            "two results",
            good(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[]}},{second}}}"#)),
        ),
        (
            "two lists",
            good(
                r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"secret_tool"}]}}"#,
            ),
        ),
        (
            "Tools",
            good(
                r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[{"name":"secret_tool"}]}}"#,
            ),
        ),
        ("Result", good(r#"{"jsonrpc":"2.0","id":1,"Result":{"tools":[{"name":"secret_tool"}]}}"#)),
        (
            "not a list",
            good(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"secret_tool"}}}"#),
        ),
        ("error and result", good(&format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{}},{second}}}"#))),
        ("method and result", good(&format!(r#"{{"jsonrpc":"2.0","method":"x",{second}}}"#))),
        ("another result", good(r#"{"jsonrpc":"2.0","id":1,"result":{"content":"secret_tool"}}"#)),
        ("NaN", good(&full.replace("12", "NaN"))),
        ("cut", good(&full[..full.len() - 2])),
        ("nothing", good("")),
        ("broken event", stream(&format!("data: [{full}]\n\n").replace("\n,", ","))),
        ("unfinished event", stream(&format!("data: {full}").replace("\n,", ","))),
    ];
    for (what, bytes) in rows {
        let upstream = Upstream::fixed(bytes, Next::Close);
        let gateway = Gateway::before(&upstream);
        let answer = gateway.ask(&Call::post(LIST));
        assert!(!answer.text().contains("secret_tool"), "{what}: {}", answer.text());
        assert_eq!((answer.status, answer.error()), (502, (1.into(), -32603)), "{what}");
    }
}

#[test]
fn a_list_that_cannot_be_read_is_told_with_the_reason_and_the_byte() {
    let result = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{rest}}}"#).into_bytes();
    let good = result(r#"{"tools":[]}"#);
    let rows: [(&str, Vec<u8>, &str); 19] = [
        ("object", result(r#"{"tools":{}}"#), "`tools` that is no array at byte 42"),
        ("text", result(r#"{"tools":"x"}"#), "`tools` that is no array at byte 42"),
        ("number", result(r#"{"tools":7}"#), "`tools` that is no array at byte 42"),
        ("BOM", [b"\xef\xbb\xbf", &good[..]].concat(), "a text with a byte order mark"),
        (
            "twice",
            result(r#"{"tools":[],"tools":[]}"#),
            "a member name occurs twice in one object at byte 53",
        ),
        ("two lists", result(r#"{"tools":[],"prompts":[]}"#), "a second list at byte 55"),
        ("behind", [&good[..], b" x"].concat(), "something behind the end of the JSON at byte 47"),
        (
            "two texts",
            [&good[..], &good].concat(),
            "something behind the end of the JSON at byte 46",
        ),
        ("cut", good[..good.len() - 2].to_vec(), "JSON that ends too early at byte 44"),
        ("NaN", result(r#"{"tools":[],"x":NaN}"#), "no valid JSON at byte 49"),
        (
            "deep",
            result(&format!(r#"{{"tools":[],"x":{}"#, "[".repeat(999))),
            "nested too deeply at byte",
        ),
        ("Latin-1", [b"{\"\xe4\":1,", &good[1..]].concat(), "is not UTF-8 at byte 2"),
        ("gzip", b"\x1f\x8b\x08\0".to_vec(), "compressed (gzip)"),
        ("page", b"<html>".to_vec(), "like HTML or XML"),
        ("empty", Vec::new(), "empty"),
        ("spelling", result(r#"{"Tools":[]}"#), "in another spelling at byte 42"),
        ("array", [b"[", &good[..], b"]"].concat(), "no object, and so no message at byte 0"),
        (
            "nothing",
            br#"{"id":1}"#.to_vec(),
            "no `result`, `error` or `method` until its end at byte 8",
        ),
        ("both", br#"{"result":{},"error":{}}"#.to_vec(), "more than one of `result`"),
    ];
    for (what, body, said) in rows {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        let bytes = [format!("{head}: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
        let upstream = Upstream::fixed(bytes, Next::Close);
        let gateway = Gateway::before(&upstream);
        assert_eq!(gateway.ask(&Call::post(LIST)).status, 502, "{what}");
        let record = gateway.audit(1).remove(0);
        let line = gateway.events("upstream.answer").remove(0);
        for told in [&record["detail"], &line["cause"]] {
            assert!(told.as_str().unwrap().contains(said), "{what}: {told}");
        }
    }
}

/// A client that gets a 200 without an answer waits for one.
#[test]
fn an_event_stream_without_any_event_is_a_502_however_it_is_framed() {
    let chunked = format!("{}0\r\n\r\n", sse());
    let empty = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n";
    for bytes in [chunked, empty.to_owned()] {
        let upstream = Upstream::fixed(bytes.as_str(), Next::Close);
        assert_eq!(Gateway::before(&upstream).ask(&Call::post(LIST)).status, 502, "{bytes:?}");
    }
}

/// What was filtered as UTF-8 must not be handed on under the name of another encoding.
#[test]
fn a_list_that_claims_another_charset_is_a_502() {
    let body = full();
    for charset in ["utf-16", "utf-16le", "utf-7", "iso-2022-jp"] {
        let length = body.len();
        let bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset={charset}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let upstream = Upstream::fixed(bytes, Next::Close);
        assert_eq!(Gateway::before(&upstream).ask(&Call::post(LIST)).status, 502, "{charset}");
    }
}

#[test]
fn a_list_that_is_too_long_is_a_502() {
    let long = list(&format!("{ECHO},{{\"name\":\"read\",\"x\":\"{}\"}}", "x".repeat(70_000)));
    let stream = format!("data: {}\n\n", long);
    for upstream in [Upstream::fixed(json("200 OK", "", &long), Next::Keep), events(&stream, 5_000)]
    {
        let gateway = Setup::new(&upstream).limits("listing = \"64KiB\"").start();
        let answer = gateway.ask(&Call::post(LIST));
        assert_eq!((answer.status, answer.error().0), (502, 1.into()));
        let gateway = Setup::new(&upstream).limits("listing = \"72KiB\"").start();
        assert_eq!(gateway.ask(&Call::post(LIST)).status, 200);
    }
}

#[test]
fn a_refusal_of_a_list_passes_as_its_status_alone() {
    let html = "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\nsecret_tool";
    let upstream = Upstream::fixed(html, Next::Close);
    let answer = Gateway::before(&upstream).ask(&Call::post(LIST));
    assert_eq!((answer.status, answer.text()), (404, String::new()));
    let framework = json("400 Bad Request", "", r#"{"detail":"secret_tool"}"#);
    let upstream = Upstream::fixed(framework, Next::Close);
    let answer = Gateway::before(&upstream).ask(&Call::post(LIST));
    assert_eq!((answer.status, answer.text()), (400, String::new()));
}

/// MCP 2025-11-25, "Resumability": a stream may replay the answer to a list of before.
#[test]
fn a_list_that_is_replayed_on_a_get_stream_is_cut_too() {
    let full = full().replace('\n', "");
    let other = r#"{"jsonrpc":"2.0","id":9,"result":{"content":[]}}"#;
    let stream = format!("id: 4\ndata: {other}\n\nid: 5\ndata: {full}\n\n");
    let upstream = events(&stream, 9);
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s");
    let call = Call::empty("GET").header("Mcp-Session-Id", &session).header("Last-Event-ID", "3");
    let answer = gateway.ask(&call);
    assert_eq!(answer.status, 200);
    assert_eq!(data(&answer.text()), [other.to_owned(), for_alice()]);
    assert_eq!(upstream.only_request().values("last-event-id"), ["3"]);
}

#[test]
fn a_get_stream_with_an_unreadable_message_ends_without_it() {
    let upstream = events("id: 4\ndata: {}\n\ndata: [{\"x\":\"secret_tool\"}]\n\n", 9);
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    client.send(&Call::empty("GET").bytes(gateway.address));
    let mut text = Vec::new();
    if client.head().status == 200 {
        while let Ok(Some(part)) = client.try_part() {
            text.extend_from_slice(&part);
        }
    }
    assert!(!String::from_utf8_lossy(&text).contains("secret_tool"));
}
