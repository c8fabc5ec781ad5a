//! The table of MCP methods: what a client may send, what names its target, what is filtered.
//!
//! A method that is not in this table is refused, so a new one of the specification stays closed
//! until somebody has thought about it here.

/// What has to hold before a message with this method is forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Any principal may.
    Authenticated,
    /// The principal must be permitted the tool that the target names.
    Tool,
}

/// Which part of the answer is cut down to what the principal may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Nothing; the answer streams through.
    Nothing,
    /// `result.tools`.
    Tools,
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
#[derive(Debug, Eq, PartialEq)]
pub struct Method {
    /// The method's exact name.
    pub name: &'static str,
    /// Whether it is sent without an id.
    pub is_notification: bool,
    /// Where it exists.
    pub eras: Eras,
    /// The member of `params` that names what it acts on; always a string.
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

/// Sources: the unions of client requests and notifications in the schema of each revision.
const METHODS: [Method; 10] = [
    request("initialize", Eras::Legacy),
    request("logging/setLevel", Eras::Legacy),
    notification("notifications/cancelled"),
    notification("notifications/initialized"),
    notification("notifications/progress"),
    notification("notifications/roots/list_changed"),
    Method { repeatable: true, ..request("ping", Eras::Legacy) },
    Method { repeatable: true, ..request("server/discover", Eras::Modern) },
    Method { target: Some("name"), rule: Rule::Tool, ..request("tools/call", Eras::Both) },
    Method { filter: Filter::Tools, repeatable: true, ..request("tools/list", Eras::Both) },
];

/// The row with exactly this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Every name in the table, for labels of metrics.
pub fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.name)
}
