//! What an operator asks of an upstream: its tools. The questions are judged and sent as those of
//! callers are, in a new head and with a permit. Both eras are spoken: the modern one first, and a
//! session of the legacy one where that is not understood (MCP 2026-07-28, "Versioning").

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fetch::FetchError;
use super::told::{Told, Toolbox, Untold, Welcome};
use super::upstream::Upstream;
use super::walk::{MAX_PATIENCE, Walk};
use super::{Snapshot, head};
use crate::core::decide::{Ask, HeldBody, Permit, Verdict, Want, decide};
use crate::core::listing::{self, Asked, Reading, Shape};
use crate::core::message::META_VERSION;
use crate::core::permission::TargetKind;
use crate::core::pin::{Definition, MAX_VALUES};
use crate::core::policy::Route;
use crate::core::principal::Principal;
use crate::core::revision::Era;
use crate::core::sse::{self, Splitter};
use crate::core::trace::NoTrace;
use crate::core::way_back::WayBack;

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// Longest time for the end of a session, for which nobody waits.
const MAX_FAREWELL: Duration = Duration::from_secs(5);

/// Longest name of a tool in characters in a complaint.
const MAX_NAMED: usize = 128;

/// The tools of an upstream, as `principal` is told of them. The whole question has a deadline of
/// 4 times `call_timeout`.
///
/// # Errors
/// [`Untold`] where the upstream does not tell.
pub async fn tools(
    snapshot: &Snapshot,
    upstream: &str,
    principal: Arc<Principal>,
) -> Result<Toolbox, Untold> {
    let nowhere =
        || Untold { page: 0, why: FetchError::Unclear("is not in the configuration".into()) };
    let (_, route) = snapshot
        .policy
        .routes()
        .find(|(_, route)| &*route.upstream == upstream)
        .ok_or_else(nowhere)?;
    let to = snapshot.upstreams.get(upstream).ok_or_else(nowhere)?;
    let walk = Walk::new(snapshot.options.limits.listing);
    let mut asker = Asker {
        snapshot,
        to,
        route,
        principal,
        era: Era::Modern,
        version: MODERN,
        session: None,
        walk,
    };
    let patience = Walk::patience(to.options().call_timeout);
    let told = timeout(patience, asker.ask()).await;
    asker.end_session().await;
    let told = told.unwrap_or_else(|_| {
        let seconds = patience.as_secs_f64();
        let what = format!(
            "the whole list takes longer than {MAX_PATIENCE} times call_timeout ({seconds} seconds)"
        );
        Err(FetchError::Beyond(what))
    });
    told.map_err(|why| Untold { page: asker.walk.page(), why })
}

fn may_be_of_another_era(error: &FetchError) -> bool {
    match error {
        FetchError::Status(401 | 403) => false,
        FetchError::Status(status) => (400..500).contains(status),
        FetchError::Refused(_) | FetchError::Unclear(_) => true,
        _ => false,
    }
}

struct Asker<'a> {
    snapshot: &'a Snapshot,
    to: &'a Upstream,
    route: &'a Route,
    principal: Arc<Principal>,
    era: Era,
    version: &'static str,
    /// Sealed, as that of a caller.
    session: Option<String>,
    walk: Walk,
}

/// The head of an answer, and the one message in it, if there is one.
struct Reply {
    headers: HeaderMap,
    message: Option<Vec<u8>>,
}

impl Asker<'_> {
    /// The whole list, in the era that the upstream speaks.
    async fn ask(&mut self) -> Result<Toolbox, FetchError> {
        let modern = match self.pages().await {
            Err(error) if may_be_of_another_era(&error) && self.walk.page() == 1 => error,
            told => return told,
        };
        if let Err(legacy) = self.begin_session().await {
            let what = format!("{modern}; and to initialize of {LEGACY}: {legacy}");
            return Err(FetchError::Unclear(what.into()));
        }
        self.walk = Walk::new(self.snapshot.options.limits.listing);
        self.pages().await
    }

    async fn pages(&mut self) -> Result<Toolbox, FetchError> {
        let mut all = Toolbox::default();
        let mut cursor = None;
        loop {
            let reply = self.post("tools/list", Some(1), self.parameters(cursor.as_ref())).await?;
            let message = reply.message.unwrap_or_default();
            cursor = self.page(&message, &mut all)?;
            self.walk.step(message.len(), cursor.as_ref().and_then(Value::as_str))?;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    fn parameters(&self, cursor: Option<&Value>) -> Value {
        let mut parameters = match self.era {
            Era::Legacy => json!({}),
            Era::Modern => json!({"_meta": {
                META_VERSION: self.version,
                "io.modelcontextprotocol/clientInfo": client(),
                "io.modelcontextprotocol/clientCapabilities": {},
            }}),
        };
        if let (Some(members), Some(cursor)) = (parameters.as_object_mut(), cursor) {
            members.insert("cursor".to_owned(), cursor.clone());
        }
        parameters
    }

    /// Adds the tools of a page, read as those of callers are, and says where the next one is.
    fn page(&mut self, text: &[u8], all: &mut Toolbox) -> Result<Option<Value>, FetchError> {
        let (page, how) = (self.walk.page(), self.reading());
        let (mut twice, mut weighed) = (None, Ok(()));
        let Toolbox { tools, left_out } = all;
        let read = listing::filter_bytes(text, how, |target, item| {
            if weighed.is_ok() {
                weighed = self.walk.weigh(item);
            }
            if weighed.is_err() {
                return true;
            }
            let shown = || target.name.chars().take(MAX_NAMED).collect::<String>();
            match Definition::read(item) {
                Ok(tool) => {
                    if tools.insert(target.name.to_owned(), tool).is_some() {
                        twice.get_or_insert_with(shown);
                    }
                }
                Err(_) => left_out.note(|| {
                    let why = "nested too deeply, a number too great, or more than";
                    format!("page {page}, tool `{}`: {why} {MAX_VALUES} values", shown())
                }),
            }
            true
        });
        let (text, listing) =
            read.map_err(|why| FetchError::Unclear(format!("its list {why}").into()))?;
        match listing.shape {
            Shape::List(TargetKind::Tool) => {}
            Shape::Failure => {
                let answer: Told = serde_json::from_str(&text).unwrap_or_default();
                return Err(FetchError::Refused(answer.error.unwrap_or_default().said()));
            }
            _ => return Err(FetchError::Unclear("its answer is no list of tools".into())),
        }
        weighed?;
        if let Some(name) = twice {
            return Err(FetchError::Unclear(format!("it lists the tool `{name}` twice").into()));
        }
        left_out.add(page, &listing.tally.left_out);
        Ok(listing.next.map(Value::from))
    }

    /// MCP 2025-11-25, "Initialization".
    async fn begin_session(&mut self) -> Result<(), FetchError> {
        (self.era, self.version) = (Era::Legacy, LEGACY);
        let parameters =
            json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client()});
        let reply = self.post("initialize", Some(0), parameters).await?;
        let answer: Told = serde_json::from_slice(&reply.message.unwrap_or_default())
            .map_err(|_| FetchError::Unclear("its answer cannot be read".into()))?;
        let Some(Welcome { spoken }) = answer.result else {
            return Err(FetchError::Refused(answer.error.unwrap_or_default().said()));
        };
        // Where it speaks an older one, it is told so.
        let known = ["2025-06-18", "2025-03-26", "2024-11-05"];
        let older = known.into_iter().find(|version| Some(*version) == spoken.as_deref());
        self.version = older.unwrap_or(LEGACY);
        let id = reply.headers.get(&head::MCP_SESSION).and_then(|id| id.to_str().ok());
        let seal = &self.snapshot.options.seal;
        self.session = id.map(|id| seal.seal_session(&self.principal, &self.route.upstream, id));
        if let Some(session) = &self.session {
            let way_back = WayBack::new(&self.snapshot.options.limits, 0, self.era);
            way_back
                .session(session)
                .map_err(|too_long| FetchError::Beyond(too_long.to_string()))?;
        }
        self.post("notifications/initialized", None, json!({})).await.map(drop)
    }

    /// Nobody waits long for it; a server may also forget by itself.
    async fn end_session(&self) {
        if self.session.is_some()
            && let Ok(permit) = self.permit(Want::EndSession)
        {
            let end = self.exchange(Method::DELETE, None, &permit, None);
            let _ = timeout(MAX_FAREWELL, end).await;
        }
    }

    async fn post(
        &self,
        method: &str,
        id: Option<u8>,
        parameters: Value,
    ) -> Result<Reply, FetchError> {
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": parameters});
        if let (Some(members), Some(id)) = (message.as_object_mut(), id) {
            members.insert("id".to_owned(), id.into());
        }
        let held = HeldBody::new(message.to_string().into());
        let depth = self.snapshot.policy.max_depth();
        let Ok(message) = held.read(depth) else {
            return Err(FetchError::Unclear("was not asked: the cursor cannot be sent".into()));
        };
        let permit = self.permit(Want::Message(&message, self.era))?;
        let body = held.release(&permit);
        self.exchange(Method::POST, Some(method), &permit, Some(body)).await
    }

    fn permit(&self, want: Want<'_>) -> Result<Permit, FetchError> {
        let now = jiff::Timestamp::now().as_second();
        let ask = Ask { want, session: self.session.as_deref(), now };
        let seal = &self.snapshot.options.seal;
        match decide(seal, &self.principal, self.route, ask, &mut NoTrace) {
            Verdict::Forward(permit) => Ok(permit),
            Verdict::Ignore => Err(FetchError::Unclear("was not asked".into())),
            Verdict::Refuse(refusal) => {
                let reason = refusal.row().reason;
                Err(FetchError::Unclear(format!("was not asked: {reason}").into()))
            }
        }
    }

    async fn exchange(
        &self,
        verb: Method,
        method: Option<&str>,
        permit: &Permit,
        body: Option<Bytes>,
    ) -> Result<Reply, FetchError> {
        let mut sent = RequestHeader::build(verb, b"/", None)?;
        sent.insert_header(&head::MCP_VERSION, self.version)?;
        if let Some(method) = method {
            sent.insert_header(&head::MCP_METHOD, method)?;
        }
        let id = uuid::Uuid::now_v7().to_string();
        let head = self.to.head(permit, &sent, body.as_deref(), &id, &self.snapshot.options)?;
        let peer = self.to.peer().await?;
        let (mut session, _) = self.to.connector.get_http_session(&*peer).await?;
        let patience = self.to.options().call_timeout;
        let read = timeout(patience, self.read(&mut session, head, body)).await;
        session.shutdown().await;
        read.unwrap_or_else(|_| {
            let seconds = patience.as_secs_f64();
            Err(FetchError::Beyond(format!("takes longer than call_timeout ({seconds} seconds)")))
        })
    }

    async fn read(
        &self,
        session: &mut HttpSession,
        head: RequestHeader,
        body: Option<Bytes>,
    ) -> Result<Reply, FetchError> {
        session.write_request_header(Box::new(head)).await?;
        if let Some(body) = body {
            session.write_request_body(body, true).await?;
        }
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let head = session.response_header().ok_or(FetchError::Unclear("did not answer".into()))?;
        let (status, headers) = (head.status, head.headers.clone());
        if status == StatusCode::ACCEPTED {
            return Ok(Reply { headers, message: None });
        }
        if !status.is_success() {
            return Err(FetchError::Status(status.as_u16()));
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let message = match is_stream {
            true => self.event(session).await?,
            false => self.whole(session).await?,
        };
        Ok(Reply { headers, message: Some(message) })
    }

    async fn whole(&self, session: &mut HttpSession) -> Result<Vec<u8>, FetchError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = session.read_response_body().await? {
            if all.len() + chunk.len() > self.snapshot.options.limits.listing {
                return Err(self.too_long());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.into())
    }

    /// The first event that is an answer and not a word in between.
    async fn event(&self, session: &mut HttpSession) -> Result<Vec<u8>, FetchError> {
        let limits = &self.snapshot.options.limits;
        let mut events = Splitter::new(limits.listing);
        while let Some(chunk) = session.read_response_body().await? {
            events.push(&chunk);
            while let Some(event) = events.next_event().map_err(|_| self.too_long())? {
                let data = sse::data(&event);
                let read = listing::filter_bytes(&data, self.reading(), |_, _| true);
                let is_notice =
                    read.is_ok_and(|(_, l)| matches!(l.shape, Shape::Notice | Shape::Foreign));
                if !data.is_empty() && !is_notice {
                    return Ok(data.into_owned());
                }
            }
        }
        Err(FetchError::Unclear("its stream ended without an answer".into()))
    }

    /// Nothing of what is read passes on. A name that no caller could repeat is none here either.
    fn reading(&self) -> Reading {
        let limits = &self.snapshot.options.limits;
        let way_back = WayBack::new(limits, 0, self.era);
        let max_depth = limits.json_depth;
        Reading { asked: Asked::Other, max_depth, max_ttl: u64::MAX, way_back }
    }

    fn too_long(&self) -> FetchError {
        let listing = self.snapshot.options.limits.listing;
        FetchError::Beyond(format!("its answer has more than limits.listing ({listing} bytes)"))
    }
}

fn client() -> Value {
    json!({"name": "doorward", "version": env!("CARGO_PKG_VERSION")})
}
