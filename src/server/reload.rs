//! Another configuration without a restart: read, checked and built whole, then swapped at once.
//! Where anything is wrong with it, everything stays as it was. So it does where the configuration
//! gives somebody more than before, and nobody has said yes to that, if that is wanted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::build::Builder;
use super::tls::{Accepting, ListenerTls, Prepared};
use super::watch::Watch;
use super::{StartError, shown};
use crate::admin::{Held, LastReload, Status, TriedOut};
use crate::config::{
    self, Changed, Config, Findings, IssuerSpec, Reading, Settings, Sources, Widening,
};
use crate::core::access::{Difference, Tools};
use crate::core::token::UnixSeconds;
use crate::gateway::{Gateway, Snapshot};
use crate::telemetry::audit::Note;
use crate::telemetry::log::Dial;
use crate::telemetry::metrics::Metrics;

/// Settings and issuers of the configuration in use.
pub(super) type Taken = Arc<Mutex<Arc<(Settings, Vec<IssuerSpec>)>>>;

/// Those of the configuration that the process starts with.
pub(super) fn taken(config: &Config) -> Taken {
    Arc::new(Mutex::new(Arc::new((config.settings.clone(), config.issuers.clone()))))
}

/// What a reload acts on.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    /// The settings that the process started with.
    pub(super) started: Settings,
    /// Settings of the configuration in use, and its issuers.
    pub(super) taken: Taken,
    /// The revision that waits for a word: the digest of all of it.
    pub(super) held: Option<String>,
    pub(super) sources: Sources,
    pub(super) builder: Builder,
    pub(super) gateway: Arc<Gateway>,
    pub(super) tls: Option<Arc<ListenerTls>>,
    /// Certificates and authorities of the configuration in use.
    pub(super) prepared: Option<Prepared>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Status,
    pub(super) dial: Dial,
}

/// Signals by which somebody asks for a reload.
pub(super) struct Wishes {
    hangup: Signal,
    ack: Signal,
}

impl Wishes {
    /// From now on these signals do not end the process.
    pub(super) fn new() -> io::Result<Self> {
        let (hangup, ack) = (SignalKind::hangup(), SignalKind::user_defined1());
        Ok(Self { hangup: signal(hangup)?, ack: signal(ack)? })
    }
}

/// Why the files are read.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    /// Somebody has said yes to what is held.
    Ack,
    /// SIGHUP.
    Hangup,
    /// Something may have changed.
    Notice,
}

/// A configuration, and what it changes.
struct New {
    config: Config,
    difference: Difference,
    changed: Vec<Changed>,
}

/// A configuration that is wrong, and the tokens that it ends all the same.
struct Broken {
    findings: Findings,
    ends: BTreeMap<String, UnixSeconds>,
}

/// What a reload has brought.
struct Applied {
    settings: Settings,
    named_tools: Tools,
    restart_needed: Vec<&'static str>,
    tried_out: Vec<TriedOut>,
    changes: Vec<String>,
}

impl Reloader {
    /// Reloads whenever a file has changed, on every SIGHUP, and on SIGUSR1 what is held.
    pub(super) async fn run(&mut self, mut wishes: Wishes) {
        let mut watch = Watch::new();
        watch.follow(&self.sources.interest());
        loop {
            let cause = tokio::select! {
                () = watch.noticed() => Cause::Notice,
                _ = wishes.hangup.recv() => Cause::Hangup,
                _ = wishes.ack.recv() => Cause::Ack,
            };
            if cause == Cause::Hangup {
                self.gateway.audit().reopen();
            }
            let (path, mut sources) = (self.path.clone(), self.sources.clone());
            let (bound, running) = (self.started.listen.clone(), self.gateway.snapshot());
            let taken = Arc::clone(&self.taken.lock());
            // Reading takes its time, which requests must not wait for.
            let read = tokio::task::spawn_blocking(move || {
                if cause == Cause::Notice && sources.are_current() {
                    return (None, sources);
                }
                let Reading { config, sources } = config::read(&path, &bound);
                let new = config.map(|config| New::of(config, running.taken(), &taken));
                let ends = config::partial(&path).revocations();
                (Some(new.map_err(|findings| Broken { findings, ends })), sources)
            });
            match read.await {
                Ok((None, sources)) => {
                    // They may be known without being read again, or by other links.
                    self.sources = sources;
                    watch.follow(&self.sources.interest());
                }
                Ok((Some(new), sources)) => {
                    self.sources = sources;
                    self.reload(new, cause).await;
                    watch.follow(&self.sources.interest());
                }
                Err(error) => tracing::error!(event = "config.rejected", %error),
            }
        }
    }

    async fn reload(&mut self, new: Result<New, Broken>, cause: Cause) {
        let revision = self.sources.revision();
        let is_acknowledged = cause == Cause::Ack && self.held.as_ref() == Some(&revision);
        let new = match new {
            Ok(new) if self.must_wait(&new) && !is_acknowledged => {
                self.hold(&revision, new);
                return;
            }
            new => new,
        };
        // What it takes away stays in force all the same, until another one is good.
        self.held = None;
        let applied = match new {
            Ok(new) => {
                let ends = ends(&new.config);
                self.apply(new, &revision).await.map_err(|e| (vec![e.to_string()], ends))
            }
            Err(Broken { findings, ends }) => {
                Err((findings.to_string().lines().map(str::to_owned).collect(), ends))
            }
        };
        match applied {
            Ok(Applied { settings, named_tools, restart_needed, tried_out, changes }) => {
                let metrics = &self.metrics;
                let needed = restart_needed.clone();
                self.status.loaded(revision.clone(), needed, tried_out, changes.clone(), || {
                    shown::configuration(metrics, &settings, &named_tools, &revision);
                    metrics.reload(true);
                });
                for key in &restart_needed {
                    tracing::warn!(
                        event = "config.restart_needed",
                        key,
                        "takes effect after a restart"
                    );
                }
                for change in &changes {
                    tracing::info!(event = "config.change", "{change}");
                }
                self.builder.descriptors.tell(settings.limits);
                tracing::info!(event = "config.loaded", revision = config::short(&revision));
            }
            Err((errors, ends)) => self.refuse(&errors, &ends, &revision),
        }
    }

    /// Whether it gives somebody more, or sends something elsewhere, in a process that wants to be
    /// asked. To be asked no longer is more, too.
    fn must_wait(&self, new: &New) -> bool {
        self.taken.lock().0.widening == Widening::Ack && new.widens()
    }

    /// Holds a configuration: what it takes away is in force from now on, what it gives waits for a
    /// word.
    fn hold(&mut self, revision: &str, new: New) {
        let changes = new.lines();
        let config = new.config;
        let before = self.gateway.snapshot();
        let shown = self.narrowed_tls(&config);
        let bounded = self.builder.bounded(before.taken(), config, revision, &before);
        super::begin(&bounded, Some(&before), &self.metrics);
        self.gateway.replace(bounded);
        self.gateway.audit().note(&Note::new("hold", revision));
        match (&self.tls, shown) {
            (Some(tls), Ok(Some(shown))) => tls.replace(shown),
            (_, Err(error)) => {
                tracing::warn!(event = "config.warning", "what is held: {error}");
            }
            _ => {}
        }
        self.held = Some(revision.to_owned());
        let held = Held { revision: revision.to_owned(), changes: changes.clone() };
        self.status.held(held, || self.metrics.reload_held());
        for change in &changes {
            tracing::warn!(event = "config.change", "{change}");
        }
        tracing::warn!(
            event = "config.held",
            revision = config::short(revision),
            "it gives somebody more than before: what it takes away is in force; what it gives \
             waits for doorward reload --ack"
        );
    }

    /// The demand on clients while `held` waits.
    fn narrowed_tls(&self, held: &Config) -> Result<Option<Arc<Accepting>>, StartError> {
        let (Some(tls), Some(prepared)) = (&self.tls, &self.prepared) else {
            return Ok(None);
        };
        let held = held.settings.tls.as_ref().map(Prepared::new).transpose()?;
        tls.prepare(prepared, held.as_ref()).map(Some)
    }

    /// Refuses a file, but for the tokens that it ends: nobody goes on with one because of a
    /// mistake elsewhere.
    fn refuse(&self, errors: &[String], ends: &BTreeMap<String, UnixSeconds>, revision: &str) {
        let ended = self.end(ends, revision);
        let reload = LastReload::refused(errors.to_vec());
        self.status.refused(reload, ended, || self.metrics.reload(false));
        for line in errors {
            tracing::error!(event = "config.error", "{line}");
        }
        let errors_count = errors.len();
        tracing::error!(
            event = "config.rejected",
            errors = errors_count,
            "the configuration of before stays in use"
        );
    }

    /// Ends tokens, and says which did not end as early before.
    fn end(&self, ends: &BTreeMap<String, UnixSeconds>, revision: &str) -> Vec<String> {
        let before = self.gateway.snapshot();
        let ends = before.policy.outlasting(ends);
        if ends.is_empty() {
            return Vec::new();
        }
        self.gateway.replace(before.ending(&ends, revision));
        self.gateway.audit().note(&Note::new("revoke", revision));
        for name in ends.keys() {
            tracing::warn!(
                event = "config.revoked",
                token = name,
                revision = config::short(revision),
                "the file is refused, and this token is ended all the same, as the file says"
            );
        }
        ends.into_keys().collect()
    }

    /// Everything that can fail comes before the first thing that changes.
    async fn apply(&mut self, new: New, revision: &str) -> Result<Applied, StartError> {
        let changes = new.lines();
        let config = new.config;
        let taken = Arc::new((config.settings.clone(), config.issuers.clone()));
        let (settings, warnings) = (config.settings.clone(), config.warnings.without_advice());
        let (named_tools, shadows) = (config.named_tools.clone(), config.shadows.clone());
        let prepared = settings.tls.as_ref().map(Prepared::new).transpose()?;
        let accepting = match (&self.tls, &prepared) {
            (Some(tls), Some(prepared)) => Some(tls.prepare(prepared, None)?),
            _ => None,
        };
        let before = self.gateway.snapshot();
        let snapshot = self.builder.snapshot(config, revision, Some(&before)).await?;

        for line in warnings.to_string().lines() {
            tracing::warn!(event = "config.warning", "{line}");
        }
        super::begin(&snapshot, Some(&before), &self.metrics);
        for issuer in before.keys.keys().filter(|name| !snapshot.keys.contains_key(*name)) {
            self.metrics.forget_issuer(issuer);
        }
        self.gateway.replace(snapshot);
        self.gateway.audit().note(&Note::new("reload", revision));
        if let (Some(tls), Some(accepting)) = (&self.tls, accepting) {
            tls.replace(accepting);
            self.prepared = prepared;
        }
        self.dial.set(settings.log_level);
        *self.taken.lock() = taken;
        Ok(Applied {
            restart_needed: settings.needing_restart(&self.started),
            tried_out: shown::tried_out(&shadows),
            changes,
            settings,
            named_tools,
        })
    }
}

/// The tokens that a configuration ends, and from when on.
fn ends(config: &Config) -> BTreeMap<String, UnixSeconds> {
    let listed = config.policy.tokens().list();
    listed.filter_map(|listed| Some((listed.name.to_owned(), listed.revoked?))).collect()
}

impl New {
    fn of(config: Config, running: &Snapshot, taken: &(Settings, Vec<IssuerSpec>)) -> Self {
        let tools: Tools = config.named_tools.union(&running.named_tools).cloned().collect();
        let now = jiff::Timestamp::now().as_second();
        let difference = Difference::between(&running.policy, &config.policy, &tools, now);
        let (settings, issuers) = taken;
        let changed = config::changed((settings, issuers), (&config.settings, &config.issuers));
        Self { config, difference, changed }
    }

    /// A line for each change.
    fn lines(&self) -> Vec<String> {
        let rights = self.difference.lines().into_iter();
        rights.chain(self.changed.iter().map(Changed::line)).collect()
    }

    fn widens(&self) -> bool {
        self.difference.widens() || self.changed.iter().any(|changed| changed.widens)
    }
}

/// Answers what the file would change, for `/diff`.
pub(super) fn diff(
    gateway: &Arc<Gateway>,
    path: &Path,
    started: &Settings,
    taken: &Taken,
) -> Arc<dyn Fn() -> Vec<u8> + Send + Sync> {
    let (gateway, path, started) = (Arc::clone(gateway), path.to_owned(), started.clone());
    let taken = Arc::clone(taken);
    Arc::new(move || {
        let Reading { config, sources } = config::read(&path, &started.listen);
        let told = match config {
            Ok(config) => {
                let running = gateway.snapshot();
                let held = running.held.as_ref().map(|held| held.revision.as_str());
                let held = held == Some(&sources.revision());
                let basis = Arc::clone(&taken.lock());
                let new = New::of(config, running.taken(), &basis);
                json!({
                    "changes": new.lines(),
                    "widens": new.widens(),
                    "held": held,
                    "restart_needed": new.config.settings.needing_restart(&started),
                })
            }
            Err(findings) => {
                let text = findings.to_string();
                json!({"errors": text.lines().collect::<Vec<_>>()})
            }
        };
        serde_json::to_vec_pretty(&told).unwrap_or_default()
    })
}
