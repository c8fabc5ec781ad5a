//! Faults that leave no doubt where a value ends: a part of a text that has one can be left out.
//!
//! A raw control character, an escape that is none or half of one, a name that occurs twice, too
//! many levels, a word that is no value: readers differ in what they make of these, and all of
//! them agree on the quotes and brackets around. Where they would not (a string without its end,
//! brackets that do not match, a quote within four digits of an escape), there is no tolerance.

use std::fmt;

use super::string::escape_len;
use super::{Expect, JsonError, Scanner, Token};

/// The first fault of a part that is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Odd {
    /// Byte offset of the fault in the text.
    pub at: usize,
    /// Its name, for operators.
    pub what: &'static str,
}

/// A raw control character in a string.
pub const CONTROL: &str = "a raw control character in a string";

impl JsonError {
    /// The words for it, for operators.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Depth => "nested too deeply",
            Self::DuplicateKey => "a member name occurs twice in one object",
            Self::LoneSurrogate => "an unpaired surrogate in a string",
            Self::Syntax => "no valid JSON",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Scanner<'a> {
    /// From now on faults that leave no doubt where a value ends are noted where at least so many
    /// objects and arrays are open; `usize::MAX` is nowhere.
    pub fn tolerate_within(&mut self, levels: usize) {
        self.tolerant_within = levels;
    }

    /// The first fault that was noted since this was last asked.
    pub fn take_odd(&mut self) -> Option<Odd> {
        self.odd.take()
    }

    pub(super) fn is_tolerant(&self) -> bool {
        self.frames.len() >= self.tolerant_within
    }

    pub(super) fn note(&mut self, error: JsonError) -> Result<(), JsonError> {
        self.note_as(error, error.name())
    }

    fn note_as(&mut self, error: JsonError, what: &'static str) -> Result<(), JsonError> {
        if !self.is_tolerant() {
            return Err(error);
        }
        let at = self.at;
        self.odd.get_or_insert(Odd { at, what });
        Ok(())
    }

    /// Passes a raw control character in a string.
    pub(super) fn odd_control(&mut self) -> Result<(), JsonError> {
        // The end of the text is no character.
        self.peek().ok_or(JsonError::Syntax)?;
        self.note_as(JsonError::Syntax, CONTROL)?;
        self.at += 1;
        Ok(())
    }

    /// Passes an escape that is none.
    pub(super) fn odd_escape(&mut self, error: JsonError) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let len = match rest {
            [_, b'u', digits @ ..] => {
                let digits = digits.get(..4).ok_or(JsonError::Syntax)?;
                // Some readers take four characters, whatever they are.
                if digits.iter().any(|digit| matches!(digit, b'"' | b'\\')) {
                    return Err(JsonError::Syntax);
                }
                if digits.iter().all(u8::is_ascii_hexdigit) { 6 } else { 2 }
            }
            [_, control, ..] if *control < 0x20 => 1,
            [_, _, ..] => 2,
            _ => return Err(JsonError::Syntax),
        };
        let what =
            if len == 6 { JsonError::LoneSurrogate.name() } else { "an escape that is none" };
        self.note_as(error, what)?;
        self.at += len;
        Ok(())
    }

    /// True where the text goes on like a word or a number.
    pub(super) fn is_in_word(&self) -> bool {
        self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    }

    /// Passes a word or number that JSON does not know (`NaN`, `None`, `01`).
    pub(super) fn odd_word(&mut self, start: usize) -> Result<Token<'a>, JsonError> {
        self.at = start;
        if !self.is_in_word() {
            return Err(JsonError::Syntax);
        }
        self.note_as(JsonError::Syntax, "a value that is none")?;
        while self.is_in_word() {
            self.at += 1;
        }
        Ok(Token::Null)
    }

    /// Passes the comma in front of a closing bracket, in an item and never between items.
    pub(super) fn odd_comma(&mut self) -> Result<bool, JsonError> {
        if !self.at_close() || self.frames.len() <= self.tolerant_within {
            return Ok(false);
        }
        self.note_as(JsonError::Syntax, "a comma before a closing bracket")?;
        Ok(true)
    }

    /// Passes a whole object or array that is nested too deeply: by its brackets and strings alone,
    /// and at one byte for each level.
    pub(super) fn odd_depth(&mut self) -> Result<Token<'a>, JsonError> {
        self.note(JsonError::Depth)?;
        let mut open = Vec::new();
        loop {
            match self.peek().ok_or(JsonError::Syntax)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                close @ (b'}' | b']') => {
                    if open.pop() != Some(close) {
                        return Err(JsonError::Syntax);
                    }
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
                _ if self.is_in_word() => {}
                _ => return Err(JsonError::Syntax),
            }
            self.at += 1;
            if open.is_empty() {
                self.expect = Expect::CommaOrClose;
                return Ok(Token::Null);
            }
        }
    }

    /// The length of the escape that comes, or its fault.
    pub(super) fn escape(&self) -> Result<usize, JsonError> {
        escape_len(self.text.as_bytes().get(self.at..).unwrap_or_default())
    }
}

/// Bytes as a text of the same length in which each byte that is not UTF-8 is a control character:
/// in a string, a fault like any other. `None` where such a byte stands in front of a backslash:
/// in Shift-JIS, Big5 and GBK that is the second half of a character and escapes nothing, and the
/// string ends elsewhere.
#[must_use]
pub fn patched(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    let mut is_behind_odd = false;
    for chunk in bytes.utf8_chunks() {
        if is_behind_odd && chunk.valid().starts_with('\\') {
            return None;
        }
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{1a}'));
        is_behind_odd = !chunk.invalid().is_empty();
    }
    Some(text)
}
