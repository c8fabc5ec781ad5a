//! Patterns of the configuration: `upstream/name`, and `upstream/uri` for resources.

mod overlap;
mod part;

use std::fmt;

use super::glob::{BadGlob, Glob};
use super::resource::{BadUriPattern, Resource, UriPattern, Vain};
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
    /// It is no glob, or one beyond the bounds; holds the reason.
    Glob(BadGlob),
    /// The text behind the upstream is no pattern of URIs.
    Uri(BadUriPattern),
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpstream => f.write_str("names no upstream"),
            Self::Empty => f.write_str("has nothing before or behind the \"/\""),
            Self::Glob(why) => why.fmt(f),
            Self::Uri(why) => why.fmt(f),
        }
    }
}

/// One half of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Half {
    Literal(String),
    Glob(Glob),
}

impl Half {
    /// For names. A glob matches names without `/` only, so `*` needs no bound.
    fn name(text: &str) -> Result<Self, BadPattern> {
        if text.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
            Glob::of_names(text).map(Self::Glob).map_err(BadPattern::Glob)
        } else {
            Self::literal(text)
        }
    }

    fn literal(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() { Err(BadPattern::Empty) } else { Ok(Self::Literal(text.to_owned())) }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(name), half) | (half, Self::Literal(name)) => half.matches(name),
            (Self::Glob(one), Self::Glob(other)) => overlap::overlap(one.text(), other.text()),
        }
    }

    fn gives(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(name), other) => other.matches(name),
            (one, Self::Literal(name)) => one.allows(name),
            (Self::Glob(one), Self::Glob(other)) => {
                overlap::overlap_within(one.text(), other.text(), is_plain)
            }
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Glob(glob) => glob.is_match(name),
        }
    }

    /// A literal, or a glob where globs may reach the name.
    fn allows(&self, name: &str) -> bool {
        self.matches(name) && (matches!(self, Self::Literal(_)) || is_plain_name(name))
    }
}

/// The part of a pattern behind the upstream.
#[derive(Clone, Debug, PartialEq)]
enum Subject {
    Name(Half),
    Uri(UriPattern),
}

/// Something that patterns are compared with.
pub(super) enum Compared<'c> {
    /// A tool or a prompt.
    Name(&'c str),
    /// A resource, or a template of some.
    Resource(&'c Resource),
}

/// True where some server may take one URI for what both patterns cover, as far as that cannot be
/// ruled out.
fn meet(one: &UriPattern, other: &UriPattern) -> bool {
    let takes = |pattern: &UriPattern, uri| pattern.denies(&Resource::new(uri));
    match (one.literal(), other.literal()) {
        (Some(a), Some(b)) => takes(one, b) || takes(other, a),
        (Some(uri), None) => takes(other, uri),
        (None, Some(uri)) => takes(one, uri),
        (None, None) => {
            let bare = |pattern: &UriPattern| {
                // Some servers drop what stands behind a question mark.
                let text = pattern.as_str().to_lowercase();
                text.split(['?', '#']).next().unwrap_or_default().to_owned()
            };
            let (one, other) = (bare(one), bare(other));
            let is_spelled = |text: &str| text.contains("://") && !text.contains(['%', '\\']);
            if is_spelled(&one) && is_spelled(&other) {
                return overlap::overlap(&one, &other);
            }
            let scheme = |text: &str| match text.split_once(':') {
                Some((scheme, _)) => scheme.to_owned(),
                None => "*".to_owned(),
            };
            overlap::overlap(&scheme(&one), &scheme(&other))
        }
    }
}

/// Names beyond this set are for a pattern to reach only literally, so that no glob can be made
/// to match what an upstream would trim, cut or normalise into another name.
fn is_plain_name(name: &str) -> bool {
    (1..=MAX_GLOB_NAME).contains(&name.len()) && name.chars().all(is_plain)
}

/// True for a character of such names.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

/// A pattern `upstream/name` or `upstream/uri`, split at the first `/`. Both halves may be globs
/// (`*`, `?`, `[…]`, `{a,b}`; in URIs also `**`), are compared apart, and with their case.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    upstream: Half,
    subject: Subject,
    text: String,
    rule: Option<Rule>,
}

impl Pattern {
    /// A pattern of tools or prompts.
    ///
    /// # Errors
    /// [`BadPattern`] with the reason.
    pub fn of_names(text: &str) -> Result<Self, BadPattern> {
        Self::parse(text, |name| Half::name(name).map(Subject::Name))
    }

    /// A pattern of resources.
    ///
    /// # Errors
    /// [`BadPattern`] with the reason.
    pub fn of_uris(text: &str) -> Result<Self, BadPattern> {
        let read = |uri: &str| UriPattern::parse(uri).map_err(BadPattern::Uri);
        Self::parse(text, |uri| read(uri).map(Subject::Uri))
    }

    fn parse(
        text: &str,
        read: impl Fn(&str) -> Result<Subject, BadPattern>,
    ) -> Result<Self, BadPattern> {
        let (upstream, rest) = text.split_once('/').ok_or(BadPattern::NoUpstream)?;
        let (upstream, subject) = (Half::name(upstream)?, read(rest)?);
        Ok(Self { upstream, subject, text: text.to_owned(), rule: None })
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

    /// True where both are about something in common, as far as that cannot be ruled out.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.upstream.meets(&other.upstream)
            && match (&self.subject, &other.subject) {
                (Subject::Name(one), Subject::Name(other)) => one.meets(other),
                (Subject::Uri(one), Subject::Uri(other)) => meet(one, other),
                _ => false,
            }
    }

    /// True where this pattern, as one that allows, gives something that `other` covers, as one
    /// that restricts: globs give plain names only.
    #[must_use]
    pub fn gives(&self, other: &Self) -> bool {
        self.upstream.meets(&other.upstream)
            && match (&self.subject, &other.subject) {
                (Subject::Name(one), Subject::Name(other)) => one.gives(other),
                (Subject::Uri(one), Subject::Uri(other)) => meet(one, other),
                _ => false,
            }
    }

    /// True where the pattern, as one that allows, is about this.
    pub(super) fn allows(&self, upstream: &str, compared: &Compared<'_>) -> bool {
        self.upstream.matches(upstream)
            && match (&self.subject, compared) {
                (Subject::Name(half), Compared::Name(name)) => half.allows(name),
                (Subject::Uri(pattern), Compared::Resource(resource)) => pattern.allows(resource),
                _ => false,
            }
    }

    /// True where the pattern, as one that denies, is about this, or about something that a server
    /// may take this for.
    pub(super) fn denies(&self, upstream: &str, compared: &Compared<'_>) -> bool {
        self.upstream.matches(upstream)
            && match (&self.subject, compared) {
                (Subject::Name(half), Compared::Name(name)) => half.matches(name),
                (Subject::Uri(pattern), Compared::Resource(resource)) => pattern.denies(resource),
                _ => false,
            }
    }

    /// Whether it is about this tool or prompt, in whatever spelling; for patterns that restrict.
    #[must_use]
    pub fn covers(&self, upstream: &str, name: &str) -> bool {
        self.denies(upstream, &Compared::Name(name))
    }

    /// True where it allows this tool or prompt of this upstream: no glob reaches a name that could
    /// be read in another way.
    #[must_use]
    pub fn reaches(&self, upstream: &str, name: &str) -> bool {
        self.allows(upstream, &Compared::Name(name))
    }

    /// Whether the pattern can cover anything of this upstream.
    #[must_use]
    pub fn covers_upstream(&self, upstream: &str) -> bool {
        self.upstream.matches(upstream)
    }

    /// The name, where the pattern names exactly one.
    #[must_use]
    pub fn literal_name(&self) -> Option<&str> {
        match &self.subject {
            Subject::Name(Half::Literal(name)) => Some(name),
            Subject::Name(Half::Glob(_)) => None,
            Subject::Uri(pattern) => pattern.literal(),
        }
    }

    /// The part of a pattern of resources, or an alternative of it, that reaches no URI.
    #[must_use]
    pub fn vain(&self) -> Option<Vain> {
        match &self.subject {
            Subject::Uri(pattern) => pattern.vain(),
            Subject::Name(_) => None,
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
        let why = Pattern::of_uris("t/ticket://{id}").unwrap_err();
        assert_eq!(why, BadPattern::Uri(BadUriPattern::Expression));
        assert!(Pattern::of_uris("t/ticket://{a,b}").is_ok());
    }
}
