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

/// Remembers which tool made a task, for notices that come without the call.
pub trait Makers {
    /// The call of `tool` made the task.
    fn learn(&self, permit: &Permit, id: &str, tool: &str);
    /// The tool that made this task of the same caller, where it is still known.
    fn tool(&self, permit: &Permit, id: &str) -> Option<Arc<str>>;
}

/// `text` with a seal on every task of the caller; `None` where there is none.
///
/// # Errors
/// Where `text` is not one unambiguous JSON value.
pub fn seal(
    text: &str,
    max_depth: usize,
    permit: &Permit,
    key: &SealKey,
    makers: &dyn Makers,
) -> Result<Option<String>, JsonError> {
    let seal =
        |tool: &str, id: &str| key.seal_task(permit.principal(), permit.upstream(), tool, id);
    let sealed = |id: &str, may_be_new: bool| {
        if let Some(known) = permit.known_tasks().iter().find(|task| task.id == id) {
            return Some(known.sealed.clone());
        }
        if let Some(tool) = permit.tool().filter(|_| may_be_new) {
            makers.learn(permit, id, tool);
            return Some(seal(tool, id));
        }
        makers.tool(permit, id).map(|tool| seal(&tool, id))
    };
    let mut scanner = Scanner::new(text, max_depth);
    let mut path: Vec<String> = Vec::new();
    let mut edits = Edits::default();
    while let Some(event) = scanner.next_event()? {
        path.truncate(event.depth.saturating_sub(1));
        let place = place(&path);
        let id = task_id(&event).filter(|_| place != Place::Elsewhere);
        if let Some(id) = id.and_then(|id| sealed(&id, place == Place::Any)) {
            let spelled = serde_json::Value::from(id).to_string();
            edits.replace(event.start..event.end, spelled);
        }
        // An item of an array has no name, and no task id stands below one.
        path.push(event.key.map_or_else(String::new, Into::into));
    }
    Ok((!edits.is_empty()).then(|| edits.apply(text)))
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
