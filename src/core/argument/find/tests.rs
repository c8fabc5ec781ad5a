//! Values in arguments, and names that readers take for one another.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn found<'a>(text: &'a str, pointer: &str) -> Found<'a> {
    find(Some(text), &[&Pointer::parse(pointer).unwrap()], Declared::default())[0]
}

#[test]
fn a_pointer_finds_its_value_and_no_other() {
    let text = r#"{"b":{"a":9,"c":[]},"a":1,"c":{"b":{"a":[1,{"a":true},"x"]}},"":null,
        "a/b":false,"m~n":{}, "d":[[1,2],[3]]}"#;
    for (pointer, expected) in [
        ("/a", Found::Number("1")),
        ("/b/a", Found::Number("9")),
        ("/b", Found::Object),
        ("/b/c", Found::Array { items: 0 }),
        ("/c/b/a", Found::Array { items: 3 }),
        ("/c/b/a/0", Found::Number("1")),
        ("/c/b/a/1/a", Found::Bool(true)),
        ("/c/b/a/3", Found::Absent),
        ("/d", Found::Array { items: 2 }),
        ("/d/1/0", Found::Number("3")),
        ("/d/0/2", Found::Absent),
        ("/", Found::Null),
        ("/a~1b", Found::Bool(false)),
        ("/m~0n", Found::Object),
        ("/x", Found::Absent),
        ("/x/y", Found::Absent),
        ("/b/x", Found::Absent),
        ("/c/a", Found::Absent),
        ("/d/00", Found::Unclear),
    ] {
        assert_eq!(found(text, pointer), expected, "{pointer}");
    }
    assert_eq!(find(None, &[&Pointer::parse("/a").unwrap()], Declared::default()), [Found::Absent]);
}

#[test]
fn what_a_lenient_server_may_find_elsewhere_is_unclear() {
    for (text, pointer) in [
        (r#"{"Priority":"urgent"}"#, "/priority"),
        (r#"{"priority":"low","PRIORITY":"urgent"}"#, "/priority"),
        (r#"{"PRIORITY":"urgent","priority":"low"}"#, "/priority"),
        (r#"{"priority ":"urgent"}"#, "/priority"),
        (r#"{"filter":"{\"org\":\"other\"}"}"#, "/filter/org"),
        (r#"{"filter":null}"#, "/filter/org"),
        (r#"{"filter":[{"org":"other"}]}"#, "/filter/org"),
        (r#"{"filter":{"Org":"other"}}"#, "/filter/org"),
        (r#"{"FILTER":{"org":"other"}}"#, "/filter/org"),
        (r#""{}""#, "/a"),
        (r#"{"user_id":"alice","userId":"bob"}"#, "/user_id"),
        (r#"{"user_id":"alice","u\u017fer_id":"bob"}"#, "/user_id"),
        (r#"{"user_id":"alice","user_id\u0000":"bob"}"#, "/user_id"),
        (r#"{"\ufeffuser_id":"bob"}"#, "/user_id"),
        (r#"{"user.id":"bob"}"#, "/user_id"),
        (r#"{"user_id[]":"bob"}"#, "/user_id"),
        (r#"{"größe":9,"Größe":1}"#, "/Größe"),
        (r#"{"isAdmin":true}"#, "/is_admin"),
        (r#"{"i\u017f_admin":true}"#, "/is_admin"),
        (r#"{"filter":{"ORG_":"other"}}"#, "/filter/org"),
        (r#"{"_filter":{"org":"other"}}"#, "/filter/org"),
        (r#"{"list":[{"Id":"other"}]}"#, "/list/0/id"),
        (r#"{"filter.org":"other"}"#, "/filter/org"),
        (r#"{"filter[org]":"other"}"#, "/filter/org"),
        (r#"{"a":{"b__c":1}}"#, "/a/b/c"),
        (r#"{"list[0].id":1}"#, "/list/0/id"),
        (r#"{"__proto__":{"is_admin":true}}"#, "/is_admin"),
        (r#"{"a":[{"b":{"__proto__":{}}}]}"#, "/is_admin"),
        (r#"{"constructor":{"prototype":{"is_admin":true}}}"#, "/is_admin"),
        (r#"{"is_admin":false,"x":{"prototype":1}}"#, "/is_admin"),
        ("[1]", "/0"),
        ("null", "/a"),
        ("{", "/a"),
    ] {
        assert_eq!(found(text, pointer), Found::Unclear, "{text} {pointer}");
    }
}

#[test]
fn a_name_that_is_escaped_is_the_name() {
    assert_eq!(found(r#"{"\u0061":1}"#, "/a"), Found::Number("1"));
}

#[test]
fn pointers_are_found_in_one_pass() {
    let pointers = ["/a", "/b/c", "/d"].map(|text| Pointer::parse(text).unwrap());
    let pointers: Vec<&Pointer> = pointers.iter().collect();
    let found = find(Some(r#"{"d":[1],"b":{"c":2},"a":3}"#), &pointers, Declared::default());
    assert_eq!(found, [Found::Number("3"), Found::Number("2"), Found::Array { items: 1 }]);
}

#[test]
fn a_name_that_the_approved_schema_declares_is_its_own() {
    let schema = json!({"properties": {
        "user_id": {"type": "string"},
        "userId": {"type": "string"},
        "filter": {"properties": {"org": {}, "Org": {}}},
        "results": {"items": {"properties": {"constructor": {"type": "string"}}}},
    }});
    let at = |text, pointer| {
        find(Some(text), &[&Pointer::parse(pointer).unwrap()], Declared::new(&schema))[0]
    };
    assert_eq!(at(r#"{"user_id":1,"userId":2}"#, "/user_id"), Found::Number("1"));
    assert_eq!(at(r#"{"user_id":1,"user-id":2}"#, "/user_id"), Found::Unclear);
    assert_eq!(at(r#"{"filter":{"Org":2,"org":1}}"#, "/filter/org"), Found::Number("1"));
    assert_eq!(at(r#"{"Filter":{"org":1}}"#, "/filter/org"), Found::Unclear);
    assert_eq!(at(r#"{"Org":1}"#, "/org"), Found::Unclear, "declared in another place");
    assert_eq!(at(r#"{"results":[{"constructor":"x"}]}"#, "/user_id"), Found::Absent);
    assert_eq!(at(r#"{"prototype":1}"#, "/user_id"), Found::Unclear);
    assert_eq!(at(r#"{"__proto__":1}"#, "/user_id"), Found::Unclear);
}

/// How readers respell a name, one change after the other.
fn respelled(name: &str, changes: &[(usize, usize)]) -> String {
    const LETTERS: [(&str, &str); 6] = [
        ("s", "\u{17f}"),
        ("k", "\u{212a}"),
        ("i", "\u{131}"),
        ("i", "\u{130}"),
        ("a", "\u{ff41}"),
        ("ss", "ß"),
    ];
    const MARKS: [&str; 14] = [
        "_", "-", ".", " ", "\0", "\u{200b}", "\u{feff}", "\u{ad}", "[]", "\t", "\u{ff3f}",
        "\u{2028}", "\u{fe0f}", "/",
    ];
    changes.iter().fold(name.to_owned(), |name, (kind, at)| {
        let place = name.char_indices().map(|(at, _)| at).nth(at % name.chars().count().max(1));
        let place = place.unwrap_or_default();
        let (before, behind) = name.split_at(place);
        let (from, to) = LETTERS[at % LETTERS.len()];
        match kind % 6 {
            0 => format!("{before}{}{behind}", MARKS[at % MARKS.len()]),
            1 => name.to_uppercase(),
            2 => format!("{before}{}", behind.to_uppercase()),
            3 => name.replacen(from, to, 1),
            4 => name.replace('_', ""),
            _ => name
                .split('_')
                .map(|part| {
                    let mut chars = part.chars();
                    chars
                        .next()
                        .into_iter()
                        .flat_map(char::to_uppercase)
                        .chain(chars)
                        .collect::<String>()
                })
                .collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The long run: PROPTEST_CASES=1000000 cargo test --lib argument::find
    #[test]
    fn no_respelled_name_passes_for_absent_or_beside_the_true_one(
        name in prop::sample::select(&["user_id", "is_admin", "tasks", "max_rows", "q"][..]),
        changes in prop::collection::vec((0_usize..6, 0_usize..40), 1..5),
        depth in 0_usize..3,
    ) {
        // Changes that undo each other leave the name itself.
        let other = match respelled(name, &changes) {
            same if same == name => same + "\0",
            other => other,
        };
        let pointer = Pointer::parse(&format!("{}/{name}", "/a".repeat(depth))).unwrap();
        let wrapped = |inner: String| (0..depth).fold(inner, |inner, _| format!(r#"{{"a":{inner}}}"#));
        let key = serde_json::Value::from(other.as_str());
        for object in [
            format!(r#"{{{key}:"bob"}}"#),
            format!(r#"{{"{name}":"alice",{key}:"bob"}}"#),
            format!(r#"{{{key}:"bob","{name}":"alice"}}"#),
        ] {
            let text = wrapped(object);
            let found = find(Some(&text), &[&pointer], Declared::default());
            prop_assert_eq!(found[0], Found::Unclear, "{}", &text);
        }
    }

    #[test]
    fn an_unrelated_name_changes_nothing(other in "[b-hj-pr-z]{1,12}") {
        let text = format!(r#"{{"a":"alice","{other}":1}}"#);
        let found = find(Some(&text), &[&Pointer::parse("/a").unwrap()], Declared::default());
        prop_assert!(matches!(found[0], Found::Text(_)), "{}", &text);
    }
}
