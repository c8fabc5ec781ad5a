//! `/status`: what runs, for people and scripts.

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::telemetry::audit::State;

/// What `/status` shows of the configuration. Holds no secret: names, times and places only.
#[derive(Clone, Debug)]
pub struct Status(Arc<Mutex<Page>>);

#[derive(Clone, Debug, Serialize)]
struct Page {
    version: &'static str,
    pid: u32,
    started: Timestamp,
    /// New calls are welcome, as `/readyz` says.
    ready: bool,
    /// What is amiss all the same, a line each.
    notes: Vec<String>,
    config: Loaded,
    /// Rules whose refusals do not count yet.
    tried_out: Vec<TriedOut>,
    /// How audit records fare.
    audit: Option<State>,
}

/// A rule that is only tried out.
#[derive(Clone, Debug, Serialize)]
pub struct TriedOut {
    /// Its path of keys in the configuration.
    pub rule: String,
    /// `file:line`.
    pub place: String,
    /// From then on it is enforced.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
struct Loaded {
    path: String,
    /// Of the configuration in use.
    revision: String,
    loaded: Timestamp,
    /// Keys whose new value waits for a restart.
    restart_needed: Vec<&'static str>,
    /// How often a reload was tried.
    reloads: u64,
    last_reload: Option<LastReload>,
    /// A configuration that waits for a word.
    held: Option<Held>,
    /// The revision of one that is or was held: what it takes away is in force.
    narrowed_by: Option<String>,
    /// Tokens that are ended by a file that was refused.
    ended_by_refused: Vec<String>,
}

/// A configuration that gives somebody more than before, and is not taken without a word; what it
/// takes away is in force.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Which.
    pub revision: String,
    /// What it would change, a line for each change.
    pub changes: Vec<String>,
}

/// How the latest reload went.
#[derive(Clone, Debug, Serialize)]
pub struct LastReload {
    time: Timestamp,
    successful: bool,
    errors: Vec<String>,
    /// What it changed, a line for each change.
    changes: Vec<String>,
}

impl LastReload {
    /// One that changed nothing, with what is wrong, a line each.
    #[must_use]
    pub fn refused(errors: Vec<String>) -> Self {
        Self { time: Timestamp::now(), successful: false, errors, changes: Vec::new() }
    }
}

impl Status {
    /// Of a process that has just started with this configuration.
    #[must_use]
    pub fn new(path: String, revision: String, tried_out: Vec<TriedOut>) -> Self {
        let now = Timestamp::now();
        let config = Loaded {
            path,
            revision,
            loaded: now,
            restart_needed: Vec::new(),
            reloads: 0,
            last_reload: None,
            held: None,
            narrowed_by: None,
            ended_by_refused: Vec::new(),
        };
        let version = env!("CARGO_PKG_VERSION");
        Self(Arc::new(Mutex::new(Page {
            version,
            pid: std::process::id(),
            started: now,
            ready: false,
            notes: Vec::new(),
            config,
            tried_out,
            audit: None,
        })))
    }

    /// Another configuration is in use. `show` tells others of it, the metrics for one: whoever
    /// has seen it here finds it there, too, and the other way round.
    pub fn loaded(
        &self,
        revision: String,
        restart_needed: Vec<&'static str>,
        tried_out: Vec<TriedOut>,
        changes: Vec<String>,
        show: impl FnOnce(),
    ) {
        let mut page = self.0.lock();
        page.tried_out = tried_out;
        page.config.reloads += 1;
        page.config.held = None;
        page.config.narrowed_by = None;
        page.config.ended_by_refused.clear();
        let time = Timestamp::now();
        page.config.last_reload =
            Some(LastReload { time, successful: true, errors: Vec::new(), changes });
        page.config.loaded = time;
        page.config.revision = revision;
        page.config.restart_needed = restart_needed;
        show();
    }

    /// Another configuration was not taken, but for the tokens that it ends; `show` as above.
    pub fn refused(&self, reload: LastReload, ended: Vec<String>, show: impl FnOnce()) {
        let mut page = self.0.lock();
        let known = &mut page.config.ended_by_refused;
        known.extend(ended);
        known.sort();
        known.dedup();
        page.config.reloads += 1;
        page.config.held = None;
        page.config.last_reload = Some(reload);
        show();
    }

    /// Another configuration waits for a word; `show` as above.
    pub fn held(&self, held: Held, show: impl FnOnce()) {
        let mut page = self.0.lock();
        page.config.reloads += 1;
        page.config.narrowed_by = Some(held.revision.clone());
        page.config.held = Some(held);
        show();
    }

    /// As JSON, with how audit records fare.
    pub(super) fn json(&self, ready: bool, notes: Vec<String>, audit: Option<State>) -> Vec<u8> {
        let page = Page { ready, notes, audit, ..self.0.lock().clone() };
        serde_json::to_vec_pretty(&page).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody reads the page between the two.
    #[test]
    fn others_are_told_while_nobody_reads_the_page() {
        let status = Status::new("x".to_owned(), "1".to_owned(), Vec::new());
        let mut told = 0;
        let mut tell = || {
            assert!(status.0.try_lock().is_none());
            told += 1;
        };
        status.loaded("2".to_owned(), Vec::new(), Vec::new(), Vec::new(), &mut tell);
        status.refused(LastReload::refused(Vec::new()), Vec::new(), &mut tell);
        status.held(Held { revision: "3".to_owned(), changes: Vec::new() }, &mut tell);
        assert_eq!(told, 3);
    }
}
