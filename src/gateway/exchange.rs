//! What is known about one request so far, and the record of it at the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora::protocols::http::ServerSession;
use uuid::Uuid;

use super::trouble::Trouble;
use super::{Gateway, Snapshot};
use crate::core::decide::{self, Permit, Verdict};
use crate::core::message::{Id, Message};
use crate::core::outcome::Outcome;
use crate::core::permission::{Judged, Permission, Target, TargetKind};
use crate::core::policy::Route;
use crate::core::principal::Principal;
use crate::core::protected::Protected;
use crate::core::refusal::Refusal;
use crate::core::rule::Rule;
use crate::core::token::Unidentified;
use crate::telemetry::audit::{Args, Record, Slot, shorten};
use crate::telemetry::metrics::{Forgotten, NONE, OTHER, method_label};
use crate::telemetry::used::Caller;

/// One request. Whatever happens to it, a panic included, it is counted and recorded when this
/// is dropped.
pub(super) struct Exchange<'g> {
    gateway: &'g Gateway,
    snapshot: &'g Snapshot,
    pub(super) request_id: String,
    time: jiff::Timestamp,
    started: Instant,
    client: Option<IpAddr>,
    /// HEAD is refused, without a body.
    pub(super) wants_head_only: bool,
    /// Length of the request's head in bytes.
    pub(super) head_length: usize,
    /// The allowed `Origin` to be named in the answer.
    pub(super) origin: Option<HeaderValue>,
    pub(super) route: Option<Route>,
    pub(super) principal: Option<Arc<Principal>>,
    /// What is known of a caller who could not be identified.
    pub(super) unidentified: Option<Unidentified>,
    /// The caller's id, once the body was read.
    pub(super) id: Option<Id>,
    pub(super) method: Option<&'static str>,
    /// The method as it was sent, where the table does not have it.
    unknown_method: Option<String>,
    sent_tool: Option<String>,
    /// The prompt or resource that the message names.
    sent_target: Option<String>,
    /// The arguments of a call, as far as they are recorded.
    args: Option<Args>,
    pub(super) is_permitted: bool,
    /// What the policy said about it.
    judged: Option<Judged>,
    pub(super) slot: Option<Slot>,
    pub(super) refusal: Option<Refusal>,
    /// When the upstream says that it can be asked again.
    pub(super) retry_after: Option<HeaderValue>,
    /// What it was for, where that is not ours, or why the gateway ended its stream.
    pub(super) note: Option<String>,
    /// What is amiss with the upstream or its answer.
    pub(super) trouble: Option<Trouble>,
    /// The status of the upstream's answer, where it passes and is no success.
    pub(super) answered: Option<u16>,
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
    pub(super) bytes_in: usize,
    pub(super) bytes_out: usize,
}

impl<'g> Exchange<'g> {
    /// Begins with the head in hand.
    pub(super) fn begin(
        gateway: &'g Gateway,
        snapshot: &'g Snapshot,
        session: &ServerSession,
        request: Uuid,
    ) -> Self {
        let client = session.client_addr().and_then(|a| a.as_inet()).map(std::net::SocketAddr::ip);
        let client_ip = client.map(tracing::field::display);
        tracing::debug!(event = "request.accepted", client_ip);
        Self {
            gateway,
            snapshot,
            request_id: request.to_string(),
            time: jiff::Timestamp::now(),
            started: Instant::now(),
            client,
            wants_head_only: false,
            head_length: 0,
            origin: None,
            route: None,
            principal: None,
            unidentified: None,
            id: None,
            method: None,
            unknown_method: None,
            sent_tool: None,
            sent_target: None,
            args: None,
            is_permitted: false,
            judged: None,
            slot: None,
            refusal: None,
            retry_after: None,
            note: None,
            trouble: None,
            answered: None,
            outcome: Outcome::Internal,
            status: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The moment of the request, for what expires.
    pub(super) fn now(&self) -> i64 {
        self.time.as_second()
    }

    /// Takes down what the message says of itself.
    pub(super) fn note_message(&mut self, message: &Message<'_>) {
        self.id = message.id().cloned();
        if message.method().is_empty() {
            self.method = Some("response");
            return;
        }
        let label = method_label(message.method());
        self.method = Some(label);
        self.unknown_method = (label == OTHER).then(|| shorten(message.method()));
        match decide::target(message) {
            Some(Target { kind: TargetKind::Tool, name }) => {
                self.sent_tool = Some(shorten(name));
                let recorded = &self.snapshot.options.recorded;
                self.args = Args::of(message, recorded);
            }
            Some(target) => self.sent_target = Some(shorten(target.name)),
            None => {}
        }
    }

    /// Whether the caller waits for an answer of JSON-RPC.
    pub(super) fn expects_answer(&self) -> bool {
        self.id.is_some() && self.method != Some("response")
    }

    /// Whether it is a POST with a message.
    pub(super) fn is_message(&self) -> bool {
        !matches!(self.method, Some("DELETE" | "GET" | "OPTIONS"))
    }

    pub(super) fn upstream_label(&self) -> &str {
        self.upstream().unwrap_or(NONE)
    }

    fn upstream(&self) -> Option<&str> {
        self.route.as_ref().map(|route| &*route.upstream)
    }

    /// How callers of the route may come with a JWT.
    pub(super) fn protected(&self) -> Option<&Protected> {
        self.route.as_ref()?.protected.as_deref()
    }

    pub(super) fn method_label(&self) -> &'static str {
        self.method.unwrap_or(NONE)
    }

    /// Says in the log, at debug, what was decided about what.
    pub(super) fn tell_verdict(&self, verdict: &Verdict) {
        let (decision, reason) = match verdict {
            Verdict::Forward(_) => ("forward", None),
            Verdict::Ignore => ("ignore", None),
            Verdict::Refuse(refusal) => ("refuse", Some(refusal.row().reason)),
        };
        tracing::debug!(
            event = "request.judged",
            upstream = self.upstream(),
            method = self.unknown_method.as_deref().or(self.method),
            tool = self.sent_tool,
            decision,
            reason,
        );
    }

    /// The call may go out; its record has its place.
    pub(super) fn permit(&mut self, slot: Option<Slot>, permit: &mut Permit) {
        self.is_permitted = true;
        self.slot = slot;
        self.judged = permit.take_judged();
        let (decision, reason) = match self.tried_out() {
            Some(judged) => ("shadow_deny", judged.permission),
            None => ("allow", Permission::Allowed),
        };
        self.gateway.metrics.decision(permit.upstream(), decision, reason.as_str());
        let rule = self.judged.as_ref().and_then(|judged| judged.rule.as_ref());
        tracing::debug!(
            event = "request.permitted",
            decision,
            reason = reason.as_str(),
            rule = rule.map(Rule::name),
            place = rule.map(Rule::place),
        );
    }

    /// Why it would have been refused, if that counted.
    fn tried_out(&self) -> Option<&Judged> {
        self.judged.as_ref().filter(|judged| judged.permission != Permission::Allowed)
    }

    /// Takes down what is amiss with the upstream, and says it in the log. The refusal is given
    /// back.
    pub(super) fn blame(&mut self, upstream: &str, refusal: Refusal, trouble: Trouble) -> Refusal {
        trouble.tell(upstream, refusal.row().reason);
        self.trouble = Some(trouble);
        refusal
    }

    /// More about the reason.
    fn detail(&self) -> Option<String> {
        match (&self.trouble, &self.refusal) {
            (Some(trouble), _) => Some(trouble.detail()),
            (None, Some(Refusal::Unauthenticated(_))) => {
                self.unidentified.as_ref()?.detail().or_else(|| self.note.clone())
            }
            // With a claim for roles that gives none, most is unknown.
            (
                None,
                Some(refusal @ (Refusal::InsufficientScope(_) | Refusal::UnknownTarget { .. })),
            ) => {
                let lack = self.principal.as_deref().and_then(Principal::lack);
                let both = [refusal.detail(), lack.map(str::to_owned)];
                both.into_iter().flatten().reduce(|all, lack| format!("{all}; {lack}"))
            }
            (None, Some(refusal)) => refusal.detail().or_else(|| self.note.clone()),
            (None, None) if self.note.is_some() => self.note.clone(),
            (None, None) => match self.tried_out() {
                Some(judged) => Some(judged.failure.as_ref()?.pointer.clone()),
                // What passes and shows nothing, a list above all, shows nothing for this reason.
                None => {
                    let principal = self.principal.as_deref()?;
                    let gives_none = principal.grants().roles.is_empty();
                    principal.lack().filter(|_| gives_none).map(str::to_owned)
                }
            },
        }
    }

    fn record(&mut self) {
        let elapsed = self.started.elapsed();
        let (slot, args) = (self.slot.take(), self.args.take());
        self.count(elapsed);
        let refused = self.refusal.as_ref().map(Refusal::row);
        // A preflight is answered here, and well.
        let is_forwarded = self.is_permitted || self.outcome == Outcome::Ok;
        let tried_out = self.tried_out();
        let is_allowed = is_forwarded && tried_out.is_none();
        let reason = match (refused, tried_out) {
            (Some(row), _) => row.reason,
            (None, Some(judged)) => judged.permission.as_str(),
            (None, None) => {
                if is_allowed {
                    "allowed"
                } else {
                    "internal"
                }
            }
        };
        let permitted_by = self.judged.as_ref().and_then(|judged| judged.rule.as_ref());
        let rule = self.refusal.as_ref().and_then(Refusal::rule).or(permitted_by);
        let principal = self.principal.as_deref();
        let unknown = self.unidentified.as_ref();
        let token = unknown.and_then(|unknown| unknown.token_name.as_deref());
        let token = principal.and_then(Principal::token_name).or(token);
        let issuer = unknown.and_then(|unknown| unknown.issuer.as_deref());
        let record = Record {
            v: 1,
            time: self.time,
            kind: "request",
            request_id: &self.request_id,
            auth: principal.map(|principal| principal.proof().as_str()),
            user: principal.map(|p| p.user().as_str()),
            organization: principal.map(|p| p.organization().as_str()),
            token,
            client_ip: self.client,
            issuer: principal.and_then(Principal::issuer_name).or(issuer),
            roles: principal.map_or_else(Vec::new, |principal| principal.grants().role_names()),
            upstream: self.upstream(),
            method: self.unknown_method.as_deref().or(self.method),
            tool: self.sent_tool.as_deref(),
            target: self.sent_target.as_deref(),
            args,
            decision: if is_allowed { "allow" } else { "deny" },
            enforced: tried_out.is_none(),
            reason,
            rule: rule.map(Rule::name),
            place: rule.map(Rule::place),
            detail: self.detail(),
            outcome: self.outcome.as_str(),
            status: self.status,
            duration_ms: (elapsed.as_secs_f64() * 1e6).round() / 1e3,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            config: &self.snapshot.revision,
        };
        let recorded = &self.snapshot.options.recorded;
        tell_end(&record);
        self.gateway.audit.record(slot, &record, recorded);
    }

    fn count(&self, elapsed: Duration) {
        let (metrics, upstream) = (&self.gateway.metrics, self.upstream_label());
        let method = self.method_label();
        metrics.request(upstream, method, self.sent_tool.as_deref(), self.outcome);
        if self.is_permitted {
            metrics.request_took(upstream, method, elapsed);
            if let Some(principal) = &self.principal {
                let tool = self.sent_tool.as_deref().map(|tool| (upstream, tool));
                if !self.gateway.used.note(&caller(principal), tool, self.now()) {
                    metrics.forget(Forgotten::Use, 1);
                }
            }
        }
    }
}

/// Says in the log, at debug, what came of it.
fn tell_end(record: &Record<'_>) {
    tracing::debug!(
        event = "request.ended",
        outcome = record.outcome,
        reason = record.reason,
        detail = record.detail,
        status = record.status,
        duration_ms = record.duration_ms,
        bytes_in = record.bytes_in,
        bytes_out = record.bytes_out,
    );
}

/// By what somebody came to their rights.
fn caller(principal: &Principal) -> Caller {
    match principal.token_name() {
        Some(name) => Caller::Token(name.to_owned()),
        None => {
            let names = principal.grants().role_names();
            Caller::Roles(names.into_iter().map(str::to_owned).collect())
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.record();
    }
}
