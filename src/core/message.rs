//! The one strict reading of a JSON-RPC message (JSON-RPC 2.0; MCP "Messages").
//!
//! [`Message::read`] is the only way from bytes to something that can be judged. It passes over
//! the text once and borrows from it. A body that two servers could understand differently is
//! [`Unreadable`]: batches, repeated or look-alike member names, encodings other than UTF-8,
//! identifiers that are null. What it accepts is forwarded byte for byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::json::{Event, JsonError, Scanner, Token};

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
    claimed_version: Option<Cow<'a, str>>,
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
    /// No id, or one that is neither a string (of at most 256 bytes) nor an integer.
    BadId,
    /// `method` is missing, empty or not a string.
    BadMethod,
    /// `params` is not an object.
    BadParams,
    /// `jsonrpc` is not "2.0".
    BadVersion,
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

/// Names in `params` that decide something. A name that differs from one of them only in case is
/// refused, because some servers fold case.
const RESERVED_PARAMS: [&str; 12] = [
    "_meta",
    "arguments",
    "cursor",
    "inputResponses",
    "level",
    "name",
    "notifications",
    "ref",
    "requestState",
    "task",
    "taskId",
    "uri",
];

/// Names in `params.ref` and in `params.notifications` that decide something.
const RESERVED_MEMBERS: [&str; 5] = ["name", "resourceSubscriptions", "taskIds", "type", "uri"];

/// Members of `params.notifications` that name nothing.
const PLAIN_SUBSCRIPTIONS: [&str; 3] =
    ["promptsListChanged", "resourcesListChanged", "toolsListChanged"];

/// The member of `_meta` that says which task a message belongs to.
pub(super) const META_TASK: &str = "io.modelcontextprotocol/related-task";

/// Longest id in bytes of its JSON spelling.
const MAX_ID: usize = 256;

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

    /// The revision that the message claims in its own `_meta`, present only in the modern era.
    #[must_use]
    pub fn claimed_version(&self) -> Option<&str> {
        self.claimed_version.as_deref()
    }
}

/// The object in the second level of a message that is being read.
#[derive(Clone, Copy, Default, PartialEq)]
enum Section {
    Meta,
    Notifications,
    #[default]
    Other,
    Reference,
}

/// The value in the third level of a message that is being read.
#[derive(Clone, Copy, Default, PartialEq)]
enum Inner {
    #[default]
    Other,
    RelatedTask,
    Resources,
    TaskIds,
}

/// The parts of a message as they come by. Faults of shape are kept while the reading goes on,
/// because a fault of syntax further back weighs more, and the id may stand behind them.
#[derive(Default)]
struct Reading<'a> {
    fault: Option<Fault>,
    has_version: bool,
    id: Option<Id>,
    has_id: bool,
    method: Option<Cow<'a, str>>,
    has_outcome: bool,
    has_params: bool,
    params: Fields<'a>,
    reference: Fields<'a>,
    subscriptions: Subscriptions<'a>,
    task_ids: Vec<TaskId<'a>>,
    claimed_version: Option<Cow<'a, str>>,
    inside_params: bool,
    inside_result: bool,
    section: Section,
    inner: Inner,
}

impl<'a> Reading<'a> {
    fn step(&mut self, text: &'a str, event: Event<'a>) {
        let at = event.start..event.end;
        match (event.depth, event.key) {
            (0, _) => match event.token {
                Token::ObjectStart | Token::End => {}
                Token::ArrayStart => self.note(Fault::Batch),
                _ => self.note(Fault::NotAnObject),
            },
            (1, None) => (self.inside_params, self.inside_result) = (false, false),
            (1, Some(key)) => self.envelope(&key, event.token, text.get(at)),
            (2, None) => self.section = Section::Other,
            (2, Some(key)) if self.inside_params => self.parameter(key, event.token, at),
            (2, Some(key)) if self.inside_result && key == "_meta" => {
                self.section = Section::Meta;
            }
            (3, None) => self.inner = Inner::Other,
            (3, Some(key)) => self.member(key, event.token),
            (4, key) => self.innermost(key.as_deref(), event.token, at),
            _ => {}
        }
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn envelope(&mut self, key: &str, token: Token<'a>, spelled: Option<&'a str>) {
        match key {
            "jsonrpc" => match token {
                Token::String(s) if s.decode() == "2.0" => self.has_version = true,
                _ => self.note(Fault::BadVersion),
            },
            "id" => {
                self.has_id = true;
                match (token, spelled) {
                    (Token::String(_), Some(json)) if json.len() <= MAX_ID => {
                        self.id = Some(Id(json.to_owned()));
                    }
                    (Token::Number(n), _) if n.len() <= MAX_ID && is_integer(n) => {
                        self.id = Some(Id(n.to_owned()));
                    }
                    _ => self.note(Fault::BadId),
                }
            }
            "method" => match token {
                Token::String(s) if !s.decode().is_empty() => self.method = Some(s.decode()),
                _ => self.note(Fault::BadMethod),
            },
            "params" => {
                self.has_params = true;
                self.inside_params = token == Token::ObjectStart;
                if !self.inside_params {
                    self.note(Fault::BadParams);
                }
            }
            "result" | "error" => {
                if self.has_outcome || (key == "error" && token != Token::ObjectStart) {
                    self.note(Fault::Shape);
                }
                self.has_outcome = true;
                self.inside_result = key == "result" && token == Token::ObjectStart;
            }
            _ => self.note(Fault::UnknownKey),
        }
    }

    fn parameter(&mut self, key: Cow<'a, str>, token: Token<'a>, at: Range<usize>) {
        self.check_name(&key, &RESERVED_PARAMS);
        let is_object = token == Token::ObjectStart;
        match key.as_ref() {
            "_meta" if is_object => self.section = Section::Meta,
            "_meta" => self.note(Fault::BadParams),
            "ref" if is_object => self.section = Section::Reference,
            "notifications" if is_object => self.section = Section::Notifications,
            "notifications" => self.subscriptions.is_unclear = true,
            _ => {}
        }
        let field = Field::of(token);
        if let ("taskId", Field::Text(id)) = (key.as_ref(), &field) {
            self.task_ids.push(TaskId { id: id.clone(), at, is_target: true });
        }
        self.params.push((key, field));
    }

    fn check_name(&mut self, key: &str, reserved: &[&str]) {
        if !is_plain_name(key) || reserved.iter().any(|known| looks_like(key, known)) {
            self.note(Fault::LookalikeKey);
        }
    }

    fn member(&mut self, key: Cow<'a, str>, token: Token<'a>) {
        match self.section {
            Section::Meta => self.meta(&key, token),
            Section::Notifications => self.subscription(&key, token),
            Section::Other => {}
            Section::Reference => {
                self.check_name(&key, &RESERVED_MEMBERS);
                self.reference.push((key, Field::of(token)));
            }
        }
    }

    fn meta(&mut self, key: &str, token: Token<'a>) {
        if key == META_VERSION {
            match token {
                _ if self.inside_result => {}
                Token::String(s) => self.claimed_version = Some(s.decode()),
                _ => self.note(Fault::BadParams),
            }
        } else if key == META_TASK && token == Token::ObjectStart {
            self.inner = Inner::RelatedTask;
        } else if [META_VERSION, META_TASK].iter().any(|known| key.eq_ignore_ascii_case(known))
            || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            self.note(Fault::LookalikeKey);
        }
    }

    fn subscription(&mut self, key: &str, token: Token<'a>) {
        self.check_name(key, &RESERVED_MEMBERS);
        match (key, token) {
            ("resourceSubscriptions", Token::ArrayStart) => self.inner = Inner::Resources,
            ("taskIds", Token::ArrayStart) => self.inner = Inner::TaskIds,
            (key, Token::Bool(_)) if PLAIN_SUBSCRIPTIONS.contains(&key) => {}
            _ => self.subscriptions.is_unclear = true,
        }
    }

    fn innermost(&mut self, key: Option<&str>, token: Token<'a>, at: Range<usize>) {
        match (self.inner, key, token) {
            (Inner::Resources, None, Token::String(uri)) => {
                self.subscriptions.resources.push(uri.decode());
            }
            (Inner::TaskIds, None, Token::String(id)) => {
                self.task_ids.push(TaskId { id: id.decode(), at, is_target: true });
            }
            (Inner::Resources | Inner::TaskIds, ..) => self.subscriptions.is_unclear = true,
            (Inner::RelatedTask, Some("taskId"), Token::String(id)) => {
                self.task_ids.push(TaskId { id: id.decode(), at, is_target: false });
            }
            (Inner::RelatedTask, Some(key), _) if looks_like(key, "taskId") || key == "taskId" => {
                self.note(Fault::LookalikeKey);
            }
            (Inner::RelatedTask | Inner::Other, ..) => {}
        }
    }

    fn finish(mut self) -> Result<Message<'a>, Unreadable> {
        let is_call = self.method.is_some() && !self.has_outcome;
        let is_answer =
            self.method.is_none() && self.has_outcome && self.has_id && !self.has_params;
        if self.fault.is_none() {
            self.fault = if !self.has_version {
                Some(Fault::BadVersion)
            } else if is_call || is_answer {
                None
            } else if self.method.is_none() && !self.has_outcome {
                Some(Fault::BadMethod)
            } else {
                Some(Fault::Shape)
            };
        }
        if let Some(fault) = self.fault {
            return Err(Unreadable { fault, id: self.id });
        }
        let kind = match self.id {
            _ if is_answer => Kind::Response,
            Some(id) => Kind::Request(id),
            None => Kind::Notification,
        };
        Ok(Message {
            kind,
            method: self.method.unwrap_or_default(),
            params: self.params,
            reference: self.reference,
            subscriptions: self.subscriptions,
            task_ids: self.task_ids,
            claimed_version: self.claimed_version,
        })
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

/// Whether a reader that folds case or trims takes `key` for `known`, which it is not.
pub(super) fn looks_like(key: &str, known: &str) -> bool {
    if key == known {
        return false;
    }
    if key.is_ascii() {
        return key.trim().eq_ignore_ascii_case(known);
    }
    // Upper and then lower case also folds U+017F (long s) and U+212A (Kelvin).
    let folded = key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.filter(|c| c.is_alphanumeric()).eq(known.chars().map(|c| c.to_ascii_lowercase()))
}

fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// Every parameter that MCP defines is an ASCII identifier; anything else in that place is meant
/// for a reader that trims, normalises or cuts names.
fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadId => "id must be a string of at most 256 bytes or an integer",
            Self::BadMethod => "method must be a non-empty string",
            Self::BadParams => "params must be an object",
            Self::BadVersion => "jsonrpc must be \"2.0\"",
            Self::Batch => "batches are not accepted; send one message per request",
            Self::Json(JsonError::Depth) => "nested too deeply",
            Self::Json(JsonError::DuplicateKey) => "a member name occurs twice in one object",
            Self::Json(JsonError::LoneSurrogate) => "a string has an unpaired surrogate",
            Self::Json(JsonError::Syntax) => "not valid JSON",
            Self::LookalikeKey => "a member name is not in its exact form",
            Self::NotAnObject => "not a JSON object",
            Self::NotUtf8 => "not UTF-8 without a byte order mark",
            Self::Shape => "neither request, notification nor response",
            Self::UnknownKey => "a member that JSON-RPC 2.0 does not define",
        })
    }
}

#[cfg(test)]
mod tests;
