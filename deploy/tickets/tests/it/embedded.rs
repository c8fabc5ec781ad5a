//! Both services in process: the access key, and how they stop.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{ALICE, ORGANIZATION, USER, ask, call, connect, eras, http, start};

const KEY: &str = "k3y-of-the-gateway";
const BEARER: (&str, &str) = ("Authorization", "Bearer k3y-of-the-gateway");

#[tokio::test]
async fn nobody_goes_around_the_key() {
    let services = start(Some(KEY)).await;
    assert!(!format!("{services:?}").contains(KEY));
    let api = format!("http://{}", services.api_address());
    let mcp = format!("http://{}", services.mcp_address());
    for base in [&api, &mcp] {
        assert_eq!(ask(base, Method::GET, "/health", &[], None).await.0, StatusCode::OK);
        for path in ["/api/v1/tickets", "/mcp", "/mcp/", "/nowhere", "/health/", "//health"] {
            for wrong in [None, Some("Bearer wrong"), Some("Basic k3y-of-the-gateway")] {
                let mut headers = ALICE.to_vec();
                headers.extend(wrong.map(|value| ("Authorization", value)));
                let (status, answer) = ask(base, Method::POST, path, &headers, None).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{base}{path} {wrong:?}");
                assert!(!answer.to_string().contains(KEY));
            }
        }
    }
    let response = http().get(format!("{mcp}/mcp")).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let headers = [BEARER, (USER, "alice"), (ORGANIZATION, "acme")];
    let (status, _) = ask(&api, Method::GET, "/api/v1/tickets", &headers, None).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn the_key_opens_both_services_in_both_eras() {
    let services = start(Some(KEY)).await;
    let headers = [BEARER, (USER, "alice"), (ORGANIZATION, "acme")];
    for (era, mode) in eras() {
        let client = connect(&services.mcp_url(), mode, &headers).await;
        let arguments = json!({"title": era, "description": ""});
        let (error, created) = call(&client, "create_ticket", arguments).await;
        assert!(!error, "{era}: {created}");
        assert_eq!(created["ticket"]["title"], era);
    }
}

#[tokio::test]
async fn shutdown_closes_both_ports() {
    let services = start(None).await;
    let addresses = [services.api_address(), services.mcp_address()];
    services.shutdown().await;
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err(), "{address}");
    }
}

#[tokio::test]
async fn dropping_closes_both_ports() {
    let services = start(None).await;
    let addresses = [services.api_address(), services.mcp_address()];
    drop(services);
    for address in addresses {
        let closed = tokio::time::timeout(Duration::from_secs(5), refused(address)).await;
        assert!(closed.is_ok(), "{address} still answers");
    }
}

async fn refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
