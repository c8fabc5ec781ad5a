//! Roles, grants and patterns: which tools of which upstream a principal may use.
//!
//! Nothing is allowed unless a pattern allows it, and a deny beats every allow. Patterns live in
//! the configuration only; what a caller sends is never taken for one.

use std::fmt;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

/// Longest tool name that a glob may match (MCP 2026-07-28, "Tool Names").
const MAX_GLOB_NAME: usize = 128;

/// Why a text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BadPattern {
    /// No `/` between upstream and tool.
    NoUpstream,
    /// Nothing before or behind the first `/`.
    Empty,
    /// The glob does not compile; holds the reason.
    Glob(String),
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpstream => f.write_str("names no upstream"),
            Self::Empty => f.write_str("has nothing before or behind the \"/\""),
            Self::Glob(reason) => write!(f, "is not a glob: {reason}"),
        }
    }
}

/// One half of a pattern.
#[derive(Debug)]
enum NamePattern {
    Literal(String),
    Glob(GlobMatcher),
}

impl NamePattern {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        if !text.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
            return Ok(Self::Literal(text.to_owned()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|g| Self::Glob(g.compile_matcher()))
            .map_err(|e| BadPattern::Glob(e.kind().to_string()))
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Glob(glob) => is_plain_tool_name(name) && glob.is_match(name),
        }
    }
}

/// Names beyond this set are for a pattern to reach only literally, so that no glob can be made
/// to match what an upstream would trim, cut or normalise into another name.
fn is_plain_tool_name(name: &str) -> bool {
    (1..=MAX_GLOB_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A pattern `upstream/tool`, split at the first `/`. Both halves may be globs (`*`, `?`, `[…]`,
/// `{a,b}`), are compared apart, and with their case.
#[derive(Debug)]
pub struct ToolPattern {
    upstream: NamePattern,
    tool: NamePattern,
    text: String,
}

impl ToolPattern {
    /// Parses `upstream/tool`.
    ///
    /// # Errors
    /// [`BadPattern`] with the reason.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (upstream, tool) = text.split_once('/').ok_or(BadPattern::NoUpstream)?;
        Ok(Self {
            upstream: NamePattern::parse(upstream)?,
            tool: NamePattern::parse(tool)?,
            text: text.to_owned(),
        })
    }

    /// Whether the pattern covers this tool of this upstream.
    #[must_use]
    pub fn matches(&self, upstream: &str, tool: &str) -> bool {
        self.upstream.matches(upstream) && self.tool.matches(tool)
    }

    /// Whether the pattern can cover anything of this upstream.
    #[must_use]
    pub fn covers_upstream(&self, upstream: &str) -> bool {
        self.upstream.matches(upstream)
    }

    /// The tool, where the pattern names exactly one.
    #[must_use]
    pub fn literal_tool(&self) -> Option<&str> {
        match &self.tool {
            NamePattern::Literal(name) => Some(name),
            NamePattern::Glob(_) => None,
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A named set of allowing and denying patterns.
#[derive(Debug, Default)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// What it allows.
    pub allow: Vec<ToolPattern>,
    /// What it denies, whatever else allows it.
    pub deny: Vec<ToolPattern>,
}

/// Everything a principal was granted. The default grants nothing.
#[derive(Debug, Default)]
pub struct Grants {
    /// The principal's roles.
    pub roles: Vec<Arc<Role>>,
    /// Patterns granted to the token itself.
    pub direct: Vec<ToolPattern>,
}

/// The answer to "may this principal use this tool?", with the reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// A pattern allows it and none denies it.
    Allowed,
    /// A role's `deny` covers it.
    DeniedByRule,
    /// The principal has neither roles nor direct grants.
    NoRole,
    /// No pattern covers it.
    NoMatch,
}

impl Grants {
    /// Judges one tool of one upstream.
    #[must_use]
    pub fn judge(&self, upstream: &str, tool: &str) -> Permission {
        let covers = |patterns: &[ToolPattern]| patterns.iter().any(|p| p.matches(upstream, tool));
        if self.roles.iter().any(|role| covers(&role.deny)) {
            Permission::DeniedByRule
        } else if covers(&self.direct) || self.roles.iter().any(|role| covers(&role.allow)) {
            Permission::Allowed
        } else if self.roles.is_empty() && self.direct.is_empty() {
            Permission::NoRole
        } else {
            Permission::NoMatch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<ToolPattern> {
        texts.iter().map(|t| ToolPattern::parse(t).unwrap()).collect()
    }

    fn grants(allow: &[&str], deny: &[&str], direct: &[&str]) -> Grants {
        let role = Role { name: "r".into(), allow: patterns(allow), deny: patterns(deny) };
        Grants { roles: vec![Arc::new(role)], direct: patterns(direct) }
    }

    #[test]
    fn nothing_granted_allows_nothing() {
        assert_eq!(Grants::default().judge("t", "echo"), Permission::NoRole);
        assert_eq!(grants(&[], &[], &[]).judge("t", "echo"), Permission::NoMatch);
    }

    #[test]
    fn deny_beats_every_allow() {
        let both = grants(&["t/*"], &["t/delete_*"], &["t/delete_all"]);
        assert_eq!(both.judge("t", "delete_all"), Permission::DeniedByRule);
        assert_eq!(both.judge("t", "echo"), Permission::Allowed);
    }

    #[test]
    fn patterns_match_each_half_exactly() {
        let cases = [
            ("t/echo", "t", "echo", true),
            ("t/echo", "u", "echo", false),
            ("t/echo", "t", "Echo", false),
            ("t/echo", "t", "echo2", false),
            ("*/echo", "t", "echo", true),
            ("t/get_*", "t", "get_ticket", true),
            ("t/get_*", "t", "forget_x", false),
            ("t/{a,b}", "t", "b", true),
            ("t/*", "t", "a.b-c_9", true),
            ("t/a/b", "t", "a/b", true),
            ("t/*", "t", "a/b", false),
            ("t/*", "t", "", false),
        ];
        for (pattern, upstream, tool, expected) in cases {
            let pattern = ToolPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(upstream, tool), expected, "{pattern:?} {tool}");
        }
    }

    #[test]
    fn a_glob_never_reaches_a_name_that_an_upstream_might_fold() {
        let all = grants(&["t/*"], &[], &[]);
        let long = "a".repeat(129);
        for name in [
            " delete_all",
            "delete_all\n",
            "echo\0delete_all",
            "echo/../x",
            "echo,x",
            "dеlete",
            "ｄelete",
            "e\u{301}",
            "a\u{200d}b",
            "*",
            "a b",
            long.as_str(),
        ] {
            assert_eq!(all.judge("t", name), Permission::NoMatch, "{name:?}");
        }
        let literal = grants(&["t/list tickets"], &[], &[]);
        assert_eq!(literal.judge("t", "list tickets"), Permission::Allowed);
    }

    #[test]
    fn what_the_caller_sends_is_never_a_pattern() {
        let one = grants(&["t/echo"], &[], &[]);
        for name in ["*", "ech?", "e.*", "{echo,x}", "[e]cho"] {
            assert_eq!(one.judge("t", name), Permission::NoMatch, "{name}");
        }
    }

    #[test]
    fn a_bad_pattern_says_why() {
        let reason = |text| ToolPattern::parse(text).unwrap_err();
        assert_eq!(reason("echo"), BadPattern::NoUpstream);
        assert_eq!(reason("t/"), BadPattern::Empty);
        assert_eq!(reason("/echo"), BadPattern::Empty);
        assert!(matches!(reason("t/[a"), BadPattern::Glob(_)));
    }
}
