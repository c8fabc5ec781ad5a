//! Where records go: a stream, or a file in which there is always room for those to come.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

/// How much room is kept ahead in a file, in bytes.
const AHEAD: u64 = 64 << 20;

/// The least room that is worth asking for.
const LEAST: u64 = 32 << 10;

/// Room where nothing can be said about it.
pub(super) const ENDLESS: i64 = i64::MAX;

/// Where records go.
pub(super) enum Sink {
    File(AuditFile),
    Stream(Box<dyn Write + Send>),
}

impl Sink {
    /// Writes all of `text`, or none of it as far as that can be had.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.append(text),
            Self::Stream(stream) => stream.write_all(text).and_then(|()| stream.flush()),
        }
    }

    /// How many bytes there is room for, beyond doubt.
    pub(super) fn room(&mut self) -> i64 {
        match self {
            Self::File(file) => file.room(),
            Self::Stream(_) => ENDLESS,
        }
    }

    /// Opens the file by its name again, which may have been given to another one since.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => {
                let new = AuditFile::open(file.path.clone())?;
                std::mem::replace(file, new).close();
                Ok(())
            }
            Self::Stream(_) => Ok(()),
        }
    }

    pub(super) fn close(self) {
        if let Self::File(file) = self {
            file.close();
        }
    }
}

/// A file that grows at its end, with blocks set aside behind it, so that a disk which somebody
/// else fills cannot take the room of a record whose call has been let through.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    end: u64,
    /// Up to where there are blocks; `None` where the file system sets none aside.
    reserved: Option<u64>,
}

impl AuditFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut file =
            File::options().read(true).append(true).create(true).mode(0o600).open(&path)?;
        let end = file.seek(SeekFrom::End(0))?;
        let mut file = Self { path, file, end, reserved: Some(end) };
        file.mend()?;
        Ok(file)
    }

    /// Ends a line that a process which died has left open.
    fn mend(&mut self) -> io::Result<()> {
        if self.end == 0 {
            return Ok(());
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        if last == *b"\n" { Ok(()) } else { self.append(b"\n") }
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text);
        if written.is_err() {
            // Half a line would be the end of every reader.
            let _ = self.file.set_len(self.end);
            return written;
        }
        self.end += text.len() as u64;
        Ok(())
    }

    fn room(&mut self) -> i64 {
        let Some(reserved) = self.reserved else {
            return ENDLESS;
        };
        let mut reserved = reserved.max(self.end);
        let mut wanted = AHEAD;
        while reserved < self.end + AHEAD / 2 && wanted >= LEAST {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, reserved, wanted) {
                Ok(()) => reserved += wanted,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => wanted /= 2,
                Err(_) => {
                    self.reserved = None;
                    return ENDLESS;
                }
            }
        }
        self.reserved = Some(reserved);
        i64::try_from(reserved - self.end).unwrap_or(ENDLESS)
    }

    /// Gives the blocks behind the end back.
    fn close(self) {
        let _ = self.file.set_len(self.end);
    }
}
