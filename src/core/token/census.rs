//! How many tokens are in which state.

use std::sync::atomic::Ordering;

use super::{AuthFailure, TokenTable, UnixSeconds};

/// Spans of time in which tokens are counted, by the words for them in metrics.
pub const SPANS: [(&str, UnixSeconds); 4] =
    [("1d", 86_400), ("7d", 7 * 86_400), ("30d", 30 * 86_400), ("90d", 90 * 86_400)];

/// How many tokens are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Valid.
    pub active: usize,
    /// Expired.
    pub expired: usize,
    /// Revoked.
    pub revoked: usize,
    /// For each of [`SPANS`], how many of the valid ones will end within it, and how many were
    /// used within it by this process.
    pub within: [[usize; 2]; 4],
}

impl TokenTable {
    /// How many are in which state at the moment `now`.
    #[must_use]
    pub fn census(&self, now: UnixSeconds) -> Census {
        let mut census = Census::default();
        let all = self.entries.values().chain(self.certificates.values());
        for entry in all.filter(|entry| entry.is_counted) {
            match entry.failure(now) {
                Some(AuthFailure::Revoked) => census.revoked += 1,
                Some(_) => census.expired += 1,
                None => {
                    census.active += 1;
                    let end = [entry.expires, entry.revoked].into_iter().flatten().min();
                    let left = end.map_or(UnixSeconds::MAX, |end| end - now);
                    let used = entry.used.load(Ordering::Relaxed);
                    for ((_, seconds), [ending, active]) in SPANS.iter().zip(&mut census.within) {
                        *ending += usize::from(left <= *seconds);
                        *active += usize::from(used > 0 && now - used <= *seconds);
                    }
                }
            }
        }
        census
    }
}
