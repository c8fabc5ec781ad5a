//! Why bytes are not the one JSON value that they should be, for operators.

use std::fmt;

use super::{JsonError, Scanner};

/// A fault of a text, and where it shows. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unfit {
    what: &'static str,
    /// A byte offset, where that tells more.
    at: Option<usize>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} at byte {at}", self.what),
            None => f.write_str(self.what),
        }
    }
}

impl Unfit {
    pub(super) fn kind(what: &'static str) -> Self {
        Self { what, at: None }
    }

    /// A fault that the scanner found behind `at` bytes.
    pub(super) fn read(error: JsonError, at: usize) -> Self {
        Self { what: error.name(), at: Some(at) }
    }

    pub(super) fn behind(at: usize) -> Self {
        Self { what: "something behind the end of the JSON", at: Some(at) }
    }

    pub(super) fn cut(at: usize) -> Self {
        Self { what: "JSON that ends too early", at: Some(at) }
    }

    /// What a text is that cannot be JSON by its first bytes.
    #[must_use]
    pub fn by_beginning(text: &[u8]) -> Option<Self> {
        beginning(text).map(Self::kind)
    }

    /// The fault of `text`; `None` where it is one JSON value with one reading.
    #[must_use]
    pub fn of(text: &[u8], max_depth: usize) -> Option<Self> {
        if let Some(unfit) = Self::by_beginning(text) {
            return Some(unfit);
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                return Some(Self { what: "not UTF-8", at: Some(error.valid_up_to()) });
            }
        };
        let mut scanner = Scanner::new(text, max_depth);
        loop {
            match scanner.next_event() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(scanner.unfit(error)),
            }
        }
    }
}

/// What a text is that cannot be JSON by its first bytes.
fn beginning(text: &[u8]) -> Option<&'static str> {
    match text.trim_ascii_start() {
        [] => Some("empty"),
        [0x1f, 0x8b, ..] => Some("compressed (gzip)"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("compressed (zstd)"),
        [0xef, 0xbb, 0xbf, ..] => {
            Some("a text with a byte order mark, which JSON must not have (RFC 8259 8.1)")
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("in UTF-16, and JSON must be in UTF-8"),
        [b'<', ..] => Some("like HTML or XML, and no JSON"),
        _ => None,
    }
}
