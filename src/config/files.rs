//! The files that a configuration consists of: the one that is named, and those that it names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use crate::core::glob::Glob;
use crate::core::odd_file::OddFile;
use crate::core::principal::Digest;
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
            Some((other, text)) if other == path => Ok(text.clone().into_bytes()),
            _ => read_file(path),
        };
        let digest = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        self.sources.borrow_mut().files.insert(path.to_owned(), digest);
        read
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
    let mut bytes = Vec::new();
    open_file(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is longer than 128 MiB"));
    }
    Ok(bytes)
}

/// Like [`read_file`], for text.
///
/// # Errors
/// As [`read_file`], and where it is no UTF-8.
pub fn read_text_file(path: &Path) -> io::Result<String> {
    String::from_utf8(read_file(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// What was read, as it was then.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Where relative paths start.
    base: PathBuf,
    /// Absent digests are of files that could not be read.
    files: BTreeMap<PathBuf, Option<Digest>>,
    /// What patterns stood for.
    listed: Vec<(Include, Vec<PathBuf>)>,
}

impl Sources {
    /// Whether a new reading would find the very same.
    #[must_use]
    pub fn are_current(&self) -> bool {
        let same = |(path, digest): (&PathBuf, &Option<Digest>)| {
            read_file(path).ok().map(|bytes| Sha256::digest(bytes).into()) == *digest
        };
        self.listed.iter().all(|(include, found)| include.files().ok().as_ref() == Some(found))
            && self.files.iter().all(same)
    }

    /// The folders in which a change can make a difference: those of the files, and those of what
    /// links point to.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let named = self.files.keys().filter_map(|path| parent(path));
        let linked = self.files.keys().filter_map(|path| parent(&path.canonicalize().ok()?));
        let listed = self.listed.iter().filter_map(|(include, _)| match include {
            Include::File(path) => parent(path),
            Include::Glob { folder, .. } => Some(folder.clone()),
        });
        let folders = named.chain(linked).chain(listed);
        folders.map(|f| if f.as_os_str().is_empty() { PathBuf::from(".") } else { f }).collect()
    }

    /// SHA-256 over everything, in hexadecimal: says which configuration it is. People are shown
    /// [the beginning](short).
    #[must_use]
    pub fn revision(&self) -> String {
        let mut all = Sha256::new();
        for (path, digest) in &self.files {
            // The same wherever the folder lies, and from wherever it is named.
            let name = path.strip_prefix(&self.base).unwrap_or(path).as_os_str().as_bytes();
            all.update((name.len() as u64).to_be_bytes());
            all.update(name);
            // A file that cannot be read is none that is empty.
            all.update([u8::from(digest.is_some())]);
            all.update(digest.unwrap_or_default());
        }
        let digest: Digest = all.finalize().into();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The first 64 bits of a revision, for people. Nothing is decided by it: two files can be made
/// that have them in common.
#[must_use]
pub fn short(revision: &str) -> &str {
    revision.get(..16).unwrap_or(revision)
}

/// An entry of `include`.
#[derive(Clone, Debug)]
enum Include {
    File(PathBuf),
    Glob { folder: PathBuf, names: Glob },
}

impl Include {
    fn new(path: &Path) -> Result<Self, String> {
        let is_glob = |text: &str| text.contains(['*', '?', '[', '{']);
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("names no file")?;
        if folder.to_str().is_none_or(is_glob) {
            return Err("may hold `*` in its last part only".to_owned());
        }
        if !is_glob(name) {
            return Ok(Self::File(path.to_owned()));
        }
        let names = Glob::of_names(name).map_err(|why| why.to_string())?;
        Ok(Self::Glob { folder, names })
    }

    /// Whether a file with this path would be one of [`Self::files`], were it there.
    fn means(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return false };
        let real = |path: Option<&Path>| {
            let folder = path.filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
        };
        let is_in = |folder: Option<&Path>| real(folder) == real(path.parent());
        match self {
            Self::File(file) => file.file_name() == Some(name) && is_in(file.parent()),
            Self::Glob { folder, names } => is_meant(names, name) && is_in(Some(folder)),
        }
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::File(path) => Ok(vec![path.clone()]),
            Self::Glob { folder, names } => {
                let mut found = Vec::new();
                for entry in std::fs::read_dir(folder)? {
                    let name = entry?.file_name();
                    if is_meant(names, &name) {
                        found.push(folder.join(name));
                    }
                }
                found.sort();
                Ok(found)
            }
        }
    }
}

fn is_meant(names: &Glob, name: &OsStr) -> bool {
    !name.to_string_lossy().starts_with('.') && names.is_match(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(files: &[(&str, Option<&[u8]>)]) -> String {
        let digest = |bytes: &[u8]| Sha256::digest(bytes).into();
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), text.map(digest)));
        Sources { base: "/etc".into(), files: files.collect(), listed: Vec::new() }.revision()
    }

    #[test]
    fn a_revision_is_a_whole_digest_of_what_was_read_and_of_where_it_stood() {
        let all = [
            revision(&[("/etc/a", Some(b"x")), ("/etc/b", Some(b"y"))]),
            revision(&[("/etc/a", Some(b"y")), ("/etc/b", Some(b"x"))]),
            // The same texts in the same order, under other names.
            revision(&[("/etc/a", Some(b"x")), ("/etc/c", Some(b"y"))]),
            revision(&[("/etc/a", Some(b"x"))]),
            revision(&[("/etc/a", Some(b"x")), ("/etc/b", None)]),
            revision(&[("/etc/a", Some(b"x")), ("/etc/b", Some(b""))]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|revision| revision.len() == 64 && short(revision).len() == 16));
        // Wherever somebody stands who names it.
        assert_eq!(revision(&[("/etc/a", Some(b"x"))]), revision(&[("a", Some(b"x"))]));
    }

    /// Two texts whose revisions begin with the same 32 bits take a moment to find.
    #[test]
    fn files_whose_revisions_begin_alike_are_told_apart() {
        let of = |text: &str| revision(&[("/etc/a", Some(text.as_bytes()))]);
        let mut known = BTreeMap::new();
        let found = (0..400_000).find_map(|n: u32| {
            let text = format!("# {n}");
            let start = of(&text).get(..8)?.to_owned();
            known.insert(start, text.clone()).map(|before| (before, text))
        });
        let (one, other) = found.expect("two of them");
        assert_ne!(of(&one), of(&other));
        assert_ne!(short(&of(&one)), short(&of(&other)));
    }
}
