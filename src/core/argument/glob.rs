//! Globs of texts among the arguments of a call.

use super::test::BadTest;
use super::text::{doubts_all_that, is_doubtful_path};
use crate::core::glob::Glob;
use crate::core::inclusion::Texts;
use crate::core::resource::{Resource, UriPattern};

/// A pattern of a whole text.
#[derive(Clone, Debug)]
pub enum GlobTest {
    /// Of a path, or of any other text.
    Path(Glob),
    /// Of a URL, which is compared part by part.
    Url(UriPattern),
}

impl GlobTest {
    pub(super) fn new(text: &str) -> Result<Self, BadTest> {
        if text.contains("://") {
            let pattern = UriPattern::parse(text).map_err(|why| BadTest(why.to_string()))?;
            return Ok(Self::Url(pattern));
        }
        Glob::of_paths(text).map(Self::Path).map_err(|why| BadTest(why.to_string()))
    }

    /// True for a pattern of URLs.
    #[must_use]
    pub fn is_of_urls(&self) -> bool {
        matches!(self, Self::Url(..))
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Path(glob) => glob.text(),
            Self::Url(pattern) => pattern.as_str(),
        }
    }

    /// Whether it certainly matches only what `other` does.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path(one), Self::Path(other)) => {
                doubts_all_that(other.text(), one.text())
                    && Texts::of_glob(one).are_among(&[Texts::of_glob(other)])
            }
            (Self::Url(one), Self::Url(other)) => one.is_matched_by(&[other]),
            _ => false,
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Path(glob) => !is_doubtful_path(text, glob.text()) && glob.is_match(text),
            Self::Url(pattern) => pattern.matches(&Resource::new(text)),
        }
    }
}
