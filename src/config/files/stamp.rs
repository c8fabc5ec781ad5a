//! What a file system says of a file, by which a changed one is known without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use crate::core::token::UnixSeconds;

/// How long ago a file must have been changed before its times tell it from one that is changed
/// again: file systems count in steps of up to two seconds.
const SETTLED: i64 = 3;

/// Where a file lies, how long it is, and when it, and what is known of it, was last changed. The
/// second time cannot be set back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(about: &Metadata) -> Self {
        Self {
            file: (about.dev(), about.ino()),
            len: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// Whether a file that is read at the moment `now`, and changed later, has another stamp. Where
    /// the last change was just now, or is said to be to come, the next may have the same time;
    /// some file systems keep none.
    pub(super) fn is_settled(&self, now: UnixSeconds) -> bool {
        let is_past = |(seconds, _)| seconds > 0 && seconds < now.saturating_sub(SETTLED);
        is_past(self.modified) && is_past(self.changed)
    }
}
