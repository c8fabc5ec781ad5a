//! Names of members that decide something, and what a reader may take for one of them.

use super::{Fault, META_TASK, META_VERSION};
use crate::core::names::looks_like;

/// Members of `params`. A reader may take another name for one of them: some fold case, models in
/// Python fill a field `request_state` from that name, too, and `meta` is the field of `_meta`.
pub(super) const PARAMS: [&str; 12] = [
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

/// Members of `params.ref`, of `params.notifications` and of what a message belongs to.
pub(super) const MEMBERS: [&str; 5] = ["name", "resourceSubscriptions", "taskIds", "type", "uri"];

/// Members of `_meta` that decide something.
const META: [&str; 2] = [META_VERSION, META_TASK];

/// Names that every object of JavaScript has: copied from one object to another they give it
/// members that it does not seem to have.
const INHERITED: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// The member of `_meta` by which a server of FastMCP is told which version of a tool, a prompt or
/// a resource is meant; versions before 3 spelled it `_fastmcp`.
const FASTMCP: [&str; 2] = ["fastmcp", "_fastmcp"];

/// The fault of a member name next to these reserved ones.
pub(super) fn fault(name: &str, reserved: &[&str]) -> Option<Fault> {
    if INHERITED.contains(&name) {
        return Some(Fault::InheritedKey);
    }
    let is_clear = is_plain(name) && !reserved.iter().any(|known| looks_like(name, known));
    (!is_clear).then_some(Fault::LookalikeKey)
}

/// The same for a member of `_meta`, whose names have prefixes, where it is none that is known.
pub(super) fn meta_fault(name: &str) -> Option<Fault> {
    if INHERITED.contains(&name) {
        return Some(Fault::InheritedKey);
    }
    let is_graphic = name.bytes().all(|b| b.is_ascii_graphic());
    let is_clear =
        is_graphic && !META.iter().any(|known| name == *known || looks_like(name, known));
    (!is_clear).then_some(Fault::LookalikeKey)
}

/// True for a member of `_meta` that may hold a version of FastMCP.
pub(super) fn may_hold_version(name: &str) -> bool {
    FASTMCP.iter().any(|known| name == *known || looks_like(name, known))
}

/// True for the member in it that names the version.
pub(super) fn is_version(name: &str) -> bool {
    name == "version" || looks_like(name, "version")
}

/// True for an ASCII identifier. Every parameter that MCP defines is one; anything else in that
/// place is meant for a reader that trims, normalises or cuts names.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
