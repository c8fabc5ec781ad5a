//! Globs within bounds: one that stands for too much is refused where it is read, since the library
//! would end the process over it.

use std::fmt;

use globset::GlobBuilder;
use regex::bytes::{Regex, RegexBuilder};

/// Longest glob in bytes.
const MAX_GLOB: usize = 8 << 10;

/// Most groups `{a,b}` of a glob, beside or within each other.
const MAX_GROUPS: usize = 64;

/// Bound on a compiled glob in bytes.
const MAX_COMPILED: usize = 2 << 20;

/// Why a text is not a glob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadGlob(String);

/// Completes the sentence "the text …".
impl fmt::Display for BadGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern of a whole text: `*`, `?`, `[a-z]`, `{a,b}`; it takes linear time.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    whole: Regex,
}

/// They are the same where their texts are.
impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Glob {
    /// A glob of names: `*` and `?` stand for any characters.
    ///
    /// # Errors
    /// [`BadGlob`] with the reason.
    pub fn of_names(text: &str) -> Result<Self, BadGlob> {
        Self::new(text, false)
    }

    /// A glob of paths: only `**` crosses a `/`.
    ///
    /// # Errors
    /// [`BadGlob`] with the reason.
    pub fn of_paths(text: &str) -> Result<Self, BadGlob> {
        Self::new(text, true)
    }

    fn new(text: &str, is_of_paths: bool) -> Result<Self, BadGlob> {
        if text.len() > MAX_GLOB {
            return Err(BadGlob(format!("is a glob of more than {MAX_GLOB} bytes: write several")));
        }
        if text.matches('{').count() > MAX_GROUPS {
            let why = format!("is a glob with more than {MAX_GROUPS} groups {{…}}: write several");
            return Err(BadGlob(why));
        }
        let glob = GlobBuilder::new(text).literal_separator(is_of_paths).build();
        let glob = glob.map_err(|error| BadGlob(format!("is not a glob: {}", error.kind())))?;
        // As the library itself compiles it, which takes for granted that it can.
        let built = RegexBuilder::new(glob.regex())
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED)
            .build();
        let whole = built.map_err(|error| {
            BadGlob(match error {
                regex::Error::CompiledTooBig(_) => {
                    format!("is a glob of more than {MAX_COMPILED} bytes once compiled")
                }
                _ => "is a glob whose groups {…} or classes […] are too deep".to_owned(),
            })
        })?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As a regular expression of whole texts, of bytes and with `.` for any of them.
    #[must_use]
    pub fn expression(&self) -> &str {
        self.whole.as_str()
    }

    /// True where it matches the whole of `text`.
    #[must_use]
    pub fn is_match(&self, text: impl AsRef<[u8]>) -> bool {
        self.whole.is_match(text.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_glob_that_stands_for_too_much_is_refused_and_ends_nothing() {
        let nested = |open: &str, count: usize| open.repeat(count) + "x" + &"}".repeat(count);
        let many = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| format!("x{n}*")).collect();
            format!("{{{}}}", all.join(","))
        };
        for text in [
            nested("{a,", 125),
            nested("{a,", 65),
            nested("{a,", 100_000),
            nested("{", 200),
            nested("{*,?", 90),
            nested("{[a-z],", 3_000),
            "{a,b}".repeat(65),
            "{".repeat(8_000),
            "{".repeat(1 << 20),
            "[".repeat(1 << 20),
            many(2_000),
            many(100_000),
            "*".repeat(MAX_GLOB + 1),
        ] {
            for refused in [Glob::of_names(&text), Glob::of_paths(&text)] {
                let why = refused.unwrap_err().to_string();
                assert!(why.starts_with("is ") && why.len() < 120, "{why}");
            }
        }
        for text in [nested("{a,", 64), nested("{*,?", 20), many(500), "*a".repeat(2_000)] {
            assert!(Glob::of_names(&text).is_ok() && Glob::of_paths(&text).is_ok(), "{text}");
        }
        // Whatever fits in the length has an answer.
        for piece in ["?", "[!a]", "[é-ü]", "\\*", "**/", "/**", "é", "{a,b}[!x]*", "[a-", "!", "}"]
        {
            let text = piece.repeat(MAX_GLOB / piece.len());
            let _ = (Glob::of_names(&text), Glob::of_paths(&text));
        }
    }

    proptest! {
        /// The long run: PROPTEST_CASES=1000000 cargo test --lib core::glob
        #[test]
        fn it_matches_what_the_library_matches(
            glob in "[ab/{},*?!\\[\\]é-]{0,10}", text in "[ab/é\n-]{0,6}", is_of_paths in any::<bool>(),
        ) {
            let ours = Glob::new(&glob, is_of_paths).ok();
            let theirs = GlobBuilder::new(&glob).literal_separator(is_of_paths).build().ok();
            let theirs = theirs.map(|glob| glob.compile_matcher().is_match(&text));
            prop_assert_eq!(ours.map(|glob| glob.is_match(&text)), theirs);
        }
    }
}
