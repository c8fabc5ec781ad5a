//! The file of records: always the one that has its name, with room ahead for records to come.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, open};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::sink::{ENDLESS, LEAST};
use crate::core::chain::digest;
use crate::core::odd_file::OddFile;

/// How much room is kept ahead, in bytes, besides what is claimed.
const AHEAD: u64 = 64 << 20;

/// The room below which the disk is taken to be full, in bytes: calls that come at once need it.
const LOW: u64 = 64 << 10;

/// The longest last line whose digest is taken, in bytes: no record is as long.
const MAX_LAST: u64 = 64 << 10;

/// Most links that are followed to a file.
const MAX_LINKS: usize = 8;

/// A file that grows at its end, with blocks set aside behind it, so that a disk which somebody
/// else fills cannot take the room of a record whose call has been let through.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    end: u64,
    /// Up to where there are blocks; `None` where the file system sets none aside.
    reserved: Option<u64>,
    /// Whether half a line stands at the end, and could not be taken back.
    is_torn: bool,
    /// Somebody else has emptied it, or cut off its end, and nobody has been told.
    shortened: Option<Shortened>,
    /// The digest of the last line at the time of opening, in hexadecimal; empty where there was
    /// none, `None` where it cannot be told.
    pub(super) follows: Option<String>,
}

/// Lengths of a file that somebody else has shortened, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Shortened {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// What has become of the file since it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// Another one was opened, and has no line.
    pub(super) is_new: bool,
    pub(super) shortened: Option<Shortened>,
}

/// Says where records cannot go: neither a file nor a device that takes them as they come.
fn takes_records(about: &Metadata) -> io::Result<()> {
    let odd = OddFile::of_mode(about.mode());
    match odd.filter(|_| !about.file_type().is_char_device()) {
        None => Ok(()),
        Some(odd) => Err(io::Error::other(format!("{odd}; for a pipe write to = \"stdout\""))),
    }
}

/// Finds out whether a file can be made in this folder: by one without a name, else, where the file
/// system has none such, by a hidden one that is removed at once. What permissions say is not
/// enough, above all for root.
fn takes_files(folder: &Path) -> io::Result<()> {
    let (mode, flags) = (Mode::RUSR | Mode::WUSR, OFlags::RDWR | OFlags::CLOEXEC);
    match open(folder, flags | OFlags::TMPFILE, mode) {
        Ok(_) => return Ok(()),
        // What a file system says, or a kernel, that has none such.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let hidden = folder.join(format!(".doorward-check-{}", std::process::id()));
    File::options().write(true).create_new(true).mode(0o600).open(&hidden)?;
    std::fs::remove_file(hidden)
}

impl AuditFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Self::open_or(path, true)
    }

    fn open_or(path: PathBuf, create: bool) -> io::Result<Self> {
        // Some devices do something when they are opened, and a socket says nothing of itself.
        if let Ok(about) = std::fs::metadata(&path) {
            takes_records(&about)?;
        }
        let mut options = File::options();
        // A pipe that nobody reads does not hold up whoever opens it.
        options.read(true).append(true).create(create).mode(0o600);
        let mut file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path)?;
        takes_records(&file.metadata()?)?;
        let end = file.seek(SeekFrom::End(0))?;
        let (follows, is_torn) = last_line(&mut file, end)?;
        let reserved = Some(end);
        Ok(Self { path, file, end, reserved, is_torn, shortened: None, follows })
    }

    /// Finds out whether a file can be opened for records, or made, and makes none.
    pub(super) fn probe(path: &Path) -> io::Result<()> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match std::fs::metadata(&path) {
                Ok(_) => return Self::open_or(path, false).map(drop),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new(".")).to_owned();
            // What a link points to is made in its place.
            let Ok(target) = std::fs::read_link(&path) else { return takes_files(&folder) };
            path = folder.join(target);
        }
        Err(Errno::LOOP.into())
    }

    /// Makes sure that this is the file with the name, and opens that one where it is not:
    /// somebody has moved or removed it.
    pub(super) fn keep(&mut self, reopen: bool) -> io::Result<Kept> {
        let has_its_name = self.has_its_name()?;
        if !reopen && has_its_name {
            return Ok(Kept { is_new: false, shortened: self.shortened.take() });
        }
        let new = Self::open(self.path.clone())?;
        let is_new = new.end == 0;
        let old = std::mem::replace(self, new);
        let shortened = old.shortened;
        old.close();
        Ok(Kept { is_new, shortened })
    }

    fn has_its_name(&mut self) -> io::Result<bool> {
        let own = self.measure()?;
        match std::fs::metadata(&self.path) {
            Ok(named) => Ok(named.ino() == own.ino() && named.dev() == own.dev()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says whether somebody has shortened it, once.
    pub(super) fn shortened(&mut self) -> Option<Shortened> {
        // A file that cannot be looked at cannot be written either, which is told.
        let _ = self.measure();
        self.shortened.take()
    }

    /// Finds its end again: others may write to it, or shorten it.
    fn measure(&mut self) -> io::Result<Metadata> {
        let own = self.file.metadata()?;
        if !own.is_file() {
            return Ok(own);
        }
        let (from, to) = (self.end, own.len());
        self.end = to;
        if to < from {
            let from = self.shortened.map_or(from, |before| before.from);
            self.shortened = Some(Shortened { from, to });
            self.reserved = Some(to);
        }
        if to != from {
            self.is_torn = !ends_a_line(&self.file, to)?;
        }
        Ok(own)
    }

    /// Writes whole lines: how many bytes of them stand, and what stopped the rest.
    pub(super) fn append(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        if let Err(error) = self.measure() {
            return (0, Err(error));
        }
        if self.is_torn {
            // What a process that died, or a failure, has left open ends before the next line.
            if let Err(error) = self.file.write_all(b"\n") {
                return (0, Err(error));
            }
            self.end += 1;
            self.is_torn = false;
        }
        let (written, result) = super::sink::write_some(&mut self.file, text);
        let whole = match &result {
            Ok(()) => written,
            // Half a line would be the end of every reader.
            Err(_) => whole_lines(text.get(..written).unwrap_or_default()),
        };
        self.end += whole as u64;
        if whole < written {
            self.is_torn = self.file.set_len(self.end).is_err();
            self.end += if self.is_torn { (written - whole) as u64 } else { 0 };
        }
        (whole, result)
    }

    /// How many bytes there is room for, besides `claimed` for sure, and what there is not more
    /// for.
    pub(super) fn room(&mut self, claimed: i64) -> (i64, io::Result<()>) {
        let reserved = self.reserve(u64::try_from(claimed).unwrap_or(0));
        // What the process may write at most, whatever the disk has.
        let most = getrlimit(Resource::Fsize).current;
        let (end, limit) = match (reserved, most) {
            (Ok(end), most) if most.is_none_or(|most| end.is_some_and(|end| end <= most)) => {
                (end, Ok(()))
            }
            (_, Some(most)) => (Some(most), Err(Errno::FBIG.into())),
            (Ok(end), None) => (end, Ok(())),
            (Err(end), None) => (Some(end), Err(Errno::NOSPC.into())),
        };
        let Some(end) = end else { return (ENDLESS, Ok(())) };
        let room = end.saturating_sub(self.end);
        (i64::try_from(room).unwrap_or(ENDLESS), if room < LOW { limit } else { Ok(()) })
    }

    /// Sets blocks aside. Up to where there are some, `None` where that cannot be said; as an
    /// error where the disk has no more.
    fn reserve(&mut self, claimed: u64) -> Result<Option<u64>, u64> {
        let Some(reserved) = self.reserved else { return Ok(None) };
        let mut reserved = reserved.max(self.end);
        let mut wanted = AHEAD + claimed;
        while reserved < self.end + AHEAD / 2 + claimed && wanted >= LEAST {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, reserved, wanted) {
                Ok(()) => reserved += wanted,
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => wanted /= 2,
                Err(_) => {
                    self.reserved = None;
                    return Ok(None);
                }
            }
        }
        self.reserved = Some(reserved);
        if wanted < LEAST { Err(reserved) } else { Ok(Some(reserved)) }
    }

    /// Gives the blocks behind the end back.
    pub(super) fn close(self) {
        if let Ok(own) = self.file.metadata() {
            let _ = self.file.set_len(own.len());
        }
    }
}

/// The bytes of the whole lines in front.
pub(super) fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// Whether nothing, or the end of a line, stands before `end`.
fn ends_a_line(file: &File, end: u64) -> io::Result<bool> {
    let Some(last) = end.checked_sub(1) else { return Ok(true) };
    let mut byte = [b'\n'];
    // Where somebody has shortened it meanwhile, that is found the next time.
    file.read_at(&mut byte, last)?;
    Ok(byte == [b'\n'])
}

/// The digest of the last line, `None` where it is too long; and whether it has no end.
fn last_line(file: &mut File, end: u64) -> io::Result<(Option<String>, bool)> {
    if end == 0 {
        return Ok((Some(String::new()), false));
    }
    let start = end.saturating_sub(MAX_LAST);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(MAX_LAST).read_to_end(&mut tail)?;
    let is_torn = tail.last() != Some(&b'\n');
    let last = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let before = whole_lines(last);
    let is_known = before > 0 || start == 0;
    Ok((is_known.then(|| digest(last.get(before..).unwrap_or_default())), is_torn))
}
