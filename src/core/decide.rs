//! The decision, and the proof of it.
//!
//! [`decide`] is the only function that makes a [`Permit`], and a permit is the only key that
//! opens a [`HeldBody`]. A path from a caller to an upstream that skips the decision does not
//! compile.

use std::sync::Arc;

use bytes::Bytes;

use super::argument::Call;
use super::edits::Edits;
use super::message::{Fault, Field, Kind, Message, Unreadable};
use super::method::{self, Eras, Method, Rule};
use super::permission::{Judged, Permission, Question, Target, TargetKind};
use super::pin::{Cursor, Mark};
use super::policy::{Route, Tasks};
use super::principal::{Principal, Proof};
use super::refusal::Refusal;
use super::revision::Era;
use super::seal::SealKey;
use super::token::UnixSeconds;
use super::trace::{NoTrace, Trace};

mod permit;
pub use self::permit::{KnownTask, Permit};

/// A request body that nobody but the judge may read. It leaves only in exchange for a permit.
#[derive(Debug)]
pub struct HeldBody(Bytes);

impl HeldBody {
    /// Takes the whole body into custody.
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        Self(body)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the message in it; see [`Message::read`].
    ///
    /// # Errors
    /// [`Unreadable`] where the body does not have exactly one meaning.
    pub fn read(&self, max_depth: usize) -> Result<Message<'_>, Unreadable> {
        Message::read(&self.0, max_depth)
    }

    /// Exactly the bytes that were judged, where task ids have lost their seals.
    #[must_use]
    pub fn release(self, permit: &Permit) -> Bytes {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !permit.edits.is_empty() => permit.edits.clone().apply(text).into(),
            _ => self.0,
        }
    }
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
pub enum Want<'m> {
    /// DELETE: end a legacy session (MCP 2025-11-25, "Session Management").
    EndSession,
    /// POST: have a message carried to the upstream.
    Message(&'m Message<'m>, Era),
    /// GET: open a legacy stream (MCP 2025-11-25, "Listening for Messages from the Server").
    Stream,
}

/// What a caller wants, and in which session.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'m> {
    /// What.
    pub want: Want<'m>,
    /// `Mcp-Session-Id` as it was sent; means nothing in the modern era.
    pub session: Option<&'m str>,
    /// When; rules that are tried out have an end.
    pub now: UnixSeconds,
}

/// What [`decide`] says.
#[derive(Debug)]
pub enum Verdict {
    /// The request may go to its upstream.
    Forward(Permit),
    /// There is nothing to do: it is accepted here, and the upstream hears nothing.
    Ignore,
    /// The request is answered here; the upstream hears nothing.
    Refuse(Refusal),
}

/// Judges one request. Everything that is not known is refused. The same function answers for
/// traffic and for those who ask how it would, who give a `trace` that takes down the steps.
#[must_use]
pub fn decide<T: Trace>(
    seal: &SealKey,
    principal: &Arc<Principal>,
    route: &Route,
    ask: Ask<'_>,
    trace: &mut T,
) -> Verdict {
    if let Want::Message(message, Era::Modern) = ask.want
        && *message.kind() == Kind::Notification
        && message.method() == method::CANCELLED
    {
        // Over HTTP the closed stream says it (MCP 2026-07-28, "Cancellation"), and an id says
        // nothing of whose request it was. Clients send it all the same, and servers accept it.
        return Verdict::Ignore;
    }
    let judge = Judge { seal, principal, route, now: ask.now };
    let judged = judge.begin(&ask).and_then(|permit| match ask.want {
        Want::EndSession | Want::Stream => Ok(permit),
        Want::Message(message, _) => judge.message(permit, message, trace),
    });
    judged.map_or_else(Verdict::Refuse, Verdict::Forward)
}

/// What the message acts on, where it names one thing.
#[must_use]
pub fn target<'m>(message: &'m Message<'_>) -> Option<Target<'m>> {
    let text = |field: Option<&'m Field<'_>>| match field {
        Some(Field::Text(name)) if !name.is_empty() => Some(name.as_ref()),
        _ => None,
    };
    let method = method::find(message.method())?;
    match method.rule {
        Rule::Target(kind) => Some(Target { kind, name: text(message.param(method.target?))? }),
        Rule::Reference => {
            let (name, uri) = (message.reference("name"), message.reference("uri"));
            let (kind, name) = match (text(message.reference("type"))?, name, uri) {
                ("ref/prompt", name, None) => (TargetKind::Prompt, text(name)?),
                ("ref/resource", None, uri) => (TargetKind::Template, text(uri)?),
                _ => return None,
            };
            Some(Target { kind, name })
        }
        Rule::Authenticated | Rule::Subscriptions | Rule::Task => None,
    }
}

struct Judge<'j> {
    seal: &'j SealKey,
    principal: &'j Arc<Principal>,
    route: &'j Route,
    now: UnixSeconds,
}

impl Judge<'_> {
    /// A permit for nothing yet, in the caller's own session (MCP 2025-11-25, "Session
    /// Hijacking").
    fn begin(&self, ask: &Ask<'_>) -> Result<Permit, Refusal> {
        let era = match ask.want {
            Want::Message(_, era) => era,
            Want::EndSession | Want::Stream => Era::Legacy,
        };
        let open = |sealed| {
            let id = self.seal.open_session(self.principal, &self.route.upstream, sealed);
            id.map(str::to_owned).ok_or(Refusal::UnknownSession)
        };
        Ok(Permit {
            principal: Arc::clone(self.principal),
            upstream: Arc::clone(&self.route.upstream),
            method: None,
            tool: None,
            judged: None,
            now: self.now,
            era,
            session: ask.session.filter(|_| era == Era::Legacy).map(open).transpose()?,
            is_get: matches!(ask.want, Want::Stream),
            tasks: self.route.tasks,
            pins: self.route.pins.clone(),
            cursor: Cursor::Beginning,
            began: self.route.pins.as_ref().map_or(0, |pins| pins.now()),
            known_tasks: Vec::new(),
            rests_on: Vec::new(),
            edits: Edits::default(),
        })
    }

    fn message<T: Trace>(
        &self,
        permit: Permit,
        message: &Message<'_>,
        trace: &mut T,
    ) -> Result<Permit, Refusal> {
        let era = permit.era;
        if *message.kind() == Kind::Response {
            // Servers of the modern era ask nothing of clients that would be answered by a POST.
            return match era {
                Era::Legacy => self.tasks(permit, message),
                Era::Modern => Err(Refusal::Unreadable(Fault::Unasked)),
            };
        }
        let method = self.method(message, era)?;
        if method.is_notification != (*message.kind() == Kind::Notification) {
            let fault =
                if method.is_notification { Fault::IdOfNotification } else { Fault::IdMissing };
            return Err(Refusal::Unreadable(fault));
        }
        // What is granted, and what is pinned, is what lists show.
        if method.rule != Rule::Authenticated && message.picks_version() {
            return Err(Refusal::VersionPicked);
        }
        let (mut tool, mut judged) = (None, None);
        match (method.rule, target(message)) {
            (Rule::Authenticated, _) => {}
            (Rule::Subscriptions, _) => judged = self.subscriptions(message, era, trace)?,
            // Whose it is, `tasks` finds out.
            (Rule::Task, _) if matches!(message.param("taskId"), Some(Field::Text(_))) => {}
            (Rule::Reference | Rule::Target(_), Some(target)) => {
                tool = Some(target.name).filter(|_| target.kind == TargetKind::Tool);
                let call = tool.map(|_| Call {
                    arguments: message.arguments(),
                    user: self.principal.user().as_str(),
                    organization: self.principal.organization().as_str(),
                    facts: &self.route.facts,
                });
                judged = Some(self.target(target, call, era, trace)?);
            }
            (Rule::Reference | Rule::Target(_) | Rule::Task, _) => return Err(Refusal::BadTarget),
        }
        // Modern servers ignore the member (SEP-2663).
        let wants_task = era == Era::Legacy && message.param("task").is_some();
        if tool.is_some() && permit.tasks == Tasks::Off && wants_task {
            return Err(Refusal::TasksOff);
        }
        let cursor = match message.param("cursor") {
            None => Cursor::Beginning,
            Some(Field::Text(cursor)) => Cursor::At(Mark::of(&[cursor])),
            Some(Field::Other) => Cursor::Unclear,
        };
        let tool = tool.map(Arc::from);
        let mut permit = Permit { method: Some(method), tool, judged, cursor, ..permit };
        if method.rule == Rule::Subscriptions {
            let resources = message.subscriptions().resources.iter();
            let resources = resources.map(|uri| (TargetKind::Resource, uri.as_ref().into()));
            permit.rests_on = resources.collect();
        }
        self.tasks(permit, message)
    }

    /// The row of a method that exists in this era and is served.
    fn method(&self, message: &Message<'_>, era: Era) -> Result<&'static Method, Refusal> {
        let found = method::find(message.method()).filter(|m| {
            matches!(
                (m.eras, era),
                (Eras::Both, _) | (Eras::Legacy, Era::Legacy) | (Eras::Modern, Era::Modern)
            )
        });
        let served = found.filter(|m| m.rule != Rule::Task || self.route.tasks != Tasks::Off);
        served.ok_or(Refusal::UnknownMethod(era))
    }

    fn target<T: Trace>(
        &self,
        target: Target<'_>,
        call: Option<Call<'_>>,
        era: Era,
        trace: &mut T,
    ) -> Result<Judged, Refusal> {
        let question = Question { call, ..self.route.question(target, self.now) };
        let judged = self.principal.judge(&question, trace);
        if judged.passes() {
            return Ok(judged);
        }
        let grants = self.principal.grants();
        if let (Permission::NoMatch | Permission::NoRole, Proof::Jwt { issuer, scopes, .. }) =
            (judged.permission, self.principal.proof())
            // While a file waits, nobody knows what a scope will give.
            && self.principal.parts().is_none()
            && let Some(wanted) = issuer.cure(scopes, grants, &self.route.upstream, target)
        {
            return Err(Refusal::InsufficientScope(wanted));
        }
        let Judged { permission, rule, failure, .. } = judged;
        match failure {
            Some(failure) => Err(Refusal::Arguments { failure, rule, era }),
            None => Err(Refusal::UnknownTarget {
                kind: target.kind,
                name: target.name.to_owned(),
                permission,
                rule,
                era,
            }),
        }
    }

    /// Every resource must be permitted; what is not known here may name anything. What would be
    /// refused of them, if that counted.
    fn subscriptions<T: Trace>(
        &self,
        message: &Message<'_>,
        era: Era,
        trace: &mut T,
    ) -> Result<Option<Judged>, Refusal> {
        let asked = message.subscriptions();
        let has_tasks = message.task_ids().iter().any(|task| task.is_target);
        if asked.is_unclear || (has_tasks && self.route.tasks == Tasks::Off) {
            return Err(Refusal::BadTarget);
        }
        let kind = TargetKind::Resource;
        let mut tried_out = None;
        for uri in &asked.resources {
            let judged = self.target(Target { kind, name: uri }, None, era, trace)?;
            if judged.permission != Permission::Allowed {
                tried_out.get_or_insert(judged);
            }
        }
        Ok(tried_out)
    }

    /// Takes the seals off the ids of tasks. One that the message acts on must be the caller's,
    /// and its tool still permitted; one that it only mentions may be the client's own.
    fn tasks(&self, mut permit: Permit, message: &Message<'_>) -> Result<Permit, Refusal> {
        if self.route.tasks == Tasks::Off {
            return Ok(permit);
        }
        let acts =
            permit.method.is_some_and(|m| matches!(m.rule, Rule::Task | Rule::Subscriptions));
        for task in message.task_ids() {
            let opened = self.seal.open_task(self.principal, &self.route.upstream, &task.id);
            let Some(opened) = opened else {
                if acts && task.is_target {
                    return Err(Refusal::UnknownTask(None));
                }
                continue;
            };
            let tool = Target { kind: TargetKind::Tool, name: &opened.tool };
            let question = self.route.question(tool, self.now);
            let judged = self.principal.judge(&question, &mut NoTrace);
            if !judged.passes() {
                return Err(Refusal::UnknownTask(Some(judged.permission)));
            }
            let spelled = serde_json::Value::from(opened.id).to_string();
            permit.edits.replace(task.at.clone(), spelled);
            if permit.is_endless() && task.is_target {
                permit.rests_on.push((TargetKind::Tool, opened.tool.as_str().into()));
            }
            let (id, sealed) = (opened.id.to_owned(), task.id.clone().into_owned());
            permit.known_tasks.push(KnownTask { id, sealed, is_target: task.is_target });
        }
        permit.known_tasks.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(permit)
    }
}

#[cfg(test)]
mod permit_tests;
#[cfg(test)]
mod tests;
