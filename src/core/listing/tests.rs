//! What passes of a list and what does not.

use super::*;

mod odd;

fn read_as(asked: Asked, text: &str) -> Result<(Shape, String), Unlistable> {
    let how = Reading { asked, max_depth: 64, max_ttl: 60_000, way_back: WayBack::boundless() };
    let listing = filter(text, how, |target, _| target.name == "alpha")?;
    Ok((listing.shape, listing.edits.apply(text)))
}

fn read(text: &str) -> Result<(Shape, String), Unlistable> {
    read_as(Asked::List, text)
}

/// The list of tools as it may pass.
fn only_alpha(text: &str) -> Result<String, Unlistable> {
    let (shape, passed) = read(text)?;
    assert_eq!(shape, Shape::List(TargetKind::Tool), "{text}");
    Ok(passed)
}

#[test]
fn kept_items_and_everything_around_them_stay_byte_for_byte() {
    let alpha = r#"{"x-new" : [1.50, "\u00e9"], "name":"alpha","inputSchema":{"name":"beta"}}"#;
    let text = format!(
        "{{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{{\"tools\":[ {{\"name\":\"beta\"}} ,{alpha}\n,{{\"name\":\"gamma\"}}],\"nextCursor\":\"\"}}}}"
    );
    let expected = format!(
        "{{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{{\"tools\":[{alpha}],\"nextCursor\":\"\"}}}}"
    );
    assert_eq!(only_alpha(&text), Ok(expected));
}

#[test]
fn a_list_that_may_pass_is_not_touched() {
    let text = r#"{"result":{"tools":[{"name":"alpha"}],"cacheScope":"private"}}"#;
    assert_eq!(only_alpha(text).as_deref(), Ok(text));
    let empty = r#"{"result":{"tools":[]}}"#;
    assert_eq!(only_alpha(empty).as_deref(), Ok(empty));
}

#[test]
fn a_list_that_is_null_is_an_empty_list() {
    for (name, kind, _) in LISTS {
        let text = |list| format!(r#"{{"result":{{"{name}":{list},"nextCursor":"c"}}}}"#);
        assert_eq!(read(&text("null")), Ok((Shape::List(kind), text("[]"))), "{name}");
        for other in ["{}", "1", "\"\"", "true", "false", "{\"name\":\"alpha\"}"] {
            let read = read(&text(other));
            assert!(matches!(read, Err(Unlistable::Shape(_))), "{name}: {other}: {read:?}");
        }
        let twice = format!(r#"{{"result":{{"{name}":null,"tools":[],"prompts":[]}}}}"#);
        assert!(read(&twice).is_err(), "{twice}");
    }
}

#[test]
fn an_empty_page_keeps_its_cursor_and_turns_private() {
    let text = r#"{"result":{"cacheScope":"public","tools":[{"name":"b"}],"nextCursor":"c"}}"#;
    let cut = r#"{"result":{"cacheScope":"private","tools":[],"nextCursor":"c"}}"#;
    assert_eq!(only_alpha(text), Ok(cut.into()));
}

#[test]
fn an_escaped_name_is_read_as_the_client_will_read_it() {
    let text = r#"{"result":{"tools":[{"name":"\u0062eta"},{"name":"\u0061lpha"}]}}"#;
    let cut = r#"{"result":{"tools":[{"name":"\u0061lpha"}]}}"#;
    assert_eq!(only_alpha(text), Ok(cut.into()));
}

#[test]
fn what_a_lenient_client_might_read_otherwise_is_not_passed_on() {
    for text in [
        r#"[{"result":{"tools":[]}}]"#,
        r#"{"result":{"tools":[]},"result":{"tools":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[],"tools":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[],"Tools":[{"name":"b"}]}}"#,
        r#"{"result":{"toolſ":[{"name":"b"}]}}"#,
        r#"{"Result":{"tools":[{"name":"b"}]}}"#,
        r#"{"result\u0000":{"tools":[{"name":"b"}]}}"#,
        r#"{"_result":{"tools":[{"name":"b"}]},"result":{"tools":[]}}"#,
        r#"{"result":{"tools\u0000":[{"name":"b"}],"tools":[]}}"#,
        r#"{"result":{"tools ":[{"name":"b"}],"tools":[]}}"#,
        r#"{"result":{"tools":[],"resource_templates":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":[]}}{"result":{"tools":[{"name":"b"}]}}"#,
        r#"{"result":{"tools":{"name":"b"}}}"#,
        r#"{"method":"x","result":{"tools":[]}}"#,
        r#"{"error":{},"result":{"tools":[]}}"#,
        r#"{"id":1}"#,
        r#"{"result":{"tools":[],"prompts":[{"name":"b"}]}}"#,
        r#"{"result":{"Prompts":[{"name":"b"}]}}"#,
        r#"{"result":{"resourcetemplates":[]}}"#,
        r#"{"result":{"tools":[],"cacheScope":{"a":1}}}"#,
        r#"{"result":{"tools":[],"CacheScope":"public"}}"#,
        r#"{"result":{"tools":[],"ttlMs":[]}}"#,
        r#"{"result":{"tools":[],"TTLms":1}}"#,
        r#"{"result":{"tools":[]}} x"#,
        "",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn every_kind_of_list_is_filtered_by_what_names_its_items() {
    let cases = [
        ("prompts", "name", TargetKind::Prompt),
        ("resources", "uri", TargetKind::Resource),
        ("resourceTemplates", "uriTemplate", TargetKind::Template),
        ("tools", "name", TargetKind::Tool),
    ];
    for (list, naming, kind) in cases {
        let alpha = format!(r#"{{"title":"b","{naming}":"alpha"}}"#);
        let beta = format!(r#"{{"{naming}":"beta","title":"alpha"}}"#);
        let text = format!(r#"{{"result":{{"{list}":[{beta},{alpha}]}}}}"#);
        let cut = format!(r#"{{"result":{{"{list}":[{alpha}]}}}}"#);
        assert_eq!(read(&text), Ok((Shape::List(kind), cut)));
    }
}

#[test]
fn a_time_to_live_is_capped_and_stays_a_whole_number() {
    let cases = [
        ("0", "0"),
        ("60000", "60000"),
        ("60001", "60000"),
        ("3600000", "60000"),
        ("18446744073709551616", "0"),
        ("1e9", "0"),
        ("1.5", "0"),
        ("-1", "0"),
        ("null", "0"),
        ("\"3600000\"", "0"),
    ];
    for (sent, passed) in cases {
        let text = |ttl| format!(r#"{{"result":{{"contents":[],"ttlMs":{ttl}}}}}"#);
        assert_eq!(read(&text(sent)), Ok((Shape::Result, text(passed))), "{sent}");
    }
}

#[test]
fn other_messages_are_told_apart() {
    let cases = [
        (r#"{"id":1,"error":{"code":1}}"#, Shape::Failure),
        (r#"{"method":"notifications/progress"}"#, Shape::Notice),
        (r#"{"method":"notifications/of_mine","x":1}"#, Shape::Foreign),
        (r#"{"id":1,"result":{"content":[]}}"#, Shape::Result),
        (r#"{"id":1,"result":"text"}"#, Shape::Result),
        (r#"{"id":1,"result":{"capabilities":{}}}"#, Shape::Welcome),
    ];
    for (text, shape) in cases {
        assert_eq!(read(text), Ok((shape, text.to_owned())));
    }
}

/// Places where an upstream can name `hidden`, each in an answer with the list of `alpha`.
const AROUND: [&str; 24] = [
    r#"{"hidden":1,"id":1,"result":{"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"alpha"}]},"hidden":{"tools":[{"name":"hidden"}]}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"alpha"}]},"params":{"hidden":1}}"#,
    r#"{"jsonrpc":"hidden","id":1,"result":{"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":{"hidden":1},"result":{"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"hidden":[],"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"alpha"}],"all":[{"name":"hidden"}]}}"#,
    r#"{"id":1,"result":{"content":[{"text":"hidden"}],"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"structuredContent":{"x":"hidden"},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"alpha"}],"nextCursor":{"x":"hidden"}}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"alpha"}],"nextCursor":["hidden"]}}"#,
    r#"{"id":1,"result":{"resultType":"hidden","tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"resultType":["hidden"],"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"cacheScope":"hidden","tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"ttlMs":"hidden","tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":"hidden","tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"x":"hidden"},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"fastmcp":{"all":["hidden"]}},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":"hidden"},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","x":["hidden"]}},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":{"x":"hidden"}}},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverinfo":{"name":"hidden"}},"tools":[{"name":"alpha"}]}}"#,
    r#"{"id":1,"result":{"tools":[{"name":"hidden","x":[{"name":"alpha"}]},{"name":"alpha"}]}}"#,
    r#"{"_meta":{"x":"hidden"},"id":1,"result":{"tools":[{"name":"alpha"}]}}"#,
];

#[test]
fn around_a_list_only_what_is_defined_passes() {
    for text in AROUND {
        for asked in [Asked::List, Asked::Unknown] {
            let (shape, passed) = read_as(asked, text).unwrap();
            assert_eq!(shape, Shape::List(TargetKind::Tool), "{text}");
            assert!(!passed.contains("hidden"), "{passed}");
            assert!(passed.contains(r#""tools":[{"name":"alpha"}]"#), "{passed}");
            let read: serde_json::Value = serde_json::from_str(&passed).unwrap();
            assert_eq!(read["result"]["tools"], serde_json::json!([{"name": "alpha"}]));
        }
    }
}

#[test]
fn what_is_defined_stays_byte_for_byte() {
    for text in [
        r#"{ "result" : {"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"hidden","version":"1"}} ,"resultType":"complete","tools":[ ],"nextCursor":"cA","ttlMs":0,"cacheScope":"private"},"jsonrpc":"2.0", "id":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"alpha","_meta":{"x":1},"y":[]}],"nextCursor":null}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"message":"no hidden" , "code":-32603}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
    ] {
        assert_eq!(read(text).unwrap().1, text);
    }
}

#[test]
fn of_an_error_only_code_and_message_pass_where_a_list_was_asked_for() {
    let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"data":["hidden"],"message":"m","x":{"hidden":1}},"hidden":1}"#;
    let cut = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}"#;
    assert_eq!(read(text), Ok((Shape::Failure, cut.into())));
    let odd = r#"{"id":1,"error":{"code":"hidden","message":["hidden"]}}"#;
    assert_eq!(read(odd), Ok((Shape::Failure, r#"{"id":1,"error":{}}"#.into())));
    // An error of a call says what its client needs (MCP 2025-11-25, "URL Elicitation").
    for asked in [Asked::Unknown, Asked::Other] {
        assert_eq!(read_as(asked, text), Ok((Shape::Failure, text.into())));
    }
}

#[test]
fn a_result_of_another_kind_is_left_alone() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"tools":[{"name":"beta"}]},"x":1},"y":2}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"completion":{"values":["beta"]}}}"#,
    ] {
        for asked in [Asked::Unknown, Asked::Other] {
            assert_eq!(read_as(asked, text), Ok((Shape::Result, text.into())));
        }
    }
}
