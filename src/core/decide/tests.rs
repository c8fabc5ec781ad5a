use super::*;
use crate::core::pattern::Pattern;
use crate::core::permission::{Grants, Patterns, Role};
use crate::core::principal::{OrganizationId, Proof, UserId};
use crate::core::seal::MIN_SECRET;

pub(super) fn named(user: &str, allow: Patterns, deny: Patterns) -> Arc<Principal> {
    let role = Role { allow, deny, ..Role::named("r") };
    Arc::new(Principal::new(
        UserId::parse(user).unwrap(),
        OrganizationId::parse("org").unwrap(),
        Proof::Token { entry: "token".into(), digest: [0; 32] },
        Arc::new(Grants { roles: vec![Arc::new(role)], direct: Patterns::default() }),
        None,
    ))
}

pub(super) fn tools(texts: &[&str]) -> Patterns {
    let tools = texts.iter().map(|t| Pattern::of_names(t).unwrap()).collect();
    Patterns { tools, ..Patterns::default() }
}

pub(super) fn principal(allow: &[&str], deny: &[&str]) -> Arc<Principal> {
    named("alice", tools(allow), tools(deny))
}

/// May use the prompt `greet` and what lies under `docs://`, and no tool.
pub(super) fn reader() -> Arc<Principal> {
    let allow = Patterns {
        tools: Vec::new(),
        prompts: vec![Pattern::of_names("t/greet").unwrap()],
        resources: vec![Pattern::of_uris("t/docs://*").unwrap()],
    };
    named("alice", allow, Patterns::default())
}

pub(super) fn seal() -> SealKey {
    SealKey::new(&[7; MIN_SECRET]).unwrap()
}

pub(super) fn route(tasks: Tasks) -> Route {
    Route { upstream: "t".into(), tasks, facts: Arc::new([]), pins: None, protected: None }
}

pub(super) fn judge(principal: &Arc<Principal>, era: Era, body: &str) -> Verdict {
    judge_with(principal, Tasks::Off, era, body)
}

pub(super) fn judge_with(
    principal: &Arc<Principal>,
    tasks: Tasks,
    era: Era,
    body: &str,
) -> Verdict {
    let message = Message::read(body.as_bytes(), 64).unwrap();
    let ask = Ask { want: Want::Message(&message, era), session: None, now: 0 };
    decide(&seal(), principal, &route(tasks), ask, &mut NoTrace)
}

pub(super) fn refusal(principal: &Arc<Principal>, era: Era, body: &str) -> Refusal {
    match judge(principal, era, body) {
        Verdict::Refuse(refusal) => refusal,
        verdict => panic!("{body} was not refused: {verdict:?}"),
    }
}

pub(super) fn permit(principal: &Arc<Principal>, era: Era, body: &str) -> Permit {
    match judge(principal, era, body) {
        Verdict::Forward(permit) => permit,
        verdict => panic!("{body} was not forwarded: {verdict:?}"),
    }
}

pub(super) fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

#[test]
fn a_call_is_judged_by_the_name_in_its_body() {
    let alice = principal(&["t/echo"], &[]);
    let permit = permit(&alice, Era::Legacy, &request("tools/call", r#"{"name":"echo"}"#));
    assert_eq!(permit.tool(), Some("echo"));
    assert!(!permit.is_repeatable());
    let refused = refusal(&alice, Era::Modern, &request("tools/call", r#"{"name":"delete_all"}"#));
    assert!(matches!(refused, Refusal::UnknownTarget { permission: Permission::NoMatch, .. }));
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
        "tasks/list",
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
    for method in method::names() {
        let is_notification = method.starts_with("notifications/");
        let (id, fault) = match is_notification {
            true => (r#""id":1,"#, Fault::IdOfNotification),
            false => ("", Fault::IdMissing),
        };
        let body = format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{}}}}"#);
        for era in [Era::Legacy, Era::Modern] {
            match refusal(&all, era, &body) {
                // The other era has it.
                Refusal::UnknownMethod(_) => {}
                refused => assert_eq!(refused, Refusal::Unreadable(fault), "{body}"),
            }
        }
    }
}

#[test]
fn a_clients_response_passes_in_the_legacy_era_alone() {
    let nobody = principal(&[], &[]);
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(permit(&nobody, Era::Legacy, body).method(), None);
    assert_eq!(refusal(&nobody, Era::Modern, body), Refusal::Unreadable(Fault::Unasked));
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
            assert_eq!(
                list.may_see(Target { kind: TargetKind::Tool, name }),
                callable,
                "{name} with {allow:?} {deny:?}"
            );
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

#[test]
fn prompts_and_resources_have_permissions_of_their_own() {
    let cases = [
        ("prompts/get", r#"{"name":"greet"}"#, r#"{"name":"secret"}"#),
        ("resources/read", r#"{"uri":"docs://a"}"#, r#"{"uri":"file:///etc/passwd"}"#),
        ("resources/subscribe", r#"{"uri":"docs://a"}"#, r#"{"uri":"docs://a/../b"}"#),
        ("resources/unsubscribe", r#"{"uri":"docs://a"}"#, r#"{"uri":"secret://a"}"#),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"greet"}}"#,
            r#"{"ref":{"type":"ref/prompt","name":"secret"}}"#,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"docs://{id}"}}"#,
            r#"{"ref":{"type":"ref/resource","uri":"secret://{id}"}}"#,
        ),
    ];
    for (method, allowed, denied) in cases {
        permit(&reader(), Era::Legacy, &request(method, allowed));
        for caller in [reader(), principal(&["*/*"], &[])] {
            let refused = refusal(&caller, Era::Legacy, &request(method, denied));
            assert!(matches!(refused, Refusal::UnknownTarget { .. }), "{method} {denied}");
        }
    }
}

#[test]
fn a_target_that_is_not_one_string_in_its_place_is_refused() {
    let cases = [
        ("prompts/get", "{}"),
        ("resources/read", r#"{"uri":["docs://a"]}"#),
        ("resources/read", r#"{"name":"docs://a"}"#),
        ("completion/complete", "{}"),
        ("completion/complete", r#"{"ref":"greet"}"#),
        ("completion/complete", r#"{"ref":{"name":"greet"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","uri":"docs://a"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"greet","uri":"x"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/tool","name":"greet"}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":7}}"#),
    ];
    for (method, params) in cases {
        let body = request(method, params);
        assert_eq!(refusal(&reader(), Era::Legacy, &body), Refusal::BadTarget, "{body}");
    }
}

#[test]
fn every_entry_of_a_subscription_is_judged() {
    let listen =
        |filter: &str| request("subscriptions/listen", &format!(r#"{{"notifications":{filter}}}"#));
    for allowed in [
        "{}",
        r#"{"toolsListChanged":true,"promptsListChanged":false}"#,
        r#"{"resourceSubscriptions":["docs://a","docs://b"]}"#,
        r#"{"resourceSubscriptions":[]}"#,
    ] {
        assert!(permit(&reader(), Era::Modern, &listen(allowed)).is_endless());
    }
    let one_foreign = listen(r#"{"resourceSubscriptions":["docs://a","secret://b"]}"#);
    let refused = refusal(&reader(), Era::Modern, &one_foreign);
    assert!(matches!(refused, Refusal::UnknownTarget { kind: TargetKind::Resource, .. }));
    for unclear in [
        "7",
        "[]",
        r#"{"resourceSubscriptions":"docs://a"}"#,
        r#"{"resourceSubscriptions":[["docs://a"]]}"#,
        r#"{"resourceSubscriptions":[7]}"#,
        r#"{"resourceSubscriptions":{"a":"docs://a"}}"#,
        r#"{"everything":true}"#,
        r#"{"toolsListChanged":["x"]}"#,
        r#"{"taskIds":["1"]}"#,
    ] {
        assert_eq!(refusal(&reader(), Era::Modern, &listen(unclear)), Refusal::BadTarget);
    }
}

#[test]
fn a_session_is_its_owners_alone() {
    let (alice, bob) = (principal(&[], &[]), named("bob", tools(&["*/*"]), tools(&[])));
    let sealed = seal().seal_session(&alice, "t", "s-1");
    let ping = request("ping", "{}");
    let message = Message::read(ping.as_bytes(), 64).unwrap();
    let legacy = Want::Message(&message, Era::Legacy);
    for want in [legacy, Want::Stream, Want::EndSession] {
        let ask = |session| Ask { want, session: Some(session), now: 0 };
        match decide(&seal(), &alice, &route(Tasks::Off), ask(&sealed), &mut NoTrace) {
            Verdict::Forward(permit) => assert_eq!(permit.session(), Some("s-1")),
            verdict => panic!("{verdict:?}"),
        }
        for (caller, session) in [(&bob, sealed.as_str()), (&alice, "s-1"), (&alice, "")] {
            let verdict = decide(&seal(), caller, &route(Tasks::Off), ask(session), &mut NoTrace);
            assert!(matches!(verdict, Verdict::Refuse(Refusal::UnknownSession)), "{verdict:?}");
        }
    }
    let modern = request("tools/list", "{}");
    let message = Message::read(modern.as_bytes(), 64).unwrap();
    let ask = Ask { want: Want::Message(&message, Era::Modern), session: Some("s-1"), now: 0 };
    let Verdict::Forward(permit) = decide(&seal(), &alice, &route(Tasks::Off), ask, &mut NoTrace)
    else {
        panic!("a session means nothing in the modern era");
    };
    assert_eq!(permit.session(), None);
}

#[test]
fn there_are_no_tasks_where_they_are_off() {
    let all = principal(&["*/*"], &[]);
    let sealed = seal().seal_task(&all, "t", "echo", "1");
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        let body = request(method, &format!(r#"{{"taskId":"{sealed}"}}"#));
        assert_eq!(refusal(&all, Era::Legacy, &body), Refusal::UnknownMethod(Era::Legacy));
    }
    let call = request("tools/call", r#"{"name":"echo","task":{"ttl":1}}"#);
    assert_eq!(refusal(&all, Era::Legacy, &call), Refusal::TasksOff);
    assert!(
        !permit(&all, Era::Legacy, &request("tools/call", r#"{"name":"echo"}"#)).changes_answer()
    );
}

pub(super) fn release(body: &str, permit: &Permit) -> String {
    let bytes = HeldBody::new(Bytes::from(body.to_owned())).release(permit);
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_task_is_reached_by_its_owner_while_its_tool_is_permitted() {
    let alice = principal(&["t/echo"], &[]);
    let sealed = seal().seal_task(&alice, "t", "echo", "task 1");
    let body = request("tasks/get", &format!(r#"{{ "taskId" : "{sealed}" }}"#));
    let proof = match judge_with(&alice, Tasks::Sealed, Era::Legacy, &body) {
        Verdict::Forward(permit) => permit,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(proof.task(), Some("task 1"));
    assert_eq!(release(&body, &proof), request("tasks/get", r#"{ "taskId" : "task 1" }"#));

    let bob = named("bob", tools(&["*/*"]), tools(&[]));
    let demoted = principal(&["t/other"], &[]);
    for (caller, why) in [(&bob, None), (&demoted, Some(Permission::NoMatch))] {
        let verdict = judge_with(caller, Tasks::Sealed, Era::Legacy, &body);
        assert!(matches!(verdict, Verdict::Refuse(Refusal::UnknownTask(p)) if p == why));
    }
    let bare = request("tasks/get", r#"{"taskId":"task 1"}"#);
    let verdict = judge_with(&alice, Tasks::Sealed, Era::Legacy, &bare);
    assert!(matches!(verdict, Verdict::Refuse(Refusal::UnknownTask(None))));
    let elsewhere =
        format!(r#"{{"taskId":["task 2"],"notifications":{{"taskIds":["{sealed}"]}}}}"#);
    for none in [r#"{"taskId":7}"#, "{}", &elsewhere] {
        let body = request("tasks/get", none);
        let verdict = judge_with(&alice, Tasks::Sealed, Era::Legacy, &body);
        assert!(matches!(verdict, Verdict::Refuse(Refusal::BadTarget)), "{none}");
    }
}

#[test]
fn every_task_that_is_listened_to_must_be_the_callers() {
    let alice = principal(&["t/echo"], &[]);
    let mine = seal().seal_task(&alice, "t", "echo", "1");
    let listen = |ids: &str| {
        request("subscriptions/listen", &format!(r#"{{"notifications":{{"taskIds":[{ids}]}}}}"#))
    };
    let body = listen(&format!(r#""{mine}""#));
    let Verdict::Forward(proof) = judge_with(&alice, Tasks::Sealed, Era::Modern, &body) else {
        panic!("{body}");
    };
    assert_eq!(release(&body, &proof), listen(r#""1""#));
    let two = listen(&format!(r#""{mine}","2""#));
    let verdict = judge_with(&alice, Tasks::Sealed, Era::Modern, &two);
    assert!(matches!(verdict, Verdict::Refuse(Refusal::UnknownTask(None))));
}

#[test]
fn a_task_that_is_only_mentioned_may_be_the_clients_own() {
    let alice = principal(&["t/echo"], &[]);
    let mine = seal().seal_task(&alice, "t", "echo", "1");
    let answer = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}}}}}"#
        )
    };
    for (sent, passed) in [(mine.as_str(), "1"), ("own", "own")] {
        let body = answer(sent);
        let Verdict::Forward(proof) = judge_with(&alice, Tasks::Sealed, Era::Legacy, &body) else {
            panic!("{body}");
        };
        assert_eq!(release(&body, &proof), answer(passed));
        assert_eq!(proof.task(), None);
    }
}
