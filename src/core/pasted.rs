//! TOML that is to be pasted into a configuration: it stays on its line, shows all that is in it,
//! and is read as exactly what was written.

use super::harmless::visible;

/// A string in quotes.
#[must_use]
pub fn string(text: &str) -> String {
    let mut out = String::from('"');
    let mut is_behind_blank = false;
    for c in text.chars() {
        let code = u32::from(c);
        // A row of blanks is told to people in signs that are no TOML.
        let is_hidden = visible(c.encode_utf8(&mut [0; 4])) != c.to_string()
            || (c == ' ' && std::mem::replace(&mut is_behind_blank, true));
        is_behind_blank &= c == ' ';
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            _ if is_hidden => {
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
#[must_use]
pub fn strings<S: AsRef<str>>(all: &[S]) -> String {
    let all: Vec<String> = all.iter().map(|text| string(text.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

/// One part of a key: bare where it can be.
#[must_use]
pub fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A name that is offered to be written: as it is where it is one word that means itself in quotes of
/// any kind, else as a string.
#[must_use]
pub fn offered(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:/*?[]{}@+~".contains(c);
    let is_whole = !name.is_empty() && name.chars().all(is_plain) && visible(name) == name;
    if is_whole { name.to_owned() } else { string(name) }
}

/// At most `most` names of those that are offered.
#[must_use]
pub fn offers<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let first: Vec<String> = names.iter().take(most).map(|name| offered(name.as_ref())).collect();
    first.join(", ") + if names.len() > most { ", …" } else { "" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Text of what ends strings, what hides, and anything else.
    fn odd() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
            2 => any::<char>().prop_map(String::from),
            2 => "[\\x00-\\x7f]{0,4}",
        ];
        prop::collection::vec(piece, 0..4).prop_map(|all| all.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_name_is_it_is_pasted_as_itself_and_nothing_more(names in prop::collection::vec(odd(), 1..4)) {
            let name = &names[0];
            let lines = [
                format!("[t.{}]", key(name)),
                format!("one = {}", string(name)),
                format!("all = {}", strings(&names)),
                format!("some = [{}]", quoted(&offers(&names, 9))),
            ];
            prop_assert!(lines.iter().all(|line| visible(line) == *line), "{:?}", lines);
            let text = lines.join("\n");
            let document: toml_edit::DocumentMut = text.parse().unwrap();
            prop_assert_eq!(document.as_table().len(), 1, "{}", &text);
            let tables = document["t"].as_table().unwrap();
            prop_assert_eq!(tables.len(), 1, "{}", &text);
            let table = tables[name.as_str()].as_table().unwrap();
            prop_assert_eq!(table.len(), 3, "{}", &text);
            prop_assert_eq!(table["one"].as_str(), Some(name.as_str()));
            for list in ["all", "some"] {
                let read = table[list].as_array().unwrap().iter().map(|value| value.as_str());
                let read: Vec<_> = read.map(Option::unwrap).collect();
                prop_assert_eq!(&read, &names, "{}", &text);
            }
        }
    }

    /// A list of what is offered, as somebody writes it down: words get their quotes.
    fn quoted(offers: &str) -> String {
        let mut out = String::new();
        let mut rest = offers;
        while !rest.is_empty() {
            if rest.starts_with('"') {
                let mut is_escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                });
                let (string, behind) = rest.split_at(end.unwrap() + 2);
                out += string;
                rest = behind;
            } else {
                let (word, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                out += &format!("'{word}'");
                rest = behind;
            }
            rest = rest.strip_prefix(", ").inspect(|_| out += ", ").unwrap_or(rest);
        }
        out
    }

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
