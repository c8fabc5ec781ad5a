//! TOML that is to be pasted into a configuration: it stays on its line, shows all that is in it,
//! and is read as exactly what was written.

use crate::core::harmless::visible;

/// A string in quotes.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // The signs of people for what cannot be seen are no TOML.
            c if visible(c.encode_utf8(&mut [0; 4])) != c.to_string() => {
                out += &match code {
                    0..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of strings, on one line.
pub(super) fn strings<S: AsRef<str>>(all: &[S]) -> String {
    let all: Vec<String> = all.iter().map(|text| string(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

/// One part of a key: bare where it can be.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 14] = [
        "plain",
        "",
        "a.b",
        "x\", \"t/delete_all",
        "back\\slash",
        "two\nlines",
        "\n",
        "\"\"\"",
        "'''",
        "\u{1b}[2J",
        "zero\u{200b}width\u{feff}",
        "\u{202e}right to left",
        "\u{0}\u{7f}\u{85}\r\t",
        "größe \u{1f980}\u{e0041}",
    ];

    #[test]
    fn what_is_pasted_is_read_as_it_was_and_hides_nothing() {
        let text = format!("key = {}\n", strings(&NAMES));
        assert_eq!(visible(text.trim_end()), text.trim_end(), "all of it can be seen");
        let document: toml_edit::DocumentMut = text.parse().unwrap();
        let read: Vec<_> =
            document["key"].as_array().unwrap().iter().map(|value| value.as_str()).collect();
        assert_eq!(read, NAMES.map(Some));
        for name in NAMES {
            let text = format!("[tokens.{}]\nuser = {}\n", key(name), string(name));
            let document: toml_edit::DocumentMut = text.parse().unwrap();
            assert_eq!(document["tokens"][name]["user"].as_str(), Some(name), "{text}");
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }
}
