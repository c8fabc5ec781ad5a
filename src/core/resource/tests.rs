//! Grants and denies of URIs, by the readings of real servers.

use super::plain::is_plain;
use super::*;

fn pattern(text: &str) -> UriPattern {
    UriPattern::parse(text).unwrap()
}

pub(super) fn allows(text: &str, uri: &str) -> bool {
    pattern(text).allows(&Resource::new(uri))
}

pub(super) fn denies(text: &str, uri: &str) -> bool {
    pattern(text).denies(&Resource::new(uri))
}

#[test]
fn a_uri_that_every_server_leaves_as_it_is_is_plain() {
    for uri in [
        "file:///srv/docs/a.md",
        "ticket://TCK-1",
        "ticket://list?status=in%20progress&empty=",
        "docs://all/",
        "docs://h:8080/x;v=1",
        "docs:///x",
        "urn:isbn:0451450523",
        "note:a/b",
        "note:/a/b",
        "http://[::1]:8080/x",
        "http://127.0.0.1/x",
        "https://a.example.com/",
        "x://h/%C3%A9",
        "x://h/a..b/.hidden/c.",
        "x://h/a#part-1",
    ] {
        assert!(is_plain(uri), "{uri}");
    }
}

#[rustfmt::skip]
const NOT_PLAIN: &[&str] = &[
    "", "docs", "1a://b", "://b", "FILE:///a", "file:///a/../b", "file:///a/./b", "file:///a/..",
    "file:///a//b", "file:////a", "file://../a", "note:../a", "file:///a/%2e%2e/b",
    "file:///a/%2E%2E/b", "file:///a%2Fb", "file:///a%2fb", "file:///a%5Cb", "file:///a\\b",
    "file:///a%252Fb", "file:///%41", "file:///a%00", "file:///a%0A", "file:///a%C2%85",
    "file:///a%", "file:///a%2", "file:///a%+2", "file:///a%é", "file:///a b", "file:///a\n",
    "file:///é", "file:///{a}", " docs://a", "docs://a\t",
    // Users, ports, hosts.
    "docs://@a/x", "docs://:@a/x", "docs://u@a/x", "docs://u:p@a/x", "docs://a:/x",
    "docs://a:080/x", "docs://a:0/x", "docs://a:99999/x", "docs://a:b/x", "http://a:80/x",
    "https://a:443/x", "ws://a:80/x", "ftp://a:21/x", "docs://a./x", "docs://.a/x",
    "docs://a..b/x", "docs://a%2Eb/x", "docs://a,b/x", "docs://a!/x", "docs://xn--a/x",
    "docs://a.XN--b/x", "http://A/x", "http://127.1/x", "http://0x7f.1/x", "http://2130706433/x",
    "http://[0:0:0:0:0:0:0:1]/x", "http://[::FFFF:1.2.3.4]/x", "http://a", "http:a/x",
    "http:/a/x", "http:///a/x", "file:/a", "file:a", "file://localhost/a", "file://a/b",
    "docs://..", "docs://.", "docs://[::1]/a",
    // Segments that are dots to those who trim, cut or decode.
    "docs://a/...", "docs://a/..;", "docs://a/..;v=1/b", "docs://a/;v", "docs://a/..%20",
    "docs://a/%20..", "docs://a/.%20.", "docs://a/..%3B", "docs://a/%C2%A0..", "note:a//b",
    // What escapes hide.
    "docs://a/%C0%AE%C0%AE", "docs://a/%FF", "docs://a/%EF%BC%8E%EF%BC%8E", "docs://a/%E2%88%95",
    "docs://a/%EF%BC%8Fb", "docs://a/%C2%AD", "docs://a/%E2%80%8B", "docs://a/%E2%80%AE",
    "docs://a/e%CC%81", "docs://a/%3Fb", "docs://a/%23b", "docs://a/%E2%80%A5",
    // Queries and fragments are walked, too.
    "docs://a?/../b", "docs://a?x=/../b", "docs://a?x=..", "docs://a?..", "docs://a?b//c",
    "docs://a?x=%2E%2E", "docs://a?x=%2Fb", "docs://a?x=.+.", "docs://a#/../b", "docs://a#..",
    "docs://a#%2F", "docs://a?x=%00", "docs://a?x=%25",
];

#[test]
fn a_uri_that_some_server_takes_for_another_is_not_plain() {
    for uri in NOT_PLAIN {
        assert!(!is_plain(uri), "{uri:?}");
    }
}

/// A pattern, what it allows, and what it does not.
#[rustfmt::skip]
const ALLOWS: &[(&str, &[&str], &[&str])] = &[
    ("docs://*/summary", &["docs://42/summary", "docs://a.b:81/summary"], &[
        "docs://42?/summary", "docs://42/x/summary", "docs:///summary", "docs:42/summary",
        "docs://42/summary?x", "docs://42/summary#x", "docs://42/summary/", "docs://u@42/summary",
    ]),
    ("file:///pub/**", &["file:///pub/x", "file:///pub/a/b/", "file:///pub/"], &[
        "file:///pub", "file:///pub/x?/../../secret/key", "file:///pub/x?y", "file:///pub/x#y",
        "file:///pubx/y", "file://localhost/pub/x", "file:/pub/x", "file:///pub/../secret",
    ]),
    ("file:///pub/*.md", &["file:///pub/a.md"], &["file:///pub/secret?.md", "file:///pub/a/b.md"]),
    ("http://*.corp.example/**", &["http://a.corp.example/x", "http://a.b.corp.example/"], &[
        "http://evil.example?.corp.example/x", "http://evil.example#.corp.example/x",
        "http://evil.example%23.corp.example/x", "http://evil.example\\.corp.example/x",
        "http://u:p@a.corp.example/x", "http://a.corp.example:8080/x", "http://a.corp.example",
        "https://a.corp.example/x", "http://.corp.example/x",
    ]),
    ("http://Int*n", &["http://intern/"], &["http://intern/x", "http://intern"]),
    ("docs://team-*/**", &["docs://team-a/x"], &["docs://team-@other/x", "docs://team-a:b@o/x"]),
    ("docs://**", &["docs://a", "docs://a/b/c", "docs:///a"], &["note:a", "docs://a?b"]),
    ("docs://**/b", &["docs://a/b", "docs://a/x/y/b"], &["docs://a/bc", "docs://a/b?b"]),
    ("**", &["docs://a/b", "note:a/b", "file:///x/y"], &["docs://a?b", "docs://a#b", "docs://@a"]),
    ("*", &["note:a", "urn:isbn:1"], &["docs://a", "note:a/b"]),
    ("note:*", &["note:a"], &["note:a/b", "note:/a", "note://a"]),
    ("docs:///a/*", &["docs:///a/b"], &["docs://x/a/b", "docs:/a/b"]),
    ("docs://a/**?*", &["docs://a/b/c?x=1"], &["docs://a/b", "docs://a/b?x=..", "docs://a/b?x#y"]),
    ("docs://a/b?x=*&y=1", &["docs://a/b?x=2&y=1"], &["docs://a/b?x=2", "docs://a/b?x=a/b&y=1"]),
    ("docs://a/*#*", &["docs://a/b#c"], &["docs://a/b", "docs://a/b?x#c", "docs://a/b#.."]),
    ("{docs,notes}://{a,b}/*", &["docs://a/x", "notes://b/x"], &["docs://c/x", "x://a/x"]),
    ("{docs://a,note:b}/*", &["docs://a/x", "note:b/x"], &["docs://b/x"]),
    ("docs://[ab]x/*", &["docs://ax/1"], &["docs://cx/1"]),
    ("http://[::1]/**", &["http://[::1]/x"], &["http://1/x", "http://[::2]/x"]),
];

#[test]
fn a_wildcard_stays_in_its_part() {
    for (text, yes, no) in ALLOWS {
        for uri in *yes {
            assert!(allows(text, uri), "{text} {uri}");
        }
        for uri in *no {
            assert!(!allows(text, uri), "{text} {uri}");
        }
    }
}

#[test]
fn a_literal_allows_itself_and_nothing_else() {
    for text in ["docs://A?x#y", "http://[::1]/x", "file:/a/../b", "plain", "docs://a/%2f"] {
        assert!(allows(text, text), "{text}");
        assert_eq!(pattern(text).literal(), Some(text));
    }
    assert!(!allows("docs://a", "docs://a?x"));
    assert!(!allows("docs://a", "docs://A"));
}

#[rustfmt::skip]
const DENIES: &[(&str, &[&str])] = &[
    ("docs://secret/**", &[
        "docs://secret/x", "docs://@secret/x", "docs://:@secret/x", "docs://u@secret/x",
        "docs://u:p@secret/x", "docs://secret:/x", "docs://secret:80/x", "docs://secret",
        "docs://secret/", "docs://secret?x", "docs://secret#x", "docs://secret/x?y#z",
        "DOCS://secret/x", "docs://SECRET/x", "docs://secret./x", "docs:secret/x",
        "docs:/secret/x", "docs:///secret/x", "docs://%73ecret/x", "docs://secret%2Fx",
        "docs://secret\\x", "docs://u@SECRET:080./x", "docs://\u{ff53}ecret/x",
        "docs://secret%252e%252e", "docs://%2573ecret/x", "docs://se\u{ad}cret/x", "docs:\\\\secret\\x", " docs://secret/x", "docs://sec\tret/x",
    ]),
    ("docs://x/secret/**", &[
        "docs://x/SECRET/a", "docs://x/secret/a", "docs://x/secret", "docs://x/%73ecret/a",
        "docs://x/a/../secret/a", "docs://x/./secret/a", "docs://x//secret/a",
        "docs://x/%2e/secret/a", "docs://x/secret%2Fa", "docs://x/secret;v=1/a",
        "docs://x/secret./a", "docs://x/secret%20/a", "docs://x/a/..;/secret/a",
        "docs://x/\u{17f}ecret/a", "docs://x\\secret\\a", "docs://X:80/secret/a?b",
        "docs://x/secret/..;/a", "docs://x/./secret/..%C2%AD/a", "docs://x//secret/..;/a",
    ]),
    ("http://intern/**", &[
        "http://intern", "http:intern/x", "http:/intern/x", "http://@intern/x",
        "http://u@intern/x", "http://intern:80/x", "http://intern./x",
        "http://int%C2%ADern/x", "http://%EF%BD%89ntern/x", "http:///intern/x",
        "http:\\\\intern\\x", "http://INTERN/x", "http://intern:8080/x", "http://int\nern/x",
    ]),
    ("http://127.0.0.1/**", &[
        "http://0x7f.1/x", "http://127.1/x", "http://2130706433/x", "http://0177.0.0.1/x",
        "http://127.0.0.1:80", "http://\u{ff11}27.1/x",
    ]),
    ("file:///secret/**", &[
        "file:/secret/x", "file:secret/x", "file://localhost/secret/x", "file:///SECRET/x",
        "file:///secret", "file://evil/secret/x", "file:////secret/x", "file:///./secret/x",
        "file:///secret/x?a", "file://c/../secret/x",
    ]),
    ("DOCS://Secret/X/**", &["docs://secret/x/y"]),
    ("docs://h:80/**", &["docs://h:0080/key", "docs://u@h:80/key", "docs://H:80/key"]),
    ("http://[::1]/**", &[
        "http://[::1]/x", "http://[0:0:0:0:0:0:0:1]/x", "http://[::0001]:80/x",
    ]),
    ("docs://x/secret", &[
        "docs://x/Secret", "docs://x/secret/", "docs://x/secret?y", "docs://x/secret#y",
    ]),
    ("docs://x/a?key=*", &["docs://x/a?key=1", "docs://x/A?KEY=1#z"]),
    ("note:secret/*", &["note:/secret/x", "note:secret/x", "NOTE:SECRET/x", "note:///secret/x"]),
    ("ticket://GEHEIM-*", &["ticket://geheim-1", "ticket://Geheim-1/", "ticket://u@GEHEIM-1"]),
    ("**", &["a:b", "docs://a?b#c", "docs://u@a/../b"]),
];

#[test]
fn a_deny_holds_for_every_spelling_of_what_it_covers() {
    for (text, uris) in DENIES {
        for uri in *uris {
            assert!(denies(text, uri), "{text} {uri:?}");
        }
    }
}

#[test]
fn a_deny_leaves_alone_what_no_server_takes_for_it() {
    for (text, uri) in [
        ("docs://secret/**", "docs://secrets/x"),
        ("docs://secret/**", "docs://x/secret/y"),
        ("docs://secret/**", "notes://secret/x"),
        ("docs://x/secret", "docs://x/secret/y"),
        ("docs://x/*", "docs://x/a/b"),
        ("docs://x/a?key=*", "docs://x/a?other=1"),
        ("docs://x/a?key=*", "docs://x/a"),
        ("docs://h:80/**", "docs://h/x"),
        ("docs://x/%2A", "docs://x/other"),
        ("plain", "docs://plain"),
    ] {
        assert!(!denies(text, uri), "{text} {uri}");
    }
}

#[test]
fn a_pattern_that_cannot_be_meant_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", BadUriPattern::Empty),
        ("docs://{id}", BadUriPattern::Expression),
        ("*/secret", BadUriPattern::NoScheme),
        ("**/secret", BadUriPattern::NoScheme),
        ("://*", BadUriPattern::NoScheme),
        ("docs://{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", BadUriPattern::TooMany),
        ("docs://{a,{b,c}", BadUriPattern::Unclosed),
    ] {
        assert_eq!(UriPattern::parse(text).unwrap_err(), reason, "{text}");
    }
    assert!(matches!(UriPattern::parse("docs://[a"), Err(BadUriPattern::Glob(_))));
}

#[test]
fn a_uri_that_is_too_long_to_be_compared_is_reached_by_nothing() {
    let uri = |len: usize| format!("docs://a/{}", "x".repeat(len - "docs://a/".len()));
    let (longest, longer) = (uri(MAX_URI), uri(MAX_URI + 1));
    assert!(allows("docs://**", &longest) && denies("docs://**", &longest));
    assert!(!allows("docs://**", &longer) && denies("docs://other", &longer));
    assert!(allows(&longest, &longest));
    assert_eq!(UriPattern::parse(&longer).unwrap_err(), BadUriPattern::TooLong);
}

#[test]
fn a_template_is_reached_where_wildcards_cover_its_expressions() {
    for (text, template, may) in [
        ("docs://*/summary", "docs://{id}/summary", true),
        ("docs://a/**", "docs://a/{+path}", true),
        ("docs://a/**", "docs://a/{x}/b", true),
        ("docs://a/**", "docs://{x}/b", false),
        ("docs://a/x*", "docs://a/{x}", false),
        ("docs://a/*", "docs://a/{x}{?page}", false),
        ("docs://a/*?*", "docs://a/{x}{?page}", true),
        ("docs://a/*", "docs://a/../{x}", false),
        ("docs://**", "docs://{x", false),
    ] {
        assert_eq!(
            pattern(text).allows(&Resource::of_template(template)),
            may,
            "{text} {template}"
        );
    }
    assert!(pattern("docs://secret/**").denies(&Resource::of_template("docs://SECRET/{x}")));
}
