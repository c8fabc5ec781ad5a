//! Puts seals on the ids of tasks in what an upstream says (MCP 2025-11-25, "Tasks"; the tasks
//! extension, SEP-2663).
//!
//! The answer to a call may name a new task; the answer to a request about a task, and what is
//! said meanwhile, name that task again. Nothing else that looks like a task id is touched: it
//! may be the client's own.

use std::sync::Arc;

use super::decide::Permit;
use super::edits::Edits;
use super::json::{Event, JsonError, Scanner, Token};
use super::message::META_TASK;
use super::seal::SealKey;
use super::way_back::{TooLong, WayBack};

/// Remembers which tool made a task, for notices that come without the call.
pub trait Makers {
    /// The call of `tool` made the task.
    fn learn(&self, permit: &Permit, id: &str, tool: &str);
    /// The tool that made this task of the same caller, where it is still known.
    fn tool(&self, permit: &Permit, id: &str) -> Option<Arc<str>>;
}

/// What it takes to put seals on the tasks in an answer.
pub struct Sealing<'s> {
    /// Of the request that is answered.
    pub permit: &'s Permit,
    /// Key of the seals.
    pub key: &'s SealKey,
    /// The tools that made tasks.
    pub makers: &'s dyn Makers,
    /// The room for an id in a later request.
    pub way_back: WayBack,
}

/// Why a message cannot be given to its caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsealable {
    /// Not one unambiguous JSON value.
    Json(JsonError),
    /// The id of a new task is too long.
    TooLong(TooLong),
}

impl Sealing<'_> {
    /// `text` with a seal on every task of the caller; `None` where there is none.
    ///
    /// # Errors
    /// [`Unsealable`]
    pub fn seal(&self, text: &str, max_depth: usize) -> Result<Option<String>, Unsealable> {
        let mut scanner = Scanner::new(text, max_depth);
        let mut path: Vec<String> = Vec::new();
        let mut edits = Edits::default();
        while let Some(event) = scanner.next_event().map_err(Unsealable::Json)? {
            path.truncate(event.depth.saturating_sub(1));
            let place = place(&path);
            if let Some(id) = task_id(&event).filter(|_| place != Place::Elsewhere)
                && let Some(id) = self.sealed(&id, place == Place::Any)?
            {
                let spelled = serde_json::Value::from(id).to_string();
                edits.replace(event.start..event.end, spelled);
            }
            // An item of an array has no name, and no task id stands below one.
            path.push(event.key.map_or_else(String::new, Into::into));
        }
        Ok((!edits.is_empty()).then(|| edits.apply(text)))
    }

    /// The id as the caller knows it, or learns it now.
    fn sealed(&self, id: &str, may_be_new: bool) -> Result<Option<String>, Unsealable> {
        let Self { permit, key, makers, way_back } = self;
        let seal = |tool: &str| key.seal_task(permit.principal(), permit.upstream(), tool, id);
        if let Some(known) = permit.known_task(id) {
            return Ok(Some(known.sealed.clone()));
        }
        if let Some(tool) = permit.tool().filter(|_| may_be_new) {
            let sealed = seal(tool);
            way_back.task(&sealed).map_err(Unsealable::TooLong)?;
            makers.learn(permit, id, tool);
            return Ok(Some(sealed));
        }
        Ok(makers.tool(permit, id).map(|tool| seal(&tool)))
    }
}

/// What stands in a place.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A task of the upstream, perhaps a new one.
    Any,
    /// No task, or none of the upstream.
    Elsewhere,
    /// A task of the upstream that was named before, or one of the client.
    Known,
}

fn place(path: &[String]) -> Place {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["result"] | ["result", "task"] | ["result" | "params", "_meta", META_TASK] => Place::Any,
        ["params"] => Place::Known,
        _ => Place::Elsewhere,
    }
}

fn task_id(event: &Event<'_>) -> Option<String> {
    match (event.key.as_deref(), event.token) {
        (Some("taskId"), Token::String(id)) => Some(id.decode().into_owned()),
        _ => None,
    }
}
