//! Names that look like paths or patterns, and those that only seem to.

use super::super::tests::{DIGEST, UPSTREAM, read};
use super::{is_like_pattern, meant};

/// The findings about a file with an issuer of these lines and what else stands in it.
fn found(issuer: &str, more: &str) -> Vec<String> {
    let has = |key: &str| issuer.lines().any(|line| line.starts_with(key));
    let organization = if has("organization") { "" } else { "organization = 'acme'\n" };
    let text = format!(
        "{UPSTREAM}[server]\npublic_url = 'https://mcp.example.com'\n[roles.r]\ntools = ['t/a']\n\
         [issuers.corp]\nissuer = 'https://login.example.com'\n\
         jwks_url = 'https://login.example.com/keys'\n{organization}roles = ['r']\n{issuer}\n{more}"
    );
    let findings = match read(&text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    let said =
        |f: &crate::config::Finding| format!("{} {}; {}", f.code.as_str(), f.message, f.help);
    findings.findings().iter().map(said).collect()
}

fn token(lines: &str) -> String {
    format!("[tokens.x]\nsha256 = '{DIGEST}'\nexpires = 2099-01-01\nroles = ['r']\n{lines}\n")
}

/// What is written, and what was likely meant.
const PATHS: [(&str, &str); 31] = [
    ("realm_access.roles", "/realm_access/roles"),
    ("realm_access/roles", "/realm_access/roles"),
    ("realm_access['roles']", "/realm_access/roles"),
    ("realm_access[\"roles\"]", "/realm_access/roles"),
    ("realm_access->roles", "/realm_access/roles"),
    (".realm_access.roles", "/realm_access/roles"),
    ("$.realm_access.roles", "/realm_access/roles"),
    ("$['realm_access']['roles']", "/realm_access/roles"),
    ("$.realm_access['roles'][*]", "/realm_access/roles"),
    ("@.realm_access.roles", "/realm_access/roles"),
    ("#/realm_access/roles", "/realm_access/roles"),
    ("/realm_access.roles", "/realm_access/roles"),
    ("/realm_access/roles/", "/realm_access/roles"),
    ("//realm_access/roles", "/realm_access/roles"),
    ("/realm_access/roles[*]", "/realm_access/roles"),
    ("/realm_access/roles/*", "/realm_access/roles"),
    ("realm_access.roles.*", "/realm_access/roles"),
    ("realm_access\\.roles", "/realm_access/roles"),
    (" /realm_access/roles", "/realm_access/roles"),
    ("resource_access.my-app.roles", "/resource_access/my-app/roles"),
    ("resource_access['my.app'].roles", "/resource_access/my.app/roles"),
    ("resource_access.*.roles", "/resource_access/NAME/roles"),
    ("organization[0]", "/organization/0"),
    ("organization.0.id", "/organization/0/id"),
    ("act.sub", "/act/sub"),
    ("app_metadata.org.id", "/app_metadata/org/id"),
    ("org.name", "/org/name"),
    ("groups[*]", "groups"),
    ("groups ", "groups"),
    ("$.groups", "groups"),
    ("$['https://example.com/roles']", "https://example.com/roles"),
];

/// Names of claims as there are, and pointers to them.
const NAMES: [&str; 24] = [
    "sub",
    "groups",
    "org_id",
    "preferred_username",
    "x-hasura-default-role",
    "https://example.com/roles",
    "https://example.com/claims/org.id",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "urn:zitadel:iam:org:project:roles",
    "urn:zitadel:iam:user:resourceowner:id",
    "cognito:groups",
    "custom:org.unit",
    "example.com/roles",
    "kubernetes.io",
    "kubernetes.io/serviceaccount/namespace",
    "com.example.groups",
    "io.acme.auth.roles",
    "/groups",
    "/realm_access/roles",
    "/organization/0",
    "/resource_access/my.app/roles",
    "/kubernetes.io/namespace",
    "/https:~1~1example.com~1roles",
    "/https:~1~1example.com~1claims/roles",
];

#[test]
fn a_path_in_another_syntax_is_told_with_the_pointer_that_was_meant() {
    for (written, pointer) in PATHS {
        assert_eq!(meant(written).as_deref(), Some(pointer), "{written}");
        // What is offered is a name that is not doubted.
        assert_eq!(meant(pointer), None, "{pointer}");
    }
    for name in NAMES {
        assert_eq!(meant(name), None, "{name}");
    }
}

#[test]
fn every_name_of_a_claim_that_is_a_path_is_warned_of() {
    for key in ["user_claim", "organization_claim", "roles_claim"] {
        let lines = |name: &str| {
            let map = if key == "roles_claim" { "\nroles_map = { g = 'r' }" } else { "" };
            format!("{key} = {}{map}", serde_json::Value::from(name))
        };
        for (written, pointer) in PATHS {
            let all = found(&lines(written), "");
            let expected = format!("perhaps \"{pointer}\"");
            assert!(
                all.len() == 1 && all[0].starts_with("DW0125 ") && all[0].ends_with(&expected),
                "{key} {written}: {all:?}"
            );
        }
        for name in NAMES {
            assert_eq!(found(&lines(name), ""), [""; 0], "{key} {name}");
        }
        let all = found(&lines("*_claim"), "");
        assert!(all.len() == 1 && all[0].contains("is no wildcard"), "{all:?}");
    }
}

#[test]
fn a_claim_of_a_test_that_is_named_by_a_path_is_warned_of() {
    let claims = "roles_claim = '/realm_access/roles'\nroles_map = { g = 'r' }";
    let expecting = |claims: &str| {
        format!(
            "[[expect]]\nissuer = 'corp'\nclaims = {{ sub = 'a', {claims} }}\nallow = ['t/a']\n"
        )
    };
    for name in ["'realm_access.roles'", "'/realm_access/roles'", "'$.realm_access.roles'"] {
        let all = found(claims, &expecting(&format!("{name} = ['g']")));
        let said = "claims lie in one another as in the token: realm_access.roles = …";
        assert!(
            all.len() == 1 && all[0].starts_with("DW0125") && all[0].ends_with(said),
            "{name}: {all:?}"
        );
    }
    for name in ["realm_access.roles", "'https://example.com/roles'", "groups"] {
        let all = found(claims, &expecting(&format!("{name} = ['g']")));
        assert_eq!(all, [""; 0], "{name}");
    }
}

#[test]
fn what_looks_like_a_pattern_and_is_compared_as_it_stands_is_told() {
    let issuer = |line: &str| (line.to_owned(), String::new());
    let of_token = |lines: &str| (String::new(), token(lines));
    let who = "user = 'a'\norganization = 'o'";
    let mapped =
        |group: &str| issuer(&format!("roles_claim = 'groups'\nroles_map = {{ '{group}' = 'r' }}"));
    let asking = |line: &str| {
        let rule = format!("[tools.'t/a']\narguments.{line}\n");
        (String::new(), format!("{}{rule}", token(who)))
    };
    let accepting =
        |at: &str| (String::new(), format!("{}[check]\naccept = ['{at}']\n", token(who)));
    for ((lines, more), code) in [
        (mapped("team-*"), Some("DW0120")),
        (mapped("repo:acme/*:ref:refs/heads/main"), Some("DW0120")),
        (mapped("team-[0-9]"), Some("DW0120")),
        (mapped("team-{a,b}"), Some("DW0120")),
        (mapped("^team-.+"), Some("DW0120")),
        (mapped("team-a"), None),
        (mapped("[EU] Sales"), None),
        (mapped("{8c1d6b1e-0c3a-4a8e-9d7b-2f1f6d1f0a11}"), None),
        (mapped("CN=Ops (EU),OU=Groups,DC=acme,DC=com"), None),
        (mapped("ACME\\PC-7$"), None),
        (mapped("What is new?"), None),
        (mapped("C++"), None),
        (issuer("scopes = { 'tickets:*' = ['t/a'] }"), Some("DW0120")),
        (issuer("scopes = { a = { tools = ['t/a'], ask = 'api://x/*' } }"), Some("DW0120")),
        (issuer("scopes = { 'tickets:read' = ['t/a'], 'api://x/.default' = ['t/a'] }"), None),
        (issuer("audience = ['https://mcp.example.com/*']"), Some("DW0120")),
        (issuer("audience = ['api://{a,b}']"), Some("DW0120")),
        (issuer("audience = ['https://mcp.example.com/mcp', 'urn:acme:mcp']"), None),
        (issuer("organization = '*'"), Some("DW0120")),
        (issuer("organization = 'acme-{1}'"), None),
        (of_token("user = '*'\norganization = 'o'"), Some("DW0120")),
        (of_token("user = 'a'\norganization = 'acme-*'"), Some("DW0120")),
        (of_token("user = '[a-b]'\norganization = '[x]'"), None),
        (asking("'/a' = { in = ['docs/*'] }"), Some("DW0116")),
        (asking("'/a' = { equals = '*.md' }"), Some("DW0116")),
        (asking("'/a' = { in = ['*', '* * * * *', 'SELECT * FROM t', 'a(*)', '2*3'] }"), None),
        (asking("'/a' = { glob = 'docs/*' }"), None),
        (asking("'/a/*' = { in = ['x'] }"), Some("DW0120")),
        (asking("'/a/*/b' = { in = ['x'] }"), Some("DW0120")),
        (asking("'/a/-' = { in = ['x'] }"), Some("DW0120")),
        (asking("'/a[*]' = { in = ['x'] }"), Some("DW0120")),
        (asking("'/a[0]/b' = { in = ['x'] }"), Some("DW0120")),
        (asking("'/a/0/b' = { in = ['x'] }"), None),
        (asking("'/filter[org]' = { in = ['x'] }"), None),
        (accepting("DW0107 tokens.*"), Some("DW0120")),
        (accepting("DW0107 tokens.x"), None),
    ] {
        let all = found(&lines, &more);
        let is_it = match code {
            None => all.is_empty(),
            Some(code) => all.len() == 1 && all[0].starts_with(code),
        };
        assert!(is_it, "{lines}{more}: {code:?} {all:?}");
    }
    let refused = asking("'/a' = { not_in = ['admin*'] }");
    let all = found(&refused.0, &refused.1);
    assert!(all.iter().any(|said| said.contains("what it matches as a glob passes")), "{all:?}");
    for (san, is_told) in [
        ("uri:spiffe://acme/*", true),
        ("email:*@acme.example", true),
        ("dns:a-*.acme.example", true),
        ("dns:*.acme.example", false),
        ("uri:spiffe://acme/a", false),
    ] {
        let all = found("", &token(&format!("{who}\nsan = '{san}'")));
        let told = all.iter().any(|said| said.starts_with("DW0120"));
        assert_eq!(told, is_told, "{san}: {all:?}");
    }
}

/// Where a wildcard is refused, nothing more need be said.
#[test]
fn where_else_a_wildcard_looks_natural_it_is_an_error() {
    for (line, more) in [
        ("audience = ['*']", ""),
        ("upstreams = ['*']", ""),
        ("algorithms = ['RS*']", ""),
        ("roles_claim = 'g'\nroles_map = { g = '*' }", ""),
        ("", "[upstreams.u]\npath = '/u/*'\nurl = 'http://127.0.0.1:9/u'\n"),
        ("", "[upstreams.u]\npath = '/u'\nurl = 'http://*.example.com/u'\n"),
        ("", "[upstreams.'u*']\npath = '/u'\nurl = 'http://127.0.0.1:9/u'\n"),
        (
            "",
            "[tools.'t/a']\narguments.'/u' = { url = { scheme = 'http*', host = 'a.example' } }\n",
        ),
        ("", "[[expect]]\ntoken = '*'\nallow = ['t/a']\n"),
        ("", "[[expect]]\nroles = ['*']\nallow = ['t/a']\n"),
        ("", "[identity]\nuser_header = 'X-*'\n"),
        (
            "",
            "[issuers.o]\nissuer = 'https://o.example.com/*'\njwks_url = 'https://o.example.com'\norganization = 'o'\n",
        ),
        (
            "",
            "[issuers.o]\nissuer = 'https://*.example.com'\njwks_url = 'https://o.example.com'\norganization = 'o'\n",
        ),
    ] {
        let has_error = found(line, more).iter().any(|said| said.starts_with("DW00"));
        assert!(has_error, "{line}{more}: {:?}", found(line, more));
    }
    for line in ["listen = ['*:8080']", "allowed_hosts = ['*']", "allowed_origins = ['https://*']"]
    {
        assert!(read(&format!("{UPSTREAM}[server]\n{line}\n")).is_err(), "{line}");
    }
}

#[test]
fn brackets_of_a_text_are_no_class() {
    for (text, is_pattern) in
        [("a[0-9]", true), ("[a-zA-Z]x", true), ("[a - b]", false), ("[north-east team]", false)]
    {
        assert_eq!(is_like_pattern(text), is_pattern, "{text}");
    }
}
