//! The way through the pages of a list, with an end.

use std::collections::HashSet;

use super::FetchError;
use crate::core::pin::Mark;

/// Most that all pages of one list may have, in times of `limits.listing`.
const MAX_LISTINGS: usize = 4;

/// The pages of one list that were read.
pub(super) struct Walk {
    /// Bytes that may still come.
    left: usize,
    cursors: HashSet<Mark>,
}

impl Walk {
    /// A walk through pages of at most `listing` bytes each.
    pub(super) fn new(listing: usize) -> Self {
        Self { left: listing.saturating_mul(MAX_LISTINGS), cursors: HashSet::new() }
    }

    /// Counts a page of that many bytes, and the cursor of the one that follows.
    ///
    /// # Errors
    /// Where all pages are too long together, or the cursor leads back.
    pub(super) fn step(&mut self, bytes: usize, next: Option<&str>) -> Result<(), FetchError> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(FetchError::Unclear("its pages have more than 4 times limits.listing in all"))?;
        if next.is_some_and(|cursor| !self.cursors.insert(Mark::of(&[cursor]))) {
            return Err(FetchError::Unclear("one page of its list leads back to another"));
        }
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
        assert!(walk.step(0, Some("a")).is_err(), "led back");
        assert!(walk.step(100, None).is_ok());
        assert!(walk.step(1, None).is_err(), "too long in all");
    }
}
