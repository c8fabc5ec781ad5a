//! An upstream that wants its caller to know of a hidden tool finds no place in a list for it.

use serde_json::{Value, json as value};

use crate::support::{
    ALICE_AT, Call, Gateway, LIST, Next, Response, Setup, Upstream, json, rpc, sealed_session,
};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"}]}}"#;

/// A good list with these members of the message and of its result before or behind the rest.
fn decorated(members: &str, result: &str) -> [String; 2] {
    let comma = |before: &str, text: &str| {
        if text.is_empty() { String::new() } else { format!("{before}{text}") }
    };
    let lead = |text: &str| if text.is_empty() { String::new() } else { format!("{text},") };
    [
        format!(
            r#"{{{}"jsonrpc":"2.0","id":1,"result":{{{}"tools":[{{"name":"echo"}}]}}}}"#,
            lead(members),
            lead(result)
        ),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{{"name":"echo"}}]{}}}{}}}"#,
            comma(",", result),
            comma(",", members)
        ),
    ]
}

fn stream(events: &str) -> Vec<u8> {
    let length = events.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\n\r\n{events}"
    )
    .into_bytes()
}

/// What alice gets for a list from an upstream that answers these bytes.
fn listed(bytes: impl Into<Vec<u8>>) -> Response {
    let upstream = Upstream::fixed(bytes, Next::Close);
    Gateway::before(&upstream).ask(&Call::post(LIST))
}

#[test]
fn around_a_list_no_hidden_name_passes() {
    let hidden = r#"[{"name":"secret_tool"}]"#;
    let members = [
        format!(r#""x":{hidden}"#),
        format!(r#""tools":{hidden}"#),
        format!(r#""results":{{"tools":{hidden}}}"#),
        format!(r#""params":{{"tools":{hidden}}}"#),
        format!(r#""_meta":{{"tools":{hidden}}}"#),
        format!(r#""error\u0000":{{"data":{hidden}}}"#),
        format!(r#""__proto__":{{"tools":{hidden}}}"#),
        r#""secret_tool":1"#.to_owned(),
    ];
    let results = [
        format!(r#""all":{hidden}"#),
        format!(r#""items":{hidden}"#),
        format!(r#""content":{hidden}"#),
        format!(r#""structuredContent":{{"tools":{hidden}}}"#),
        format!(r#""capabilities":{{"x":{hidden}}}"#),
        format!(r#""_meta":{{"tools":{hidden}}}"#),
        format!(r#""_meta":{hidden}"#),
        format!(
            r#""_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"n","tools":{hidden}}}}}"#
        ),
        format!(r#""nextCursor":{{"tools":{hidden}}}"#),
        r#""resultType":"secret_tool""#.to_owned(),
        r#""secret_tool":{}"#.to_owned(),
    ];
    let rows =
        members.iter().map(|m| (m.as_str(), "")).chain(results.iter().map(|r| ("", r.as_str())));
    for (member, result) in rows {
        for body in decorated(member, result) {
            for bytes in
                [json("200 OK", "", &body).into_bytes(), stream(&format!("data: {body}\n\n"))]
            {
                let answer = listed(bytes);
                let text = answer.text();
                assert!(!text.contains("secret_tool"), "{body}: {text}");
                assert_eq!(answer.status, 200, "{body}: {text}");
                let read: Value = serde_json::from_str(text.trim_start_matches("data: ")).unwrap();
                assert_eq!(read["result"]["tools"], value!([{"name": "echo"}]), "{text}");
            }
        }
    }
}

#[test]
fn a_name_that_a_reader_may_take_for_the_list_is_a_502() {
    let hidden = r#"[{"name":"secret_tool"}]"#;
    let lists =
        ["tools\\u0000", "tools ", "Tools", "_tools", "too\\u200bls", "tool\\u017f", "to-ols"];
    let others = ["resource_templates", "Prompts", "resources\\u0000", "re\\u00adsources"];
    for name in lists.iter().chain(&others) {
        for body in decorated("", &format!(r#""{name}":{hidden}"#)) {
            let answer = listed(json("200 OK", "", &body));
            assert!(!answer.text().contains("secret_tool"), "{body}");
            assert_eq!((answer.status, answer.error().1), (502, -32603), "{body}");
        }
    }
    for name in ["result\\u0000", "Result", "re_sult", " result"] {
        for body in decorated(&format!(r#""{name}":{{"tools":{hidden}}}"#), "") {
            let answer = listed(json("200 OK", "", &body));
            assert!(!answer.text().contains("secret_tool"), "{body}");
            assert_eq!(answer.status, 502, "{body}");
        }
    }
    for trailing in [ECHO, " x", "\\u0000", "\u{0}", ",", &format!("\n{ECHO}")] {
        let body = format!("{ECHO}{}", trailing.replace("echo", "secret_tool"));
        let answer = listed(json("200 OK", "", &body));
        assert!(!answer.text().contains("secret_tool"), "{body}");
        assert_eq!(answer.status, 502, "{body}");
    }
}

#[test]
fn of_an_error_code_and_message_pass() {
    let error =
        r#"{"code":-32000,"data":{"tools":["secret_tool"]},"message":"no","x":"secret_tool"}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error},"x":"secret_tool"}}"#);
    let cut = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}"#;
    for status in ["200 OK", "400 Bad Request", "404 Not Found", "429 Too Many Requests"] {
        let answer = listed(json(status, "", &body));
        assert_eq!(answer.status.to_string(), status[..3], "{}", answer.text());
        assert_eq!(answer.text(), cut, "{status}");
    }
    assert_eq!(listed(stream(&format!("data: {body}\n\n"))).text(), format!("data: {cut}\n\n"));
}

#[test]
fn of_an_event_only_defined_fields_pass() {
    let rows = [
        (": secret_tool\n\n", ":\n\n"),
        (": secret_tool\r\ndata: DATA\r\n\r\n", ":\ndata: DATA\n\n"),
        ("data : secret_tool\ndata: DATA\n\n", "data: DATA\n\n"),
        (" data: secret_tool\nid: 3\ndata: DATA\n\n", "id: 3\ndata: DATA\n\n"),
        ("secret_tool\rdata: DATA\r\r", "data: DATA\n\n"),
        ("x-tools: secret_tool\n\n", ""),
        ("event: secret_tool\ndata: DATA\n\n", ""),
        ("event: tools\ndata: \"secret_tool\"\n\n", ""),
        ("retry: secret_tool\nid: a\ndata: DATA\n\n", "id: a\ndata: DATA\n\n"),
        ("id: 1\u{2028}data: secret_tool\ndata: DATA\n\n", "data: DATA\n\n"),
        ("id: 1\u{b}data: secret_tool\n\n", ""),
        ("\u{feff}data: DATA\n\n", "data: DATA\n\n"),
        ("\u{feff}: secret_tool\n\n", ":\n\n"),
    ];
    let last = format!("event: message\nid: 9\ndata: {ECHO}\n\n");
    for (event, passed) in rows {
        let (event, passed) = (event.replace("DATA", ECHO), passed.replace("DATA", ECHO));
        let answer = listed(stream(&format!("{event}{last}")));
        assert_eq!(answer.status, 200, "{event:?}: {}", answer.text());
        assert_eq!(answer.text(), format!("{passed}{last}"), "{event:?}");
    }
    // Nothing of an event that has not ended passes, whatever it holds.
    assert_eq!(listed(stream(&format!("{last}: secret_tool"))).text(), last);
}

#[test]
fn what_a_server_says_meanwhile_passes_where_it_is_defined() {
    let say =
        |method: &str, rest: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}"{rest}}}"#);
    let progress = say("notifications/progress", r#","params":{"progressToken":1,"progress":1}"#);
    let log = say("notifications/message", r#","params":{"level":"info","data":{"a":[1]}}"#);
    let ping = say("ping", r#","id":"s1""#);
    let rows = [
        (progress.clone(), Some(progress.clone())),
        (log.clone(), Some(log)),
        (ping.clone(), Some(ping)),
        (progress.replace("\"params\"", "\"x\":\"secret_tool\",\"params\""), Some(progress)),
        (say("notifications/tools", r#","params":{"tools":[{"name":"secret_tool"}]}"#), None),
        (say("secret_tool", ""), None),
        (r#"{"jsonrpc":"2.0","method":["secret_tool"]}"#.to_owned(), None),
    ];
    for (said, passed) in rows {
        let answer = listed(stream(&format!("data: {said}\n\ndata: {ECHO}\n\n")));
        let passed = passed.map_or_else(String::new, |passed| format!("data: {passed}\n\n"));
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("{passed}data: {ECHO}\n\n")),
            "{said}"
        );
    }
}

#[test]
fn what_mcp_defines_of_a_list_passes_byte_for_byte() {
    for body in [
        r#"{"jsonrpc" : "2.0", "result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1.0"}},"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"echo","x":{"name":"secret"},"_meta":{"fastmcp":{"tags":[]}}}],"nextCursor":""} ,"id":1}"#,
        r#"{"id":1,"jsonrpc":"2.0","result":{"nextCursor":null,"tools":[]}}"#,
    ] {
        assert_eq!(listed(json("200 OK", "", body)).text(), body);
        let events = format!("event: message\r\nid: 1_a\r\nretry: 5\r\ndata: {body}\r\n\r\n");
        assert_eq!(listed(stream(&events)).text(), events);
    }
}

/// A list can come back on a GET stream for a request that was made elsewhere, and so can the
/// answer to a call, of which everything passes.
#[test]
fn a_list_on_a_get_stream_is_cut_like_any_other() {
    let [list, _] = decorated(r#""x":"secret_tool""#, r#""_meta":{"x":"secret_tool"}"#);
    let call = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[],"structuredContent":{"tools":["t"]},"_meta":{"x":1},"y":2}}"#;
    let events =
        format!(": secret_tool\n\nid: 3\nx: secret_tool\ndata: {list}\n\nid: 4\ndata: {call}\n\n");
    let upstream = Upstream::fixed(stream(&events), Next::Close);
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s");
    let answer = gateway.ask(&Call::empty("GET").header("Mcp-Session-Id", &session));
    let cut = r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{},"tools":[{"name":"echo"}]}}"#;
    let wanted = format!(":\n\nid: 3\ndata: {cut}\n\nid: 4\ndata: {call}\n\n");
    assert_eq!((answer.status, answer.text()), (200, wanted));
}

/// Answers to other requests are no lists, and pass as they are.
#[test]
fn the_answer_to_another_request_keeps_what_is_its_own() {
    let result =
        r#"{"completion":{"values":["a"]},"content":[],"all":{"tools":[]},"_meta":{"x":1}}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result},"x":1}}"#);
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"x":1}}}"#;
    for body in [body.as_str(), error] {
        for tasks in ["off", "sealed"] {
            let events = format!(": note\n\nx: y\ndata: {body}\n\n");
            for (bytes, wanted) in [
                (json("200 OK", "", body).into_bytes(), body.to_owned()),
                (stream(&events), events),
            ] {
                let upstream = Upstream::fixed(bytes, Next::Close);
                let gateway =
                    Setup::new(&upstream).upstream(&format!("tasks = \"{tasks}\"")).start();
                let call = Call::post(rpc("1", "tools/call", r#"{"name":"echo"}"#));
                assert_eq!(gateway.ask(&call).text(), wanted, "{tasks}");
            }
        }
    }
}
