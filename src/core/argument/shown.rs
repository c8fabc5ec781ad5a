//! Arguments as records hold them: on one line, bounded, without what looks like a secret.

use std::borrow::Cow;

use crate::core::json::{Scanner, Token};

/// How much of the arguments of calls is recorded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Wanted {
    /// Nothing.
    None,
    /// Their names.
    #[default]
    Keys,
    /// All, but for what stands under names that look like secrets.
    Full {
        /// Parts of such names, in lower case.
        redact: Vec<String>,
    },
}

/// How many characters of a name.
const MAX_KEY: usize = 64;

/// How many bytes of arguments.
const MAX_VALUES: usize = 8 << 10;

/// The names of arguments as JSON pointers.
#[must_use]
pub fn keys(names: &[Cow<'_, str>]) -> Vec<String> {
    names.iter().map(|name| pointer(name)).collect()
}

fn pointer(key: &str) -> String {
    let mut pointer = String::with_capacity(key.len().min(MAX_KEY) + 1);
    pointer.push('/');
    for c in key.chars().take(MAX_KEY) {
        match c {
            '~' => pointer += "~0",
            '/' => pointer += "~1",
            c => pointer.push(c),
        }
    }
    pointer
}

/// The arguments on one line. What stands under a name that holds one of `redact`, in lower case,
/// is left out. `None` where they are too long for a record.
#[must_use]
pub fn values(arguments: &str, redact: &[String]) -> Option<String> {
    if arguments.len() > MAX_VALUES {
        return None;
    }
    let mut out = String::with_capacity(arguments.len());
    let mut closers = Vec::new();
    let mut hidden_below: Option<usize> = None;
    let mut scanner = Scanner::again(arguments);
    while let Some(event) = scanner.next_event().ok()? {
        if event.token == Token::End {
            if hidden_below.is_none_or(|depth| event.depth < depth) {
                out.extend(closers.pop());
            } else if hidden_below == Some(event.depth) {
                hidden_below = None;
            }
            continue;
        }
        if hidden_below.is_some_and(|depth| event.depth > depth) {
            continue;
        }
        hidden_below = None;
        if !out.is_empty() && !out.ends_with(['{', '[']) {
            out.push(',');
        }
        let opens = matches!(event.token, Token::ObjectStart | Token::ArrayStart);
        let mut is_secret = false;
        if let Some(key) = &event.key {
            let folded = key.to_lowercase();
            is_secret = redact.iter().any(|word| folded.contains(word.as_str()));
            out += &serde_json::Value::from(key.as_ref()).to_string();
            out.push(':');
        }
        match event.token {
            _ if is_secret => {
                out += "\"[redacted]\"";
                hidden_below = opens.then_some(event.depth);
            }
            Token::ObjectStart => {
                out.push('{');
                closers.push('}');
            }
            Token::ArrayStart => {
                out.push('[');
                closers.push(']');
            }
            _ => out += arguments.get(event.start..event.end)?,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pointers_and_bounded() {
        let keys = |names: &[&str]| {
            keys(&names.iter().map(|name| Cow::Borrowed(*name)).collect::<Vec<_>>())
        };
        assert_eq!(keys(&["a/b", "m~n", ""]), ["/a~1b", "/m~0n", "/"]);
        assert_eq!(keys(&[&"x".repeat(999)])[0].len(), MAX_KEY + 1);
    }

    #[test]
    fn values_are_on_one_line_and_mean_the_same() {
        let redact = ["password".to_owned(), "token".to_owned()];
        for (text, expected) in [
            ("{ }", "{}"),
            ("{\n \"a\" : [ 1 , [ ] , { } , \"x\\n\" ] }", r#"{"a":[1,[],{},"x\n"]}"#),
            (r#"{"PassWord":"s","b":1}"#, r#"{"PassWord":"[redacted]","b":1}"#),
            (
                r#"{"a":{"x_tokens":[{"b":"s"}],"c":2},"d":3}"#,
                r#"{"a":{"x_tokens":"[redacted]","c":2},"d":3}"#,
            ),
            (
                r#"{"a":[{"token":{"token":{}}},{"b":1}]}"#,
                r#"{"a":[{"token":"[redacted]"},{"b":1}]}"#,
            ),
            ("7", "7"),
        ] {
            assert_eq!(values(text, &redact).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(values(&format!("\"{}\"", "x".repeat(MAX_VALUES)), &redact), None);
    }
}
