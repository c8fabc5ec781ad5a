//! Texts that look like a place for another, which nothing is put into.

use std::collections::HashMap;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::core::harmless::visible;
use crate::core::principal::Digest;

/// What a text is, by the key that it stands under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A name, a URL, a path.
    Plain,
    /// A pattern of tools, or a key that somebody made up.
    Pattern,
    /// A pattern of URIs.
    Uris,
    /// A value of arguments, or a text for people.
    Value,
}

/// Words that stand where a value was to be put in.
const STANDINS: [&str; 16] = [
    "...",
    "change me",
    "changeit",
    "fill in",
    "fixme",
    "n/a",
    "replaceme",
    "tba",
    "tbd",
    "tbc",
    "todo",
    "to do",
    "undefined",
    "xxx",
    "xxxx",
    "…",
];

/// What those within a text begin with.
const ROOTS: [&str; 5] = ["change", "fill", "insert", "placeholder", "replace"];

/// The same, within a text.
const WITHIN: [&str; 14] = [
    "change_me",
    "change-me",
    "changeme",
    "fill_in",
    "fill-in",
    "fill_me",
    "insert_",
    "insert-",
    "placeholder",
    "replace_me",
    "replace-me",
    "replace_with",
    "replace-with",
    "replace_this",
];

/// Number of bytes of a text that are looked at.
const MAX_LOOKED_AT: usize = 2 << 10;

/// Words behind `your` that are written in one with it.
const YOURS: [&str; 10] =
    ["apikey", "company", "domain", "host", "name", "org", "secret", "tenant", "token", "user"];

/// The part of a text that looks like a place for another.
pub(super) fn placeholder(text: &str, kind: Kind) -> Option<&str> {
    // No place for another is that long, and what is long may be long to look through.
    let end = (0..=text.len().min(MAX_LOOKED_AT)).rev().find(|end| text.is_char_boundary(*end));
    let text = end.and_then(|end| text.get(..end)).unwrap_or(text);
    // There may be a hundred thousand tokens, and hardly a sign in them.
    let has_signs = text.bytes().any(|b| b"$#@<%{_".contains(&b));
    let signed = || enclosed(text, kind).or_else(|| marked(text, kind));
    has_signs.then(signed).flatten().or_else(|| word(text, kind).then_some(text))
}

/// The same of a secret, which is one as a whole: what is made by chance may hold anything. Nothing
/// of it is returned.
pub(super) fn is_placeholder(secret: &str) -> bool {
    let text = secret.split_once(' ').map_or(secret, |(_, behind)| behind.trim_start());
    [secret, text].iter().any(|text| placeholder(text, Kind::Plain) == Some(text))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-. ".contains(&b))
}

fn is_upper(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// A name between signs that some program replaces together with them.
fn enclosed(text: &str, kind: Kind) -> Option<&str> {
    const SIGNS: [(&str, &str); 12] = [
        ("${{", "}}"),
        ("${", "}"),
        ("{{", "}}"),
        ("#{", "}"),
        ("@{", "}"),
        ("<%=", "%>"),
        ("<", ">"),
        ("%(", ")"),
        ("$(", ")"),
        ("{", "}"),
        ("@@", "@@"),
        ("%", "%"),
    ];
    for (open, close) in SIGNS {
        for (at, _) in text.match_indices(open) {
            let inner = text.get(at + open.len()..).unwrap_or_default();
            let name = inner.split(close).next().unwrap_or_default();
            let found = text.get(at..at + open.len() + name.len() + close.len());
            // A default may stand behind the name: ${NAME:-x}.
            let bare = name.split([':', '|', '(']).next().unwrap_or_default().trim();
            let is_whole = found == Some(text);
            let is_it = match (open, kind) {
                // Tags of a text, and templates of URIs.
                ("<", Kind::Value) => {
                    is_whole && (is_upper(name) || name.contains(['_', '-', ' ']))
                }
                ("<", _) => name == name.trim(),
                ("{", Kind::Uris) => false,
                ("{", Kind::Value) => is_whole && name == bare,
                ("{", _) => name == bare,
                ("$(", Kind::Plain | Kind::Pattern) if !name.is_empty() => true,
                ("%", _) => {
                    is_variable(name, inner.get(name.len() + 1..).unwrap_or_default(), kind)
                }
                _ => true,
            };
            if found.is_some() && is_it && (is_name(bare) || open == "$(" && kind != Kind::Value) {
                return found;
            }
        }
    }
    None
}

/// True for `NAME` between percent signs, and not between two escapes of a URI.
fn is_variable(name: &str, behind: &str, kind: Kind) -> bool {
    let is_escape =
        behind.get(..2).is_some_and(|next| next.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let is_cased = is_upper(name) || kind == Kind::Plain;
    name.len() > 2 && is_cased && !name.contains([' ', '.']) && !is_escape
}

/// A name behind a sign, or between signs of which words may hold some.
fn marked(text: &str, kind: Kind) -> Option<&str> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let is_bound = |at: usize, end: usize| {
        text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(ends))
            && text.get(end..).is_some_and(|behind| behind.is_empty() || behind.starts_with(ends))
    };
    for mark in ["__", "@"] {
        for (at, _) in text.match_indices(mark) {
            let inner = text.get(at + mark.len()..).unwrap_or_default();
            let name = inner.split(mark).next().unwrap_or_default();
            let end = at + 2 * mark.len() + name.len();
            let is_name = is_upper(name) && (mark == "__" || name.len() > 1);
            if is_name && end <= text.len() && is_bound(at, end) {
                return text.get(at..end);
            }
        }
    }
    for (at, _) in text.match_indices('$') {
        let rest = text.get(at + 1..).unwrap_or_default();
        let prefix = if rest.to_ascii_lowercase().starts_with("env:") { 4 } else { 0 };
        let name = rest.get(prefix..).unwrap_or_default();
        let name = name.split(ends).next().unwrap_or_default();
        let found = text.get(at..at + 1 + prefix + name.len());
        let is_whole = found == Some(text) && kind != Kind::Value;
        let start: String = name.chars().take_while(|c| !c.is_ascii_lowercase()).collect();
        if is_name(name) && (prefix > 0 || is_whole || start.len() > 1) {
            return found;
        }
    }
    None
}

/// True for a word that stands for another, or a text that holds one.
fn word(text: &str, kind: Kind) -> bool {
    // Tools and values may well be called so.
    let is_told = kind == Kind::Plain;
    let is_upper = !text.contains(|c: char| c.is_ascii_lowercase());
    let name = text.split_once('/').map_or(text, |(_, name)| name);
    let is_shouted = is_upper || !name.contains(|c: char| c.is_ascii_lowercase());
    let folded = text.to_ascii_lowercase();
    let is_standin = STANDINS.contains(&folded.as_str());
    let has_root = ROOTS.iter().any(|root| folded.contains(root));
    let is_within = has_root && WITHIN.iter().any(|word| folded.contains(word));
    if !(is_standin || is_within || folded.contains("your")) {
        return false;
    }
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    let is_yours = words.into_iter().any(|word| {
        let lower = word.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix("your") else { return false };
        let is_cased = word.starts_with("YOUR");
        let is_it = rest.is_empty() || rest.starts_with(['_', '-']) || YOURS.contains(&rest);
        is_it && (is_told || is_cased && !rest.is_empty())
    });
    is_yours || (is_told && is_standin) || is_within && (is_told || is_shouted)
}

/// Words that people put in the place of a token.
const GUESSED: [&str; 24] = [
    "${TOKEN}",
    "$TOKEN",
    "<token>",
    "Bearer",
    "CHANGEME",
    "CHANGE_ME",
    "None",
    "YOUR_TOKEN",
    "admin",
    "bearer",
    "change-me",
    "change_me",
    "changeme",
    "default",
    "null",
    "password",
    "secret",
    "test",
    "todo",
    "token",
    "undefined",
    "your-token",
    "your_token",
    "xxx",
];

/// What is said of the digests of such words, of nothing, and of a scheme without a token.
static KNOWN: LazyLock<HashMap<Digest, String>> = LazyLock::new(|| {
    let of = |text: &str| Digest::from(Sha256::digest(text));
    let nothing = "this is the digest of nothing: nobody gets in with it";
    let bare = "this is the digest of `Bearer ` without a token: nobody gets in with it";
    let mut known = HashMap::new();
    known.extend(["", "\n", " ", "\r\n"].map(|text| (of(text), nothing.to_owned())));
    known.extend(["Bearer ", "bearer ", "Bearer \n"].map(|text| (of(text), bare.to_owned())));
    for word in GUESSED {
        let message = format!("this is the digest of `{}`, which anybody tries", visible(word));
        let forms = [word.to_owned(), format!("{word}\n"), format!("Bearer {word}")];
        known.extend(forms.map(|text| (of(&text), message.clone())));
    }
    known
});

/// What is wrong with the digest of a token, where it is one of nothing, of a word that everybody
/// tries, or none at all.
pub(super) fn digest_doubt(given: &Digest) -> Option<String> {
    if let Some(message) = KNOWN.get(given) {
        return Some(message.clone());
    }
    let repeats = |period: usize| {
        given.iter().zip(given.iter().skip(period)).all(|(one, other)| one == other)
    };
    let is_made_up = given == &[0; 32] || given == &[0xff; 32];
    let is_periodic = (2..=8).any(repeats) && !repeats(1);
    (is_made_up || is_periodic)
        .then(|| "this is no digest of anything: nobody gets in with it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_would_replace_is_found_in_every_kind_of_text() {
        for (text, found) in [
            ("${NAME}", "${NAME}"),
            ("${NAME:-x}", "${NAME:-x}"),
            ("a-${name}-b", "${name}"),
            ("${{ secrets.TOKEN }}", "${{ secrets.TOKEN }}"),
            ("{{ name }}", "{{ name }}"),
            ("$NAME", "$NAME"),
            ("x-$NAME-y", "$NAME"),
            ("#{name}", "#{name}"),
            ("@{name}", "@{name}"),
            ("<%= name %>", "<%= name %>"),
            ("%(name)s", "%(name)"),
            ("$(name)", "$(name)"),
            ("{name}", "{name}"),
            ("%USER%", "%USER%"),
            ("a/%ACCOUNT%/b", "%ACCOUNT%"),
            ("@@NAME@@", "@@NAME@@"),
            ("@NAME@", "@NAME@"),
            ("__NAME__", "__NAME__"),
            ("x/__NAME__/y", "__NAME__"),
            ("$env:NAME", "$env:NAME"),
            ("$Env:name", "$Env:name"),
            ("<YOUR_NAME>", "<YOUR_NAME>"),
            ("<your-org>", "<your-org>"),
            ("YOUR_USER", "YOUR_USER"),
            ("YOUR-DOMAIN", "YOUR-DOMAIN"),
            ("CHANGE_ME", "CHANGE_ME"),
        ] {
            for kind in [Kind::Plain, Kind::Pattern, Kind::Value] {
                assert_eq!(placeholder(text, kind), Some(found), "{text} {kind:?}");
            }
        }
        for text in [
            "tbd",
            "TBD",
            "todo",
            "changeme",
            "your-domain.example",
            "https://your-domain.example/mcp",
            "https://yourcompany.com",
            "your.company.example",
            "yourdomain",
            "insert_token_here",
            "$name",
            "%username%",
            "<name>",
            "...",
        ] {
            assert!(placeholder(text, Kind::Plain).is_some(), "{text}");
        }
    }

    #[test]
    fn what_means_itself_is_no_place_for_another() {
        for text in [
            "alice",
            "a_b__c",
            "mcp__GITHUB__list",
            "__init__",
            "a@b.example",
            "a@B@c",
            "100%",
            "https://a.example/%C3%A9%20x",
            "https://a.example/%A9x%20",
            "docs://a/%5Bx%5D%2Fb",
            "t/{get,list}_*",
            "t/[a-z]*",
            "cost: $5",
            "a$b",
            "/$filter",
            "a < b > c d!",
            "tours",
            "colour_your",
        ] {
            for kind in [Kind::Plain, Kind::Pattern, Kind::Value, Kind::Uris] {
                assert_eq!(placeholder(text, kind), None, "{text} {kind:?}");
            }
        }
        for text in
            ["<p>*</p>", "<br>", "<b>", "todo", "tbd", "$user", "%like%", "hi {name}, yours"]
        {
            assert_eq!(placeholder(text, Kind::Value), None, "{text}");
        }
        for text in ["t/replace_with_text", "t/insert_row", "t/placeholder", "t/your_profile"] {
            assert_eq!(placeholder(text, Kind::Pattern), None, "{text}");
        }
        assert_eq!(placeholder("docs://a/{id}", Kind::Uris), None);
    }

    #[test]
    fn a_secret_is_a_placeholder_as_a_whole_only() {
        for text in [
            "CHANGE_ME",
            "${TOKEN}",
            "<token>",
            "<your-api-key>",
            "$TOKEN",
            "%TOKEN%",
            "{{ token }}",
            "Bearer <token>",
            "Bearer ${TOKEN}",
            "YOUR_API_KEY",
            "your-token-here",
            "changeme",
            "todo",
            "xxx",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in
            ["x$ABCD1", "a<b>c", "p@ss%WORD%", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "q{x}z"]
        {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
