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

/// A text from outside as something that a terminal only shows, on one line, and that nobody
/// takes for something else: for every text that is printed for people. A row of blanks is told
/// and not shown, `\u{20}{256}`: what stands behind it stays in sight. What is for machines goes
/// through [`harmless`].
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blanks = 0;
    for c in text.chars() {
        if c == ' ' {
            blanks += 1;
            continue;
        }
        put_blanks(&mut out, blanks);
        blanks = 0;
        put(&mut out, c);
    }
    put_blanks(&mut out, blanks);
    out
}

/// A text of many lines, which are meant; nothing else in it moves a cursor or hides. The last
/// guard in front of a terminal: what is from outside went through [`visible`] before.
#[must_use]
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | ' ' => out.push(c),
            c => put(&mut out, c),
        }
    }
    out
}

/// Like [`lines`], where colours are meant, too (ECMA-48 8.3.117, SGR).
#[must_use]
pub fn coloured(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split("\u{1b}[").enumerate() {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        let is_colour = end.is_some_and(|end| part.get(end..).is_some_and(|r| r.starts_with('m')));
        match i {
            0 => {}
            _ if is_colour => out.push_str("\u{1b}["),
            _ => out.push_str(&visible("\u{1b}[")),
        }
        out += &lines(part);
    }
    out
}

fn put(out: &mut String, c: char) {
    match c.is_control() || misleads(c) || c.is_whitespace() {
        true => out.extend(c.escape_default()),
        false => out.push(c),
    }
}

fn put_blanks(out: &mut String, count: usize) {
    match count {
        0 => {}
        1 => out.push(' '),
        // A string takes everything.
        many => drop(write!(out, "\\u{{20}}{{{many}}}")),
    }
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

    /// What nobody must find raw in what is printed.
    const HOSTILE: [char; 14] = [
        '\u{1b}',
        '\r',
        '\u{7}',
        '\u{8}',
        '\0',
        '\t',
        '\u{202e}',
        '\u{2066}',
        '\u{200b}',
        '\u{e0041}',
        '\u{9b}',
        '\u{2028}',
        '\u{3000}',
        '\u{a0}',
    ];

    #[test]
    fn a_text_from_outside_is_one_line_that_shows_all_that_it_is() {
        let text: String = HOSTILE.iter().collect();
        for shown in [visible(&text), lines(&text), coloured(&text)] {
            assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{shown}");
        }
        assert_eq!(visible("a\nb"), "a\\nb");
        assert_eq!(lines("a\nb  c"), "a\nb  c");
        assert_eq!(visible("x y"), "x y");
        assert_eq!(visible(&format!("x{}y", " ".repeat(256))), "x\\u{20}{256}y");
        assert_eq!(visible("größe — 表"), "größe — 表");
    }

    #[test]
    fn of_sequences_only_colours_are_left() {
        assert_eq!(coloured("\u{1b}[1;31mx\u{1b}[0m\n"), "\u{1b}[1;31mx\u{1b}[0m\n");
        for text in ["\u{1b}[2Jx", "\u{1b}]0;x\u{7}", "\u{1b}[31", "\u{1b}[1;31Hm", "\u{1b}c"] {
            assert!(!coloured(text).contains('\u{1b}'), "{text:?}");
        }
    }

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
