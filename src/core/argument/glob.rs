//! Globs of texts among the arguments of a call.

use globset::{GlobBuilder, GlobMatcher};

use super::test::BadTest;
use super::text::is_doubtful_path;
use crate::core::resource::{Resource, UriPattern};

/// A pattern of a whole text.
#[derive(Clone, Debug)]
pub enum GlobTest {
    /// Of a path, or of any other text.
    Path(GlobMatcher),
    /// Of a URL, which is compared part by part.
    Url(UriPattern),
}

impl GlobTest {
    pub(super) fn new(text: &str) -> Result<Self, BadTest> {
        if text.contains("://") {
            let pattern = UriPattern::parse(text).map_err(|why| BadTest(why.to_string()))?;
            return Ok(Self::Url(pattern));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| Self::Path(glob.compile_matcher()))
            .map_err(|error| BadTest(format!("is not a glob: {}", error.kind())))
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
            Self::Path(glob) => glob.glob().glob(),
            Self::Url(pattern) => pattern.as_str(),
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Path(glob) => !is_doubtful_path(text, glob.glob().glob()) && glob.is_match(text),
            Self::Url(pattern) => pattern.matches(&Resource::new(text)),
        }
    }
}
