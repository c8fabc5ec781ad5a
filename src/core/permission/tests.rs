use super::*;
use crate::core::trace::NoTrace;

fn names(texts: &[&str]) -> Patterns {
    let tools = texts.iter().map(|t| Pattern::of_names(t).unwrap()).collect();
    Patterns { tools, ..Patterns::default() }
}

fn uris(texts: &[&str]) -> Patterns {
    let resources = texts.iter().map(|t| Pattern::of_uris(t).unwrap()).collect();
    Patterns { resources, ..Patterns::default() }
}

fn judge(grants: &Grants, upstream: &str, target: Target<'_>) -> Permission {
    let judged =
        grants.judge(&Question { upstream, target, now: 0, call: None, pins: None }, &mut NoTrace);
    assert!(judged.is_enforced);
    judged.permission
}

fn grants(allow: &[&str], deny: &[&str], direct: &[&str]) -> Grants {
    let role = Role { allow: names(allow), deny: names(deny), ..Role::named("r") };
    Grants { roles: vec![Arc::new(role)], direct: names(direct) }
}

fn tool(grants: &Grants, name: &str) -> Permission {
    judge(grants, "t", Target { kind: TargetKind::Tool, name })
}

fn resource(allow: &[&str], deny: &[&str], kind: TargetKind, name: &str) -> Permission {
    let role = Role { allow: uris(allow), deny: uris(deny), ..Role::named("r") };
    let grants = Grants { roles: vec![Arc::new(role)], direct: Patterns::default() };
    judge(&grants, "t", Target { kind, name })
}

#[test]
fn nothing_granted_allows_nothing() {
    assert_eq!(tool(&Grants::default(), "echo"), Permission::NoRole);
    assert_eq!(tool(&grants(&[], &[], &[]), "echo"), Permission::NoMatch);
}

#[test]
fn deny_beats_every_allow() {
    let both = grants(&["t/*"], &["t/delete_*"], &["t/delete_all"]);
    assert_eq!(tool(&both, "delete_all"), Permission::DeniedByRule);
    assert_eq!(tool(&both, "echo"), Permission::Allowed);
}

#[test]
fn patterns_match_each_half_exactly() {
    let cases = [
        ("t/echo", "t", "echo", true),
        ("t/echo", "u", "echo", false),
        ("t/echo", "t", "Echo", false),
        ("t/echo", "t", "echo2", false),
        ("*/echo", "t", "echo", true),
        ("t/get_*", "t", "get_ticket", true),
        ("t/get_*", "t", "forget_x", false),
        ("t/{a,b}", "t", "b", true),
        ("t/*", "t", "a.b-c_9", true),
        ("t/a/b", "t", "a/b", true),
        ("t/*", "t", "a/b", false),
        ("t/*", "t", "", false),
    ];
    for (pattern, upstream, tool, expected) in cases {
        let target = Target { kind: TargetKind::Tool, name: tool };
        let judged = judge(&grants(&[pattern], &[], &[]), upstream, target);
        assert_eq!(judged == Permission::Allowed, expected, "{pattern} {tool}");
    }
}

#[test]
fn a_glob_never_reaches_a_name_that_an_upstream_might_fold() {
    let all = grants(&["t/*"], &[], &[]);
    let long = "a".repeat(129);
    for name in [
        " delete_all",
        "delete_all\n",
        "echo\0delete_all",
        "echo/../x",
        "echo,x",
        "dеlete",
        "ｄelete",
        "e\u{301}",
        "a\u{200d}b",
        "*",
        "a b",
        long.as_str(),
    ] {
        assert_eq!(tool(&all, name), Permission::NoMatch, "{name:?}");
    }
    let literal = grants(&["t/list tickets"], &[], &[]);
    assert_eq!(tool(&literal, "list tickets"), Permission::Allowed);
}

#[test]
fn what_the_caller_sends_is_never_a_pattern() {
    let one = grants(&["t/echo"], &[], &[]);
    for name in ["*", "ech?", "e.*", "{echo,x}", "[e]cho"] {
        assert_eq!(tool(&one, name), Permission::NoMatch, "{name}");
    }
}

#[test]
fn a_deny_reaches_names_that_no_glob_may_allow() {
    let odd = grants(&["t/delete all"], &["t/*delete*"], &[]);
    assert_eq!(tool(&odd, "delete all"), Permission::DeniedByRule);
    let path = grants(&["t/a/b"], &["t/*"], &[]);
    assert_eq!(tool(&path, "a/b"), Permission::DeniedByRule);
}

#[test]
fn one_kind_of_grant_is_not_another() {
    let tools = grants(&["t/*"], &[], &[]);
    for kind in [TargetKind::Prompt, TargetKind::Resource, TargetKind::Template] {
        let judged = judge(&tools, "t", Target { kind, name: "echo" });
        assert_eq!(judged, Permission::NoMatch, "{kind:?}");
    }
}

#[test]
fn a_resource_is_allowed_by_its_uri() {
    let cases = [
        ("t/file:///docs/*", "file:///docs/a.md", true),
        ("t/file:///docs/*", "file:///docs/a/b.md", false),
        ("t/file:///docs/**", "file:///docs/a/b.md", true),
        ("t/file:///docs/**", "file:///docs/../etc/passwd", false),
        ("t/file:///docs/**", "file:///docs/%2e%2e/etc/passwd", false),
        ("t/file:///docs/**", "file:///docs/..%2Fetc", false),
        ("t/file:///docs/**", "FILE:///docs/a", false),
        ("t/file:///docs", "file:///docs/a", false),
        ("t/file:///docs*", "file:///docs-secret", true),
        ("t/file:///docs/*", "file:///docs-secret", false),
        ("t/**", "file:///anything", true),
        ("t/ticket://*", "ticket://TCK-1", true),
        ("t/ticket://list?status=*", "ticket://list?status=open", true),
        ("t/ticket://list?status=*", "ticket://listXstatus=open", false),
        ("t/ticket://{a,b}", "ticket://b", true),
        ("t/file:///a b", "file:///a b", true),
        ("t/file:///docs/#x", "file:///docs/#x", true),
    ];
    for (pattern, uri, expected) in cases {
        let judged = resource(&[pattern], &[], TargetKind::Resource, uri);
        assert_eq!(judged == Permission::Allowed, expected, "{pattern} {uri}");
    }
}

#[test]
fn a_denied_resource_is_denied_in_every_spelling() {
    for uri in [
        "ticket://secret",
        "ticket://SECRET",
        "TICKET://secret",
        "ticket://%73ecret",
        "ticket://secret/",
        "ticket://secret?x=1",
        "ticket://secret#x",
    ] {
        let deny = &["t/ticket://secret"];
        let allow = format!("t/{uri}");
        for allow in [&[allow.as_str()], &["t/**"]] {
            let judged = resource(allow, deny, TargetKind::Resource, uri);
            assert_eq!(judged, Permission::DeniedByRule, "{allow:?} {uri}");
        }
    }
}

#[test]
fn a_deny_that_ends_in_a_slash_holds_in_other_spellings_too() {
    for uri in ["docs://all/", "DOCS://all/", "docs://all/?x=1"] {
        let judged = resource(&["t/**"], &["t/docs://all/"], TargetKind::Resource, uri);
        assert_eq!(judged, Permission::DeniedByRule, "{uri}");
    }
}

#[test]
fn a_template_is_allowed_where_a_wildcard_covers_its_expressions() {
    let cases = [
        ("t/ticket://*", "ticket://{id}", true),
        ("t/ticket://*", "ticket://{+path}/x", false),
        ("t/ticket://**", "ticket://{+path}/x", true),
        ("t/ticket://open", "ticket://{id}", false),
        ("t/ticket://open-*", "ticket://{id}", false),
        ("t/ticket://x*", "ticket://{id}", false),
        ("t/ticket://*", "ticket://{id", false),
        ("t/ticket://*", "ticket://../{id}", false),
        ("t/ticket://a", "ticket://a", true),
    ];
    for (pattern, template, expected) in cases {
        let judged = resource(&[pattern], &[], TargetKind::Template, template);
        assert_eq!(judged == Permission::Allowed, expected, "{pattern} {template}");
    }
}

#[test]
fn to_be_granted_one_kind_of_thing_is_to_be_granted_something() {
    let direct = [
        names(&["t/other"]),
        Patterns { prompts: names(&["t/x"]).tools, ..Patterns::default() },
        uris(&["t/a:b"]),
    ];
    for direct in direct {
        let grants = Grants { roles: Vec::new(), direct };
        assert_eq!(tool(&grants, "echo"), Permission::NoMatch);
    }
}

#[test]
fn a_template_without_expressions_is_a_resource_in_every_spelling() {
    for name in ["docs://a/../secret", "DOCS://a/%2e%2e/secret"] {
        let judged = resource(&["t/**"], &["t/docs://a/secret"], TargetKind::Template, name);
        assert_ne!(judged, Permission::Allowed, "{name}");
    }
    let spelled = resource(&["t/**"], &["t/docs://secret"], TargetKind::Template, "DOCS://secret");
    assert_eq!(spelled, Permission::DeniedByRule);
}

#[test]
fn the_rule_that_decides_is_told() {
    let at = |text: &str, line| {
        let rule = Rule::new(text.to_owned(), "file", line);
        vec![Pattern::of_names(text).unwrap().at(rule)]
    };
    let of = |tools| Patterns { tools, ..Patterns::default() };
    let role = Role { allow: of(at("t/*", 1)), deny: of(at("t/delete", 2)), ..Role::named("r") };
    let grants = Grants { roles: vec![Arc::new(role)], direct: Patterns::default() };
    let told = |name| {
        let target = Target { kind: TargetKind::Tool, name };
        let question = Question { upstream: "t", target, now: 0, call: None, pins: None };
        grants.judge(&question, &mut NoTrace).rule.map(|rule| rule.name().to_owned())
    };
    assert_eq!(told("echo").as_deref(), Some("t/*"));
    assert_eq!(told("delete").as_deref(), Some("t/delete"));
    assert_eq!(grants.role_names(), ["r"]);
}
