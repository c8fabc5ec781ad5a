//! What looks like a good configuration and cannot hold what it promises.

use super::tests::{DIGEST, UPSTREAM, findings, read, token};
use super::*;

#[test]
fn a_file_is_used_only_where_commands_can_name_it() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::TempDir::new().unwrap();
    let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    let text = format!("include = [\"tokens.d/*.toml\"]\n{UPSTREAM}{}", token(""));
    let main = at(b"gateway.toml");
    std::fs::write(&main, &text).unwrap();
    std::fs::create_dir(at(b"tokens.d")).unwrap();
    let other = |n: u8| {
        let digest = format!("{n:02x}").repeat(32);
        token("").replace("tokens.x", &format!("tokens.y{n}")).replace(DIGEST, &digest)
    };
    std::fs::write(at("tokens.d/größe.toml".as_bytes()), other(1)).unwrap();
    assert_eq!(load(&main).unwrap().policy.tokens().len(), 2, "text beyond ASCII is text");
    // Shown with a sign for what is no text, these two would be one.
    std::fs::write(at(b"tokens.d/a\xff.toml"), other(2)).unwrap();
    std::fs::write(at(b"tokens.d/a\xfe.toml"), other(3)).unwrap();
    let said = load(&main).unwrap_err().to_string();
    let refused = |name: &str| format!("tokens.d/{name}, which cannot be read: its name is not");
    for name in ["a\\xFE.toml", "a\\xFF.toml"] {
        assert!(said.contains(&refused(name)), "{name}: {said}");
    }
    let plain = text.replace("include", "#");
    for (name, is_file) in [(&b"gateway\xff.toml"[..], true), (b"conf\xc3/gateway.toml", false)] {
        let path = at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &plain).unwrap();
        let said = load(&path).unwrap_err().to_string();
        assert!(said.contains("its name is not UTF-8"), "{is_file}: {said}");
    }
}

/// What HTTP, MCP, tracing, proxies and browsers know, and what folds into something else.
const TAKEN: &str = "\
    traceparent Tracestate BAGGAGE b3 X-B3-TraceId Sentry-Trace Upgrade expect Trailer Set-Cookie \
    set-cookie2 Cookie Connection Keep-Alive Proxy-Connection Proxy-Authorization Proxy TE \
    Transfer-Encoding Date Content-Encoding Content-Type content-digest Host Accept \
    Accept-Language Mcp-Session-Id Mcp-Anything Last-Event-ID Range If-Match If-None-Match \
    Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded Via Age Vary Origin Referer User-Agent \
    Sec-Fetch-Site Access-Control-Request-Method X-Request-ID X-Real-IP X-HTTP-Method-Override \
    X-Original-URL X-Rewrite-URL Early-Data Priority Prefer Max-Forwards Warning Pragma \
    Cache-Control HTTP2-Settings WWW-Authenticate Location Retry-After From Signature X_User_ID \
    X-User_ID X.User.ID X-User-ID:";

#[test]
fn a_header_that_somebody_gives_a_meaning_carries_nothing_of_ours() {
    let odd = ["X User", "", "ü", "X-\\u0000"];
    for name in TAKEN.split_whitespace().chain(odd) {
        for (key, lines) in [
            ("user_header", format!("[identity]\nuser_header = \"{name}\"\n")),
            ("organization_header", format!("[identity]\norganization_header = \"{name}\"\n")),
            ("header", format!("[identity.assertion]\nkey_file = \"k\"\nheader = \"{name}\"\n")),
        ] {
            let shown = findings(&format!("{lines}{}", token("")));
            let said = format!("`{key}` ");
            let is_said = |line: &String| {
                line.contains(&said) && (line.contains("its own") || line.contains("letters"))
            };
            assert!(shown.iter().any(is_said), "{lines}: {shown:?}");
        }
        let credential = format!("credential = {{ header = \"{name}\", env = \"PATH\" }}\nurl = ");
        let said = read(&UPSTREAM.replace("url = ", &credential)).unwrap_err().to_string();
        assert!(said.contains("`header` "), "{name}: {said}");
    }
    for name in ["X-Who", "Remote-User", "X-Forwarded-User", "X-WEBAUTH-USER", "X-Ifx", "Ident"] {
        let shown = findings(&format!("[identity]\nuser_header = \"{name}\"\n{}", token("")));
        assert!(shown.is_empty(), "{name}: {shown:?}");
    }
}

#[test]
fn two_things_never_go_in_one_header() {
    for (identity, credential) in [
        ("user_header = \"X-Who\"\norganization_header = \"x-WHO\"", ""),
        ("user_header = \"X-Organization-ID\"", ""),
        ("organization_header = \"x-user-id\"", ""),
        ("assertion = { key_file = \"k\", header = \"X-User-Id\" }", ""),
        // The names that are not written out count, too.
        ("user_header = \"X-Doorward-Assertion\"\nassertion = { key_file = \"k\" }", ""),
        ("organization_header = \"x-doorward-assertion\"\nassertion = { key_file = \"k\" }", ""),
        ("", "X-User-ID"),
        ("", "x-organization-id"),
        ("user_header = \"X-Who\"", "x-who"),
    ] {
        let upstream = match credential {
            "" => UPSTREAM.to_owned(),
            name => {
                let with =
                    format!("credential = {{ header = \"{name}\", env = \"PATH\" }}\nurl = ");
                UPSTREAM.replace("url = ", &with)
            }
        };
        let said = read(&format!("{upstream}[identity]\n{identity}\n{}", token("")));
        let said = said.unwrap_err().to_string();
        let is_said = ["of their own", "of its own", "carries an identity"];
        assert!(
            is_said.iter().any(|words| said.contains(words)),
            "{identity} {credential}: {said}"
        );
    }
}

/// The upstream, a caller, rules, and what is expected of the caller's calls.
fn expecting(role: &str, rules: &str, expected: &str) -> String {
    let role = format!("[roles.r]\ntools = [\"t/echo\", \"t/del\"]\n{role}\n");
    let alice = token("roles = [\"r\"]\n").replace("tokens.x", "tokens.alice");
    let expected = format!("[[expect]]\ntoken = \"alice\"\n{expected}\n");
    match read(&format!("{UPSTREAM}{role}{rules}\n{alice}{expected}")) {
        Ok(_) => "good".to_owned(),
        Err(findings) => findings.to_string(),
    }
}

const OVER: &str = "mode = \"shadow\"\nuntil = 2020-01-01";
const TRIAL: &str = "mode = \"shadow\"\nuntil = 2999-01-01";

/// Every way to try a rule out, with the call that it would refuse.
fn trials(mode: &str) -> [(String, String, &'static str); 7] {
    let inline = mode.replace('\n', ", ");
    let none = String::new;
    let of = |condition: &str| format!("arguments.\"/n\" = {{ max = 9{condition} }}\n");
    let when = |rest: &str, condition: &str| {
        format!("[[roles.r.when]]\ntools = [\"t/echo\"]\n{}{rest}", of(condition))
    };
    let fact = |rest: &str, condition: &str| format!("[tools.\"t/echo\"]\n{}{rest}", of(condition));
    let shadowed = format!(", {inline}");
    let call = "arguments.n = 10\nKEY = [\"t/echo\"]";
    [
        (mode.to_owned(), none(), "KEY = [\"t/other\"]"),
        (format!("deny = [\"t/del\"]\n{mode}"), none(), "KEY = [\"t/del\"]"),
        (mode.to_owned(), when("", ""), call),
        (none(), when(mode, ""), call),
        (none(), when("", &shadowed), call),
        (none(), fact(mode, ""), call),
        (none(), fact("", &shadowed), call),
    ]
}

#[test]
fn what_a_trial_lets_pass_is_not_denied() {
    for (role, rules, expected) in trials(TRIAL) {
        let found = expecting(&role, &rules, &expected.replace("KEY", "deny"));
        let said = "passes for alice until 2999-01-01: what refuses it (";
        assert!(found.contains(said), "{role}{rules}{expected}: {found}");
        assert!(found.contains("gateway.toml:"), "{found}");
        // Nor is it allowed for good, and the file must not turn bad by itself one day.
        let found = expecting(&role, &rules, &expected.replace("KEY", "allow"));
        let said = "is refused for alice (";
        assert!(found.contains(said), "{role}{rules}{expected}: {found}");
        assert!(found.contains("from 2999-01-01 on"), "{role}{rules}{expected}: {found}");
    }
    let kinds = "[roles.q]\nprompts = [\"t/p\"]\nmode = \"shadow\"\nuntil = 2999-01-01T08:00:00Z\n\
        [[expect]]\nroles = [\"q\"]\ndeny_prompts = [\"t/x\"]\ndeny_resources = [\"t/file:///x\"]\n";
    let found = read(&format!("{UPSTREAM}{kinds}")).unwrap_err().to_string();
    assert_eq!(found.matches("passes for user until 2999-01-01T08:00:00Z").count(), 2, "{found}");
}

#[test]
fn what_a_trial_that_is_over_refuses_is_denied() {
    for mode in [OVER, "mode = \"enforce\""] {
        for (role, rules, expected) in trials(mode) {
            let found = expecting(&role, &rules, &expected.replace("KEY", "deny"));
            assert_eq!(found, "good", "{role}{rules}{expected}");
            let found = expecting(&role, &rules, &expected.replace("KEY", "allow"));
            assert!(found.contains("is refused for alice ("), "{role}{rules}{expected}: {found}");
        }
    }
}

#[test]
fn of_two_trials_the_one_that_ends_first_begins_to_refuse() {
    let rules = "[tools.\"t/echo\"]\n\
        arguments.\"/n\" = { max = 9, mode = \"shadow\", until = 2998-01-01 }\n\
        arguments.\"/m\" = { max = 9, mode = \"shadow\", until = 2997-01-01 }\n";
    for (arguments, until) in [
        ("{ n = 10, m = 10 }", "2997-01-01"),
        ("{ n = 10, m = 1 }", "2998-01-01"),
        ("{ n = 1, m = 10 }", "2997-01-01"),
    ] {
        let expected = format!("arguments = {arguments}\ndeny = [\"t/echo\"]");
        let found = expecting("", rules, &expected);
        assert!(found.contains(&format!("passes for alice until {until}:")), "{found}");
    }
    let enforced = rules.replace("max = 9, mode = \"shadow\", until = 2997-01-01", "max = 9");
    let expected = "arguments = { n = 10, m = 10 }\ndeny = [\"t/echo\"]";
    assert_eq!(expecting("", &enforced, expected), "good");
}
