//! HTTP around the pages: heads and answers under deadlines, and who may ask.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use pingora::ErrorType;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::time::timeout;

use super::guard::{self, Asked};
use super::turn::Busy;
use super::waiting::Waiting;
use super::{Admin, Answer, Pages};
use crate::telemetry::metrics::AdminRefusal;
use crate::telemetry::seldom::Seldom;

/// How long a head may take, and an idle connection live. Longer than the usual interval of a
/// scrape would keep connections for nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may be left unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest head in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Most connections that have not asked anything.
const MAX_WAITING: usize = 32;

/// The admin listener as an application of the framework.
pub struct Door {
    pages: Pages,
    waiting: Waiting,
    said: Seldom,
}

impl Door {
    /// In front of what `admin` serves, with at most `connections`. A quarter of them is for those
    /// that have not asked anything yet: many that come at once must find room, until those that
    /// they displace have gone.
    #[must_use]
    pub fn new(admin: Admin, connections: usize) -> Self {
        let waiting = Waiting::new(MAX_WAITING.min(connections / 4));
        Self { pages: Pages::new(admin, connections), waiting, said: Seldom::default() }
    }

    /// Reads a head; where there is none to be answered, it says why.
    async fn read_head(
        &self,
        session: &mut ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Result<(), Unread> {
        // For ever, as far as pingora is concerned: the deadline below is the shorter one.
        session.set_keepalive(Some(0));
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        let (mut stop, mut place) = (shutdown.clone(), self.waiting.join());
        let read = tokio::select! {
            biased;
            read = timeout(HEAD_TIMEOUT, session.read_request()) => read,
            _ = stop.wait_for(|stopping| *stopping) => return Err(Unread::Gone),
            () = place.displaced() => return Err(Unread::Closed(AdminRefusal::Displaced)),
        };
        match read {
            Ok(Ok(true)) => {}
            Ok(Err(error)) if *error.etype() == ErrorType::InvalidHTTPHeader => {
                return Err(Unread::Answered(StatusCode::BAD_REQUEST));
            }
            Ok(_) => return Err(Unread::Gone),
            Err(_) => return Err(Unread::Closed(AdminRefusal::Slow)),
        }
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let length = session.as_http1().map_or(0, |http| http.get_headers_raw_bytes().len());
        if length > MAX_HEAD {
            return Err(Unread::Answered(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        if session.is_body_empty() {
            Ok(())
        } else {
            Err(Unread::Answered(StatusCode::PAYLOAD_TOO_LARGE))
        }
    }

    async fn answer(&self, session: &ServerSession) -> Answer {
        let head = session.req_header();
        let asked = Asked { version: head.version, uri: &head.uri, headers: &head.headers };
        let is_ours = |name: &str| (self.pages.admin().is_ours)(name);
        match guard::check(&asked, is_ours) {
            Err(refusal) => self.refuse(session, refusal),
            Ok(()) if !matches!(head.method, Method::GET | Method::HEAD) => {
                Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
                    .with(("allow", "GET, HEAD"))
            }
            Ok(()) => match self.pages.page(head.uri.path(), head.uri.query()).await {
                Ok(answer) => answer,
                Err(busy) => self.busy(session, busy),
            },
        }
    }

    fn busy(&self, session: &ServerSession, busy: Busy) -> Answer {
        self.refused(session, AdminRefusal::Busy);
        let words = match busy {
            Busy::Crowded => "busy: too many ask for this page\n",
            Busy::Late => "busy with the question before\n",
        };
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, words).with(("retry-after", "1"))
    }

    fn refuse(&self, session: &ServerSession, refusal: AdminRefusal) -> Answer {
        self.refused(session, refusal);
        match refusal {
            AdminRefusal::CrossOrigin => {
                Answer::text(StatusCode::FORBIDDEN, "not for pages of another origin\n")
            }
            AdminRefusal::ForeignHost => Answer::text(
                StatusCode::MISDIRECTED_REQUEST,
                "this host is not known here: take an address or a name without a dot, or add \
                 the name to server.allowed_hosts\n",
            ),
            AdminRefusal::Busy
            | AdminRefusal::Displaced
            | AdminRefusal::Head
            | AdminRefusal::Slow => {
                Answer::text(StatusCode::BAD_REQUEST, "not a question that can be read\n")
            }
        }
    }

    fn refused(&self, session: &ServerSession, refusal: AdminRefusal) {
        let host = session.req_header().headers.get(http::header::HOST);
        self.count(session, refusal, host.and_then(|host| host.to_str().ok()));
    }

    /// Counts it, and says it where it has not just been said.
    fn count(&self, session: &ServerSession, refusal: AdminRefusal, host: Option<&str>) {
        self.pages.admin().metrics.bounds.admin_refused(refusal);
        if let Some(unsaid) = self.said.say() {
            let address = session.client_addr().map(ToString::to_string);
            let host = host.map(|host| host.chars().take(128).collect::<String>());
            let reason = refusal.as_str();
            tracing::warn!(event = "admin.refused", reason, address, host, unsaid);
        }
    }
}

/// Why there is no question.
enum Unread {
    /// It is answered by this status, and the connection is closed.
    Answered(StatusCode),
    /// The connection is closed.
    Closed(AdminRefusal),
    /// The client has left, or the process ends.
    Gone,
}

#[async_trait]
impl HttpServerApp for Door {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let mut is_head = false;
        let read = self.read_head(&mut session, shutdown).await;
        let answer = match read {
            Ok(()) => {
                is_head = session.req_header().method == Method::HEAD;
                self.answer(&session).await
            }
            Err(Unread::Gone) => return None,
            Err(Unread::Closed(refusal)) => {
                self.count(&session, refusal, None);
                return None;
            }
            Err(Unread::Answered(status)) => {
                self.count(&session, AdminRefusal::Head, None);
                session.set_keepalive(None);
                Answer::text(status, "not a question that can be read\n")
            }
        };
        match timeout(WRITE_TIMEOUT, write(&mut session, answer, is_head)).await {
            Ok(Ok(())) => {
                let settings = HttpPersistentSettings::for_session(&session);
                let stream = session.finish().await.ok().flatten()?;
                Some(ReusedHttpStream::from_reusable_stream(stream, settings))
            }
            Ok(Err(_)) => None,
            Err(_) => {
                self.count(&session, AdminRefusal::Slow, None);
                None
            }
        }
    }
}

async fn write(session: &mut ServerSession, answer: Answer, is_head: bool) -> pingora::Result<()> {
    let Answer { status, media, header, body, place: _place } = answer;
    let mut head = ResponseHeader::build(status, Some(8))?;
    head.insert_header("content-type", media)?;
    head.insert_header("content-length", body.len().to_string())?;
    head.insert_header("cache-control", "no-store")?;
    head.insert_header("x-content-type-options", "nosniff")?;
    if let Some((name, value)) = header {
        head.insert_header(name, value)?;
    }
    session.write_response_header(Box::new(head)).await?;
    let body = if is_head { Bytes::new() } else { body };
    session.write_response_body(body, true).await
}
