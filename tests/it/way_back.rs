//! What is handed out is taken back: what would not fit into a later request is told at once.

use serde_json::{Value, json as value};

use crate::support::{
    ALICE_AT, Call, Gateway, LIST, Next, Request, Setup, Upstream, json, modern, modern_call, rpc,
    sealed_session, sealed_task, sse,
};

const SESSION: &str = "Mcp-Session-Id";

fn result(inner: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{inner}}}}}"#)
}

/// An upstream that hands out a session id of the length that `initialize` asks for.
fn of_sessions() -> Upstream {
    Upstream::script(|request: &Request, wire| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let length = body["params"]["length"].as_u64().unwrap_or(0);
        let header = match request.method().as_str() {
            "initialize" => {
                format!("{SESSION}: {}\r\n", "s".repeat(usize::try_from(length).unwrap()))
            }
            _ => String::new(),
        };
        wire.send(json("200 OK", &header, &result("")));
        Next::Keep
    })
}

fn initialize(length: usize) -> Call {
    Call::post(rpc("1", "initialize", &format!(r#"{{"length":{length}}}"#)))
}

/// The last record, once there are so many.
fn record(gateway: &Gateway, count: usize) -> Value {
    gateway.audit(count).pop().unwrap()
}

fn detail(gateway: &Gateway, count: usize) -> String {
    let record = record(gateway, count);
    assert_eq!((&record["reason"], &record["status"]), (&value!("upstream_answer"), &value!(502)));
    record["detail"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_session_id_that_was_handed_out_is_taken_back_whatever_its_length() {
    let upstream = of_sessions();
    let gateway = Gateway::before(&upstream);
    for length in [1, 2_000, 2_048, 2_100, 8_000, 20_000, 31_000] {
        let answer = gateway.ask(&initialize(length));
        assert_eq!(answer.status, 200, "{length}: {}", answer.text());
        let id = answer.header("mcp-session-id").unwrap();
        let event = "e".repeat(1_000 - length.min(500));
        for call in [
            Call::post(LIST),
            Call::empty("GET").header("Last-Event-ID", &event),
            Call::empty("DELETE"),
        ] {
            let answer = gateway.ask(&call.header(SESSION, id));
            // The upstream knows no list and no stream, and nothing is the session's fault.
            assert!(!matches!(answer.status, 400 | 404 | 431), "{length}: {}", answer.text());
            let request = upstream.requests().pop().unwrap();
            assert_eq!(request.values("mcp-session-id"), ["s".repeat(length)]);
        }
    }
}

/// Whatever the length: either it is told at `initialize`, or the session works.
#[test]
fn a_session_id_that_could_not_come_back_is_refused_when_it_is_handed_out() {
    let upstream = of_sessions();
    let gateway = Setup::new(&upstream).limits("headers = \"4KiB\"").start();
    let (mut asked, mut served, mut refused) = (0, 0, 0);
    for length in (3_000..4_500).step_by(25) {
        let answer = gateway.ask(&initialize(length));
        asked += 1;
        let later = |id: &str| gateway.ask(&Call::post(rpc("1", "ping", "{}")).header(SESSION, id));
        if answer.status == 200 {
            assert_eq!(refused, 0, "{length}: shorter ones were refused");
            (asked, served) = (asked + 1, length);
            let later = later(answer.header("mcp-session-id").unwrap());
            assert_eq!(later.status, 200, "{length}: {}", later.text());
        } else {
            refused += 1;
            assert_eq!(answer.status, 502, "{length}");
            assert!(answer.header("mcp-session-id").is_none(), "{length}");
            assert!(
                answer.text().contains("Bad gateway: session id too long"),
                "{}",
                answer.text()
            );
            assert!(!answer.text().contains("limits"), "callers are told no limits");
        }
    }
    // Two lines of the head and 256 bytes are all that is kept free.
    assert!(served > 3_300 && refused > 10, "{served} {refused}");
    let said = gateway.events("upstream.answer");
    let cause = said[0]["cause"].as_str().unwrap();
    assert!(cause.starts_with("its session id would have 3"), "{cause}");
    assert!(cause.contains("limits.headers leaves room for 3"), "{cause}");
    let records = gateway.audit(asked);
    let record = records.iter().find(|record| record["status"] == 502).unwrap();
    let detail = record["detail"].as_str().unwrap();
    assert!(detail.starts_with("head ") && detail.ends_with(cause), "{detail}");
    assert_eq!(record["reason"], "upstream_answer");
}

#[test]
fn lock_says_that_a_session_id_could_not_come_back() {
    let upstream = Upstream::script(|request: &Request, wire| {
        match request.method().as_str() {
            "initialize" => {
                let header = format!("{SESSION}: {}\r\n", "s".repeat(4_000));
                wire.send(json("200 OK", &header, &result("")));
            }
            _ => wire.send(json("400 Bad Request", "", "")),
        }
        Next::Keep
    });
    let gateway = Setup::new(&upstream).limits("headers = \"4KiB\"").start();
    let (code, said) = gateway.command(&["lock"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("its session id would have 4044 bytes"), "{said}");
    assert!(said.contains("limits.headers leaves room for 3840"), "{said}");
}

/// A resumption point is handed out with events, and comes back in a header.
#[test]
fn an_event_id_that_could_not_come_back_is_not_handed_out() {
    let ids = ["e".repeat(3_000), "e".repeat(5_000)];
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let events = ids.clone().map(|id| format!("id: {id}\ndata: {notice}\n\n"));
    let upstream = Upstream::script(move |_, wire| {
        wire.send(sse());
        wire.chunk(events.concat());
        wire.chunk("");
        Next::Keep
    });
    let gateway = Setup::new(&upstream).limits("headers = \"4KiB\"").start();
    let session = sealed_session(ALICE_AT, "s");
    let get = Call::empty("GET").header(SESSION, &session);
    let answer = gateway.ask(&get).text();
    let [short, _] = &ids;
    assert_eq!(answer, format!("id: {short}\ndata: {notice}\n\ndata: {notice}\n\n"));
    assert_eq!(gateway.ask(&get.header("Last-Event-ID", short)).status, 200);
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.values("last-event-id"), [short.as_str()]);
}

#[test]
fn a_task_id_that_could_not_come_back_is_refused_when_it_is_handed_out() {
    let limits = "headers = \"4KiB\"\nrequest_body = \"64KiB\"";
    for (length, is_modern, goes) in [
        (3_000, true, true),
        (3_900, true, false),
        (3_900, false, true),
        (59_000, false, true),
        (64_000, false, false),
    ] {
        let id = "t".repeat(length);
        let inner = format!(r#""resultType":"task","taskId":"{id}","status":"working""#);
        let upstream = Upstream::fixed(json("200 OK", "", &result(&inner)), Next::Keep);
        let gateway = Setup::new(&upstream).upstream("tasks = \"sealed\"").limits(limits).start();
        let call = if is_modern { modern_call("echo") } else { crate::support::echo() };
        let answer = gateway.ask(&call);
        let what = format!("{length} {is_modern}: {}", answer.status);
        if !goes {
            assert_eq!(answer.status, 502, "{what}");
            assert!(answer.text().contains("Bad gateway: task id too long"), "{}", answer.text());
            let limit = if is_modern { "limits.headers" } else { "limits.request_body" };
            let detail = detail(&gateway, 1);
            assert!(
                detail.contains(": its task id would have ") && detail.contains(limit),
                "{detail}"
            );
            continue;
        }
        let sealed = sealed_task(ALICE_AT, "echo", &id);
        assert!(answer.text().contains(&sealed), "{what}");
        let get = match is_modern {
            true => {
                modern("tasks/get", &format!(r#""taskId":"{sealed}""#)).header("Mcp-Name", &sealed)
            }
            false => Call::post(rpc("1", "tasks/get", &format!(r#"{{"taskId":"{sealed}"}}"#))),
        };
        let answer = gateway.ask(&get);
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

#[test]
fn a_cursor_that_could_not_come_back_is_refused_when_it_is_handed_out() {
    for (length, goes) in [(59_000, true), (63_000, false), (70_000, false)] {
        let cursor = "c".repeat(length);
        let page = result(&format!(r#""tools":[{{"name":"echo"}}],"nextCursor":"{cursor}""#));
        let upstream = Upstream::fixed(json("200 OK", "", &page), Next::Keep);
        let gateway = Setup::new(&upstream).limits("request_body = \"64KiB\"").start();
        let answer = gateway.ask(&Call::post(LIST));
        if goes {
            assert!(answer.text().contains(&cursor), "{length}");
            let next = rpc("1", "tools/list", &format!(r#"{{"cursor":"{cursor}"}}"#));
            assert_eq!(gateway.ask(&Call::post(next)).status, 200, "{length}");
        } else {
            assert_eq!(answer.status, 502, "{length}");
            assert!(answer.text().contains("Bad gateway: cursor too long"), "{}", answer.text());
            assert!(detail(&gateway, 1).contains("limits.request_body"), "{length}");
        }
    }
}

/// A header of the modern era repeats the name of what a request is about.
#[test]
fn a_name_that_no_request_could_repeat_is_left_out_of_the_list() {
    let [long, longer] = [3_900, 62_000].map(|length| "n".repeat(length));
    let page = result(&format!(
        r#""tools":[{{"name":"echo"}},{{"name":"{long}"}},{{"name":"{longer}"}}]"#
    ));
    let upstream = Upstream::fixed(json("200 OK", "", &page), Next::Keep);
    let limits = "headers = \"4KiB\"\nrequest_body = \"64KiB\"";
    let gateway = Setup::new(&upstream).permit(&[&long]).limits(limits).start();
    let names = |answer: String| {
        let read: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
        let tools = read["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(names(gateway.ask(&modern("tools/list", "")).text()), [4]);
    assert_eq!(names(gateway.ask(&Call::post(LIST)).text()), [4, 3_900]);
    let call = rpc("1", "tools/call", &format!(r#"{{"name":"{long}"}}"#));
    assert_eq!(gateway.ask(&Call::post(call)).status, 200);
    let said = gateway.events("upstream.items_left_out");
    let items = said[0]["items"].as_str().unwrap();
    assert!(items.contains("its name is longer than a request may repeat it"), "{items}");
}

/// What a server asks of a client has an id, too, and it comes back with the answer.
#[test]
fn the_id_of_a_servers_request_comes_back_whatever_its_length() {
    let upstream =
        Upstream::fixed("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", Next::Keep);
    let gateway = Gateway::before(&upstream);
    let session = sealed_session(ALICE_AT, "s");
    for id in [format!("\"{}\"", "i".repeat(5_000)), "7".repeat(300)] {
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        let sent = Call::post(answer.clone()).header(SESSION, &session);
        assert_eq!(gateway.ask(&sent).status, 202, "{}", id.len());
        assert_eq!(upstream.requests().pop().unwrap().body, answer.as_bytes());
        // A caller's own id is repeated to it, and in errors.
        let count = upstream.requests().len();
        assert_eq!(gateway.ask(&Call::post(rpc(&id, "ping", "{}"))).status, 400);
        assert_eq!(upstream.requests().len(), count, "the upstream heard of it");
    }
}
