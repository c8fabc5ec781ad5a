//! The way through the pages of a list, with an end.

use std::collections::HashSet;
use std::time::Duration;

use super::FetchError;
use crate::core::pin::{Definition, Mark};

/// Most pages of one list.
const MAX_PAGES: usize = 1_000;

/// Most that all pages of one list may have, in times of `limits.listing`.
const MAX_LISTINGS: usize = 4;

/// Most values in all tools of one list; see [`Definition::values`].
const MAX_VALUES: usize = 500_000;

/// Longest time for all pages of one list, in times of `call_timeout`.
pub(super) const MAX_PATIENCE: u32 = 4;

/// The pages of one list that were read.
pub(super) struct Walk {
    /// The page that is asked for; the first is 1.
    page: usize,
    /// Bytes that may still come.
    left: usize,
    /// Values that may still come.
    values: usize,
    cursors: HashSet<Mark>,
}

impl Walk {
    /// A walk through pages of at most `listing` bytes each.
    pub(super) fn new(listing: usize) -> Self {
        let left = listing.saturating_mul(MAX_LISTINGS);
        Self { page: 1, left, values: MAX_VALUES, cursors: HashSet::new() }
    }

    /// The page that is asked for; the first is 1.
    pub(super) fn page(&self) -> usize {
        self.page
    }

    /// The time for all pages, where each may take as long as this.
    pub(super) fn patience(call_timeout: Duration) -> Duration {
        call_timeout.saturating_mul(MAX_PATIENCE)
    }

    /// Counts the values of a tool, before it is read.
    ///
    /// # Errors
    /// Where all tools have too many.
    pub(super) fn weigh(&mut self, item: &str) -> Result<(), FetchError> {
        let left = self.values.checked_sub(Definition::values(item));
        self.values = left.unwrap_or(0);
        let beyond =
            || FetchError::Beyond(format!("its tools have more than {MAX_VALUES} values in all"));
        left.map(drop).ok_or_else(beyond)
    }

    /// Counts a page of that many bytes, and goes on to the one with this cursor.
    ///
    /// # Errors
    /// Where all pages are too long together, there are too many, or the cursor leads back.
    pub(super) fn step(&mut self, bytes: usize, next: Option<&str>) -> Result<(), FetchError> {
        let beyond = |what: String| Err(FetchError::Beyond(what));
        let Some(left) = self.left.checked_sub(bytes) else {
            return beyond(format!(
                "the pages of the list have more than {MAX_LISTINGS} times limits.listing in all"
            ));
        };
        self.left = left;
        let Some(cursor) = next else {
            return Ok(());
        };
        if !self.cursors.insert(Mark::of(&[cursor])) {
            return Err(FetchError::Unclear("its cursor leads back to an earlier page".into()));
        }
        if self.page >= MAX_PAGES {
            return beyond(format!("the list has more than {MAX_PAGES} pages"));
        }
        self.page += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_leads_back_or_is_too_long_in_all_has_an_end() {
        let mut walk = Walk::new(100);
        for cursor in ["a", "b", "c"] {
            assert!(walk.step(100, Some(cursor)).is_ok(), "{cursor}");
        }
        assert_eq!(walk.page(), 4);
        assert!(walk.step(0, Some("a")).is_err(), "led back");
        assert!(walk.step(100, None).is_ok());
        assert!(walk.step(1, None).is_err(), "too long in all");
    }

    #[test]
    fn a_list_of_too_many_pages_has_an_end() {
        let mut walk = Walk::new(100);
        let steps = (0..).take_while(|n: &usize| walk.step(0, Some(&n.to_string())).is_ok());
        assert_eq!(steps.count(), MAX_PAGES - 1, "the first page needs no step");
    }
}
