//! The one strict reading of a JSON-RPC message (JSON-RPC 2.0; MCP "Messages").
//!
//! [`Message::read`] is the only way from bytes to something that can be judged. It passes over
//! the text once and borrows from it. A body that two servers could understand differently is
//! [`Unreadable`]: batches, repeated or look-alike member names, encodings other than UTF-8,
//! identifiers that are null. What it accepts is forwarded byte for byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::json::{JsonError, Scanner, Token};

mod reading;
mod reserved;
use self::reading::Reading;

/// The member of `params._meta` that names the revision a modern request is written in
/// (MCP 2026-07-28, "Per-request protocol fields").
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A JSON-RPC id exactly as the caller spelled it, so that an answer can carry the very same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Id(String);

impl Id {
    /// The id as JSON text: an integer, or a string with its quotes.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// Which of the three JSON-RPC messages it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Has a method and an id; wants an answer.
    Request(Id),
    /// Has a method and no id.
    Notification,
    /// A client's answer to a server's request: an id and a result or an error, no method.
    Response,
}

/// A member of `params` as the policy sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Field<'a> {
    /// Present, and not a string.
    Other,
    /// A string, unescaped.
    Text(Cow<'a, str>),
}

type Fields<'a> = Vec<(Cow<'a, str>, Field<'a>)>;

/// A body with exactly one reading.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    kind: Kind,
    method: Cow<'a, str>,
    params: Fields<'a>,
    reference: Fields<'a>,
    subscriptions: Subscriptions<'a>,
    task_ids: Vec<TaskId<'a>>,
    arguments: Option<&'a str>,
    argument_names: Vec<Cow<'a, str>>,
    claimed_version: Option<Cow<'a, str>>,
    picks_version: bool,
}

/// What `params.notifications` asks to be told about (MCP 2026-07-28, "Subscriptions").
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subscriptions<'a> {
    /// `resourceSubscriptions`: URIs of resources.
    pub resources: Vec<Cow<'a, str>>,
    /// Whether there is anything in it that is not known here, or not of the form that is known.
    pub is_unclear: bool,
}

/// A task that the message names, with the place where it does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskId<'a> {
    /// The id as the caller sent it.
    pub id: Cow<'a, str>,
    /// The bytes of the body that spell it, its quotes included.
    pub at: Range<usize>,
    /// Whether the message acts on the task. The other ids only say what a message belongs to
    /// (MCP 2025-11-25, "Related Task Metadata").
    pub is_target: bool,
}

/// What makes a body unfit to be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A JSON array: MCP dropped batches in 2025-06-18, and every item would need its own answer.
    Batch,
    /// An id that is neither a string (of at most 256 bytes) nor an integer.
    BadId,
    /// `method` is missing, empty or not a string.
    BadMethod,
    /// `params` is not an object.
    BadParams,
    /// `jsonrpc` is not "2.0".
    BadVersion,
    /// No id, where the method is one of requests.
    IdMissing,
    /// An id, where the method is one of notifications.
    IdOfNotification,
    /// A member name that every object of JavaScript has without being given it.
    InheritedKey,
    /// Not one JSON value by RFC 8259 and RFC 7493.
    Json(JsonError),
    /// A member name that a lenient reader takes for another (CVE-2026-27896).
    LookalikeKey,
    /// One JSON value, but not an object.
    NotAnObject,
    /// Not UTF-8 (RFC 3629), or it begins with a byte order mark.
    NotUtf8,
    /// Neither request, notification nor response, or more than one of them.
    Shape,
    /// More than 1,000 tasks.
    TooManyTasks,
    /// A response in an era whose servers ask nothing.
    Unasked,
    /// A member that JSON-RPC 2.0 does not know.
    UnknownKey,
}

/// A body that must not be forwarded, with the caller's id where it was beyond doubt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    /// The first fault found.
    pub fault: Fault,
    /// The id to answer with; absent where it could not be read with certainty.
    pub id: Option<Id>,
}

/// The member of `_meta` that says which task a message belongs to.
pub(super) const META_TASK: &str = "io.modelcontextprotocol/related-task";

impl<'a> Message<'a> {
    /// Reads `body`, allowing `max_depth` levels of nesting.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that does not have exactly one meaning.
    pub fn read(body: &'a [u8], max_depth: usize) -> Result<Self, Unreadable> {
        let no_id = |fault| Unreadable { fault, id: None };
        let text = std::str::from_utf8(body).map_err(|_| no_id(Fault::NotUtf8))?;
        if text.starts_with('\u{feff}') {
            return Err(no_id(Fault::NotUtf8));
        }
        let mut scanner = Scanner::new(text, max_depth);
        let mut reading = Reading::default();
        while let Some(event) = scanner.next_event().map_err(|e| no_id(Fault::Json(e)))? {
            reading.step(text, event);
        }
        reading.finish()
    }

    /// Request, notification or response.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The id to answer with, where the message wants an answer.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Request(id) => Some(id),
            Kind::Notification | Kind::Response => None,
        }
    }

    /// The method; empty for a response.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The member of `params` with this very name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Field<'a>> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, field)| field)
    }

    /// The member of `params.ref` with this very name (MCP, "Completion").
    #[must_use]
    pub fn reference(&self, name: &str) -> Option<&Field<'a>> {
        self.reference.iter().find(|(key, _)| key == name).map(|(_, field)| field)
    }

    /// What `params.notifications` asks for.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions<'a> {
        &self.subscriptions
    }

    /// Every task that the message names, in the order of its bytes.
    #[must_use]
    pub fn task_ids(&self) -> &[TaskId<'a>] {
        &self.task_ids
    }

    /// `params.arguments` as they stand in the body, where there are some.
    #[must_use]
    pub fn arguments(&self) -> Option<&'a str> {
        self.arguments
    }

    /// The first 32 names in `params.arguments`, where they are an object.
    #[must_use]
    pub fn argument_names(&self) -> &[Cow<'a, str>] {
        &self.argument_names
    }

    /// The revision that the message claims in its own `_meta`, present only in the modern era.
    #[must_use]
    pub fn claimed_version(&self) -> Option<&str> {
        self.claimed_version.as_deref()
    }

    /// True where its `_meta` asks a server of FastMCP for a version of what it names, other than
    /// the newest one, which lists show.
    #[must_use]
    pub fn picks_version(&self) -> bool {
        self.picks_version
    }
}

impl<'a> Field<'a> {
    fn of(token: Token<'a>) -> Self {
        match token {
            Token::String(s) => Self::Text(s.decode()),
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadId => "id must be a string of at most 256 bytes or an integer",
            Self::IdMissing => "this method is a request, and has no id",
            Self::IdOfNotification => "this method is a notification, and must not have an id",
            Self::BadMethod => "method must be a non-empty string",
            Self::BadParams => "params must be an object",
            Self::BadVersion => "jsonrpc must be \"2.0\"",
            Self::Batch => "batches are not accepted; send one message per request",
            Self::Json(JsonError::Depth) => "nested too deeply",
            Self::Json(JsonError::DuplicateKey) => "a member name occurs twice in one object",
            Self::Json(JsonError::LoneSurrogate) => "a string has an unpaired surrogate",
            Self::Json(JsonError::Syntax) => "not valid JSON",
            Self::InheritedKey => "a member name that objects inherit",
            Self::LookalikeKey => "a member name is not in its exact form",
            Self::NotAnObject => "not a JSON object",
            Self::NotUtf8 => "not UTF-8 without a byte order mark",
            Self::Shape => "neither request, notification nor response",
            Self::TooManyTasks => "more than 1,000 tasks are named",
            Self::Unasked => "a response, but servers of this revision ask nothing",
            Self::UnknownKey => "a member that JSON-RPC 2.0 does not define",
        })
    }
}

#[cfg(test)]
mod tests;
