//! Roles, grants and patterns: which tools, prompts and resources of which upstream a principal
//! may use.
//!
//! Nothing is allowed unless a pattern allows it, and a deny beats every allow. Patterns live in
//! the configuration only; what a caller sends is never taken for one.

mod judge;

use std::sync::Arc;

use super::argument::{Call, Shadow, When};
use super::pattern::Pattern;
use super::pin::Pins;
use super::rule::Rule;
use super::token::UnixSeconds;

/// The kinds of things that are permitted one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetKind {
    /// A prompt, by its name.
    Prompt,
    /// A resource, by its URI.
    Resource,
    /// Resources of one form, by their URI template (RFC 6570).
    Template,
    /// A tool, by its name.
    Tool,
}

/// One thing of an upstream that a caller wants to see or use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target<'t> {
    /// What it is.
    pub kind: TargetKind,
    /// Its name, URI or template.
    pub name: &'t str,
}

/// Patterns for each kind of thing.
#[derive(Debug, Default, PartialEq)]
pub struct Patterns {
    /// Of names of tools.
    pub tools: Vec<Pattern>,
    /// Of names of prompts.
    pub prompts: Vec<Pattern>,
    /// Of URIs of resources.
    pub resources: Vec<Pattern>,
}

impl Patterns {
    fn of(&self, kind: TargetKind) -> &[Pattern] {
        match kind {
            TargetKind::Prompt => &self.prompts,
            TargetKind::Resource | TargetKind::Template => &self.resources,
            TargetKind::Tool => &self.tools,
        }
    }

    fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty()
    }
}

/// A named set of allowing and denying patterns.
#[derive(Debug, Default, PartialEq)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// What it allows.
    pub allow: Patterns,
    /// What it denies, whatever else allows it.
    pub deny: Patterns,
    /// What must hold for calls that it allows. Another role may allow them without.
    pub when: Vec<When>,
    /// Whether it is only tried out: what its holders would be refused of the upstreams that its
    /// patterns name passes.
    pub shadow: Option<Shadow>,
    /// Where it stands in the configuration.
    pub rule: Option<Rule>,
}

impl Role {
    /// A role that gives nothing.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// Everything a principal was granted. The default grants nothing.
#[derive(Debug, Default, PartialEq)]
pub struct Grants {
    /// The principal's roles.
    pub roles: Vec<Arc<Role>>,
    /// Patterns granted to the token itself.
    pub direct: Patterns,
}

impl Grants {
    /// The names of the roles.
    #[must_use]
    pub fn role_names(&self) -> Vec<&str> {
        self.roles.iter().map(|role| role.name.as_str()).collect()
    }
}

/// "May this principal use this?"
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// Whose it is.
    pub upstream: &'q str,
    /// What it is.
    pub target: Target<'q>,
    /// When; rules that are tried out have an end.
    pub now: UnixSeconds,
    /// The call, where a tool is called and not only looked at.
    pub call: Option<Call<'q>>,
    /// The approved tools of the upstream, where they are pinned.
    pub pins: Option<&'q Pins>,
}

/// The answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// A pattern allows it and none denies it.
    Allowed,
    /// It may be called, but not with these arguments.
    Arguments,
    /// A role's `deny` covers it.
    DeniedByRule,
    /// The principal has neither roles nor direct grants.
    NoRole,
    /// No pattern covers it.
    NoMatch,
    /// It is a tool that nobody has approved.
    NotLocked,
    /// It is a tool that is no longer what was approved.
    ToolChanged,
}

impl Permission {
    /// The word for it in metrics and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Arguments => "argument",
            Self::DeniedByRule => "deny_rule",
            Self::NoMatch => "no_match",
            Self::NoRole => "no_role",
            Self::NotLocked => "not_locked",
            Self::ToolChanged => "tool_changed",
        }
    }
}

/// The answer, with its reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judged {
    /// The answer.
    pub permission: Permission,
    /// Whether it counts. Where not, the request passes, and the record says what was judged.
    pub is_enforced: bool,
    /// What decided; `None` where nothing did.
    pub rule: Option<Rule>,
    /// What did not hold, where it is for the arguments.
    pub failure: Option<Failure>,
}

/// A condition that did not hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The place in the arguments.
    pub pointer: String,
    /// What the configuration has to say to the caller.
    pub message: Option<String>,
}

impl Judged {
    /// Whether the request may go on.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.permission == Permission::Allowed || !self.is_enforced
    }
}

#[cfg(test)]
mod conditions_tests;
#[cfg(test)]
mod tests;
