//! Bodies with more than one meaning, or none (threats.md 2.1, 2.2 and 2.3): answered by the
//! gateway, and the upstream hears nothing. `D` is a tool that alice may not use.

use crate::support::{Call, Gateway, Upstream, echo, rpc, tool_call};

/// Row of the threat model, body, HTTP status, JSON-RPC code, id of the answer as JSON.
type Row = (&'static str, Vec<u8>, u16, i64, &'static str);

const E: &str = r#""echo""#;
const D: &str = r#""delete_all""#;
const PARSE: i64 = -32700;
const REQUEST: i64 = -32600;
const METHOD: i64 = -32601;
const PARAMS: i64 = -32602;

fn refuses_all(rows: Vec<Row>) {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (row, body, status, code, id) in rows {
        let start = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let answer = gateway.ask(&Call::post(body));
        let (answered_id, answered_code) = answer.error();
        let got = (answer.status, answered_code, answered_id.to_string());
        assert_eq!(got, (status, code, id.to_owned()), "{row}: {start}: {}", answer.text());
        upstream.assert_untouched(row);
    }
    assert_eq!(gateway.ask(&echo()).status, 200, "the gateway still serves");
    assert_eq!(upstream.requests().len(), 1);
}

fn call(params: &str) -> Vec<u8> {
    rpc("1", "tools/call", &format!("{{{params}}}")).into_bytes()
}

fn message(members: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":1,{members}}}"#).into_bytes()
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn a_member_name_with_two_readings_is_refused() {
    let long = "a".repeat(70_000);
    let d = format!(r#"{{"name":{D}}}"#);
    let e = format!(r#"{{"name":{E}}}"#);
    refuses_all(vec![
        ("J1", call(&format!(r#""name":{E},"name":{D}"#)), 400, REQUEST, "null"),
        ("J2", call(&format!(r#""name":{D},"name":{E}"#)), 400, REQUEST, "null"),
        (
            "J3",
            message(&format!(r#""method":"tools/list","params":{d},"method":"tools/call""#)),
            400,
            REQUEST,
            "null",
        ),
        (
            "J4",
            message(&format!(r#""method":"tools/call","params":{e},"params":{d}"#)),
            400,
            REQUEST,
            "null",
        ),
        ("J5", call(&format!(r#""name":{E},"\u006eame":{D}"#)), 400, REQUEST, "null"),
        ("J6", call(&format!(r#""name":{E},"Name":{D}"#)), 400, REQUEST, "1"),
        ("J6", call(&format!(r#""Name":{D}"#)), 400, REQUEST, "1"),
        (
            "J6",
            message(&format!(r#""method":"tools/list","METHOD":"tools/call","params":{d}"#)),
            400,
            REQUEST,
            "1",
        ),
        (
            "J7",
            message(&format!(r#""method":"tools/call","params":{e},"paramſ":{d}"#)),
            400,
            REQUEST,
            "1",
        ),
        ("J8", call(&format!(r#""name":{E},"name\u0000":{D}"#)), 400, REQUEST, "1"),
        ("J9", call(&format!(r#""name":{E},"name ":{D}"#)), 400, REQUEST, "1"),
        ("J9", call(&format!(r#""name":{E},"\ufeffname":{D}"#)), 400, REQUEST, "1"),
        ("J9", call(&format!(r#""name":{E},"ｎａｍｅ":{D}"#)), 400, REQUEST, "1"),
        ("J9", call(&format!(r#""name":{E},"na\u200bme":{D}"#)), 400, REQUEST, "1"),
        ("J10", call(&format!(r#""__proto__":{d}"#)), 400, PARAMS, "1"),
        ("J11", message(&format!(r#""method":"tools\/call","params":{d}"#)), 200, PARAMS, "1"),
        ("J11", call(r#""name":"\u0064elete_all""#), 200, PARAMS, "1"),
        (
            "J12",
            call(&format!(r#""name":{E},"arguments":{{"x":"{long}"}},"name":{D}"#)),
            400,
            REQUEST,
            "null",
        ),
        (
            "J13",
            call(&format!(r#""name":{E},"arguments":{{"path":"a","path":"b"}}"#)),
            400,
            REQUEST,
            "null",
        ),
        (
            "J13",
            call(&format!(r#""name":{E},"arguments":[{{"a":1}},{{"a":1,"\u0061":2}}]"#)),
            400,
            REQUEST,
            "null",
        ),
        ("J14", message(r#""id":2,"method":"tools/list""#), 400, REQUEST, "null"),
        ("J14", message(r#""jsonrpc":"2.0","method":"tools/list""#), 400, REQUEST, "null"),
        ("J14", call(&format!(r#""name":{E},"_meta":{{}},"_meta":{{}}"#)), 400, REQUEST, "null"),
    ]);
}

#[test]
fn a_text_that_is_not_strict_json_in_utf8_is_refused() {
    let d = tool_call("delete_all");
    let e = tool_call("echo");
    let utf16le: Vec<u8> = d.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16be: Vec<u8> = d.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32le: Vec<u8> = d.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    let with = |start: &[u8], rest: &[u8]| [start, rest].concat();
    let name = |bytes: &[u8]| {
        let start: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""#;
        [start, bytes, br#""}}"#].concat()
    };
    let args = |json: &str| call(&format!(r#""name":{E},"arguments":{{"x":{json}}}"#));
    let mut rows = vec![
        ("E1", utf16le.clone(), 400, PARSE, "null"),
        ("E1", utf16be.clone(), 400, PARSE, "null"),
        ("E1", with(b"\xff\xfe", &utf16le), 400, PARSE, "null"),
        ("E1", with(b"\xfe\xff", &utf16be), 400, PARSE, "null"),
        ("E1", utf32le, 400, PARSE, "null"),
        ("E4", with(b"\xef\xbb\xbf", e.as_bytes()), 400, PARSE, "null"),
        ("E5", name(b"ec\xc1\xa8o"), 400, PARSE, "null"),
        ("E5", name(b"echo\xc0\xa2"), 400, PARSE, "null"),
        ("E6", name(b"echo\xff"), 400, PARSE, "null"),
        ("E6", name(b"echo\xe2\x82"), 400, PARSE, "null"),
        ("E6", name(b"echo\xed\xa0\xbd\xed\xb8\x80"), 400, PARSE, "null"),
        ("E7", name(br"echo\ud800"), 400, PARAMS, "null"),
        ("E7", call(&format!(r#""name":{E},"arguments":{{"\udc00":1}}"#)), 400, PARAMS, "null"),
        ("E8", name(b"echo\0"), 400, PARSE, "null"),
        ("E8", name(b"echo\n"), 400, PARSE, "null"),
        ("E8", with(e.as_bytes(), format!("\0{d}").as_bytes()), 400, PARSE, "null"),
        ("E8", format!("\u{a0}{e}").into_bytes(), 400, PARSE, "null"),
        ("E8", format!("\u{b}{e}").into_bytes(), 400, PARSE, "null"),
        ("E8", format!("\u{c}{e}").into_bytes(), 400, PARSE, "null"),
        ("E9", format!("{e}{d}").into_bytes(), 400, PARSE, "null"),
        ("E9", format!("{e}\n{d}").into_bytes(), 400, PARSE, "null"),
        ("E9", format!("\u{1e}{e}\n").into_bytes(), 400, PARSE, "null"),
        ("E9", format!("{e}x").into_bytes(), 400, PARSE, "null"),
        ("E10", format!("/* {d} */{e}").into_bytes(), 400, PARSE, "null"),
        ("E10", call(&format!(r#""name":{E},"#)), 400, PARSE, "null"),
        ("E10", call("'name':'delete_all'"), 400, PARSE, "null"),
        ("E10", call(&format!("name:{D}")), 400, PARSE, "null"),
        ("E15", serde_json::to_vec(&d).unwrap(), 400, REQUEST, "null"),
        ("E15", b"7".to_vec(), 400, REQUEST, "null"),
        ("E15", b"null".to_vec(), 400, REQUEST, "null"),
        // Nothing at all is no JSON text.
        ("E15", Vec::new(), 400, PARSE, "null"),
        ("E15", b" \r\n".to_vec(), 400, PARSE, "null"),
    ];
    for number in ["NaN", "-Infinity", "0x1f", "012", "+1", "1.", ".5", "1e", "-"] {
        rows.push(("E11", args(number), 400, PARSE, "null"));
    }
    refuses_all(rows);
}

#[test]
fn huge_texts_are_refused_as_any_other() {
    let nested = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let digits = "9".repeat(900_000);
    let keys: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":1")).collect();
    let keys = keys.join(",");
    let args = |tool: &str, json: &str| call(&format!(r#""name":{tool},"arguments":{json}"#));
    refuses_all(vec![
        ("E12", args(D, &format!("{{\"x\":{digits}}}")), 200, PARAMS, "1"),
        ("E12", args(D, &format!("{{\"x\":1e{digits}}}")), 200, PARAMS, "1"),
        ("E12", args(D, r#"{"x":1e400}"#), 200, PARAMS, "1"),
        ("E12", rpc(&digits, "tools/list", "{}").into_bytes(), 400, REQUEST, "null"),
        ("E13", "[".repeat(900_000).into_bytes(), 400, PARSE, "null"),
        ("E13", nested.clone().into_bytes(), 400, PARSE, "null"),
        ("E13", args(E, &nested), 400, PARSE, "null"),
        ("E14", args(D, &format!("{{{keys}}}")), 200, PARAMS, "1"),
        ("E14", args(E, &format!("{{{keys},\"k59999\":2}}")), 400, REQUEST, "null"),
        ("E14", args(D, &format!("{{\"{}\":1}}", "k".repeat(500_000))), 200, PARAMS, "1"),
    ]);
}

#[test]
fn a_message_of_another_shape_is_refused() {
    let d = tool_call("delete_all");
    let e = tool_call("echo");
    let mut rows = vec![
        ("R1", format!("[{d}]").into_bytes(), 400, REQUEST, "null"),
        ("R1", format!("[{e},{d}]").into_bytes(), 400, REQUEST, "null"),
        ("R1", format!("[[{d}]]").into_bytes(), 400, REQUEST, "null"),
        ("R1", format!(" \r\n[{d}]").into_bytes(), 400, REQUEST, "null"),
        ("R1", b"[]".to_vec(), 400, REQUEST, "null"),
        (
            "R4",
            format!(r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":{E}}}}}"#).into(),
            400,
            REQUEST,
            "null",
        ),
        ("R7", message(&format!(r#""method":"tools/call","params":[{D}]"#)), 400, PARAMS, "1"),
        ("R7", message(&format!(r#""method":"tools/call","params":{D}"#)), 400, PARAMS, "1"),
        ("R7", message(r#""method":"tools/call","params":null"#), 400, PARAMS, "1"),
        ("R7", message(r#""method":"tools/call""#), 400, PARAMS, "1"),
        (
            "R13",
            message(&format!(r#""method":"tools/call","params":{{"name":{E}}},"result":{{}}"#)),
            400,
            REQUEST,
            "1",
        ),
        ("R13", message(r#""result":{},"error":{"code":1,"message":""}"#), 400, REQUEST, "1"),
        ("R14", e.replace("\"2.0\"", "\"1.0\"").into_bytes(), 400, REQUEST, "1"),
        ("R14", e.replace("\"2.0\"", "2.0").into_bytes(), 400, REQUEST, "1"),
        ("R14", e.replace("\"jsonrpc\":\"2.0\",", "").into_bytes(), 400, REQUEST, "1"),
    ];
    for id in ["null", "1.5", "1e3", "true", "{}", "[1]"] {
        let body = rpc(id, "tools/call", &format!(r#"{{"name":{E}}}"#));
        rows.push(("R3", body.into_bytes(), 400, REQUEST, "null"));
    }
    for method in ["Tools/Call", "tools/call ", r"tools/call\u0000", "tools//call", "tools"] {
        let body = rpc("1", method, &format!(r#"{{"name":{E}}}"#));
        rows.push(("R5", body.into_bytes(), 200, METHOD, "1"));
    }
    for method in ["tools/execute", "x-admin/run", "resources/write", "tasks/list", "tasks/get"] {
        let body = rpc("1", method, &format!(r#"{{"name":{E}}}"#));
        rows.push(("R6", body.into_bytes(), 200, METHOD, "1"));
    }
    for name in ["7", "[\"echo\"]", "{\"a\":1}", "null", "\"\""] {
        rows.push(("R8", call(&format!(r#""name":{name}"#)), 400, PARAMS, "1"));
    }
    refuses_all(rows);
}

#[test]
fn a_tool_name_is_compared_byte_by_byte_and_never_a_pattern() {
    let names = [
        ("R9", " echo"),
        ("R9", r"echo\n"),
        ("R9", "ECHO"),
        ("R9", "ｅcho"),
        ("R9", "еcho"),
        ("R9", "e\u{301}cho"),
        ("R9", r"e\u200dcho"),
        ("R9", r"echo\u00ad"),
        ("R9", r"\u202eecho"),
        ("R10", r"echo\u0000delete_all"),
        ("R10", "echo/../delete_all"),
        ("R10", "echo,delete_all"),
        ("R10", "t/echo"),
        ("R11", "*"),
        ("R11", "ech?"),
        ("R11", ".*"),
        ("R11", "{echo,delete_all}"),
        ("R12", r"echo\r\nX-User-ID: root"),
        ("R12", r"echo\u001b[31m"),
    ];
    let row = |(row, name)| (row, call(&format!(r#""name":"{name}""#)), 200, PARAMS, "1");
    refuses_all(names.into_iter().map(row).collect());
}

/// R2, and CVE-2026-11719: no revision in a header opens another door.
#[test]
fn a_batch_is_refused_in_every_revision() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let batch = format!("[{}]", tool_call("echo"));
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1"] {
        let answer =
            gateway.ask(&Call::post(batch.as_str()).header("MCP-Protocol-Version", version));
        assert_eq!((answer.status, answer.error().1), (400, REQUEST), "{version}");
    }
    upstream.assert_untouched("R2");
}

#[test]
fn escapes_in_an_allowed_call_are_read_and_passed_on_as_they_were() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"\u0065cho"}}"#;
    assert_eq!(gateway.ask(&Call::post(body)).status, 200);
    assert_eq!(upstream.only_request().body, body.as_bytes());
}
