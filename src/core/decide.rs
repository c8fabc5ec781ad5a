//! The decision, and the proof of it.
//!
//! [`decide`] is the only function that makes a [`Permit`], and a permit is the only key that
//! opens a [`HeldBody`]. A path from a caller to an upstream that skips the decision does not
//! compile.

use std::sync::Arc;

use bytes::Bytes;

use super::message::{Fault, Field, Kind, Message, Unreadable};
use super::method::{self, Eras, Filter, Method, Rule};
use super::permission::Permission;
use super::policy::Route;
use super::principal::Principal;
use super::refusal::Refusal;
use super::revision::Era;

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

    /// Exactly the bytes that were judged.
    #[must_use]
    pub fn release(self, _proof: &Permit) -> Bytes {
        self.0
    }
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'m> {
    /// DELETE: end a legacy session (MCP 2025-11-25, "Session Management").
    EndSession,
    /// POST: have a message carried to the upstream.
    Message(&'m Message<'m>, Era),
    /// GET: open a legacy stream (MCP 2025-11-25, "Listening for Messages from the Server").
    Stream,
}

/// Proof that a request was judged and may be forwarded. Only [`decide`] makes one.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Arc<Principal>,
    upstream: Arc<str>,
    method: Option<&'static Method>,
    tool: Option<Arc<str>>,
    era: Era,
    whole_stream: bool,
}

impl Permit {
    /// Who asked.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Where it may go.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// The row of the method table; absent for GET, DELETE and a client's response.
    #[must_use]
    pub fn method(&self) -> Option<&'static Method> {
        self.method
    }

    /// The tool that may be called, where it is a call.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// The era of the request.
    #[must_use]
    pub fn era(&self) -> Era {
        self.era
    }

    /// What is to be filtered in the answer.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.method.map_or(Filter::Nothing, |m| m.filter)
    }

    /// Whether the answer is a GET stream, in which a list can turn up for a request that was
    /// made elsewhere (MCP 2025-11-25, "Resumability and Redelivery").
    #[must_use]
    pub fn is_whole_stream(&self) -> bool {
        self.whole_stream
    }

    /// Whether the request may be sent again after a pooled connection turned out to be dead.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.method.is_some_and(|m| m.repeatable)
    }

    /// Whether the caller may see this tool in a list: the same judgement as for a call.
    #[must_use]
    pub fn may_see(&self, tool: &str) -> bool {
        self.principal.grants().judge(&self.upstream, tool) == Permission::Allowed
    }
}

/// What [`decide`] says.
#[derive(Debug)]
pub enum Verdict {
    /// The request may go to its upstream.
    Forward(Permit),
    /// The request is answered here; the upstream hears nothing.
    Refuse(Refusal),
}

/// Judges one request. Everything that is not known is refused.
#[must_use]
pub fn decide(principal: &Arc<Principal>, route: &Route, ask: Ask<'_>) -> Verdict {
    let permit = Permit {
        principal: Arc::clone(principal),
        upstream: Arc::clone(&route.upstream),
        method: None,
        tool: None,
        era: Era::Legacy,
        whole_stream: false,
    };
    match ask {
        Ask::EndSession => Verdict::Forward(permit),
        Ask::Stream => Verdict::Forward(Permit { whole_stream: true, ..permit }),
        Ask::Message(message, era) => match judge_message(principal, route, message, era) {
            Ok((method, tool)) => Verdict::Forward(Permit { method, tool, era, ..permit }),
            Err(refusal) => Verdict::Refuse(refusal),
        },
    }
}

type Judged = (Option<&'static Method>, Option<Arc<str>>);

fn judge_message(
    principal: &Principal,
    route: &Route,
    message: &Message<'_>,
    era: Era,
) -> Result<Judged, Refusal> {
    if *message.kind() == Kind::Response {
        // Servers of the modern era ask nothing of clients that would be answered by a POST.
        return match era {
            Era::Legacy => Ok((None, None)),
            Era::Modern => Err(Refusal::Unreadable(Fault::Shape)),
        };
    }
    let method = method::find(message.method())
        .filter(|m| {
            matches!(
                (m.eras, era),
                (Eras::Both, _) | (Eras::Legacy, Era::Legacy) | (Eras::Modern, Era::Modern)
            )
        })
        .ok_or(Refusal::UnknownMethod(era))?;
    if method.is_notification != (*message.kind() == Kind::Notification) {
        return Err(Refusal::Unreadable(Fault::BadId));
    }
    let target = match method.target.map(|member| message.param(member)) {
        None => None,
        Some(Some(Field::Text(name))) if !name.is_empty() => Some(name.as_ref()),
        Some(_) => return Err(Refusal::BadTarget),
    };
    match (method.rule, target) {
        (Rule::Authenticated, _) => Ok((Some(method), None)),
        (Rule::Tool, None) => Err(Refusal::BadTarget),
        (Rule::Tool, Some(tool)) => match principal.grants().judge(&route.upstream, tool) {
            Permission::Allowed => Ok((Some(method), Some(tool.into()))),
            permission => Err(Refusal::UnknownTool { tool: tool.to_owned(), permission }),
        },
    }
}

#[cfg(test)]
mod tests;
