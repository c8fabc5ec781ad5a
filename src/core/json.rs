//! One strict reading of a JSON text: RFC 8259 within I-JSON (RFC 7493).
//!
//! [`Scanner`] walks the text once, iteratively, and hands out [`Event`]s that borrow from it. It
//! never builds a tree. A text that two readers could understand differently does not get
//! through: member names that occur twice in an object (compared after unescaping, at every
//! level), lone surrogates, anything after the value, nesting beyond the limit. Where a part of a
//! text may be left out, [`Scanner::tolerate_within`] notes what is wrong with it instead.

mod string;
mod tolerance;
mod unfit;

use std::borrow::Cow;
use std::collections::HashSet;

pub use string::Str;
pub use tolerance::{CONTROL, Odd, patched};
pub use unfit::Unfit;

/// Why a text is not one unambiguous JSON value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JsonError {
    /// Nested deeper than the limit.
    Depth,
    /// A member name occurs twice in one object.
    DuplicateKey,
    /// A `\uD800`–`\uDFFF` escape without its other half.
    LoneSurrogate,
    /// Not JSON by the grammar of RFC 8259.
    Syntax,
}

/// What an [`Event`] reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Token<'a> {
    /// An array begins.
    ArrayStart,
    /// `true` or `false`.
    Bool(bool),
    /// The innermost open object or array ends.
    End,
    /// `null`.
    Null,
    /// A number, as it is spelled.
    Number(&'a str),
    /// An object begins.
    ObjectStart,
    /// A string.
    String(Str<'a>),
}

/// One step through the text.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// How many objects and arrays enclose the value; 0 for the outermost value.
    pub depth: usize,
    /// The member name, where the enclosing value is an object; absent for [`Token::End`].
    pub key: Option<Cow<'a, str>>,
    /// What was found.
    pub token: Token<'a>,
    /// Byte offset of the value's first byte (for [`Token::End`]: of the closing bracket).
    pub start: usize,
    /// Byte offset behind what was read.
    pub end: usize,
}

struct Frame<'a> {
    is_object: bool,
    /// Where this object's names begin in [`Scanner::names`].
    names_from: usize,
    /// Takes over from the linear search once the object is big.
    seen: Option<HashSet<Cow<'a, str>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Expect {
    /// Before the outermost value, or behind a comma or colon.
    Value,
    /// Behind an opening bracket: a first item or the closing bracket.
    FirstOrClose,
    /// Behind a value: a comma or the closing bracket.
    CommaOrClose,
    /// Behind the outermost value.
    Nothing,
}

/// Walks one JSON text. See the module's documentation.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    max_depth: usize,
    frames: Vec<Frame<'a>>,
    names: Vec<Cow<'a, str>>,
    /// Whether it is known that no name occurs twice.
    is_unique: bool,
    expect: Expect,
    /// With so many levels open, what is only odd is noted.
    tolerant_within: usize,
    odd: Option<Odd>,
}

/// From this many names on, an object's names are looked up in a (seeded) hash set.
const LINEAR_NAMES: usize = 32;

impl<'a> Scanner<'a> {
    /// A scanner over `text` that refuses more than `max_depth` levels of nesting.
    #[must_use]
    pub fn new(text: &'a str, max_depth: usize) -> Self {
        Self {
            text,
            at: 0,
            max_depth,
            frames: Vec::with_capacity(8),
            names: Vec::with_capacity(32),
            is_unique: false,
            expect: Expect::Value,
            tolerant_within: usize::MAX,
            odd: None,
        }
    }

    /// A scanner over a text, or a value within one, that a scanner has found good before.
    #[must_use]
    pub fn again(text: &'a str) -> Self {
        Self { names: Vec::new(), is_unique: true, ..Self::new(text, usize::MAX) }
    }

    /// The next event, or `None` at the end of a text that was good to its last byte.
    ///
    /// # Errors
    /// The first fault; the scanner must not be used after it.
    pub fn next_event(&mut self) -> Result<Option<Event<'a>>, JsonError> {
        self.skip_space();
        match self.expect {
            Expect::Nothing if self.at == self.text.len() => return Ok(None),
            Expect::Nothing => return Err(JsonError::Syntax),
            Expect::FirstOrClose if self.at_close() => return self.close().map(Some),
            Expect::CommaOrClose if self.at_close() => return self.close().map(Some),
            Expect::CommaOrClose => {
                self.take(b',')?;
                self.skip_space();
                if self.odd_comma()? {
                    return self.close().map(Some);
                }
            }
            Expect::FirstOrClose | Expect::Value => {}
        }
        let key = if self.frames.last().is_some_and(|f| f.is_object) {
            Some(self.member_name()?)
        } else {
            None
        };
        self.value(key).map(Some)
    }

    /// The fault that was just found, with its place.
    #[must_use]
    pub fn unfit(&self, error: JsonError) -> Unfit {
        match error {
            JsonError::Syntax if self.expect == Expect::Nothing => Unfit::behind(self.at),
            JsonError::Syntax if self.at >= self.text.len() => Unfit::cut(self.at),
            error => Unfit::read(error, self.at),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.peek() != Some(wanted) {
            return Err(JsonError::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn at_close(&self) -> bool {
        let close = if self.frames.last().is_some_and(|f| f.is_object) { b'}' } else { b']' };
        self.peek() == Some(close)
    }

    fn close(&mut self) -> Result<Event<'a>, JsonError> {
        let frame = self.frames.pop().ok_or(JsonError::Syntax)?;
        self.names.truncate(frame.names_from);
        let start = self.at;
        self.at += 1;
        self.after_value();
        let depth = self.frames.len();
        Ok(Event { depth, key: None, token: Token::End, start, end: self.at })
    }

    fn after_value(&mut self) {
        self.expect = if self.frames.is_empty() { Expect::Nothing } else { Expect::CommaOrClose };
    }

    fn member_name(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let name = self.string()?.decode();
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        if self.is_unique {
            return Ok(name);
        }
        let Some(frame) = self.frames.last_mut() else {
            return Err(JsonError::Syntax);
        };
        let open = self.names.get(frame.names_from..).unwrap_or_default();
        let fresh = if let Some(seen) = &mut frame.seen {
            seen.insert(name.clone())
        } else if open.len() < LINEAR_NAMES {
            !open.contains(&name)
        } else {
            let seen = frame.seen.insert(open.iter().cloned().collect());
            seen.insert(name.clone())
        };
        let is_linear = frame.seen.is_none();
        if !fresh {
            self.note(JsonError::DuplicateKey)?;
        } else if is_linear {
            self.names.push(name.clone());
        }
        Ok(name)
    }

    fn value(&mut self, key: Option<Cow<'a, str>>) -> Result<Event<'a>, JsonError> {
        let (depth, start) = (self.frames.len(), self.at);
        let token = match self.peek() {
            Some(b'{') => self.open(true)?,
            Some(b'[') => self.open(false)?,
            Some(b'"') => Token::String(self.string()?),
            _ => match self.scalar() {
                Ok(token) if !(self.is_tolerant() && self.is_in_word()) => token,
                Err(error) if !self.is_tolerant() => return Err(error),
                _ => self.odd_word(start)?,
            },
        };
        if !matches!(token, Token::ObjectStart | Token::ArrayStart) {
            self.after_value();
        }
        Ok(Event { depth, key, token, start, end: self.at })
    }

    fn scalar(&mut self) -> Result<Token<'a>, JsonError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number(self.number()?)),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'n') => self.word("null", Token::Null),
            _ => Err(JsonError::Syntax),
        }
    }

    fn open(&mut self, is_object: bool) -> Result<Token<'a>, JsonError> {
        if self.frames.len() >= self.max_depth {
            return self.odd_depth();
        }
        self.at += 1;
        self.frames.push(Frame { is_object, names_from: self.names.len(), seen: None });
        self.expect = Expect::FirstOrClose;
        Ok(if is_object { Token::ObjectStart } else { Token::ArrayStart })
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, JsonError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(JsonError::Syntax);
        }
        self.at += word.len();
        Ok(token)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(start..self.at).ok_or(JsonError::Syntax)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(JsonError::Syntax) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Str<'a>, JsonError> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            self.at += plain.ok_or(JsonError::Syntax)?;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    match self.escape() {
                        Ok(len) => self.at += len,
                        Err(error) => self.odd_escape(error)?,
                    }
                }
                _ => self.odd_control()?,
            }
        }
        let raw = self.text.get(start..self.at).ok_or(JsonError::Syntax)?;
        self.at += 1;
        Ok(Str { raw, escaped })
    }
}

/// The object that a short text is, as a tree.
///
/// # Errors
/// What is wrong with a text that is not one JSON object with one reading.
pub fn object(
    text: &[u8],
    max_depth: usize,
) -> Result<serde_json::Map<String, serde_json::Value>, Unfit> {
    if let Some(unfit) = Unfit::of(text, max_depth) {
        return Err(unfit);
    }
    serde_json::from_slice(text).map_err(|_| match text.trim_ascii_start().first() {
        Some(b'{') => Unfit::kind("JSON with a number that is out of range"),
        Some(b'[') => Unfit::kind("JSON, but an array and no object"),
        _ => Unfit::kind("JSON, but no object"),
    })
}

#[cfg(test)]
mod tests;
