//! A legacy session, spoken by hand so that one session can carry calls of several people.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, http, start};

struct Session {
    url: String,
    id: String,
}

impl Session {
    /// Opens a session with these headers on every request of the handshake.
    async fn open(url: String, headers: &[(&str, &str)]) -> Self {
        let mut session = Self { url, id: String::new() };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"}
        }});
        let response = session.post(&hello, headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        session.id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(session.post(&ready, headers).await.status(), StatusCode::ACCEPTED);
        session
    }

    async fn post(&self, message: &Value, headers: &[(&str, &str)]) -> Response {
        let mut request = http()
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        if !self.id.is_empty() {
            request = request
                .header("mcp-session-id", &self.id)
                .header("mcp-protocol-version", "2025-11-25");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(message.to_string()).send().await.unwrap()
    }

    /// Calls a tool with these headers and reads the result out of the event stream.
    async fn call(&self, tool: &str, arguments: Value, headers: &[(&str, &str)]) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let text = self.post(&message, headers).await.text().await.unwrap();
        let answer = text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .find(|message| message.get("result").is_some());
        answer.unwrap_or_else(|| panic!("no result in {text:?}"))["result"].clone()
    }
}

fn text(result: &Value) -> Value {
    serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn identity_belongs_to_the_call_and_not_to_the_session() {
    let services = start(None).await;
    let session = Session::open(services.mcp_url(), ALICE).await;
    let arguments = json!({"title": "hers", "description": ""});
    let created = text(&session.call("create_ticket", arguments.clone(), ALICE).await);
    assert_eq!(created["ticket"]["organization_id"], "acme");

    let listed = text(&session.call("list_tickets", json!({}), BOB).await);
    assert_eq!(listed["total"], 0);
    let created = text(&session.call("create_ticket", arguments, BOB).await);
    assert_eq!(created["ticket"]["created_by"], "bob");
    assert_eq!(created["ticket"]["organization_id"], "globex");

    let refused = session.call("list_tickets", json!({}), &[]).await;
    assert_eq!(refused["isError"], true);
    assert!(text(&refused)["error"].as_str().unwrap().contains("X-User-ID is missing"));
}

#[tokio::test]
async fn an_open_event_stream_does_not_hold_up_the_stop() {
    let services = start(None).await;
    let session = Session::open(services.mcp_url(), ALICE).await;
    let stream = http()
        .get(&session.url)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session.id)
        .send()
        .await
        .unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    // Below the five seconds after which open connections are given up.
    tokio::time::timeout(Duration::from_secs(4), services.shutdown()).await.unwrap();
}
