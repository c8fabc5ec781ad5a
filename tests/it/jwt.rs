//! Callers with a JWT, and with what only looks like one (threats.md 2.6, RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::issuer::{
    ISSUER, PUBLIC, SILENCE, Signer, Web, claims, claims_with, counted, header, key_set, message,
    now, with, with_issuer, with_keys,
};
use crate::support::{
    Call, Gateway, LIST, Next, Setup, Upstream, Wire, echo, eventually, modern_call, rpc,
    sealed_session, sse, tool_call,
};

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

#[test]
fn in_the_gap_before_new_keys_are_fetched_it_is_said_why_there_are_none() {
    let (upstream, signer) = (Upstream::good(), Signer::es256("k"));
    let web = Web::serving(&[signer.jwk()]);
    let source = format!("jwks_url = \"{}\"\nrefresh = \"1h\"\nmax_stale = \"10ms\"", web.url());
    let gateway = with_issuer(&upstream, &source, "").start();
    let (code, said) = gateway.command(&["check"]);
    assert!(code == Some(0) && said.contains("warning[DW0124]"), "{said}");
    let why = "issuer corp has no keys: the last ones are older than max_stale";
    eventually("it is said", || gateway.admin("/readyz").1.contains(why));
    eventually("a call fetches them", || gateway.ask(&with(&signer.sign(&claims()))).status == 200);
    assert!(web.fetches() > 1);
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
