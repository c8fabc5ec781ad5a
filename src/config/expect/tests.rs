//! Whoever is meant: what opens nothing is allowed nothing, and nothing is passed over in silence.

use std::path::Path;

const BASE: &str = r#"
[server]
public_url = "https://gw.example"
[upstreams.t]
path = "/t"
url = "http://127.0.0.1:9/mcp"
[upstreams.u]
path = "/u"
url = "http://127.0.0.1:8/mcp"
[roles.r]
tools = ["t/echo", "u/echo"]
prompts = ["t/greet"]
[tokens.good]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "ann"
organization = "o"
roles = ["r"]
expires = "never"
[tokens.expired]
sha256 = "2222222222222222222222222222222222222222222222222222222222222222"
user = "bob"
organization = "o"
roles = ["r"]
expires = 2020-01-01
[tokens.revoked]
sha256 = "3333333333333333333333333333333333333333333333333333333333333333"
user = "eve"
organization = "o"
roles = ["r"]
expires = "never"
revoked = 2020-01-01
[issuers.i]
issuer = "https://login.example"
jwks_url = "https://login.example/keys"
organization = "p"
roles = ["r"]
upstreams = ["t"]
max_lifetime = "1h"
"#;

/// The code of each finding about the `[[expect]]`, and everything that is said.
fn found(expect: &str) -> (Vec<&'static str>, String) {
    let text = format!("{BASE}[[expect]]\n{expect}\n");
    let findings = match crate::config::parse(Path::new("gateway.toml"), &text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    let start = BASE.lines().count();
    let own = findings.findings().iter().filter(|found| {
        let at = text.get(..found.span.start).unwrap_or_default();
        at.matches('\n').count() >= start
    });
    (own.map(|found| found.code.as_str()).collect(), findings.to_string())
}

#[test]
fn what_opens_nothing_is_allowed_nothing() {
    for (expect, codes) in [
        ("token = 'good'\nallow = ['t/echo']", vec![]),
        ("token = 'good'\ndeny = ['t/echo']", vec!["DW0015"]),
        ("token = 'expired'\ndeny = ['t/echo']", vec!["DW0122"]),
        ("token = 'revoked'\ndeny = ['t/echo']", vec!["DW0122"]),
        ("token = 'expired'\ndeny_prompts = ['t/greet']", vec!["DW0122"]),
        // One day it would be an error of a file that nobody has changed.
        ("token = 'expired'\nallow = ['t/echo']", vec!["DW0122"]),
        ("token = 'expired'\nallow = ['t/other']", vec!["DW0122", "DW0015"]),
        ("token = 'expired'\ndeny = ['x/echo']", vec!["DW0122", "DW0010"]),
        ("issuer = 'i'\nclaims = { sub = 'x' }\nallow = ['t/echo']", vec![]),
        ("issuer = 'i'\nclaims = { sub = 'x' }\ndeny = ['t/echo']", vec!["DW0015"]),
        ("issuer = 'i'\nclaims = { sub = 'x' }\nallow = ['u/echo']", vec!["DW0015"]),
        ("issuer = 'i'\nclaims = { sub = 'x' }\ndeny = ['u/echo']", vec![]),
    ] {
        let (got, said) = found(expect);
        assert_eq!(got, codes, "{expect}: {said}");
    }
    for (claim, code) in [
        ("exp = 1", "DW0122"),
        ("exp = 'x'", "DW0015"),
        ("exp = 99999999999", "DW0015"),
        ("nbf = 99999999999", "DW0015"),
        ("iat = 99999999999", "DW0015"),
        ("iss = 'https://other.example'", "DW0015"),
        ("iss = 'https://login.example/'", "DW0015"),
        ("aud = 'https://gw.example/u'", "DW0015"),
        ("aud = []", "DW0015"),
        ("aud = 7", "DW0015"),
    ] {
        let expect = format!("issuer = 'i'\nclaims = {{ sub = 'x', {claim} }}\n");
        let (got, said) = found(&format!("{expect}allow = ['t/echo']"));
        let name = claim.split(' ').next().unwrap();
        assert!(got == [code] && said.contains(&format!("({name}: expected")), "{claim}: {said}");
        let (got, said) = found(&format!("{expect}deny = ['t/echo']"));
        assert!(got.is_empty(), "{claim}: {said}");
    }
    let good =
        "iss = 'https://login.example', aud = ['x', 'https://gw.example/t'], nbf = 1, iat = 1";
    let expect = format!("issuer = 'i'\nclaims = {{ sub = 'x', {good} }}\n");
    assert_eq!(found(&format!("{expect}allow = ['t/echo']")).0, [""; 0]);
    assert_eq!(found(&format!("{expect}deny = ['t/echo']")).0, ["DW0015"]);
}

#[test]
fn what_nobody_looks_at_is_told() {
    let claims = "issuer = 'i'\nclaims = { sub = 'x' }";
    for (expect, said) in [
        ("token = 'good'\nuser = 'bob'\nallow = ['t/echo']", "`user` means nothing"),
        ("token = 'good'\norganization = 'p'\nallow = ['t/echo']", "`organization` means nothing"),
        ("token = 'good'\nclaims = {}\nallow = ['t/echo']", "`claims` means nothing"),
        (&format!("{claims}\nuser = 'x'\nallow = ['t/echo']"), "`user` means nothing"),
        (&format!("{claims}\norganization = 'x'\nallow = ['t/echo']"), "`organization` means"),
        ("roles = ['r']\nclaims = { sub = 'x' }\nallow = ['t/echo']", "`claims` means nothing"),
        ("token = 'good'\narguments = { a = 1 }\nallow_prompts = ['t/greet']", "`arguments` means"),
        ("roles = []\narguments = {}\ndeny_resources = ['t/a:b']", "`arguments` means nothing"),
    ] {
        let (got, all) = found(expect);
        assert!(got == ["DW0103"] && all.contains(said), "{expect}: {all}");
    }
    for (expect, code) in [
        ("roles = ['r']\nuser = ''\nallow = ['t/echo']", "DW0006"),
        ("roles = ['r']\norganization = ''\nallow = ['t/echo']", "DW0006"),
        ("roles = ['r']\nuser = 7\nallow = ['t/echo']", "DW0004"),
        ("issuer = 'i'\nclaims = 'x'\nallow = ['t/echo']", "DW0004"),
        ("issuer = 'i'\nclaims = { sub = 'x', n = inf }\nallow = ['t/echo']", "DW0006"),
        ("token = 'good'\narguments = { a = [nan] }\nallow = ['t/echo']", "DW0006"),
    ] {
        let (got, all) = found(expect);
        assert_eq!(got, [code], "{expect}: {all}");
    }
    for expect in [
        "roles = ['r']\nuser = 'x'\norganization = 'y'\narguments = { a = 1 }\nallow = ['t/echo']",
        "token = 'good'\narguments = { a = 1 }\nallow = ['t/echo']\nallow_prompts = ['t/greet']",
    ] {
        let (got, all) = found(expect);
        assert!(got.is_empty(), "{expect}: {all}");
    }
}
