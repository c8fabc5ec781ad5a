//! Prompts, resources, completions and subscriptions are permitted one by one, like tools.

use crate::support::{
    Call, Gateway, LIST, Next, Setup, Upstream, eventually, json, modern, rpc, sse,
};

fn listen(notifications: &str) -> Call {
    modern("subscriptions/listen", &format!(r#""notifications":{notifications}"#))
}

/// Method, parameters that alice may use, parameters that she may not, and what a modern client
/// repeats in `Mcp-Name` of each.
const TARGETS: [(&str, &str, &str, [&str; 2]); 4] = [
    ("prompts/get", r#""name":"greet""#, r#""name":"secret""#, ["greet", "secret"]),
    ("resources/read", r#""uri":"docs://a""#, r#""uri":"secret://a""#, ["docs://a", "secret://a"]),
    (
        "completion/complete",
        r#""ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"x","value":""}"#,
        r#""ref":{"type":"ref/prompt","name":"secret"},"argument":{"name":"x","value":""}"#,
        ["", ""],
    ),
    (
        "completion/complete",
        r#""ref":{"type":"ref/resource","uri":"docs://{id}"}"#,
        r#""ref":{"type":"ref/resource","uri":"secret://{id}"}"#,
        ["", ""],
    ),
];

#[test]
fn a_target_is_reached_where_it_is_permitted_and_nowhere_else() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for (method, allowed, denied, [name, other]) in TARGETS {
        for (params, header, may) in [(allowed, name, true), (denied, other, false)] {
            let legacy = Call::post(rpc("1", method, &format!("{{{params}}}")));
            let modern = match header {
                "" => modern(method, params),
                header => modern(method, params).header("Mcp-Name", header),
            };
            for call in [legacy, modern] {
                let before = upstream.requests().len();
                let answer = gateway.ask(&call);
                assert_eq!(answer.status, 200, "{method} {params}: {}", answer.text());
                assert_eq!(answer.text().contains("\"result\""), may, "{method} {params}");
                assert_eq!(upstream.requests().len(), before + usize::from(may), "{params}");
            }
        }
    }
}

#[test]
fn a_refused_target_is_told_like_one_that_is_nowhere() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let prompt = gateway.ask(&Call::post(rpc("1", "prompts/get", r#"{"name":"secret"}"#)));
    assert!(prompt.text().contains(r#""code":-32602,"message":"Unknown prompt: secret""#));
    let read = r#"{"uri":"secret://a"}"#;
    let legacy = gateway.ask(&Call::post(rpc("1", "resources/read", read)));
    let said = r#""message":"Resource not found: secret://a""#;
    assert!(legacy.text().contains(&format!(r#""code":-32002,{said}"#)), "{}", legacy.text());
    let call = modern("resources/read", r#""uri":"secret://a""#).header("Mcp-Name", "secret://a");
    let modern = gateway.ask(&call);
    assert!(modern.text().contains(&format!(r#""code":-32602,{said}"#)), "{}", modern.text());
    upstream.assert_untouched("refused targets");
    let records = gateway.audit(3);
    assert_eq!(records[1]["target"], "secret://a");
    assert_eq!(records[0]["reason"], "no_match");
}

#[test]
fn a_uri_in_another_spelling_does_not_pass() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for uri in [
        "DOCS://a",
        "docs://a/../../etc/passwd",
        "docs://a/%2e%2e/b",
        "docs://a%2fb",
        "docs://a\\\\b",
        "docs://a#b",
        " docs://a",
        "docs://a\\u0000",
        "docs://\\u0430",
    ] {
        for method in ["resources/read", "resources/subscribe", "resources/unsubscribe"] {
            let body = rpc("1", method, &format!(r#"{{"uri":"{uri}"}}"#));
            assert_eq!(gateway.ask(&Call::post(body)).error().1, -32002, "{method} {uri}");
        }
    }
    upstream.assert_untouched("URIs in other spellings");
}

#[test]
fn every_kind_of_list_is_cut_in_json_and_in_events() {
    let cases = [
        ("prompts/list", "prompts", "name", ["greet", "secret"]),
        ("resources/list", "resources", "uri", ["docs://a", "secret://a"]),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", ["docs://{x}", "s://{x}"]),
    ];
    for (method, list, naming, [mine, other]) in cases {
        let result = |items: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"{list}":[{items}],"nextCursor":"","cacheScope":"private"}}}}"#
            )
        };
        let mine = format!(r#"{{"{naming}":"{mine}","x":1.0}}"#);
        let full = result(&format!(r#"{{"{naming}":"{other}"}},{mine}"#));
        let cut = result(&mine);
        let in_json = Upstream::fixed(json("200 OK", "", &full), Next::Keep);
        let answer = Gateway::before(&in_json).ask(&Call::post(rpc("1", method, "{}")));
        assert_eq!((answer.status, answer.text()), (200, cut.clone()), "{method}");
        let in_events = Upstream::script(move |_, wire| {
            wire.send(sse());
            wire.chunk(format!("id: 1\ndata: {full}\n\n"));
            wire.chunk("");
            Next::Keep
        });
        let answer = Gateway::before(&in_events).ask(&Call::post(rpc("1", method, "{}")));
        assert_eq!(answer.text(), format!("id: 1\ndata: {cut}\n\n"), "{method}");
    }
}

#[test]
fn an_answer_that_is_another_list_than_the_one_asked_for_is_not_passed() {
    let prompts = r#"{"jsonrpc":"2.0","id":1,"result":{"prompts":[{"name":"greet"}]}}"#;
    let upstream = Upstream::fixed(json("200 OK", "", prompts), Next::Keep);
    assert_eq!(Gateway::before(&upstream).ask(&Call::post(LIST)).status, 502);
}

#[test]
fn what_a_client_may_keep_is_private_and_short_lived() {
    let sent = r#""cacheScope":"public","ttlMs":3600000"#;
    let passed = r#""cacheScope":"private","ttlMs":1500"#;
    let cases = [
        (modern("tools/list", ""), r#""tools":[]"#),
        (modern("prompts/list", ""), r#""prompts":[]"#),
        (modern("resources/list", ""), r#""resources":[]"#),
        (modern("resources/templates/list", ""), r#""resourceTemplates":[],"nextCursor":"p2""#),
        (
            modern("resources/read", r#""uri":"docs://a""#).header("Mcp-Name", "docs://a"),
            r#""contents":[{"uri":"docs://a","text":"cacheScope"}]"#,
        ),
        (modern("server/discover", ""), r#""supportedVersions":["2026-07-28"],"capabilities":{}"#),
    ];
    for (call, result) in cases {
        let body =
            |cache: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{result},{cache}}}}}"#);
        let upstream = Upstream::fixed(json("200 OK", "", &body(sent)), Next::Keep);
        let gateway = Setup::new(&upstream).limits("list_ttl = \"1500ms\"").start();
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.text()), (200, body(passed)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn capabilities_that_are_refused_to_everybody_are_not_announced() {
    let result = |capabilities: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"capabilities":{{{capabilities}}},"instructions":"x"}}}}"#
        )
    };
    let full = result(
        r#""tools":{"listChanged":true},"tasks":{"list":{}},"extensions":{"io.modelcontextprotocol/tasks":{}},"logging":{}"#,
    );
    let stripped = result(r#""tools":{"listChanged":true},"extensions":{},"logging":{}"#);
    let upstream = Upstream::fixed(json("200 OK", "", &full), Next::Keep);
    let gateway = Gateway::before(&upstream);
    for call in [Call::post(rpc("1", "initialize", "{}")), modern("server/discover", "")] {
        let answer = gateway.ask(&call);
        assert_eq!((answer.status, answer.text()), (200, stripped.clone()));
    }
    // What is not announced is not there either.
    for method in ["tasks/list", "tasks/get", "tasks/cancel", "tasks/result"] {
        let call = Call::post(rpc("1", method, r#"{"taskId":"1"}"#));
        assert_eq!(gateway.ask(&call).error().1, -32601, "{method}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_subscription_with_one_foreign_resource_is_refused() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let foreign =
        listen(r#"{"toolsListChanged":true,"resourceSubscriptions":["docs://a","s://b"]}"#);
    let answer = gateway.ask(&foreign);
    assert_eq!((answer.status, answer.error().1), (200, -32602));
    for unclear in [r#"{"taskIds":["1"]}"#, r#"{"everything":true}"#, r#""all""#] {
        let answer = gateway.ask(&listen(unclear));
        assert_eq!((answer.status, answer.error().1), (400, -32602), "{unclear}");
    }
    upstream.assert_untouched("refused subscriptions");
}

#[test]
fn a_subscription_is_acknowledged_at_once_and_counts_as_a_stream() {
    let acknowledged = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"notifications\":{\"toolsListChanged\":true}}}\n\n";
    let upstream = Upstream::script(move |request, wire| {
        if request.method() == "ping" {
            wire.send(json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#));
            return Next::Keep;
        }
        wire.send(sse());
        wire.chunk(acknowledged);
        wire.wait_closed();
        Next::Close
    });
    let gateway = Setup::new(&upstream).limits("in_flight = 1\nstreams = 1").start();
    let mut client = gateway.connect();
    client.send(&listen(r#"{"toolsListChanged":true}"#).bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.part().unwrap(), acknowledged.as_bytes());
    gateway.counts("doorward_streams_active{kind=\"listen\",upstream=\"t\"}", 1.0);
    // It holds the only place of a stream, and none of a call.
    assert_eq!(gateway.ask(&listen("{}")).status, 503);
    assert_eq!(gateway.ask(&Call::post(rpc("1", "ping", "{}"))).status, 200);
    drop(client);
    eventually("the upstream is left", || upstream.left() == 1);
}
