//! Globs of texts among the arguments of a call.

use super::test::BadTest;
use super::text::{doubts_all_that, is_doubtful_path, is_parsed};
use crate::core::glob::Glob;
use crate::core::inclusion::Texts;
use crate::core::resource::{Resource, UriPattern, Vain, examples, vain};

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

    /// An alternative that no text fulfils, since it matches only what some reader takes for
    /// another path or URL.
    #[must_use]
    pub fn vain(&self) -> Option<Vain> {
        let matches = |pattern: &UriPattern, url: &str| pattern.matches(&Resource::new(url));
        match self {
            Self::Url(pattern) => vain(pattern.as_str(), matches),
            Self::Path(glob) => {
                let is_vain = |examples: &[String]| examples.iter().all(|text| !self.matches(text));
                let mut all = examples(glob.text()).into_iter();
                let (written, _) = all.find(|(_, examples)| is_vain(examples))?;
                Some(Vain { written, meant: None })
            }
        }
    }

    /// An alternative that matches only what some reader takes for something that is no text.
    #[must_use]
    pub fn parsed(&self) -> Option<String> {
        let mut all = examples(self.text()).into_iter();
        let is_parsed = |examples: &[String]| examples.iter().all(|text| is_parsed(text));
        all.find(|(_, examples)| is_parsed(examples)).map(|(written, _)| written)
    }

    /// True where a glob of texts has an alternative without any characters, which no text is
    /// compared with.
    #[must_use]
    pub fn has_empty(&self) -> bool {
        let text = self.text();
        !self.is_of_urls() && ["{,", ",,", ",}"].iter().any(|empty| text.contains(empty))
    }

    /// The characters of the shortest text that it matches, counted as in a `max_length`, as far as
    /// that is known.
    #[must_use]
    pub fn least(&self) -> Option<usize> {
        let all = examples(self.text()).into_iter();
        let length = |text: &String| text.encode_utf16().count();
        all.flat_map(|(_, examples)| examples.map(|text| length(&text))).min()
    }

    /// True where every name without doubt matches.
    pub(super) fn takes_all(&self, names: &[&str]) -> bool {
        match self {
            Self::Path(glob) => names.iter().all(|name| glob.is_match(name)),
            Self::Url(_) => false,
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Path(glob) => !is_doubtful_path(text, glob.text()) && glob.is_match(text),
            Self::Url(pattern) => pattern.matches(&Resource::new(text)),
        }
    }
}
