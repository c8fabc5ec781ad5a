//! Replacements in a text of which every other byte stays.

use std::ops::Range;

/// Pieces of a text and what stands in their place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Puts `replacement` in the place of the bytes in `range`; ranges must not overlap.
    pub fn replace(&mut self, range: Range<usize>, replacement: impl Into<String>) {
        self.0.push((range, replacement.into()));
    }

    /// Whether everything stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with its replacements.
    #[must_use]
    pub fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (range, replacement) in &self.0 {
            out.push_str(text.get(done..range.start).unwrap_or_default());
            out.push_str(replacement);
            done = range.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stays() {
        let mut edits = Edits::default();
        edits.replace(4..5, "D");
        edits.replace(0..2, "");
        edits.replace(6..6, "!");
        assert_eq!(edits.apply("abc d "), "c D !");
        assert_eq!(Edits::default().apply("x"), "x");
    }
}
