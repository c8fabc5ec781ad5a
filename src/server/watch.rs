//! Notices that files of the configuration have changed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::config::Interest;

/// How long nothing must have happened before files are looked at: whoever writes several, or one
/// in several steps, is given time to finish.
const QUIET: Duration = Duration::from_millis(100);

/// How long that is waited for at most.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often files are looked at without a notice: on some file systems none comes.
const POLL: Duration = Duration::from_secs(15);

/// Watches folders and not files, since a file is often replaced and not rewritten: by editors,
/// and by Kubernetes, which replaces a link beside it.
pub(super) struct Watch {
    noticed: Arc<Notify>,
    /// Absent where the system gives none.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    /// What a change must be about: the records may go to a file in the same folder.
    interest: Arc<Mutex<Interest>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let noticed = Arc::new(Notify::new());
        let interest = Arc::<Mutex<Interest>>::default();
        let (notify, wanted) = (Arc::clone(&noticed), Arc::clone(&interest));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !is_change(&event, &wanted.lock())) {
                return;
            }
            notify.notify_one();
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(event = "config.not_watched", %error, "changes are noticed within 15 s");
            })
            .ok();
        Self { noticed, watcher, folders: BTreeSet::new(), interest }
    }

    /// From now on this is watched. Whatever has happened since it was read, in a new folder or
    /// to a new name, is noticed, too.
    pub(super) fn follow(&mut self, interest: &Interest) {
        let folders = interest.folders().clone();
        let before = std::mem::replace(&mut *self.interest.lock(), interest.clone());
        if !folders.is_subset(&self.folders) || !interest.is_within(&before) {
            self.noticed.notify_one();
        }
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for old in self.folders.difference(&folders) {
            // It may be gone, and its watch with it.
            let _ = watcher.unwatch(old);
        }
        let mut watched = BTreeSet::new();
        for folder in folders {
            let is_new = !self.folders.contains(&folder);
            match if is_new { watcher.watch(&folder, RecursiveMode::NonRecursive) } else { Ok(()) }
            {
                Ok(()) => drop(watched.insert(folder)),
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(event = "config.not_watched", %folder, %error, "changes are noticed within 15 s");
                }
            }
        }
        self.folders = watched;
    }

    /// Returns when something may have changed, and some time later at the latest.
    pub(super) async fn noticed(&self) {
        if timeout(POLL, self.noticed.notified()).await.is_ok() {
            let quiet = async { while timeout(QUIET, self.noticed.notified()).await.is_ok() {} };
            // A folder in which something happens all the time is looked at all the same.
            let _ = timeout(PATIENCE, quiet).await;
        }
    }
}

/// Whether an event tells of a change that can make a difference. Where some were lost, or it does
/// not say what it is about, it can.
fn is_change(event: &Event, interest: &Interest) -> bool {
    // Our own reading is not a change.
    let is_access = matches!(event.kind, EventKind::Access(_)) && !event.need_rescan();
    let is_vague = event.need_rescan() || event.paths.is_empty();
    !is_access && (is_vague || event.paths.iter().any(|path| interest.concerns(path)))
}
