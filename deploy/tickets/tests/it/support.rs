//! Clients of the services under test.

use std::collections::HashMap;

use doorward_tickets::{
    AccessKey, Embedded, EmbeddedOptions, Store, Trust, serve_api, start_embedded,
};
use reqwest::{Client, Method, StatusCode};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const USER: &str = "X-User-ID";
pub(crate) const ORGANIZATION: &str = "X-Organization-ID";

pub(crate) const ALICE: &[(&str, &str)] = &[(USER, "alice"), (ORGANIZATION, "acme")];
pub(crate) const BOB: &[(&str, &str)] = &[(USER, "bob"), (ORGANIZATION, "globex")];

/// Starts both services; with a key if one is given.
pub(crate) async fn start(key: Option<&str>) -> Embedded {
    let access_key = key.map(|key| AccessKey::new(key).unwrap());
    start_embedded(EmbeddedOptions { access_key }).await.unwrap()
}

/// Serves the API over this store until the test is over; where it is.
pub(crate) async fn api_on(store: Store) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve_api(listener, store, Trust::default(), std::future::pending()));
    api
}

pub(crate) fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// One request to the API, and its JSON.
pub(crate) async fn ask(
    api: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> (StatusCode, Value) {
    let mut request = http().request(method, format!("{api}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    assert_eq!(response.headers()["content-type"], "application/json", "{path}");
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

/// A connected MCP client.
pub(crate) type McpClient = RunningService<RoleClient, ()>;

/// The two protocol eras, by name.
pub(crate) fn eras() -> [(&'static str, ClientLifecycleMode); 2] {
    [
        ("legacy", ClientLifecycleMode::Initialize),
        (
            "modern",
            ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        ),
    ]
}

pub(crate) async fn connect(
    url: &str,
    mode: ClientLifecycleMode,
    headers: &[(&str, &str)],
) -> McpClient {
    let headers: HashMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(headers);
    let transport = StreamableHttpClientTransport::with_client(http(), config);
    ().serve_with_lifecycle(transport, mode).await.unwrap()
}

/// Calls a tool: whether it is an error result, and its text read as JSON.
pub(crate) async fn call(
    client: &McpClient,
    tool: &'static str,
    arguments: Value,
) -> (bool, Value) {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    let result: CallToolResult = client.call_tool(params).await.unwrap();
    assert_eq!(result.content.len(), 1);
    let text = &result.content[0].as_text().unwrap().text;
    (result.is_error.unwrap(), serde_json::from_str(text).unwrap())
}
