//! Settings that do nothing, each beside one that does something and is not told.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::Code;

const BASE: &str = r#"
[server]
public_url = "https://gw.example"
@server
[upstreams.t]
path = "/t"
url = "https://127.0.0.1:9/mcp"
@t
[upstreams.u]
path = "/u"
url = "http://127.0.0.1:8/mcp"
[roles.r]
tools = ["t/echo"]
@r
[roles.d]
tools = ["u/x"]
[tokens.a]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "ann"
organization = "o"
roles = ["r", "d"]
expires = 2999-01-01
"#;

const KEYS: [(&str, &str); 3] = [
    (
        "ec.jwks",
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    ),
    (
        "ed.jwks",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    ),
    (
        "other.jwks",
        r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    ),
];

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    KEYS.iter().for_each(|(name, text)| write(name, text));
    let named = |name: &str| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut root = named("root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    write("ca.crt", &root.pem());
    let key = KeyPair::generate().unwrap();
    let leaf = named("leaf").signed_by(&key, &root).unwrap().pem();
    write("leaf.crt", &leaf);
    let mut explicit = named("leaf");
    explicit.is_ca = IsCa::ExplicitNoCa;
    write("explicit.crt", &explicit.signed_by(&key, &root).unwrap().pem());
    write("chain.crt", &(leaf + &root.pem()));
    let own = KeyPair::generate().unwrap();
    write("self.crt", &named("self").self_signed(&own).unwrap().pem());
    write("self.key", &own.serialize_pem());
    folder
}

/// The finding of these codes for a file with these lines: below the head of a table that is in
/// BASE, or behind all.
fn found(folder: &TempDir, lines: &str) -> Vec<(Code, String)> {
    let mut text = BASE.to_owned();
    let (place, rest) = lines.split_once(' ').unwrap();
    match place {
        "@" => text += rest,
        place => text = text.replace(&format!("{place}\n"), &format!("{rest}\n")),
    }
    let text: String =
        text.lines().filter(|l| !l.starts_with('@')).map(|l| format!("{l}\n")).collect();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, &text).unwrap();
    let config = super::load(&path).unwrap_or_else(|findings| panic!("{text}\n{findings}"));
    let codes = [Code::Useless, Code::Nothing, Code::IdleIssuer, Code::IssuerSlash, Code::Never];
    let all = config.warnings.findings().iter().filter(|found| codes.contains(&found.code));
    all.map(|found| (found.code, format!("{}; {}", found.message, found.help))).collect()
}

/// Rows with what is told, of which each finding must have a part, in order.
fn check(rows: &[(&str, &[&str])]) {
    let folder = folder();
    let mut wrong = Vec::new();
    for (lines, told) in rows {
        let found = found(&folder, lines);
        let fits = |((code, said), wanted): (&(Code, String), &&str)| {
            format!("{} {said}", code.as_str()).contains(*wanted)
        };
        if found.len() != told.len() || !found.iter().zip(*told).all(fits) {
            wrong.push(format!("{lines}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn settings_of_records_that_are_not_made_are_told() {
    check(&[
        ("@ [audit]\nto = 'off'", &[]),
        ("@ [audit]\nto = 'off'\nfile = 'a'", &["DW0103 `file` means nothing"]),
        ("@ [audit]\nto = 'off'\non_failure = 'deny'", &["`on_failure` means nothing"]),
        ("@ [audit]\nto = 'off'\narguments = 'full'", &["`arguments` means nothing"]),
        ("@ [audit]\nto = 'off'\nredact = ['x']", &["`redact` means nothing"]),
        (
            "@ [audit]\nto = 'off'\narguments = 'full'\nredact = ['x']",
            &["`arguments` means", "`redact` means"],
        ),
        ("@ [audit]\narguments = 'full'\nredact = ['x']\non_failure = 'count'", &[]),
    ]);
}

#[test]
fn a_word_about_plaintext_beside_tls_is_told() {
    let tls = "[server.tls]\ncert_file = 'self.crt'\nkey_file = 'self.key'";
    check(&[
        (
            &format!("@server plaintext = 'behind-proxy'\n{tls}"),
            &["DW0103 `plaintext` means nothing"],
        ),
        ("@server plaintext = 'behind-proxy'", &[]),
        (&format!("@server {tls}"), &[]),
    ]);
}

#[test]
fn a_certificate_that_nothing_chains_to_is_told_where_an_authority_is_meant() {
    let tls = "[server.tls]\ncert_file = 'self.crt'\nkey_file = 'self.key'\nclient_ca_file =";
    let issuer = "[issuers.i]\nissuer = 'https://i.example'\njwks_url = 'https://i.example/k'\n\
                  organization = 'p'\nroles = ['r']\nca_file =";
    for head in [format!("@server {tls}"), "@t ca_file =".to_owned(), format!("@ {issuer}")] {
        let row = |file: &str| format!("{head} '{file}'");
        check(&[
            (&row("leaf.crt"), &["DW0129 no certificate in `c"]),
            (&row("explicit.crt"), &["DW0129"]),
            (&row("ca.crt"), &[]),
            (&row("chain.crt"), &[]),
            // Good for the holder of that very one.
            (&row("self.crt"), &[]),
        ]);
    }
}

#[test]
fn an_issuer_that_gives_nobody_anything_is_told() {
    let with = |lines: &str| {
        let keys = if lines.contains("jwks") { "" } else { "jwks_url = 'https://i.example/k'\n" };
        format!("@ [issuers.i]\nissuer = 'https://i.example'\norganization = 'p'\n{keys}{lines}")
    };
    let rows: &[(&str, &[&str])] = &[
        ("", &["DW0127 issuer `i` gives nobody any right"]),
        ("roles = []", &["DW0127"]),
        ("roles = ['r']", &[]),
        ("roles_claim = 'groups'", &["DW0113 `roles_claim` gives nothing"]),
        ("upstreams = []", &["DW0113 `upstreams` is empty"]),
        ("scopes.x = ['t/echo']", &[]),
        ("scopes.x = []", &["DW0113 scope `x` gives nothing"]),
        ("scopes.x = {}", &["DW0113 scope `x` gives nothing"]),
        ("scopes.x = { ask = 'api://x/x' }\nroles = ['r']", &[]),
        ("scopes.x = { roles = ['r'] }", &[]),
        ("scopes.openid = []\nroles = ['r']", &[]),
        ("upstreams = ['t']\nscopes.x = ['t/a', 'u/b']", &["DW0113 `u/b` gives nothing here"]),
        ("upstreams = ['t']\nscopes.x = ['*/b']", &[]),
        ("upstreams = ['t', 'u']\nscopes.x = ['t/a', 'u/b']", &[]),
        ("upstreams = ['t']\nscopes.x = { prompts = ['u/b'] }", &["`u/b` gives nothing here"]),
        ("upstreams = ['t']\nroles = ['d']", &["role `d` gives nothing here"]),
        ("upstreams = ['t']\nroles = ['r', 'd']", &["role `d` gives nothing here"]),
        (
            "upstreams = ['u']\nroles_claim = 'g'\nroles_map = { a = 'r', b = 'd' }",
            &["role `r` gives nothing here"],
        ),
        ("roles = ['r']\njwks_file = 'ec.jwks'\nalgorithms = ['RS256']", &["DW0127 no key in"]),
        ("roles = ['r']\njwks_file = 'ec.jwks'\nalgorithms = ['RS256', 'ES384']", &["for ES256;"]),
        ("roles = ['r']\njwks_file = 'ec.jwks'", &[]),
        ("roles = ['r']\njwks_file = 'ec.jwks'\nalgorithms = ['ES256', 'RS256']", &[]),
        ("roles = ['r']\njwks_file = 'other.jwks'\nalgorithms = ['ES384']", &["DW0127"]),
        ("roles = ['r']\njwks_file = 'ed.jwks'", &["for RS256, ES256"]),
        ("roles = ['r']\njwks_file = 'ed.jwks'\nalgorithms = ['EdDSA']", &[]),
        (
            "roles = ['r']\njwks_url = 'https://i.example/.well-known/openid-configuration'",
            &["DW0127 `jwks_url` is where metadata lie"],
        ),
        (
            "roles = ['r']\njwks_url = 'https://i.example/x/.well-known/openid-configuration?a=b'",
            &["DW0127"],
        ),
        (
            "roles = ['r']\njwks_url = 'https://i.example/.well-known/oauth-authorization-server/x'",
            &["DW0127"],
        ),
        ("roles = ['r']\njwks_url = 'https://i.example/.well-known/jwks.json'", &[]),
        (
            "roles = ['r']\njwks_url = 'https://i.example/.well-known/openid-configuration/jwks'",
            &[],
        ),
    ];
    let rows: Vec<(String, &[&str])> = rows.iter().map(|(row, told)| (with(row), *told)).collect();
    check(&rows.iter().map(|(row, told)| (row.as_str(), *told)).collect::<Vec<_>>());
}

#[test]
fn an_issuer_with_another_end_than_its_provider_writes_is_told() {
    let told: &[&str] = &["DW0128"];
    let uuid = "11111111-1111-1111-1111-111111111111";
    for (issuer, has_slash) in [
        ("https://acme.auth0.com", true),
        ("https://acme.eu.auth0.com", true),
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc", false),
        ("https://sso.example/realms/acme", false),
        ("https://sso.example/auth/realms/acme", false),
        ("https://acme.okta.com", false),
        ("https://acme.okta.com/oauth2/default", false),
        ("https://acme.oktapreview.com/oauth2/aus1", false),
        (&format!("https://login.microsoftonline.com/{uuid}/v2.0"), false),
        (&format!("https://sts.windows.net/{uuid}"), true),
    ] {
        for (end, is_slash) in [("", false), ("/", true)] {
            let lines = format!(
                "@ [issuers.i]\nissuer = '{issuer}{end}'\njwks_url = 'https://i.example/k'\n\
                 organization = 'p'\nroles = ['r']"
            );
            check(&[(&lines, if has_slash == is_slash { &[] } else { told })]);
        }
    }
    for issuer in ["https://login.example", "https://login.example/", "https://login.example/x/"] {
        let lines = format!(
            "@ [issuers.i]\nissuer = '{issuer}'\njwks_url = 'https://i.example/k'\n\
             organization = 'p'\nroles = ['r']"
        );
        check(&[(&lines, &[])]);
    }
}

#[test]
fn conditions_that_no_call_fulfils_together_are_told() {
    let when = |tool: &str, asked: &str| {
        format!("[[roles.r.when]]\ntools = ['{tool}']\narguments.'/v' = {{ {asked} }}\n")
    };
    let pair =
        |one: &str, other: &str| format!("@r {}{}", when("t/echo", one), when("t/echo", other));
    let told: &[&str] = &["DW0129 no call of `t/echo` passes"];
    for (one, other) in [
        ("min = 0, max = 5", "min = 10, max = 20"),
        ("in = ['a', 'b']", "in = ['c']"),
        ("equals = 'a'", "regex = '[b-z]'"),
        ("equals = 'a'", "not_in = ['a']"),
        ("equals = 1", "max_length = 3"),
        ("absent = true", "equals = 1"),
        ("max_items = 3", "equals_user = true"),
        ("equals = 'a', optional = true", "equals = 'b'"),
    ] {
        check(&[(&pair(one, other), told), (&pair(other, one), told)]);
    }
    for (one, other) in [
        ("min = 0, max = 5", "min = 5, max = 20"),
        ("in = ['a', 'b']", "in = ['b', 'c']"),
        ("equals = 'a'", "regex = '[a-z]'"),
        ("equals_user = true", "max_length = 9"),
        ("absent = true", "equals = 1, optional = true"),
        ("equals = 'a', optional = true", "equals = 'b', optional = true"),
    ] {
        check(&[(&pair(one, other), &[])]);
    }
    let (low, high) = ("min = 0, max = 5", "min = 10, max = 20");
    let of_all = format!("[tools.'t/echo']\narguments.'/v' = {{ {high} }}\n");
    let elsewhere = when("u/x", high).replace("roles.r", "roles.d");
    check(&[
        (&format!("@r {}{}", when("t/echo", low), of_all), told),
        (&format!("@r {}{}", when("t/[e]cho", low), when("t/echo", high)), told),
        (&format!("@r {}", when("t/echo", low) + &when("t/echo", high).replace("/v", "/w")), &[]),
        // Whoever has both may call by either.
        (&format!("@ {}{elsewhere}", when("t/echo", low)), &[]),
    ]);
}
