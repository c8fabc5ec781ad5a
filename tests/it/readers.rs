//! URIs and values that some server reads in another way than they are written: the rows of what
//! was seen with real servers.

use crate::support::gateway::sha256;
use crate::support::{Call, Gateway, Setup, Upstream, rpc};

const DAVE: &str = "dave-secret-00aa11bb22cc33dd";

/// A gateway where dave has one role with these lines.
fn guarded(upstream: &Upstream, role: &str) -> Gateway {
    let token = format!(
        "[tokens.dave]\nsha256 = \"{}\"\nuser = \"dave\"\norganization = \"acme\"\nroles = [\"dave\"]\n\
         expires = \"never\"\n[roles.dave]\n{role}\n",
        sha256(DAVE)
    );
    Setup::new(upstream).more(&token).start()
}

fn read(gateway: &Gateway, uri: &str) -> bool {
    let uri = serde_json::Value::from(uri);
    let call = Call::post(rpc("1", "resources/read", &format!(r#"{{"uri":{uri}}}"#))).token(DAVE);
    let answer = gateway.ask(&call);
    assert_eq!(answer.status, 200, "{uri}");
    answer.text().contains("\"result\"")
}

#[rustfmt::skip]
const DENIED: [&str; 32] = [
    "docs://secret/x", "docs://@secret/x", "docs://:@secret/x", "docs://u@secret/x",
    "docs://secret:/x", "docs://secret:80/x", "docs://h:0080/x", "docs://secret",
    "docs://x/SECRET/a", "docs://x/Hidden", "docs://secret?x", "http://intern", "http:intern/x",
    "http:/intern/x", "http://@intern/x", "http://intern:80/x", "http://intern./x",
    "http://int%C2%ADern/x", "http://%EF%BD%89ntern/x", "http://0x7f.1/x", "http://127.1/x",
    "http://2130706433/x", "file:/secret/x", "file://localhost/secret/x", "http://[::1]/x",
    "docs:secret/x", "docs://x/%73ecret", "docs://secret%2Fx", "docs://h:80/x", "file:///SECRET/y",
    "http://intern/x", "docs://x/secret",
];

#[test]
fn no_spelling_of_a_denied_uri_reaches_the_server() {
    let upstream = Upstream::good();
    let literals: Vec<String> = DENIED.iter().map(|uri| format!("\"t/{uri}\"")).collect();
    let denies = r#"deny_resources = ["t/docs://secret/**", "t/docs://x/secret/**", "t/http://intern/**",
        "t/http://127.0.0.1/**", "t/file:///secret/**", "t/docs://h:80/**", "t/docs://x/hidden",
        "t/http://[[]::1]/**", "t/http://[::1]/**"]"#;
    // Whatever may be reached by a wildcard, and each spelling by itself.
    for grants in ["\"t/**\"".to_owned(), format!("\"t/**\", {}", literals.join(", "))] {
        let gateway = guarded(&upstream, &format!("resources = [{grants}]\n{denies}"));
        for uri in DENIED {
            assert!(!read(&gateway, uri), "{uri}");
        }
        upstream.assert_untouched("denied URIs");
    }
    let gateway = guarded(&upstream, &format!("resources = [\"t/**\"]\n{denies}"));
    assert!(read(&gateway, "docs://x/open") && read(&gateway, "file:///open/x"));
}

#[test]
fn a_folder_reaches_nothing_beside_it() {
    let upstream = Upstream::good();
    let gateway = guarded(
        &upstream,
        r#"resources = ["t/docs://*/summary", "t/docs://team-*/**", "t/docs://pub/*",
            "t/http://*.example.com/**", "t/file:///pub/**"]"#,
    );
    for uri in [
        "docs://42?/summary",
        "docs://team-@other/x",
        "docs://team-a:b@other/x",
        "docs://pub/a?b",
        "docs://pub/..;",
        "docs://pub/..%20",
        "docs://pub/%C0%AE%C0%AE",
        "docs://pub/%EF%BC%8E%EF%BC%8E",
        "http://evil.com?.example.com/x",
        "http://evil.com%23.example.com/x",
        "http://u:p@x.example.com/y",
        "file:///pub/x?/../../secret/key",
    ] {
        assert!(!read(&gateway, uri), "{uri}");
    }
    upstream.assert_untouched("URIs beside what was granted");
    for uri in ["docs://42/summary", "docs://team-a/x", "http://x.example.com/y", "file:///pub/a/b"]
    {
        assert!(read(&gateway, uri), "{uri}");
    }
}

/// A condition, arguments that it refuses, and some that pass.
const CONDITIONS: [(&str, &[&str], &[&str]); 9] = [
    (r#""/v" = { regex = "[a-z]+" }"#, &[r#"{"v":"null"}"#, r#"{"v":null}"#], &[r#"{"v":"abc"}"#]),
    (r#""/v" = { not_in = ["admin"] }"#, &[r#"{"v":"[\"admin\"]"}"#], &[r#"{"v":"user"}"#]),
    (
        r#""/v" = { not_in = ["urgent"] }"#,
        &[r#"{"v":"low,urgent"}"#, r#"{"v":"2"}"#, r#"{"v":"ur\u00adgent"}"#],
        &[r#"{"v":"low"}"#],
    ),
    (
        r#""/v" = { min = 10 }"#,
        &[r#"{"v":1e300}"#, r#"{"v":9223372036854775808}"#],
        &[r#"{"v":10}"#],
    ),
    (r#""/v" = { max = 10 }"#, &[r#"{"v":-2147483649}"#], &[r#"{"v":1e1}"#]),
    (r#""/v" = { not_in = [7] }"#, &[r#"{"v":7.5}"#, r#"{"v":4294967303}"#], &[r#"{"v":8}"#]),
    (
        r#""/user_id" = { equals_user = true }"#,
        &[
            r#"{"user_id":"dave","userId":"bob"}"#,
            r#"{"user_id":"dave","u\u017fer_id":"bob"}"#,
            r#"{"user_id":"dave","user_id\u0000":"bob"}"#,
        ],
        &[r#"{"user_id":"dave"}"#],
    ),
    (
        r#""/is_admin" = { absent = true }"#,
        &[
            r#"{"isAdmin":true}"#,
            r#"{"__proto__":{"is_admin":true}}"#,
            r#"{"is_admin\u200b":true}"#,
        ],
        &[r#"{"other":true}"#, "{}"],
    ),
    (
        r#""/v" = { glob = "/pub/**" }"#,
        &[r#"{"v":"/pub/%2e%2e/etc"}"#, r#"{"v":"/pub/a\u0000.md"}"#],
        &[r#"{"v":"/pub/a.md"}"#],
    ),
];

#[test]
fn no_reading_of_a_value_passes_a_condition_that_another_fails() {
    let upstream = Upstream::good();
    for (condition, bad, good) in CONDITIONS {
        let role = format!(
            "tools = [\"t/echo\"]\n[[roles.dave.when]]\ntools = [\"t/echo\"]\narguments.{condition}"
        );
        let gateway = guarded(&upstream, &role);
        let passes = |arguments: &str| {
            let params = format!(r#"{{"name":"echo","arguments":{arguments}}}"#);
            let answer = gateway.ask(&Call::post(rpc("1", "tools/call", &params)).token(DAVE));
            assert_eq!(answer.status, 200, "{condition} {arguments}");
            !answer.text().contains("isError")
        };
        let before = upstream.requests().len();
        for arguments in bad {
            assert!(!passes(arguments), "{condition} {arguments}");
        }
        assert_eq!(upstream.requests().len(), before, "{condition}");
        for arguments in good {
            assert!(passes(arguments), "{condition} {arguments}");
        }
    }
}
