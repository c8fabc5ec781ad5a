use super::*;

fn read(body: &str) -> Result<Message<'_>, Unreadable> {
    Message::read(body.as_bytes(), 64)
}

fn fault(body: &str) -> Fault {
    read(body).expect_err(body).fault
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

#[test]
fn a_call_is_read_for_what_it_names() {
    let body = call(r#"{"name":"\u0065cho","arguments":{"name":"other"},"_meta":{"x/y":1}}"#);
    let message = read(&body).unwrap();
    assert_eq!(message.method(), "tools/call");
    assert_eq!(message.param("name"), Some(&Field::Text("echo".into())));
    assert_eq!(message.param("arguments"), Some(&Field::Other));
    assert_eq!(message.param("uri"), None);
    assert_eq!(message.claimed_version(), None);
}

#[test]
fn the_version_is_taken_from_meta_alone() {
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let body = call(&format!(r#"{{"_meta":{{{version}}}}}"#));
    assert_eq!(read(&body).unwrap().claimed_version(), Some("2026-07-28"));
    let body = call(&format!(r#"{{"arguments":{{"_meta":{{{version}}}}},"_meta":{{}}}}"#));
    assert_eq!(read(&body).unwrap().claimed_version(), None);
    let body = call(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":7}}"#);
    assert_eq!(fault(&body), Fault::BadParams);
}

#[test]
fn the_three_kinds_of_message_are_told_apart() {
    let kind = |body| read(body).unwrap().kind().clone();
    let id = |json: &str| Id(json.to_owned());
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#), Kind::Request(id("0")));
    assert_eq!(kind(r#"{"id":"a","method":"ping","jsonrpc":"2.0"}"#), Kind::Request(id("\"a\"")));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"x"}"#), Kind::Notification);
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Kind::Response);
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#), Kind::Response);
}

#[test]
fn a_body_with_two_readings_is_refused() {
    use Fault::{Json, LookalikeKey, UnknownKey};
    const DUPLICATE: Fault = Json(JsonError::DuplicateKey);
    let filler = "x".repeat(70_000);
    let cases = [
        (call(r#"{"name":"echo","name":"delete_all"}"#), DUPLICATE),
        (call(r#"{"name":"echo","\u006eame":"delete_all"}"#), DUPLICATE),
        (call(&format!(r#"{{"name":"e","arguments":{{"x":"{filler}"}},"name":"d"}}"#)), DUPLICATE),
        (call(r#"{"name":"echo","arguments":{"path":"a","path":"b"}}"#), DUPLICATE),
        (call(r#"{"name":"echo","Name":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","name\u0000":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","name ":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","\ufeffname":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","ｎａｍｅ":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","na\u200bme":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","na_me":"delete_all"}"#), LookalikeKey),
        (call(r#"{"name":"echo","argumentſ":{}}"#), LookalikeKey),
        (call(r#"{"name":"echo","_META":{}}"#), LookalikeKey),
        (
            call(r#"{"_meta":{"IO.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#),
            LookalikeKey,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into(), DUPLICATE),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#.into(), DUPLICATE),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","METHOD":"b"}"#.into(), UnknownKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","paramſ":{}}"#.into(), UnknownKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","__proto__":{}}"#.into(), UnknownKey),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(&body), expected, "{}", &body[..body.len().min(120)]);
    }
}

#[test]
fn shapes_that_json_rpc_does_not_know_are_refused() {
    let cases = [
        ("[]", Fault::Batch),
        (" \r\n[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", Fault::Batch),
        ("7", Fault::NotAnObject),
        ("null", Fault::NotAnObject),
        (r#""{\"method\":\"tools/call\"}""#, Fault::NotAnObject),
        ("", Fault::Json(JsonError::Syntax)),
        ("{}", Fault::BadVersion),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Fault::BadVersion),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, Fault::BadVersion),
        (r#"{"id":1,"method":"ping"}"#, Fault::BadVersion),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":null,"method":"notifications/x"}"#, Fault::IdOfNotification),
        (r#"{"method":"notifications/x","id":1.5,"jsonrpc":"2.0"}"#, Fault::IdOfNotification),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Fault::BadId),
        (r#"{"jsonrpc":"2.0","id":1}"#, Fault::BadMethod),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Fault::BadMethod),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, Fault::BadMethod),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":["x"]}"#, Fault::BadParams),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#, Fault::BadParams),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":1}}"#, Fault::BadParams),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{}}"#, Fault::Shape),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, Fault::Shape),
        (r#"{"jsonrpc":"2.0","result":{}}"#, Fault::Shape),
        (r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, Fault::Shape),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, Fault::Shape),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(body), expected, "{body}");
    }
}

#[test]
fn only_plain_utf8_is_read() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
    let mut bom = b"\xef\xbb\xbf".to_vec();
    bom.extend_from_slice(text.as_bytes());
    let overlong = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"n\xc1\xa1me\":1}".to_vec();
    let cesu = b"{\"jsonrpc\":\"2.0\",\"id\":\"\xed\xa0\xbd\",\"method\":\"ping\"}".to_vec();
    for body in [utf16, utf32, bom, overlong, cesu, vec![0xff], b"\x1f\x8b\x08".to_vec()] {
        assert!(Message::read(&body, 64).is_err(), "{body:?}");
    }
}

#[test]
fn the_id_is_kept_where_it_is_beyond_doubt() {
    let id = |body| read(body).expect_err(body).id.map(|id| id.0);
    assert_eq!(id(r#"{"jsonrpc":"1.0","id":"7","method":"ping"}"#).as_deref(), Some("\"7\""));
    assert_eq!(id(r#"{"x":1,"jsonrpc":"2.0","method":"a","id":7}"#).as_deref(), Some("7"));
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#), None);
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":1,"method":"a""#), None);
}

#[test]
fn the_arguments_are_found_as_they_stand_with_their_first_names() {
    let read = |params: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let message = Message::read(body.as_bytes(), 64).unwrap();
        let names = message.argument_names().iter().map(|name| name.to_string()).collect();
        (message.arguments().map(str::to_owned), names)
    };
    let found = |text: &str, names: &[&str]| {
        (Some(text.to_owned()), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    };
    let nested = r#"{ "a" : {"b":[{"c":1}]}, "\u0064":[], "e":{} }"#;
    let params = format!(r#"{{"_meta":{{"x":{{"y":1}}}},"arguments":{nested},"name":"t"}}"#);
    assert_eq!(read(&params), found(nested, &["a", "d", "e"]));
    assert_eq!(read(r#"{"arguments":[{"a":1},2],"name":"t"}"#), found(r#"[{"a":1},2]"#, &[]));
    for scalar in ["null", "7", r#""x""#] {
        assert_eq!(read(&format!(r#"{{"arguments":{scalar},"z":{{"a":1}}}}"#)), found(scalar, &[]));
    }
    assert_eq!(read(r#"{"name":"t","other":{"a":1}}"#), (None, vec![]));
    let many: Vec<String> = (0..99).map(|n| format!("\"k{n}\":0")).collect();
    assert_eq!(read(&format!(r#"{{"arguments":{{{}}}}}"#, many.join(","))).1.len(), 32);
}

#[test]
fn a_field_that_a_model_fills_from_another_name_has_that_one_name() {
    let snake = |name: &str| -> String {
        name.chars().flat_map(|c| [c.is_uppercase().then_some('_'), Some(c)]).flatten().collect()
    };
    for known in reserved::PARAMS {
        assert!(read(&call(&format!(r#"{{"{known}":{{}}}}"#))).is_ok(), "{known}");
        let bare = known.trim_start_matches('_');
        let all = [
            snake(bare).to_lowercase(),
            bare.to_uppercase(),
            format!("_{bare}"),
            format!("{bare}_"),
            format!("__{bare}__"),
            format!("{bare}[]"),
            format!("{bare}."),
            format!("{bare}\\u0000"),
            format!("{bare}\\u200b"),
            bare.replacen('a', "\u{ff41}", 1)
                .replacen('e', "\u{ff45}", 1)
                .replacen('u', "u\u{301}", 1),
        ];
        for other in all.iter().filter(|other| *other != known) {
            let body = call(&format!(r#"{{"{other}":{{}}}}"#));
            assert_eq!(fault(&body), Fault::LookalikeKey, "{other}");
        }
    }
}

#[test]
fn what_objects_inherit_is_no_member() {
    for name in ["__proto__", "constructor", "prototype", "__\\u0070roto__"] {
        let member = format!(r#"{{"{name}":{{"name":"delete_all"}}}}"#);
        for body in [
            call(&member),
            call(&format!(r#"{{"name":"echo","_meta":{member}}}"#)),
            call(&format!(r#"{{"name":"echo","ref":{member}}}"#)),
            call(&format!(r#"{{"name":"echo","notifications":{member}}}"#)),
        ] {
            assert_eq!(fault(&body), Fault::InheritedKey, "{body}");
        }
    }
}

#[test]
fn a_version_is_picked_by_the_member_of_fastmcp_alone() {
    let picks =
        |meta: &str| read(&call(&format!(r#"{{"_meta":{meta}}}"#))).unwrap().picks_version();
    for meta in [
        r#"{"fastmcp":{"version":"1.0"}}"#,
        r#"{"_fastmcp":{"version":"1.0"}}"#,
        r#"{"FastMCP":{"Version":"1.0"}}"#,
        r#"{"fast_mcp":{"version":"1.0"}}"#,
        r#"{"\u0066astmcp":{"\u0076ersion":"1.0"}}"#,
        r#"{"x":1,"fastmcp":{"tags":[],"version":{"gte":"1.0","lt":"2"}}}"#,
        r#"{"fastmcp":{"_version":null}}"#,
        r#"{"fastmcp":{"version\u0000":"1.0"}}"#,
    ] {
        assert!(picks(meta), "{meta}");
    }
    for meta in [
        r#"{"fastmcp":{"tags":["a"]}}"#,
        r#"{"fastmcp":{"app":{"version":"1.0"}}}"#,
        r#"{"fastmcp":"version"}"#,
        r#"{"fastmcp":{"versions":1}}"#,
        r#"{"progressToken":1,"version":"1.0"}"#,
        r#"{"x":{"version":"1.0"}}"#,
    ] {
        assert!(!picks(meta), "{meta}");
    }
}

const VERSION: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;

fn related(task: &str) -> String {
    format!(r#""_meta":{{"io.modelcontextprotocol/related-task":{task}}}"#)
}

/// The ids of the tasks that a message names, and whether it acts on them.
fn tasks(body: &str) -> Vec<(String, bool)> {
    let message = read(body).unwrap();
    let ids = message.task_ids().iter();
    ids.map(|task| {
        assert_eq!(body.get(task.at.clone()), Some(format!("\"{}\"", task.id).as_str()), "{body}");
        (task.id.clone().into_owned(), task.is_target)
    })
    .collect()
}

#[test]
fn members_of_an_answer_are_no_parameters() {
    let answer = |outcome: &str| format!(r#"{{"jsonrpc":"2.0","id":1,{outcome}}}"#);
    for outcome in [
        r#""result":{"name":"x","Name":1,"taskId":"t","_meta":"x"}"#.to_owned(),
        r#""result":"text""#.to_owned(),
        format!(r#""result":{{"_meta":{{{VERSION}}}}}"#),
        format!(r#""result":{{"other":{{{VERSION},"Ref":1}}}}"#),
        format!(r#""error":{{"code":1,"_meta":{{{VERSION}}}}}"#),
    ] {
        let body = answer(&outcome);
        let message = read(&body).unwrap();
        assert_eq!(*message.kind(), Kind::Response, "{body}");
        assert_eq!((message.param("name"), message.claimed_version()), (None, None), "{body}");
        assert!(message.task_ids().is_empty(), "{body}");
    }
    let related = related(r#"{"taskId":"a"}"#);
    assert_eq!(tasks(&answer(&format!(r#""result":{{{related}}}"#))), [("a".into(), false)]);
    for outcome in [
        format!(r#""error":{{"code":1,{related}}}"#),
        format!(r#""result":{{{}}}"#, related.replace("_meta", "other")),
    ] {
        assert_eq!(tasks(&answer(&outcome)), [], "{outcome}");
    }
}

#[test]
fn a_task_is_found_where_it_is_named_and_nowhere_else() {
    let body = call(r#"{"taskId":"t","x":{"taskId":"u"}}"#);
    assert_eq!(tasks(&body), [("t".into(), true)]);
    let two = related(r#"{"ttl":{"taskId":"z"},"taskId":"a"},"x/y":{"taskId":"b"}"#);
    assert_eq!(tasks(&call(&format!("{{{two}}}"))), [("a".into(), false)]);
    for task in [r#""a""#, r#"{"taskId":7}"#, r#"{"TaskId":"a"}"#, r#"{"taskid":7}"#] {
        assert_eq!(fault(&call(&format!("{{{}}}", related(task)))), Fault::LookalikeKey, "{task}");
    }
    let asked = call(r#"{"notifications":{"taskIds":["a","b"],"toolsListChanged":true}}"#);
    assert_eq!(tasks(&asked), [("a".into(), true), ("b".into(), true)]);
}

#[test]
fn a_reference_is_an_object_of_that_name() {
    let body = call(r#"{"ref":"x","other":{"name":"y","Name":"z"}}"#);
    assert_eq!(read(&body).unwrap().reference("name"), None);
    let body = call(r#"{"ref":{"name":"y"},"other":{"name":"z"}}"#);
    assert_eq!(read(&body).unwrap().reference("name"), Some(&Field::Text("y".into())));
}

#[test]
fn what_an_answer_asks_for_is_clear_or_said_not_to_be() {
    let asked = |notifications: &str| {
        let body = call(&format!(r#"{{"notifications":{notifications}}}"#));
        let asked = read(&body).unwrap().subscriptions().clone();
        (asked.resources.iter().map(ToString::to_string).collect::<Vec<_>>(), asked.is_unclear)
    };
    assert_eq!(asked(r#"{"resourceSubscriptions":["a:b"]}"#), (vec!["a:b".into()], false));
    assert_eq!(asked(r#"{"promptsListChanged":true}"#), (vec![], false));
    for unclear in
        ["7", r#"{"x":true}"#, r#"{"resourceSubscriptions":[7]}"#, r#"{"toolsListChanged":{}}"#]
    {
        assert_eq!(asked(unclear), (vec![], true), "{unclear}");
    }
}

#[test]
fn an_id_has_at_most_256_bytes() {
    let of = |id: String| read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"a"}}"#)).is_ok();
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!([of(text(256)), of(text(257))], [true, false]);
    assert_eq!([of("1".repeat(256)), of("1".repeat(257))], [true, false]);
}

#[test]
fn faults_are_told_in_words_that_help() {
    assert_eq!(
        Fault::Json(JsonError::DuplicateKey).to_string(),
        "a member name occurs twice in one object"
    );
    assert_eq!(Fault::BadVersion.to_string(), "jsonrpc must be \"2.0\"");
}
