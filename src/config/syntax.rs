//! The texts of a configuration as TOML, and the files that `include` names.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::error::Source;
use super::files::{self, Files};
use super::read::{Report, Table};

/// The table of a text. Only the first fault is told in full: those behind it are mostly its
/// consequences.
pub(super) fn parse<'t>(text: &'t str, report: &Report) -> Option<Spanned<DeTable<'t>>> {
    let (root, faults) = DeTable::parse_recoverable(text);
    let Some(first) = faults.first() else { return Some(root) };
    let span = first.span().unwrap_or(0..0);
    let mut message = first.message().to_owned();
    if message.contains("duplicate key")
        && let Some(before) = first_of(root.get_ref(), text, span.start)
    {
        message += &format!(": the first one is in line {}", report.line(before));
    }
    let more = match faults.len() - 1 {
        0 => "",
        1 => "1 more fault follows, perhaps because of this one",
        more => &format!("{more} more faults follow, perhaps because of this one"),
    };
    report.error(Code::Syntax, span, message, more);
    None
}

/// The place of the key that stands a second time at byte `at`.
fn first_of(root: &DeTable<'_>, text: &str, at: usize) -> Option<usize> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..)?.lines().next()?.trim();
    if let Some(keys) = header(line) {
        let mut from = 0;
        let before = text.get(..start)?.split_inclusive('\n').find(|line| {
            from += line.len();
            header(line.trim()).as_ref() == Some(&keys)
        });
        return before.map(|line| from - line.len());
    }
    let name = text.get(at..)?.split(['=', '.', ' ', '\t', '\n']).next()?.trim_matches(['"', '\'']);
    let mut found = None;
    nearest(root, name, at, &mut found);
    found
}

/// The keys of a line that begins a table.
fn header(line: &str) -> Option<Vec<&str>> {
    let keys = line.strip_prefix('[')?.trim_start_matches('[').split(']').next()?.split('.');
    Some(keys.map(|key| key.trim().trim_matches(['"', '\''])).collect())
}

/// The last key `name` before byte `at` that does not stand within a value.
fn nearest(table: &DeTable<'_>, name: &str, at: usize, found: &mut Option<usize>) {
    for (key, value) in table {
        let start = key.span().start;
        if key.get_ref() == name && start < at && found.is_none_or(|found| found < start) {
            *found = Some(start);
        }
        match value.get_ref() {
            DeValue::Table(inner) => nearest(inner, name, at, found),
            DeValue::Array(items) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|inner| nearest(inner, name, at, found));
            }
            _ => {}
        }
    }
}

/// The files that `include` names, each once, by whichever names. The configuration itself is
/// none of them.
pub(super) fn included(main: &Path, file: &mut Table<'_>, files: &Files) -> Vec<Source> {
    let own = main.canonicalize().ok();
    let (mut found, mut known) = (Vec::new(), Vec::new());
    for pattern in file.strings("include") {
        let span = pattern.span.clone();
        let expanded = file.check("include", pattern, |text| files.expand(text));
        for path in expanded.into_iter().flat_map(|at| at.value) {
            let name = files::shown(&path);
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if own.as_ref() == Some(&real) {
                let message = format!("`include` names {name}, which is this very file");
                let help =
                    "put tokens into files of their own, in a folder like \"tokens.d/*.toml\"";
                file.report().error(Code::Conflict, span.clone(), message, help);
                continue;
            }
            match files.source_text(&path) {
                Ok(_) if known.contains(&real) => {}
                Ok(text) => {
                    known.push(real);
                    found.push(Source { path: name, text });
                }
                Err(reason) => {
                    let message = format!("`include` names {name}, which cannot be read: {reason}");
                    file.report().error(Code::Unreadable, span.clone(), message, "");
                }
            }
        }
    }
    found
}
