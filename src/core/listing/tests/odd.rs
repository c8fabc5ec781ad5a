//! An item that cannot be read is left out, and nothing else changes.

use serde_json::Value;

use super::*;

/// Reads a list of tools of which all that can be read are wanted.
fn read_bytes(bytes: &[u8]) -> Result<(String, Tally), Unlistable> {
    let how = Reading {
        asked: Asked::List,
        max_depth: 16,
        max_ttl: 60_000,
        way_back: WayBack::boundless(),
    };
    let (text, listing) = filter_bytes(bytes, how, |_, _| true)?;
    let tally = listing.tally.clone();
    Ok((listing.edits.apply(&text), tally))
}

const BEFORE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":"\u00e9"},"#;
const BEHIND: &[u8] = br#",{"name":"c","x":[1.50]}],"nextCursor":"n"}}"#;

/// Items that no two readers need agree on, each with what is said of it.
fn odd_items() -> Vec<(Vec<u8>, &'static str)> {
    let deep = |open: &str, close: &str| {
        format!(r#"{{"name":"b","x":{}{}}}"#, open.repeat(40), close.repeat(40)).into_bytes()
    };
    let wide = format!(r#"{{"name":"b","{}":1}}"#, "k".repeat(2_000)).into_bytes();
    let text = |text: &str| text.as_bytes().to_vec();
    let bytes = |bytes: &[u8]| bytes.to_vec();
    vec![
        (text(r#"{"name":"b","x":"\ud83d"}"#), "an unpaired surrogate in a string"),
        (text(r#"{"name":"b","x":"\ude00\ud83d"}"#), "an unpaired surrogate in a string"),
        (
            text(r#"{"name":"b","x":"\ud83d\"},{\"name\":\"x"}"#),
            "an unpaired surrogate in a string",
        ),
        (text(r#"{"name":"b","\udead":[{"}":"]"}]}"#), "an unpaired surrogate in a string"),
        (text(r#"{"name":"\ud83d"}"#), "an unpaired surrogate in a string"),
        (
            text(r#"{"name":"b","x":{"y":[{"k":1,"\u006b":2}]}}"#),
            "a member name occurs twice in one object",
        ),
        (text(r#"{"name":"b","name":"a"}"#), "a member name occurs twice in one object"),
        (text("{\"name\":\"b\",\"x\":\"\t\"}"), "a raw control character in a string"),
        (text("{\"name\":\"b\",\"x\":\"\n\0\"}"), "a raw control character in a string"),
        (text(r#"{"name":"b","x":"\x41"}"#), "an escape that is none"),
        (text(r#"{"name":"b","x":"\u12g4"}"#), "an escape that is none"),
        (text("{\"name\":\"b\",\"x\":\"\\\n\"}"), "an escape that is none"),
        (text("{\"name\":\"b\",\"x\":\"\\é\"}"), "an escape that is none"),
        (bytes(b"{\"name\":\"b\",\"x\":\"caf\xe9 \"}"), NOT_UTF8),
        (bytes(b"{\"name\":\"b\",\"x\":\"caf\xe9\"}"), NOT_UTF8),
        (bytes(b"{\"name\":\"b\xff\xfe\"}"), NOT_UTF8),
        (bytes(b"{\"name\":\"b\",\"x\":\"\xed\xa0\xbd\"}"), NOT_UTF8),
        (bytes(b"\"\xe9\""), NOT_UTF8),
        (deep("[", "]"), "nested too deeply"),
        (deep(r#"[{"a":["]}\""],"b":["#, "]}]"), "nested too deeply"),
        (text(r#"{"name":"b","x":NaN}"#), "a value that is none"),
        (text(r#"{"name":"b","x":[-Infinity,None,01,+1,.5,truex]}"#), "a value that is none"),
        (text("NaN"), "a value that is none"),
        (text(r#"{"name":"b","x":[1,]}"#), "a comma before a closing bracket"),
        (text(r#"{"name":"b",}"#), "a comma before a closing bracket"),
        (text(r#"{"title":"b"}"#), "without a name"),
        (text("{}"), "without a name"),
        (text(r#"{"name":7}"#), "its name is not a string"),
        (text(r#"{"name":{"name":"b"}}"#), "its name is not a string"),
        (text(r#"{"name":null}"#), "its name is not a string"),
        (text(r#"{"name":"a","Name":"b"}"#), "a member that may be taken for its name"),
        (
            text("{\"name\":\"a\",\"na\u{200b}me\":\"b\"}"),
            "a member that may be taken for its name",
        ),
        (wide, "a member that may be taken for its name"),
        (text(r#"["b"]"#), "not an object"),
        (text(r#"[[{"name":"b"}]]"#), "not an object"),
        (text(r#""b""#), "not an object"),
        (text("null"), "not an object"),
        (text("7"), "not an object"),
    ]
}

#[test]
fn an_odd_item_is_left_out_and_told_with_its_place() {
    let expected = [BEFORE, &BEHIND[1..]].concat();
    for (item, what) in odd_items() {
        let shown = String::from_utf8_lossy(&item).into_owned();
        let (passed, tally) = read_bytes(&[BEFORE, &item, BEHIND].concat()).expect(&shown);
        assert_eq!(passed.as_bytes(), expected, "{shown}");
        assert_eq!((tally.items, tally.kept, tally.left_out.count), (3, 2, 1), "{shown}");
        let [OddItem { index, odd }] = tally.left_out.first.as_slice() else { panic!("{shown}") };
        assert_eq!((*index, odd.what), (1, what), "{shown}");
        let place = BEFORE.len()..BEFORE.len() + item.len();
        assert!(place.contains(&odd.at), "{shown}: {odd:?} is not in {place:?}");
    }
}

#[test]
fn every_kind_of_list_leaves_its_odd_items_out() {
    for (list, kind, naming) in LISTS {
        let text = format!(
            r#"{{"result":{{"{list}":[{{"{naming}":"\ud83d"}},{{"{naming}":"alpha"}},{{"x":1}}]}}}}"#
        );
        let cut = format!(r#"{{"result":{{"{list}":[{{"{naming}":"alpha"}}]}}}}"#);
        assert_eq!(read(&text), Ok((Shape::List(kind), cut)));
    }
}

#[test]
fn where_an_item_may_end_elsewhere_the_whole_list_is_refused() {
    let rows: [&[u8]; 17] = [
        br#"{"name":"b","x":"\u12"},{"name":"d"}"#,
        br#"{"name":"b","x":"\u\"12"}"#,
        b"{\"name\":\"b\",\"x\":\"\x83\\\"},{\"name\":\"d\"}",
        b"{\"name\":\"b\",\"x\":\"\xe9\\n\"}",
        br#"{"name":"b","x":"}"#,
        br#"{"name":"b","x":[}"#,
        br#"{"name":"b"]"#,
        br#"{"name":"b"}}"#,
        br#"{'name':'b'}"#,
        br#"{name:"b"}"#,
        br#"{"name":"b"/*}*/}"#,
        br#"{"name":"b" "x":1}"#,
        br#"{"name":"b","x":[1 2]}"#,
        br#"{"name":"b","x":}"#,
        b"{\"name\":\"b\xe9\":1,\xe9}",
        b"",
        b"\xe9",
    ];
    for item in rows {
        let shown = String::from_utf8_lossy(item).into_owned();
        assert!(read_bytes(&[BEFORE, item, BEHIND].concat()).is_err(), "{shown}");
    }
    for close in ["]".repeat(39) + "}", "}".to_owned() + &"]".repeat(39)] {
        let deep = format!(r#"{{"name":"b","x":{}{close}}}"#, "[".repeat(40));
        assert!(read_bytes(&[BEFORE, deep.as_bytes(), BEHIND].concat()).is_err(), "{deep}");
    }
}

#[test]
fn around_the_items_nothing_is_tolerated() {
    for text in [
        r#"{"id":"\ud83d","result":{"tools":[{"name":"a"}]}}"#,
        r#"{"result":{"tools":[{"name":"a"},]}}"#,
        r#"{"result":{"tools":[,]}}"#,
        r#"{"result":{"tools":[{"name":"\ud83d"}],"nextCursor":"\ud83d"}}"#,
        r#"{"result":{"tools":[{"name":"\ud83d"}],"_meta":{"a":1,"a":2}}}"#,
        r#"{"result":{"tools":[{"name":"\ud83d"}],"tools":[]}}"#,
        r#"{"result":{"tools":[{"name":"\ud83d"}]},"x":NaN}"#,
        r#"{"result":{"content":[{"name":"\ud83d"}]}}"#,
    ] {
        assert!(read_bytes(text.as_bytes()).is_err(), "{text}");
    }
    let latin = b"{\"result\":{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"\xe9 \"}}";
    assert!(matches!(read_bytes(latin), Err(Unlistable::Encoding(_))));
    let utf16: Vec<u8> = String::from_utf8_lossy(&[BEFORE, &BEHIND[1..]].concat())
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(read_bytes(&utf16).is_err());
}

#[test]
fn what_nests_for_megabytes_costs_a_byte_for_each_level() {
    let item = format!(r#"{{"name":"b","x":{}{}}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
    let (_, tally) = read_bytes(&[BEFORE, item.as_bytes(), BEHIND].concat()).unwrap();
    assert_eq!((tally.kept, tally.left_out.count), (2, 1));
}

#[test]
fn of_many_odd_items_the_first_are_told_and_all_are_counted() {
    let items = vec!["{}"; 1_000].join(",");
    let (passed, tally) = read_bytes(&[BEFORE, items.as_bytes(), BEHIND].concat()).unwrap();
    assert_eq!((tally.left_out.count, tally.left_out.first.len()), (1_000, 8));
    assert_eq!(passed.as_bytes(), [BEFORE, &BEHIND[1..]].concat());
}

/// The names that a reader finds who takes of members with one name the last.
fn names(text: &str) -> Vec<String> {
    let read: Value = serde_json::from_str(text).unwrap();
    let items = read["result"]["tools"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// xorshift: the same bytes in every run.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 11).unwrap_or_default()
}

#[test]
fn whatever_bytes_are_changed_no_name_passes_that_is_not_granted() {
    const PIECES: [&[u8]; 20] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\ud83d",
        b"\\u00",
        b"\t",
        b"\xe9",
        b"\x83\\",
        b"\"name\":\"alpha\"",
        b"\"name\":\"hidden\"",
        b"},{",
        b"\"}",
        b"{\"",
        b"NaN",
        b" ",
    ];
    let item = |name: &str| {
        format!(r#"{{"name":"{name}","description":"{{\"name\":\"hidden\"}}","s":{{"a":["}}"]}}}}"#)
    };
    let items = ["alpha", "hidden", "alpha", "other"].map(item).join(",");
    let good = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{items}]}}}}"#);
    let how = Reading {
        asked: Asked::List,
        max_depth: 8,
        max_ttl: 60_000,
        way_back: WayBack::boundless(),
    };
    let (mut state, mut passed, mut cut) = (0x9e37_79b9_7f4a_7c15, 0, 0);
    for _ in 0..30_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=next(&mut state) % 3 {
            let piece = PIECES[next(&mut state) % PIECES.len()];
            let at = next(&mut state) % bytes.len();
            let end = (at + next(&mut state) % 3).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
        let Ok((text, listing)) = filter_bytes(&bytes, how, |target, _| target.name == "alpha")
        else {
            continue;
        };
        if !matches!(listing.shape, Shape::List(_)) {
            continue;
        }
        passed += 1;
        cut += usize::from(listing.tally.left_out.count > 0);
        let kept = listing.tally.kept;
        let out = listing.edits.apply(&text);
        let names = names(&out);
        assert!(names.iter().all(|name| name == "alpha"), "{out}");
        assert_eq!(names.len(), kept, "{out}");
        assert!(Scanner::new(&out, 8).next_event().is_ok());
    }
    assert!(passed > 5_000 && cut > 1_000, "{passed} of 30,000 passed, {cut} of them cut");
}
