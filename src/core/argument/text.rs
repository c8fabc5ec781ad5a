//! Texts that some reader takes for something else.

use crate::core::json::{Scanner, Token};
use crate::core::names::{folded_text, is_read_otherwise};
use crate::core::resource::is_dots;

/// Characters that mean something to shells, file systems and readers of URLs, and that a value
/// may hold only where its pattern does.
const SPECIAL: [char; 4] = ['%', '?', '#', '\\'];

/// Characters that mean something at the beginning: a home, a variable, a pipe, an option.
const SPECIAL_FIRST: [char; 4] = ['~', '$', '|', '-'];

/// True for a text that a reader may parse, and get something that is no text: `null`, a list, an
/// object, a text within quotes (tools in Python and Java parse such texts first), or the data of
/// a `data:` URL.
pub(super) fn is_parsed(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
    let closing = match text.bytes().next() {
        Some(b'[') => ']',
        Some(b'{') => '}',
        Some(b'"') => '"',
        _ => {
            let is_data = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
            return text == "null" || is_data;
        }
    };
    (text.len() > 1 && text.ends_with(closing)) || begins_with_json(text)
}

/// True where a reader that stops behind the first value finds one.
fn begins_with_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text, usize::MAX);
    let mut depth = 0_usize;
    // What follows the value makes the scanner fail only when it is asked for more.
    while let Ok(Some(event)) = scanner.next_event() {
        match event.token {
            Token::ArrayStart | Token::ObjectStart => depth += 1,
            Token::End => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return true;
        }
    }
    false
}

/// True for a text that stands for other words: several joined by commas, or the number of one.
pub(super) fn stands_for_words(text: &str) -> bool {
    let folded = folded_text(text);
    let digits = folded.trim_start_matches(['+', '-']);
    folded.contains([',', '|', '\u{60c}', '\u{3001}'])
        || digits.starts_with(|c: char| c.is_numeric())
}

/// True for a text that a file system, a shell or a decoder may take for another path than the one
/// that matches `pattern`.
pub(super) fn is_doubtful_path(text: &str, pattern: &str) -> bool {
    let is_written = |c: char| pattern.contains(c);
    let starts_alike = |len: usize| pattern.get(..len) == text.get(..len);
    let has_drive = matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    text.chars().any(|c| c.is_control() || SPECIAL.contains(&c) && !is_written(c))
        || is_read_otherwise(text)
        || (text.starts_with(SPECIAL_FIRST) && !starts_alike(1))
        || (has_drive && !starts_alike(2))
        || (!matches!(text, "" | "/") && inner.split(['/', '\\']).any(is_dots))
}

/// True where each path that is doubtful beside the pattern `before` is so beside `now`: that is
/// written with nothing special that `before` lacks.
pub(super) fn doubts_all_that(before: &str, now: &str) -> bool {
    let is_drive =
        |text: &str| matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic());
    let starts_alike = |len: usize| now.get(..len) == before.get(..len);
    SPECIAL.iter().all(|c| !now.contains(*c) || before.contains(*c))
        && (!now.starts_with(SPECIAL_FIRST) || starts_alike(1))
        && (!is_drive(now) || starts_alike(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_reader_parses_is_no_text() {
        for text in [
            "null",
            " null\n",
            "\u{feff}null",
            "[\"admin\"]",
            " [\"admin\"] ",
            "{\"a\":1}",
            "\"x\"",
            "[admin]",
            "['admin']",
            "[\"admin\"] rest",
            "[]//",
            "{}{}",
            "data:,x",
            "DATA:text/plain,x",
            "{a: 1}",
        ] {
            assert!(is_parsed(text), "{text:?}");
        }
        for text in [
            "",
            "nullable",
            "Null",
            "[Bug] printer",
            "{name} was here",
            "\"quoted",
            "say \"x\"",
            "1",
            "true",
            "database",
            "a [b]",
            "[",
        ] {
            assert!(!is_parsed(text), "{text:?}");
        }
    }

    #[test]
    fn a_path_that_some_reader_walks_otherwise_is_doubtful() {
        for (text, pattern) in [
            ("/pub/%2e%2e/etc", "/pub/**"),
            ("/pub/\u{ff0e}\u{ff0e}/etc", "/pub/**"),
            ("/pub/.\t./etc", "/pub/**"),
            ("/pub/.. /etc", "/pub/**"),
            ("/pub/ ../etc", "/pub/**"),
            ("/pub/..;/etc", "/pub/**"),
            ("/pub/./x", "/pub/**"),
            ("/pub//etc", "/pub/**"),
            ("/pub/...", "/pub/**"),
            ("/pub/..", "/pub/**"),
            ("..", "*"),
            (".", "*"),
            ("//", "**"),
            ("secret.txt\0.md", "*.md"),
            ("\\etc\\secret.md", "*.md"),
            ("C:secret.md", "*.md"),
            ("~/x.md", "**/*.md"),
            ("$HOME.md", "*.md"),
            ("|id.md", "*.md"),
            ("-rf.md", "*.md"),
            ("a?.md", "*.md"),
            ("a#.md", "*.md"),
            ("a\u{2215}b.md", "*.md"),
            ("a\u{ad}.md", "*.md"),
            ("a\u{202e}.md", "*.md"),
            ("a\n.md", "*.md"),
        ] {
            assert!(is_doubtful_path(text, pattern), "{text:?} {pattern}");
        }
        for (text, pattern) in [
            ("/pub/a b/c.md", "/pub/**"),
            ("/", "/**"),
            ("", "*"),
            ("é.md", "*.md"),
            ("..hidden/a..b", "**"),
            ("100%", "*%"),
            ("-x", "-*"),
            ("C:/x", "C:/*"),
            ("a+b@acme.com", "*@acme.com"),
            ("pub/", "pub/*"),
        ] {
            assert!(!is_doubtful_path(text, pattern), "{text:?} {pattern}");
        }
    }
}
