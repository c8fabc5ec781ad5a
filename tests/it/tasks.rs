//! Tasks are read, fed and cancelled by their owner alone, and only while their tool is permitted.

use crate::support::{
    ALICE, ALICE_AT, BOB, Call, Gateway, Next, Setup, Upstream, echo, json, modern, modern_call,
    rpc, sealed_task, sse,
};

fn sealing(upstream: &Upstream) -> Gateway {
    Setup::new(upstream).upstream("tasks = \"sealed\"").start()
}

fn result(inner: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{inner}}}}}"#)
}

fn task(method: &str, id: &str) -> Call {
    Call::post(rpc("1", method, &format!(r#"{{"taskId":"{id}"}}"#)))
}

#[test]
fn a_task_that_a_call_made_is_handed_out_sealed() {
    let sealed = sealed_task(ALICE_AT, "echo", "task-1");
    let made = |id: &str| {
        [
            result(&format!(r#""task":{{"taskId":"{id}","status":"working"}}"#)),
            result(&format!(r#""resultType":"task","taskId":"{id}","status":"working""#)),
            result(&format!(
                r#""content":[{{"taskId":"task-1"}}],"_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}"#
            )),
        ]
    };
    let augmented = Call::post(rpc("1", "tools/call", r#"{"name":"echo","task":{"ttl":60000}}"#));
    for (sent, passed) in made("task-1").iter().zip(made(&sealed)) {
        let in_json = Upstream::fixed(json("200 OK", "", sent), Next::Keep);
        let gateway = sealing(&in_json);
        for call in [augmented.clone(), modern_call("echo")] {
            assert_eq!(gateway.ask(&call).text(), passed);
        }
        let event = format!("id: 1\ndata: {sent}\n\n");
        let in_events = Upstream::script(move |_, wire| {
            wire.send(sse());
            wire.chunk(&event);
            wire.chunk("");
            Next::Keep
        });
        let answer = sealing(&in_events).ask(&modern_call("echo"));
        assert_eq!(answer.text(), format!("id: 1\ndata: {passed}\n\n"));
    }
}

#[test]
fn a_sealed_task_reaches_the_upstream_as_it_knows_it() {
    let status = |id: &str| result(&format!(r#""taskId":"{id}","status":"working""#));
    let upstream = Upstream::fixed(json("200 OK", "", &status("task 1")), Next::Keep);
    let gateway = sealing(&upstream);
    let sealed = sealed_task(ALICE_AT, "echo", "task 1");
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        let answer = gateway.ask(&task(method, &sealed));
        assert_eq!((answer.status, answer.text()), (200, status(&sealed)), "{method}");
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.body, rpc("1", method, r#"{"taskId":"task 1"}"#).as_bytes());
    }
    let member = format!(r#""taskId":"{sealed}","inputResponses":{{"a":1.50}}"#);
    let call = modern("tasks/update", &member).header("Mcp-Name", &sealed);
    assert_eq!(gateway.ask(&call).text(), status(&sealed));
    let request = upstream.requests().pop().unwrap();
    assert_eq!(request.values("mcp-name"), ["=?base64?dGFzayAx?="]);
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.contains(r#""taskId":"task 1","inputResponses":{"a":1.50}"#), "{body}");
}

#[test]
fn a_task_of_somebody_else_is_like_one_that_is_not() {
    let upstream = Upstream::good();
    let gateway = sealing(&upstream);
    let alices = sealed_task(ALICE_AT, "echo", "1");
    let no_longer = sealed_task(ALICE_AT, "delete_all", "1");
    let other_tool = alices.replace("ZWNobw", "cmVhZA");
    let mut answers = Vec::new();
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        answers.push(gateway.ask(&task(method, &alices).token(BOB)).comparable());
        for id in [no_longer.as_str(), &other_tool, "1", ""] {
            answers.push(gateway.ask(&task(method, id)).comparable());
        }
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert!(answers[0].2.contains(r#""code":-32602,"message":"Task not found""#));
    let listen = |id: &str| {
        modern("subscriptions/listen", &format!(r#""notifications":{{"taskIds":["{id}"]}}"#))
    };
    assert_eq!(gateway.ask(&listen(&alices).token(BOB)).error().1, -32602);
    assert_eq!(gateway.ask(&listen("1")).error().1, -32602);
    upstream.assert_untouched("tasks of somebody else");
}

#[test]
fn a_task_that_is_listened_to_is_told_of_by_its_sealed_id() {
    let sealed = sealed_task(ALICE_AT, "echo", "1");
    let event = |id: &str| {
        format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{{\"taskId\":\"{id}\"}}}}\n\n"
        )
    };
    let stream = event("1") + &event("the client's own");
    let upstream = Upstream::script(move |_, wire| {
        wire.send(sse());
        wire.chunk(&stream);
        wire.chunk("");
        Next::Keep
    });
    let filter = format!(r#""notifications":{{"taskIds":["{sealed}"]}}"#);
    let answer = sealing(&upstream).ask(&modern("subscriptions/listen", &filter));
    assert_eq!(answer.text(), event(&sealed) + &event("the client's own"));
    let body = String::from_utf8(upstream.only_request().body).unwrap();
    assert!(body.contains(r#""taskIds":["1"]"#), "{body}");
}

#[test]
fn a_status_on_the_stream_of_a_get_names_the_task_as_its_owner_does() {
    let status = |id: &str| {
        format!(
            "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks/status\",\"params\":{{\"taskId\":\"{id}\",\"status\":\"completed\"}}}}\n\n"
        )
    };
    let told = status("task-1");
    let upstream = Upstream::script(move |request, wire| {
        if request.method() == "tools/call" {
            let made = result(r#""task":{"taskId":"task-1","status":"working"}"#);
            wire.send(json("200 OK", "", &made));
        } else {
            wire.send(sse());
            wire.chunk(&told);
            wire.chunk("");
        }
        Next::Keep
    });
    let gateway = sealing(&upstream);
    let stream = |token: &str| gateway.ask(&Call::empty("GET").token(token)).text();
    assert_eq!(stream(ALICE), status("task-1"), "nobody made it yet");
    assert_eq!(gateway.ask(&echo()).status, 200);
    assert_eq!(stream(ALICE), status(&sealed_task(ALICE_AT, "echo", "task-1")));
    assert_eq!(stream(BOB), status("task-1"), "it is not his");
}

/// A server may ask about a task that the client keeps for it (MCP 2025-11-25, "Tasks").
#[test]
fn a_task_of_the_client_is_not_touched() {
    let asked = "data: {\"jsonrpc\":\"2.0\",\"id\":\"s-1\",\"method\":\"tasks/get\",\"params\":{\"taskId\":\"own\"}}\n\n";
    let stream = format!("{asked}data: {}\n\n", result(r#""content":[]"#));
    let sent = stream.clone();
    let upstream = Upstream::script(move |request, wire| {
        if request.method() == "tools/call" {
            wire.send(sse());
            wire.chunk(&sent);
            wire.chunk("");
        } else {
            wire.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        }
        Next::Keep
    });
    let gateway = sealing(&upstream);
    assert_eq!(gateway.ask(&echo()).text(), stream);
    for told in [
        r#"{"jsonrpc":"2.0","id":"s-1","result":{"taskId":"own","status":"working"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"own"}}"#,
    ] {
        assert_eq!(gateway.ask(&Call::post(told)).status, 202);
        assert_eq!(upstream.requests().pop().unwrap().body, told.as_bytes());
    }
}

#[test]
fn a_call_that_wants_to_be_a_task_is_judged_as_a_call_first() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let call = |tool: &str| {
        let params = format!(r#"{{"name":"{tool}","task":{{"ttl":60000}}}}"#);
        gateway.ask(&Call::post(rpc("1", "tools/call", &params)))
    };
    assert!(call("delete_all").text().contains("Unknown tool: delete_all"));
    assert_eq!(call("echo").error().1, -32601, "tasks are off");
    upstream.assert_untouched("tasks that are off");
    // The modern era has no such member; servers ignore it (SEP-2663).
    let ignored = modern("tools/call", r#""name":"echo","task":{"ttl":60000}"#);
    assert_eq!(gateway.ask(&ignored.header("Mcp-Name", "echo")).status, 200);
}

#[test]
fn the_list_of_tasks_is_refused_and_not_announced() {
    let welcome =
        r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tasks":{"list":{},"cancel":{}}}}}"#;
    let upstream = Upstream::fixed(json("200 OK", "", welcome), Next::Keep);
    let gateway = sealing(&upstream);
    let answer = gateway.ask(&Call::post(rpc("1", "initialize", "{}")));
    assert_eq!(answer.text(), welcome.replace(r#""list":{},"#, ""));
    assert_eq!(gateway.ask(&Call::post(rpc("1", "tasks/list", "{}"))).error().1, -32601);
    assert_eq!(upstream.requests().len(), 1);
}
