//! The MCP server's way to the ticket API: HTTP with the caller's two headers, and the gateway's
//! word for them where it gave one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderValue, Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::access::AccessKey;
use crate::assertion::ASSERTION;
use crate::identity::{Identity, ORGANIZATION, USER};
use crate::refusal;

/// Where the ticket API is: `http://host:port`, without a path.
#[derive(Clone, Debug)]
pub struct ApiUrl(Authority);

impl FromStr for ApiUrl {
    type Err = InvalidApiUrl;

    fn from_str(text: &str) -> Result<Self, InvalidApiUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidApiUrl(()))?;
        let bare = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        uri.authority()
            .filter(|authority| bare && !authority.as_str().contains('@'))
            .map(|authority| Self(authority.clone()))
            .ok_or(InvalidApiUrl(()))
    }
}

/// The text given as the address of the API cannot be one.
#[derive(Debug)]
pub struct InvalidApiUrl(());

impl fmt::Display for InvalidApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address of the ticket API must look like http://127.0.0.1:8000")
    }
}

impl std::error::Error for InvalidApiUrl {}

/// Whom a request acts for, and the gateway's word for it, where it came along.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) assertion: Option<HeaderValue>,
}

/// What the API said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whether it did what it was asked.
    pub(crate) success: bool,
    /// The JSON text, as it came.
    pub(crate) text: String,
}

impl Answer {
    /// A refusal of this server, in the form of the API's own.
    pub(crate) fn refused(error: &str) -> Self {
        Self { success: false, text: refusal::text(error) }
    }
}

/// A client of one ticket API. It follows no redirects and reads no proxy from the environment.
pub(crate) struct Backend {
    client: Client<HttpConnector, Body>,
    api: ApiUrl,
    access_key: Option<AccessKey>,
}

impl Backend {
    pub(crate) fn new(api: ApiUrl, access_key: Option<AccessKey>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self { client, api, access_key }
    }

    pub(crate) async fn get(&self, caller: &Caller, path: &str) -> Answer {
        self.send(caller, Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post(&self, caller: &Caller, path: &str, json: String) -> Answer {
        self.send(caller, Method::POST, path, Body::from(json)).await
    }

    async fn send(&self, caller: &Caller, method: Method, path: &str, body: Body) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.api.0))
            .header(USER, &caller.identity.user)
            .header(ORGANIZATION, &caller.identity.organization)
            .header(CONTENT_TYPE, "application/json");
        if let Some(assertion) = &caller.assertion {
            request = request.header(&ASSERTION, assertion);
        }
        if let Some(value) = self.access_key.as_ref().and_then(AccessKey::header) {
            request = request.header(AUTHORIZATION, value);
        }
        let Ok(request) = request.body(body) else {
            return Answer::refused("the request to the ticket API could not be written");
        };
        match tokio::time::timeout(WHOLE, self.exchange(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the ticket API could not be asked");
                Answer::refused("the ticket API could not be reached; try again later")
            }
            Err(_) => {
                tracing::warn!("the ticket API did not answer in time");
                Answer::refused("the ticket API did not answer in time; try again later")
            }
        }
    }

    async fn exchange(
        &self,
        request: Request<Body>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let response = self.client.request(request).await?;
        let success = response.status().is_success();
        let bytes = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await?;
        Ok(Answer { success, text: String::from_utf8(bytes.into())? })
    }
}

/// To get a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// For the whole exchange.
const WHOLE: Duration = Duration::from_secs(15);

/// Below what servers commonly allow, so that no request is written into a closing connection.
const IDLE: Duration = Duration::from_secs(4);

/// 100 tickets of the largest size, escaped.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_http_authority_is_an_address() {
        for (text, good) in [
            ("http://127.0.0.1:8000", true),
            ("http://api:8000/", true),
            ("http://[::1]:8000", true),
            ("https://127.0.0.1:8000", false),
            ("http://user@127.0.0.1:8000", false),
            ("http://127.0.0.1:8000/v2", false),
            ("http://127.0.0.1:8000/?a", false),
            ("127.0.0.1:8000", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<ApiUrl>().is_ok(), good, "{text:?}");
        }
    }
}
