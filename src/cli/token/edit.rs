//! Changes of a configuration file: checked whole, then put in its place at once.

use std::path::Path;

use super::Complaint;
use crate::cli::complain;
use crate::cli::replace;
use crate::cli::talk::spelled;
use crate::config;

/// Replaces `before`, the text of `edited`, a file of the configuration at `main`, where the result
/// is good. The file keeps its mode and its owner; a link stays a link.
pub(super) fn replace(
    main: &Path,
    edited: &Path,
    before: &str,
    after: &str,
) -> Result<(), Complaint> {
    config::check_edit(main, edited, after).map_err(|findings| {
        complain(&findings);
        Complaint(format!("{} would have errors, and stays as it is", spelled(edited)))
    })?;
    replace::write(edited, Some(before), after)
        .map_err(|error| format!("{} cannot be written: {error}", spelled(edited)).into())
}

/// How the lines of `text` end.
fn line_end(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// `text` with `block` behind it, an empty line between.
pub(super) fn appended(text: &str, block: &str) -> String {
    let end = line_end(text);
    let mut out = text.to_owned();
    if !out.is_empty() && !out.ends_with('\n') {
        out += end;
    }
    if !out.is_empty() && !out.ends_with(&[end, end].concat()) {
        out += end;
    }
    for line in block.lines() {
        out += line;
        out += end;
    }
    out
}

/// `after` with the line ends of `before`: the editor of TOML makes all alike, and a change of one
/// line would show as one of every line.
pub(super) fn with_line_ends(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let same = |(old, new): &(&&str, &&str)| without_end(old) == without_end(new);
    let head = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    let mut out: String = old.iter().take(head).copied().collect();
    for line in new.iter().take(new.len() - tail).skip(head) {
        if !out.is_empty() && !out.ends_with('\n') {
            out += line_end(before);
        }
        out += without_end(line);
        out += line_end(before);
    }
    out.extend(old.iter().skip(old.len() - tail).copied());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_did_not_change_keep_their_ends() {
        for (before, after, wanted) in [
            ("a\r\nb\r\nc\r\n", "a\nb\nnew\nc\n", "a\r\nb\r\nnew\r\nc\r\n"),
            ("a\r\nb\nc", "a\nB\nc", "a\r\nB\r\nc"),
            ("a\nb", "a\nb\nnew\n", "a\nb\nnew\n"),
            ("a\na\n", "a\na\na\n", "a\na\na\n"),
            ("a\r\n", "a\n", "a\r\n"),
            ("", "a\n", "a\n"),
        ] {
            assert_eq!(with_line_ends(before, after), wanted, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_block_stands_behind_an_empty_line() {
        for (text, wanted) in [
            ("", "b\n"),
            ("a", "a\n\nb\n"),
            ("a\n", "a\n\nb\n"),
            ("a\n\n", "a\n\nb\n"),
            ("a\r\n", "a\r\n\r\nb\r\n"),
            ("a\r\n\r\n", "a\r\n\r\nb\r\n"),
        ] {
            assert_eq!(appended(text, "b\n"), wanted, "{text:?}");
        }
    }
}
