use super::*;
use crate::core::permission::{Permission, Question, Target, TargetKind};
use crate::core::principal::PresentedToken;
use crate::core::trace::NoTrace;

pub(super) const UPSTREAM: &str =
    "[upstreams.t]\npath = \"/mcp\"\nurl = \"http://127.0.0.1:9/mcp\"\n";
pub(super) const DIGEST: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

pub(super) fn read(text: &str) -> Result<Config, Findings> {
    parse(Path::new("gateway.toml"), text)
}

/// Every finding of a file that has an upstream and then `rest`.
pub(super) fn findings(rest: &str) -> Vec<String> {
    let text = format!("{UPSTREAM}{rest}");
    let found = match read(&text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    found.without_advice().to_string().lines().map(ToOwned::to_owned).collect()
}

pub(super) fn token(rest: &str) -> String {
    let who = "user = \"a\"\norganization = \"o\"\nexpires = \"never\"\n";
    format!("[tokens.x]\nsha256 = \"{DIGEST}\"\n{who}{rest}")
}

#[test]
fn the_least_file_serves_on_loopback_and_refuses_everybody() {
    let config = read(UPSTREAM).unwrap();
    assert!(config.settings.listen.iter().all(|a| a.ip().is_loopback()));
    assert!(config.settings.admin_listen.ip().is_loopback());
    assert!(config.policy.tokens().is_empty());
    let token = PresentedToken::from_authorization("Bearer dev-alice-token").unwrap();
    assert!(config.policy.tokens().identify(token, 0).is_err());
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let text = "\
[server]
listen = [\"127.0.0.1\"]
listne = 1
[upstreams.tickets]
path = \"mcp\"
call_timeout = 5
[roles.agent]
tools = [\"tikets/list\", \"list\", 7]
[tokens.alice]
sha256 = \"abc\"
user = \"a,b\"
organization = \"o\"
roles = [\"agnet\"]
[limits]
request_body = 4
in_flight = 0
";
    let shown: Vec<String> =
        read(text).unwrap_err().to_string().lines().map(ToOwned::to_owned).collect();
    let expected = [
        "2:11: `listen` must be an IP address and a port",
        "3:1: unknown key `listne` in [server]; did you mean `listen`?",
        "4:12: upstream `tickets` needs either `url` or `builtin`",
        "5:8: `path` must begin with \"/\"",
        "6:16: `call_timeout` must be a duration with its unit",
        "8:10: `tikets/list` names no upstream of this file; did you mean `tickets`?",
        "8:25: `list` names no upstream; write it as \"upstream/name\", or \"upstream/uri\" for resources",
        "8:33: `tools` must be an array of strings, not integer",
        "9:9: `expires` is missing; add a date",
        "10:10: `sha256` must be 64 hexadecimal digits",
        "11:8: `user` must be 1 to 256 visible ASCII characters",
        "13:10: role `agnet` does not exist; did you mean `agent`?",
        "15:16: `request_body` must be a size with its unit",
        "16:13: `in_flight` must be a whole number from 1 to 1000000",
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (line, expected) in shown.iter().zip(expected) {
        assert!(line.starts_with(&format!("gateway.toml:{expected}")), "{line}");
    }
}

#[test]
fn broken_toml_is_reported_with_its_place() {
    for (text, place) in [
        ("[server", "gateway.toml:1:"),
        ("\n[tokens.a]\n[tokens.a]\n", "gateway.toml:3:"),
        ("a = \n", "gateway.toml:1:"),
        ("[roles.r]\ntools = [\"t/a\"\n", "gateway.toml:2:"),
    ] {
        let shown = read(text).unwrap_err().to_string();
        assert!(shown.starts_with(place), "{text:?}: {shown}");
    }
}

#[test]
fn what_is_absent_or_empty_grants_nothing() {
    let config = read(&format!("{UPSTREAM}[roles.r]\n{}roles = [\"r\"]\n", token(""))).unwrap();
    let token = PresentedToken::from_authorization("Bearer foo").unwrap();
    let principal = config.policy.tokens().identify(token, 0).unwrap();
    for kind in [TargetKind::Tool, TargetKind::Prompt, TargetKind::Resource] {
        let target = Target { kind, name: "docs://anything" };
        let question = Question { upstream: "t", target, now: 0, call: None, pins: None };
        let judged = principal.grants().judge(&question, &mut NoTrace);
        assert_ne!(judged.permission, Permission::Allowed, "{kind:?}");
    }
}

#[test]
fn one_secret_is_one_caller() {
    let second = token("").replace("tokens.x", "tokens.y");
    let shown = findings(&format!("{}{second}", token("")));
    assert!(shown[0].contains("tokens `x` and `y` have the same digest"), "{shown:?}");
}

#[test]
fn expiry_must_be_said_and_be_a_moment() {
    for (expires, good) in [
        ("\"never\"", true),
        ("2027-06-30", true),
        ("2027-06-30T12:00:00Z", true),
        ("2027-06-30T12:00:00+02:00", true),
        ("2027-06-30T12:00:00", false),
        ("12:00:00", false),
        ("\"Never\"", false),
        ("\"2027-06-30\"", false),
        ("1814313600", false),
    ] {
        let text = token("").replace("\"never\"", expires);
        assert_eq!(findings(&text).is_empty(), good, "{expires}: {:?}", findings(&text));
    }
    let dated = token("").replace("\"never\"", "2027-06-30");
    let config = read(&format!("{UPSTREAM}{dated}")).unwrap();
    let foo = PresentedToken::from_authorization("Bearer foo").unwrap();
    let midnight = 1_814_313_600;
    assert!(config.policy.tokens().identify(foo, midnight - 1).is_ok());
    assert!(config.policy.tokens().identify(foo, midnight).is_err());
}

#[test]
fn a_listener_that_others_reach_needs_tls_or_a_word() {
    let open = "[server]\nlisten = [\"0.0.0.0:8080\"]\npublic_url = \"http://gw:8080\"\n";
    let shown = findings(&format!("{open}{}", token("")));
    assert!(shown[0].contains("no [server.tls]"), "{shown:?}");
    let said = findings(&format!("{open}plaintext = \"behind-proxy\"\n{}", token("")));
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn on_a_wildcard_address_the_file_says_which_hosts_are_ours() {
    let open = "[server]\nlisten = [\"0.0.0.0:80\"]\nplaintext = \"behind-proxy\"\n";
    let shown = findings(&format!("{open}{}", token("")));
    assert!(shown[0].contains("no `Host` would be ours"), "{shown:?}");
    let said = findings(&format!("{open}allowed_hosts = [\"gw\"]\n{}", token("")));
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn the_public_demo_tokens_stay_on_loopback() {
    let shipped = include_str!("../../gateway.toml").replace(
        "listen          = [\"127.0.0.1:8080\"]",
        "listen = [\"0.0.0.0:8080\"]\nplaintext = \"behind-proxy\"",
    );
    let shown = read(&shipped).unwrap_err().to_string();
    assert_eq!(shown.matches("is the public demo token").count(), 2, "{shown}");
}

#[test]
fn an_assertion_is_signed_with_a_key_that_the_upstream_can_check() {
    let with = |table: &str| findings(&format!("[identity]\nassertion = {table}\n{}", token("")));
    for (table, said) in [
        ("{}", "`key_file` is missing"),
        ("{ key_file = \"Cargo.toml\" }", "ES256 or EdDSA"),
        ("{ key_file = \"nowhere\" }", "cannot be read"),
        ("{ key_file = \"nowhere\", ttl = \"1h\" }", "from \"1s\" to \"10m\""),
        ("{ key_file = \"nowhere\", header = \"X-User-ID\" }", "a header of its own"),
        ("{ key = \"x\" }", "unknown key `key`"),
    ] {
        let shown = with(table);
        assert!(shown.iter().any(|line| line.contains(said)), "{table}: {shown:?}");
    }
}

#[test]
fn urls_and_paths_are_what_they_say() {
    for url in ["127.0.0.1:9", "ftp://h/", "http://user@h/", "http://h/?q=1", "http://"] {
        let text = UPSTREAM.replace("http://127.0.0.1:9/mcp", url);
        assert!(read(&text).is_err(), "{url}");
    }
    for path in ["", "mcp", "/a b", "/a//b", "/../x", "/.well-known/x", "/a?b", "/%6dcp"] {
        let text = UPSTREAM.replace("\"/mcp\"", &format!("\"{path}\""));
        assert!(read(&text).is_err(), "{path}");
    }
    let no_roots = UPSTREAM.replace("url = ", "ca_file = \"Cargo.toml\"\nurl = ");
    assert!(read(&no_roots).unwrap_err().to_string().contains("`ca_file` holds no certificate"));
    let twice = format!("{UPSTREAM}{}", UPSTREAM.replace("upstreams.t", "upstreams.u"));
    assert!(read(&twice).unwrap_err().to_string().contains("share a path"));
}

const ISSUER: &str = "[server]\npublic_url = \"https://mcp.example.com\"\n[issuers.corp]\n\
    issuer = \"https://login.example.com\"\njwks_url = \"https://login.example.com/certs\"\n\
    organization = \"acme\"\nroles = [\"r\"]\n[roles.r]\n";

#[test]
fn an_issuer_that_could_be_somebody_else_is_refused() {
    assert!(findings(ISSUER).is_empty(), "{:?}", findings(ISSUER));
    for (from, to, said) in [
        ("public_url = \"https://mcp.example.com\"", "", "`public_url` is missing"),
        ("https://login.example.com/certs", "http://login.example.com/certs", "https://"),
        ("https://login.example.com/certs", "https://u@login.example.com/certs", "no user name"),
        ("https://login.example.com/certs", "file:///certs", "is not a URL"),
        ("jwks_url", "jwks_file", "cannot be read"),
        ("jwks_url = \"https://login.example.com/certs\"\n", "", "either `jwks_url`"),
        ("organization = \"acme\"", "", "either `organization_claim`"),
        ("organization = \"acme\"", "organization = \"a, b\"", "`organization` must be"),
        ("organization =", "algorithms = [\"HS256\"]\norganization =", "RS256"),
        ("organization =", "algorithms = [\"none\"]\norganization =", "RS256"),
        ("organization =", "algorithms = []\norganization =", "is empty"),
        (
            "organization =",
            "algorithms = [\"Ed25519\", \"Ed448\"]\norganization =",
            "Ed448 is one, which doorward cannot verify",
        ),
        ("organization =", "leeway = \"61s\"\norganization =", "from \"0s\" to \"60s\""),
        ("roles = [\"r\"]", "roles = [\"x\"]", "role `x` does not exist"),
        ("organization =", "roles_map = { a = \"x\" }\norganization =", "role `x` does not"),
        ("organization =", "roles_map = { a = 7 }\norganization =", "a table of strings"),
        ("organization =", "scopes = { \"a b\" = [] }\norganization =", "is not a scope"),
        ("organization =", "scopes = { a = [\"x/y\"] }\norganization =", "names no upstream"),
        ("organization =", "scopes = { a = { tolls = [] } }\norganization =", "unknown key"),
        ("organization =", "scopes = { a = { ask = \"a b\" } }\norganization =", "is not a scope"),
        ("organization =", "scopes = { a = { ask = \"\" } }\norganization =", "is not a scope"),
        ("organization =", "scopes = { a = { ask = [] } }\norganization =", "a string in quotes"),
        ("organization =", "upstreams = [\"x\"]\norganization =", "upstream `x` does not exist"),
        ("organization =", "user_claim = \"/a~b\"\norganization =", "no JSON pointer"),
        ("organization =", "user_claim = \"/a/~2\"\norganization =", "no JSON pointer"),
        ("organization =", "user_claim = \"\"\norganization =", "`user_claim` is empty"),
        ("organization =", "roles_claim = \"/x~\"\norganization =", "no JSON pointer"),
        ("organization = \"acme\"", "organization_claim = \"/~\"", "no JSON pointer"),
    ] {
        let text = ISSUER.replace(from, to);
        assert_ne!(text, ISSUER, "{from}");
        let shown = findings(&text);
        assert!(shown.iter().any(|line| line.contains(said)), "{to}: {shown:?}");
    }
    let twice = format!(
        "{ISSUER}[issuers.again]\nissuer = \"https://login.example.com\"\norganization = \"b\"\n\
         jwks_url = \"https://[::1]/certs\"\n"
    );
    assert!(findings(&twice)[0].contains("has the same `issuer`"));
    for good in ["http://127.0.0.1:9/c?x=1", "http://localhost/c", "http://[::1]:8/c"] {
        assert!(findings(&ISSUER.replace("https://login.example.com/certs", good)).is_empty());
    }
}

#[test]
fn an_at_sign_is_a_user_name_only_in_front_of_a_host() {
    let issuer = "[server]\npublic_url = 'https://m.example'\n[issuers.i]\norganization = 'o'\n";
    let with = |text: &str, url: &str| findings(&text.replace('@', url));
    for text in [
        format!("{issuer}issuer = 'https://i.example'\njwks_url = '@'"),
        format!("{issuer}jwks_url = 'https://i.example/keys'\nissuer = '@'"),
        "[upstreams.u]\npath = '/u'\nurl = '@'".to_owned(),
    ] {
        for url in [
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            "https://i.example:8443/@keys",
            "http://localhost/a@b/",
        ] {
            assert!(read(&format!("{UPSTREAM}{}", text.replace('@', url))).is_ok(), "{text} {url}");
        }
        for url in ["https://u@i.example/keys", "https://u:p@i.example", "https://@i.example/a@b"] {
            let found = with(&text, url);
            assert!(found.iter().any(|line| line.contains("user name")), "{text} {url}: {found:?}");
        }
    }
    let keys =
        format!("{issuer}issuer = 'https://i.example'\njwks_url = 'https://i.example/k?of=a@b'");
    let found = findings(&keys);
    assert!(found.iter().all(|line| !line.contains("user name")), "{found:?}");
}

#[test]
fn a_token_has_one_digest_from_one_place() {
    let digest = DIGEST;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(folder.path().join("digest"), format!("{digest}\n")).unwrap();
    std::fs::write(folder.path().join("short"), "abc").unwrap();
    let with = |line: &str| {
        let text = token("").replace(&format!("sha256 = \"{digest}\""), line);
        assert!(text.contains(line), "{text}");
        let parsed = parse(&path, &format!("{UPSTREAM}{text}"));
        parsed.map(|config| config.policy.tokens().len()).map_err(|e| e.to_string())
    };
    assert_eq!(with("sha256_file = \"digest\""), Ok(1));
    for (line, said) in [
        ("sha256_file = \"short\"", "64 hexadecimal digits"),
        ("sha256_file = \"nowhere\"", "cannot be read"),
        ("sha256_env = \"DOORWARD_TEST_NOT_SET\"", "which is not set"),
        ("", "needs one of"),
        ("sha256_file = \"digest\"\nsha256 = \"x\"", "needs one of"),
    ] {
        let shown = with(line).unwrap_err();
        assert!(shown.contains(said), "{line}: {shown}");
    }
}

#[test]
fn a_credential_of_an_upstream_has_one_source_and_one_line() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    for (name, text) in [("good", "abc def\n"), ("empty", "\n"), ("two", "a\nb\n"), ("umlaut", "ä")]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let with = |credential: &str| {
        let text = UPSTREAM.replace("url = ", &format!("credential = {credential}\nurl = "));
        let config = parse(&path, &text).map_err(|e| e.to_string())?;
        let credential = config.settings.upstreams[0].credential.clone().unwrap();
        let shown = format!("{credential:?}");
        assert!(!shown.contains("abc"), "{shown}");
        Ok((credential.name.to_string(), credential.value.to_str().unwrap().to_owned()))
    };
    let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
    assert_eq!(with("{ bearer_file = \"good\" }"), pair("authorization", "Bearer abc def"));
    assert_eq!(with("{ header = \"X-Key\", file = \"good\" }"), pair("x-key", "abc def"));
    let basic = "{ header = \"Authorization\", file = \"good\" }";
    assert_eq!(with(basic), pair("authorization", "abc def"));
    for (credential, said) in [
        ("{}", "needs either `bearer_file`"),
        ("{ header = \"X-Key\" }", "needs either `file`"),
        ("{ bearer_file = \"good\", bearer_env = \"PATH\" }", "needs either"),
        ("{ bearer_file = \"empty\" }", "is empty"),
        ("{ bearer_file = \"two\" }", "one line"),
        ("{ bearer_file = \"umlaut\" }", "visible ASCII"),
        ("{ bearer_env = \"DOORWARD_TEST_NOT_SET\" }", "which is not set"),
        ("{ bearer = \"abc\" }", "unknown key `bearer`"),
        ("{ header = \"X-User-ID:\", file = \"good\" }", "header name"),
        ("{ header = \"x-user-id\", file = \"good\" }", "carries an identity"),
        ("{ header = \"Host\", file = \"good\" }", "its own meaning"),
        ("\"abc\"", "must be a table"),
    ] {
        let shown: String = with(credential).unwrap_err();
        assert!(shown.contains(said), "{credential}: {shown}");
    }
}

/// What is said of a good file with these lines behind it.
fn with(lines: &str) -> String {
    let role = "[roles.reader]\ntools = [\"t/echo\"]\n";
    let alice = token("roles = [\"reader\"]\n").replace("tokens.x", "tokens.alice");
    match read(&format!("{UPSTREAM}{role}{alice}{lines}")) {
        Ok(config) => format!("good: {}", config.warnings.without_advice()),
        Err(findings) => findings.to_string(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
fn a_condition_that_makes_no_sense_is_an_error_with_its_line() {
    for (lines, said) in [
        (
            "[tools.\"t/echo\"]\narguments.priority = { in = [\"a\"] }",
            "must name a value by a JSON pointer",
        ),
        (
            "[tools.\"t/echo\"]\narguments.\"/a~2\" = { in = [\"a\"] }",
            "must name a value by a JSON pointer",
        ),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { is = \"a\" }", "unknown key `is`"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = {}", "nothing is asked"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { optional = true }", "nothing is asked"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = \"a\"", "must be a table like"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { in = [] }", "`in` is empty"),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [[1]] }",
            "a string, a number or a boolean",
        ),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { max = \"9\" }", "`max` must be a number"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { max = inf }", "`max` must be a number"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { regex = \"(\" }", "is not a regular expression"),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { regex = \"a{9999}{99}\" }",
            "is not a regular expression",
        ),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { glob = \"[\" }", "is not a glob"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { glob = \"*://[\" }", "is not a glob"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { url = {} }", "needs a host"),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { url = { host = \"a/b\" } }",
            "a host that is none",
        ),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\".url = { host = \"a\", port = 1 }",
            "unknown key `port`",
        ),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { equals = 9007199254740993 }",
            "no value is certainly equal to 9007199254740993",
        ),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [1, -9007199254740993] }",
            "no value is certainly equal to -9007199254740993",
        ),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { min = 2, max = 1 }",
            "no number is at least 2 and at most 1",
        ),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { absent = false }", "`absent` is false"),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { absent = true, max = 1 }",
            "leaves nothing to ask",
        ),
        ("[tools.\"t/echo\"]\nmessage = \"x\"", "there are no conditions"),
        ("[tools.\"t/echo\"]\narguments.\"/a\" = { max = 1 }\nmode = \"shadow\"", "needs an end"),
        (
            "[tools.\"t/echo\"]\narguments.\"/a\" = { max = 1 }\nuntil = 2027-01-01",
            "means nothing without",
        ),
        ("[tools.\"x/echo\"]\narguments.\"/a\" = { max = 1 }", "names no upstream"),
        ("[tools]\necho = 1", "must be a table"),
        ("[[roles.reader.when]]\narguments.\"/a\" = { max = 1 }", "`tools` is missing"),
        ("[[roles.reader.when]]\ntools = [\"t/echo\"]", "there are no conditions"),
    ] {
        let found = with(lines);
        assert!(found.contains(said), "{lines}: {found}");
        assert!(!found.contains("gateway.toml:1:1"), "{lines}: {found}");
    }
}

#[test]
fn a_condition_that_there_is_a_better_one_for_is_advised_on() {
    let advice = |condition: &str| {
        let text = format!("[tools.\"t/echo\"]\narguments.\"/a\" = {condition}");
        let token = token("tools = [\"t/echo\"]\n").replace("\"never\"", "2999-01-01");
        let config = read(&format!("{UPSTREAM}{token}{text}")).unwrap();
        assert_eq!(
            config.warnings.without_advice().to_string(),
            "",
            "{condition}: no word at the start"
        );
        config.warnings.to_string()
    };
    for (condition, said) in [
        ("{ max = 1 }", "`max` without `min`: -1 passes"),
        ("{ min = 1 }", "`min` without `max`"),
        ("{ not_in = [\"urgent\"] }", "write `in`"),
        ("{ glob = \"https://*.example.com/**\" }", "write url ="),
        ("{ equals = \"null\" }", "some servers take \"null\""),
        ("{ in = [\"a\", \"[1]\"] }", "some servers take \"[1]\""),
    ] {
        assert!(advice(condition).contains(said), "{condition}: {}", advice(condition));
    }
    for condition in [
        "{ min = 1, max = 2 }",
        "{ not_in = [7] }",
        "{ glob = \"*.md\" }",
        "{ url = { host = \"*.example.com\" } }",
        "{ url = { scheme = [\"https\", \"wss\"], host = [\"a:8443\"], path = \"/v1/*\" } }",
        "{ in = [\"low\"] }",
    ] {
        assert_eq!(advice(condition), "", "{condition}");
    }
}

#[test]
fn a_test_of_the_policy_that_fails_is_an_error_that_names_the_rule() {
    for (lines, said) in [
        ("token = \"alice\"\nallow = [\"t/echo\"]\ndeny = [\"t/other\"]", "good"),
        ("roles = [\"reader\"]\nallow = [\"t/echo\"]", "good"),
        (
            "token = \"alice\"\ndeny = [\"t/echo\"]",
            "`t/echo` is allowed for alice (allowed); decided by roles.reader.tools, gateway.toml:",
        ),
        (
            "token = \"alice\"\nallow = [\"t/other\"]",
            "`t/other` is refused for alice (no_match); no rule is about it",
        ),
        ("token = \"alice\"\nallow = [\"u/echo\"]", "names no upstream"),
        ("token = \"alcie\"\nallow = [\"t/echo\"]", "did you mean `alice`?"),
        ("roles = [\"raeder\"]\nallow = [\"t/echo\"]", "role `raeder` does not exist"),
        ("issuer = \"corp\"\nallow = [\"t/echo\"]", "issuer `corp` does not exist"),
        ("allow = [\"t/echo\"]", "it must say who calls"),
        ("token = \"alice\"\nroles = []\nallow = [\"t/echo\"]", "it must say who calls"),
        ("token = \"alice\"", "nothing is expected"),
        ("token = \"alice\"\nalow = [\"t/echo\"]\ndeny = [\"t/x\"]", "unknown key `alow`"),
        ("token = \"alice\"\nallow_prompts = [\"t/greet\"]", "`t/greet` is refused"),
    ] {
        let found = with(&format!("[[expect]]\n{lines}"));
        assert!(found.contains(said), "{lines}: {found}");
    }
    let rules = "[tools.\"t/echo\"]\narguments.\"/n\" = { max = 9 }\nmode = \"shadow\"\nuntil = 2999-01-01\n\
        [[expect]]\ntoken = \"alice\"\nallow = [\"t/echo\"]\n\
        [[expect]]\ntoken = \"alice\"\narguments = { n = 9, x = [1.5, true], at = 2027-01-01 }\nallow = [\"t/echo\"]\n\
        [[expect]]\ntoken = \"alice\"\narguments.n = 10\n";
    let found = with(&format!("{rules}deny = [\"t/echo\"]"));
    assert!(found.contains("passes for alice until 2999-01-01: what refuses it"), "{found}");
    let found = with(&format!("{rules}allow = [\"t/echo\"]"));
    assert!(
        found.contains("refused for alice (argument at /n)"),
        "tried out is not permitted: {found}"
    );
}
