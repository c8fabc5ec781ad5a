//! Records of JWTs that are refused: what they say, and what they do not repeat.

use serde_json::{Value, json};

use crate::support::issuer::{
    ISSUER, PUBLIC, Signer, claims, claims_with, header, message, now, with, with_keys,
};
use crate::support::{Call, LIST, Upstream, echo};

/// Claims, or nothing of them, and what the record must say of the token.
struct Row {
    what: &'static str,
    token: String,
    reason: &'static str,
    issuer: Option<&'static str>,
    /// What the detail holds.
    said: Vec<String>,
    /// What it must not hold.
    unsaid: &'static str,
}

fn row(what: &'static str, reason: &'static str, token: String, said: &[&str]) -> Row {
    let said = said.iter().map(|text| (*text).to_owned()).collect();
    Row { what, token, reason, issuer: Some("corp"), said, unsaid: "eyJ" }
}

#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
#[test]
fn the_record_says_expected_and_found_of_what_the_issuer_has_signed_and_of_nothing_else() {
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("k"));
    let lines = "user_claim = \"/act/name\"\nmax_lifetime = \"1h\"";
    let gateway = with_keys(&upstream, &[signer.jwk()], lines).start();
    let good = claims_with(&json!({"act": {"name": "carol"}}));
    let changed = |changes: &Value| {
        let mut claims = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    };
    let signed = |changes: Value| signer.sign(&changed(&changes));
    let typed = |kind: Value| signer.sign_as(&header(&signer, &json!({"typ": kind})), &good);
    let forged = |changes: Value| other.sign(&changed(&changes));
    let resource = format!("aud: expected \"{PUBLIC}/mcp\", found ");
    let long = "x".repeat(5000);
    let secret = signer.sign(&good);
    let far = now() + 86_400;
    let mut rows = vec![
        row("aud", "bad_audience", signed(json!({"aud": "account"})), &[&resource, "\"account\""]),
        row("no aud", "bad_audience", signed(json!({"aud": null})), &[&resource, "nothing"]),
        row(
            "aud list",
            "bad_audience",
            signed(json!({"aud": ["a", "b"]})),
            &[&resource, "[\"a\",\"b\"]"],
        ),
        row(
            "aud number",
            "bad_audience",
            signed(json!({"aud": [format!("{PUBLIC}/mcp"), 7]})),
            &[&resource, ",7]"],
        ),
        row(
            "exp",
            "expired",
            signed(json!({"exp": 1_700_000_000})),
            &[
                "exp: expected later than ",
                "30s of leeway, found 1700000000 (2023-11-14T22:13:20Z)",
            ],
        ),
        row(
            "no exp",
            "bad_claim",
            signed(json!({"exp": null})),
            &["exp: expected a number", "nothing"],
        ),
        row(
            "exp text",
            "bad_claim",
            signed(json!({"exp": "never"})),
            &["exp: expected a number", "\"never\""],
        ),
        row(
            "exp far",
            "bad_claim",
            signed(json!({"exp": far})),
            &["exp: expected at most", "3600s", &far.to_string()],
        ),
        row(
            "nbf",
            "not_yet_valid",
            signed(json!({"nbf": far})),
            &["nbf: expected at most", &far.to_string()],
        ),
        row(
            "nbf text",
            "bad_claim",
            signed(json!({"nbf": "x"})),
            &["nbf: expected a number", "\"x\""],
        ),
        row(
            "iat",
            "not_yet_valid",
            signed(json!({"iat": far})),
            &["iat: expected at most", &far.to_string()],
        ),
        row("typ", "malformed", typed(json!("dpop+jwt")), &["typ: expected JWT", "\"dpop+jwt\""]),
        row("typ number", "malformed", typed(json!(7)), &["typ: expected JWT", "found 7"]),
        row(
            "user",
            "bad_claim",
            signed(json!({"act": {"name": "a b"}})),
            &["/act/name: expected one text of 1 to 256", "found \"a b\""],
        ),
        row(
            "no user",
            "bad_claim",
            signed(json!({"act": {}})),
            &["/act/name: expected", "nothing"],
        ),
        row(
            "organization",
            "bad_claim",
            signed(json!({"org": "a,b"})),
            &["org: expected", "\"a,b\""],
        ),
        row("long", "bad_claim", signed(json!({"org": long})), &["org: expected", "xxx…"]),
        row(
            "control",
            "bad_claim",
            signed(json!({"org": "\u{1b}[2J\u{202e}"})),
            &["org: expected", "u001b[2J"],
        ),
        row(
            "a token",
            "bad_claim",
            signed(json!({"org": secret})),
            &["org: expected", "looks like a token"],
        ),
    ];
    let unsigned = |what, reason, token, said: &[&str]| Row {
        unsaid: "evil",
        ..row(what, reason, token, said)
    };
    let aud = json!({"aud": "evil", "sub": "evil", "exp": 7, "org": "evil"});
    let headed = |more: Value| other.sign_as(&header(&other, &more), &changed(&aud));
    rows.extend([
        unsigned("forged", "bad_signature", forged(aud.clone()), &["the signature is not"]),
        unsigned(
            "kid",
            "unknown_key",
            headed(json!({"kid": "evil"})),
            &["kid: expected one of 1 keys of the issuer, found another"],
        ),
        unsigned(
            "alg",
            "bad_signature",
            headed(json!({"alg": "evil"})),
            &["alg: expected RS256 or ES256 or EdDSA (Ed25519), found another"],
        ),
        unsigned("alg none", "bad_signature", headed(json!({"alg": "none"})), &["found none"]),
        unsigned(
            "typ unsigned",
            "bad_signature",
            headed(json!({"typ": "evil"})),
            &["the signature is not"],
        ),
    ]);
    let iss = |iss: Value| forged(json!({ "iss": iss }));
    for (what, token, said) in [
        ("no iss", iss(Value::Null), "found nothing"),
        ("iss", iss(json!("https://evil.example")), "found another"),
        ("iss with a slash", iss(json!(format!("{ISSUER}/"))), "corp by a slash at its end"),
        ("iss in http", iss(json!(ISSUER.replace("https", "http"))), "corp by its scheme"),
        ("iss of version 2", iss(json!(format!("{ISSUER}/v2.0"))), "corp by /v2.0 at its end"),
        ("iss in capitals", iss(json!(ISSUER.to_uppercase())), "corp by the case of its letters"),
    ] {
        let expected = format!("iss: expected \"{ISSUER}\", found ");
        let row = unsigned(what, "bad_issuer", token, &[&expected, said]);
        rows.push(Row { issuer: None, ..row });
    }
    let mut ids = Vec::new();
    for row in &rows {
        let answer = gateway.ask(&with(&row.token));
        assert_eq!(answer.status, 401, "{}", row.what);
        ids.push(answer.header("x-request-id").unwrap().to_owned());
        upstream.assert_untouched(row.what);
    }
    let records = gateway.audit(rows.len());
    let record_of = |id: &String| records.iter().find(|r| r["request_id"] == **id).unwrap();
    for (id, row) in ids.iter().zip(&rows) {
        let (record, what) = (record_of(id), row.what);
        assert_eq!(record["reason"], row.reason, "{what}: {record}");
        assert_eq!(record["issuer"].as_str(), row.issuer, "{what}");
        let detail = record["detail"].as_str().unwrap();
        for said in &row.said {
            assert!(detail.contains(said.as_str()), "{what}: {detail}");
        }
        assert!(!detail.contains(row.unsaid) && detail.len() < 600, "{what}: {detail}");
        assert!(detail.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{what}: {detail:?}");
    }
    // One line for each kind: the log is not for what comes with every request.
    let told = gateway.events("auth.refused");
    let reasons: Vec<&Value> = told.iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["bad_audience", "expired"], "{told:?}");
    assert_eq!(told[0]["issuer"], "corp");
    assert_eq!(told[0]["request_id"], *ids[0]);
    assert_eq!(told[0]["detail"], record_of(&ids[0])["detail"]);
    assert!(!gateway.output().contains(&secret), "a token was printed");
}

#[test]
fn explain_takes_nobody_for_whom_a_refused_proof_names() {
    use crate::support::gateway::{EXPIRED, REVOKED};
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let late = signer.sign(&claims_with(&json!({"exp": 1_700_000_000})));
    let names = "nobody is proven (a JWT that names the issuer corp)";
    let calls = [
        (with(&other.sign(&claims())), names),
        (with(&late), names),
        (with(&signer.sign(&claims_with(&json!({"sub": ""})))), names),
        (echo().token(EXPIRED), "nobody is proven (token old-key)"),
        (echo().token(REVOKED), "nobody is proven (token gone-key)"),
        (echo().token("guessed"), "nobody is proven  -"),
        (echo().without("Authorization"), "nobody is proven  -"),
        (with(&signer.sign(&claims())), "alice (JWT of corp)  t/echo"),
        (echo(), "alice (token alice-key)  t/echo"),
    ];
    for (count, (call, said)) in calls.iter().enumerate() {
        gateway.ask(call);
        let record = gateway.audit(count + 1).remove(count);
        let file = gateway.folder().join("audit.jsonl");
        std::fs::write(&file, format!("{record}\n")).unwrap();
        let id = record["request_id"].as_str().unwrap();
        let (code, told) = gateway.command(&["explain", id, file.to_str().unwrap()]);
        assert!(code == Some(0) && told.contains(&format!("Z  {said}")), "{said}: {told}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_token_that_cannot_be_read_is_told_by_what_is_wrong_with_it() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let start = || with_keys(&upstream, &[signer.jwk()], "").start();
    let usual = header(&signer, &json!({})).to_string();
    let payload = |text: &str| signer.sign_texts(&usual, text);
    let headed = |text: &str| signer.sign_texts(text, &claims().to_string());
    let id = |id: Value| signer.sign_as(&header(&signer, &json!({ "kid": id })), &claims());
    let encrypted = |header: &str| format!("{}.AAAA.BBBB.evil", message(header, "evil"));
    let good = signer.sign(&claims());
    let (_, rest) = good.split_once('.').unwrap();
    let rows = [
        (encrypted(r#"{"alg":"dir","enc":"A256GCM"}"#), "it is encrypted (JWE, RFC 7516)"),
        (encrypted(r#"{"alg":"RSA-OAEP","enc":"A128CBC-HS256","kid":"evil"}"#), "it is encrypted"),
        (
            payload(r#"{"sub":"evil","sub":"evil"}"#),
            "payload: no JSON object: a member name occurs twice in one object at byte 20",
        ),
        (payload(r#"{"exp":NaN}"#), "payload: no JSON object: no valid JSON at byte 7"),
        (payload(r#"["evil"]"#), "payload: no JSON object: JSON, but an array and no object"),
        (payload(r#""evil""#), "payload: no JSON object: JSON, but no object"),
        (payload(""), "payload: no JSON object: empty"),
        (payload("\u{feff}{}"), "payload: no JSON object: a text with a byte order mark"),
        (payload(&"[".repeat(99)), "payload: no JSON object: nested too deeply at byte 16"),
        (
            headed(r#"{"alg":"ES256","alg":"evil"}"#),
            "header: no JSON object: a member name occurs twice in one object at byte 21",
        ),
        (headed("evil"), "header: no JSON object: no valid JSON at byte 0"),
        (format!("eyJ.{rest}"), "header: expected base64url without padding"),
        (id(json!(7)), "kid: expected a text of at most 128 bytes, found a number"),
        (id(json!(["evil"])), "kid: expected a text of at most 128 bytes, found an array"),
        (
            id(json!("evil".repeat(99))),
            "kid: expected a text of at most 128 bytes, found a longer one",
        ),
        (headed(r#"{"alg":"ES256","cty":"JWT"}"#), "cty: JWT, so it is a token within a token"),
        (headed(r#"{"alg":"ES256","crit":["evil"]}"#), "crit: the header has it"),
    ];
    // Of one address no more than a few are recorded one by one.
    for rows in rows.chunks(8) {
        let gateway = start();
        for (count, (token, said)) in rows.iter().enumerate() {
            assert_eq!(gateway.ask(&with(token)).status, 401, "{said}");
            let record = gateway.audit(count + 1).remove(count);
            assert_eq!(record["reason"], "malformed", "{said}: {record}");
            let detail = record["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with(said), "{said}: {detail}");
            assert!(!detail.contains("evil"), "{detail}");
        }
    }
    // Five parts of something else are a token that nobody knows.
    let gateway = start();
    for token in ["a.b.c.d.e".to_owned(), encrypted("{}"), encrypted("evil")] {
        assert_eq!(gateway.ask(&with(&token)).status, 401, "{token}");
    }
    assert!(gateway.audit(3).iter().all(|record| record["reason"] == "unknown"));
    upstream.assert_untouched("a token that cannot be read");
}

#[test]
fn where_no_group_of_a_token_gives_a_role_its_records_say_so() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    for (lines, call, reason) in [
        ("", echo(), "no_role"),
        ("scopes = { \"mcp:read\" = [\"t/echo\"] }", echo(), "insufficient_scope"),
        ("", Call::post(LIST), "allowed"),
    ] {
        let gateway = with_keys(&upstream, &[signer.jwk()], lines).start();
        for groups in [json!(["Mcp-Readers"]), json!("/mcp-readers"), json!(7), json!(null)] {
            let token = signer.sign(&claims_with(&json!({ "groups": groups })));
            gateway.ask(&call.clone().token(&token));
        }
        for (record, found) in
            gateway.audit(4).iter().zip(["[\"Mcp-Readers\"]", "\"/mcp-readers\"", "7", "nothing"])
        {
            assert_eq!(record["reason"], reason, "{record}");
            let detail = record["detail"].as_str().unwrap_or_default();
            let said = format!("groups: expected \"mcp-readers\", found {found}");
            assert!(detail.ends_with(&said), "{reason}: {detail}");
        }
        let good = gateway.ask(&call.token(&signer.sign(&claims())));
        assert_eq!(good.status, 200);
        assert_eq!(gateway.audit(5)[4]["detail"], Value::Null);
    }
}
