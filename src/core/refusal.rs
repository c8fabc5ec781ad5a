//! One table: from the cause of a refusal to everything that is said about it.
//!
//! What the caller reads is short and fixed and tells nothing about rules or hidden tools. What
//! metrics and audit say is the reason. A new cause does not compile until it has a row.

use super::listing::Unlistable;
use super::message::{Fault, Id};
use super::outcome::Outcome;
use super::permission::{Failure, Permission, TargetKind};
use super::protected::Protected;
use super::revision::{Disagreement, Era, MODERN};
use super::rule::Rule;
use super::token::AuthFailure;
use super::way_back::{Handed, TooLong};

/// Why a request is answered by the gateway and not by its upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A tool that this caller may call, but not with these arguments. It is answered with a tool
    /// result, which models read.
    Arguments {
        /// What does not hold.
        failure: Failure,
        /// The rule that says so.
        rule: Option<Rule>,
        /// The era of the request; the results differ.
        era: Era,
    },
    /// The audit log cannot take the record of it.
    AuditUnavailable,
    /// The head of a request breaks HTTP; holds what.
    BadHead(&'static str),
    /// The target of the method is missing, or not a string.
    BadTarget,
    /// The body breaks off, or its framing is broken.
    BodyBroken,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// All that may be held of requests and answers is held, or what is left is for smaller ones.
    BuffersFull,
    /// A body with a request content coding (RFC 9110 8.4).
    Encoded,
    /// An `Expect` other than `100-continue` (RFC 9110 10.1.1).
    Expectation,
    /// The `Host` is none of ours (DNS rebinding).
    ForeignHost,
    /// The `Origin` is not allowed (MCP, "Security Warning").
    ForeignOrigin,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// A JWT without a scope that its issuer could grant; holds the scopes to ask for (MCP,
    /// "Scope Challenge Handling").
    InsufficientScope(String),
    /// Head and body of a modern request do not belong together.
    Headers(Disagreement),
    /// A fault of the gateway itself.
    Internal,
    /// Not POST, GET, DELETE or a preflight.
    MethodNotAllowed,
    /// No such path.
    NotFound,
    /// The upstream's answer hands out what could not come back.
    NoWayBack(TooLong),
    /// The upstream speaks the transport of MCP 2024-11-05, whose messages go by other paths.
    OldTransport,
    /// More requests or streams at once than the limits allow.
    Overloaded,
    /// Nobody known is calling.
    Unauthenticated(AuthFailure),
    /// The body does not have exactly one meaning.
    Unreadable(Fault),
    /// A method that the table of methods does not have in this era.
    UnknownMethod(Era),
    /// A session that is not, or no longer, or not this caller's.
    UnknownSession,
    /// Something that this caller may not use: the same words whether it exists or not.
    UnknownTarget {
        /// What it would be.
        kind: TargetKind,
        /// The name or URI as the caller sent it.
        name: String,
        /// Why.
        permission: Permission,
        /// The rule that says so, where one does.
        rule: Option<Rule>,
        /// The era of the request; the codes for resources differ.
        era: Era,
    },
    /// A task that is not, or not this caller's, or of a tool that is no longer permitted.
    UnknownTask(Option<Permission>),
    /// A version of something, other than the one that lists show.
    VersionPicked,
    /// A call that wants to become a task, where the configuration has tasks off.
    TasksOff,
    /// The content type is not `application/json` in UTF-8.
    UnsupportedType,
    /// The upstream's answer cannot be passed on; holds why.
    UpstreamAnswer(&'static str),
    /// The upstream's answer cannot be read with certainty.
    UpstreamText(Unlistable),
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream cannot be reached, or broke off before it answered.
    UpstreamUnreachable,
}

/// Longest name or URI in characters that an answer repeats.
const MAX_ECHO: usize = 128;

/// What is said about a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// HTTP status towards a caller who waits for an answer.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i32,
    /// The words for the caller.
    pub text: &'static str,
    /// The word for audit and metrics.
    pub reason: &'static str,
    /// The outcome that is counted.
    pub outcome: Outcome,
}

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
/// "Resource not found" of MCP up to 2025-11-25.
const RESOURCE_NOT_FOUND: i32 = -32002;
/// `HeaderMismatch` of MCP 2026-07-28.
const HEADER_MISMATCH: i32 = -32020;
/// `UnsupportedProtocolVersion` of MCP 2026-07-28.
const UNSUPPORTED_VERSION: i32 = -32022;

impl Refusal {
    /// The row of the table.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table is read row by row")]
    pub fn row(&self) -> Row {
        use Outcome::{Denied, Internal, Invalid, Overloaded, Timeout, Unauthenticated};
        let row = |status, code, text, reason, outcome| Row { status, code, text, reason, outcome };
        let bad = |status, text, reason| row(status, INVALID_REQUEST, text, reason, Invalid);
        let upstream =
            |status, text, reason, outcome| row(status, INTERNAL_ERROR, text, reason, outcome);
        match self {
            Self::Arguments { .. } => {
                let reason = Permission::Arguments.as_str();
                row(200, INVALID_PARAMS, "Not permitted with these arguments", reason, Denied)
            }
            Self::AuditUnavailable => {
                upstream(503, "Service unavailable", "audit_unavailable", Overloaded)
            }
            Self::BadHead(_) => bad(400, "Bad request", "bad_head"),
            Self::BadTarget => {
                row(400, INVALID_PARAMS, "Invalid params: no target", "bad_target", Invalid)
            }
            Self::BodyBroken => bad(400, "Request body incomplete", "body_broken"),
            Self::BodyTimeout => bad(408, "Request body too slow", "body_timeout"),
            Self::BodyTooLarge => bad(413, "Request body too large", "body_too_large"),
            Self::BuffersFull => upstream(503, "Too much at once", "buffers_full", Overloaded),
            Self::Encoded => bad(415, "Content-Encoding not supported", "encoded"),
            Self::Expectation => bad(417, "Expectation failed", "expectation"),
            Self::ForeignHost => bad(421, "Misdirected request", "foreign_host"),
            Self::ForeignOrigin => bad(403, "Origin not allowed", "foreign_origin"),
            Self::HeadTooLarge => bad(431, "Request head too large", "head_too_large"),
            Self::Headers(Disagreement::Header) => {
                row(400, HEADER_MISMATCH, "Header mismatch", "header_mismatch", Invalid)
            }
            Self::Headers(Disagreement::MissingMeta) => {
                row(400, INVALID_PARAMS, "Missing _meta protocol version", "missing_meta", Invalid)
            }
            Self::Headers(Disagreement::Bodyless) => bad(405, "Method not allowed", "http_method"),
            Self::Headers(Disagreement::Unsupported(_)) => {
                let text = "Unsupported protocol version";
                row(400, UNSUPPORTED_VERSION, text, "unsupported_version", Invalid)
            }
            Self::Internal => upstream(500, "Internal error", "internal", Internal),
            Self::MethodNotAllowed => bad(405, "Method not allowed", "http_method"),
            Self::NotFound => bad(404, "Not found", "not_found"),
            Self::NoWayBack(TooLong { what, .. }) => {
                let text = match what {
                    Handed::Cursor => "Bad gateway: cursor too long",
                    Handed::Session => "Bad gateway: session id too long",
                    Handed::Task => "Bad gateway: task id too long",
                };
                upstream(502, text, "upstream_answer", Outcome::UpstreamError)
            }
            Self::OldTransport => {
                let outcome = Outcome::UpstreamError;
                row(405, INVALID_REQUEST, "Method not allowed", "old_transport", outcome)
            }
            Self::Overloaded => {
                upstream(503, "Too many requests at once", "overloaded", Overloaded)
            }
            Self::InsufficientScope(_) => {
                row(403, INVALID_REQUEST, "Insufficient scope", "insufficient_scope", Denied)
            }
            Self::Unauthenticated(AuthFailure::KeysUnavailable) => {
                upstream(503, "Service unavailable", "keys_unavailable", Internal)
            }
            Self::Unauthenticated(failure) => {
                let status = if *failure == AuthFailure::Repeated { 400 } else { 401 };
                row(status, INVALID_REQUEST, "Unauthorized", failure.as_str(), Unauthenticated)
            }
            Self::Unreadable(fault) => unreadable(*fault),
            Self::UnknownMethod(era) => {
                let status = if *era == Era::Modern { 404 } else { 200 };
                row(status, METHOD_NOT_FOUND, "Method not found", "method", Denied)
            }
            Self::UnknownSession => {
                row(404, INVALID_REQUEST, "Session not found", "session", Denied)
            }
            Self::UnknownTarget { kind, permission, era, .. } => {
                let (code, text) = match (kind, era) {
                    (TargetKind::Prompt, _) => (INVALID_PARAMS, "Unknown prompt"),
                    (TargetKind::Tool, _) => (INVALID_PARAMS, "Unknown tool"),
                    (_, Era::Legacy) => (RESOURCE_NOT_FOUND, "Resource not found"),
                    (_, Era::Modern) => (INVALID_PARAMS, "Resource not found"),
                };
                row(200, code, text, permission.as_str(), Denied)
            }
            Self::UnknownTask(permission) => {
                let reason = permission.map_or("task", Permission::as_str);
                row(200, INVALID_PARAMS, "Task not found", reason, Denied)
            }
            Self::TasksOff => {
                row(200, METHOD_NOT_FOUND, "Tasks are not available", "tasks_off", Denied)
            }
            Self::VersionPicked => {
                row(200, INVALID_PARAMS, "A version cannot be picked", "version_picked", Denied)
            }
            Self::UnsupportedType => {
                bad(415, "Content-Type must be application/json", "content_type")
            }
            Self::UpstreamAnswer(_) | Self::UpstreamText(_) => {
                upstream(502, "Bad gateway", "upstream_answer", Outcome::UpstreamError)
            }
            Self::UpstreamTimeout => upstream(504, "Gateway timeout", "upstream_timeout", Timeout),
            Self::UpstreamUnreachable => {
                upstream(502, "Bad gateway", "upstream_unreachable", Outcome::UpstreamError)
            }
        }
    }

    /// HTTP status of the answer. A notification cannot be answered by a JSON-RPC error in a 200,
    /// so there it is a 400 (MCP 2025-11-25, "Sending Messages" 4).
    #[must_use]
    pub fn status(&self, id: Option<&Id>) -> u16 {
        match self.row().status {
            200 if id.is_none() => 400,
            status => status,
        }
    }

    /// The body of the answer: a JSON-RPC error with the caller's own id, or where the caller can
    /// do better a tool result that says so (MCP, "Error Handling" of tools). Where it is not the
    /// caller who can mend it, `request_id` is in it, by which operators find the cause.
    #[must_use]
    pub fn body(&self, id: Option<&Id>, request_id: &str) -> String {
        let row = self.row();
        if let (Self::Arguments { failure, era, .. }, Some(id)) = (self, id) {
            let text = failure.message.as_deref().unwrap_or(row.text);
            return tool_error(id, text, *era);
        }
        let message = match self {
            Self::UnknownTarget { name, .. } => {
                format!("{}: {}", row.text, echo(name))
            }
            Self::Unreadable(fault) => format!("{}: {fault}", row.text),
            _ => row.text.to_owned(),
        };
        let message = serde_json::Value::from(message);
        let (id, code) = (id.map_or("null", Id::as_json), row.code);
        let data =
            self.data(request_id).map_or_else(String::new, |data| format!(r#","data":{data}"#));
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}{data}}}}}"#
        )
    }

    /// The `data` of the error: revisions that a request can name instead (MCP 2026-07-28,
    /// "Version Negotiation"), or the id of the request.
    fn data(&self, request_id: &str) -> Option<serde_json::Value> {
        match self {
            Self::Headers(Disagreement::Unsupported(requested)) => {
                Some(serde_json::json!({"supported": MODERN, "requested": echo(requested)}))
            }
            _ if self.row().status >= 500 => Some(serde_json::json!({"request_id": request_id})),
            _ => None,
        }
    }

    /// The challenge that goes with this answer (RFC 6750 3). With issuers it leads to them; where
    /// there are none, a client that is sent looking for one would look for ever.
    #[must_use]
    pub fn challenge(&self, protected: Option<&Protected>) -> Option<String> {
        let error = match self {
            Self::Unauthenticated(AuthFailure::KeysUnavailable) => return None,
            Self::Unauthenticated(AuthFailure::Missing) => "",
            Self::Unauthenticated(AuthFailure::Repeated) => r#", error="invalid_request""#,
            Self::Unauthenticated(_) => r#", error="invalid_token""#,
            Self::InsufficientScope(_) => r#", error="insufficient_scope""#,
            _ => return None,
        };
        let more = match (self, protected) {
            (Self::InsufficientScope(scopes), Some(p)) => format!(", {}", p.parameters_for(scopes)),
            (_, Some(protected)) => format!(", {}", protected.parameters()),
            (_, None) => String::new(),
        };
        Some(format!(r#"Bearer realm="doorward"{error}{more}"#))
    }

    /// Headers that belong to this answer and no other, besides the challenge.
    #[must_use]
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::MethodNotAllowed => &[("allow", "GET, POST, DELETE, OPTIONS")],
            Self::OldTransport | Self::Headers(Disagreement::Bodyless) => &[("allow", "POST")],
            Self::Encoded => &[("accept-encoding", "identity")],
            Self::Overloaded
            | Self::AuditUnavailable
            | Self::BuffersFull
            | Self::Unauthenticated(AuthFailure::KeysUnavailable) => &[("retry-after", "1")],
            _ => &[],
        }
    }

    /// The rule of the configuration that decided; never shown to the caller.
    #[must_use]
    pub fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Arguments { rule, .. } | Self::UnknownTarget { rule, .. } => rule.as_ref(),
            _ => None,
        }
    }

    /// What the log and the audit record add to the reason; never shown to the caller.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Arguments { failure, .. } => Some(failure.pointer.clone()),
            Self::BadHead(what) | Self::UpstreamAnswer(what) => Some((*what).to_owned()),
            Self::OldTransport => {
                Some("it speaks HTTP+SSE of 2024-11-05, and not Streamable HTTP".to_owned())
            }
            Self::Headers(Disagreement::Unsupported(requested)) => Some(echo(requested)),
            Self::NoWayBack(too_long) => Some(too_long.to_string()),
            Self::UpstreamText(why) => Some(format!("its answer {why}")),
            Self::Unreadable(fault) => Some(fault.to_string()),
            Self::InsufficientScope(scopes) => Some(format!("would be granted to: {scopes}")),
            _ => None,
        }
    }

    /// Whether the connection must not be used again, because it is unclear where the next
    /// request begins.
    #[must_use]
    pub fn closes_connection(&self) -> bool {
        matches!(
            self,
            Self::BadHead(_)
                | Self::BodyBroken
                | Self::BodyTimeout
                | Self::BodyTooLarge
                | Self::BuffersFull
                | Self::HeadTooLarge
                | Self::Overloaded
        )
    }
}

/// As much of what a caller sent as an answer or a record repeats.
fn echo(sent: &str) -> String {
    sent.chars().take(MAX_ECHO).collect()
}

/// A result of a tool that was not called. In the modern era a result says that it is complete.
fn tool_error(id: &Id, text: &str, era: Era) -> String {
    let (id, text) = (id.as_json(), serde_json::Value::from(text));
    let complete = if era == Era::Modern { r#""resultType":"complete","# } else { "" };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{{complete}"content":[{{"type":"text","text":{text}}}],"isError":true}}}}"#
    )
}

fn unreadable(fault: Fault) -> Row {
    use super::json::JsonError;
    let (code, text) = match fault {
        Fault::Json(JsonError::Syntax | JsonError::Depth) | Fault::NotUtf8 => {
            (PARSE_ERROR, "Parse error")
        }
        Fault::Json(JsonError::LoneSurrogate)
        | Fault::BadParams
        | Fault::InheritedKey
        | Fault::TooManyTasks => (INVALID_PARAMS, "Invalid params"),
        _ => (INVALID_REQUEST, "Invalid request"),
    };
    Row { status: 400, code, text, reason: "unreadable", outcome: Outcome::Invalid }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::Message;

    fn id(json: &str) -> Id {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{json},"method":"ping"}}"#);
        Message::read(body.as_bytes(), 8).unwrap().id().cloned().unwrap()
    }

    fn unknown(name: &str, permission: Permission) -> Refusal {
        let kind = TargetKind::Tool;
        Refusal::UnknownTarget { kind, name: name.into(), permission, rule: None, era: Era::Legacy }
    }

    #[test]
    fn the_callers_id_comes_back_in_its_own_spelling() {
        let refusal = unknown("x", Permission::NoMatch);
        for json in ["0", "7", "\"7\"", "9007199254740993", "\"\"", "-1", r#""\u0041\n""#] {
            let body = refusal.body(Some(&id(json)), "r");
            assert!(body.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{json},"#)), "{body}");
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
        }
    }

    #[test]
    fn the_caller_cannot_tell_why_a_tool_is_not_there() {
        let why = [Permission::NoMatch, Permission::NoRole, Permission::DeniedByRule];
        let bodies = why.map(|p| unknown("delete_all", p).body(Some(&id("1")), "r"));
        assert!(bodies.iter().all(|b| b == &bodies[0]));
        let message = r#""error":{"code":-32602,"message":"Unknown tool: delete_all"}}"#;
        assert!(bodies[0].ends_with(message), "{}", bodies[0]);
        assert_eq!(unknown("x", Permission::NoRole).status(Some(&id("1"))), 200);
    }

    #[test]
    fn an_echoed_name_can_neither_break_the_body_nor_fill_it() {
        let hostile = format!("\"\r\n\u{1b}[31m{}", "x".repeat(5000));
        let body = unknown(&hostile, Permission::NoMatch).body(Some(&id("1")), "r");
        assert!(body.len() < 400);
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        assert!(!body.contains('\u{1b}') && !body.contains('\n'));
    }

    #[test]
    fn the_request_id_is_in_what_only_operators_can_mend() {
        let data = |refusal: Refusal| {
            let body: serde_json::Value =
                serde_json::from_str(&refusal.body(Some(&id("1")), "01a2-b")).unwrap();
            body["error"]["data"].clone()
        };
        for refusal in [
            Refusal::UpstreamAnswer("x"),
            Refusal::UpstreamTimeout,
            Refusal::UpstreamUnreachable,
            Refusal::AuditUnavailable,
            Refusal::Internal,
            Refusal::Overloaded,
        ] {
            assert_eq!(data(refusal), serde_json::json!({"request_id": "01a2-b"}));
        }
        assert!(data(unknown("x", Permission::NoMatch)).is_null());
    }

    #[test]
    fn a_refused_notification_is_never_a_200() {
        assert_eq!(Refusal::UnknownMethod(Era::Legacy).status(None), 400);
        assert_eq!(Refusal::UnknownMethod(Era::Legacy).status(Some(&id("1"))), 200);
        assert_eq!(Refusal::UnknownMethod(Era::Modern).status(Some(&id("1"))), 404);
    }
}
