//! Forms of JWTs that differ between issuers and must not matter: names of algorithms, members of
//! headers, lengths.

use serde_json::{Value, json};

use crate::support::issuer::{
    ISSUER, PUBLIC, Signer, Web, claims, claims_with, header, with, with_keys,
};
use crate::support::{Setup, Upstream};

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
