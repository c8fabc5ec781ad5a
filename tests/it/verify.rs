//! `doorward token verify` of a JWT, with the real binary.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::issuer::{
    ISSUER, PUBLIC, SILENCE, Signer, Web, claims, claims_with, message, now,
};

const FILE: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\npublic_url = \"PUBLIC\"\n\
    [admin]\nlisten = \"127.0.0.1:0\"\n[limits]\nheaders = \"8KiB\"\n\
    [upstreams.t]\npath = \"/mcp\"\nurl = \"http://127.0.0.1:9/mcp\"\n\
    [upstreams.u]\npath = \"/u\"\nurl = \"http://127.0.0.1:9/u\"\n\
    [roles.reader]\ntools = [\"t/echo\"]\n\
    [issuers.corp]\nissuer = \"ISSUER\"\nKEYS\norganization_claim = \"org\"\nmax_lifetime = \"1h\"\n\
    roles_claim = \"groups\"\nroles_map = { mcp-readers = \"reader\" }\n\
    scopes = { \"t:echo\" = [\"t/echo\"] }\n";

/// What is said of `token`, and the exit code.
fn verify(signer: &Signer, keys: &str, options: &[&str], token: &str) -> (String, Option<i32>) {
    let folder = TempDir::new().unwrap();
    let text = FILE.replace("PUBLIC", PUBLIC).replace("ISSUER", ISSUER).replace("KEYS", keys);
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    let set = json!({ "keys": [signer.jwk()] }).to_string();
    std::fs::write(folder.path().join("jwks.json"), set).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["token", "verify"])
        .args(options)
        .current_dir(folder.path())
        .env_remove("DOORWARD_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(both).unwrap();
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.len() < 20 || !said.contains(signature), "it prints the token: {said}");
    (said, output.status.code())
}

const IN_FILE: &str = "jwks_file = \"jwks.json\"";

#[test]
fn a_good_jwt_is_explained_check_by_check() {
    let signer = Signer::es256("k");
    let changes = json!({"scope": "openid t:echo", "nbf": now() - 5});
    let (said, code) = verify(&signer, IN_FILE, &[], &signer.sign(&claims_with(&changes)));
    for line in [
        "form: a JWT, alg \"ES256\", kid \"k\", typ \"at+jwt\"\n",
        "issuer: corp\n",
        "signature: good\n",
        "typ: good, \"at+jwt\"\n",
        &format!("iss: good, \"{ISSUER}\"\n"),
        "exp: good, ",
        "nbf: good, ",
        "iat: good, ",
        "sub: good, \"alice\"\n",
        "org: good, \"acme\"\n",
        "roles: reader, scope t:echo\n",
        "scopes: t:echo\n",
        &format!("upstream t: aud: good, \"{PUBLIC}/mcp\"\nupstream t: taken\n"),
        &format!("upstream u: aud: bad, expected \"{PUBLIC}/u\", found \"{PUBLIC}/mcp\"\n"),
        "upstream u: refused, bad_audience\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(code, Some(0), "{said}");
}

#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
#[test]
fn of_a_jwt_that_is_refused_every_fault_is_named_and_not_the_first_alone() {
    let (signer, other) = (Signer::es256("k"), Signer::es256("k"));
    let bad = json!({
        "aud": "account", "exp": 1_700_000_000, "nbf": now() + 86_400, "sub": "a b\u{202e}",
        "org": null, "groups": ["staff"],
    });
    let header = json!({"alg": "ES256", "kid": "k", "typ": "dpop+jwt"});
    let token = other.sign_as(&header, &claims_with(&bad));
    let (said, code) = verify(&signer, IN_FILE, &[], &token);
    for line in [
        "signature: bad, the signature is not one of the issuer's key\n",
        "typ: bad, expected JWT or at+jwt or application/at+jwt, found \"dpop+jwt\"\n",
        "exp: bad, expected later than ",
        "nbf: bad, expected at most ",
        "sub: bad, expected one text of 1 to 256 ",
        "found \"a b\\u{202e}\"\n",
        "org: bad, expected one text of 1 to 256 ",
        "found nothing\n",
        "roles: groups: expected \"mcp-readers\", found [\"staff\"]\n",
        "upstream t: aud: bad, expected ",
        "upstream t: refused, bad_signature\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(code, Some(1));
    for (what, token, line) in [
        (
            "foreign",
            signer.sign(&claims_with(&json!({"iss": format!("{ISSUER}/")}))),
            format!(
                "issuer corp: iss: expected \"{ISSUER}\", found \"{ISSUER}/\": it differs by a slash at its end\n"
            ),
        ),
        (
            "no iss",
            signer.sign(&claims_with(&json!({"iss": null}))),
            format!("issuer corp: iss: expected \"{ISSUER}\", found nothing\n"),
        ),
        (
            "crit",
            signer.sign_as(&json!({"alg": "ES256", "crit": ["x"]}), &claims()),
            "form: a JWT that is not read: crit: the header has it, and doorward serves no token \
             with it\nstate: refused, malformed\n"
                .to_owned(),
        ),
        (
            "no JSON",
            "eyJ.eyJ.eyJ".to_owned(),
            "not read: header: expected base64url without padding, found something else\n"
                .to_owned(),
        ),
        (
            "encrypted",
            format!("{}.AAAA.BBBB.CCCC", message(r#"{"alg":"dir","enc":"A256GCM"}"#, "x")),
            "not read: it is encrypted (JWE, RFC 7516), and doorward cannot read it: ".to_owned(),
        ),
        (
            "none",
            signer.sign_as(&json!({"alg": "none"}), &claims()),
            "signature: bad, alg: expected RS256 or ES256, found none, which signs nothing\n"
                .to_owned(),
        ),
        (
            "long",
            signer.sign(&claims_with(&json!({"x": "x".repeat(7000)}))),
            "A request with it is a 431: limits.headers are 8192 bytes\n".to_owned(),
        ),
    ] {
        let (said, code) = verify(&signer, IN_FILE, &[], &token);
        assert!(said.contains(&line), "{what}: {said}");
        assert_eq!(code, Some(1), "{what}: {said}");
    }
}

#[test]
fn keys_on_the_web_are_asked_once_and_not_at_all_offline() {
    let signer = Signer::es256("k");
    let web = Web::serving(&[signer.jwk()]);
    let keys = format!("jwks_url = \"{}\"", web.url());
    let token = signer.sign(&claims());
    let (said, code) = verify(&signer, &keys, &["--offline"], &token);
    assert!(
        said.contains("signature: not checked: jwks_url is not asked with --offline\n"),
        "{said}"
    );
    assert!(said.contains("upstream t: taken, if the signature is good\n"), "{said}");
    assert_eq!((code, web.fetches()), (Some(1), 0));
    // With keys in a file nothing has to be asked.
    assert_eq!(verify(&signer, IN_FILE, &["--offline"], &token).1, Some(0));
    let (said, code) = verify(&signer, &keys, &[], &token);
    assert!(said.contains("signature: good\n"), "{said}");
    assert_eq!((code, web.fetches()), (Some(0), 1), "{said}");
    // Whoever sees what is fetched learns nothing of the token.
    let request = &web.server.requests()[0];
    assert!(request.values("authorization").is_empty());
    web.answers("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let (said, code) = verify(&signer, &keys, &[], &token);
    let at = web.server.address;
    assert!(said.contains(&format!("signature: not checked: head {at}: status 500\n")), "{said}");
    assert_eq!(code, Some(1), "{said}");
    web.answers(SILENCE);
    let (said, code) = verify(&signer, &keys, &[], &token);
    let why = format!("signature: not checked: head {at}: timed out after 5s\n");
    assert!(said.contains(&why), "{said}");
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_token_of_another_form_is_what_it_was() {
    let signer = Signer::es256("k");
    for token in ["abc", "abc.def", "a.b.c.d", "dw_x"] {
        let (said, code) = verify(&signer, IN_FILE, &[], token);
        assert!(said.contains("entry: none"), "{said}");
        assert_eq!(code, Some(1));
    }
}
