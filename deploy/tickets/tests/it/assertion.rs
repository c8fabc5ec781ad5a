//! With assertions asked for, nothing is believed that the gateway has not signed.

use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_tickets::{AssertionKeys, Assertions, McpOptions, Store, Trust, serve_api, serve_mcp};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{ORGANIZATION, USER, http};

mod replay;
mod shown;

const ASSERTION: &str = "X-Doorward-Assertion";
const TYPE: &str = "doorward-assertion+jwt";

/// A gateway's key.
struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Signer {
    fn es256() -> Self {
        let made =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let key = EncodingKey::from_ec_der(made.unwrap().as_ref());
        Self { key, algorithm: Algorithm::ES256 }
    }

    fn ed25519() -> Self {
        let made = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        Self { key: EncodingKey::from_ed_der(made.as_ref()), algorithm: Algorithm::EdDSA }
    }

    fn jwk(&self, id: &str) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap())
                .unwrap();
        jwk["kid"] = id.into();
        jwk
    }

    fn sign(&self, id: &str, typ: &str, claims: &Value) -> String {
        self.sign_with(id, typ, json!({}), claims)
    }

    /// With more members in its header.
    fn sign_with(&self, id: &str, typ: &str, mut header: Value, claims: &Value) -> String {
        header["alg"] = serde_json::to_value(self.algorithm).unwrap();
        (header["kid"], header["typ"]) = (id.into(), typ.into());
        let header: Header = serde_json::from_value(header).unwrap();
        encode(&header, claims, &self.key).unwrap()
    }

    fn good(&self, claims: &Value) -> String {
        self.sign("k", TYPE, claims)
    }
}

/// A service's file of keys.
struct Keys {
    folder: TempDir,
}

impl Keys {
    fn of(signers: &[(&str, &Signer)]) -> Self {
        let keys = Self { folder: TempDir::new().unwrap() };
        keys.write(signers);
        keys
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("jwks.json")
    }

    fn write(&self, signers: &[(&str, &Signer)]) {
        std::fs::write(self.path(), set(signers)).unwrap();
    }

    fn trust(&self) -> Trust {
        let source = AssertionKeys::File(self.path());
        let assertions = Some(Assertions::new(source, "tickets".to_owned()));
        Trust { access_key: None, assertions }
    }
}

fn set(signers: &[(&str, &Signer)]) -> String {
    let keys: Vec<Value> = signers.iter().map(|(id, signer)| signer.jwk(id)).collect();
    json!({ "keys": keys }).to_string()
}

async fn api(trust: Trust) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let store = Store::in_memory().await.unwrap();
    tokio::spawn(serve_api(listener, store, trust, std::future::pending()));
    url
}

async fn mcp(trust: Trust, api: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let options = McpOptions { api: api.parse().unwrap(), trust, allowed_hosts: Vec::new() };
    tokio::spawn(serve_mcp(listener, options, std::future::pending()));
    url
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims(tool: &str, body: &str) -> Value {
    json!({
        "iss": "doorward", "aud": "tickets", "sub": "alice", "org": "acme", "upstream": "tickets",
        "method": "tools/call", "tool": tool, "jti": "1", "nbf": now(), "iat": now(), "exp": now() + 60,
        "body_sha256": URL_SAFE_NO_PAD.encode(Sha256::digest(body)),
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// The status of a request of alice's.
async fn ask(method: Method, url: &str, assertions: &[String], body: &str) -> (StatusCode, String) {
    let mut request =
        http().request(method, url).header(USER, "alice").header(ORGANIZATION, "acme");
    for assertion in assertions {
        request = request.header(ASSERTION, assertion);
    }
    let request = request
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2026-07-28")
        .header("Mcp-Method", "tools/call");
    let tool = serde_json::from_str::<Value>(body).unwrap_or_default();
    let name = tool["params"]["name"].as_str().unwrap_or("x").to_owned();
    let answer = request.header("Mcp-Name", name).body(body.to_owned()).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn call(tool: &str, arguments: &Value) -> String {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": tool, "arguments": arguments,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    })
    .to_string()
}

#[tokio::test]
async fn a_call_that_the_gateway_vouches_for_goes_through_both_services() {
    for signer in [Signer::es256(), Signer::ed25519()] {
        let keys = Keys::of(&[("k", &signer)]);
        let mcp = mcp(keys.trust(), &api(keys.trust()).await).await;
        let body = call("create_ticket", &json!({"title": "vouched for", "description": "x"}));
        let word = signer.good(&claims("create_ticket", &body));
        let (status, text) = ask(Method::POST, &mcp, &[word], &body).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains("vouched for"), "{text}");
    }
}

/// What is wrong with any request, to either service.
fn unfit(signer: &Signer, good: &Value) -> Vec<(&'static str, Vec<String>)> {
    let other = Signer::es256();
    let changed = |name, value| vec![signer.good(&with(good.clone(), name, value))];
    let tampered = {
        let signed = signer.good(good);
        let parts: Vec<&str> = signed.split('.').collect();
        let root = with(good.clone(), "sub", "root".into()).to_string();
        vec![format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(root), parts[2])]
    };
    let unsigned = {
        let header = json!({"alg": "none", "typ": TYPE, "kid": "k"}).to_string();
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        vec![format!("{}.{}.", part(&header), part(&good.to_string()))]
    };
    let hmac = {
        let mut header = Header::new(Algorithm::HS256);
        (header.kid, header.typ) = (Some("k".to_owned()), Some(TYPE.to_owned()));
        let public = signer.jwk("k").to_string();
        vec![encode(&header, good, &EncodingKey::from_secret(public.as_bytes())).unwrap()]
    };
    let bearing = |header: Value| vec![signer.sign_with("k", TYPE, header, good)];
    vec![
        ("none at all", vec![]),
        ("nonsense", vec!["nonsense".to_owned()]),
        ("two", vec![signer.good(good), signer.good(good)]),
        ("another key", vec![other.good(good)]),
        ("a key that is not known", vec![signer.sign("o", TYPE, good)]),
        ("another type of token", vec![signer.sign("k", "at+jwt", good)]),
        ("alg none", unsigned),
        ("HS256 with the public key", hmac),
        ("tampered", tampered),
        ("expired", changed("exp", (now() - 10).into())),
        ("without an end", changed("exp", Value::Null)),
        ("of the future", changed("iat", (now() + 60).into())),
        ("not good yet", changed("nbf", (now() + 60).into())),
        ("not good before a word", changed("nbf", "soon".into())),
        ("of no moment", changed("iat", Value::Null)),
        ("for ten years", changed("exp", (now() + 315_360_000).into())),
        ("a second longer than the gateway's longest", changed("exp", (now() + 601).into())),
        ("older than the gateway's longest", changed("iat", (now() - 600).into())),
        ("without an id", changed("jti", Value::Null)),
        ("with an empty id", changed("jti", "".into())),
        ("with an id that is long", changed("jti", "x".repeat(257).into())),
        ("larger than any", changed("upstream", "x".repeat(8192).into())),
        ("an extension that is not known", bearing(json!({"crit": ["x"], "x": 1}))),
        ("an extension that is a claim", bearing(json!({"crit": ["exp"]}))),
        ("a list of no extensions", bearing(json!({"crit": []}))),
        ("a payload that is not encoded", bearing(json!({"b64": true}))),
        ("compressed", bearing(json!({"zip": "DEF"}))),
        ("keys elsewhere", bearing(json!({"jku": "http://127.0.0.1:9/"}))),
        ("for another system", changed("aud", "other".into())),
        ("about another user", changed("sub", "bob".into())),
        ("about another organization", changed("org", "globex".into())),
        ("about another tool", changed("tool", "get_ticket".into())),
        ("about another method", changed("method", "tools/list".into())),
    ]
}

#[tokio::test]
async fn the_mcp_server_refuses_what_the_gateway_does_not_vouch_for() {
    let signer = Signer::es256();
    let keys = Keys::of(&[("k", &signer)]);
    let api = api(Trust::default()).await;
    let mcp = mcp(keys.trust(), &api).await;
    let body = call("create_ticket", &json!({"title": "forged", "description": "x"}));
    let good = claims("create_ticket", &body);
    let mut rows = unfit(&signer, &good);
    let replayed = signer.good(&claims("create_ticket", &body.replace("forged", "other")));
    rows.push(("replayed for another body", vec![replayed]));
    for (what, assertions) in rows {
        let (status, text) = ask(Method::POST, &mcp, &assertions, &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {text}");
    }
    let (_, listed) = ask(Method::GET, &format!("{api}/api/v1/tickets"), &[], "").await;
    assert!(listed.contains("\"total\":0"), "nothing was made: {listed}");
    assert_eq!(ask(Method::POST, &mcp, &[signer.good(&good)], &body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_api_refuses_what_the_gateway_does_not_vouch_for() {
    let signer = Signer::es256();
    let keys = Keys::of(&[("k", &signer)]);
    let api = api(keys.trust()).await;
    let create = format!("{api}/api/v1/tickets/ai-create");
    let body = json!({"title": "forged", "description": "x"}).to_string();
    let good = claims("create_ticket", "the body of the MCP request");
    for (what, assertions) in unfit(&signer, &good) {
        let (status, text) = ask(Method::POST, &create, &assertions, &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}: {text}");
    }
    let reading = [
        ("list_tickets", "/api/v1/tickets"),
        ("search_tickets", "/api/v1/tickets/search?query=x"),
        ("get_ticket", "/api/v1/tickets/T-1"),
        ("whoami", "/api/v1/whoami"),
    ];
    for (tool, path) in reading {
        for (other, _) in reading {
            let word = signer.good(&claims(other, ""));
            let (status, _) = ask(Method::GET, &format!("{api}{path}"), &[word], "").await;
            assert_eq!(status == StatusCode::UNAUTHORIZED, tool != other, "{tool} by {other}");
        }
    }
    let word = signer.good(&claims("list_tickets", ""));
    let (_, listed) = ask(Method::GET, &format!("{api}/api/v1/tickets"), &[word], "").await;
    assert!(listed.contains("\"total\":0"), "nothing was made: {listed}");
    let (status, _) = ask(Method::POST, &create, &[signer.good(&good)], &body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(ask(Method::GET, &format!("{api}/health"), &[], "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn keys_that_cannot_be_read_open_nothing() {
    let signer = Signer::es256();
    let keys = Keys::of(&[("k", &signer)]);
    std::fs::write(keys.path(), "nonsense").unwrap();
    let api = api(keys.trust()).await;
    let word = signer.good(&claims("whoami", ""));
    let (status, _) = ask(Method::GET, &format!("{api}/api/v1/whoami"), &[word], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
