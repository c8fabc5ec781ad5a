//! Changes of a configuration file: checked whole, then put in its place at once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use super::Complaint;
use crate::cli::complain;
use crate::config;

/// While it lives, every other change by this command of what belongs to the configuration waits.
pub(super) struct Turn {
    _folder: File,
}

/// Waits for one's turn to change the configuration at `main`. What is read before it can be old.
pub(super) fn turn(main: &Path) -> Result<Turn, Complaint> {
    let lock = || {
        let path = main.canonicalize()?;
        // The file itself is replaced, and a lock on it with it.
        let folder = File::open(path.parent().unwrap_or_else(|| Path::new("/")))?;
        match folder.lock() {
            // To end a token is worth more than to be alone.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Turn { _folder: folder }),
        }
    };
    lock()
        .map_err(|error: io::Error| format!("{} cannot be locked: {error}", main.display()).into())
}

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
        Complaint(format!("{} would have errors, and stays as it is", edited.display()))
    })?;
    write(edited, before, after)
        .map_err(|error| format!("{} cannot be written: {error}", edited.display()).into())
}

/// Whoever reads it finds all of the old text or all of the new.
fn write(path: &Path, before: &str, after: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    // No `include` takes a hidden file for one of its own, and no leftover stands in the way.
    let new = folder.join(format!(".doorward-{}", uuid::Uuid::new_v4().simple()));
    let written = prepare(&path, &new, after).and_then(|()| {
        if fs::read(&path)? != before.as_bytes() {
            return Err(io::Error::other("somebody else has just changed it; try again"));
        }
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // What remains is of no use to anybody.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Makes the file `new` as if it were the one at `path`, with another text.
fn prepare(path: &Path, new: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(new)?;
    let (old, made) = (fs::metadata(path)?, file.metadata()?);
    if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
        // The gateway may run as somebody else than the operator, and must still read it.
        fchown(&file, Some(old.uid()), Some(old.gid()))
            .map_err(|error| io::Error::other(format!("its owner would change: {error}")))?;
    }
    file.set_permissions(old.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "theirs").unwrap();
        let error = write(&path, "before", "ours").unwrap_err();
        assert!(error.to_string().contains("somebody else"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        write(&path, "theirs", "ours").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
