//! Every text and every key of a file: places for another text, and characters that mislead.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::placeholders::{Kind, placeholder};
use super::read::Report;
use crate::core::harmless::visible;
use crate::core::lookalike::{Lookalike, lookalike, respelled, unseen};

/// Keys whose texts may hold anything: patterns in another syntax, and words for people.
const FREE: [&str; 2] = ["message", "regex"];

/// Keys whose texts are digits, and are read as such.
const DIGITS: &str = "sha256";

/// Looks at every text of a file, however deep.
pub(super) fn check(report: &Report, table: &DeTable<'_>) {
    Walk { report, is_expected: false, is_of_arguments: false }.table("", table);
}

/// Where a walk through a file is.
#[derive(Clone, Copy)]
struct Walk<'r> {
    report: &'r Report,
    /// Within `[[expect]]`.
    is_expected: bool,
    /// Within arguments that are expected.
    is_of_arguments: bool,
}

impl Walk<'_> {
    fn table(self, parent: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key: &str = name.get_ref();
            if FREE.contains(&key) || key == DIGITS {
                continue;
            }
            let kind = match parent {
                _ if self.is_of_arguments => Kind::Value,
                "roles_map" => Kind::Plain,
                _ => Kind::Pattern,
            };
            let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if kind == Kind::Plain || !key.bytes().all(is_plain) {
                self.text(key, key, kind, &name.span());
            }
            let is_expected = self.is_expected || parent.is_empty() && key == "expect";
            let is_of_arguments = self.is_of_arguments || self.is_expected && key == "arguments";
            Self { is_expected, is_of_arguments, ..self }.value(parent, key, value);
        }
    }

    fn value(self, parent: &str, key: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(key, table),
            DeValue::Array(items) => items.iter().for_each(|item| self.value(parent, key, item)),
            DeValue::String(text) => self.text(key, text, self.kind(parent, key), &value.span()),
            _ => {}
        }
    }

    fn kind(self, parent: &str, key: &str) -> Kind {
        match key {
            _ if self.is_of_arguments => Kind::Value,
            "equals" | "glob" | "in" | "not_in" => Kind::Value,
            "allow_prompts" | "deny_prompts" | "prompts" => Kind::Value,
            "allow_resources" | "deny_resources" | "resources" => Kind::Uris,
            "allow" | "deny" | "tools" => Kind::Pattern,
            _ if parent == "scopes" => Kind::Pattern,
            _ => Kind::Plain,
        }
    }

    /// Looks at a text under `key`, or at the key itself.
    fn text(self, key: &str, text: &str, kind: Kind, span: &std::ops::Range<usize>) {
        let shown = visible(key);
        if let Some(found) = placeholder(text, kind) {
            let message =
                format!("`{shown}` holds {}, and nothing is put in its place", visible(found));
            let help = "write it out; secrets come from files and variables, by the keys that end in _file and _env";
            self.report.warning(Code::Placeholder, span.clone(), message, help);
        }
        if let Some(found) = doubt(text, kind) {
            let message = format!("`{shown}` holds {found}");
            let help = "write the character that is meant, or accept this where it is";
            self.report.warning(Code::Lookalike, span.clone(), message, help);
        }
    }
}

/// A character that is not what it looks like; texts for people may hold signs in other forms.
fn doubt(text: &str, kind: Kind) -> Option<Lookalike> {
    let is_pattern = matches!(kind, Kind::Pattern | Kind::Uris);
    if let Some(control) = text.chars().find(|c| is_pattern && c.is_control()) {
        return Some(Lookalike::Unseen(control));
    }
    if text.is_ascii() {
        return None;
    }
    let form = || respelled(text).filter(|_| kind != Kind::Value);
    unseen(text).or_else(|| lookalike(text)).or_else(form)
}
