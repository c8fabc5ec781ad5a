//! Arguments as records hold them: on one line, bounded, without what looks like a secret.

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

/// How many names of arguments a record holds at most.
const MAX_KEYS: usize = 32;

/// How many characters of a name.
const MAX_KEY: usize = 64;

/// How many bytes of arguments.
const MAX_VALUES: usize = 8 << 10;

/// The names of the arguments, as JSON pointers.
#[must_use]
pub fn keys(arguments: &str) -> Vec<String> {
    let mut scanner = Scanner::again(arguments);
    let mut keys = Vec::new();
    while let Ok(Some(event)) = scanner.next_event() {
        if let (1, Some(key)) = (event.depth, event.key) {
            let shown: String = key.chars().take(MAX_KEY).collect();
            keys.push(format!("/{}", shown.replace('~', "~0").replace('/', "~1")));
            if keys.len() == MAX_KEYS {
                break;
            }
        }
    }
    keys
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
        assert_eq!(keys(r#"{"a/b":{"c":1},"m~n":[{"d":2}],"":3}"#), ["/a~1b", "/m~0n", "/"]);
        let many: Vec<String> = (0..99).map(|n| format!("\"k{n}\":0")).collect();
        assert_eq!(keys(&format!("{{{}}}", many.join(","))).len(), MAX_KEYS);
        assert_eq!(keys(&format!("{{\"{}\":1}}", "x".repeat(999)))[0].len(), MAX_KEY + 1);
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
