//! What an operator asks of an upstream: its tools. The questions are judged and sent as those of
//! callers are, in a new head and with a permit. Both eras are spoken: the modern one first, and a
//! session of the legacy one where that is not understood (MCP 2026-07-28, "Versioning").

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fetch::FetchError;
use super::upstream::Upstream;
use super::walk::Walk;
use super::{Snapshot, head};
use crate::core::decide::{Ask, HeldBody, Permit, Verdict, Want, decide};
use crate::core::listing::{self, Asked, Reading, Shape};
use crate::core::message::META_VERSION;
use crate::core::permission::TargetKind;
use crate::core::pin::Definition;
use crate::core::policy::Route;
use crate::core::principal::Principal;
use crate::core::revision::Era;
use crate::core::sse::{self, Splitter};
use crate::core::trace::NoTrace;

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// Most pages of one list.
const MAX_PAGES: usize = 1_000;

/// The tools of an upstream, by their names, as `principal` is told of them.
///
/// # Errors
/// [`FetchError`] where the upstream does not tell.
pub async fn tools(
    snapshot: &Snapshot,
    upstream: &str,
    principal: Arc<Principal>,
) -> Result<BTreeMap<String, Definition>, FetchError> {
    let (_, route) = snapshot
        .policy
        .routes()
        .find(|(_, route)| &*route.upstream == upstream)
        .ok_or(FetchError::Name)?;
    let to = snapshot.upstreams.get(upstream).ok_or(FetchError::Name)?;
    let mut asker =
        Asker { snapshot, to, route, principal, era: Era::Modern, version: MODERN, session: None };
    match asker.pages().await {
        Err(error) if may_be_of_another_era(&error) => {}
        told => return told,
    }
    asker.begin_session().await?;
    let told = asker.pages().await;
    asker.end_session().await;
    told
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
}

/// The head of an answer, and the one message in it, if there is one.
struct Reply {
    headers: HeaderMap,
    message: Option<String>,
}

impl Asker<'_> {
    /// The whole list.
    async fn pages(&self) -> Result<BTreeMap<String, Definition>, FetchError> {
        let mut all = BTreeMap::new();
        let mut cursor = None;
        let mut walk = Walk::new(self.snapshot.options.limits.listing);
        for _ in 0..MAX_PAGES {
            let reply = self.post("tools/list", Some(1), self.parameters(cursor.as_ref())).await?;
            let message = reply.message.unwrap_or_default();
            cursor = self.page(&message, &mut all)?;
            walk.step(message.len(), cursor.as_ref().and_then(Value::as_str))?;
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(FetchError::Unclear("its list has no end"))
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
    fn page(
        &self,
        text: &str,
        all: &mut BTreeMap<String, Definition>,
    ) -> Result<Option<Value>, FetchError> {
        let depth = self.snapshot.options.limits.json_depth;
        let mut is_clear = true;
        let listing = listing::filter(text, reading(depth), |target, item| {
            match Definition::read(item) {
                Ok(tool) => is_clear &= all.insert(target.name.to_owned(), tool).is_none(),
                Err(_) => is_clear = false,
            }
            true
        });
        let listing = listing.map_err(|_| FetchError::Unclear("its list cannot be read"))?;
        // Callers get the rest of such a list; nobody approves what is not all of it.
        is_clear &= listing.tally.left_out.count == 0;
        match listing.shape {
            Shape::List(TargetKind::Tool) if is_clear => {}
            Shape::List(TargetKind::Tool) => {
                return Err(FetchError::Unclear("lists a tool twice, or one that cannot be read"));
            }
            Shape::Failure => return Err(FetchError::Refused(complaint(text))),
            _ => return Err(FetchError::Unclear("its answer is no list of tools")),
        }
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        Ok(answer.pointer("/result/nextCursor").filter(|cursor| cursor.is_string()).cloned())
    }

    /// MCP 2025-11-25, "Initialization".
    async fn begin_session(&mut self) -> Result<(), FetchError> {
        (self.era, self.version) = (Era::Legacy, LEGACY);
        let parameters =
            json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client()});
        let reply = self.post("initialize", Some(0), parameters).await?;
        let answer: Value = serde_json::from_str(&reply.message.unwrap_or_default())
            .map_err(|_| FetchError::Unclear("its answer to initialize cannot be read"))?;
        if answer.get("result").is_none() {
            return Err(FetchError::Refused(complaint(&answer.to_string())));
        }
        let spoken = answer.pointer("/result/protocolVersion").and_then(Value::as_str);
        // Where it speaks an older one, it is told so.
        let known = ["2025-06-18", "2025-03-26", "2024-11-05"];
        let older = known.into_iter().find(|version| Some(*version) == spoken);
        self.version = older.unwrap_or(LEGACY);
        let id = reply.headers.get(&head::MCP_SESSION).and_then(|id| id.to_str().ok());
        let seal = &self.snapshot.options.seal;
        self.session = id.map(|id| seal.seal_session(&self.principal, &self.route.upstream, id));
        self.post("notifications/initialized", None, json!({})).await.map(drop)
    }

    /// Nobody waits for it; a server may also forget by itself.
    async fn end_session(&self) {
        if self.session.is_some()
            && let Ok(permit) = self.permit(Want::EndSession)
        {
            let _ = self.exchange(Method::DELETE, None, &permit, None).await;
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
        let internal = FetchError::Unclear("was not asked");
        let Ok(message) = held.read(depth) else {
            return Err(internal);
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
            Verdict::Ignore | Verdict::Refuse(_) => Err(FetchError::Unclear("was not asked")),
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
        let peer = self.to.peer().await.ok_or(FetchError::Name)?;
        let (mut session, _) = self.to.connector.get_http_session(&*peer).await?;
        let patience = self.to.options().call_timeout;
        let read = timeout(patience, self.read(&mut session, head, body)).await;
        session.shutdown().await;
        read.unwrap_or(Err(FetchError::TooSlow))
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
        let head = session.response_header().ok_or(FetchError::Unclear("did not answer"))?;
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
        let message = String::from_utf8(message).map_err(|_| FetchError::Unclear("not UTF-8"))?;
        Ok(Reply { headers, message: Some(message) })
    }

    async fn whole(&self, session: &mut HttpSession) -> Result<Vec<u8>, FetchError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = session.read_response_body().await? {
            if all.len() + chunk.len() > self.snapshot.options.limits.listing {
                return Err(FetchError::TooLong);
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
            while let Some(event) = events.next_event().map_err(|_| FetchError::TooLong)? {
                let data = sse::data(&event);
                let text = std::str::from_utf8(&data).unwrap_or_default();
                let read = listing::filter(text, reading(limits.json_depth), |_, _| true);
                let is_notice =
                    read.is_ok_and(|l| matches!(l.shape, Shape::Notice | Shape::Foreign));
                if !data.is_empty() && !is_notice {
                    return Ok(data.into_owned());
                }
            }
        }
        Err(FetchError::Unclear("its stream ended without an answer"))
    }
}

/// Nothing of what is read passes on.
fn reading(max_depth: usize) -> Reading {
    Reading { asked: Asked::Other, max_depth, max_ttl: u64::MAX }
}

fn client() -> Value {
    json!({"name": "doorward", "version": env!("CARGO_PKG_VERSION")})
}

/// What a JSON-RPC error says.
fn complaint(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let said = answer.pointer("/error/message").and_then(Value::as_str);
    said.unwrap_or("without a reason").chars().take(200).collect()
}
