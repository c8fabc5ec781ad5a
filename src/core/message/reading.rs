//! Gathers the parts of a message, event by event.

use std::borrow::Cow;
use std::ops::Range;

use super::{
    Fault, Field, Fields, Id, Kind, META_TASK, META_VERSION, Message, Subscriptions, TaskId,
    Unreadable, reserved,
};
use crate::core::json::{Event, Token};
use crate::core::names::looks_like;

/// Members of `params.notifications` that name nothing.
const PLAIN_SUBSCRIPTIONS: [&str; 3] =
    ["promptsListChanged", "resourcesListChanged", "toolsListChanged"];

/// Longest id of a request in bytes of its JSON spelling.
const MAX_ID: usize = 256;

/// Most tasks that a message names; a stream remembers them as long as it lasts.
const MAX_TASKS: usize = 1_000;

/// How many names of arguments are kept, for records.
const MAX_ARGUMENT_NAMES: usize = 32;

/// The member in the first level of a message that is being read.
#[derive(Clone, Copy, Default, PartialEq)]
enum Inside {
    #[default]
    Other,
    Params,
    Result,
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
    FastMcp,
    #[default]
    Other,
    RelatedTask,
    Resources,
    TaskIds,
}

/// The parts of a message as they come by. Faults of shape are kept while the reading goes on,
/// because a fault of syntax further back weighs more, and the id may stand behind them.
#[derive(Default)]
pub(super) struct Reading<'a> {
    fault: Option<Fault>,
    has_version: bool,
    id: Option<Id>,
    has_id: bool,
    has_long_id: bool,
    method: Option<Cow<'a, str>>,
    has_outcome: bool,
    has_params: bool,
    params: Fields<'a>,
    reference: Fields<'a>,
    subscriptions: Subscriptions<'a>,
    task_ids: Vec<TaskId<'a>>,
    /// Where `params.arguments` begin, as long as their end is not found.
    arguments_from: Option<usize>,
    arguments: Option<&'a str>,
    argument_names: Vec<Cow<'a, str>>,
    claimed_version: Option<Cow<'a, str>>,
    picks_version: bool,
    inside: Inside,
    section: Section,
    inner: Inner,
}

impl<'a> Reading<'a> {
    pub(super) fn step(&mut self, text: &'a str, event: Event<'a>) {
        let at = event.start..event.end;
        match (event.depth, event.key) {
            (0, _) => match event.token {
                Token::ObjectStart | Token::End => {}
                Token::ArrayStart => self.note(Fault::Batch),
                _ => self.note(Fault::NotAnObject),
            },
            (1, Some(key)) => self.envelope(&key, event.token, text.get(at)),
            (2, None) => {
                self.section = Section::Other;
                if let Some(from) = self.arguments_from.take() {
                    self.arguments = text.get(from..at.end);
                }
            }
            (2, Some(key)) if self.inside == Inside::Params => {
                if key == "arguments" {
                    self.arguments_from =
                        matches!(event.token, Token::ObjectStart | Token::ArrayStart)
                            .then_some(at.start);
                    self.arguments = text.get(at.clone());
                }
                self.parameter(key, event.token, at);
            }
            (2, Some(key)) if self.inside == Inside::Result && key == "_meta" => {
                self.section = Section::Meta;
            }
            (3, None) => self.inner = Inner::Other,
            (3, Some(key)) if self.arguments_from.is_some() => self.argument(key),
            (3, Some(key)) => self.member(key, event.token),
            (4, key) => self.innermost(key.as_deref(), event.token, at),
            _ => {}
        }
    }

    /// An answer has the id that the server gave its request, and that is as long as it is.
    fn identify(&mut self, json: &str) {
        match json.len() <= MAX_ID {
            true => self.id = Some(Id(json.to_owned())),
            false => self.has_long_id = true,
        }
    }

    fn name_task(&mut self, task: TaskId<'a>) {
        match self.task_ids.len() < MAX_TASKS {
            true => self.task_ids.push(task),
            false => self.note(Fault::TooManyTasks),
        }
    }

    fn note(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn envelope(&mut self, key: &str, token: Token<'a>, spelled: Option<&'a str>) {
        self.inside = match key {
            "params" => Inside::Params,
            "result" => Inside::Result,
            _ => Inside::Other,
        };
        match key {
            "jsonrpc" => match token {
                Token::String(s) if s.decode() == "2.0" => self.has_version = true,
                _ => self.note(Fault::BadVersion),
            },
            "id" => {
                self.has_id = true;
                match (token, spelled) {
                    (Token::String(_), Some(json)) => self.identify(json),
                    (Token::Number(n), _) if is_integer(n) => self.identify(n),
                    _ => self.note(Fault::BadId),
                }
            }
            "method" => match token {
                Token::String(s) if !s.decode().is_empty() => self.method = Some(s.decode()),
                _ => self.note(Fault::BadMethod),
            },
            "params" => {
                self.has_params = true;
                if token != Token::ObjectStart {
                    self.note(Fault::BadParams);
                }
            }
            "result" | "error" => {
                if self.has_outcome || (key == "error" && token != Token::ObjectStart) {
                    self.note(Fault::Shape);
                }
                self.has_outcome = true;
            }
            _ => self.note(Fault::UnknownKey),
        }
    }

    fn parameter(&mut self, key: Cow<'a, str>, token: Token<'a>, at: Range<usize>) {
        self.check_name(&key, &reserved::PARAMS);
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
            self.name_task(TaskId { id: id.clone(), at, is_target: true });
        }
        self.params.push((key, field));
    }

    fn check_name(&mut self, key: &str, known: &[&str]) {
        if let Some(fault) = reserved::fault(key, known) {
            self.note(fault);
        }
    }

    fn argument(&mut self, key: Cow<'a, str>) {
        if self.argument_names.len() < MAX_ARGUMENT_NAMES {
            self.argument_names.push(key);
        }
    }

    fn member(&mut self, key: Cow<'a, str>, token: Token<'a>) {
        match self.section {
            Section::Meta => self.meta(&key, token),
            Section::Notifications => self.subscription(&key, token),
            Section::Other => {}
            Section::Reference => {
                self.check_name(&key, &reserved::MEMBERS);
                self.reference.push((key, Field::of(token)));
            }
        }
    }

    fn meta(&mut self, key: &str, token: Token<'a>) {
        if key == META_VERSION {
            match token {
                _ if self.inside == Inside::Result => {}
                Token::String(s) => self.claimed_version = Some(s.decode()),
                _ => self.note(Fault::BadParams),
            }
        } else if key == META_TASK && token == Token::ObjectStart {
            self.inner = Inner::RelatedTask;
        } else if reserved::may_hold_version(key) && token == Token::ObjectStart {
            self.inner = Inner::FastMcp;
        } else if let Some(fault) = reserved::meta_fault(key) {
            self.note(fault);
        }
    }

    fn subscription(&mut self, key: &str, token: Token<'a>) {
        self.check_name(key, &reserved::MEMBERS);
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
                self.name_task(TaskId { id: id.decode(), at, is_target: true });
            }
            (Inner::Resources | Inner::TaskIds, ..) => self.subscriptions.is_unclear = true,
            (Inner::RelatedTask, Some("taskId"), Token::String(id)) => {
                self.name_task(TaskId { id: id.decode(), at, is_target: false });
            }
            (Inner::RelatedTask, Some(key), _) if looks_like(key, "taskId") || key == "taskId" => {
                self.note(Fault::LookalikeKey);
            }
            (Inner::FastMcp, Some(key), _) => self.picks_version |= reserved::is_version(key),
            (Inner::FastMcp | Inner::RelatedTask | Inner::Other, ..) => {}
        }
    }

    pub(super) fn finish(mut self) -> Result<Message<'a>, Unreadable> {
        let is_call = self.method.is_some() && !self.has_outcome;
        let is_answer =
            self.method.is_none() && self.has_outcome && self.has_id && !self.has_params;
        if self.has_long_id && !is_answer {
            self.note(Fault::BadId);
        }
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
        // Whatever the id is, it is one too many.
        let is_notification = self.method.as_ref().is_some_and(|m| m.starts_with("notifications/"));
        if self.fault == Some(Fault::BadId) && is_notification {
            self.fault = Some(Fault::IdOfNotification);
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
            arguments: self.arguments,
            argument_names: self.argument_names,
            claimed_version: self.claimed_version,
            picks_version: self.picks_version,
        })
    }
}

fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}
