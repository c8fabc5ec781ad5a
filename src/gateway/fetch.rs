//! A small document from one address of the configuration: no redirects, bounded in size and time.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Uri, header};
use pingora::ErrorType;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::{HttpPeer, Tracer};
use tokio::time::timeout;

use super::resolver::{Resolver, Unresolved};
use super::trouble::{Cause, Connected, Phase, Trouble, status_words};
use super::upstream::{Upstream, UpstreamOptions, UpstreamTls};

use crate::core::harmless::visible;

/// Why something could not be had from another server.
#[derive(Debug)]
pub enum FetchError {
    /// It goes beyond a bound; holds what, and which bound.
    Beyond(String),
    /// The name does not resolve; holds why.
    Name(String),
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
            Self::Name(why) => write!(f, "the name does not resolve: {why}"),
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

/// A document that was fetched.
pub(super) struct Document {
    pub(super) text: Bytes,
    /// Where from, as [`Upstream::place`] says it.
    place: String,
    /// Its status and type.
    words: String,
}

impl Document {
    /// Says why it is of no use.
    pub(super) fn trouble(&self, why: &str) -> Trouble {
        Trouble::new(Phase::Body, self.place.clone(), &format!("{}: {why}", self.words))
    }
}

impl From<Unresolved> for FetchError {
    fn from(why: Unresolved) -> Self {
        Self::Name(why.to_string())
    }
}

/// How long each step may take: less than all of it, so that the one is named that hangs.
const STEP: Duration = Duration::from_secs(4);

/// Fetches one document.
pub(super) struct Fetcher(Upstream);

impl Fetcher {
    /// `None` where the roots for its certificate cannot be loaded.
    pub(super) fn new(url: Uri, ca_file: Option<String>, resolver: &Arc<Resolver>) -> Option<Self> {
        let tls = UpstreamTls { ca_file, ..UpstreamTls::default() };
        let options = UpstreamOptions {
            url,
            tls,
            connect_timeout: STEP,
            call_timeout: STEP,
            stream_idle: STEP,
            stream_max: STEP,
            stream_keep_alive: None,
            credential: None,
            idle: 1,
        };
        Upstream::new(options, None, resolver).map(Self)
    }

    /// The document, at most `max` bytes of it within `patience`.
    pub(super) async fn get(&self, max: usize, patience: Duration) -> Result<Document, Trouble> {
        // How far it came, for those who wait in vain.
        let (mut phase, mut place) = (Phase::Resolve, self.0.place(None));
        let connected = Connected::default();
        let exchange = self.exchange(max, &connected, &mut phase, &mut place);
        let got = timeout(patience, exchange).await;
        got.unwrap_or_else(|_| {
            if phase == Phase::Connect {
                phase = connected.phase();
            }
            Err(late(phase, place, patience))
        })
    }

    async fn exchange(
        &self,
        max: usize,
        connected: &Connected,
        phase: &mut Phase,
        place: &mut String,
    ) -> Result<Document, Trouble> {
        let peer = self.0.peer().await.map_err(|why| {
            let words = format!("the name does not resolve: {why}");
            Trouble::new(Phase::Resolve, self.0.place(None), &words)
        })?;
        *place = self.0.place(Some(&peer));
        *phase = Phase::Connect;
        let mut watched = HttpPeer::clone(&peer);
        if self.0.is_tls() {
            watched.options.tracer = Some(Tracer(Box::new(connected.clone())));
        }
        let connecting = self.0.connector.get_http_session(&watched).await;
        let (mut session, _) = connecting.map_err(|error| {
            self.0.doubt_address();
            let (phase, time) = (connected.phase(), self.0.options().connect_timeout);
            let trouble = match error.etype() {
                ErrorType::ConnectTimedout => late(phase, place.clone(), time),
                _ => Trouble::of(&error, phase, place.clone()),
            };
            trouble.adding(self.0.untried(&peer))
        })?;
        let read = self.read(&mut session, max, phase, place).await;
        // One document in minutes is not worth a connection that stays open.
        session.shutdown().await;
        match read {
            Ok(document) => document,
            Err(error) => Err(Trouble::of(&error, *phase, place.clone())),
        }
    }

    async fn read(
        &self,
        session: &mut HttpSession,
        max: usize,
        phase: &mut Phase,
        place: &str,
    ) -> pingora::Result<Result<Document, Trouble>> {
        *phase = Phase::Write;
        let url = &self.0.options().url;
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut head = RequestHeader::build_no_case("GET", target.as_bytes(), Some(4))?;
        let authority = url.authority().map_or("", http::uri::Authority::as_str);
        head.insert_header(header::HOST, authority)?;
        head.insert_header(header::ACCEPT, "application/jwk-set+json, application/json")?;
        head.insert_header(header::ACCEPT_ENCODING, "identity")?;
        session.write_request_header(Box::new(head)).await?;
        session.finish_request_body().await?;
        *phase = Phase::Head;
        session.read_response_header().await?;
        let place = place.to_owned();
        let words = match session.response_header() {
            Some(head) if head.status == http::StatusCode::OK => status_words(head),
            Some(head) => return Ok(Err(Trouble::status(head, place))),
            None => return Ok(Err(Trouble::new(*phase, place, "no head"))),
        };
        if let Some(encoding) = session.response_header().and_then(encoding) {
            let why = format!("{words}, Content-Encoding {encoding}, though it was asked for none");
            return Ok(Err(Trouble::new(*phase, place, &why)));
        }
        *phase = Phase::Body;
        let mut all = BytesMut::new();
        while let Some(chunk) = session.read_response_body().await? {
            if all.len() + chunk.len() > max {
                let why = format!("{words}: the document has more than {max} bytes");
                return Ok(Err(Trouble::new(*phase, place, &why)));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Ok(Document { text: all.freeze(), place, words }))
    }
}

fn late(phase: Phase, place: String, time: Duration) -> Trouble {
    let time = humantime::format_duration(time);
    Trouble::new(phase, place, &format!("timed out after {time}"))
}

/// The encoding of a body that is not as it was asked for.
pub(super) fn encoding(head: &ResponseHeader) -> Option<Cow<'_, str>> {
    let mut named = head.headers.get_all(header::CONTENT_ENCODING).iter();
    let other = named.find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))?;
    Some(String::from_utf8_lossy(other.as_bytes()))
}
