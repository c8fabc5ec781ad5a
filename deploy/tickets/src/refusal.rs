//! How both services say no: a status and one sentence, as JSON.

use std::borrow::Cow;

use axum::http::header::CONTENT_TYPE;
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

    pub(crate) fn bad_body(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: error.into() }
    }

    pub(crate) fn unavailable(error: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.into() }
    }

    /// The body could not be taken in at all; `status` is axum's own judgement (413 or 400).
    pub(crate) fn unread_body(status: StatusCode) -> Self {
        let error = if status == StatusCode::PAYLOAD_TOO_LARGE {
            "the body is larger than 256 KiB"
        } else {
            "the body could not be read"
        };
        Self { status, error: error.into() }
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
        json_response(self.status, text(&self.error))
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
