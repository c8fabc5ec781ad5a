//! How both services say no: a status and one sentence, as JSON.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::store::StoreError;

/// A request that is not carried out. The sentence is for the caller and holds no internals.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn bad_parameter(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    pub(crate) fn unauthenticated(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: error.into() }
    }

    pub(crate) fn not_found(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.into() }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let error = "this path does not take this method".into();
        Self { status: StatusCode::METHOD_NOT_ALLOWED, error }
    }

    /// There is no room for more of the caller's.
    pub(crate) fn full(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::CONFLICT, error: error.into() }
    }

    pub(crate) fn bad_body(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: error.into() }
    }

    /// Too much is going on, and it may be less in a moment.
    pub(crate) fn unavailable(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into() }
    }

    pub(crate) fn too_much_at_once() -> Self {
        Self::unavailable("too many requests at once")
    }

    pub(crate) fn took_too_long() -> Self {
        Self { status: StatusCode::GATEWAY_TIMEOUT, error: "this took too long".into() }
    }

    pub(crate) fn late_body() -> Self {
        let error = "the body did not come in time".into();
        Self { status: StatusCode::REQUEST_TIMEOUT, error }
    }

    pub(crate) fn too_long_body(most: usize) -> Self {
        let error = format!("the body is larger than {} KiB", most / 1024).into();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, error }
    }

    pub(crate) fn unread_body() -> Self {
        let error = "the body could not be read".into();
        Self { status: StatusCode::BAD_REQUEST, error }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the ticket store did not answer");
        let error = "the ticket store did not answer".into();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, text(&self.error));
        let header = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            // The rest of the body is not read.
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                Some((CONNECTION, "close"))
            }
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The JSON text of a refusal; a tool result holds the same.
pub(crate) fn text(error: &str) -> String {
    json!({ "success": false, "error": error }).to_string()
}

/// An answer that holds this JSON text.
pub(crate) fn json_response(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
