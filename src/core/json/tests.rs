use super::*;

fn scan(text: &str) -> Result<Vec<String>, JsonError> {
    let mut scanner = Scanner::new(text, 8);
    let mut seen = Vec::new();
    while let Some(e) = scanner.next_event()? {
        seen.push(format!("{} {:?} {}", e.depth, e.key.as_deref(), &text[e.start..e.end]));
    }
    Ok(seen)
}

#[test]
fn events_tell_depth_key_and_place() {
    let events = scan(" {\"a\" : [1, {\"b\":null}] , \"c\\u0064\":\"x\" }\n").unwrap();
    let expected = [
        "0 None {",
        "1 Some(\"a\") [",
        "2 None 1",
        "2 None {",
        "3 Some(\"b\") null",
        "2 None }",
        "1 None ]",
        "1 Some(\"cd\") \"x\"",
        "0 None }",
    ];
    assert_eq!(events, expected);
}

#[test]
fn values_of_the_grammar_pass() {
    for good in [
        "0",
        "-0",
        "1.5e+10",
        "1E400",
        "\"\"",
        "\"\\u00e9\\ud83d\\ude00\\/\"",
        "[]",
        "{}",
        "[[],{}]",
        "true",
        "{\"a\":{\"a\":1},\"b\":[{\"a\":2},{\"a\":3}]}",
        "\"\u{7f}\u{e9}\"",
    ] {
        assert!(scan(good).is_ok(), "{good}");
    }
}

#[test]
fn what_the_grammar_does_not_know_is_refused() {
    for bad in [
        "",
        " ",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "0x1f",
        "NaN",
        "-Infinity",
        "Infinity",
        "tru",
        "truex",
        "nul",
        "{",
        "[",
        "[1",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1,]",
        "{\"a\":1,}",
        "[,1]",
        "{,}",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "\"a\0b\"",
        "\"\t\"",
        "{}x",
        "{}{}",
        "{}\n{}",
        "[1]\0",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "/*c*/1",
        "1//c",
        "[1}",
        "{\"a\":1]",
        "]",
        "}",
        "\u{1e}{}",
        "\"\\",
    ] {
        assert_eq!(scan(bad), Err(JsonError::Syntax), "{bad:?}");
    }
}

#[test]
fn a_name_may_occur_once_in_an_object_however_it_is_spelled() {
    for bad in [
        r#"{"a":1,"a":2}"#,
        r#"{"name":1,"\u006eame":2}"#,
        r#"{"x":{"a":1,"b":2,"a":3}}"#,
        r#"[{"a":{},"a":[]}]"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(scan(bad), Err(JsonError::DuplicateKey), "{bad}");
    }
}

#[test]
fn a_repeated_name_is_found_among_many() {
    let names: Vec<String> = (0..60_000).map(|i| format!("\"k{i}\":0")).collect();
    let many = format!("{{{}}}", names.join(","));
    let mut scanner = Scanner::new(&many, 8);
    while scanner.next_event().unwrap().is_some() {}
    for again in ["k3", "k15", "k16", "k17", "k59999"] {
        let repeated = format!("{{{},\"{again}\":1}}", names.join(","));
        assert_eq!(scan(&repeated), Err(JsonError::DuplicateKey), "{again}");
    }
}

#[test]
fn surrogates_come_in_pairs() {
    for bad in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\u0041""#,
        r#""\ud800\ud800""#,
        r#"{"\ud800":1}"#,
        r#""\uD83D\n""#,
    ] {
        assert_eq!(scan(bad), Err(JsonError::LoneSurrogate), "{bad}");
    }
}

#[test]
fn depth_is_bounded_without_recursion() {
    assert!(scan(&format!("{}{}", "[".repeat(8), "]".repeat(8))).is_ok());
    for opening in ["[", "{\"a\":"] {
        let deep = opening.repeat(900_000);
        assert_eq!(scan(&deep), Err(JsonError::Depth));
    }
}

#[test]
fn escapes_decode_to_what_they_stand_for() {
    let text = r#""\"\\\/\b\f\n\r\tA\u0041\u00e9\ud83d\ude00z""#;
    let event = Scanner::new(text, 1).next_event().unwrap().unwrap();
    let Token::String(s) = event.token else { panic!("{event:?}") };
    assert_eq!(s.decode(), "\"\\/\u{8}\u{c}\n\r\tAA\u{e9}\u{1f600}z");
}
