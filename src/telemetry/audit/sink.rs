//! Where records go: a stream, or a file.

use std::io::{self, Write};
use std::time::Duration;

use super::file::{AuditFile, Kept, Shortened};

/// The least room that is worth asking for, in bytes.
pub(super) const LEAST: u64 = 32 << 10;

/// Room where nothing can be said about it.
pub(super) const ENDLESS: i64 = i64::MAX;

/// How long a reader who takes nothing at the moment is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// Where records go.
pub(super) enum Sink {
    File(AuditFile),
    Stream(Box<dyn Write + Send>),
}

impl Sink {
    /// Writes `text`: how many bytes need not be written again, and what stopped the rest.
    pub(super) fn write(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        match self {
            Self::File(file) => file.append(text),
            Self::Stream(stream) => match write_some(stream, text) {
                (written, Ok(())) => (written, stream.flush()),
                failed => failed,
            },
        }
    }

    /// How many bytes there is room for, beyond doubt, and why not for more.
    pub(super) fn room(&mut self, claimed: i64) -> (i64, io::Result<()>) {
        match self {
            Self::File(file) => file.room(claimed),
            Self::Stream(_) => (ENDLESS, Ok(())),
        }
    }

    /// Opens the file by its name again where another one has it, or where `reopen` says so.
    pub(super) fn keep(&mut self, reopen: bool) -> io::Result<Kept> {
        match self {
            Self::File(file) => file.keep(reopen),
            Self::Stream(_) => Ok(Kept::default()),
        }
    }

    /// Says whether somebody has shortened the file, once.
    pub(super) fn shortened(&mut self) -> Option<Shortened> {
        match self {
            Self::File(file) => file.shortened(),
            Self::Stream(_) => None,
        }
    }

    /// The digest of the line that is continued; see [`AuditFile::follows`].
    pub(super) fn follows(&self) -> Follows {
        match self {
            Self::File(file) => match &file.follows {
                Some(digest) => Follows::Line(digest.clone()),
                None => Follows::Line("unknown".to_owned()),
            },
            Self::Stream(_) => Follows::Stream,
        }
    }

    pub(super) fn close(self) {
        if let Self::File(file) = self {
            file.close();
        }
    }
}

/// What stands before the first record of a process.
#[derive(Clone, Debug)]
pub(super) enum Follows {
    /// A line with this digest; empty for none.
    Line(String),
    /// Nobody knows.
    Stream,
}

/// Writes as much as can be: unlike `write_all` it tells how much that was. A reader who takes
/// nothing at the moment is waited for.
pub(super) fn write_some(to: &mut impl Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match to.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(some) => written += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::park_timeout(PAUSE);
            }
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
