//! The ticket API: routes, answers and the log line of each request. Knows nothing of MCP.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;

use crate::access::{HEALTH, guard};
use crate::assertion::Spent;
use crate::identity::Identity;
use crate::query::{self, Page};
use crate::refusal::{Refusal, json_response};
use crate::serve::{self, Bounds, share, take_body};
use crate::store::{MAX_TICKETS, Store};
use crate::ticket::{Draft, Ticket, id_number};
use crate::trust::{Trust, vouch_for_operation};

/// Serves the ticket API on this listener until `stop` resolves.
///
/// Every path but `/health` needs what `trust` asks for; where that is nothing, whoever reaches the
/// listener may name any identity.
///
/// # Errors
/// If the listener fails.
pub async fn serve_api(
    listener: TcpListener,
    store: Store,
    trust: Trust,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_api_within(Bounds::part(4), listener, store, trust, stop).await
}

/// The same, within these bounds.
pub(crate) async fn serve_api_within(
    bounds: Bounds,
    listener: TcpListener,
    store: Store,
    trust: Trust,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve::run(listener, router(store, trust), bounds, stop).await
}

/// The path of the list; the other paths begin with it.
pub(crate) const TICKETS: &str = "/api/v1/tickets";

/// Answers with the identity of its own request.
pub(crate) const WHOAMI: &str = "/api/v1/whoami";

/// 20 000 characters outside the basic plane, each escaped as two `\uXXXX`, and room for the rest.
const MAX_BODY: usize = 256 * 1024;

/// Characters of a path in the log; ours are shorter.
const SHOWN: usize = 100;

/// The tool of the MCP server that a request is a part of.
pub(crate) fn tool(method: &Method, path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix(TICKETS);
    match (method.as_str(), rest) {
        ("GET", Some("")) => Some("list_tickets"),
        ("GET", Some("/search")) => Some("search_tickets"),
        ("POST", Some("/ai-create")) => Some("create_ticket"),
        ("GET", Some(id)) if id.starts_with('/') => Some("get_ticket"),
        ("GET", None) if path == WHOAMI => Some("whoami"),
        _ => None,
    }
}

fn router(store: Store, trust: Trust) -> Router {
    Router::new()
        .route(TICKETS, get(list))
        .route(&format!("{TICKETS}/ai-create"), post(create))
        .route(&format!("{TICKETS}/search"), get(search))
        .route(&format!("{TICKETS}/{{id}}"), get(read))
        .route(WHOAMI, get(whoami))
        .route(HEALTH, get(health))
        .fallback(async || Refusal::not_found("no such path"))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .with_state(store)
        .layer(from_fn(share))
        .layer(from_fn_with_state(MAX_BODY, take_body))
        .layer(from_fn_with_state((trust.assertions, Arc::<Spent>::default()), vouch_for_operation))
        .layer(from_fn_with_state(trust.access_key, guard))
        .layer(from_fn(log))
}

async fn list(
    State(store): State<Store>,
    identity: Identity,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let (filter, page) = query::list(raw.as_deref()).map_err(Refusal::bad_parameter)?;
    let (tickets, total) = store.list(identity.organization, filter, page).await?;
    Ok(many(&tickets, total, page))
}

async fn search(
    State(store): State<Store>,
    identity: Identity,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    let (text, page) = query::search(raw.as_deref()).map_err(Refusal::bad_parameter)?;
    let (tickets, total) = store.search(identity.organization, &text, page).await?;
    Ok(many(&tickets, total, page))
}

async fn read(
    State(store): State<Store>,
    identity: Identity,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Refusal> {
    query::none(raw.as_deref()).map_err(Refusal::bad_parameter)?;
    let text = id.map(|Path(text)| text).unwrap_or_default();
    let id = id_number(&text).map_err(Refusal::bad_parameter)?;
    // The same words whether it is missing or another organization's: the caller must not learn which.
    let ticket = store.get(identity.organization, id).await?;
    ticket
        .map(|ticket| one(StatusCode::OK, &ticket))
        .ok_or_else(|| Refusal::not_found("no such ticket"))
}

async fn create(
    State(store): State<Store>,
    identity: Identity,
    RawQuery(raw): RawQuery,
    body: Bytes,
) -> Result<Response, Refusal> {
    query::none(raw.as_deref()).map_err(Refusal::bad_parameter)?;
    let draft: Draft = serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_body(format!("the body is not a ticket: {error}")))?;
    let new = draft.check().map_err(Refusal::bad_body)?;
    let ticket = store.create(identity, new, Timestamp::now()).await?;
    ticket.map(|ticket| one(StatusCode::CREATED, &ticket)).ok_or_else(|| {
        Refusal::full(format!("your organization has {MAX_TICKETS} tickets, its most"))
    })
}

async fn whoami(identity: Identity, RawQuery(raw): RawQuery) -> Result<Response, Refusal> {
    query::none(raw.as_deref()).map_err(Refusal::bad_parameter)?;
    let answer = json!({
        "success": true,
        "user_id": identity.user,
        "organization_id": identity.organization,
    });
    Ok(json_response(StatusCode::OK, answer.to_string()))
}

async fn health() -> Response {
    json_response(StatusCode::OK, json!({ "success": true, "status": "ok" }).to_string())
}

fn one(status: StatusCode, ticket: &Ticket) -> Response {
    json_response(status, json!({ "success": true, "ticket": ticket }).to_string())
}

fn many(tickets: &[Ticket], total: i64, page: Page) -> Response {
    let answer = json!({
        "success": true,
        "tickets": tickets,
        "total": total,
        "page": page.number,
        "page_size": page.size,
    });
    json_response(StatusCode::OK, answer.to_string())
}

/// One line per request. The query and the body stay out: they hold what people wrote.
async fn log(request: Request, next: Next) -> Response {
    if request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    let identity = Identity::from_headers(request.headers()).ok();
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(SHOWN).collect();
    let response = next.run(request).await;
    tracing::info!(
        user = identity.as_ref().map(|identity| identity.user.as_str()),
        organization = identity.as_ref().map(|identity| identity.organization.as_str()),
        %method,
        path,
        status = response.status().as_u16(),
        "ticket api request"
    );
    response
}
