//! Patterns of URIs: literal, or globs that are compared part by part.

mod part;

use std::fmt;

use super::parts::{Parts, is_special};
use super::reading::{Reading, spellings};
use super::syntax::{
    MAX_ALTERNATIVES, WILDCARDS, cut, expand, has_wildcards, with_address_escaped,
};
use super::{MAX_URI, Resource, Vain, vain};
use crate::core::glob::{BadGlob, Glob};
use crate::core::names::folded_text;

/// The text is no pattern of URIs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BadUriPattern {
    /// Nothing at all.
    Empty,
    /// An expression of a URI template, like `{id}`.
    Expression,
    /// It is no glob, or one beyond the bounds; holds the reason.
    Glob(BadGlob),
    /// A `{` without its `}`.
    Unclosed,
    /// A glob that does not begin with a scheme.
    NoScheme,
    /// It has more bytes than a URI may have.
    TooLong,
    /// The alternatives stand for too many patterns.
    TooMany,
}

impl fmt::Display for BadUriPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("has nothing behind the \"/\""),
            Self::Expression => f.write_str("holds an expression of a template; write * for it"),
            Self::Glob(why) => why.fmt(f),
            Self::NoScheme => {
                f.write_str("does not begin with a scheme like docs:// (** alone is every URI)")
            }
            Self::TooLong => write!(f, "is longer than {MAX_URI} bytes"),
            Self::Unclosed => f.write_str("is not a glob: a `{` has no `}`"),
            Self::TooMany => write!(f, "stands for more than {MAX_ALTERNATIVES} patterns"),
        }
    }
}

/// A pattern of URIs. `*` stays within a segment of a path and within every other part, `**`
/// crosses the segments of a path. It reaches a query only where it has a `?`, and a fragment only
/// where it has a `#`.
#[derive(Clone, Debug)]
pub struct UriPattern {
    text: String,
    is_literal: bool,
    allows: Vec<Allow>,
    denies: Vec<Deny>,
}

/// One alternative of a pattern, as it is written.
#[derive(Clone, Debug)]
struct Allow {
    scheme: Glob,
    authority: Authority,
    path: Glob,
    query: Option<Glob>,
    fragment: Option<Glob>,
}

#[derive(Clone, Debug)]
enum Authority {
    /// Any, or none.
    Any,
    /// None; only a path.
    None,
    /// Nothing between `//` and the path.
    Empty,
    /// `host` or `host:port`.
    Some(Glob),
}

/// The same, folded like the readings that it is compared with. Each part in several spellings.
#[derive(Clone, Debug)]
struct Deny {
    scheme: Glob,
    authorities: Option<Vec<Glob>>,
    paths: Vec<Glob>,
    queries: Option<Vec<Glob>>,
    fragments: Option<Vec<Glob>>,
}

/// Patterns are the same where their texts are.
impl PartialEq for UriPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl UriPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadUriPattern`] with the reason.
    pub fn parse(text: &str) -> Result<Self, BadUriPattern> {
        if text.is_empty() {
            return Err(BadUriPattern::Empty);
        }
        if text.len() > MAX_URI {
            return Err(BadUriPattern::TooLong);
        }
        let mut alternates = text.split('{').skip(1);
        if !alternates.all(|rest| rest.split('}').next().is_some_and(|a| a.contains(','))) {
            return Err(BadUriPattern::Expression);
        }
        let spelled = with_address_escaped(text);
        let is_literal = !has_wildcards(&spelled);
        let mut alternatives = Vec::new();
        expand(&spelled, &mut alternatives)?;
        let parts = alternatives.iter().map(|text| Written::of(text));
        let parts = match is_literal {
            // A literal is itself, and denies nothing else where it is no URI.
            true => parts.filter_map(Result::ok).collect(),
            false => parts.collect::<Result<Vec<_>, _>>()?,
        };
        let allows = parts.iter().map(Written::allow).collect::<Result<_, _>>()?;
        let denies = parts.iter().map(Written::deny).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), is_literal, allows, denies })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URI, where the pattern has no wildcards.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.is_literal.then_some(self.text.as_str())
    }

    /// The pattern, or an alternative of it, where it has wildcards and no URI is reached by them:
    /// only URIs in normal form are.
    #[must_use]
    pub fn vain(&self) -> Option<Vain> {
        match self.is_literal {
            true => None,
            false => vain(&self.text, |pattern, uri| pattern.matches(&Resource::new(uri))),
        }
    }

    /// True where the pattern allows the resource.
    pub(in crate::core) fn allows(&self, resource: &Resource) -> bool {
        if self.is_literal { self.text == resource.text() } else { self.matches(resource) }
    }

    /// True where the parts match, also of a pattern without wildcards.
    pub(in crate::core) fn matches(&self, resource: &Resource) -> bool {
        resource.plain().is_some_and(|parts| self.allows.iter().any(|allow| allow.matches(&parts)))
    }

    /// True where some server may take the resource for one that the pattern covers; for one that
    /// is too long to be read in all ways, any may.
    pub(in crate::core) fn denies(&self, resource: &Resource) -> bool {
        resource.is_long()
            || self.text == resource.text()
            || resource
                .readings()
                .iter()
                .any(|reading| self.denies.iter().any(|deny| deny.covers(reading)))
    }
}

impl Allow {
    fn matches(&self, parts: &Parts<'_>) -> bool {
        let authority = match (&self.authority, parts.authority) {
            (Authority::Any, _) | (Authority::None, None) | (Authority::Empty, Some("")) => true,
            (Authority::Some(glob), Some(text)) => !text.is_empty() && glob.is_match(text),
            _ => false,
        };
        let same = |glob: &Option<Glob>, text: Option<&str>| match (glob, text) {
            (None, None) => true,
            (Some(glob), Some(text)) => glob.is_match(text),
            _ => false,
        };
        authority
            && self.scheme.is_match(parts.scheme)
            && self.path.is_match(parts.path)
            && same(&self.query, parts.query)
            && same(&self.fragment, parts.fragment)
    }
}

impl Deny {
    fn covers(&self, reading: &Reading) -> bool {
        let any = |globs: &[Glob], texts: &[String]| {
            globs.iter().any(|glob| texts.iter().any(|text| glob.is_match(text)))
        };
        let some = |globs: &Option<Vec<Glob>>, texts: &[String]| {
            globs.as_ref().is_none_or(|globs| any(globs, texts))
        };
        self.scheme.is_match(&reading.scheme)
            && some(&self.authorities, &reading.authorities)
            && any(&self.paths, &reading.paths)
            && some(&self.queries, &reading.queries)
            && some(&self.fragments, &reading.fragments)
    }
}

/// The parts of one alternative as they are written.
struct Written {
    scheme: String,
    /// `None` for any, or none.
    authority: Option<WrittenAuthority>,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

enum WrittenAuthority {
    None,
    Some(String),
}

impl Written {
    fn of(text: &str) -> Result<Self, BadUriPattern> {
        let (rest, fragment) = cut(text, '#');
        let (rest, query) = cut(rest, '?');
        let (query, fragment) = (query.map(str::to_owned), fragment.map(str::to_owned));
        if rest == "**" {
            let (scheme, path) = ("*".to_owned(), "**".to_owned());
            return Ok(Self { scheme, authority: None, path, query, fragment });
        }
        let (scheme, rest) = match cut(rest, ':') {
            (scheme, Some(rest)) if !scheme.is_empty() && cut(scheme, '/').1.is_none() => {
                (scheme, rest)
            }
            // A URI without authority and without slashes, like urn:isbn:1.
            _ if rest == "*" => ("*", "*"),
            _ => return Err(BadUriPattern::NoScheme),
        };
        let Some(behind) = rest.strip_prefix("//") else {
            let (authority, path) = (Some(WrittenAuthority::None), rest.to_owned());
            return Ok(Self { scheme: scheme.to_owned(), authority, path, query, fragment });
        };
        let authority = cut(behind, '/').0;
        let path = behind.get(authority.len()..).unwrap_or_default();
        let (authority, path) = match authority {
            "**" if path.is_empty() => (None, "**".to_owned()),
            "**" => (None, format!("/**{path}")),
            authority => (Some(WrittenAuthority::Some(authority.to_owned())), path.to_owned()),
        };
        Ok(Self { scheme: scheme.to_owned(), authority, path, query, fragment })
    }

    fn allow(&self) -> Result<Allow, BadUriPattern> {
        let is_special = is_special(&self.scheme);
        let authority = match &self.authority {
            None => Authority::Any,
            Some(WrittenAuthority::None) => Authority::None,
            Some(WrittenAuthority::Some(text)) if text.is_empty() => Authority::Empty,
            // Hosts of these schemes have no case, and are plain in lower case only.
            Some(WrittenAuthority::Some(text)) if is_special => {
                Authority::Some(glob(&text.to_ascii_lowercase())?)
            }
            Some(WrittenAuthority::Some(text)) => Authority::Some(glob(text)?),
        };
        let path = if self.path.is_empty() && is_special { "/" } else { &self.path };
        Ok(Allow {
            scheme: glob(&self.scheme)?,
            authority,
            path: glob(path)?,
            query: self.query.as_deref().map(glob).transpose()?,
            fragment: self.fragment.as_deref().map(glob).transpose()?,
        })
    }

    fn deny(&self) -> Result<Deny, BadUriPattern> {
        let optional = |text: &Option<String>| text.as_deref().map(globs).transpose();
        let authorities = match &self.authority {
            None => None,
            Some(WrittenAuthority::None) => Some(globs("")?),
            Some(WrittenAuthority::Some(text)) => Some(globs(text)?),
        };
        Ok(Deny {
            scheme: glob(&folded_text(&self.scheme))?,
            authorities,
            paths: globs(&self.path)?,
            queries: optional(&self.query)?,
            fragments: optional(&self.fragment)?,
        })
    }
}

/// Compiles one part. A question mark is itself: in a URI it is no wildcard.
fn glob(text: &str) -> Result<Glob, BadUriPattern> {
    let mut spelled = String::with_capacity(text.len());
    let mut rest = text;
    while let (before, Some(behind)) = cut(rest, '?') {
        spelled.push_str(before);
        spelled.push_str("[?]");
        rest = behind;
    }
    spelled.push_str(rest);
    Glob::of_paths(&spelled).map_err(BadUriPattern::Glob)
}

/// The spellings of a part of a pattern, but for one whose escapes decode to wildcards.
fn globs(text: &str) -> Result<Vec<Glob>, BadUriPattern> {
    let count = |text: &str| text.chars().filter(|c| WILDCARDS.contains(c)).count();
    let written = count(text);
    spellings(text).iter().filter(|text| count(text) == written).map(|text| glob(text)).collect()
}
