//! What the log says of lists: items that were left out, and callers who see nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::decide::Permit;
use crate::core::listing::{LeftOut, OddItem, Tally};
use crate::core::permission::TargetKind;
use crate::core::pin::Mark;
use crate::telemetry::metrics::{Forgotten, Metrics};
use crate::telemetry::seldom::Seldom;

/// How many lists without items are remembered, so that each is told once. Beyond, none is told.
const MAX_EMPTY: usize = 10_000;

/// How many lists of upstreams, each with its faults, have a pause of their own between two words.
/// Names of upstreams come from the configuration, and from those before it.
const MAX_SPOILT: usize = 1_000;

/// The words about lists that were said.
#[derive(Debug, Default)]
pub(super) struct Lists {
    empty: Mutex<HashSet<Mark>>,
    spoilt: Mutex<HashMap<Mark, Arc<Seldom>>>,
}

impl Lists {
    /// Counts the items that were left out of a list, and tells of the first of them.
    pub(super) fn left_out(
        &self,
        metrics: &Metrics,
        upstream: &str,
        kind: TargetKind,
        LeftOut { count, first }: &LeftOut,
    ) {
        if *count == 0 {
            return;
        }
        let list = word(kind);
        metrics.items_left_out(upstream, list, *count);
        // Another fault is another word.
        let mut faults: Vec<&str> = first.iter().map(|item| item.odd.what).collect();
        faults.sort_unstable();
        faults.dedup();
        let Some(unsaid) = self.seldom(upstream, list, &faults.join(";")).say() else {
            return;
        };
        let items = first.iter().map(OddItem::to_string).collect::<Vec<_>>().join("; ");
        tracing::warn!(
            event = "upstream.items_left_out",
            upstream,
            list,
            count,
            items,
            unsaid,
            "items of the list cannot be read and are left out of it"
        );
    }

    /// Counts tools that nobody approved, beyond those that are told by name.
    pub(super) fn too_many_new(&self, metrics: &Metrics, upstream: &str, count: usize) {
        if count == 0 {
            return;
        }
        metrics.forget(Forgotten::NewTool, count);
        if let Some(unsaid) = self.seldom(upstream, "new tools", "").say() {
            tracing::warn!(
                event = "upstream.many_new_tools",
                upstream,
                count,
                unsaid,
                "more tools that nobody approved than are told by name and counted in tools_changed"
            );
        }
    }

    fn seldom(&self, upstream: &str, list: &str, faults: &str) -> Arc<Seldom> {
        let mut spoilt = self.spoilt.lock();
        let mark = match spoilt.len() {
            ..MAX_SPOILT => Mark::of(&[upstream, list, faults]),
            _ => Mark::of(&[]),
        };
        Arc::clone(spoilt.entry(mark).or_default())
    }

    /// Tells once that a whole list holds nothing for its caller. `granted` counts what the grants
    /// let through.
    pub(super) fn seen(
        &self,
        metrics: &Metrics,
        permit: &Permit,
        kind: TargetKind,
        tally: &Tally,
        granted: usize,
    ) {
        let items = tally.items.saturating_sub(tally.left_out.count);
        if tally.kept > 0 || items == 0 || !permit.is_from_the_beginning() {
            return;
        }
        let (list, upstream) = (word(kind), permit.upstream());
        let principal = permit.principal();
        let (token, issuer) = (principal.token_name(), principal.issuer_name());
        let name = token.or(issuer).unwrap_or_default();
        let mark =
            Mark::of(&[if token.is_some() { "token" } else { "issuer" }, name, upstream, list]);
        let mut empty = self.empty.lock();
        if empty.contains(&mark) {
            return;
        }
        if empty.len() >= MAX_EMPTY {
            return metrics.forget(Forgotten::EmptyList, 1);
        }
        empty.insert(mark);
        drop(empty);
        let whose = if token.is_some() { "its roles" } else { "the roles of this issuer's rules" };
        let why = match granted {
            0 => format!("nothing is granted by {whose}"),
            _ => format!("of what is granted by {whose}, nothing is as tools.lock has it"),
        };
        let user = principal.user().as_str();
        tracing::warn!(
            event = "upstream.list_empty",
            upstream,
            list,
            token,
            issuer,
            user,
            items,
            "{name} sees none of the {items} {list} of {upstream}; {why}"
        );
    }
}

/// The list of such things, in the log and in metrics.
fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Prompt => "prompts",
        TargetKind::Resource => "resources",
        TargetKind::Template => "resource templates",
        TargetKind::Tool => "tools",
    }
}
