//! Strings of a JSON text, and their escapes (RFC 8259 7).

use std::borrow::Cow;

use super::JsonError;

/// A string as it stands in the text, between its quotes; its escapes are known to be valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Str<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Str<'a> {
    /// The characters that the string stands for; borrowed where nothing is escaped.
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at(at);
            out.push_str(plain);
            let (c, len) = decode_escape(escape.as_bytes());
            out.push(c);
            rest = escape.get(len..).unwrap_or_default();
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// The length of the escape that `text` begins with; a surrogate pair is one escape.
pub(super) fn escape_len(text: &[u8]) -> Result<usize, JsonError> {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match hex4(text.get(2..6))? {
            0xDC00..=0xDFFF => Err(JsonError::LoneSurrogate),
            0xD800..=0xDBFF => {
                if text.get(6..8) != Some(b"\\u") {
                    return Err(JsonError::LoneSurrogate);
                }
                match hex4(text.get(8..12))? {
                    0xDC00..=0xDFFF => Ok(12),
                    _ => Err(JsonError::LoneSurrogate),
                }
            }
            _ => Ok(6),
        },
        _ => Err(JsonError::Syntax),
    }
}

fn hex4(digits: Option<&[u8]>) -> Result<u32, JsonError> {
    let digits = digits.ok_or(JsonError::Syntax)?;
    digits.iter().try_fold(0, |value, &d| {
        let digit = char::from(d).to_digit(16).ok_or(JsonError::Syntax)?;
        Ok(value * 16 + digit)
    })
}

/// The character and length of an escape that [`escape_len`] accepted.
fn decode_escape(text: &[u8]) -> (char, usize) {
    let simple = |c| (c, 2);
    match text.get(1) {
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => {
            let high = hex4(text.get(2..6)).unwrap_or_default();
            if let 0xD800..=0xDBFF = high {
                let low = hex4(text.get(8..12)).unwrap_or_default();
                let code = 0x10000 + ((high - 0xD800) << 10) + (low & 0x3FF);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            } else {
                (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
            }
        }
        Some(&other) => simple(char::from(other)),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}
