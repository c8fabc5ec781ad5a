//! One mistake is told once, where it was made: what could not be read is not missing.

use std::path::Path;

const BASE: &str = r#"
[server]
public_url = "https://gw.example"
[upstreams.t]
path = "/t"
url = "http://127.0.0.1:9/mcp"
[roles.r]
tools = ["t/echo"]
[tokens.a]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "ann"
organization = "o"
roles = ["r"]
expires = 2999-01-01
[issuers.i]
issuer = "https://i.example"
jwks_url = "https://i.example/k"
organization = "p"
roles = ["r"]
"#;

/// What is told of a file in which one line is replaced by others, or of BASE with more behind it.
fn found(line: &str, with: &str) -> String {
    let text = match line {
        "" => format!("{BASE}{with}\n"),
        line => {
            assert_eq!(BASE.matches(&format!("{line}\n")).count(), 1, "{line}");
            BASE.replace(&format!("{line}\n"), &format!("{with}\n"))
        }
    };
    let findings = match crate::config::parse(Path::new("gateway.toml"), &text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    let all = findings.findings().iter();
    all.map(|found| format!("{} {}\n", found.code.as_str(), found.message)).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn one_mistake_is_told_once_and_as_itself() {
    let when = "[[roles.r.when]]\ntools = ['t/echo']\n";
    let condition = |asked: &str| format!("{when}arguments.'/v' = {{ {asked} }}");
    let expect = "[[expect]]\n";
    let conditions = [
        ("min = nan, max = 5", "DW0006 `min` must be a number, and JSON has no nan"),
        ("min = inf, max = 5", "DW0006 `min`"),
        ("min = 'x', max = 5", "DW0004 `min` must be a number"),
        ("min = 0, max = nan", "DW0006 `max`"),
        ("mn = 0, max = 5", "DW0003 unknown key `mn`"),
        ("in = 'x'", "DW0004 `in`"),
        ("url = { host = 7 }", "DW0004 `host`"),
        ("url = { hots = 'x' }", "DW0003 unknown key `hots`"),
        ("url = { scheme = 'https' }", "DW0014 `url` needs a host"),
        ("equals = 1, mode = 'shadow'", "DW0018 a rule that is only tried out needs an end"),
        ("equals = 1, mode = 'shadow', until = 7", "DW0004 `until` must be a date"),
        ("equals = 1, mode = 'shadow', until = '2099-01-01'", "DW0004 `until` must be a date"),
        ("equals = 1, mode = 'shadow', until = 2099-01-01T00:00:00", "DW0004 `until` must be"),
        ("equals = 1, mode = 'shadow', untill = 2099-01-01", "DW0003 unknown key `untill`"),
        ("equals = 1, mode = 'shdaow', until = 2099-01-01", "DW0006 `mode` must be"),
        ("equals = 1, mdoe = 'shadow', until = 2099-01-01", "DW0003 unknown key `mdoe`"),
        ("equals = 1, until = 2099-01-01", "DW0018 `until` means nothing"),
    ];
    let mut rows: Vec<(&str, String, &str)> =
        conditions.into_iter().map(|(asked, told)| ("", condition(asked), told)).collect();
    for (line, with, told) in [
        // Settings.
        ("[server]", "[server]\nlisten = 'x'", "DW0004 `listen` must be"),
        ("[server]", "[server]\nlisten = ['x']", "DW0006 `listen`"),
        ("[server]", "[server]\nlisten = [7]", "DW0004 `listen`"),
        ("[server]", "[server]\nlisten = []", "DW0006 `listen` is empty"),
        (
            "[server]",
            "[server]\nlisten = ['0.0.0.0:80']\nplaintext = 'behind_proxy'",
            "DW0006 `plaintext` must be",
        ),
        (
            "[server]",
            "[server]\nlisten = ['0.0.0.0:80']\nplain_text = 'behind-proxy'",
            "DW0003 unknown key `plain_text`",
        ),
        (
            "public_url = \"https://gw.example\"",
            "listen = ['0.0.0.0:80']\nplaintext = 'behind-proxy'\npublic_url = 'x'",
            "DW0104 tokens are in clear between the proxy and here\nDW0006 `public_url`",
        ),
        ("public_url = \"https://gw.example\"", "public_url = 7", "DW0004 `public_url`"),
        (
            "public_url = \"https://gw.example\"",
            "publc_url = 'https://gw.example'",
            "DW0003 unknown key `publc_url`",
        ),
        ("public_url = \"https://gw.example\"", "threads = 1", "DW0005 an issuer's tokens are for"),
        (
            "public_url = \"https://gw.example\"",
            "tls = { cert_file = 7, key_file = 8, client_auth = 'required', client_ca_fil = 'x' }\n\
             public_url = 'https://gw.example'",
            "DW0004 `cert_file`\nDW0004 `key_file`\nDW0003 unknown key `client_ca_fil`",
        ),
        ("", "[audit]\nto = 'file'\nfile = 7", "DW0004 `file`"),
        ("", "[audit]\nto = 'file'\nflie = 'x'", "DW0003 unknown key `flie`"),
        ("", "[audit]\nto = 'flie'\nfile = 'x'", "DW0006 `to` must be"),
        ("", "[audit]\nt = 'file'\nfile = 'x'", "DW0003 unknown key `t`"),
        ("", "[audit]\nfile = 'x'", "DW0013 `file` means nothing"),
        // Upstreams.
        ("[upstreams.t]", "[upstream.t]", "DW0003 unknown key `upstream`"),
        ("url = \"http://127.0.0.1:9/mcp\"", "url = 7", "DW0004 `url`"),
        ("url = \"http://127.0.0.1:9/mcp\"", "ulr = 'http://x/y'", "DW0003 unknown key `ulr`"),
        ("url = \"http://127.0.0.1:9/mcp\"", "call_timeout = '1s'", "DW0005 upstream `t` needs"),
        (
            "path = \"/t\"",
            "path = '/t'\ncredential = { header = 'Host', env = 'CARGO_PKG_NAME' }",
            "DW0006 `header`",
        ),
        (
            "path = \"/t\"",
            "path = '/t'\ncredential = { header = 7, env = 'CARGO_PKG_NAME' }",
            "DW0004 `header`",
        ),
        (
            "path = \"/t\"",
            "path = '/t'\ncredential = { headr = 'X-A', env = 'CARGO_PKG_NAME' }",
            "DW0003 unknown key `headr`",
        ),
        (
            "path = \"/t\"",
            "path = '/t'\ncredential = { bearer_fil = 'x' }",
            "DW0003 unknown key `bearer_fil`",
        ),
        ("path = \"/t\"", "path = '/t'\ncredential = {}", "DW0013 `credential` needs either"),
        ("path = \"/t\"", "path = '/t'\ncredential = 7", "DW0004 `credential`"),
        (
            "path = \"/t\"",
            "path = '/t'\nstream_max = 'x'\nstream_idle = '2d'",
            "DW0006 `stream_max`",
        ),
        ("path = \"/t\"", "path = '/t'\nclient_cert_fiel = 'x'", "DW0003 unknown key"),
        // Roles and tokens.
        ("tools = [\"t/echo\"]", "tools = 't/echo'", "DW0004 `tools`"),
        ("[roles.r]", "[roles]\nq = 7\n[roles.r]", "DW0004 `q` must be a table"),
        ("[tokens.a]", "[token.a]", "DW0003 unknown key `token`"),
        (
            "sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"",
            "sha25 = '1111111111111111111111111111111111111111111111111111111111111111'",
            "DW0003 unknown key `sha25`",
        ),
        (
            "sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"",
            "san = 'x'",
            "DW0006 `san`",
        ),
        (
            "sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"",
            "revoked = 2020-01-01",
            "DW0013 a token needs one of",
        ),
        ("expires = 2999-01-01", "expires = 7", "DW0004 `expires` must be a date"),
        ("expires = 2999-01-01", "expries = 2999-01-01", "DW0003 unknown key `expries`"),
        ("expires = 2999-01-01", "", "DW0005 `expires` is missing"),
        // Issuers.
        ("jwks_url = \"https://i.example/k\"", "jwks_uri = 'https://x/y'", "DW0003 unknown key"),
        ("jwks_url = \"https://i.example/k\"", "jwks_url = 7", "DW0004 `jwks_url`"),
        ("jwks_url = \"https://i.example/k\"", "leeway = '1s'", "DW0005 an issuer needs either"),
        (
            "jwks_url = \"https://i.example/k\"",
            "jwks_url = 'https://i.example/k'\nalgorithms = 'RS256'",
            "DW0004 `algorithms`",
        ),
        (
            "jwks_url = \"https://i.example/k\"",
            "jwks_url = 'https://i.example/k'\nrefresh = '2h'\nmax_stale = 'x'",
            "DW0006 `max_stale`",
        ),
        ("organization = \"p\"", "organisation = 'p'", "DW0003 unknown key `organisation`"),
        ("organization = \"p\"", "organization = 7", "DW0004 `organization`"),
        // Tests of the policy.
        ("user = \"ann\"", "user = 7\n[[expect]]\ntoken = 'a'\nallow = ['t/echo']\n[x]", ""),
    ] {
        rows.push((line, with.to_owned(), told));
    }
    for (with, told) in [
        ("token = 'a'\nallow = 't/echo'", "DW0004 `allow`"),
        ("token = 'a'\nallow = [7]", "DW0004 `allow`"),
        ("token = 'a'\nalow = ['t/echo']", "DW0003 unknown key `alow`"),
        ("token = 'a'\nallow = []", "DW0005 nothing is expected"),
        ("token = 7\nallow = ['t/echo']", "DW0004 `token`"),
        ("tokn = 'a'\nallow = ['t/echo']", "DW0003 unknown key `tokn`"),
        ("allow = ['t/echo']", "DW0005 it must say who calls"),
    ] {
        rows.push(("", format!("{expect}{with}"), told));
    }
    rows.push(("", format!("{}\n", when.replace("tools", "tolls")), ""));
    rows.push(("", "[[roles.r.when]]\ntools = 't/echo'\narguments.v = 1".to_owned(), ""));
    rows.push(("", "expect = ['x']".to_owned(), ""));
    rows.retain(|(.., told)| !told.is_empty());
    let mut wrong = Vec::new();
    for (line, with, told) in &rows {
        let found = found(line, with);
        let lines = told.lines().count();
        let is_it = found.lines().count() == lines
            && found.lines().zip(told.lines()).all(|(line, told)| line.starts_with(told));
        if !is_it {
            wrong.push(format!("{with}\n--\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n=====\n"));
}

#[test]
fn what_could_not_be_read_is_no_unknown_name() {
    let bare = "[roles]\nr = 7";
    for (line, with, told) in [
        (
            "[roles.r]",
            format!("{bare}\n[x.r]"),
            "DW0004 `r` must be a table\nDW0003 unknown key `x`",
        ),
        (
            "user = \"ann\"",
            "user = 7\n[[expect]]\ntoken = 'a'\nallow = ['t/echo']\n[tokens.b]\nuser = 'ann'\n\
             sha256 = '2222222222222222222222222222222222222222222222222222222222222222'"
                .to_owned(),
            "",
        ),
        (
            "organization = \"p\"",
            "organization = 7\n[[expect]]\nissuer = 'i'\nallow = ['t/echo']\n[roles.q]".to_owned(),
            "",
        ),
    ] {
        let found = found(line, &with);
        assert!(!found.contains("does not exist"), "{with}: {found}");
        for (line, told) in found.lines().zip(told.lines()) {
            assert!(line.starts_with(told), "{with}: {found}");
        }
    }
}

#[test]
fn every_date_is_one() {
    for date in [
        "9999-12-31",
        "9999-12-30",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.5Z",
        "9999-12-31T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2999-01-01",
    ] {
        assert_eq!(found("expires = 2999-01-01", &format!("expires = {date}")), "", "{date}");
        let trial = format!("[roles.r]\nmode = 'shadow'\nuntil = {date}");
        assert_eq!(found("[roles.r]", &trial), "", "{date}");
    }
    for date in ["9999-12-31T23:59:59", "23:59:59", "'9999-12-31'", "'later'"] {
        let told = found("expires = 2999-01-01", &format!("expires = {date}"));
        assert!(told.starts_with("DW0004 `expires` must be a date"), "{date}: {told}");
    }
    let moment = |text: &str| crate::config::values::moment(&text.parse().unwrap());
    assert_eq!(moment("9999-12-31"), Some(253_402_214_400));
    assert_eq!(moment("9999-12-31T23:59:59-01:30"), Some(253_402_306_199));
    assert_eq!(moment("9999-12-31T00:00:00+01:30"), Some(253_402_209_000));
    assert_eq!(crate::config::values::date(253_402_214_400), "9999-12-31");
    assert_eq!(crate::config::values::date(253_402_300_799), "9999-12-31T23:59:59Z");
    assert_eq!(crate::config::values::date(i64::MAX), "the end");
}
