//! An assertion is worth one request.

use std::slice;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_tickets::Trust;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Keys, Signer, api, ask, call, claims, mcp, with};

#[tokio::test]
async fn a_call_of_a_tool_is_good_once_at_the_mcp_server_and_a_list_again() {
    let signer = Signer::es256();
    let keys = Keys::of(&[("k", &signer)]);
    let api = api(Trust::default()).await;
    let mcp = mcp(keys.trust(), &api).await;
    let body = call("create_ticket", &json!({"title": "once", "description": "x"}));
    let said = claims("create_ticket", &body);
    let word = signer.good(&said);
    assert_eq!(ask(Method::POST, &mcp, slice::from_ref(&word), &body).await.0, StatusCode::OK);
    for again in [word, signer.good(&said)] {
        let (status, text) = ask(Method::POST, &mcp, &[again], &body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{text}");
    }
    let other = with(claims("create_ticket", &body), "jti", "2".into());
    let word = signer.good(&other);
    assert_eq!(ask(Method::POST, &mcp, &[twin(&word)], &body).await.0, StatusCode::OK);
    assert_eq!(ask(Method::POST, &mcp, &[word], &body).await.0, StatusCode::UNAUTHORIZED);
    let (_, listed) = ask(Method::GET, &format!("{api}/api/v1/tickets"), &[], "").await;
    assert!(listed.contains("\"total\":2"), "{listed}");

    // The gateway sends it again where a connection breaks.
    let body = body.replace("tools/call", "tools/list");
    let list = with(with(claims("", &body), "method", "tools/list".into()), "tool", Value::Null);
    for _ in 0..2 {
        let (status, text) = ask(Method::POST, &mcp, &[signer.good(&list)], &body).await;
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{text}");
    }
}

/// The other signature over the same, which everybody can make of the first: (r, n - s).
fn twin(token: &str) -> String {
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let of_n = i32::from(u8::from_str_radix(&N[2 * at..2 * at + 2], 16).unwrap());
        let less = of_n - i32::from(bytes[32 + at]) - borrow;
        borrow = i32::from(less < 0);
        bytes[32 + at] = u8::try_from(less + 256 * borrow).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn an_assertion_writes_once_at_the_api_and_reads_again() {
    let signer = Signer::ed25519();
    let keys = Keys::of(&[("k", &signer)]);
    let api = api(keys.trust()).await;
    let (create, tickets) =
        (format!("{api}/api/v1/tickets/ai-create"), format!("{api}/api/v1/tickets"));
    let word = signer.good(&claims("create_ticket", ""));
    let mut statuses = Vec::new();
    for title in ["first", "second", "first"] {
        let body = json!({"title": title, "description": "x"}).to_string();
        statuses.push(ask(Method::POST, &create, slice::from_ref(&word), &body).await.0);
    }
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED]);
    let word = signer.good(&claims("list_tickets", ""));
    for _ in 0..2 {
        let (status, listed) = ask(Method::GET, &tickets, slice::from_ref(&word), "").await;
        assert_eq!(status, StatusCode::OK);
        assert!(listed.contains("\"total\":1"), "{listed}");
    }
}
