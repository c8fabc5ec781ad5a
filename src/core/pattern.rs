//! Patterns of the configuration: `upstream/name`, and `upstream/uri` for resources.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use super::rule::Rule;

/// Longest name of a tool or prompt that a glob may match (MCP 2026-07-28, "Tool Names").
const MAX_GLOB_NAME: usize = 128;

/// Why a text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BadPattern {
    /// No `/` between upstream and name.
    NoUpstream,
    /// Nothing before or behind the first `/`.
    Empty,
    /// An expression of a URI template, like `{id}`.
    Expression,
    /// The glob does not compile; holds the reason.
    Glob(String),
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpstream => f.write_str("names no upstream"),
            Self::Empty => f.write_str("has nothing before or behind the \"/\""),
            Self::Expression => f.write_str("holds an expression of a template; write * for it"),
            Self::Glob(reason) => write!(f, "is not a glob: {reason}"),
        }
    }
}

/// One half of a pattern.
#[derive(Debug)]
pub(super) enum Half {
    Literal(String),
    Glob(GlobMatcher),
}

/// Patterns are the same where their texts are.
impl PartialEq for Half {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Glob(one), Self::Glob(other)) => one.glob() == other.glob(),
            _ => false,
        }
    }
}

impl Half {
    /// For names. A glob matches names without `/` only, so `*` needs no bound.
    fn name(text: &str) -> Result<Self, BadPattern> {
        if text.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
            Self::glob(text, false)
        } else {
            Self::literal(text)
        }
    }

    /// For URIs: `*` stays within a segment, `**` crosses segments, `?` is the query's.
    fn uri(text: &str) -> Result<Self, BadPattern> {
        if !text.contains(['*', '[', ']', '{', '}', '\\']) {
            return Self::literal(text);
        }
        let mut alternates = text.split('{').skip(1);
        if !alternates.all(|rest| rest.split('}').next().is_some_and(|a| a.contains(','))) {
            return Err(BadPattern::Expression);
        }
        Self::glob(&text.replace('?', "[?]"), true)
    }

    fn literal(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() { Err(BadPattern::Empty) } else { Ok(Self::Literal(text.to_owned())) }
    }

    fn glob(text: &str, has_segments: bool) -> Result<Self, BadPattern> {
        let glob = GlobBuilder::new(text).literal_separator(has_segments).build();
        glob.map(|g| Self::Glob(g.compile_matcher()))
            .map_err(|e| BadPattern::Glob(e.kind().to_string()))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Glob(glob) => glob.is_match(name),
        }
    }

    /// A literal, or a glob where globs may reach the name.
    pub(super) fn reaches(&self, name: &str, is_plain: bool) -> bool {
        (is_plain || matches!(self, Self::Literal(_))) && self.matches(name)
    }
}

/// Names beyond this set are for a pattern to reach only literally, so that no glob can be made
/// to match what an upstream would trim, cut or normalise into another name.
pub(super) fn is_plain_name(name: &str) -> bool {
    (1..=MAX_GLOB_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// A pattern `upstream/name` or `upstream/uri`, split at the first `/`. Both halves may be globs
/// (`*`, `?`, `[…]`, `{a,b}`; in URIs also `**`), are compared apart, and with their case.
#[derive(Debug, PartialEq)]
pub struct Pattern {
    pub(super) upstream: Half,
    pub(super) name: Half,
    text: String,
    rule: Option<Rule>,
}

impl Pattern {
    /// A pattern of tools or prompts.
    ///
    /// # Errors
    /// [`BadPattern`] with the reason.
    pub fn of_names(text: &str) -> Result<Self, BadPattern> {
        Self::parse(text, Half::name)
    }

    /// A pattern of resources.
    ///
    /// # Errors
    /// [`BadPattern`] with the reason.
    pub fn of_uris(text: &str) -> Result<Self, BadPattern> {
        Self::parse(text, Half::uri)
    }

    fn parse(text: &str, name: fn(&str) -> Result<Half, BadPattern>) -> Result<Self, BadPattern> {
        let (upstream, rest) = text.split_once('/').ok_or(BadPattern::NoUpstream)?;
        let (upstream, name) = (Half::name(upstream)?, name(rest)?);
        Ok(Self { upstream, name, text: text.to_owned(), rule: None })
    }

    /// The same pattern, which stands here in the configuration.
    #[must_use]
    pub fn at(self, rule: Rule) -> Self {
        Self { rule: Some(rule), ..self }
    }

    /// Where it stands in the configuration.
    #[must_use]
    pub fn rule(&self) -> Option<&Rule> {
        self.rule.as_ref()
    }

    /// Whether `other` names exactly one thing, and this pattern gives that, too.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let (Half::Literal(upstream), Half::Literal(name)) = (&other.upstream, &other.name) else {
            return false;
        };
        self.upstream.matches(upstream) && self.name.reaches(name, is_plain_name(name))
    }

    /// Whether it is about this tool or prompt, in whatever spelling; for patterns that restrict.
    #[must_use]
    pub fn covers(&self, upstream: &str, name: &str) -> bool {
        self.upstream.matches(upstream) && self.name.matches(name)
    }

    /// Whether the pattern can cover anything of this upstream.
    #[must_use]
    pub fn covers_upstream(&self, upstream: &str) -> bool {
        self.upstream.matches(upstream)
    }

    /// The name, where the pattern names exactly one.
    #[must_use]
    pub fn literal_name(&self) -> Option<&str> {
        match &self.name {
            Half::Literal(name) => Some(name),
            Half::Glob(_) => None,
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_pattern_says_why() {
        let reason = |text| Pattern::of_names(text).unwrap_err();
        assert_eq!(reason("echo"), BadPattern::NoUpstream);
        assert_eq!(reason("t/"), BadPattern::Empty);
        assert_eq!(reason("/echo"), BadPattern::Empty);
        assert!(matches!(reason("t/[a"), BadPattern::Glob(_)));
    }

    #[test]
    fn a_template_in_a_pattern_is_explained() {
        assert_eq!(Pattern::of_uris("t/ticket://{id}").unwrap_err(), BadPattern::Expression);
        assert!(Pattern::of_uris("t/ticket://{a,b}").is_ok());
    }
}
