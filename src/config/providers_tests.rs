//! Issuers that promise more than they can hold.

use super::tests::{UPSTREAM, read, token};
use super::{Code, Severity};

/// What is found in a file with an issuer of these lines, with the codes and places.
fn found(issuer: &str, lines: &str, more: &str) -> Vec<(Severity, Code, String)> {
    let organization =
        if lines.contains("organization") { "" } else { "organization = \"acme\"\n" };
    let text = format!(
        "{UPSTREAM}[server]\npublic_url = \"https://mcp.example.com\"\n[roles.r]\n[roles.q]\n\
         [issuers.corp]\nissuer = \"{issuer}\"\njwks_url = \"https://keys.example.com\"\n\
         {organization}{lines}\n{more}"
    );
    let findings = match read(&text) {
        Ok(config) => config.warnings,
        Err(findings) => findings,
    };
    let said = |f: &super::Finding| {
        let (line, _) = findings.position(f);
        (f.severity, f.code, format!("{line}: {}; {}", f.message, f.help))
    };
    // Many of these give nobody anything, which is not what they are about.
    let about = |f: &&super::Finding| ![Code::IdleIssuer, Code::IssuerSlash].contains(&f.code);
    findings.findings().iter().filter(about).map(said).collect()
}

fn codes(issuer: &str, lines: &str) -> Vec<&'static str> {
    found(issuer, lines, "").into_iter().map(|(_, code, _)| code.as_str()).collect()
}

const CORP: &str = "https://login.example.com/realms/corp";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

#[test]
fn an_issuer_of_the_whole_world_gives_no_rights_to_everybody() {
    for issuer in [
        GITHUB,
        "https://token.actions.githubusercontent.com/",
        "https://Token.Actions.GitHubUserContent.com",
        "https://token.actions.githubusercontent.com:443",
        "https://accounts.google.com",
        "https://gitlab.com",
        "https://appleid.apple.com",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
        "https://app.terraform.io",
        "https://agent.buildkite.com",
    ] {
        assert_eq!(codes(issuer, "roles = [\"r\"]"), ["DW0019"], "{issuer}");
        let mapped = "roles = [\"r\"]\nroles_claim = \"sub\"\nroles_map = { a = \"q\" }";
        assert!(codes(issuer, mapped).contains(&"DW0019"), "{issuer}");
        let none: [&str; 0] = [];
        assert_eq!(codes(issuer, ""), none, "{issuer}");
        assert_eq!(codes(issuer, "roles = []"), none, "{issuer}");
    }
    let [(severity, _, said)] = &found(GITHUB, "roles = [\"r\"]", "")[..] else { panic!() };
    assert_eq!(*severity, Severity::Error);
    assert!(said.starts_with("12: ") && said.contains("repository_owner_id"), "{said}");
}

#[test]
fn an_issuer_of_ones_own_gives_what_it_likes() {
    let none: [&str; 0] = [];
    for issuer in [
        CORP,
        "https://token.actions.githubusercontent.com/acme-enterprise",
        "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
        "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
        "https://gitlab.example.com",
        "https://accounts.google.com.example.com",
        "https://acme.eu.auth0.com/",
        "https://kubernetes.default.svc.cluster.local",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ex",
        "http://127.0.0.1:9/realms/x",
    ] {
        let lines = "roles = [\"r\"]\nroles_claim = \"ref\"\nroles_map = { a = \"q\" }";
        assert_eq!(codes(issuer, lines), none, "{issuer}");
    }
}

#[test]
fn a_claim_that_strangers_choose_is_warned_of() {
    for (claim, is_theirs) in [
        ("ref", true),
        ("environment", true),
        ("event_name", true),
        ("actor", true),
        ("/job_workflow_ref", true),
        ("repository", false),
        ("repository_owner_id", false),
        ("/repository_id", false),
        ("sub", false),
    ] {
        let lines = format!("roles_claim = \"{claim}\"\nroles_map = {{ a = \"q\" }}");
        assert_eq!(codes(GITHUB, &lines), ["DW0110"][usize::from(!is_theirs)..], "{claim}");
    }
    for claim in ["iss", "aud", "/iss"] {
        let lines = format!("roles_claim = \"{claim}\"\nroles_map = {{ a = \"q\" }}");
        assert_eq!(codes(GITHUB, &lines), ["DW0019"], "{claim}");
    }
    assert_eq!(codes(GITHUB, "scopes = { a = [\"t/echo\"] }"), ["DW0110"]);
    assert_eq!(codes("https://accounts.google.com", "scopes = {}"), [""; 0]);
}

#[test]
fn with_entra_a_scope_that_clients_or_tokens_never_have_is_doubted() {
    const V2: &str = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0";
    const V1: &str = "https://sts.windows.net/11111111-1111-1111-1111-111111111111/";
    for (scopes, codes_of_entra) in [
        (r#"{ "tickets.write" = ["t/echo"] }"#, &["DW0118"][..]),
        (r#"{ "api://4b1e/tickets.write" = ["t/echo"] }"#, &["DW0118"]),
        (r#"{ "https://mcp.example.com/mcp/tickets.write" = ["t/echo"] }"#, &["DW0118"]),
        (r#"{ a = { tools = ["t/echo"] }, b = ["t/echo"] }"#, &["DW0118", "DW0118"]),
        (r#"{ "tickets.write" = { tools = ["t/echo"], ask = "api://4b1e/tickets.write" } }"#, &[]),
        (r#"{ "openid" = ["t/echo"] }"#, &[]),
    ] {
        let lines = format!("scopes = {scopes}");
        for entra in [V1, V2] {
            assert_eq!(codes(entra, &lines), codes_of_entra, "{entra} {lines}");
        }
        assert_eq!(codes("https://login.example.com", &lines), [""; 0], "{lines}");
    }
    let initial = "scopes = { a = { tools = [\"t/echo\"], ask = \"api://x/a\" } }\n\
                   initial_scopes = [\"api://x/a\", \"a\", \"openid\", \"api://x/.default\"]";
    assert_eq!(codes(V2, initial), [""; 0]);
}

#[test]
fn an_issuer_that_stands_in_no_token_is_refused() {
    for (issuer, said) in [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "placeholder"),
        ("https://login.microsoftonline.com/{tid}/v2.0", "placeholder"),
        ("https://login.microsoftonline.com/${TENANT}/v2.0", "placeholder"),
        ("https://login.microsoftonline.com/%7Btenantid%7D/v2.0", "placeholder"),
        ("https://login.example.com/realms/:realm", "placeholder"),
        ("https://login.microsoftonline.com/common/v2.0", "tenant by its id"),
        ("https://login.microsoftonline.com/organizations/v2.0", "tenant by its id"),
        ("https://login.microsoftonline.com/consumers/v2.0", "tenant by its id"),
        ("https://Login.MicrosoftOnline.com/Common/v2.0", "tenant by its id"),
        ("https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0", "tenant by its id"),
        ("https://login.microsoftonline.com/v2.0", "tenant by its id"),
        ("https://login.microsoftonline.us/common", "tenant by its id"),
        ("https://sts.windows.net/common/", "tenant by its id"),
        ("https://sts.windows.net/11111111222233334444555555555555/", "tenant by its id"),
        ("https://{tenant}.example.com", "is not a URL"),
        ("https://login.example.com/.well-known/openid-configuration", "where metadata lie"),
        ("https://login.example.com/x#y", "a fragment"),
        ("https://login.example.com/x?y", "a query"),
    ] {
        let all = found(issuer, "roles = [\"r\"]", "");
        let (severity, code, text) = &all[0];
        assert_eq!((*severity, *code), (Severity::Error, Code::BadValue), "{issuer}: {all:?}");
        assert!(text.contains("`issuer` ") && text.contains(said), "{issuer}: {text}");
    }
}

#[test]
fn an_audience_that_is_not_ours_alone_is_said() {
    for (audience, code) in [
        ("https://mcp.example.com/mcp", None),
        ("api://11111111-2222-3333-4444-555555555555", None),
        ("api://default", None),
        ("urn:acme:mcp", None),
        ("11111111-2222-3333-4444-555555555555", Some("DW0112")),
        ("0oa1bcdef", Some("DW0112")),
        ("doorward", Some("DW0112")),
        ("1029.apps.googleusercontent.com", Some("DW0112")),
        ("2816@tickets", Some("DW0112")),
        (CORP, Some("DW0112")),
        ("https://login.example.com/realms/corp/", Some("DW0112")),
        ("account", Some("DW0006")),
        ("*", Some("DW0006")),
        ("", Some("DW0006")),
        ("https://graph.microsoft.com/", Some("DW0006")),
        ("00000003-0000-0000-c000-000000000000", Some("DW0006")),
    ] {
        let lines = format!("audience = [\"https://mcp.example.com/mcp\", \"{audience}\"]");
        let expected: Vec<&str> = code.into_iter().collect();
        assert_eq!(codes(CORP, &lines), expected, "{audience}");
    }
}

/// A second issuer.
fn second(lines: &str) -> String {
    format!(
        "[issuers.other]\nissuer = \"https://other.example.com\"\n\
         jwks_url = \"https://other.example.com/keys\"\n{lines}\n\
         [upstreams.u]\npath = \"/u\"\nurl = \"http://127.0.0.1:9/u\"\n"
    )
}

#[test]
fn two_sources_of_one_user_are_said() {
    let fixed = |name: &str| format!("organization = \"{name}\"\n");
    let claimed = "organization_claim = \"org\"\n".to_owned();
    let only = |upstream: &str| format!("upstreams = [\"{upstream}\"]\n");
    for (one, other, is_shared) in [
        (fixed("acme"), fixed("acme"), true),
        (fixed("acme"), fixed("beta"), false),
        (claimed.clone(), fixed("acme"), true),
        (fixed("acme"), claimed.clone(), true),
        (claimed.clone(), claimed.clone(), true),
        (fixed("acme") + &only("t"), fixed("acme") + &only("u"), false),
        (fixed("acme") + &only("t"), fixed("acme") + &only("t"), true),
        (fixed("acme") + &only("t"), fixed("acme"), true),
        (fixed("acme"), fixed("acme") + &only("u"), true),
        (fixed("acme"), fixed("acme") + "upstreams = []\n", false),
    ] {
        let all = found(CORP, &one, &second(&other));
        let shared = all.iter().filter(|(_, code, _)| *code == Code::SameUsers).count();
        assert_eq!(shared, usize::from(is_shared), "{one}{other}: {all:?}");
    }
    for (organization, rest, is_shared) in [
        (fixed("o"), "", true),
        (claimed, "", true),
        (fixed("acme"), "", false),
        (fixed("o"), "revoked = 2020-01-01\n", false),
    ] {
        let all = found(CORP, &organization, &token(rest));
        let shared = all.iter().find(|(_, code, _)| *code == Code::SameUsers);
        assert_eq!(shared.is_some(), is_shared, "{organization}{rest}: {all:?}");
        assert!(shared.is_none_or(|(_, _, said)| said.contains("like `x`")), "{all:?}");
    }
}

#[test]
fn keys_that_end_before_others_are_there_are_warned_of() {
    for (lines, code) in [
        ("", None),
        ("refresh = \"1h\"", None),
        ("refresh = \"23h\"", None),
        ("max_stale = \"11m\"", None),
        ("refresh = \"1s\"\nmax_stale = \"1100ms\"", None),
        ("refresh = \"24h\"", Some("DW0124")),
        ("max_stale = \"10m\"", Some("DW0124")),
        ("max_stale = \"5m\"", Some("DW0124")),
        ("refresh = \"1h\"\nmax_stale = \"60m\"", Some("DW0124")),
        ("refresh = \"2h\"\nmax_stale = \"90m\"", Some("DW0124")),
    ] {
        assert_eq!(codes(CORP, lines), Vec::from_iter(code), "{lines}");
    }
    let [(_, _, said)] = &found(CORP, "refresh = \"1h\"\nmax_stale = \"30m\"", "")[..] else {
        panic!()
    };
    assert!(said.starts_with("13: keys are good for 30m"), "{said}");
}

#[test]
fn what_is_only_of_keys_on_the_web_means_nothing_for_a_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
    std::fs::write(
        folder.path().join("keys.json"),
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    )
    .unwrap();
    let path = folder.path().join("gateway.toml");
    let said = |lines: &str| {
        let text = format!(
            "{UPSTREAM}[server]\npublic_url = \"https://mcp.example.com\"\n[roles.r]\n[issuers.corp]\n\
             issuer = \"{CORP}\"\norganization = \"acme\"\nroles = [\"r\"]\n{lines}\n"
        );
        let config = super::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
        let all = config.warnings.findings().iter();
        all.map(|f| format!("{} {}", f.code.as_str(), f.message)).collect::<Vec<_>>()
    };
    let file = "jwks_file = \"keys.json\"\n";
    assert_eq!(said(file), [""; 0]);
    for (key, value) in [("ca_file", "ca.pem"), ("refresh", "1h"), ("max_stale", "1m")] {
        let told = said(&format!("{file}{key} = \"{value}\""));
        let expected = format!("DW0103 `{key}` means nothing: a file is read anew when it changes");
        assert_eq!(told, [expected]);
    }
    let plain = "jwks_url = \"http://127.0.0.1:9/keys\"\nca_file = \"ca.pem\"";
    let told = said(plain);
    assert_eq!(told, ["DW0103 `ca_file` means nothing: `jwks_url` begins with http://"]);
    assert_eq!(said(&plain.replace("http:", "https:")), [""; 0]);
}
