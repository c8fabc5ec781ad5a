//! Tools that are not, or no longer, what was approved: what a list shows of them, and the word
//! about it.

use std::sync::Arc;

use super::sieve::Sieve;
use crate::core::listing::{Listing, Shape};
use crate::core::permission::{Target, TargetKind};
use crate::core::pin::{Mark, Pins, Sighting, Source};
use crate::telemetry::audit::shorten;
use crate::telemetry::metrics::Metrics;

/// Compares one list of an upstream with its pins, where it has some.
pub(super) struct Drift<'d> {
    sieve: &'d Sieve<'d>,
    pins: Option<&'d Pins>,
    asker: Option<Mark>,
    source: Option<Source>,
    sightings: Vec<Sighting>,
}

impl<'d> Drift<'d> {
    pub(super) fn new(sieve: &'d Sieve<'d>) -> Self {
        let pins = sieve.permit.pins();
        let asker = pins.map(|_| sieve.permit.asker());
        let source = pins.and_then(|_| source(sieve, None));
        Self { sieve, pins, asker, source, sightings: Vec::new() }
    }

    /// True where the list may show this to the caller, as far as pins go.
    pub(super) fn may_show(&mut self, target: Target<'_>, item: &str) -> bool {
        let (Some(pins), Some(asker), TargetKind::Tool) = (self.pins, self.asker, target.kind)
        else {
            return true;
        };
        let sighting = pins.compare(target.name, item);
        let source = self.source.unwrap_or(Source::Replay);
        let may_show = pins.may_show(&sighting, asker, &source);
        self.sightings.push(sighting);
        may_show
    }

    /// Remembers what the list showed, logs what is news, and shows how things stand.
    pub(super) fn remember(self, listing: &Listing) {
        let is_tools = listing.shape == Shape::List(TargetKind::Tool);
        let source = source(self.sieve, listing.next.as_deref()).filter(|_| is_tools);
        let (Some(pins), Some(asker), Some(source)) = (self.pins, self.asker, source) else {
            return;
        };
        let news = pins.remember(&self.sightings, asker, &source);
        let (gateway, upstream) = (self.sieve.context.gateway, self.sieve.permit.upstream());
        tell(&gateway.metrics, upstream, pins, &news);
        let unknown = pins.beyond_memory(&self.sightings);
        gateway.lists.too_many_new(&gateway.metrics, upstream, unknown);
    }
}

/// The source of a list in this answer. What was asked for before a reload is no answer of now.
fn source(sieve: &Sieve<'_>, next: Option<&str>) -> Option<Source> {
    let is_now = Arc::ptr_eq(&sieve.context.gateway.snapshot(), sieve.context.snapshot);
    let source = sieve.permit.source(next)?;
    Some(if is_now { source } else { Source::Replay })
}

/// A name comes from the upstream: it is cut, and the log escapes it.
fn tell(metrics: &Metrics, upstream: &str, pins: &Pins, news: &[Sighting]) {
    for Sighting { tool, changes, .. } in news {
        tracing::warn!(
            event = "upstream.tools_changed",
            upstream,
            tool = shorten(tool),
            changes = changes.words(),
            "doorward lock --check tells more"
        );
        for change in changes.iter() {
            metrics.tool_changed(upstream, change);
        }
    }
    metrics.show_drift(upstream, Some(pins));
}
