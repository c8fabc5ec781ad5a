//! A small document from one address of the configuration: no redirects, bounded in size and time.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Uri, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use tokio::time::timeout;

use super::trouble::{Cause, Phase};
use super::upstream::{Upstream, UpstreamOptions, UpstreamTls};

use crate::core::harmless::visible;

/// Why something could not be had from another server.
#[derive(Debug)]
pub enum FetchError {
    /// It goes beyond a bound; holds what, and which bound.
    Beyond(String),
    /// The name does not resolve.
    Name,
    /// The connection, or what comes over it, is broken.
    Broken(Box<pingora::Error>),
    /// It said no; holds its words.
    Refused(String),
    /// Not a 200; a redirect is not followed.
    Status(u16),
    /// Longer than it may be.
    TooLong,
    /// Slower than it may be.
    TooSlow,
    /// What it says is not an answer; holds what is wrong.
    Unclear(Cow<'static, str>),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(what) => f.write_str(what),
            Self::Name => f.write_str("the name does not resolve"),
            Self::Broken(error) => {
                write!(f, "cannot be reached: {}", Cause::of(error, Phase::Head))
            }
            Self::Refused(words) => write!(f, "says no: {}", visible(words)),
            Self::Status(status) => write!(f, "answers with status {status}"),
            Self::TooLong => f.write_str("sends too much"),
            Self::TooSlow => f.write_str("is too slow"),
            Self::Unclear(what) => f.write_str(&visible(what)),
        }
    }
}

impl From<Box<pingora::Error>> for FetchError {
    fn from(error: Box<pingora::Error>) -> Self {
        Self::Broken(error)
    }
}

/// Fetches one document.
pub(super) struct Fetcher(Upstream);

impl Fetcher {
    /// `None` where the roots for its certificate cannot be loaded.
    pub(super) fn new(url: Uri, ca_file: Option<String>) -> Option<Self> {
        let short = Duration::from_secs(5);
        let tls = UpstreamTls { ca_file, ..UpstreamTls::default() };
        let options = UpstreamOptions {
            url,
            tls,
            connect_timeout: short,
            call_timeout: short,
            stream_idle: short,
            stream_max: short,
            stream_keep_alive: None,
            credential: None,
        };
        Upstream::new(options, None).map(Self)
    }

    /// The document, at most `max` bytes of it within `patience`.
    pub(super) async fn get(&self, max: usize, patience: Duration) -> Result<Bytes, FetchError> {
        let got = timeout(patience, self.exchange(max)).await;
        got.unwrap_or(Err(FetchError::TooSlow))
    }

    async fn exchange(&self, max: usize) -> Result<Bytes, FetchError> {
        let peer = self.0.peer().await.ok_or(FetchError::Name)?;
        let (mut session, _) = self.0.connector.get_http_session(&*peer).await?;
        let read = self.read(&mut session, max).await;
        // One document in minutes is not worth a connection that stays open.
        session.shutdown().await;
        read
    }

    async fn read(&self, session: &mut HttpSession, max: usize) -> Result<Bytes, FetchError> {
        let url = &self.0.options().url;
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut head = RequestHeader::build_no_case("GET", target.as_bytes(), Some(4))?;
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        head.insert_header(header::HOST, authority)?;
        head.insert_header(header::ACCEPT, "application/jwk-set+json, application/json")?;
        head.insert_header(header::ACCEPT_ENCODING, "identity")?;
        session.write_request_header(Box::new(head)).await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let status = session.response_header().map_or(0, |head| head.status.as_u16());
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = session.read_response_body().await? {
            if all.len() + chunk.len() > max {
                return Err(FetchError::TooLong);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}
