//! Callers with a JWT, and with what only looks like one (threats.md 2.6, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::issuer::{
    ISSUER, PUBLIC, SILENCE, Signer, Web, claims, claims_with, counted, key_set, message, now,
    with_issuer, with_keys,
};
use crate::support::{
    Call, Gateway, LIST, Next, Setup, Upstream, Wire, echo, eventually, modern_call, rpc,
    sealed_session, sse, tool_call,
};

fn with(token: &str) -> Call {
    echo().token(token)
}

fn header(signer: &Signer, more: &Value) -> Value {
    let mut header = json!({"alg": signer.algorithm, "kid": signer.id, "typ": "JWT"});
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value.clone(),
        }
    }
    header
}

#[test]
fn the_claims_become_the_identity_and_the_groups_its_rights() {
    for signer in [Signer::es256("k"), Signer::ed25519("k"), Signer::rs256("k")] {
        let upstream = Upstream::good();
        let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
        let call = with(&signer.sign(&claims())).header("X-User-ID", "root");
        assert_eq!(gateway.ask(&call).status, 200, "{:?}", signer.algorithm);
        let request = upstream.only_request();
        assert_eq!(request.values("x-user-id"), ["alice"]);
        assert_eq!(request.values("x-organization-id"), ["acme"]);
        assert!(request.values("authorization").is_empty(), "the token goes no further");
        let hidden = Call::post(tool_call("hidden")).token(&signer.sign(&claims()));
        assert!(gateway.ask(&hidden).text().contains("Unknown tool: hidden"));
        let listed = gateway.ask(&Call::post(LIST).token(&signer.sign(&claims()))).text();
        assert!(listed.contains("echo") && !listed.contains("hidden"), "{listed}");
        let records = gateway.audit(3);
        assert_eq!(records[0]["issuer"], "corp");
        assert_eq!(records[0]["token"], Value::Null);
        assert_eq!(counted(&gateway, "ok"), 3.0);
    }
}

#[test]
fn a_group_that_is_not_mapped_gives_nothing() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    for groups in
        [json!(null), json!(["admins", "reader"]), json!({"mcp-readers": false}), json!(7)]
    {
        let token = signer.sign(&claims_with(&json!({ "groups": groups })));
        assert!(gateway.ask(&with(&token)).text().contains("Unknown tool"), "{groups}");
        upstream.assert_untouched("no group");
    }
    let token = signer.sign(&claims_with(&json!({"groups": "mcp-readers"})));
    assert_eq!(gateway.ask(&with(&token)).status, 200);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_claim_may_lie_deeper() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let lines = "user_claim = \"/act/name\"";
    let gateway = with_keys(&upstream, &[signer.jwk()], lines).start();
    let token = signer.sign(&claims_with(&json!({"act": {"name": "carol"}})));
    assert_eq!(gateway.ask(&with(&token)).status, 200);
    assert_eq!(upstream.only_request().values("x-user-id"), ["carol"]);
}

#[test]
fn one_text_in_an_array_is_that_text_and_several_are_refused_by_name() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let first = "user_claim = \"/act/0/name\"";
    let gateway = with_keys(&upstream, &[signer.jwk()], first).start();
    let signed = |act: Value, org: Value| {
        with(&signer.sign(&claims_with(&json!({ "act": act, "org": org }))))
    };
    for (act, org) in [
        (json!([{"name": "carol"}]), json!(["acme"])),
        (json!([{"name": ["carol"]}, {"name": "root"}]), json!("acme")),
        (json!({"0": {"name": "carol"}}), json!(["acme"])),
    ] {
        assert_eq!(gateway.ask(&signed(act, org)).status, 200);
        let requests = upstream.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.values("x-user-id"), ["carol"]);
        assert_eq!(request.values("x-organization-id"), ["acme"]);
    }
    let mut said_of = Vec::new();
    for (act, org, said) in [
        (json!([{"name": "carol"}]), json!(["acme", "globex"]), "org: expected one text"),
        (json!([{"name": "carol"}]), json!([]), "org: expected one text"),
        (json!([{"name": ["carol", "root"]}]), json!("acme"), "/act/0/name: expected one text"),
        (json!([]), json!("acme"), "/act/0/name: expected one text"),
        (json!(["carol"]), json!("acme"), "/act/0/name: expected one text"),
    ] {
        let answer = gateway.ask(&signed(act, org));
        assert_eq!(answer.status, 401, "{said}");
        said_of.push((answer.header("x-request-id").unwrap().to_owned(), said));
    }
    let records = gateway.audit(3 + said_of.len());
    for (id, said) in &said_of {
        let record = records.iter().find(|record| record["request_id"] == **id).unwrap();
        let detail = record["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{detail}");
    }
    assert_eq!(upstream.requests().len(), 3, "none of these reached it");
}

#[test]
fn the_members_of_an_object_are_roles_by_their_names() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let calls = |groups: &Value| {
        let answer = gateway.ask(&with(&signer.sign(&claims_with(&json!({ "groups": groups })))));
        assert_eq!(answer.status, 200, "{groups}");
        !answer.text().contains("Unknown tool")
    };
    let mut passed = 0;
    for (value, is_given) in [
        (json!({"2817": "acme.zitadel.cloud"}), true),
        (json!({"2817": null}), true),
        (json!(["tickets"]), true),
        (json!(true), true),
        (json!(false), false),
        (json!(null), false),
        (json!({}), false),
        (json!([]), false),
        (json!(0), false),
        (json!(1), false),
        (json!("false"), false),
        (json!("true"), false),
    ] {
        assert_eq!(calls(&json!({ "mcp-readers": value, "other": true })), is_given, "{value}");
        // The names are of the object itself, and not of what lies in it.
        assert!(!calls(&json!({ "other": { "mcp-readers": value } })), "{value}");
        passed += usize::from(is_given);
        assert_eq!(upstream.requests().len(), passed, "{value}");
    }
}

#[test]
fn a_role_of_zitadel_counts_in_the_organization_that_gave_it() {
    const ROLES: &str = "urn:zitadel:iam:org:project:roles";
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let start = |owner: &str| {
        let claim = format!("urn:zitadel:iam:user:resourceowner:{owner}");
        let text = format!("organization_claim = \"{claim}\"\nroles_claim = \"{ROLES}\"");
        let issuer = format!(
            "[issuers.z]\nissuer = \"{ISSUER}\"\njwks_file = \"jwks.json\"\n{text}\n\
             roles_map = {{ agent = \"reader\" }}"
        );
        let setup = Setup::new(&upstream).server(&format!("public_url = \"{PUBLIC}\""));
        setup
            .more(&issuer)
            .file("jwks.json", &json!({ "keys": [signer.jwk()] }).to_string())
            .start()
    };
    let mut passed = 0;
    for (owner, organization) in [("id", "9"), ("primary_domain", "acme.example")] {
        let gateway = start(owner);
        for (roles, is_given) in [
            (json!({"agent": {"9": "acme.example"}}), true),
            (json!({"agent": {"10": "globex.example", "9": "acme.example"}}), true),
            (json!({"agent": {"10": "globex.example"}}), false),
            (json!({"agent": true}), false),
            (json!({"agent": ["9"]}), false),
        ] {
            let claim = format!("urn:zitadel:iam:user:resourceowner:{owner}");
            let token = signer.sign(&claims_with(&json!({ claim: organization, ROLES: roles })));
            let answer = gateway.ask(&with(&token));
            assert_eq!(!answer.text().contains("Unknown tool"), is_given, "{owner}: {roles}");
            passed += usize::from(is_given);
            assert_eq!(upstream.requests().len(), passed, "{owner}: {roles}");
        }
    }
}

/// Rows A10 to A19.
#[expect(clippy::too_many_lines, reason = "a table is read row by row")]
#[test]
fn a_token_that_is_not_wholly_right_is_worth_nothing() {
    let upstream = Upstream::good();
    let (signer, rsa, other) = (Signer::es256("k"), Signer::rs256("r"), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk(), rsa.jwk()], "max_lifetime = \"1h\"").start();
    let good = claims();
    let unsigned = |alg: Value| {
        let header = json!({"alg": alg, "kid": "k"}).to_string();
        format!("{}.", message(&header, &good.to_string()))
    };
    let with_header = |more: Value| signer.sign_as(&header(&signer, &more), &good);
    let with_claims = |more: Value| signer.sign(&claims_with(&more));
    let hmac = |secret: &[u8]| {
        let message = message(r#"{"alg":"HS256","kid":"r"}"#, &good.to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    let es = message(&header(&signer, &json!({})).to_string(), &good.to_string());
    let signed = signer.sign(&good);
    let tampered = {
        let parts: Vec<&str> = signed.split('.').collect();
        let root = claims_with(&json!({"sub": "root"})).to_string();
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(root), parts[2])
    };
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let rows = [
        ("A10 none", "bad_signature", unsigned(json!("none"))),
        ("A10 None", "bad_signature", unsigned(json!("None"))),
        ("A10 absent", "bad_signature", unsigned(Value::Null)),
        ("A10 array", "bad_signature", unsigned(json!(["ES256"]))),
        (
            "A11 HS256 with the public key",
            "bad_signature",
            hmac(rsa.jwk()["n"].as_str().unwrap().as_bytes()),
        ),
        ("A11 HS256 with an empty key", "bad_signature", hmac(b"")),
        (
            "A11 another family's key",
            "unknown_key",
            signer.sign_as(&json!({"alg": "ES256", "kid": "r"}), &good),
        ),
        (
            "A11 an algorithm that is not allowed",
            "bad_signature",
            signer.sign_as(&json!({"alg": "ES384", "kid": "k"}), &good),
        ),
        ("A12 path", "unknown_key", with_header(json!({"kid": "../../dev/null"}))),
        ("A12 newline", "unknown_key", with_header(json!({"kid": "a\nb\u{1b}[31m"}))),
        ("A12 long", "malformed", with_header(json!({"kid": "k".repeat(300)}))),
        ("A12 number", "malformed", with_header(json!({"kid": 7}))),
        (
            "A13 the sender's own key",
            "bad_signature",
            other.sign_as(&header(&other, &json!({"jwk": other.jwk()})), &good),
        ),
        (
            "A13 the sender's own key, with no kid",
            "bad_signature",
            other.sign_as(
                &header(&other, &json!({"kid": null, "jwk": other.jwk(), "x5c": ["AAAA"]})),
                &good,
            ),
        ),
        ("A13 foreign iss", "bad_issuer", with_claims(json!({"iss": "http://127.0.0.1:1"}))),
        (
            "A13 iss with a slash more",
            "bad_issuer",
            with_claims(json!({"iss": format!("{ISSUER}/")})),
        ),
        ("A14 no iss", "bad_issuer", with_claims(json!({"iss": null}))),
        ("A14 iss list", "bad_issuer", with_claims(json!({"iss": [ISSUER]}))),
        ("A14 no exp", "bad_claim", with_claims(json!({"exp": null}))),
        ("A14 exp in words", "bad_claim", with_claims(json!({"exp": "never"}))),
        ("A14 exp as text", "bad_claim", with_claims(json!({"exp": (now() + 300).to_string()}))),
        ("A14 exp negative", "bad_claim", with_claims(json!({"exp": -1}))),
        ("A14 exp huge", "bad_claim", with_claims(json!({"exp": 1e300}))),
        ("A14 no aud", "bad_audience", with_claims(json!({"aud": null}))),
        (
            "A14 aud list of others",
            "bad_audience",
            with_claims(json!({"aud": ["https://a", "https://b"]})),
        ),
        ("A14 nbf far", "not_yet_valid", with_claims(json!({"nbf": now() + 3600}))),
        ("A14 iat far", "not_yet_valid", with_claims(json!({"iat": now() + 3600}))),
        ("A14 crit", "malformed", with_header(json!({"crit": ["exp"]}))),
        ("A14 crit and jku", "malformed", with_header(json!({"crit": ["jku"], "jku": "x"}))),
        ("A14 crit of nothing", "malformed", with_header(json!({"crit": []}))),
        ("A14 b64", "malformed", with_header(json!({"b64": false}))),
        ("A14 zip", "malformed", with_header(json!({"zip": "DEF"}))),
        ("A14 a token in a token", "malformed", with_header(json!({"cty": "jwt"}))),
        ("A14 sub missing", "bad_claim", with_claims(json!({"sub": null}))),
        ("A14 org missing", "bad_claim", with_claims(json!({"org": null}))),
        (
            "A14 sub that breaks a header",
            "bad_claim",
            with_claims(json!({"sub": "a\r\nX-Organization-ID: evil"})),
        ),
        ("A14 sub list", "bad_claim", with_claims(json!({"sub": ["alice", "bob"]}))),
        ("A14 org with a comma", "bad_claim", with_claims(json!({"org": "acme,globex"}))),
        ("A15 expired", "expired", with_claims(json!({"exp": now() - 61}))),
        ("A15 lives too long", "bad_claim", with_claims(json!({"exp": now() + 7200}))),
        (
            "A17 deep",
            "malformed",
            signer.sign_texts(&format!(r#"{{"alg":"ES256","x":{deep}}}"#), &good.to_string()),
        ),
        ("A18 zero signature", "bad_signature", format!("{es}.{zero}")),
        ("A18 empty signature", "bad_signature", format!("{es}.")),
        (
            "A19 another audience",
            "bad_audience",
            with_claims(json!({"aud": "https://other.example/mcp"})),
        ),
        ("A19 the origin alone", "bad_audience", with_claims(json!({"aud": PUBLIC}))),
        ("another key of the same name", "bad_signature", other.sign(&good)),
        ("tampered", "bad_signature", tampered),
        ("typ of an id token", "malformed", with_header(json!({"typ": "id_token+jwt"}))),
        ("typ of a proof", "malformed", with_header(json!({"typ": "dpop+jwt"}))),
        (
            "two subjects",
            "malformed",
            signer.sign_texts(
                &header(&signer, &json!({})).to_string(),
                &good.to_string().replacen('{', r#"{"sub":"root","#, 1),
            ),
        ),
        (
            "two algorithms",
            "malformed",
            signer.sign_texts(r#"{"alg":"none","alg":"ES256","kid":"k"}"#, &good.to_string()),
        ),
        (
            "claims that are a list",
            "malformed",
            signer.sign_texts(&header(&signer, &json!({})).to_string(), "[]"),
        ),
    ];
    for (what, reason, token) in &rows {
        let before = counted(&gateway, reason);
        let answer = gateway.ask(&with(token));
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
        assert_eq!(counted(&gateway, reason), before + 1.0, "{what}");
        upstream.assert_untouched(what);
    }
    for (what, token) in
        [("five parts", format!("{}.a.b", signer.sign(&good))), ("two parts", es.clone())]
    {
        assert_eq!(gateway.ask(&with(&token)).status, 401, "{what}");
        upstream.assert_untouched(what);
    }
    let output = gateway.output();
    assert!(!output.contains('\u{1b}'), "a kid was printed as it was");
    assert!(!output.contains(&signed[..40]), "a token was printed");
    // And what is right is taken.
    let groups =
        json!({"exp": now() + 30, "nbf": now() - 5, "aud": ["x", format!("{PUBLIC}/mcp")]});
    assert_eq!(gateway.ask(&with(&with_claims(groups))).status, 200);
    let slow_clock = json!({"exp": now() - 10, "iat": now() + 10});
    assert_eq!(gateway.ask(&with(&with_claims(slow_clock))).status, 200);
    assert_eq!(gateway.ask(&with(&with_header(json!({"kid": null, "typ": null})))).status, 200);
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn eddsa_and_ed25519_are_one_whichever_says_the_key_the_token_and_the_file() {
    let (upstream, signer, ec) = (Upstream::good(), Signer::ed25519("e"), Signer::es256("c"));
    let mut passed = 0;
    for of_file in ["EdDSA", "Ed25519"] {
        for of_key in [Value::Null, json!("EdDSA"), json!("Ed25519")] {
            let mut key = signer.jwk();
            key.as_object_mut().unwrap().remove("alg");
            if !of_key.is_null() {
                key["alg"] = of_key.clone();
            }
            let ed448 = json!({"kty": "OKP", "crv": "Ed448", "x": "AA", "kid": "goldilocks"});
            let issuer = format!(
                "[issuers.corp]\nissuer = \"{ISSUER}\"\njwks_file = \"jwks.json\"\n\
                 algorithms = [\"{of_file}\"]\norganization_claim = \"org\"\n\
                 roles_claim = \"groups\"\nroles_map = {{ mcp-readers = \"reader\" }}"
            );
            let keys = json!({ "keys": [key, ec.jwk(), ed448] }).to_string();
            let setup = Setup::new(&upstream).server(&format!("public_url = \"{PUBLIC}\""));
            let gateway = setup.more(&issuer).file("jwks.json", &keys).start();
            let what = format!("{of_file} {of_key}");
            for of_token in ["EdDSA", "Ed25519"] {
                for id in [json!("e"), Value::Null] {
                    let header = header(&signer, &json!({"alg": of_token, "kid": id}));
                    let answer = gateway.ask(&with(&signer.sign_as(&header, &claims())));
                    assert_eq!(answer.status, 200, "{what} {of_token}: {}", answer.text());
                    passed += 1;
                }
            }
            let refused = [
                (json!({"alg": "Ed448", "kid": "e"}), "found Ed448, which doorward cannot verify"),
                (json!({"alg": "ed25519", "kid": "e"}), "found another"),
                (json!({"alg": "ES256", "kid": "c"}), "expected EdDSA (Ed25519), found ES256"),
                (json!({"alg": "EdDSA", "kid": "goldilocks"}), "is on the curve Ed448"),
                (json!({"alg": "Ed25519", "kid": "goldilocks"}), "is on the curve Ed448"),
                (json!({"alg": "Ed25519", "kid": "c"}), "expected a key for EdDSA (Ed25519)"),
            ];
            for (header, said) in &refused {
                let signer = if header["kid"] == "c" { &ec } else { &signer };
                let answer = gateway.ask(&with(&signer.sign_as(header, &claims())));
                assert_eq!(answer.status, 401, "{what} {header} {said}");
            }
            let records = gateway.audit(4 + refused.len());
            let details: Vec<&str> = records.iter().filter_map(|r| r["detail"].as_str()).collect();
            for (header, said) in &refused {
                let is_said = details.iter().any(|detail| detail.contains(said));
                assert!(is_said, "{what} {header}: {details:?}");
            }
            assert_eq!(upstream.requests().len(), passed, "{what}");
        }
    }
}

#[test]
fn what_a_header_says_of_keys_is_neither_used_nor_a_reason_to_refuse() {
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("o"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    // Somebody who would notice.
    let web = Web::serving(&[other.jwk()]);
    let rows = [
        json!({"jku": web.url()}),
        json!({"jku": 7}),
        json!({"x5u": web.url()}),
        json!({"x5u": ["http://127.0.0.1:1/"]}),
        json!({"jwk": other.jwk()}),
        json!({"jwk": {"kty": "oct", "k": "AA"}}),
        json!({"jwk": "nonsense"}),
        json!({"x5c": ["AAAA"]}),
        json!({"x5c": {}}),
        json!({"x5t": "AAAA", "x5t#S256": "AAAA"}),
        json!({"x5t": null, "x5t#S256": 7}),
        json!({"cty": "json", "url": web.url(), "nonce": "x", "iss": "https://evil.example"}),
        json!({"epk": {}, "apu": "x", "enc": "A128GCM", "p2c": 1, "svt": [1], "trust_chain": []}),
    ];
    for more in &rows {
        let mine = signer.sign_as(&header(&signer, more), &claims());
        let answer = gateway.ask(&with(&mine));
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
        // With a key of one's own they open nothing, whether or not it is named.
        for id in [json!({"kid": "k"}), json!({"kid": "o"}), json!({"kid": null})] {
            let mut all = more.clone();
            all["kid"] = id["kid"].clone();
            let forged = other.sign_as(&header(&other, &all), &claims());
            assert_eq!(gateway.ask(&with(&forged)).status, 401, "{all}");
        }
    }
    assert_eq!(upstream.requests().len(), rows.len());
    assert_eq!(web.fetches(), 0, "a token was followed");
}

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
fn a_claim_for_roles_that_gives_none_is_named_with_what_it_holds() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let rows = [
        (json!({"groups": ["staff", "mcp-reader"]}), "found [\"staff\",\"mcp-reader\"]"),
        (json!({"groups": null}), "found nothing"),
        (json!({"groups": 7}), "found 7"),
        (
            json!({"groups": null, "_claim_names": {"groups": "src1"}}),
            "found nothing, and _claim_names: they are elsewhere",
        ),
    ];
    for (changes, _) in &rows {
        let answer = gateway.ask(&with(&signer.sign(&claims_with(changes))));
        assert!(answer.text().contains("Unknown tool"), "{changes}");
        assert!(!answer.text().contains("groups"), "the caller learns nothing of it");
    }
    upstream.assert_untouched("no role");
    let records = gateway.audit(rows.len());
    let details: Vec<&str> = records.iter().filter_map(|r| r["detail"].as_str()).collect();
    for (changes, said) in &rows {
        let expected = format!("groups: expected \"mcp-readers\", {said}");
        assert!(details.contains(&expected.as_str()), "{changes}: {details:?}");
    }
    let told = gateway.events("auth.no_roles");
    assert_eq!(told.len(), 1, "{told:?}");
    // With a role all is well, and nothing is said.
    assert_eq!(gateway.ask(&with(&signer.sign(&claims()))).status, 200);
    let all = gateway.audit(rows.len() + 1);
    let good = all.iter().find(|record| record["decision"] == "allow").unwrap();
    assert_eq!(good["detail"], Value::Null);
}

#[test]
fn a_token_may_be_as_long_as_the_headers() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let start = |limit: &str| {
        with_keys(&upstream, &[signer.jwk()], "").limits(&format!("headers = \"{limit}\"")).start()
    };
    // Ids of groups as Entra writes them.
    let of_groups = |count: usize| {
        let id = |n: usize| format!("{n:08x}-65d1-464b-b3ba-64e6781fba2b");
        let groups: Vec<String> = (0..count).map(id).chain(["mcp-readers".to_owned()]).collect();
        signer.sign(&claims_with(&json!({ "groups": groups })))
    };
    let gateway = start("32KiB");
    for (count, least) in [(150, 8_000), (200, 10_000), (400, 20_000), (600, 31_000)] {
        let token = of_groups(count);
        assert!(token.len() > least, "{}", token.len());
        let answer = gateway.ask(&with(&token));
        assert_eq!(answer.status, 200, "{count}: {}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 4);
    assert_eq!(gateway.ask(&with(&of_groups(700))).status, 431);
    // The same where it is set lower, and higher.
    let (low, high) = (start("4KiB"), start("1MiB"));
    assert_eq!(low.ask(&with(&of_groups(30))).status, 200);
    assert_eq!(low.ask(&with(&of_groups(150))).status, 431);
    assert_eq!(high.ask(&with(&of_groups(3000))).status, 200);
    assert_eq!(upstream.requests().len(), 6);
    // One of the table likewise: it is unknown, and not malformed.
    assert_eq!(gateway.ask(&with(&"x".repeat(20_000))).status, 401);
    let records = gateway.audit(6);
    assert!(records.iter().any(|record| record["reason"] == "unknown"), "{records:?}");
}

#[test]
fn a_jwt_beside_another_credential_is_refused() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let token = signer.sign(&claims());
    let twice = echo().header("Authorization", &format!("Bearer {token}"));
    assert_eq!(gateway.ask(&twice).status, 400);
    for elsewhere in [
        echo().without("Authorization").target(&format!("/mcp?access_token={token}")),
        echo().without("Authorization").header("Cookie", &format!("access_token={token}")),
        echo().without("Authorization").header("X-Forwarded-Access-Token", &token),
    ] {
        assert_eq!(gateway.ask(&elsewhere).status, 401);
    }
    let form = Call::post(format!("access_token={token}"))
        .without("Authorization")
        .without("Content-Type")
        .header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(gateway.ask(&form).status, 415);
    upstream.assert_untouched("a token in another place");
    assert!(!gateway.output().contains(&token));
}

#[test]
fn a_new_key_is_fetched_once_and_a_storm_of_unknown_ones_fetches_nothing_more() {
    let (upstream, old, new) = (Upstream::good(), Signer::es256("old"), Signer::rs256("new"));
    let web = Web::serving(&[old.jwk()]);
    let source = format!("jwks_url = \"{}\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    eventually("the keys are there", || {
        gateway.metric("doorward_jwks_keys{issuer=\"corp\"}") == 1.0
    });
    assert_eq!(gateway.ask(&with(&old.sign(&claims()))).status, 200);
    assert_eq!(web.fetches(), 1);
    assert_eq!(web.server.requests()[0].line(), "GET /certs?realm=corp HTTP/1.1");
    web.answers(key_set(&[old.jwk(), new.jwk()]));
    // The first fetch was a moment ago: even a good key waits, lest anybody can make us ask.
    for _ in 0..50 {
        assert_eq!(gateway.ask(&with(&new.sign(&claims()))).status, 401);
    }
    assert_eq!(web.fetches(), 1);
    assert_eq!(counted(&gateway, "unknown_key"), 50.0);
    assert_eq!(gateway.ask(&with(&old.sign(&claims()))).status, 200);
}

#[test]
fn a_set_of_keys_that_is_unfit_opens_nothing_and_stops_no_key_that_is_known() {
    let (upstream, signer, other) = (Upstream::good(), Signer::es256("k"), Signer::es256("o"));
    let web = Web::serving(&[signer.jwk()]);
    let elsewhere = Web::serving(&[other.jwk()]);
    let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    let failures =
        || gateway.metric("doorward_jwks_refresh_total{issuer=\"corp\",result=\"failure\"}");
    eventually("the keys are there", || {
        gateway.metric("doorward_jwks_keys{issuer=\"corp\"}") == 1.0
    });
    let oct = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "o", "alg": "HS256"});
    let body = |text: &str| crate::support::json("200 OK", "", text);
    let redirect =
        format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url());
    for (what, answer) in [
        ("empty", body("")),
        ("no key", key_set(&[])),
        ("a symmetric key", key_set(&[oct])),
        ("not JSON", body("<html>")),
        ("huge", body(&format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000)))),
        ("huge without a length", format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(300_000))),
        ("an error", crate::support::json("500 Internal Server Error", "", "{}")),
        ("redirecting", redirect),
        ("silent", SILENCE.to_owned()),
        ("an error that looks right", key_set(&[other.jwk()]).replace("200 OK", "500 Oh")),
    ] {
        let before = failures();
        web.answers(answer);
        eventually(what, || {
            // Known keys serve while the answer is waited for.
            assert_eq!(gateway.ask(&with(&signer.sign(&claims()))).status, 200, "{what}");
            failures() > before
        });
        assert_eq!(gateway.ask(&with(&signer.sign(&claims()))).status, 200, "{what}");
        assert_eq!(gateway.ask(&with(&other.sign(&claims()))).status, 401, "{what}");
    }
    assert_eq!(elsewhere.fetches(), 0, "a redirect is not followed");
    web.answers(key_set(&[other.jwk()]));
    eventually("the new keys are in use", || {
        gateway.ask(&with(&other.sign(&claims()))).status == 200
    });
    assert_eq!(gateway.ask(&with(&signer.sign(&claims()))).status, 401, "its key was taken away");
}

#[test]
fn without_the_issuer_it_starts_serves_tokens_and_names_it() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let web = Web::serving(&[]);
    let source = format!("jwks_url = \"{}\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    assert_eq!(gateway.ask(&echo()).status, 200, "a token of the table");
    let answer = gateway.ask(&with(&signer.sign(&claims())));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("www-authenticate"), None, "another token would not help");
    let (status, text) = gateway.admin("/readyz");
    assert_eq!(status, 200);
    assert!(text.contains("issuer corp has no keys: "), "{text}");
    let body = Call::post("{").token(&signer.sign(&claims()));
    assert_eq!(gateway.ask(&body).status, 503);
    assert_eq!(upstream.requests().len(), 1);
    web.answers(key_set(&[signer.jwk()]));
    eventually("it has its keys", || gateway.ask(&with(&signer.sign(&claims()))).status == 200);
    assert_eq!(gateway.admin("/readyz").1, "ok\n");
}

#[test]
fn keys_that_are_too_old_are_not_used() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let web = Web::serving(&[signer.jwk()]);
    let source = format!("jwks_url = \"{}\"\nrefresh = \"50ms\"\nmax_stale = \"300ms\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    let token = signer.sign(&claims());
    eventually("it has its keys", || gateway.ask(&with(&token)).status == 200);
    web.answers("HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
    eventually("they are too old", || gateway.ask(&with(&token)).status == 503);
    web.answers(key_set(&[signer.jwk()]));
    eventually("it has them again", || gateway.ask(&with(&token)).status == 200);
}

fn silent() -> Upstream {
    Upstream::script(|_, wire: &mut Wire| {
        wire.send(sse());
        wire.wait_closed();
        Next::Close
    })
}

#[test]
fn the_end_of_a_jwts_time_ends_its_streams() {
    let (upstream, signer) = (silent(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "leeway = \"0s\"").start();
    let token = signer.sign(&claims_with(&json!({"exp": now() + 2})));
    let mut client = gateway.connect();
    client.send(&with(&token).bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    let last = String::from_utf8(client.part().unwrap()).unwrap();
    assert!(last.contains("Unauthorized"), "{last}");
    assert_eq!(client.part(), None);
    let closed = "doorward_streams_closed_total{kind=\"call\",reason=\"expired\",upstream=\"t\"}";
    gateway.counts(closed, 1.0);
    assert_eq!(gateway.ask(&with(&token)).status, 401);
}

#[test]
fn other_rules_of_an_issuer_end_streams_without_an_end() {
    let (upstream, signer) = (silent(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let session = sealed_session(("alice", "acme"), "s-1");
    let get = Call::empty("GET").header("Mcp-Session-Id", &session);
    let mut client = gateway.connect();
    client.send(&get.token(&signer.sign(&claims())).bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    assert!(gateway.edit("threads = 2", "threads = 3"));
    gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
    assert!(gateway.edit("mcp-readers = \"reader\"", "others = \"reader\""));
    assert_eq!(client.part(), None);
}

#[test]
fn an_issuer_that_is_taken_out_ends_the_streams_of_its_callers() {
    let (upstream, signer) = (silent(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let mut client = gateway.connect();
    client.send(&with(&signer.sign(&claims())).bytes(gateway.address));
    assert_eq!(client.head().status, 200);
    assert!(gateway.edit("[issuers.corp]", "[issuers.other]"));
    let last = String::from_utf8(client.part().unwrap()).unwrap();
    assert!(last.contains("Unauthorized"), "{last}");
}

const SCOPES: &str = "scopes = { \"tickets:read\" = [\"t/read\"], \"tickets:write\" = [\"t/delete_all\"], \
                      \"tickets:pick\" = { prompts = [\"t/pick\"], roles = [\"reader\"] } }\n\
                      initial_scopes = [\"tickets:read\"]";

fn scoped(signer: &Signer, scope: &Value) -> String {
    signer.sign(&claims_with(&json!({"groups": null, "scope": scope})))
}

#[test]
fn a_missing_scope_is_named_where_it_would_help_and_only_there() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], SCOPES).start();
    let reader = scoped(&signer, &json!("openid tickets:read"));
    assert_eq!(gateway.ask(&Call::post(tool_call("read")).token(&reader)).status, 200);
    assert_eq!(upstream.requests().len(), 1);
    for call in [Call::post(tool_call("delete_all")), modern_call("delete_all")] {
        let answer = gateway.ask(&call.token(&reader));
        assert_eq!(answer.status, 403);
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(
            challenge,
            format!(
                "Bearer realm=\"doorward\", error=\"insufficient_scope\", resource_metadata=\
                 \"{PUBLIC}/.well-known/oauth-protected-resource/mcp\", scope=\"tickets:read tickets:write\""
            )
        );
        assert_eq!(answer.error().0, json!(1), "the caller's own id");
    }
    let prompt =
        |token: &str| Call::post(rpc("1", "prompts/get", r#"{"name":"pick"}"#)).token(token);
    assert_eq!(gateway.ask(&prompt(&reader)).status, 403);
    // No scope gives this one: it is unknown, as for anybody.
    let hidden = gateway.ask(&Call::post(tool_call("hidden")).token(&reader));
    assert!(hidden.status == 200 && hidden.text().contains("Unknown tool: hidden"));
    // No scope helps a token of the table.
    let static_token = gateway.ask(&Call::post(tool_call("delete_all")));
    assert!(static_token.status == 200 && static_token.text().contains("Unknown tool"));
    assert_eq!(upstream.requests().len(), 1, "none of these reached it");
    // The whole set is enough.
    let writer = scoped(&signer, &json!("tickets:read tickets:write"));
    assert_eq!(gateway.ask(&Call::post(tool_call("delete_all")).token(&writer)).status, 200);
    let picker = signer.sign(&claims_with(&json!({"groups": null, "scp": ["tickets:pick"]})));
    assert_eq!(gateway.ask(&prompt(&picker)).status, 200);
    assert_eq!(gateway.ask(&with(&picker)).status, 200, "with the role of its scope");
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn a_scope_with_two_names_is_asked_for_by_the_long_one_and_found_by_the_short_one() {
    const LONG: &str = "api://4b1e/tickets.write";
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let rows = format!(
        "scopes = {{ \"tickets.read\" = {{ tools = [\"t/read\"], ask = \"api://4b1e/tickets.read\" }}, \
         \"tickets.write\" = {{ tools = [\"t/delete_all\"], ask = \"{LONG}\" }}, \
         \"plain\" = {{ prompts = [\"t/pick\"] }} }}\n"
    );
    let initial = [
        ("", "plain api://4b1e/tickets.read api://4b1e/tickets.write"),
        ("initial_scopes = [\"openid\", \"tickets.read\"]", "openid api://4b1e/tickets.read"),
        ("initial_scopes = [\"api://4b1e/tickets.read\"]", "api://4b1e/tickets.read"),
        ("initial_scopes = [\"api://4b1e/.default\"]", "api://4b1e/.default"),
    ];
    for (line, expected) in initial {
        let gateway = with_keys(&upstream, &[signer.jwk()], &format!("{rows}{line}")).start();
        let answer = gateway.ask(&echo().without("Authorization"));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.ends_with(&format!("scope=\"{expected}\"")), "{line}: {challenge}");
    }
    let gateway = with_keys(&upstream, &[signer.jwk()], &rows).start();
    let path = "/.well-known/oauth-protected-resource/mcp";
    let metadata = gateway.ask(&Call::empty("GET").without("Authorization").target(path)).text();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let all = json!(["plain", "api://4b1e/tickets.read", "api://4b1e/tickets.write"]);
    assert_eq!(metadata["scopes_supported"], all);
    // Entra's tokens hold the short names.
    let reader = signer.sign(&claims_with(&json!({"groups": null, "scp": "plain tickets.read"})));
    assert_eq!(gateway.ask(&Call::post(tool_call("read")).token(&reader)).status, 200);
    let answer = gateway.ask(&Call::post(tool_call("delete_all")).token(&reader));
    assert_eq!(answer.status, 403);
    let challenge = answer.header("www-authenticate").unwrap();
    let wanted = format!("scope=\"plain api://4b1e/tickets.read {LONG}\"");
    assert!(challenge.ends_with(&wanted), "{challenge}");
    let writer = signer.sign(&claims_with(&json!({"groups": null, "scp": "tickets.write"})));
    assert_eq!(gateway.ask(&Call::post(tool_call("delete_all")).token(&writer)).status, 200);
    assert_eq!(upstream.requests().len(), 2);
    // The long one, and one that only begins or ends alike, are other scopes.
    for other in [LONG, "tickets.writer", "x/tickets.write", "Tickets.Write"] {
        let token = signer.sign(&claims_with(&json!({"groups": null, "scp": other})));
        assert_eq!(gateway.ask(&Call::post(tool_call("delete_all")).token(&token)).status, 403);
    }
    assert_eq!(upstream.requests().len(), 2, "none of these reached it");
}

#[test]
fn a_deny_rule_is_not_cured_by_a_scope() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let lines = "roles = [\"careful\"]\nscopes = { w = [\"t/*\"] }\n[roles.careful]\ndeny = [\"t/delete_*\"]";
    let gateway = with_keys(&upstream, &[signer.jwk()], lines).start();
    for scope in ["", "w"] {
        let call = Call::post(tool_call("delete_all")).token(&scoped(&signer, &json!(scope)));
        let answer = gateway.ask(&call);
        assert!(answer.status == 200 && answer.text().contains("Unknown tool"), "{scope}");
    }
    upstream.assert_untouched("denied");
}

#[test]
fn clients_find_the_issuer_by_the_metadata_and_the_challenge() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway = with_keys(&upstream, &[signer.jwk()], SCOPES).start();
    let well_known = "/.well-known/oauth-protected-resource/mcp";
    let get = |path: &str| Call::empty("GET").without("Authorization").target(path);
    let answer = gateway.ask(&get(well_known).header("Origin", "https://anywhere.example"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let metadata: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        metadata,
        json!({
            "resource": format!("{PUBLIC}/mcp"),
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["tickets:pick", "tickets:read", "tickets:write"],
        })
    );
    let challenge = |call: Call| {
        let answer = gateway.ask(&call);
        assert_eq!(answer.status, 401);
        answer.header("www-authenticate").unwrap().to_owned()
    };
    let known = format!("resource_metadata=\"{PUBLIC}{well_known}\", scope=\"tickets:read\"");
    assert_eq!(
        challenge(echo().without("Authorization")),
        format!("Bearer realm=\"doorward\", {known}")
    );
    assert_eq!(
        challenge(with("nonsense")),
        format!("Bearer realm=\"doorward\", error=\"invalid_token\", {known}")
    );
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/authorize",
        "/token",
        "/register",
    ] {
        assert_eq!(gateway.ask(&get(path)).status, 404, "{path}");
    }
    assert_eq!(gateway.ask(&Call::post(LIST).target(well_known)).status, 400, "a body");
    assert_eq!(gateway.ask(&Call::empty("DELETE").target(well_known)).status, 405);
    assert_eq!(
        gateway.ask(&get(well_known).header("Host", "evil.example")).status,
        421,
        "DNS rebinding"
    );
    upstream.assert_untouched("documents");
}

#[test]
fn without_issuers_there_is_nothing_to_be_found() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).server(&format!("public_url = \"{PUBLIC}\"")).start();
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = gateway.ask(&Call::empty("GET").without("Authorization").target(path));
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer = gateway.ask(&echo().without("Authorization"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"doorward\""));
    let jwt = Signer::es256("k").sign(&claims());
    let answer = gateway.ask(&with(&jwt));
    assert_eq!(answer.status, 401);
    let expected = "Bearer realm=\"doorward\", error=\"invalid_token\"";
    assert_eq!(answer.header("www-authenticate"), Some(expected));
    upstream.assert_untouched("no issuer");
}

#[test]
fn an_issuer_is_for_the_upstreams_that_it_names() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let second = format!(
        "upstreams = [\"u\"]\n[upstreams.u]\npath = \"/u\"\nurl = \"http://{}/mcp\"",
        upstream.address
    );
    let gateway = with_keys(&upstream, &[signer.jwk()], &second).start();
    let at_t = signer.sign(&claims());
    let at_u = signer.sign(&claims_with(&json!({"aud": format!("{PUBLIC}/u")})));
    assert_eq!(gateway.ask(&with(&at_t)).status, 401);
    assert_eq!(gateway.ask(&with(&at_t).target("/u")).status, 401, "it is for another resource");
    assert_eq!(gateway.ask(&Call::post(LIST).token(&at_u).target("/u")).status, 200);
    let path = "/.well-known/oauth-protected-resource/mcp";
    assert_eq!(gateway.ask(&Call::empty("GET").target(path)).status, 404);
}

#[test]
fn a_session_belongs_to_the_person_and_not_to_the_token() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let gateway: Gateway = with_keys(&upstream, &[signer.jwk()], "").start();
    let initialize = rpc("1", "initialize", "{}");
    let answer = gateway.ask(&Call::post(initialize).token(&signer.sign(&claims())));
    let session = answer.header("mcp-session-id").unwrap().to_owned();
    let in_session = |changes: &Value| {
        let token = signer.sign(&claims_with(changes));
        gateway.ask(&with(&token).header("Mcp-Session-Id", &session)).status
    };
    assert_eq!(in_session(&json!({"iat": now() - 1})), 200, "a renewed token");
    assert_eq!(in_session(&json!({"sub": "bob"})), 404);
    assert_eq!(in_session(&json!({"org": "globex"})), 404);
}
