//! Secrets and digests in files, as people and tools write them.

use super::tests::{DIGEST, UPSTREAM, token};
use super::{Code, Finding, parse, values};

#[test]
fn a_digest_is_taken_as_the_usual_tools_write_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let read = |content: &str| {
        std::fs::write(folder.path().join("sum"), content).unwrap();
        let text = token("").replace(&format!("sha256 = \"{DIGEST}\""), "sha256_file = \"sum\"");
        let config = parse(&path, &format!("{UPSTREAM}{text}")).map_err(|e| e.to_string())?;
        let digest = values::sha256(DIGEST).unwrap();
        Ok::<bool, String>(config.policy.tokens().list_one(&digest).is_some())
    };
    let upper = DIGEST.to_uppercase();
    for good in [
        DIGEST.to_owned(),
        format!("{DIGEST}  -\n"),
        format!("{DIGEST}  ci.token\n"),
        format!("{DIGEST} *ci.token\n"),
        format!("{DIGEST}  ci.token\r\n"),
        format!("{upper}  ci.token\n\n"),
        format!("{DIGEST}\tci.token\n"),
        format!("{DIGEST} ^ci.token\n"),
        format!("{DIGEST} U-\n"),
        format!("\\{DIGEST}  a\\\\b\\nc\n"),
        format!("{DIGEST}  a name (with) = signs\n"),
        format!("{DIGEST}  {}\n", "0".repeat(64)),
        format!("{DIGEST}  ci.token\0"),
        format!("\u{feff}{DIGEST}  ci.token\r\n"),
        format!("SHA256 (ci.token) = {DIGEST}\n"),
        format!("\\SHA256 (a\\\\b) = {DIGEST}\n"),
        format!("SHA2-256(ci.token)= {DIGEST}\n"),
        format!("SHA2-256(stdin)= {upper}\r\n"),
        format!("SHA256(a=b)= {DIGEST}\n"),
    ] {
        assert_eq!(read(&good), Ok(true), "{good:?}");
    }
    let (short, long) = (&DIGEST[1..], format!("{DIGEST}00"));
    for (bad, said) in [
        (String::new(), "64 hexadecimal digits"),
        (format!("{short}  ci.token"), "64 hexadecimal digits"),
        (format!("{long}  ci.token"), "64 hexadecimal digits"),
        (format!("{DIGEST}{DIGEST}  ci.token"), "64 hexadecimal digits"),
        (format!("{DIGEST}ci.token"), "64 hexadecimal digits"),
        (format!("ci.token  {DIGEST}"), "64 hexadecimal digits"),
        (format!("0x{DIGEST}"), "64 hexadecimal digits"),
        (format!("\\\\{DIGEST}"), "64 hexadecimal digits"),
        (format!("SHA512 (ci.token) = {DIGEST}{DIGEST}"), "another kind"),
        (format!("SHA512-256 (ci.token) = {DIGEST}"), "another kind"),
        (format!("SHA3-256(ci.token)= {DIGEST}"), "another kind"),
        (format!("BLAKE2b (ci.token) = {DIGEST}"), "another kind"),
        (format!("{DIGEST}  a\n{DIGEST}  b\n"), "more than one line"),
        (format!("{DIGEST}  a\n{}  b\n", "0".repeat(64)), "more than one line"),
    ] {
        let shown = read(&bad).unwrap_err();
        assert!(shown.contains(said), "{bad:?}: {shown}");
    }
}

#[test]
fn a_credential_with_what_is_put_before_it_is_doubted() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let codes = |credential: &str, secret: &str| {
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        let text = UPSTREAM.replace("url = ", &format!("credential = {credential}\nurl = "));
        let warnings = parse(&path, &text).unwrap().warnings;
        let shown = warnings.render(false);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        let of = |f: &Finding| (f.code == Code::Doubled).then_some(f.span.clone());
        let spans: Vec<_> = warnings.findings().iter().filter_map(of).collect();
        assert!(spans.iter().all(|span| &text[span.clone()] == "\"secret\""), "{shown}");
        spans.len()
    };
    let bearer = "{ bearer_file = \"secret\" }";
    let key = "{ header = \"X-Api-Key\", file = \"secret\" }";
    let authorization = "{ header = \"Authorization\", file = \"secret\" }";
    for (credential, secret, count) in [
        (bearer, "s3cr3t", 0),
        (bearer, "Bearers3cr3t", 0),
        (bearer, "bearer", 0),
        (bearer, "a:s3cr3t", 0),
        (bearer, "s3cr3t with blanks", 0),
        (bearer, "Bearer s3cr3t", 1),
        (bearer, "bearer s3cr3t\n", 1),
        (bearer, "BEARER  s3cr3t", 1),
        (bearer, "Token s3cr3t", 1),
        (bearer, "Basic s3cr3t", 1),
        (bearer, "Authorization: Bearer s3cr3t", 1),
        (bearer, "authorization:s3cr3t", 1),
        (bearer, "\"s3cr3t\"", 1),
        (bearer, "'s3cr3t'", 1),
        (bearer, "{\"access_token\": \"s3cr3t\"}", 1),
        (key, "s3cr3t", 0),
        (key, "Bearer s3cr3t", 0),
        (key, "X-Api-Key: s3cr3t", 1),
        (key, "x-api-key:s3cr3t", 1),
        (key, "Authorization: s3cr3t", 0),
        (authorization, "Bearer s3cr3t", 0),
        (authorization, "s3cr3t", 0),
        (authorization, "Bearer bearer s3cr3t", 1),
        (authorization, "Authorization: Basic s3cr3t", 1),
    ] {
        assert_eq!(codes(credential, secret), count, "{credential} {secret}");
    }
}
