//! One item that cannot be read costs a list that item, and the log says which and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json as value};

use crate::support::gateway::CAROL;
use crate::support::{
    ALICE_AT, Call, Gateway, LIST, Next, Request, Response, Upstream, json, modern, rpc,
    sealed_session, tool_call,
};

/// Items of which two readers may see something else, each with what the log says of it.
const ODD: [(&[u8], &str); 8] = [
    (br#"{"name":"read","x":"\ud83d"}"#, "unpaired surrogate"),
    (br#"{"name":"read","inputSchema":{"a":1,"a":2}}"#, "occurs twice"),
    (b"{\"name\":\"read\",\"x\":\"\t\"}", "raw control character"),
    (b"{\"name\":\"read\",\"x\":\"caf\xe9\"}", "not UTF-8"),
    (br#"{"title":"read"}"#, "without a name"),
    (br#"{"name":7}"#, "not a string"),
    (br#"{"name":"read","NAME":"secret_tool"}"#, "may be taken for its name"),
    (br#""secret_tool""#, "not an object"),
];

/// A list of three items, the second of which is `odd`.
fn body(list: &str, naming: &str, names: [&str; 2], odd: &[u8]) -> Vec<u8> {
    let [first, last] = names.map(|name| format!(r#"{{"{naming}":"{name}"}}"#));
    let head = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"{list}":[{first},"#);
    [head.as_bytes(), odd, format!(",{last}]}}}}").as_bytes()].concat()
}

fn answer(body: &[u8], is_stream: bool) -> Vec<u8> {
    let (kind, body) = match is_stream {
        true => ("text/event-stream", [b"data: ", body, b"\n\n"].concat()),
        false => ("application/json", body.to_vec()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), &body].concat()
}

/// The result in an answer of either form.
fn result(answer: &Response) -> Value {
    let text = answer.text();
    let line = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&text);
    let read: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{text}"));
    read["result"].clone()
}

#[test]
fn one_odd_tool_of_three_leaves_two_is_counted_and_is_named_in_the_log() {
    for (odd, why) in ODD {
        for is_stream in [false, true] {
            let list = body("tools", "name", ["echo", "read"], odd);
            let upstream = Upstream::script(move |request: &Request, wire| {
                match request.method().as_str() {
                    "tools/list" => wire.send(answer(&list, is_stream)),
                    _ => wire.send(json(
                        "200 OK",
                        "",
                        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
                    )),
                }
                Next::Close
            });
            let gateway = Gateway::before(&upstream);
            for call in [Call::post(LIST), modern("tools/list", "")] {
                let answer = gateway.ask(&call);
                assert_eq!(answer.status, 200, "{why}: {}", answer.text());
                assert!(!answer.text().contains("secret_tool"), "{}", answer.text());
                let tools = value!([{"name": "echo"}, {"name": "read"}]);
                assert_eq!(result(&answer)["tools"], tools, "{why}");
            }
            let series = r#"doorward_list_items_left_out_total{list="tools",upstream="t"}"#;
            gateway.counts(series, 2.0);
            let said = gateway.events("upstream.items_left_out");
            let [line] = said.as_slice() else { panic!("once in ten seconds: {said:?}") };
            assert_eq!(
                (&line["upstream"], &line["list"], &line["count"]),
                (&value!("t"), &value!("tools"), &value!(1))
            );
            let items = line["items"].as_str().unwrap();
            assert!(items.starts_with("item 1 at byte ") && items.contains(why), "{items}");
            // What may be called does not depend on it.
            assert_eq!(gateway.ask(&Call::post(tool_call("read"))).status, 200);
            let calls = upstream.requests().len();
            assert!(
                gateway.ask(&Call::post(tool_call("secret_tool"))).text().contains("Unknown tool")
            );
            assert_eq!(upstream.requests().len(), calls, "a refused call reached the upstream");
        }
    }
}

#[test]
fn another_fault_of_a_list_is_told_though_one_has_just_been() {
    let faults = [r#"{"name":"a","x":"\ud83d"}"#, r#"{"name":"b","b":1,"b":1}"#];
    let asked = AtomicUsize::new(0);
    let upstream = Upstream::script(move |_, wire| {
        // The first fault, the second, both, and then the same again.
        let turn = asked.fetch_add(1, Ordering::SeqCst) % 3;
        let items = [faults[0].to_owned(), faults[1].to_owned(), faults.join(",")];
        let list = body("tools", "name", ["echo", "read"], items[turn].as_bytes());
        wire.send(answer(&list, false));
        Next::Close
    });
    let gateway = Gateway::before(&upstream);
    for _ in 0..6 {
        assert_eq!(gateway.ask(&Call::post(LIST)).status, 200);
    }
    gateway.counts(r#"doorward_list_items_left_out_total{list="tools",upstream="t"}"#, 8.0);
    let said = gateway.events("upstream.items_left_out");
    let told = |part: &str| said.iter().filter(|line| line.to_string().contains(part)).count();
    assert_eq!((said.len(), told("surrogate"), told("twice")), (3, 2, 2), "{said:?}");
}

#[test]
fn lists_of_every_kind_leave_their_odd_items_out_and_so_does_a_replayed_one() {
    let rows = [
        ("prompts/list", "prompts", "name", "greet"),
        ("resources/list", "resources", "uri", "docs://a"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", "docs://{a}"),
    ];
    for (method, list, naming, name) in rows {
        let odd = format!(r#"{{"{naming}":"{name}","x":"\ud83d"}}"#);
        let body = body(list, naming, [name, "other"], odd.as_bytes());
        let upstream = Upstream::fixed(answer(&body, false), Next::Close);
        let answer = Gateway::before(&upstream).ask(&Call::post(rpc("1", method, "{}")));
        assert_eq!(result(&answer)[list], value!([{naming: name}]), "{}", answer.text());
    }
    let list = body("tools", "name", ["echo", "read"], ODD[0].0);
    let upstream = Upstream::fixed(answer(&list, true), Next::Close);
    let session = sealed_session(ALICE_AT, "s");
    let answer =
        Gateway::before(&upstream).ask(&Call::empty("GET").header("Mcp-Session-Id", &session));
    assert_eq!(result(&answer)["tools"], value!([{"name": "echo"}, {"name": "read"}]));
}

/// Callers do not see it, and so nobody approves it: those who do are told.
#[test]
fn an_odd_tool_is_left_out_of_what_is_locked_and_checked_and_is_told_with_its_place() {
    for (odd, why) in ODD {
        let list = body("tools", "name", ["echo", "read"], odd);
        let upstream = Upstream::fixed(answer(&list, false), Next::Close);
        let gateway = Gateway::before(&upstream);
        for verb in [&["lock"][..], &["lock", "--check"], &["check", "--online"]] {
            let (code, said) = gateway.command(verb);
            assert_eq!(code, Some(0), "{verb:?} {why}: {said}");
            let line = said.lines().find(|line| line.contains("upstream `t`: 1 item of its list"));
            let line = line.unwrap_or_else(|| panic!("{verb:?} {why}: {said}"));
            let place = "cannot be read, and left out: page 1, item 1 at byte ";
            assert!(line.contains(place) && line.contains(why), "{verb:?} {why}: {line}");
        }
        let lock = std::fs::read_to_string(gateway.folder().join("tools.lock")).unwrap();
        assert!(lock.contains("echo") && lock.contains("read"), "{why}: {lock}");
        assert!(!lock.contains("secret_tool"), "{why}: {lock}");
        let (_, said) = gateway.command(&["lock", "--check", "--json"]);
        let json = said.rsplit_once("warning: ").map_or(&*said, |(json, _)| json);
        let told: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{said}"));
        assert_eq!((&told["same"], &told["left_out"]["t"]["count"]), (&value!(true), &value!(1)));
    }
}

/// One that was approved before, and that nobody can read now, is told as missing.
#[test]
fn an_approved_tool_that_turns_odd_is_not_there() {
    let is_odd = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_odd);
    let upstream = Upstream::script(move |_, wire| {
        let (list, odd) = (["echo", "other"], br#"{"name":"read","x":"\ud83d"}"#.as_slice());
        let read = if now.load(Ordering::SeqCst) { odd } else { br#"{"name":"read","x":""}"# };
        wire.send(answer(&body("tools", "name", list, read), false));
        Next::Close
    });
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.command(&["lock"]).0, Some(0));
    assert_eq!(gateway.command(&["lock", "--check"]).0, Some(0));
    is_odd.store(true, Ordering::SeqCst);
    let (code, said) = gateway.command(&["lock", "--check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("- read  missing"), "{said}");
}

#[test]
fn a_list_of_which_a_caller_sees_nothing_is_told_once() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for _ in 0..3 {
        let answer = gateway.ask(&Call::post(LIST).token(CAROL));
        assert_eq!(result(&answer)["tools"], value!([]));
        gateway.ask(&Call::post(LIST));
    }
    gateway.audit(6);
    let said = gateway.events("upstream.list_empty");
    let [line] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(
        (&line["token"], &line["list"], &line["items"]),
        (&value!("carol-key"), &value!("tools"), &value!(4))
    );
    let message = line["message"].as_str().unwrap_or_default();
    assert!(message.contains("sees none of the 4 tools of t; nothing is granted"), "{line}");
}
