//! Each test of the vocabulary, on values that it holds for and values that it does not.

use super::*;
use crate::core::argument::find::find;
use crate::core::argument::{Declared, Pointer};

/// True where all `tests` hold for `/v` of the arguments, which is `{"type":"string"}` in the
/// approved schema where it `is_plain_text`.
fn all_hold(tests: &[Test], value: &str, is_plain_text: bool) -> bool {
    let text = format!(r#"{{"v":{value}}}"#);
    let found = find(Some(&text), &[&Pointer::parse("/v").unwrap()], Declared::default())[0];
    let call = Call { arguments: None, user: "alice", organization: "acme", facts: &[] };
    let about = About { call: &call, scope: Scope::of(tests), is_plain_text };
    tests.iter().all(|test| test.holds(found, &about))
}

fn holds(test: &Test, value: &str) -> bool {
    all_hold(std::slice::from_ref(test), value, false)
}

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

fn number(text: &str) -> Literal {
    Literal::Number(Decimal::parse(text).unwrap(), text.to_owned())
}

fn check(test: &Test, good: &[&str], bad: &[&str]) {
    for value in good {
        assert!(holds(test, value), "{test}: {value}");
    }
    for value in bad {
        assert!(!holds(test, value), "{test}: {value}");
    }
}

#[test]
fn a_value_of_another_type_never_holds() {
    let everything = ["null", "{}", "[]", "[\"low\"]", "{\"low\":1}"];
    for test in [
        Test::Equals(text("low")),
        Test::In(vec![text("low")]),
        Test::NotIn(vec![text("low")]),
        Test::glob("**").unwrap(),
        Test::regex(".*").unwrap(),
        Test::Min(Decimal::parse("-1").unwrap(), "-1".into()),
        Test::Max(Decimal::parse("1").unwrap(), "1".into()),
        Test::MaxLength(1 << 20),
        Test::EqualsUser,
        Test::EqualsOrganization,
    ] {
        check(&test, &[], &everything);
    }
    check(&Test::MaxItems(9), &["[]", "[1]"], &["null", "{}", "\"\"", "1", "true"]);
    check(&Test::Absent, &[], &["null", "{}", "\"\"", "1", "true", "[]"]);
}

#[test]
fn equality_is_of_worth_and_type() {
    check(
        &Test::Equals(text("low")),
        &[r#""low""#, r#""\u006cow""#],
        &[r#""Low""#, r#""low ""#, r#""""#, "1"],
    );
    check(&Test::Equals(number("1")), &["1", "1.0", "1e0"], &["\"1\"", "2", "true", "1.1"]);
    check(&Test::Equals(Literal::Bool(true)), &["true"], &["false", "1", "\"true\""]);
    let several = Test::In(vec![text("low"), number("7"), Literal::Bool(false)]);
    check(&several, &[r#""low""#, "7", "false"], &["true", "8", r#""7""#]);
}

fn most(text: &str) -> Test {
    Test::Max(Decimal::parse(text).unwrap(), text.to_owned())
}

fn least(text: &str) -> Test {
    Test::Min(Decimal::parse(text).unwrap(), text.to_owned())
}

#[test]
fn a_number_holds_in_every_reading_or_not() {
    check(&most("100"), &["100", "-1e9", "99.9"], &["100.0000000000000000000001", "1e400"]);
    check(&least("0"), &["0", "-0", "1e-400"], &["-1", "-1e-400", "1e400"]);
    // As a double, the one more is rounded away.
    check(&Test::Equals(number("9007199254740992")), &["9007199254740992"], &["9007199254740993"]);
    check(&Test::NotIn(vec![number("0")]), &["1"], &["0", "0.0", "1e-400", "\"1\""]);
}

#[test]
fn a_number_that_a_narrower_reader_wraps_or_cuts_does_not_hold() {
    check(
        &least("10"),
        &["10", "10.5", "2147483647", "1e1"],
        &["1e300", "9223372036854775808", "18446744073709551617", "2147483648", "1e20", "9.9"],
    );
    check(
        &most("10"),
        &["10", "1e1", "-2147483648", "-5", "9.5"],
        &["-2147483649", "-1e300", "-9223372036854775809", "-1e20", "10.1"],
    );
    check(
        &Test::NotIn(vec![number("7")]),
        &["8", "6", "6.0", "8.5", "5000000000"],
        &["7", "7.5", "6.5", "7.0", "4294967303", "-4294967289", "1e300", "9007199254740999"],
    );
    check(&Test::NotIn(vec![number("2147483647")]), &["1"], &["3000000000"]);
    check(&Test::NotIn(vec![number("0")]), &["-1", "1.5"], &["0.4", "-0.4", "4294967296", "-0"]);
}

#[test]
fn the_numbers_of_a_rule_say_how_wide_its_server_reads() {
    // Milliseconds do not fit into 32 bits, so the server's numbers are wider.
    let range = [least("0"), most("9007199254740991")];
    for value in ["1767225600000", "4294967303", "9007199254740991"] {
        assert!(all_hold(&range, value, false), "{value}");
    }
    for value in ["9007199254740992", "1e300", "-1"] {
        assert!(!all_hold(&range, value, false), "{value}");
    }
    // A rule with a fraction is about fractions.
    check(&least("0.5"), &["0.7", "1.5", "3"], &["0.4", "1e300"]);
    check(&most("0.5"), &["0.3", "-0.3"], &["0.6"]);
    check(&most("1e300"), &["1e299", "5"], &["1e301"]);
    check(&most("9223372036854775807"), &["9007199254740993"], &["9223372036854775808", "-1e300"]);
}

#[test]
fn a_text_that_a_server_parses_does_not_hold() {
    let strange = [
        r#""null""#,
        r#"" null ""#,
        r#""[\"admin\"]""#,
        r#""{\"a\":1}""#,
        r#""\"admin\"""#,
        r#""data:,x""#,
        r#""DATA:text/plain;base64,eA==""#,
        r#""\ufeffnull""#,
    ];
    let words = [text("admin"), text("x")];
    let list = Test::NotIn(words.to_vec());
    for test in [Test::regex("(?s).*").unwrap(), Test::MaxLength(100), list] {
        check(&test, &[r#""[Bug] printer""#, r#""nullable""#, r#""""#], &strange);
    }
    check(&Test::glob("**").unwrap(), &[r#""[Bug] printer""#], &strange);
    // What is exact needs nothing.
    check(&Test::Equals(text("null")), &[r#""null""#], &["null"]);
    // Where the approved schema says that it is a text, it is one.
    for value in [r#""null""#, r#""[\"admin\"]""#, r#""data:,x""#] {
        assert!(all_hold(&[Test::MaxLength(100)], value, true), "{value}");
        assert!(all_hold(&[Test::regex(".*").unwrap()], value, true), "{value}");
        assert!(all_hold(&[Test::NotIn(vec![text("x")])], value, true), "{value}");
    }
    assert!(!all_hold(&[Test::NotIn(vec![text("x")])], r#""X""#, true));
}

#[test]
fn a_word_that_a_server_takes_for_an_unwanted_one_does_not_hold() {
    check(
        &Test::NotIn(vec![text("urgent"), text("admin")]),
        &[r#""low""#, r#""urgently""#, r#""in progress""#],
        &[
            r#""2""#,
            r#""low,urgent""#,
            r#""+2""#,
            r#"" -2""#,
            r#""urgent\u0000""#,
            r#""ur\u00adgent""#,
            r#""\uff55rgent""#,
            r#""ADM\u0130N""#,
            r#""adm\u0131n""#,
            r#""u\u200brgent""#,
            r#""UR GENT""#,
            r#""low|urgent""#,
            r#""\uff12""#,
            r#""low\uff0curgent""#,
            r#""urgent\n""#,
            r#""\u202eurgent""#,
        ],
    );
    // The number and the comma of a text that is nothing else mean nothing.
    for value in [r#""2""#, r#""one, two""#] {
        assert!(all_hold(&[Test::NotIn(vec![text("urgent")])], value, true), "{value}");
    }
}

#[test]
fn a_glob_holds_for_no_text_that_is_another_path_to_somebody() {
    check(
        &Test::glob("/pub/**").unwrap(),
        &[r#""/pub/a b/c.md""#],
        &[
            r#""/pub/%2e%2e/etc""#,
            r#""/pub/\uff0e\uff0e/etc""#,
            r#""/pub/.\t./etc""#,
            r#""/pub/.. /etc""#,
            r#""/pub/..;/etc""#,
            r#""/pub//etc""#,
            r#""/pub/./etc""#,
        ],
    );
    check(
        &Test::glob("*.md").unwrap(),
        &[r#""a.md""#],
        &[r#""secret.txt\u0000.md""#, r#""\\etc\\secret.md""#, r#""C:secret.md""#, r#""~.md""#],
    );
}

#[test]
fn a_glob_of_a_url_is_compared_part_by_part() {
    check(
        &Test::glob("https://*.example.com/**").unwrap(),
        &[r#""https://a.example.com/x""#],
        &[
            r#""https://evil.com\\.example.com/x""#,
            r#""https://evil.com?.example.com/x""#,
            r#""https://evil.com#.example.com/x""#,
            r#""https://u@evil.com#@x.example.com/x""#,
            r#""https://a.example.com/x?y""#,
            r#""https://u:p@a.example.com/x""#,
            r#""https://evil.com/.example.com/x""#,
            r#""HTTPS://a.example.com/x""#,
        ],
    );
    check(&Test::glob("https://a.b/c").unwrap(), &[r#""https://a.b/c""#], &[r#""https://a.b/C""#]);
}

#[test]
fn classes_of_a_regex_are_those_of_ascii() {
    check(&Test::regex(r"\d+").unwrap(), &[r#""12""#], &[r#""\u0661\u0662""#]);
    check(&Test::regex(r"[\w-]+").unwrap(), &[r#""a_1-b""#], &[r#""\u00e9""#]);
    check(&Test::regex(r"\S+\s\S+").unwrap(), &[r#""a b""#, r#""\u00e9 b""#], &[r#""a\u00a0b""#]);
    check(&Test::regex(r"\D+\W").unwrap(), &[r#""a\u0661!""#], &[r#""1!""#]);
    check(
        &Test::regex(r"(?i)kit|s").unwrap(),
        &[r#""KIT""#, r#""S""#],
        &[r#""\u212ait""#, r#""\u017f""#],
    );
    check(&Test::regex(r"\bkit\b.*").unwrap(), &[r#""kit\u00e9""#], &[r#""kits""#]);
    check(&Test::regex(r"\\d").unwrap(), &[r#""\\d""#], &[r#""1""#]);
    check(&Test::regex(r"\p{Nd}+\x{212a}?").unwrap(), &[r#""\u0661""#], &[]);
    check(&Test::regex("\u{212a}").unwrap(), &[r#""\u212a""#], &[]);
}

#[test]
fn what_must_not_be_is_found_in_other_spellings_too() {
    check(
        &Test::NotIn(vec![text("urgent"), text("Straße")]),
        &[r#""low""#, r#""urgently""#],
        &[r#""urgent""#, r#""URGENT""#, r#"" Urgent\n""#, r#""STRASSE""#, "1", "null"],
    );
}

#[test]
fn a_glob_and_a_regex_match_the_whole_of_a_text() {
    check(
        &Test::glob("/docs/*.md").unwrap(),
        &[r#""/docs/a.md""#],
        &[r#""/docs/a/b.md""#, r#""/docs/a.md.exe""#, r#""x/docs/a.md""#, r#""/docs/../a.md""#],
    );
    check(
        &Test::glob("/docs/**").unwrap(),
        &[r#""/docs/a/b""#],
        &[r#""/docs/../etc""#, r#""/docs/..\\etc""#, r#""/doc""#],
    );
    check(
        &Test::regex("[A-Z]+-[0-9]+").unwrap(),
        &[r#""TCK-1""#],
        &[r#""xTCK-1""#, r#""TCK-1x""#, r#""TCK-1\n""#, r#""""#],
    );
    check(&Test::regex("a|b").unwrap(), &[r#""a""#], &[r#""ac""#, r#""cb""#]);
    let long = format!("\"{}\"", "a".repeat(MAX_MATCHED + 1));
    check(&Test::regex("a*").unwrap(), &[&long.replacen('a', "", 1)], &[&long]);
    check(&Test::glob("*").unwrap(), &[&long.replacen('a', "", 1)], &[&long]);
}

#[test]
fn a_regex_is_bounded_and_cannot_leave_its_group() {
    for bad in ["a{1000}{1000}", "a)|(?:b", "[", r"(a)\1", &"(".repeat(200)] {
        assert!(Test::regex(bad).is_err(), "{bad}");
    }
    assert!(Test::glob("[").is_err());
}

#[test]
fn lengths_are_counted_in_characters_and_items() {
    check(&Test::MaxLength(2), &[r#""""#, r#""éé""#, r#""\u00e9a""#], &[r#""abc""#, r#""a😀""#]);
    check(&Test::MaxItems(2), &["[1,[2,3,4]]"], &["[1,2,3]"]);
}

#[test]
fn a_caller_is_compared_exactly() {
    check(&Test::EqualsUser, &[r#""alice""#], &[r#""Alice""#, r#""acme""#, r#""""#]);
    check(&Test::EqualsOrganization, &[r#""acme""#], &[r#""alice""#, r#""globex""#]);
}
