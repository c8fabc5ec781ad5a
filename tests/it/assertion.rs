//! What the upstream can check for itself: that this very request was permitted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, TokenData, Validation, decode, decode_header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::issuer::{Signer, claims, now, with_keys};
use crate::support::upstream::Request;
use crate::support::{
    ALICE_AT, Call, Gateway, LIST, Setup, Upstream, echo, modern_call, sealed_session, sealed_task,
    tool_call,
};

const TABLE: &str = "[identity]\nassertion = { key_file = \"assertion.pem\" }";

fn pem() -> String {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem()
}

fn asserting(upstream: &Upstream, pem: &str) -> Setup {
    Setup::new(upstream).more(TABLE).file("assertion.pem", pem)
}

fn keys(gateway: &Gateway) -> JwkSet {
    let get = Call::empty("GET").without("Authorization");
    let answer = gateway.ask(&get.target("/.well-known/doorward/jwks.json"));
    assert_eq!(answer.status, 200);
    serde_json::from_str(&answer.text()).unwrap()
}

/// The claims of the one assertion of a request, where one of the keys signed it.
fn checked(request: &Request, keys: &JwkSet) -> Value {
    let values = request.values("x-doorward-assertion");
    let [assertion] = values.as_slice() else { panic!("{values:?}") };
    let header = decode_header(assertion).unwrap();
    assert_eq!(header.typ.as_deref(), Some("doorward-assertion+jwt"));
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a key that is shown");
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["t"]);
    let data: TokenData<Value> =
        decode(assertion, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
    let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&request.body));
    assert_eq!(data.claims["body_sha256"], digest, "of the very bytes");
    data.claims
}

#[test]
fn a_forwarded_call_carries_a_statement_that_only_the_gateway_can_make() {
    let upstream = Upstream::good();
    let gateway = asserting(&upstream, &pem()).start();
    let forged = echo().header("X-Doorward-Assertion", "forged");
    assert_eq!(gateway.ask(&forged).status, 200);
    let request = upstream.only_request();
    let said = checked(&request, &keys(&gateway));
    let records = gateway.audit(2);
    let record = records.iter().find(|record| record["method"] == "tools/call").unwrap();
    for (name, value) in [
        ("iss", "doorward"),
        ("sub", "alice"),
        ("org", "acme"),
        ("token", "alice-key"),
        ("upstream", "t"),
        ("method", "tools/call"),
        ("tool", "echo"),
        ("jti", record["request_id"].as_str().unwrap()),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!(said["issuer"], Value::Null);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 60);
    assert!((now() - said["iat"].as_i64().unwrap()).abs() < 30);
    assert_eq!(request.values("x-request-id"), [said["jti"].as_str().unwrap()]);
}

#[test]
fn every_kind_of_request_carries_its_own() {
    let upstream = Upstream::good();
    let gateway = asserting(&upstream, &pem()).start();
    let session = sealed_session(ALICE_AT, "s-1");
    for call in [
        Call::post(LIST),
        modern_call("echo"),
        Call::empty("GET").header("Mcp-Session-Id", &session),
        Call::empty("DELETE").header("Mcp-Session-Id", &session),
    ] {
        gateway.ask(&call);
    }
    let keys = keys(&gateway);
    let said: Vec<_> = upstream.requests().iter().map(|r| checked(r, &keys)).collect();
    let methods: Vec<_> = said.iter().map(|claims| claims["method"].clone()).collect();
    assert_eq!(methods, [json!("tools/list"), json!("tools/call"), Value::Null, Value::Null]);
    assert!(
        said.iter().all(|claims| claims["tool"].is_null() == (claims["method"] != "tools/call"))
    );
    let distinct: std::collections::HashSet<_> =
        said.iter().map(|claims| claims["jti"].to_string()).collect();
    assert_eq!(distinct.len(), 4);
}

/// The bytes that are sent are not always the bytes that came: a task id loses its seal.
#[test]
fn the_digest_is_of_what_is_sent_and_not_of_what_came() {
    let upstream = Upstream::good();
    let gateway = asserting(&upstream, &pem()).upstream("tasks = \"sealed\"").start();
    let task = sealed_task(ALICE_AT, "echo", "task-1");
    let body = crate::support::rpc("1", "tasks/get", &format!(r#"{{"taskId":"{task}"}}"#));
    gateway.ask(&Call::post(body.clone()));
    let request = upstream.only_request();
    assert_ne!(request.body, body.as_bytes());
    checked(&request, &keys(&gateway));
}

#[test]
fn a_jwts_issuer_stands_in_it_and_eddsa_is_as_good() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let key = Signer::ed25519("x").pem();
    let gateway =
        with_keys(&upstream, &[signer.jwk()], "").more(TABLE).file("assertion.pem", &key).start();
    gateway.ask(&Call::post(tool_call("echo")).token(&signer.sign(&claims())));
    let said = checked(&upstream.only_request(), &keys(&gateway));
    assert_eq!(said["issuer"], "corp");
    assert_eq!(said["token"], Value::Null);
    assert_eq!(said["iss"], crate::support::issuer::PUBLIC);
}

#[test]
fn a_key_is_replaced_without_a_restart_and_the_old_one_shown_as_long_as_it_is_listed() {
    let (upstream, old, new) = (Upstream::good(), pem(), pem());
    let gateway = asserting(&upstream, &old).file("old.pem", &old).start();
    gateway.ask(&echo());
    let line = "key_file = \"assertion.pem\"";
    assert!(gateway.edit(line, &format!("{line}, retired_key_files = [\"old.pem\"]")));
    assert!(gateway.after_reload(|| gateway.put("assertion.pem", &new)));
    gateway.ask(&echo());
    let shown = keys(&gateway);
    assert_eq!(shown.keys.len(), 2);
    let ids: Vec<_> = upstream
        .requests()
        .iter()
        .inspect(|request| drop(checked(request, &shown)))
        .map(|r| decode_header(&r.values("x-doorward-assertion")[0]).unwrap().kid)
        .collect();
    assert_ne!(ids[0], ids[1]);
    assert!(!gateway.after_reload(|| gateway.put("assertion.pem", "nonsense")));
    assert_eq!(keys(&gateway), shown);
    assert!(!gateway.output().contains("PRIVATE"));
}

#[test]
fn without_a_key_there_is_neither_statement_nor_document() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    gateway.ask(&echo().header("X-Doorward-Assertion", "forged"));
    assert!(upstream.only_request().values("x-doorward-assertion").is_empty());
    let path = "/.well-known/doorward/jwks.json";
    assert_eq!(gateway.ask(&Call::empty("GET").target(path)).status, 404);
}
