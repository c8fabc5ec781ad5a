//! The ticket MCP server: five tools over the ticket API. Never opens the database.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, Extensions};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::access::{HEALTH, guard};
use crate::api::{TICKETS, WHOAMI};
use crate::assertion::{ASSERTION, Spent};
use crate::backend::{Answer, ApiUrl, Backend, Caller};
use crate::identity::Identity;
use crate::refusal::{Refusal, json_response};
use crate::serve::{self, Bounds, share};
use crate::ticket::{Draft, id_number};
use crate::trust::{Trust, vouch_for_message};

use self::arguments::{CreateTicket, GetTicket, ListTickets, SearchTickets};
use self::sessions::Sessions;

mod arguments;
mod sessions;

/// What the MCP server needs to know.
#[derive(Clone, Debug)]
pub struct McpOptions {
    /// The ticket API.
    pub api: ApiUrl,
    /// What requests must bring along. The access key is also presented to the API, and an
    /// assertion handed on.
    pub trust: Trust,
    /// Names, with or without a port, that a `Host` header may hold beside the bound address.
    pub allowed_hosts: Vec<String>,
}

/// Serves the MCP server at `/mcp` on this listener until `stop` resolves.
///
/// One endpoint speaks both protocol eras: sessions opened by `initialize`, and the stateless
/// requests of 2026-07-28.
///
/// # Errors
/// If an allowed host is not a host name, or the listener fails.
pub async fn serve_mcp(
    listener: TcpListener,
    options: McpOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_mcp_within(Bounds::part(4), listener, options, stop).await
}

/// The same, within these bounds.
pub(crate) async fn serve_mcp_within(
    bounds: Bounds,
    listener: TcpListener,
    options: McpOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let hosts = allowed_hosts(listener.local_addr()?, options.allowed_hosts)?;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_max_request_body_bytes(MAX_BODY);
    let streams = config.cancellation_token.clone();
    let tools =
        Tools { backend: Arc::new(Backend::new(options.api, options.trust.access_key.clone())) };
    let manager = Arc::<LocalSessionManager>::default();
    let service: StreamableHttpService<Tools, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(tools.clone()), Arc::clone(&manager), config);
    let kept = Arc::new(Sessions::new(manager));
    let router = Router::new()
        .route_service("/mcp", service)
        .route(HEALTH, get(health))
        .fallback(async || Refusal::not_found("no such path"))
        .layer(from_fn_with_state(kept, sessions::bound))
        .layer(from_fn(share))
        .layer(from_fn_with_state(
            (options.trust.assertions, Arc::<Spent>::default(), MAX_BODY),
            vouch_for_message,
        ))
        .layer(from_fn_with_state(options.trust.access_key, guard));
    serve::run(listener, router, bounds, async move {
        stop.await;
        // Event streams never end by themselves.
        streams.cancel();
    })
    .await
}

/// The largest ticket that the API takes, inside its JSON-RPC envelope.
const MAX_BODY: usize = 512 * 1024;

async fn health() -> axum::response::Response {
    json_response(StatusCode::OK, json!({ "success": true, "status": "ok" }).to_string())
}

/// The values of `Host` that are ours. Whoever else's name a browser was tricked into resolving
/// to this address is refused.
fn allowed_hosts(bound: SocketAddr, more: Vec<String>) -> io::Result<Vec<String>> {
    let mut hosts = vec![bound.to_string()];
    if bound.ip().is_loopback() || bound.ip().is_unspecified() {
        let port = bound.port();
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{port}")));
    }
    for host in more {
        // rmcp would take an unreadable entry and never match it.
        if Authority::try_from(host.as_str()).is_err() || host.contains('@') {
            let text = format!("allowed host {host:?} is not a host name, with or without a port");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        hosts.push(host);
    }
    Ok(hosts)
}

#[derive(Clone)]
struct Tools {
    backend: Arc<Backend>,
}

#[tool_router]
impl Tools {
    /// List the tickets of your organization, newest first, a page at a time. Use the filters to
    /// narrow the list, `search_tickets` to find words, `get_ticket` for a ticket whose id you know.
    #[tool(annotations(
        title = "List tickets",
        read_only_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn list_tickets(
        &self,
        Parameters(arguments): Parameters<ListTickets>,
        extensions: Extensions,
    ) -> CallToolResult {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("page", &arguments.page.to_string())
            .append_pair("page_size", &arguments.page_size.to_string())
            .append_pair("status", &arguments.status)
            .append_pair("category", &arguments.category)
            .append_pair("priority", &arguments.priority)
            .finish();
        self.read("list_tickets", &extensions, format!("{TICKETS}?{query}")).await
    }

    /// File a new ticket for your organization, in your name. It starts as open. The answer holds
    /// the ticket with its id. Calling this twice makes two tickets.
    #[tool(annotations(
        title = "Create a ticket",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    async fn create_ticket(
        &self,
        Parameters(arguments): Parameters<CreateTicket>,
        extensions: Extensions,
    ) -> CallToolResult {
        let caller = match caller(&extensions) {
            Ok(caller) => caller,
            Err(answer) => return finish("create_ticket", None, answer),
        };
        let draft = Draft {
            title: arguments.title,
            description: arguments.description,
            category: arguments.category,
            priority: arguments.priority,
        };
        let path = format!("{TICKETS}/ai-create");
        let answer = self.backend.post(&caller, &path, json!(draft).to_string()).await;
        finish("create_ticket", Some(&caller.identity), answer)
    }

    /// Find tickets of your organization whose title or description holds a text, newest first, a
    /// page at a time. Upper and lower case are the same; there are no wildcards.
    #[tool(annotations(
        title = "Search tickets",
        read_only_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn search_tickets(
        &self,
        Parameters(arguments): Parameters<SearchTickets>,
        extensions: Extensions,
    ) -> CallToolResult {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &arguments.query)
            .append_pair("page", &arguments.page.to_string())
            .append_pair("page_size", &arguments.page_size.to_string())
            .finish();
        self.read("search_tickets", &extensions, format!("{TICKETS}/search?{query}")).await
    }

    /// Read one ticket of your organization by its id, such as T-12.
    #[tool(annotations(
        title = "Read a ticket",
        read_only_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn get_ticket(
        &self,
        Parameters(arguments): Parameters<GetTicket>,
        extensions: Extensions,
    ) -> CallToolResult {
        // Checked here too, since the id becomes part of a path.
        match id_number(arguments.ticket_id.trim()) {
            Ok(id) => self.read("get_ticket", &extensions, format!("{TICKETS}/{id}")).await,
            Err(error) => finish("get_ticket", None, Answer::refused(&error)),
        }
    }

    /// Tell for whom the other tools act: your user and your organization, as the ticket system
    /// knows them.
    #[tool(annotations(
        title = "Who am I",
        read_only_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn whoami(&self, extensions: Extensions) -> CallToolResult {
        self.read("whoami", &extensions, WHOAMI.to_owned()).await
    }
}

impl Tools {
    async fn read(&self, tool: &str, extensions: &Extensions, path: String) -> CallToolResult {
        match caller(extensions) {
            Ok(caller) => {
                let answer = self.backend.get(&caller, &path).await;
                finish(tool, Some(&caller.identity), answer)
            }
            Err(answer) => finish(tool, None, answer),
        }
    }
}

#[tool_handler(
    name = "doorward-tickets",
    instructions = "Tickets of one organization. Whose they are is decided by the gateway, not by an argument."
)]
impl ServerHandler for Tools {}

/// Whom this very call acts for: rmcp attaches the HTTP request that carried it.
fn caller(extensions: &Extensions) -> Result<Caller, Answer> {
    let Some(parts) = extensions.get::<Parts>() else {
        return Err(Answer::refused(
            "this call did not arrive over HTTP, so nobody vouches for it",
        ));
    };
    let assertion = parts.headers.get(&ASSERTION).cloned();
    match Identity::from_headers(&parts.headers) {
        Ok(identity) => Ok(Caller { identity, assertion }),
        Err(error) => Err(Answer::refused(&format!(
            "{error}; this server only answers calls that come through its gateway"
        ))),
    }
}

/// The API's own text is the result; a refusal is a result too, so that a model can read it.
fn finish(tool: &str, identity: Option<&Identity>, answer: Answer) -> CallToolResult {
    tracing::info!(
        user = identity.map(|identity| identity.user.as_str()),
        organization = identity.map(|identity| identity.organization.as_str()),
        tool,
        success = answer.success,
        "ticket tool call"
    );
    let content = vec![ContentBlock::text(answer.text)];
    if answer.success { CallToolResult::success(content) } else { CallToolResult::error(content) }
}

#[cfg(test)]
mod tests;
