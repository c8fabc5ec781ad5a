//! A tool that was seen changed stays refused, whatever is shown to whom, until it is seen whole.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json as value};

use crate::support::{
    ALICE_AT, Call, Gate, Gateway, LIST, Next, Request, Setup, Upstream, Wire, eventually, json,
    modern, modern_call, sealed_session, sse, tool_call,
};

/// Another user who may use `echo`.
const DORA: &str = "dora-secret-77665544332211009988";

fn tool(name: &str, is_read_only: bool) -> Value {
    value!({
        "name": name,
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": is_read_only},
    })
}

/// What is approved, and what it becomes.
fn list(is_changed: bool) -> Value {
    value!([tool("echo", !is_changed), tool("read", true)])
}

fn answer(request: &Request, result: &Value) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    value!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string()
}

type Script = dyn Fn(&Request, &mut Wire) -> Option<Next> + Send + Sync;

/// A server whose `tools/list` and streams a test writes while it runs. Where the test says
/// nothing, it shows what is approved.
#[derive(Clone)]
struct Server {
    script: Arc<Mutex<Arc<Script>>>,
    upstream: Arc<Upstream>,
}

impl Server {
    fn start() -> Self {
        let nothing: Arc<Script> = Arc::new(|_, _| None);
        let script = Arc::new(Mutex::new(nothing));
        let now = Arc::clone(&script);
        let upstream = Upstream::script(move |request, wire| {
            let now = Arc::clone(&now.lock().unwrap());
            if let Some(next) = now(request, wire) {
                return next;
            }
            let result = match request.method().as_str() {
                "tools/list" => value!({"tools": list(false)}),
                _ => value!({"content": []}),
            };
            wire.send(json("200 OK", "", &answer(request, &result)));
            Next::Keep
        });
        Self { script, upstream: Arc::new(upstream) }
    }

    fn now(&self, script: impl Fn(&Request, &mut Wire) -> Option<Next> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// From now on lists show the changed tool to whom this is true for.
    fn show_changed(&self, to: impl Fn(&Request) -> bool + Send + Sync + 'static) {
        self.now(move |request, wire| {
            if request.method() != "tools/list" {
                return None;
            }
            let result = value!({"tools": list(to(request))});
            wire.send(json("200 OK", "", &answer(request, &result)));
            Some(Next::Keep)
        });
    }

    /// A gateway that has approved what there is, and refuses what has changed.
    fn locked(&self) -> Gateway {
        let digest = crate::support::gateway::sha256(DORA);
        let dora = format!(
            "[tokens.dora-key]\nsha256 = \"{digest}\"\nuser = \"dora\"\norganization = \"acme\"\nroles = [\"reader\"]\nexpires = \"never\""
        );
        // With tasks, the answers of calls are read, too.
        let tasks = "tasks = \"sealed\"";
        let gateway = Setup::new(&self.upstream).upstream(tasks).more(&dora).start();
        assert_eq!(gateway.command(&["lock"]).0, Some(0));
        let lock = "[lock]\nfile = \"tools.lock\"\nannotations = \"refuse\"\n[log]";
        assert!(gateway.edit("[log]", lock));
        gateway
    }

    fn calls(&self) -> usize {
        self.upstream.requests().iter().filter(|r| r.method() == "tools/call").count()
    }

    /// Whether calls of the tool are refused, of every user and in both eras alike.
    fn is_refused(&self, gateway: &Gateway) -> bool {
        let calls = [
            Call::post(tool_call("echo")),
            Call::post(tool_call("echo")).token(DORA),
            modern_call("echo"),
            modern_call("echo").token(DORA),
        ];
        let before = self.calls();
        let refused = calls.map(|call| gateway.ask(&call).text().contains("Unknown tool"));
        assert!(refused.iter().all(|one| *one == refused[0]), "{refused:?}");
        assert_eq!(self.calls(), before + if refused[0] { 0 } else { 4 });
        refused[0]
    }
}

/// The names in a list.
fn names(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn get() -> Call {
    let session = sealed_session(ALICE_AT, "s");
    Call::empty("GET").header("Mcp-Session-Id", &session).header("Last-Event-ID", "3")
}

fn page(cursor: &str) -> Call {
    let params = format!("\"params\":{{\"cursor\":\"{cursor}\"}},\"method\"");
    Call::post(LIST.replace("\"method\"", &params))
}

#[test]
fn a_replay_of_an_older_list_takes_nothing_back() {
    let server = Server::start();
    let gateway = server.locked();
    server.show_changed(|_| true);
    assert_eq!(names(&gateway.ask(&Call::post(LIST)).text()), ["read"]);
    assert!(server.is_refused(&gateway));
    server.now(|request, wire| {
        let old = value!({"jsonrpc": "2.0", "id": 1, "result": {"tools": list(false)}});
        match request.line().starts_with("GET") {
            true => wire.send(format!(
                "{}{:x}\r\nid: 4\ndata: {old}\n\n\r\n0\r\n\r\n",
                sse(),
                old.to_string().len() + 14
            )),
            false => return None,
        }
        Some(Next::Keep)
    });
    let replayed = gateway.ask(&get());
    assert_eq!(replayed.status, 200);
    assert!(replayed.text().contains("\"read\"") && !replayed.text().contains("\"echo\""));
    assert!(server.is_refused(&gateway));
    // A POST that names an event of before replays nothing.
    let post = Call::post(LIST).header("Last-Event-ID", "3");
    gateway.ask(&post);
    let list = server.upstream.requests().into_iter().rfind(|r| r.method() == "tools/list");
    assert!(list.unwrap().values("last-event-id").is_empty());
}

#[test]
fn a_change_that_is_seen_on_a_stream_is_refused_from_then_on() {
    let server = Server::start();
    let gateway = server.locked();
    assert!(!server.is_refused(&gateway));
    server.now(|request, wire| {
        if !request.line().starts_with("GET") {
            return None;
        }
        let new = value!({"jsonrpc": "2.0", "id": 1, "result": {"tools": list(true)}});
        wire.send(sse());
        wire.chunk(format!("data: {new}\n\n"));
        wire.chunk("");
        Some(Next::Keep)
    });
    gateway.ask(&get());
    assert!(server.is_refused(&gateway));
    assert_eq!(names(&gateway.ask(&Call::post(LIST)).text()), ["echo", "read"]);
    assert!(!server.is_refused(&gateway), "alice was shown it as approved");
}

#[test]
fn lists_of_different_callers_do_not_undo_each_other() {
    let server = Server::start();
    let gateway = server.locked();
    let (alices, doras) = (Call::post(LIST), Call::post(LIST).token(DORA));
    server.show_changed(|request| request.values("x-user-id") == ["alice"]);
    for _ in 0..3 {
        assert_eq!(names(&gateway.ask(&alices).text()), ["read"]);
        assert!(server.is_refused(&gateway));
        assert_eq!(names(&gateway.ask(&doras).text()), ["read"], "what may not be called");
        assert!(server.is_refused(&gateway));
    }
    server.show_changed(|_| true);
    gateway.ask(&doras);
    server.show_changed(|_| false);
    gateway.ask(&alices);
    assert!(server.is_refused(&gateway), "dora still has the other one");
    gateway.ask(&doras);
    assert!(!server.is_refused(&gateway));
    assert_eq!(names(&gateway.ask(&alices).text()), ["echo", "read"]);
    // Another token of the same user is the same caller for the upstream.
    server.show_changed(|_| true);
    gateway.ask(&alices);
    server.show_changed(|_| false);
    gateway.ask(&Call::post(LIST).token(crate::support::gateway::ROTATED));
    assert!(!server.is_refused(&gateway));
}

#[test]
fn lists_of_both_eras_do_not_undo_each_other() {
    let server = Server::start();
    let gateway = server.locked();
    let is_modern = |request: &Request| request.values("mcp-protocol-version") == ["2026-07-28"];
    server.show_changed(is_modern);
    gateway.ask(&modern("tools/list", ""));
    gateway.ask(&Call::post(LIST));
    assert!(server.is_refused(&gateway));
    server.show_changed(|_| false);
    gateway.ask(&modern("tools/list", ""));
    assert!(!server.is_refused(&gateway));
}

#[test]
fn a_list_in_pages_takes_a_change_back_only_with_its_last_one() {
    let server = Server::start();
    let gateway = server.locked();
    let changed = Arc::new(Mutex::new(true));
    let is_changed = Arc::clone(&changed);
    server.now(move |request, wire| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let result = match (request.method().as_str(), body["params"]["cursor"].as_str()) {
            ("tools/list", None) => value!({"tools": [tool("read", true)], "nextCursor": "2"}),
            ("tools/list", Some("2")) => value!({"tools": [], "nextCursor": "3"}),
            ("tools/list", Some(_)) => {
                value!({"tools": [tool("echo", !*is_changed.lock().unwrap())]})
            }
            _ => return None,
        };
        wire.send(json("200 OK", "", &answer(request, &result)));
        Some(Next::Keep)
    });
    for call in [Call::post(LIST), page("2"), page("3")] {
        gateway.ask(&call);
    }
    assert!(server.is_refused(&gateway));
    gateway.ask(&Call::post(LIST));
    assert!(server.is_refused(&gateway), "the first page again");
    *changed.lock().unwrap() = false;
    gateway.ask(&page("3"));
    assert!(server.is_refused(&gateway), "the last page alone");
    gateway.ask(&Call::post(LIST));
    gateway.ask(&page("3"));
    assert!(server.is_refused(&gateway), "a page left out");
    gateway.ask(&Call::post(LIST));
    gateway.ask(&page("2"));
    assert!(server.is_refused(&gateway), "before the last page");
    gateway.ask(&page("3"));
    assert!(!server.is_refused(&gateway));
}

#[test]
fn what_is_no_list_of_tools_says_nothing_about_them() {
    let server = Server::start();
    let gateway = server.locked();
    server.show_changed(|_| true);
    gateway.ask(&Call::post(LIST));
    assert!(server.is_refused(&gateway));
    server.now(|request, wire| {
        // The answer to a call of another tool, with a list in its stream.
        let other = value!({"jsonrpc": "2.0", "id": 7, "result": {"tools": list(false)}});
        let whole = answer(request, &value!({"tools": list(false), "content": []}));
        if request.method() == "tools/list" {
            return None;
        }
        wire.send(sse());
        wire.chunk(format!("data: {other}\n\ndata: {whole}\n\n"));
        wire.chunk("");
        Some(Next::Keep)
    });
    let others = [
        Call::post(tool_call("read")),
        Call::post(LIST.replace("tools/list", "prompts/list")),
        Call::post(LIST.replace("tools/list", "resources/list")),
        Call::post(LIST.replace("tools/list", "ping")),
    ];
    for call in others {
        gateway.ask(&call);
        let again = gateway.ask(&Call::post(tool_call("echo"))).text();
        assert!(again.contains("Unknown tool"), "{again}");
    }
}

/// A slow answer may have been made before the change.
#[test]
fn a_list_that_was_asked_for_before_the_change_was_seen_takes_nothing_back() {
    let server = Server::start();
    let gateway = server.locked();
    let gate = Gate::default();
    let opened = gate.clone();
    server.now(move |request, wire| {
        if request.method() != "tools/list" {
            return None;
        }
        opened.wait();
        wire.send(json("200 OK", "", &answer(request, &value!({"tools": list(false)}))));
        Some(Next::Keep)
    });
    let before = server.upstream.requests().len();
    let mut slow = gateway.connect();
    slow.send(&Call::post(LIST).bytes(gateway.address));
    server.upstream.wait_for(before + 1);
    server.show_changed(|_| true);
    gateway.ask(&Call::post(LIST));
    assert!(server.is_refused(&gateway));
    gate.open();
    assert_eq!(slow.response().status, 200);
    assert!(server.is_refused(&gateway));
}

/// A stream outlives the configuration that it was opened under, and so does what it shows.
#[test]
fn what_a_request_of_before_a_reload_shows_is_known_behind_it() {
    let server = Server::start();
    let gateway = server.locked();
    let gate = Gate::default();
    let opened = gate.clone();
    server.now(move |request, wire| {
        if !request.line().starts_with("GET") {
            return None;
        }
        let new = value!({"jsonrpc": "2.0", "id": 1, "result": {"tools": list(true)}});
        wire.send(sse());
        wire.chunk("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
        opened.wait();
        wire.chunk(format!("data: {new}\n\n"));
        wire.chunk("");
        Some(Next::Keep)
    });
    let mut stream = gateway.connect();
    stream.send(&get().bytes(gateway.address));
    assert_eq!(stream.head().status, 200);
    assert!(stream.part().is_some());
    assert!(gateway.edit("level = \"debug\"", "level = \"info\""));
    assert!(!server.is_refused(&gateway));
    gate.open();
    while stream.part().is_some() {}
    assert!(server.is_refused(&gateway));
    // A reload that approves nothing forgets nothing; one that approves the new one does.
    assert!(gateway.edit("level = \"info\"", "level = \"debug\""));
    assert!(server.is_refused(&gateway));
    server.show_changed(|_| true);
    assert!(gateway.after_reload(|| assert_eq!(gateway.command(&["lock"]).0, Some(0))));
    eventually("the new one is approved", || !server.is_refused(&gateway));
}
