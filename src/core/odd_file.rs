//! Files that are none: what a name can stand for besides a file with a text in it.

use std::fmt;

/// Something with a name in a folder that is no regular file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OddFile {
    /// A device, of characters or blocks.
    Device,
    /// A folder.
    Folder,
    /// A pipe with a name: to open it can wait for ever for somebody at its other end.
    Pipe,
    /// A socket.
    Socket,
    /// Something that only this system knows.
    Unknown,
}

impl OddFile {
    /// The kind of file by its mode (POSIX `st_mode`); `None` for a regular one.
    #[must_use]
    pub fn of_mode(mode: u32) -> Option<Self> {
        match mode & 0o170_000 {
            0o100_000 => None,
            0o010_000 => Some(Self::Pipe),
            0o020_000 | 0o060_000 => Some(Self::Device),
            0o040_000 => Some(Self::Folder),
            0o140_000 => Some(Self::Socket),
            _ => Some(Self::Unknown),
        }
    }
}

/// For people: a sentence.
impl fmt::Display for OddFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Device => "a device",
            Self::Folder => "a folder",
            Self::Pipe => "a named pipe",
            Self::Socket => "a socket",
            Self::Unknown => "something else",
        };
        write!(f, "it is {what}, and no regular file")
    }
}
