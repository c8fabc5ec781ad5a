//! What a permit says of the request, and of what may come back.

use super::tests::{
    judge, judge_with, permit, principal, reader, refusal, release, request, route, seal,
};
use super::*;
use crate::core::argument::Shadow;
use crate::core::method::Filter;
use crate::core::pattern::Pattern;
use crate::core::permission::{Grants, Patterns, Role};
use crate::core::rule::Rule as ConfigRule;

fn sealed(caller: &Arc<Principal>, era: Era, body: &str) -> Permit {
    match judge_with(caller, Tasks::Sealed, era, body) {
        Verdict::Forward(permit) => permit,
        verdict => panic!("{body} was not forwarded: {verdict:?}"),
    }
}

#[test]
fn a_body_is_as_long_as_it_is_and_is_not_copied() {
    let text = request("tools/call", r#"{"name":"echo"}"#);
    let body = Bytes::from(text.clone());
    let held = HeldBody::new(body.clone());
    assert_eq!((held.len(), held.is_empty()), (text.len(), false));
    assert!(HeldBody::new(Bytes::new()).is_empty());
    let proof = permit(&principal(&["t/echo"], &[]), Era::Legacy, &text);
    assert_eq!(held.release(&proof).as_ptr(), body.as_ptr());
}

#[test]
fn a_modern_cancellation_goes_no_further_and_nothing_else_is_ignored() {
    let all = principal(&["*/*"], &[]);
    let notification = |method| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{}}}}"#);
    let ignored = judge(&all, Era::Modern, &notification("notifications/cancelled"));
    assert!(matches!(ignored, Verdict::Ignore), "{ignored:?}");
    for body in
        [notification("notifications/initialized"), request("notifications/cancelled", "{}")]
    {
        assert_eq!(
            refusal(&all, Era::Modern, &body),
            Refusal::UnknownMethod(Era::Modern),
            "{body}"
        );
    }
    permit(&all, Era::Legacy, &notification("notifications/cancelled"));
}

#[test]
fn a_permit_says_where_it_leads_and_how_often() {
    let all = principal(&["*/*"], &[]);
    let call = permit(&all, Era::Legacy, &request("tools/call", r#"{"name":"echo"}"#));
    assert_eq!((call.upstream(), call.method().map(|m| m.name)), ("t", Some("tools/call")));
    assert_eq!((call.is_get(), call.is_endless(), call.is_repeatable()), (false, false, false));
    assert_eq!((call.principal(), call.era(), call.tasks()), (&*all, Era::Legacy, Tasks::Off));
    let list = permit(&all, Era::Modern, &request("tools/list", "{}"));
    assert_eq!((list.is_endless(), list.is_repeatable(), list.tool()), (false, true, None));
    let ask = Ask { want: Want::Stream, session: None, now: 0 };
    let Verdict::Forward(get) = decide(&seal(), &all, &route(Tasks::Off), ask, &mut NoTrace) else {
        panic!("a stream is for everybody");
    };
    assert_eq!(
        (get.is_get(), get.is_endless(), get.hides(), get.method()),
        (true, true, true, None)
    );
    assert!(get.changes_answer());
    let ask = Ask { want: Want::EndSession, session: None, now: 0 };
    let Verdict::Forward(end) = decide(&seal(), &all, &route(Tasks::Off), ask, &mut NoTrace) else {
        panic!("to end a session is for everybody");
    };
    assert_eq!(
        (end.is_get(), end.is_endless(), end.hides(), end.changes_answer()),
        (false, false, false, false)
    );
}

#[test]
fn an_answer_is_read_where_it_may_have_to_change() {
    let filter = |era, method: &str, params: &str| {
        let permit = permit(&reader(), era, &request(method, params));
        (permit.filter(), permit.changes_answer(), permit.hides())
    };
    let read = r#"{"uri":"docs://a"}"#;
    assert_eq!(filter(Era::Modern, "resources/read", read), (Filter::Cache, true, false));
    assert_eq!(filter(Era::Legacy, "resources/read", read), (Filter::Nothing, false, false));
    for era in [Era::Legacy, Era::Modern] {
        let list = Filter::List(TargetKind::Tool);
        assert_eq!(filter(era, "tools/list", "{}"), (list, true, true));
    }
    assert_eq!(filter(Era::Legacy, "initialize", "{}"), (Filter::Capabilities, true, false));
    assert_eq!(filter(Era::Legacy, "ping", "{}"), (Filter::Nothing, false, false));
    let all = principal(&["*/*"], &[]);
    let call = sealed(&all, Era::Legacy, &request("tools/call", r#"{"name":"echo"}"#));
    assert_eq!((call.changes_answer(), call.tasks()), (true, Tasks::Sealed));
    assert!(!sealed(&all, Era::Legacy, &request("ping", "{}")).changes_answer());
}

#[test]
fn only_an_answer_to_a_request_for_tools_says_how_they_are_now() {
    use crate::core::pin::{Cursor, Mark, Source};

    let all = principal(&["*/*"], &[]);
    let source = |method: &str, params: &str| {
        permit(&all, Era::Legacy, &request(method, params)).source(Some("next"))
    };
    let pages = [
        ("{}", Cursor::Beginning),
        (r#"{"cursor":"2"}"#, Cursor::At(Mark::of(&["2"]))),
        (r#"{"cursor":""}"#, Cursor::At(Mark::of(&[""]))),
        (r#"{"cursor":null}"#, Cursor::Unclear),
        (r#"{"cursor":2}"#, Cursor::Unclear),
    ];
    for (params, cursor) in pages {
        let Some(Source::Answer(page)) = source("tools/list", params) else { panic!("{params}") };
        assert_eq!((page.cursor, page.next), (cursor, Some(Mark::of(&["next"]))), "{params}");
    }
    for method in ["ping", "prompts/list", "resources/list", "initialize"] {
        assert!(source(method, "{}").is_none(), "{method}");
    }
    assert!(source("tools/call", r#"{"name":"echo"}"#).is_none());
}

#[test]
fn an_asker_is_who_the_upstream_can_tell_apart() {
    let all = principal(&["*/*"], &[]);
    let asker = |principal: &Arc<Principal>, era| {
        permit(principal, era, &request("tools/list", "{}")).asker()
    };
    let again = asker(&principal(&["t/echo"], &[]), Era::Legacy);
    assert_eq!(asker(&all, Era::Legacy), again, "whatever may be used");
    assert_ne!(asker(&all, Era::Modern), again);
}

#[test]
fn what_decided_is_kept_for_the_record() {
    let rule = || ConfigRule::new("roles.r.tools".to_owned(), "file", 7);
    let ruled = |pattern: &str, shadow| {
        let allow = Patterns {
            tools: vec![Pattern::of_names(pattern).unwrap().at(rule())],
            resources: vec![Pattern::of_uris("t/docs://*").unwrap()],
            ..Patterns::default()
        };
        let role = Role { allow, shadow, ..Role::named("r") };
        let grants = Grants { roles: vec![Arc::new(role)], direct: Patterns::default() };
        let plain = principal(&[], &[]);
        let (user, organization) = (plain.user().clone(), plain.organization().clone());
        Arc::new(Principal::new(user, organization, plain.proof().clone(), Arc::new(grants), None))
    };
    let call = request("tools/call", r#"{"name":"echo"}"#);
    let mut allowed = permit(&ruled("t/*", None), Era::Legacy, &call);
    assert_eq!(allowed.rule(), Some(&rule()));
    assert_eq!(allowed.would_be_refused(), None);
    assert_eq!(allowed.take_judged().map(|judged| judged.permission), Some(Permission::Allowed));
    assert_eq!((allowed.take_judged(), allowed.rule()), (None, None));
    let tried = ruled("t/other", Some(Shadow { until: 1 }));
    let passing = permit(&tried, Era::Legacy, &call);
    assert_eq!(passing.would_be_refused().map(|j| j.permission), Some(Permission::NoMatch));
    // A subscription names many things; only what would be refused of them is worth a word.
    let listen = |uri: &str| {
        let filter = format!(r#"{{"notifications":{{"resourceSubscriptions":["{uri}"]}}}}"#);
        let body = request("subscriptions/listen", &filter);
        permit(&tried, Era::Modern, &body).take_judged().map(|judged| judged.permission)
    };
    assert_eq!(listen("docs://a"), None);
    assert_eq!(listen("other://a"), Some(Permission::NoMatch));
}

#[test]
fn only_the_task_that_is_acted_on_has_to_be_the_callers() {
    let alice = principal(&["t/echo"], &[]);
    let mine = seal().seal_task(&alice, "t", "echo", "1");
    let related = |id: &str| {
        format!(r#""_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":"{id}"}}}}"#)
    };
    let get = |id: &str| request("tasks/get", &format!(r#"{{"taskId":"{mine}",{}}}"#, related(id)));
    let proof = sealed(&alice, Era::Legacy, &get("own"));
    assert_eq!((proof.task(), proof.known_tasks.len()), (Some("1"), 1));
    assert!(release(&get("own"), &proof).contains(r#""taskId":"own""#));
    let call = |id: &str| {
        request("tools/call", &format!(r#"{{"name":"echo","taskId":"own",{}}}"#, related(id)))
    };
    let proof = sealed(&alice, Era::Legacy, &call(&mine));
    assert_eq!((proof.task(), proof.known_tasks.len()), (None, 1));
    assert_eq!(proof.known_tasks[0].sealed, mine);
    assert!(!proof.known_tasks[0].is_target);
    let ping = sealed(&alice, Era::Legacy, &request("ping", &format!("{{{}}}", related(&mine))));
    assert!(ping.changes_answer(), "the answer may name it");
}

#[test]
fn each_of_many_tasks_is_found_as_the_request_names_it_first() {
    let alice = principal(&["t/echo", "t/read"], &[]);
    let task = |tool: &str, id: usize| seal().seal_task(&alice, "t", tool, &id.to_string());
    // In no order, and every tenth of them twice, by another tool.
    let ids = || (0..500).map(|n| n * 7 % 500);
    let twice = ids().filter(|id| id % 10 == 0);
    let all: Vec<String> =
        ids().map(|id| task("echo", id)).chain(twice.map(|id| task("read", id))).collect();
    let listen = |all: &[String]| {
        let filter = serde_json::json!({"notifications": {"taskIds": all}});
        request("subscriptions/listen", &filter.to_string())
    };
    let proof = sealed(&alice, Era::Modern, &listen(&all));
    for id in ids() {
        let known = proof.known_task(&id.to_string()).map(|task| &task.sealed);
        assert_eq!(known, Some(&task("echo", id)), "{id}");
    }
    for id in ["", "500", "1 ", "t"] {
        assert!(proof.known_task(id).is_none(), "{id}");
    }
    // A stream remembers them as long as it lasts.
    let many = vec![task("echo", 1); 1_000];
    assert!(sealed(&alice, Era::Modern, &listen(&many)).known_task("1").is_some());
    let body = listen(&[many, vec![task("echo", 1)]].concat());
    let refused = Message::read(body.as_bytes(), 64).map_err(|unreadable| unreadable.fault);
    assert_eq!(refused.err(), Some(Fault::TooManyTasks));
}

#[test]
fn a_tool_that_is_not_pinned_is_not_there_nor_are_its_tasks() {
    use crate::core::pin::{Definition, Measure, Measures, Pins};

    let measure = Measure::Warn;
    let measures =
        Measures { annotations: measure, narrowed: measure, text: measure, widened: measure };
    let known = [("echo".to_owned(), Definition::read("{}").unwrap())];
    let pins = Arc::new(Pins::new(known.into(), measures));
    let route = Route { pins: Some(pins), ..route(Tasks::Sealed) };
    let all = principal(&["*/*"], &[]);
    let judge = |body: &str| {
        let message = Message::read(body.as_bytes(), 64).unwrap();
        let ask = Ask { want: Want::Message(&message, Era::Legacy), session: None, now: 0 };
        decide(&seal(), &all, &route, ask, &mut NoTrace)
    };
    let call = |name: &str| judge(&request("tools/call", &format!(r#"{{"name":"{name}"}}"#)));
    let Verdict::Forward(permit) = call("echo") else { panic!("it is pinned") };
    assert!(permit.pins().is_some());
    let refused = call("other");
    let wanted = Permission::NotLocked;
    assert!(
        matches!(refused, Verdict::Refuse(Refusal::UnknownTarget { permission, .. }) if permission == wanted)
    );
    let task = seal().seal_task(&all, "t", "other", "1");
    let refused = judge(&request("tasks/get", &format!(r#"{{"taskId":"{task}"}}"#)));
    assert!(matches!(refused, Verdict::Refuse(Refusal::UnknownTask(Some(p))) if p == wanted));
}

/// At every moment a listener is asked about what it would be told if it came then, and what it
/// would be told changes only at the moments that the caller names.
#[test]
fn an_open_listener_is_refused_when_a_new_one_would_be() {
    let patterns = |uris: &[&str], names: &[&str]| Patterns {
        tools: names.iter().map(|name| Pattern::of_names(name).unwrap()).collect(),
        resources: uris.iter().map(|uri| Pattern::of_uris(uri).unwrap()).collect(),
        prompts: Vec::new(),
    };
    let shadow = |until: UnixSeconds| (until > 0).then_some(Shadow { until });
    let roles = |mask: usize| {
        let all = [
            (patterns(&["t/docs://**"], &[]), patterns(&[], &[]), 0),
            (patterns(&["t/x://**"], &["t/echo"]), patterns(&[], &[]), 10),
            (patterns(&[], &[]), patterns(&["t/docs://b"], &["t/echo"]), 20),
            (patterns(&["t/docs://b"], &["t/echo"]), patterns(&["t/x://y"], &[]), 0),
            (patterns(&["u/x://**"], &[]), patterns(&[], &[]), 15),
        ];
        let chosen = all.into_iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
        let chosen = chosen.map(|(n, (allow, deny, until))| {
            let named = Role::named(&format!("r{n}"));
            Arc::new(Role { allow, deny, shadow: shadow(until), ..named })
        });
        let caller = principal(&[], &[]);
        let (user, organization) = (caller.user().clone(), caller.organization().clone());
        let proof = caller.proof().clone();
        let grants = Grants { roles: chosen.collect(), direct: Patterns::default() };
        Arc::new(Principal::new(user, organization, proof, Arc::new(grants), None))
    };
    let task = |caller: &Arc<Principal>| seal().seal_task(caller, "t", "echo", "1");
    let mut refused = 0;
    for mask in 0..32 {
        let taken = roles(mask);
        for caller in [Arc::clone(&taken), taken.bounded_by(&roles(mask.reverse_bits() >> 59))] {
            let task = format!(r#"{{"taskIds":["{}"]}}"#, task(&caller));
            let docs = r#"{"resourceSubscriptions":["docs://a","docs://b"]}"#;
            let other = r#"{"resourceSubscriptions":["x://y"]}"#;
            for asked in [docs, other, &task, r#"{"toolsListChanged":true}"#] {
                let body =
                    request("subscriptions/listen", &format!(r#"{{"notifications":{asked}}}"#));
                let message = Message::read(body.as_bytes(), 64).unwrap();
                let at = |now| {
                    let want = Want::Message(&message, Era::Modern);
                    let ask = Ask { want, session: None, now };
                    decide(&seal(), &caller, &route(Tasks::Sealed), ask, &mut NoTrace)
                };
                let Verdict::Forward(open) = at(0) else { continue };
                let mut next = caller.next_enforced(0);
                for now in 0..25 {
                    let is_refused = matches!(at(now), Verdict::Refuse(_));
                    assert_eq!(open.is_refused_at(now), is_refused, "{mask} {asked} {now}");
                    if now > 0 && is_refused != open.is_refused_at(now - 1) {
                        assert_eq!(next, Some(now), "{mask} {asked}");
                        refused += 1;
                    }
                    next = if next == Some(now) { caller.next_enforced(now) } else { next };
                }
            }
        }
    }
    assert!(refused > 20, "{refused}");
}
