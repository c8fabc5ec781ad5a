//! The table of MCP methods: what a client may send, what names its target, what is filtered.
//!
//! A method that is not in this table is refused, so a new one of the specification stays closed
//! until somebody has thought about it here.

use super::permission::TargetKind;

/// What has to hold before a message with this method is forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Any principal may.
    Authenticated,
    /// The principal must be permitted the prompt or resource that `params.ref` names.
    Reference,
    /// The principal must be permitted every resource and own every task in
    /// `params.notifications`.
    Subscriptions,
    /// The principal must be permitted what the target names.
    Target(TargetKind),
    /// The principal must own the task that the target names, and be permitted its tool.
    Task,
}

/// What of the answer is changed on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Capabilities that this gateway refuses to everybody are left out.
    Capabilities,
    /// A cached copy must stay with its caller (MCP 2026-07-28, "Caching").
    Cache,
    /// A list is cut down to what the principal may use.
    List(TargetKind),
    /// Nothing; the answer streams through.
    Nothing,
}

/// In which eras a method exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Eras {
    /// Both.
    Both,
    /// 2024-11-05 to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Method {
    /// The method's exact name.
    pub name: &'static str,
    /// Whether it is sent without an id.
    pub is_notification: bool,
    /// Where it exists.
    pub eras: Eras,
    /// The member of `params` that names what it acts on; always a string. In the modern era
    /// `Mcp-Name` repeats it.
    pub target: Option<&'static str>,
    /// What decides.
    pub rule: Rule,
    /// What happens to its answer.
    pub filter: Filter,
    /// Whether it may be sent again after a pooled connection turned out to be dead.
    pub repeatable: bool,
}

const fn request(name: &'static str, eras: Eras) -> Method {
    Method {
        name,
        is_notification: false,
        eras,
        target: None,
        rule: Rule::Authenticated,
        filter: Filter::Nothing,
        repeatable: false,
    }
}

const fn notification(name: &'static str) -> Method {
    Method { is_notification: true, ..request(name, Eras::Legacy) }
}

/// Acts on what the string `member` of its parameters names.
const fn on(kind: TargetKind, member: &'static str, method: Method) -> Method {
    Method { target: Some(member), rule: Rule::Target(kind), ..method }
}

const fn list(name: &'static str, of: TargetKind) -> Method {
    Method { filter: Filter::List(of), repeatable: true, ..request(name, Eras::Both) }
}

const fn task(name: &'static str, eras: Eras) -> Method {
    Method { target: Some("taskId"), rule: Rule::Task, ..request(name, eras) }
}

/// Sources: the unions of client requests and notifications in the schema of each revision, and
/// the tasks extension (SEP-2663). `tasks/list` is missing on purpose: an upstream cannot know
/// whose tasks are whose.
const METHODS: [Method; 24] = [
    Method { rule: Rule::Reference, ..request("completion/complete", Eras::Both) },
    Method { filter: Filter::Capabilities, ..request("initialize", Eras::Legacy) },
    request("logging/setLevel", Eras::Legacy),
    notification(CANCELLED),
    notification("notifications/initialized"),
    notification("notifications/progress"),
    notification("notifications/roots/list_changed"),
    notification("notifications/tasks/status"),
    Method { repeatable: true, ..request("ping", Eras::Legacy) },
    on(TargetKind::Prompt, "name", request("prompts/get", Eras::Both)),
    list("prompts/list", TargetKind::Prompt),
    list("resources/list", TargetKind::Resource),
    Method {
        filter: Filter::Cache,
        ..on(TargetKind::Resource, "uri", request("resources/read", Eras::Both))
    },
    on(TargetKind::Resource, "uri", request("resources/subscribe", Eras::Legacy)),
    list("resources/templates/list", TargetKind::Template),
    on(TargetKind::Resource, "uri", request("resources/unsubscribe", Eras::Legacy)),
    Method {
        filter: Filter::Capabilities,
        repeatable: true,
        ..request("server/discover", Eras::Modern)
    },
    Method { rule: Rule::Subscriptions, ..request(LISTEN, Eras::Modern) },
    task("tasks/cancel", Eras::Both),
    task("tasks/get", Eras::Both),
    task("tasks/result", Eras::Legacy),
    task("tasks/update", Eras::Modern),
    on(TargetKind::Tool, "name", request("tools/call", Eras::Both)),
    list("tools/list", TargetKind::Tool),
];

/// The notification by which a client of the legacy era takes a request back.
pub const CANCELLED: &str = "notifications/cancelled";

/// The method whose answer is a stream without an end (MCP 2026-07-28, "Subscriptions").
pub const LISTEN: &str = "subscriptions/listen";

/// The row with exactly this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Every name in the table, for labels of metrics.
pub fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.name)
}

/// Methods of messages that a server sends of its own accord: the unions of server requests and
/// notifications in the schema of each revision, and of the tasks extension.
const FROM_SERVER: [&str; 19] = [
    "elicitation/create",
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/message",
    "notifications/progress",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
    "ping",
    "roots/list",
    "sampling/createMessage",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
];

/// True for a request or a notification of servers that MCP defines.
#[must_use]
pub fn is_from_server(name: &str) -> bool {
    FROM_SERVER.contains(&name)
}
