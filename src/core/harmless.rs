//! Text from outside that people can look at.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A JSON text in which everything can be seen and nothing moves a cursor: what a terminal takes
/// for a command, turns the direction of text with, or does not show at all, is escaped. Such
/// characters stand in strings only.
#[must_use]
pub fn harmless(json: &str) -> Cow<'_, str> {
    // Most texts are plain ASCII.
    if (json.is_ascii() && !json.contains('\u{7f}')) || !json.contains(misleads) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A string takes everything.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text from outside as something that a terminal only shows, on one line: for everything that
/// is printed for people. What is for machines goes through [`harmless`].
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || misleads(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// Controls, marks of direction, what has no width, and the tags that hide words from people and
/// not from models.
#[must_use]
pub fn misleads(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_spelled_out_and_means_the_same() -> Result<(), serde_json::Error> {
        let hidden = "a\u{e0041}\u{202e}\u{200b}\u{fe0f}é—\u{7f}";
        let json = serde_json::to_string(hidden)?;
        let shown = harmless(&json);
        assert_eq!(shown, r#""a\udb40\udc41\u202e\u200b\ufe0fé—\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&shown)?, hidden);
        Ok(())
    }
}
