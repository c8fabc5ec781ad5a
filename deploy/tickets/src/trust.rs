//! Whom a service believes: whoever holds its access key, and the gateway's signed word.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::access::{AccessKey, HEALTH};
use crate::assertion::{Assertions, Claims, Fault, Spent};
use crate::refusal::Refusal;
use crate::serve::whole;

/// What a request must bring along. By default nothing, which is right on loopback only.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A bearer token that all callers share.
    pub access_key: Option<AccessKey>,
    /// An assertion of the gateway about this very request.
    pub assertions: Option<Assertions>,
}

/// Lets a request to the MCP server through if its assertion is about its very body. Each is good
/// once; only what the gateway itself may send again is taken again. The body comes last: whoever
/// has no assertion need not send one.
pub(crate) async fn vouch_for_message(
    State((assertions, spent, max_body)): State<(Option<Assertions>, Arc<Spent>, usize)>,
    request: Request,
    next: Next,
) -> Response {
    let assertions = assertions.filter(|_| request.uri().path() != HEALTH);
    let (parts, body) = request.into_parts();
    let claims = match &assertions {
        Some(assertions) => assertions.check(&parts.headers).await.map(Some),
        None => Ok(None),
    };
    let claims = match claims {
        Ok(claims) => claims,
        Err(fault) => return refuse(fault),
    };
    let body = match whole(&parts.extensions, body, max_body).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(claims) = claims {
        let spend = || if claims.is_repeatable() { Ok(()) } else { spent.spend(&claims) };
        if let Err(fault) = is_about(&claims, &body).and_then(|()| spend()) {
            return refuse(fault);
        }
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// The members of a JSON-RPC message that an assertion repeats.
#[derive(Deserialize)]
struct Message {
    method: Option<String>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    name: Option<String>,
}

fn is_about(claims: &Claims, body: &Bytes) -> Result<(), Fault> {
    if URL_SAFE_NO_PAD.encode(Sha256::digest(body)) != claims.body_sha256 {
        return Err(Fault::AnotherBody);
    }
    // The digest says it all; this tells a gateway that judged another tool than the one it sent.
    let message: Option<Message> = serde_json::from_slice(body).ok();
    let method = message.as_ref().and_then(|message| message.method.as_deref());
    let tool = message.as_ref().and_then(|message| message.params.as_ref()?.name.as_deref());
    let tool = tool.filter(|_| method == Some("tools/call"));
    if claims.method.as_deref() == method && claims.tool.as_deref() == tool {
        Ok(())
    } else {
        Err(Fault::AnotherTool)
    }
}

/// Lets a request to the API through if its assertion is about the tool that it is a part of. One
/// call of a tool may read as often as it needs to while the assertion lives, and write once.
pub(crate) async fn vouch_for_operation(
    State((assertions, spent)): State<(Option<Assertions>, Arc<Spent>)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(assertions) = assertions.filter(|_| request.uri().path() != HEALTH) else {
        return next.run(request).await;
    };
    let claims = assertions.check(request.headers()).await;
    let checked = claims.and_then(|claims| {
        let tool = crate::api::tool(request.method(), request.uri().path());
        let is_call = claims.method.as_deref() == Some("tools/call");
        if !is_call || tool.is_none() || claims.tool.as_deref() != tool {
            return Err(Fault::AnotherTool);
        }
        if request.method() == Method::GET { Ok(()) } else { spent.spend(&claims) }
    });
    match checked {
        Ok(()) => next.run(request).await,
        Err(fault) => refuse(fault),
    }
}

fn refuse(fault: Fault) -> Response {
    tracing::warn!(%fault, "a request without the gateway's word was refused");
    if fault == Fault::TooMany {
        return Refusal::unavailable("too many requests lately; try again later").into_response();
    }
    Refusal::unauthenticated("the gateway does not vouch for this request").into_response()
}
