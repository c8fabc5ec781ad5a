//! What is remembered of callers and upstreams has a bound, and whoever reaches it loses their own.

use serde_json::{Value, json as value};

use crate::support::{
    ALICE_AT, Call, Gateway, Next, Request, Setup, Upstream, json, rpc, sealed_session,
    sealed_task, sse, tool_call,
};

fn forgotten(gateway: &Gateway, what: &str) -> f64 {
    gateway.metric(&format!("doorward_forgotten_total{{what=\"{what}\"}}"))
}

/// A task in what is said while a call runs.
fn notice(task: &str) -> String {
    let meta = value!({"io.modelcontextprotocol/related-task": {"taskId": task}});
    let params = value!({"progressToken": 1, "progress": 1, "_meta": meta});
    let notice = value!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
    format!("data: {notice}\n\n")
}

fn status(task: &str) -> String {
    let params = value!({"taskId": task, "status": "completed"});
    let notice =
        value!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": params});
    format!("data: {notice}\n\n")
}

#[test]
fn an_upstream_that_makes_up_tasks_makes_nobody_else_forgotten() {
    const MADE_UP: usize = 10_500;
    let answer = r#"data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let flood: String = (0..MADE_UP).map(|n| notice(&format!("f{n}"))).collect();
    let flood = format!("{flood}{answer}\n\n");
    let hostile = Upstream::script(move |_, wire| {
        wire.send(sse());
        wire.chunk(&flood);
        wire.chunk("");
        Next::Keep
    });
    let good = Upstream::script(|request: &Request, wire| {
        if request.line().starts_with("GET") {
            wire.send(sse());
            wire.chunk(status("1"));
            wire.chunk("");
        } else {
            let made = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"1"}}"#;
            wire.send(json("200 OK", "", made));
        }
        Next::Keep
    });
    let other = format!(
        "[upstreams.u]\npath = \"/u\"\nurl = \"http://{}/\"\ntasks = \"sealed\"\n",
        hostile.address
    );
    let gateway = Setup::new(&good).upstream("tasks = \"sealed\"").more(&other).start();
    assert!(gateway.edit("[\"t/echo\"", "[\"u/echo\", \"t/echo\""));
    let sealed = sealed_task(ALICE_AT, "echo", "1");
    assert!(gateway.ask(&Call::post(tool_call("echo"))).text().contains(&sealed));
    let flood = gateway.ask(&Call::post(tool_call("echo")).target("/u"));
    assert!(flood.text().ends_with(&format!("{answer}\n\n")), "{}", flood.status);
    // With the task of the good one there is one more than there is room for.
    let beyond = MADE_UP + 1 - 10_000;
    assert_eq!(forgotten(&gateway, "task"), f64::from(u32::try_from(beyond).unwrap()));
    let session = sealed_session(ALICE_AT, "s");
    let stream = gateway.ask(&Call::empty("GET").header("Mcp-Session-Id", &session));
    assert_eq!(stream.text(), status(&sealed));
}

#[test]
fn new_tools_of_any_number_and_length_are_told_in_lines_of_bounded_number_and_length() {
    let tools = |count: usize| -> Vec<Value> {
        let name = |n: usize| format!("new{n}-{}", "x".repeat(10_000));
        let new = (0..count).map(|n| value!({"name": name(n), "inputSchema": {}}));
        std::iter::once(value!({"name": "echo", "inputSchema": {}})).chain(new).collect()
    };
    let lists = [tools(0), tools(100)].map(|tools| {
        let result = value!({"tools": tools});
        json("200 OK", "", &value!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string())
    });
    let upstream = Upstream::script(move |request: &Request, wire| {
        let is_verb = request.values("x-user-id") == ["doorward"];
        let [locked, many] = &lists;
        wire.send(if is_verb { locked } else { many });
        Next::Keep
    });
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.command(&["lock"]).0, Some(0));
    let lock = "[lock]\nfile = \"tools.lock\"\n[log]";
    assert!(gateway.edit("[log]", lock));
    for _ in 0..2 {
        let answer = gateway.ask(&Call::post(rpc("1", "tools/list", "{}")));
        assert_eq!(answer.text().matches("\"name\"").count(), 1, "{}", answer.text());
    }
    assert_eq!(forgotten(&gateway, "new_tool"), 72.0, "36 in each of two lists");
    let told = gateway.events("upstream.tools_changed");
    assert_eq!(told.len(), 64);
    assert!(told.iter().all(|line| line["tool"].as_str().unwrap().len() <= 256), "{}", told[0]);
    let said = gateway.events("upstream.many_new_tools");
    let [line] = said.as_slice() else { panic!("once in ten seconds: {said:?}") };
    assert_eq!((&line["upstream"], &line["count"]), (&value!("t"), &value!(36)));
}
