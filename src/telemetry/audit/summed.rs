//! Requests that cost their caller nothing, summed: who floods the gateway without a token, or with
//! calls that are refused, fills neither the disk nor the places that the records of calls need.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use super::record::{Record, to_milliseconds};
use crate::core::harmless::visible;

/// How long is summed before it is written.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// How many requests of a group have records of their own in a window.
pub(super) const SINGLES: u64 = 16;

/// The same of all groups.
const MAX_SINGLES: usize = 512;

/// How many groups are told apart in a window; what is beyond is summed by its reason alone.
pub(super) const MAX_GROUPS: usize = 256;

/// The room for a summed record, in bytes.
pub(super) const SUM: i64 = 2 << 10;

/// What the requests of a window have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Common {
    reason: &'static str,
    outcome: &'static str,
    client_ip: Option<IpAddr>,
    upstream: Option<String>,
    user: Option<String>,
    token: Option<String>,
}

#[derive(Debug)]
struct Group {
    decision: &'static str,
    status: Option<u16>,
    singles: u64,
    count: u64,
    first: Timestamp,
    last: Timestamp,
    config: String,
}

/// The window that is summed.
#[derive(Debug, Default)]
pub(super) struct Sums {
    began: Option<Instant>,
    singles: usize,
    groups: HashMap<Common, Group>,
}

/// Requests that are told in one record.
#[derive(Debug, Serialize)]
pub(super) struct Sum {
    v: u8,
    #[serde(serialize_with = "to_milliseconds")]
    time: Timestamp,
    kind: &'static str,
    count: u64,
    #[serde(serialize_with = "to_milliseconds")]
    first: Timestamp,
    #[serde(serialize_with = "to_milliseconds")]
    last: Timestamp,
    user: Option<String>,
    token: Option<String>,
    client_ip: Option<IpAddr>,
    upstream: Option<String>,
    decision: &'static str,
    enforced: bool,
    reason: &'static str,
    outcome: &'static str,
    status: Option<u16>,
    config: String,
}

impl Sums {
    /// The place of its own that the record of this request has, if `place` finds one. Where it
    /// has none, it is summed.
    pub(super) fn single<P>(
        &mut self,
        record: &Record<'_>,
        place: impl FnOnce() -> Option<P>,
    ) -> Option<P> {
        let may_be_single = self.singles < MAX_SINGLES;
        let group = self.group(record);
        if group.singles < SINGLES
            && may_be_single
            && let Some(place) = place()
        {
            group.singles += 1;
            self.singles += 1;
            return Some(place);
        }
        group.add(record);
        None
    }

    /// Adds a request that has no record of its own.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        self.group(record).add(record);
    }

    fn group(&mut self, record: &Record<'_>) -> &mut Group {
        self.began.get_or_insert_with(Instant::now);
        let mut common = Common {
            reason: record.reason,
            outcome: record.outcome,
            client_ip: record.client_ip,
            upstream: record.upstream.map(str::to_owned),
            user: record.user.map(str::to_owned),
            token: record.token.map(str::to_owned),
        };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&common) {
            // Their number is that of the reasons, of which there is a table.
            common = Common { client_ip: None, upstream: None, user: None, token: None, ..common };
        }
        self.groups.entry(common).or_insert_with(|| Group {
            decision: record.decision,
            status: record.status,
            singles: 0,
            count: 0,
            first: record.time,
            last: record.time,
            config: record.config.to_owned(),
        })
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// What is to be written now; `closing` where there is no later.
    pub(super) fn take(&mut self, closing: bool) -> Vec<Sum> {
        if !closing && self.began.is_none_or(|began| began.elapsed() < WINDOW) {
            return Vec::new();
        }
        let window = std::mem::take(self);
        let summed = window.groups.into_iter().filter(|(_, group)| group.count > 0);
        let mut sums: Vec<Sum> = summed.map(|(common, group)| Sum::of(common, group)).collect();
        sums.sort_by_key(|sum| sum.last);
        sums
    }
}

impl Group {
    fn add(&mut self, record: &Record<'_>) {
        if self.count == 0 {
            (self.first, self.last) = (record.time, record.time);
        }
        self.count += 1;
        // Requests end in another order than they begin.
        self.first = self.first.min(record.time);
        self.last = self.last.max(record.time);
    }
}

impl Sum {
    fn of(common: Common, group: Group) -> Self {
        let Common { reason, outcome, client_ip, upstream, user, token } = common;
        let Group { decision, status, count, first, last, config, .. } = group;
        Self {
            v: 1,
            time: last,
            kind: "summed",
            count,
            first,
            last,
            user,
            token,
            client_ip,
            upstream,
            decision,
            enforced: true,
            reason,
            outcome,
            status,
            config,
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For a terminal.
    pub(super) fn to_text(&self) -> String {
        let from = self.client_ip.map_or_else(|| "others".to_owned(), |ip| ip.to_string());
        visible(&format!(
            "{:.3} {} {} more from {from}: {} ({}), since {:.3}",
            self.last, self.decision, self.count, self.outcome, self.reason, self.first
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::audit::tests::record;

    /// From so many addresses, one after another.
    fn flood(addresses: u32, place: Option<()>) -> (usize, Vec<Sum>) {
        let mut sums = Sums::default();
        let mut singles = 0;
        for n in 0..addresses {
            let client_ip = Some(IpAddr::from(n.to_be_bytes()));
            let record = Record { user: None, client_ip, ..record("m") };
            singles += usize::from(sums.single(&record, || place).is_some());
        }
        (singles, sums.take(true))
    }

    #[test]
    fn groups_and_singles_have_a_bound_and_nothing_is_forgotten() {
        let (singles, sums) = flood(100_000, Some(()));
        assert!(singles <= MAX_SINGLES && singles > 100, "{singles}");
        assert!(sums.len() <= MAX_GROUPS + 1, "{}", sums.len());
        let told: u64 = sums.iter().map(|sum| sum.count).sum();
        assert_eq!(told + singles as u64, 100_000);
        let others = sums.iter().find(|sum| sum.client_ip.is_none()).unwrap();
        assert_eq!(others.reason, "method");
    }

    #[test]
    fn who_finds_no_place_is_summed_from_the_first() {
        let (singles, sums) = flood(3, None);
        assert_eq!((singles, sums.len()), (0, 3));
    }

    /// What a window can add to the file at most.
    #[test]
    fn a_window_is_bounded_in_bytes() {
        let (_, sums) = flood(1_000, Some(()));
        assert!(sums.iter().all(|sum| sum.to_json().len() < 512));
    }

    #[test]
    fn a_window_that_is_not_over_is_not_written() {
        let mut sums = Sums::default();
        sums.single(&record("m"), || None::<()>);
        assert!(sums.take(false).is_empty());
        assert_eq!(sums.take(true).len(), 1);
        assert!(sums.take(true).is_empty());
    }
}
