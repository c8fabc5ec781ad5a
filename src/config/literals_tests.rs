//! Names that look like paths, and those that only seem to.

use super::super::tests::{UPSTREAM, read};
use super::meant;

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
