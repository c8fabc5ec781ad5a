//! Files of the operator, put in their place at once.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use super::talk::{Complaint, spelled, tell};
use crate::config;
use crate::core::harmless::visible;

/// While it lives, every other change by this command of what belongs to the configuration waits.
pub(super) struct Turn {
    _folder: Option<File>,
}

/// How long somebody else's turn is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for one's turn to change the configuration at `main`. What is read before it can be old.
///
/// There is no file for it, whose mode could be wrong: the folder is locked, which anybody can who
/// can read it, and hold for ever. To end a token is worth more than to be alone: after some seconds,
/// or where nobody can lock it, it goes on. What somebody has written meanwhile is seen all the same.
pub(super) fn turn(main: &Path) -> Result<Turn, Complaint> {
    let path = main.canonicalize();
    let path = path.map_err(|error| Complaint(format!("{} {error}", missing(main))))?;
    // The file itself is replaced, and a lock on it with it.
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let locked = File::open(folder).and_then(|folder| lock(&folder).map(|()| folder));
    if let Err(error) = &locked {
        tell(&format!(
            "doorward: the folder of {}: {error}; going on without a turn",
            spelled(main)
        ));
    }
    Ok(Turn { _folder: locked.ok() })
}

fn missing(main: &Path) -> String {
    format!("{} cannot be read:", spelled(main))
}

/// Locks a folder, or says who has it.
fn lock(folder: &File) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => {
                std::thread::park_timeout(LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                let who = holder(folder).map_or_else(String::new, |who| format!(" by {who}"));
                let waited = PATIENCE.as_secs();
                return Err(io::Error::other(format!("it has been locked{who} for {waited} s")));
            }
            // File systems that know no locks.
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(error);
            }
            _ => return Ok(()),
        }
    }
}

/// The process that holds a lock on `folder`, as far as Linux says it.
fn holder(folder: &File) -> Option<String> {
    let inode = folder.metadata().ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`; one that waits has `->` behind the number.
    let pid = locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, pid, place) = (words.next()?, words.nth(2)?, words.next()?);
        let is_it = place.rsplit(':').next()?.parse() == Ok(inode);
        (kind == "FLOCK" && is_it).then(|| pid.to_owned())
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(visible(format!("process {pid} {}", name.trim()).trim_end()))
}

/// Whoever reads it finds all of the old text or all of the new.
/// `None` before is a file that is not there.
pub(super) fn write(path: &Path, before: Option<&str>, after: &str) -> io::Result<()> {
    let path = match before {
        Some(_) => path.canonicalize()?,
        None => path.to_owned(),
    };
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    // No `include` takes a hidden file for one of its own, and no leftover stands in the way.
    let new = folder.join(format!(".doorward-{}", uuid::Uuid::new_v4().simple()));
    let written = prepare(before.map(|_| &*path), &new, after).and_then(|()| {
        let now = match config::read_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if now.as_deref() != before.map(str::as_bytes) {
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

/// Makes the file `new` as if it were the one at `path`, where there is one, with another text.
fn prepare(path: Option<&Path>, new: &Path, text: &str) -> io::Result<()> {
    let mode = if path.is_some() { 0o600 } else { 0o644 };
    let mut file = File::options().write(true).create_new(true).mode(mode).open(new)?;
    if let Some(path) = path {
        take_after(path, &file)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives `file` the owner and the mode of the one at `path`.
fn take_after(path: &Path, file: &File) -> io::Result<()> {
    let (old, made) = (fs::metadata(path)?, file.metadata()?);
    if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
        // The gateway may run as somebody else than the operator, and must still read it.
        fchown(file, Some(old.uid()), Some(old.gid()))
            .map_err(|error| io::Error::other(format!("its owner would change: {error}")))?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_has_written_meanwhile_stays() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "theirs").unwrap();
        let error = write(&path, Some("before"), "ours").unwrap_err();
        assert!(error.to_string().contains("somebody else"), "{error}");
        assert!(write(&path, None, "ours").is_err(), "it is there");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        write(&path, Some("theirs"), "ours").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ours");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
