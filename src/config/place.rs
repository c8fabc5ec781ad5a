//! Where things stand in a file: the key at a place, and the place of a key.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys that lead to what stands at byte `at`, joined by dots: as far as there are any.
pub(super) fn path_at(root: &DeTable<'_>, at: usize) -> String {
    let mut found = (Vec::new(), usize::MAX);
    seek(root, at, &mut Vec::new(), &mut found);
    found.0.join(".")
}

/// Looks for the smallest key or value that holds the byte `at`.
fn seek<'t>(
    table: &'t DeTable<'_>,
    at: usize,
    way: &mut Vec<&'t str>,
    found: &mut (Vec<String>, usize),
) {
    for (key, value) in table {
        way.push(key.get_ref());
        for span in [key.span(), value.span()] {
            if span.contains(&at) && span.len() < found.1 {
                *found = (way.iter().map(|key| (*key).to_owned()).collect(), span.len());
            }
        }
        seek_value(value, at, way, found);
        way.pop();
    }
}

fn seek_value<'t>(
    value: &'t Spanned<DeValue<'_>>,
    at: usize,
    way: &mut Vec<&'t str>,
    found: &mut (Vec<String>, usize),
) {
    match value.get_ref() {
        DeValue::Table(table) => seek(table, at, way, found),
        DeValue::Array(items) => items.iter().for_each(|item| seek_value(item, at, way, found)),
        _ => {}
    }
}

/// The place of the value to which these keys lead.
pub(super) fn span_of(root: &DeTable<'_>, keys: &[&str]) -> Option<Range<usize>> {
    let (last, way) = keys.split_last()?;
    let table = way.iter().try_fold(root, |table, key| table.get(*key)?.get_ref().as_table())?;
    Some(table.get(*last)?.span())
}
