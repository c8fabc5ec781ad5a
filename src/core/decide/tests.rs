use super::*;
use crate::core::permission::{Grants, Role, ToolPattern};
use crate::core::principal::{OrganizationId, UserId};

fn principal(allow: &[&str], deny: &[&str]) -> Arc<Principal> {
    let patterns =
        |texts: &[&str]| texts.iter().map(|t| ToolPattern::parse(t).unwrap()).collect::<Vec<_>>();
    let role = Role { name: "r".into(), allow: patterns(allow), deny: patterns(deny) };
    Arc::new(Principal::new(
        UserId::parse("alice").unwrap(),
        OrganizationId::parse("org").unwrap(),
        "token".into(),
        Grants { roles: vec![Arc::new(role)], direct: Vec::new() },
    ))
}

fn judge(principal: &Arc<Principal>, era: Era, body: &str) -> Verdict {
    let message = Message::read(body.as_bytes(), 64).unwrap();
    decide(principal, &Route { upstream: "t".into() }, Ask::Message(&message, era))
}

fn refusal(principal: &Arc<Principal>, era: Era, body: &str) -> Refusal {
    match judge(principal, era, body) {
        Verdict::Refuse(refusal) => refusal,
        Verdict::Forward(permit) => panic!("{body} was forwarded: {permit:?}"),
    }
}

fn permit(principal: &Arc<Principal>, era: Era, body: &str) -> Permit {
    match judge(principal, era, body) {
        Verdict::Forward(permit) => permit,
        Verdict::Refuse(refusal) => panic!("{body} was refused: {refusal:?}"),
    }
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

#[test]
fn a_call_is_judged_by_the_name_in_its_body() {
    let alice = principal(&["t/echo"], &[]);
    let permit = permit(&alice, Era::Legacy, &request("tools/call", r#"{"name":"echo"}"#));
    assert_eq!(permit.tool(), Some("echo"));
    assert!(!permit.is_repeatable());
    let refused = refusal(&alice, Era::Modern, &request("tools/call", r#"{"name":"delete_all"}"#));
    assert!(matches!(refused, Refusal::UnknownTool { permission: Permission::NoMatch, .. }));
}

#[test]
fn a_call_without_one_name_is_refused() {
    let all = principal(&["t/*"], &[]);
    for params in [
        "{}",
        r#"{"name":7}"#,
        r#"{"name":["echo"]}"#,
        r#"{"name":{}}"#,
        r#"{"name":null}"#,
        r#"{"name":""}"#,
        r#"{"arguments":{"name":"echo"}}"#,
    ] {
        let body = request("tools/call", params);
        assert_eq!(refusal(&all, Era::Legacy, &body), Refusal::BadTarget, "{body}");
    }
}

#[test]
fn a_method_that_is_not_in_the_table_is_refused() {
    let all = principal(&["*/*"], &[]);
    for method in [
        "tools/execute",
        "Tools/Call",
        "tools/call ",
        "tools//call",
        "x-admin/run",
        "tasks/get",
        "resources/read",
        "tools/call\\u0000",
        "rpc.discover",
    ] {
        for era in [Era::Legacy, Era::Modern] {
            let body = request(method, r#"{"name":"echo"}"#);
            assert_eq!(refusal(&all, era, &body), Refusal::UnknownMethod(era), "{method}");
        }
    }
}

#[test]
fn a_method_of_the_other_era_is_refused() {
    let all = principal(&["*/*"], &[]);
    let refused = |era, method| refusal(&all, era, &request(method, "{}"));
    assert_eq!(refused(Era::Modern, "initialize"), Refusal::UnknownMethod(Era::Modern));
    assert_eq!(refused(Era::Legacy, "server/discover"), Refusal::UnknownMethod(Era::Legacy));
}

#[test]
fn a_request_without_id_and_a_notification_with_one_are_refused() {
    let all = principal(&["*/*"], &[]);
    for body in [
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#,
    ] {
        let refused = refusal(&all, Era::Legacy, body);
        assert_eq!(refused, Refusal::Unreadable(Fault::BadId), "{body}");
    }
}

#[test]
fn a_clients_response_passes_in_the_legacy_era_alone() {
    let nobody = principal(&[], &[]);
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(permit(&nobody, Era::Legacy, body).method(), None);
    assert_eq!(refusal(&nobody, Era::Modern, body), Refusal::Unreadable(Fault::Shape));
}

/// Lists and calls are judged by one function: what is seen can be called, and nothing else.
#[test]
fn a_tool_is_listed_exactly_when_it_may_be_called() {
    let names = ["echo", "get_ticket", "delete_all", "a b", "", "x.y"];
    let sets: [(&[&str], &[&str]); 4] = [
        (&["t/*"], &["t/delete_*"]),
        (&["t/echo", "u/get_ticket"], &[]),
        (&[], &[]),
        (&["*/a b"], &[]),
    ];
    for (allow, deny) in sets {
        let caller = principal(allow, deny);
        let list = permit(&caller, Era::Legacy, &request("tools/list", "{}"));
        for name in names {
            let body = request("tools/call", &format!(r#"{{"name":"{name}"}}"#));
            let callable = matches!(judge(&caller, Era::Legacy, &body), Verdict::Forward(_));
            assert_eq!(list.may_see(name), callable, "{name} with {allow:?} {deny:?}");
        }
    }
}

#[test]
fn a_body_leaves_unchanged_and_only_for_a_permit() {
    let body = request("tools/call", r#"{ "name":"echo", "arguments":{"n":1.50} }"#);
    let held = HeldBody::new(Bytes::from(body.clone()));
    let proof = permit(&principal(&["t/echo"], &[]), Era::Legacy, &body);
    assert_eq!(held.release(&proof), body.as_bytes());
}
