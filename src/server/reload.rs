//! Another configuration without a restart: read, checked and built whole, then swapped at once.
//! Where anything is wrong with it, everything stays as it was.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::build::Builder;
use super::tls::{ListenerTls, Prepared};
use super::watch::Watch;
use super::{StartError, show};
use crate::admin::{LastReload, Status, TriedOut};
use crate::config::{self, Config, Reading, Settings, Sources};
use crate::gateway::Gateway;
use crate::telemetry::audit::Note;
use crate::telemetry::log::Dial;
use crate::telemetry::metrics::Metrics;

/// What a reload acts on.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    /// The settings that the process started with.
    pub(super) started: Settings,
    pub(super) sources: Sources,
    pub(super) builder: Builder,
    pub(super) gateway: Arc<Gateway>,
    pub(super) tls: Option<ListenerTls>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: Status,
    pub(super) dial: Dial,
}

impl Reloader {
    /// Reloads whenever a file has changed, and on every SIGHUP.
    pub(super) async fn run(&mut self, mut hangup: Signal) {
        let mut watch = Watch::new();
        watch.follow(self.sources.folders());
        loop {
            let is_forced = tokio::select! {
                () = watch.noticed() => false,
                _ = hangup.recv() => true,
            };
            if is_forced {
                self.gateway.audit().reopen();
            }
            let (path, sources) = (self.path.clone(), self.sources.clone());
            let bound = self.started.listen.clone();
            // Reading takes its time, which requests must not wait for.
            let read = tokio::task::spawn_blocking(move || {
                (is_forced || !sources.are_current()).then(|| config::read(&path, &bound))
            });
            match read.await {
                Ok(None) => {}
                Ok(Some(reading)) => {
                    self.reload(reading).await;
                    watch.follow(self.sources.folders());
                }
                Err(error) => tracing::error!(event = "config.rejected", %error),
            }
        }
    }

    async fn reload(&mut self, reading: Reading) {
        self.sources = reading.sources;
        let revision = self.sources.revision();
        let applied = match reading.config {
            Ok(config) => self.apply(config, &revision).await.map_err(|e| vec![e.to_string()]),
            Err(findings) => Err(findings.to_string().lines().map(str::to_owned).collect()),
        };
        self.metrics.reload(applied.is_ok());
        match applied {
            Ok((needs_restart, tried_out)) => {
                for key in &needs_restart {
                    tracing::warn!(
                        event = "config.restart_needed",
                        key,
                        "takes effect after a restart"
                    );
                }
                tracing::info!(event = "config.loaded", revision);
                self.status.loaded(revision, needs_restart, tried_out);
            }
            Err(errors) => {
                for line in &errors {
                    tracing::error!(event = "config.error", "{line}");
                }
                let errors_count = errors.len();
                tracing::error!(
                    event = "config.rejected",
                    errors = errors_count,
                    "the configuration of before stays in use"
                );
                self.status.refused(LastReload::refused(errors));
            }
        }
    }

    /// Everything that can fail comes before the first thing that changes.
    async fn apply(
        &mut self,
        config: Config,
        revision: &str,
    ) -> Result<(Vec<&'static str>, Vec<TriedOut>), StartError> {
        let Config { settings, policy, issuers, named_tools, shadows, warnings, .. } = config;
        let prepared = settings.tls.as_ref().map(Prepared::new).transpose()?;
        let before = self.gateway.snapshot();
        let snapshot =
            self.builder.snapshot(&settings, policy, &issuers, revision, Some(&before)).await?;

        for line in warnings.without_advice().to_string().lines() {
            tracing::warn!(event = "config.warning", "{line}");
        }
        super::fetch_keys(&snapshot, Some(&before));
        for issuer in before.keys.keys().filter(|name| !snapshot.keys.contains_key(*name)) {
            self.metrics.forget_issuer(issuer);
        }
        self.gateway.replace(snapshot);
        self.gateway.audit().note(&Note::new("reload", revision));
        if let (Some(tls), Some(prepared)) = (&self.tls, prepared) {
            tls.replace(prepared);
        }
        self.dial.set(settings.log_level);
        show(&self.metrics, &settings, &named_tools, revision);
        Ok((settings.needing_restart(&self.started), super::tried_out(&shadows)))
    }
}
