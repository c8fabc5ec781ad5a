//! Conditions on arguments, rules that are only tried out, and what always holds of all of them.

use proptest::prelude::*;

use super::*;
use crate::core::argument::{Condition, Literal, Pointer, Test};
use crate::core::trace::{NoTrace, Step};

const LATER: UnixSeconds = 100;

fn tools(texts: &[&str]) -> Patterns {
    let tools = texts.iter().map(|text| Pattern::of_names(text).unwrap()).collect();
    Patterns { tools, ..Patterns::default() }
}

fn rule() -> Rule {
    Rule::new("rule".to_owned(), "file", 7)
}

/// `/v` must be `value` in calls of `pattern`.
fn when(pattern: &str, value: &str) -> When {
    let condition = Condition {
        pointer: Pointer::parse("/v").unwrap(),
        tests: vec![Test::Equals(Literal::Text(value.to_owned()))],
        is_optional: false,
        shadow: None,
        rule: rule(),
    };
    When {
        tools: vec![Pattern::of_names(pattern).unwrap()],
        conditions: vec![condition],
        message: Some(format!("only {value}")),
        shadow: None,
        rule: rule(),
    }
}

fn role(allow: &[&str], when: Vec<When>) -> Role {
    Role { allow: tools(allow), when, ..Role::named("r") }
}

fn grants(roles: Vec<Role>) -> Grants {
    Grants { roles: roles.into_iter().map(Arc::new).collect(), direct: Patterns::default() }
}

fn until(until: UnixSeconds) -> Option<Shadow> {
    Some(Shadow { until })
}

/// A call of `t/tool` with `/v`, at the moment 0.
fn call(grants: &Grants, tool: &str, value: &str, facts: &[When]) -> Judged {
    call_at(grants, tool, value, facts, 0)
}

fn call_at(grants: &Grants, tool: &str, value: &str, facts: &[When], now: i64) -> Judged {
    let arguments = format!(r#"{{"v":"{value}"}}"#);
    let call = Call { arguments: Some(&arguments), user: "u", organization: "o", facts };
    let target = Target { kind: TargetKind::Tool, name: tool };
    let question = Question { upstream: "t", target, now, call: Some(call), pins: None };
    grants.judge(&question, &mut NoTrace)
}

fn sees(grants: &Grants, tool: &str) -> bool {
    let target = Target { kind: TargetKind::Tool, name: tool };
    grants
        .judge(&Question { upstream: "t", target, now: 0, call: None, pins: None }, &mut NoTrace)
        .passes()
}

#[test]
fn a_condition_narrows_what_its_own_role_allows() {
    let narrow = grants(vec![role(&["t/*"], vec![when("t/create", "low")])]);
    assert_eq!(call(&narrow, "create", "low", &[]).permission, Permission::Allowed);
    let refused = call(&narrow, "create", "urgent", &[]);
    assert_eq!((refused.permission, refused.passes()), (Permission::Arguments, false));
    let failure = refused.failure.unwrap();
    assert_eq!((failure.pointer.as_str(), failure.message.as_deref()), ("/v", Some("only low")));
    assert_eq!(call(&narrow, "other", "urgent", &[]).permission, Permission::Allowed);
    assert!(sees(&narrow, "create"), "what may be called in some way is seen");
}

#[test]
fn another_role_may_allow_what_a_condition_refuses() {
    let narrow = || role(&["t/create"], vec![when("t/create", "low")]);
    let wide = || role(&["t/create"], vec![]);
    for roles in [vec![narrow(), wide()], vec![wide(), narrow()]] {
        assert_eq!(call(&grants(roles), "create", "urgent", &[]).permission, Permission::Allowed);
    }
    let two = grants(vec![narrow(), role(&["t/create"], vec![when("t/*", "high")])]);
    for (value, expected) in [
        ("low", Permission::Allowed),
        ("high", Permission::Allowed),
        ("urgent", Permission::Arguments),
    ] {
        assert_eq!(call(&two, "create", value, &[]).permission, expected, "{value}");
    }
    let direct = Grants { direct: tools(&["t/create"]), ..grants(vec![narrow()]) };
    assert_eq!(call(&direct, "create", "urgent", &[]).permission, Permission::Allowed);
}

#[test]
fn all_conditions_of_a_role_must_hold() {
    let both = vec![when("t/create", "low"), when("t/cr*", "low")];
    let same = grants(vec![role(&["t/*"], both)]);
    assert_eq!(call(&same, "create", "low", &[]).permission, Permission::Allowed);
    let both = vec![when("t/create", "low"), when("t/cr*", "high")];
    let never = grants(vec![role(&["t/*"], both)]);
    for value in ["low", "high"] {
        assert_eq!(call(&never, "create", value, &[]).permission, Permission::Arguments);
    }
}

#[test]
fn a_fact_about_a_tool_holds_for_everybody_and_gives_nothing() {
    let facts = [when("t/create", "low")];
    let wide = Grants { direct: tools(&["t/*"]), ..Grants::default() };
    assert_eq!(call(&wide, "create", "low", &facts).permission, Permission::Allowed);
    assert_eq!(call(&wide, "create", "urgent", &facts).permission, Permission::Arguments);
    assert_eq!(call(&wide, "other", "urgent", &facts).permission, Permission::Allowed);
    let none = grants(vec![role(&["t/other"], vec![])]);
    assert_eq!(call(&none, "create", "low", &facts).permission, Permission::NoMatch);
    // The same words as for a tool that is not there: they do not say that it exists.
    assert_eq!(call(&none, "create", "urgent", &facts).permission, Permission::NoMatch);
}

#[test]
fn a_condition_that_is_tried_out_refuses_nothing_until_its_end() {
    let tried = |shadow_when, shadow_condition| {
        let mut when = when("t/create", "low");
        when.shadow = shadow_when;
        when.conditions[0].shadow = shadow_condition;
        grants(vec![role(&["t/create"], vec![when])])
    };
    for grants in [tried(until(LATER), None), tried(None, until(LATER))] {
        let judged = call_at(&grants, "create", "urgent", &[], LATER - 1);
        assert_eq!((judged.permission, judged.passes()), (Permission::Arguments, true));
        assert!(judged.failure.is_some());
        let judged = call_at(&grants, "create", "urgent", &[], LATER);
        assert_eq!((judged.permission, judged.passes()), (Permission::Arguments, false));
        assert_eq!(call(&grants, "create", "low", &[]).permission, Permission::Allowed);
    }
}

#[test]
fn what_is_tried_out_does_not_hide_what_is_enforced() {
    let tried = When { shadow: until(LATER), ..when("t/create", "low") };
    let facts = [when("t/create", "high")];
    let both = grants(vec![role(&["t/create"], vec![tried])]);
    let refused = call(&both, "create", "urgent", &facts);
    assert_eq!(
        (refused.passes(), refused.failure.unwrap().message.unwrap()),
        (false, "only high".into())
    );
    let judged = call(&both, "create", "high", &facts);
    assert_eq!((judged.permission, judged.passes()), (Permission::Arguments, true));
    let denies = Role { deny: tools(&["t/create"]), ..Role::named("d") };
    let tried = Role { shadow: until(LATER), ..role(&[], vec![]) };
    let tried = Role { deny: tools(&["t/*"]), ..tried };
    let refused = call(&grants(vec![tried, denies]), "create", "low", &[]);
    assert_eq!((refused.permission, refused.passes()), (Permission::DeniedByRule, false));
}

#[test]
fn holders_of_a_role_that_is_tried_out_are_refused_nothing_of_its_upstreams() {
    let tried = |now| {
        let role = role(&["t/create"], vec![when("t/create", "low")]);
        let role = Role { deny: tools(&["t/delete"]), shadow: until(LATER), ..role };
        let grants = grants(vec![role]);
        ["create", "delete", "other"].map(|tool| {
            let judged = call_at(&grants, tool, "urgent", &[], now);
            (judged.permission, judged.passes())
        })
    };
    let judged = [Permission::Arguments, Permission::DeniedByRule, Permission::NoMatch];
    assert_eq!(tried(0), judged.map(|permission| (permission, true)));
    assert_eq!(tried(LATER), judged.map(|permission| (permission, false)));
    let role = Role { shadow: until(LATER), ..role(&["u/create"], vec![]) };
    assert!(!call(&grants(vec![role]), "create", "low", &[]).passes(), "another upstream");
}

#[test]
fn the_steps_say_what_was_looked_at() {
    let narrow = grants(vec![role(&["t/*"], vec![when("t/create", "low")])]);
    let arguments = r#"{"v":"urgent"}"#;
    let call = Call { arguments: Some(arguments), user: "u", organization: "o", facts: &[] };
    let target = Target { kind: TargetKind::Tool, name: "create" };
    let mut steps: Vec<Step> = Vec::new();
    let question = Question { upstream: "t", target, now: 0, call: Some(call), pins: None };
    assert!(!narrow.judge(&question, &mut steps).passes());
    assert_eq!(steps[0], Step::Roles(vec!["r".into()]));
    assert!(matches!(steps[1], Step::Denied { is_denied: false, .. }));
    assert_eq!(steps[2], Step::Allowed { pattern: "t/*".into(), rule: None });
    let condition = r#"/v = "low""#.to_owned();
    let got = r#""urgent""#.to_owned();
    let last = Step::Condition { condition, got, holds: false, is_enforced: true, rule: rule() };
    assert_eq!(steps[3..], [last]);
}

/// The steps of a call of `t/create` with `/v`.
fn steps(grants: &Grants, value: &str) -> Vec<Step> {
    let arguments = format!(r#"{{"v":"{value}"}}"#);
    let call = Call { arguments: Some(&arguments), user: "u", organization: "o", facts: &[] };
    let target = Target { kind: TargetKind::Tool, name: "create" };
    let question = Question { upstream: "t", target, now: 0, call: Some(call), pins: None };
    let mut steps: Vec<Step> = Vec::new();
    let _ = grants.judge(&question, &mut steps);
    steps
}

#[test]
fn what_makes_no_difference_is_not_among_the_steps() {
    let narrow = role(&["t/create"], vec![when("t/create", "low")]);
    let free = role(&["t/cr*"], vec![when("t/delete", "low")]);
    let told = steps(&grants(vec![narrow, free]), "urgent");
    assert_eq!(told[2..], [Step::Allowed { pattern: "t/cr*".into(), rule: None }]);
    let denies = Role { deny: tools(&["t/create"]), ..role(&["t/*"], vec![]) };
    let told = steps(&grants(vec![denies]), "low");
    assert!(matches!(told[..], [Step::Roles(_), Step::Denied { is_denied: true, .. }]), "{told:?}");
}

#[test]
fn of_roles_that_all_refuse_the_first_is_told() {
    let narrow = |value| role(&["t/create"], vec![when("t/create", value)]);
    let judged = call(&grants(vec![narrow("low"), narrow("high")]), "create", "urgent", &[]);
    assert_eq!(judged.failure.unwrap().message.as_deref(), Some("only low"));
}

#[test]
fn what_would_be_refused_is_told_where_it_passes() {
    let tried = Role { shadow: until(LATER), rule: Some(rule()), ..role(&["t/create"], vec![]) };
    let passing = call(&grants(vec![tried]), "other", "low", &[]);
    assert_eq!((passing.passes(), passing.permission), (true, Permission::NoMatch));
    assert_eq!(passing.rule, Some(rule()));
    let denies = || Role { deny: tools(&["t/create"]), shadow: until(LATER), ..Role::named("d") };
    let both = || grants(vec![denies(), role(&["t/*"], vec![])]);
    let passing = call(&both(), "create", "low", &[]);
    assert_eq!((passing.passes(), passing.permission), (true, Permission::DeniedByRule));
    let facts = [when("t/create", "high")];
    let refused = call(&both(), "create", "low", &facts);
    assert_eq!((refused.passes(), refused.permission), (false, Permission::Arguments));
}

#[test]
fn the_conditions_that_narrow_are_those_that_nothing_goes_round() {
    let narrowing = |grants: &Grants, kind, name| {
        let target = Target { kind, name };
        let question = Question { upstream: "t", target, now: 0, call: None, pins: None };
        grants.narrowing(&question).len()
    };
    let of = |grants: &Grants| narrowing(grants, TargetKind::Tool, "create");
    let narrow = || role(&["t/create"], vec![when("t/create", "low"), when("t/other", "low")]);
    assert_eq!(of(&grants(vec![narrow()])), 1);
    assert_eq!(of(&grants(vec![narrow(), narrow()])), 2);
    let elsewhere = role(&["u/create", "t/other"], vec![when("t/create", "low")]);
    assert_eq!(of(&grants(vec![elsewhere, narrow()])), 1);
    assert_eq!(of(&grants(vec![narrow(), role(&["t/*"], vec![])])), 0);
    let unlike = Grants { direct: tools(&["u/create", "t/other"]), ..grants(vec![narrow()]) };
    assert_eq!(of(&unlike), 1);
    let direct = Grants { direct: tools(&["t/create"]), ..grants(vec![narrow()]) };
    assert_eq!(of(&direct), 0);
}

fn any_pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["t/*", "t/a", "t/b", "t/c", "*/a", "u/a", "t/{a,b}"])
}

fn any_shadow() -> impl Strategy<Value = Option<Shadow>> {
    prop::option::weighted(0.2, (-1_i64..2).prop_map(|until| Shadow { until }))
}

fn any_when() -> impl Strategy<Value = When> {
    (any_pattern(), prop::sample::select(vec!["x", "y"]), any_shadow())
        .prop_map(|(pattern, value, shadow)| When { shadow, ..when(pattern, value) })
}

prop_compose! {
    fn any_role()(
        allow in prop::collection::vec(any_pattern(), 0..3),
        deny in prop::collection::vec(any_pattern(), 0..2),
        when in prop::collection::vec(any_when(), 0..3),
        shadow in any_shadow(),
    ) -> Role {
        Role { deny: tools(&deny), shadow, ..role(&allow, when) }
    }
}

prop_compose! {
    fn any_grants()(
        roles in prop::collection::vec(any_role(), 0..4),
        direct in prop::collection::vec(any_pattern(), 0..2),
    ) -> Grants {
        Grants { direct: tools(&direct), ..grants(roles) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What traffic is told is what those are told who ask why.
    #[test]
    fn a_trace_changes_nothing(
        grants in any_grants(),
        facts in prop::collection::vec(any_when(), 0..2),
        tool in prop::sample::select(vec!["a", "b", "c", "d"]),
        value in prop::sample::select(vec!["x", "y", "z"]),
    ) {
        let arguments = format!(r#"{{"v":"{value}"}}"#);
        let call = Call { arguments: Some(&arguments), user: "u", organization: "o", facts: &facts };
        let target = Target { kind: TargetKind::Tool, name: tool };
        for call in [None, Some(call)] {
            let question = Question { upstream: "t", target, now: 0, call, pins: None };
            let mut steps: Vec<Step> = Vec::new();
            let traced = grants.judge(&question, &mut steps);
            prop_assert_eq!(&traced, &grants.judge(&question, &mut NoTrace));
            prop_assert!(steps.len() >= 2);
        }
    }

    /// A tool that can be called is listed, and one that is listed is refused for its arguments
    /// alone.
    #[test]
    fn lists_and_calls_agree(
        grants in any_grants(),
        facts in prop::collection::vec(any_when(), 0..2),
        tool in prop::sample::select(vec!["a", "b", "c", "d"]),
    ) {
        let is_seen = sees(&grants, tool);
        for value in ["x", "y", "z"] {
            let judged = call(&grants, tool, value, &facts);
            prop_assert!(is_seen || !judged.passes());
            prop_assert!(!is_seen || judged.passes() || judged.permission == Permission::Arguments);
        }
        if facts.is_empty() && grants.roles.iter().all(|role| role.when.is_empty()) {
            prop_assert_eq!(call(&grants, tool, "z", &facts).passes(), is_seen);
        }
    }

    /// More roles that deny nothing never take anything away.
    #[test]
    fn a_role_more_without_denials_takes_nothing_away(
        grants in any_grants(),
        more in any_role(),
        tool in prop::sample::select(vec!["a", "b", "c", "d"]),
        value in prop::sample::select(vec!["x", "y", "z"]),
    ) {
        let before = call(&grants, tool, value, &[]).passes();
        let Grants { mut roles, direct } = grants;
        roles.push(Arc::new(Role { deny: Patterns::default(), ..more }));
        let after = call(&Grants { roles, direct }, tool, value, &[]).passes();
        prop_assert!(!before || after);
    }
}
