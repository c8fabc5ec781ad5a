//! What a configuration was read from, whether it is still the same, and what would change it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::read_stamped;
use super::stamp::Stamp;
use crate::core::glob::Glob;
use crate::core::principal::Digest;
use crate::core::token::UnixSeconds;

/// What was read, as it was then.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Where relative paths start.
    pub(super) base: PathBuf,
    pub(super) files: BTreeMap<PathBuf, Source>,
    /// What patterns stood for.
    pub(super) listed: Vec<(Include, Vec<PathBuf>)>,
}

/// A file as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Absent for one that could not be read.
    digest: Option<Digest>,
    /// Absent where only its content can tell whether it has changed.
    stamp: Option<Stamp>,
}

impl Source {
    pub(super) fn of(read: &io::Result<(Vec<u8>, Option<Stamp>)>) -> Self {
        let read = read.as_ref().ok();
        let digest = read.map(|(bytes, _)| Sha256::digest(bytes).into());
        Self { digest, stamp: read.and_then(|(_, stamp)| *stamp) }
    }

    /// Whether a new reading of `path` would find the same. Where its stamp is the same, nothing
    /// is read.
    fn is_current(&mut self, path: &Path, now: UnixSeconds) -> bool {
        let found = std::fs::metadata(path).ok().map(|about| Stamp::of(&about));
        if self.stamp.is_some() && self.stamp == found {
            return true;
        }
        let new = Self::of(&read_stamped(path, now));
        let is_same = new.digest == self.digest;
        self.stamp = new.stamp.filter(|_| is_same);
        is_same
    }
}

impl Sources {
    /// Whether a new reading would find the very same.
    #[must_use]
    pub fn are_current(&mut self) -> bool {
        self.are_current_at(jiff::Timestamp::now().as_second())
    }

    fn are_current_at(&mut self, now: UnixSeconds) -> bool {
        let is_same = |(include, found): &(Include, Vec<PathBuf>)| {
            include.files().ok().as_ref() == Some(found)
        };
        self.listed.iter().all(is_same)
            && self.files.iter_mut().all(|(path, source)| source.is_current(path, now))
    }

    /// Where, and of what, a change can make a difference.
    #[must_use]
    pub fn interest(&self) -> Interest {
        let listed = self.listed.iter().filter_map(|(include, _)| match include {
            Include::File(_) => None,
            Include::Glob { names, .. } => Some(names.clone()),
        });
        let mut names = BTreeSet::new();
        let includes = self.listed.iter().filter_map(|(include, _)| match include {
            Include::File(path) => Some(path),
            Include::Glob { .. } => None,
        });
        self.files.keys().chain(includes).for_each(|path| names_on_way(path, &mut names));
        Interest { folders: self.folders(), names, globs: listed.collect() }
    }

    /// The folders in which a change can make a difference: those of the files, and those of what
    /// links point to.
    fn folders(&self) -> BTreeSet<PathBuf> {
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
    /// [the beginning](super::short).
    #[must_use]
    pub fn revision(&self) -> String {
        let mut all = Sha256::new();
        for (path, Source { digest, .. }) in &self.files {
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

/// Where a change can make a difference, and by what names.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    folders: BTreeSet<PathBuf>,
    names: BTreeSet<OsString>,
    globs: Vec<Glob>,
}

impl Interest {
    /// The folders: those of the files, and those of what links point to.
    #[must_use]
    pub fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.folders
    }

    /// Whether everything that concerns this concerns `other`, too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let has = |glob: &Glob| other.globs.contains(glob);
        self.folders.is_subset(&other.folders)
            && self.names.is_subset(&other.names)
            && self.globs.iter().all(has)
    }

    /// Whether a change of `path`, which lies in one of the folders or is one, can make a
    /// difference: it has a name that stands on the way to a file, or that a pattern takes in. Two
    /// folders can be one, under different names, so only the last name counts.
    #[must_use]
    pub fn concerns(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return true };
        self.folders.contains(path)
            || self.names.contains(name)
            || self.globs.iter().any(|glob| glob.is_match(name.as_bytes()))
    }
}

/// Most links on the way to a file.
const MAX_LINKS: usize = 64;

/// Every name on the way to a file, through all links: whoever replaces one of them can put
/// another file in its place.
fn names_on_way(path: &Path, names: &mut BTreeSet<OsString>) {
    let backwards = |path: &Path| {
        let parts: Vec<PathBuf> = path.components().map(|part| part.as_os_str().into()).collect();
        parts.into_iter().rev()
    };
    let mut ahead: Vec<PathBuf> = backwards(path).collect();
    let (mut at, mut links) = (PathBuf::new(), 0);
    while let Some(part) = ahead.pop() {
        names.extend(part.file_name().map(OsStr::to_owned));
        let next = at.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                // A target that begins with `/` takes the place of all before.
                ahead.extend(backwards(&target));
            }
            _ => at = next,
        }
    }
}

/// An entry of `include`.
#[derive(Clone, Debug)]
pub(super) enum Include {
    File(PathBuf),
    Glob { folder: PathBuf, names: Glob },
}

impl Include {
    pub(super) fn new(path: &Path) -> Result<Self, String> {
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
    pub(super) fn means(&self, path: &Path) -> bool {
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

    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
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
mod tests;
