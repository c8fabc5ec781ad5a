//! The story of one request, top to bottom, with no way round.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Method;
use pingora::ErrorType;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::time::timeout;
use prometheus::IntGauge;
use uuid::Uuid;

use super::authenticate::authenticate;
use super::buffers::Share;
use super::exchange::Exchange;
use super::head::Admitted;
use super::misdirected::Misdirected;
use super::room::Inside;
use super::{Gateway, Options, Snapshot, answer, body, forward, head, respond, unfit_head};
use crate::core::decide::{Ask, HeldBody, Permit, Verdict, Want, decide};
use crate::core::message::Unreadable;
use crate::core::outcome::Outcome;
use crate::core::policy::Route;
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::revision::{self, Era};
use crate::core::trace::NoTrace;
use crate::telemetry::audit::NoRoom;
use crate::telemetry::log;
use crate::telemetry::metrics::Phase;

/// What every step has at hand.
#[derive(Clone, Copy)]
pub(super) struct Context<'r> {
    pub(super) gateway: &'r Gateway,
    /// What holds for this request to its end, however often the file is reloaded.
    pub(super) snapshot: &'r Arc<Snapshot>,
    pub(super) shutdown: &'r ShutdownWatch,
}

impl<'r> Context<'r> {
    pub(super) fn options(self) -> &'r Options {
        &self.snapshot.options
    }

    /// What this request may hold of all that is held.
    pub(super) fn share(self) -> Share {
        self.gateway.buffers.share(self.options().limits.buffers)
    }
}

/// What becomes of the connection.
pub(super) enum End {
    Close,
    Reusable,
}

/// Why the story of a request breaks off.
pub(super) enum Break {
    /// The answer had begun and cannot be completed: the caller must see it cut.
    Cut(Outcome),
    /// The caller went away.
    Gone,
    /// The request is refused.
    Refuse(Refusal),
}

impl From<Refusal> for Break {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// An answer that cannot be written has no reader any more.
impl From<Box<pingora::Error>> for Break {
    fn from(_: Box<pingora::Error>) -> Self {
        Self::Gone
    }
}

pub(super) async fn run(
    gateway: &Gateway,
    session: &mut ServerSession,
    shutdown: &ShutdownWatch,
) -> End {
    if !read_head(gateway, session, shutdown).await {
        return End::Close;
    }
    let request = Uuid::now_v7();
    log::about(request, serve(gateway, session, shutdown, request)).await
}

async fn serve(
    gateway: &Gateway,
    session: &mut ServerSession,
    shutdown: &ShutdownWatch,
    request: Uuid,
) -> End {
    let snapshot = gateway.snapshot();
    let mut exchange = Exchange::begin(gateway, &snapshot, session, request);
    let context = Context { gateway, snapshot: &snapshot, shutdown };
    match tell(context, session, &mut exchange).await {
        Ok(()) => End::Reusable,
        Err(Break::Refuse(refusal)) => {
            if let Some(misdirected) = Misdirected::of(session, &refusal) {
                exchange.note = Some(misdirected.detail());
                gateway.hints.give(&misdirected, refusal.row().reason, &snapshot);
            } else if exchange.note.is_none() {
                exchange.note = unfit_head::detail(session, &refusal);
            }
            match respond::refuse(session, &mut exchange, refusal).await {
                Ok(()) => End::Reusable,
                Err(_) => End::Close,
            }
        }
        Err(Break::Gone) => {
            exchange.outcome = Outcome::Cancelled;
            End::Close
        }
        Err(Break::Cut(outcome)) => {
            exchange.outcome = outcome;
            End::Close
        }
    }
}

/// Step 1. The whole head has one deadline, also between two requests of a connection; a caller
/// who sends a byte now and then gains nothing by it.
async fn read_head(
    gateway: &Gateway,
    session: &mut ServerSession,
    shutdown: &ShutdownWatch,
) -> bool {
    let limits = gateway.snapshot.load().options.limits;
    // For ever, as far as pingora is concerned: the deadline below is the shorter one.
    session.set_keepalive(Some(0));
    let mut stop = shutdown.clone();
    let read = tokio::select! {
        biased;
        read = timeout(limits.head_timeout, session.read_request()) => read,
        _ = stop.wait_for(|stopping| *stopping) => return false,
    };
    match read {
        Ok(Ok(true)) => {}
        Ok(Err(error)) if *error.etype() == ErrorType::InvalidHTTPHeader => {
            let request = Uuid::now_v7();
            log::about(request, refuse_unparsed(gateway, session, request)).await;
            return false;
        }
        Ok(Ok(false) | Err(_)) | Err(_) => return false,
    }
    session.set_pipelining_enabled(true);
    session.set_write_timeout(Some(limits.write_timeout));
    if *shutdown.borrow() {
        session.set_keepalive(None);
    }
    true
}

/// A head that the parser did not accept is answered and counted like every other refusal. The
/// parser's own words are not repeated: they hold what the caller sent.
async fn refuse_unparsed(gateway: &Gateway, session: &mut ServerSession, request: Uuid) {
    let snapshot = gateway.snapshot();
    let mut exchange = Exchange::begin(gateway, &snapshot, session, request);
    // Whether the caller still reads this is no concern of ours.
    let _ = respond::refuse(session, &mut exchange, Refusal::BadHead("not parsed")).await;
}

/// Steps 2 to 9, in their order. The tenth, the record, is the end of the [`Exchange`].
async fn tell(
    context: Context<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> Result<(), Break> {
    exchange.wants_head_only = session.req_header().method == Method::HEAD;
    if let Some(document) = document(context, session)? {
        return Ok(respond::document(session, exchange, document).await?);
    }
    let (admitted, route) = admit(context, session, exchange)?;
    if admitted == Admitted::Preflight {
        return Ok(respond::preflight(session, exchange).await?);
    }
    let mut place = Place::take(context, admitted, &route.upstream)?;

    let principal = identify(context, session, exchange, &route).await?;
    let held = match admitted {
        Admitted::Message => {
            Some(body::hold(session, &context.options().limits, context.share()).await?)
        }
        Admitted::EndSession | Admitted::Stream | Admitted::Preflight => None,
    };
    exchange.bytes_in = held.as_ref().map_or(0, HeldBody::len);

    let asked = Judged { principal: &principal, route: &route, admitted, held: held.as_ref() };
    let Some(mut permit) = judge(context, session, exchange, &asked)? else {
        return Ok(respond::accepted(session, exchange).await?);
    };
    if permit.is_endless() {
        place.keep_as_stream(context)?;
    }
    let slot = context.gateway.audit.admit(&context.options().recorded, permit.is_endless());
    exchange.permit(slot.map_err(|NoRoom| Refusal::AuditUnavailable)?, &mut permit);

    let upstream = context.snapshot.upstreams.get(permit.upstream()).ok_or(Refusal::Internal)?;
    let answered = forward::forward(context, upstream, &permit, held, session, exchange).await?;
    answer::deliver(context, upstream, &permit, answered, session, exchange).await
}

/// What anybody may read, in place of steps 2 to 9: it is not secret, and no upstream hears of it.
fn document(context: Context<'_>, session: &mut ServerSession) -> Result<Option<Bytes>, Refusal> {
    let path = std::str::from_utf8(head::path(session)).unwrap_or_default();
    let Some(document) = context.snapshot.documents.get(path) else {
        return Ok(None);
    };
    head::check_framing(session, &context.options().limits)?;
    head::check_host(session, context.options())?;
    if !session.is_body_empty() {
        return Err(Refusal::BadHead("body not allowed"));
    }
    match session.req_header().method {
        Method::GET | Method::HEAD | Method::OPTIONS => Ok(Some(document.clone())),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// Step 2.
fn admit(
    context: Context<'_>,
    session: &mut ServerSession,
    exchange: &mut Exchange<'_>,
) -> Result<(Admitted, Route), Refusal> {
    let options = context.options();
    exchange.head_length = head::check_framing(session, &options.limits)?;
    head::check_host(session, options)?;
    exchange.origin = head::check_origin(session, options)?;
    let route =
        context.snapshot.policy.route(head::path(session)).ok_or(Refusal::NotFound)?.clone();
    exchange.route = Some(route.clone());
    let admitted = head::admit(session)?;
    exchange.method = match admitted {
        Admitted::EndSession => Some("DELETE"),
        Admitted::Stream => Some("GET"),
        Admitted::Preflight => Some("OPTIONS"),
        Admitted::Message => None,
    };
    let http_method = session.req_header().method.as_str();
    tracing::debug!(event = "request.routed", http_method, upstream = &*route.upstream);
    Ok((admitted, route))
}

/// Step 3.
async fn identify(
    context: Context<'_>,
    session: &ServerSession,
    exchange: &mut Exchange<'_>,
    route: &Route,
) -> Result<Arc<Principal>, Refusal> {
    let began = Instant::now();
    let (scheme, found) = authenticate(context, session, route, exchange.now()).await;
    let metrics = &context.gateway.metrics;
    metrics.overhead(Phase::Auth, began.elapsed());
    metrics.auth(scheme.as_str(), found.as_ref().map(|_| ()).map_err(|unknown| unknown.failure));
    super::authenticate::tell(context, found.as_deref());
    let principal = found.map_err(|unknown| {
        let failure = unknown.failure;
        let (scheme, reason) = (scheme.as_str(), failure.as_str());
        tracing::debug!(event = "request.unauthenticated", scheme, reason);
        exchange.unidentified = Some(unknown);
        Refusal::Unauthenticated(failure)
    })?;
    tracing::debug!(
        event = "request.authenticated",
        scheme = scheme.as_str(),
        user = principal.user().as_str(),
        organization = principal.organization().as_str(),
        token = principal.token_name(),
        issuer = principal.issuer_name(),
        roles = ?principal.grants().role_names(),
    );
    exchange.principal = Some(Arc::clone(&principal));
    Ok(principal)
}

struct Judged<'r> {
    principal: &'r Arc<Principal>,
    route: &'r Route,
    admitted: Admitted,
    held: Option<&'r HeldBody>,
}

/// Steps 5, 6 and 7: read it once, compare it with its head, decide. No permit where there is
/// nothing to forward.
fn judge(
    context: Context<'_>,
    session: &ServerSession,
    exchange: &mut Exchange<'_>,
    asked: &Judged<'_>,
) -> Result<Option<Permit>, Refusal> {
    let metrics = &context.gateway.metrics;
    let headers = &session.req_header().headers;
    let began = Instant::now();
    let message = match asked.held.map(|held| held.read(context.snapshot.policy.max_depth())) {
        Some(Err(Unreadable { fault, id })) => {
            exchange.id = id;
            return Err(Refusal::Unreadable(fault));
        }
        Some(Ok(message)) => Some(message),
        None => None,
    };
    let want = match &message {
        Some(message) => {
            exchange.note_message(message);
            let era = revision::agree(message, &head::mcp(headers)).map_err(Refusal::Headers)?;
            Want::Message(message, era)
        }
        None => {
            let version = head::mcp(headers).version;
            revision::agree_without_body(version).map_err(Refusal::Headers)?;
            match asked.admitted {
                Admitted::EndSession => Want::EndSession,
                _ => Want::Stream,
            }
        }
    };
    let is_legacy = !matches!(want, Want::Message(_, Era::Modern));
    let session = if is_legacy { head::session(headers)? } else { None };
    metrics.overhead(Phase::Parse, began.elapsed());
    let began = Instant::now();
    let seal = &context.options().seal;
    let ask = Ask { want, session, now: exchange.now() };
    let verdict = decide(seal, asked.principal, asked.route, ask, &mut NoTrace);
    metrics.overhead(Phase::Policy, began.elapsed());
    exchange.tell_verdict(&verdict);
    match verdict {
        Verdict::Forward(permit) => Ok(Some(permit)),
        Verdict::Ignore => Ok(None),
        Verdict::Refuse(refusal) => {
            metrics.decision(&asked.route.upstream, "deny", refusal.row().reason);
            Err(refusal)
        }
    }
}

/// A request's share of what the gateway serves at once.
struct Place<'g> {
    in_flight: IntGauge,
    is_stream: bool,
    room: Inside<'g>,
}

impl<'g> Place<'g> {
    fn take(context: Context<'g>, wanted: Admitted, upstream: &str) -> Result<Self, Refusal> {
        let is_stream = wanted == Admitted::Stream;
        let room = Self::room(context, is_stream)?;
        let in_flight = context.gateway.metrics.in_flight.with_label_values(&[upstream]);
        in_flight.inc();
        Ok(Self { in_flight, is_stream, room })
    }

    /// Streams without an end are counted by themselves: they live long and do little.
    fn room(context: Context<'g>, is_stream: bool) -> Result<Inside<'g>, Refusal> {
        let (gateway, limits) = (context.gateway, &context.options().limits);
        let inside = match is_stream {
            true => gateway.streams.enter(limits.streams),
            false => gateway.in_flight.enter(limits.in_flight),
        };
        inside.ok_or(Refusal::Overloaded)
    }

    /// The request turned out to open such a stream.
    fn keep_as_stream(&mut self, context: Context<'g>) -> Result<(), Refusal> {
        if !std::mem::replace(&mut self.is_stream, true) {
            self.room = Self::room(context, true)?;
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}
