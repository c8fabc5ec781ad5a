//! What came of the question for all tools of an upstream.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::fetch::FetchError;
use crate::core::listing::LeftOut;
use crate::core::pin::Definition;

/// Longest complaint of an upstream in characters.
const MAX_SAID: usize = 200;

/// Most items of a whole list that are told one by one.
const MAX_TOLD: usize = 8;

/// The tools of an upstream.
#[derive(Debug, Default)]
pub struct Toolbox {
    /// Those that can be read, by their names.
    pub tools: BTreeMap<String, Definition>,
    /// Those that cannot and are left out, as callers never see them.
    pub left_out: LeftOutTools,
}

/// The items of a list that cannot be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeftOutTools {
    /// How many.
    pub count: usize,
    /// The first of them, each with its page, its place and what is wrong with it.
    pub first: Vec<String>,
}

/// Why the tools of an upstream are not known.
#[derive(Debug)]
pub struct Untold {
    /// The page of the list at which it failed; the first is 1.
    pub(super) page: usize,
    pub(super) why: FetchError,
}

impl Untold {
    /// True where the upstream has said no to who asks; somebody else may be told more.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.why, FetchError::Refused(_) | FetchError::Status(401 | 403 | 404))
    }
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_before = self.page <= 1
            && matches!(
                self.why,
                FetchError::Name(_) | FetchError::Broken(_) | FetchError::Status(_)
            );
        match is_before {
            true => self.why.fmt(f),
            false => write!(f, "page {}: {}", self.page, self.why),
        }
    }
}

impl LeftOutTools {
    /// Counts what was left out of a page.
    pub(super) fn add(&mut self, page: usize, LeftOut { count, first }: &LeftOut) {
        self.count += count.saturating_sub(first.len());
        for item in first {
            self.note(|| format!("page {page}, {item}"));
        }
    }

    pub(super) fn note(&mut self, told: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < MAX_TOLD {
            self.first.push(told());
        }
    }
}

impl fmt::Display for LeftOutTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (items, more) = match self.count {
            1 => ("item", ""),
            count if count > self.first.len() => ("items", "; …"),
            _ => ("items", ""),
        };
        let told = self.first.join("; ");
        write!(f, "{} {items} of its list cannot be read, and left out: {told}{more}", self.count)
    }
}

/// An answer of which only this is looked at; nothing else of it is kept, however much there is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    pub(super) result: Option<Welcome>,
    pub(super) error: Option<Failure>,
}

/// MCP 2025-11-25, "Initialization".
#[derive(Debug, Deserialize)]
pub(super) struct Welcome {
    #[serde(rename = "protocolVersion")]
    pub(super) spoken: Option<String>,
}

/// A JSON-RPC error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Failure {
    message: Option<String>,
}

impl Failure {
    /// The beginning of what it says.
    pub(super) fn said(&self) -> String {
        let said = self.message.as_deref().unwrap_or("without a reason");
        said.chars().take(MAX_SAID).collect()
    }
}
