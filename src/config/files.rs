//! The files that a configuration consists of: the one that is named, and those that it names.

mod sources;
mod stamp;

use std::cell::RefCell;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use self::sources::{Include, Source};
pub use self::sources::{Interest, Sources};
use self::stamp::Stamp;
use crate::core::odd_file::OddFile;
use crate::core::token::UnixSeconds;

/// Longest file in bytes that is read; a hundred thousand tokens need a fifth of it.
const MAX_FILE: u64 = 128 << 20;

/// Reads files, and remembers which they were and what was in them.
#[derive(Debug)]
pub(super) struct Files {
    base: PathBuf,
    /// When the reading began.
    now: UnixSeconds,
    /// A text that is to be read in the place of this file's.
    instead: Option<(PathBuf, String)>,
    sources: RefCell<Sources>,
}

impl Files {
    /// Relative paths start at `base`.
    pub(super) fn new(base: &Path) -> Self {
        let base = base.to_owned();
        let sources = Sources { base: base.clone(), ..Sources::default() };
        let now = jiff::Timestamp::now().as_second();
        Self { base, now, instead: None, sources: RefCell::new(sources) }
    }

    /// Reads `text` where `path` is to be read.
    pub(super) fn instead(mut self, path: &Path, text: &str) -> Self {
        self.instead = Some((path.to_owned(), text.to_owned()));
        self
    }

    /// The moment of the reading: the same for everything that is read.
    pub(super) fn now(&self) -> UnixSeconds {
        self.now
    }

    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// The content of a file; the error completes the sentence "`key` …".
    pub(super) fn read(&self, text: &str) -> Result<Vec<u8>, String> {
        self.read_path(&self.path(text)).map_err(|error| format!("cannot be read: {error}"))
    }

    /// Like [`Self::read`], for text.
    pub(super) fn read_text(&self, text: &str) -> Result<String, String> {
        String::from_utf8(self.read(text)?).map_err(|_| "is not UTF-8".to_owned())
    }

    pub(super) fn read_path(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = match &self.instead {
            Some((other, text)) if other == path => Ok((text.clone().into_bytes(), None)),
            _ => read_stamped(path, self.now),
        };
        let source = Source::of(&read);
        self.sources.borrow_mut().files.insert(path.to_owned(), source);
        read.map(|(bytes, _)| bytes)
    }

    /// As much of a file of the configuration as is text, with a sign for every byte that is none.
    pub(super) fn damaged_text(&self, path: &Path) -> Result<String, String> {
        let bytes = self.read_path(path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text of a file that is part of the configuration, and whose entries commands look for
    /// and edit: by its name, which must therefore be text, too.
    pub(super) fn source_text(&self, path: &Path) -> Result<String, String> {
        let bytes = self.read_path(path).map_err(|error| error.to_string())?;
        if path.to_str().is_none() {
            return Err("its name is not UTF-8; rename it".to_owned());
        }
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
    }

    /// The files that `pattern` stands for, by name. Only the last part of a path may hold `*`;
    /// it does not stand for the names of hidden files.
    pub(super) fn expand(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let pattern = Include::new(&self.path(pattern))?;
        let found = pattern.files().map_err(|error| format!("cannot be read: {error}"))?;
        self.sources.borrow_mut().listed.push((pattern, found.clone()));
        Ok(found)
    }

    /// True for a file that has been read by now.
    pub(super) fn has_read(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        let wanted = real(path);
        wanted.is_some() && self.sources.borrow().files.keys().any(|path| real(path) == wanted)
    }

    /// True for a file that a pattern of `include` stands for, whether it is there by now or not.
    pub(super) fn would_include(&self, path: &Path) -> bool {
        self.sources.borrow().listed.iter().any(|(include, _)| include.means(path))
    }

    pub(super) fn into_sources(self) -> Sources {
        self.sources.into_inner()
    }
}

/// A path for people: bytes that are no text are written as `\xNN`, and not all as one sign.
pub(super) fn shown(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    let written = |chunk: std::str::Utf8Chunk<'_>| {
        let rest = chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}"));
        std::iter::once(chunk.valid().to_owned()).chain(rest).collect::<String>()
    };
    chunks.map(written).collect()
}

/// Opens a regular file for reading. Nothing else is waited for: a pipe can have nobody at its other
/// end, and a device may have no end at all.
///
/// # Errors
/// Where it cannot be opened, or with what it is instead of a file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let regular = |about: &Metadata| match OddFile::of_mode(about.mode()) {
        Some(odd) => Err(io::Error::other(odd.to_string())),
        None => Ok(()),
    };
    // Some devices do something when they are opened.
    regular(&std::fs::metadata(path)?)?;
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(without_waiting).open(path)?;
    // Somebody may have put something else in its place meanwhile.
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads all of a regular file of at most 128 MiB.
///
/// # Errors
/// As [`open_file`], and where it is longer.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_all(&mut open_file(path)?)
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is longer than 128 MiB"));
    }
    Ok(bytes)
}

/// Like [`read_file`], at the moment `now`; with the stamp of what was read, where it tells it
/// from everything that can come later.
fn read_stamped(path: &Path, now: UnixSeconds) -> io::Result<(Vec<u8>, Option<Stamp>)> {
    let mut file = open_file(path)?;
    let before = Stamp::of(&file.metadata()?);
    let bytes = read_all(&mut file)?;
    let is_one = Stamp::of(&file.metadata()?) == before;
    Ok((bytes, Some(before).filter(|stamp| is_one && stamp.is_settled(now))))
}

/// Like [`read_file`], for text.
///
/// # Errors
/// As [`read_file`], and where it is no UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    String::from_utf8(read_file(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// The first 64 bits of a revision, for people. Nothing is decided by it: two files can be made
/// that have them in common.
#[must_use]
pub fn short(revision: &str) -> &str {
    revision.get(..16).unwrap_or(revision)
}
