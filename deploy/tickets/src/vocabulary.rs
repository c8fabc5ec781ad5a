//! The closed sets of words that a ticket may carry.

/// What a ticket is about.
pub(crate) const CATEGORY: Vocabulary = Vocabulary {
    parameter: "category",
    words: &["general", "technical", "billing", "feature_request", "bug", "other"],
};

/// How urgent a ticket is.
pub(crate) const PRIORITY: Vocabulary =
    Vocabulary { parameter: "priority", words: &["low", "medium", "high", "urgent"] };

/// How far a ticket has come.
pub(crate) const STATUS: Vocabulary =
    Vocabulary { parameter: "status", words: &["open", "in_progress", "resolved", "closed"] };

/// The status of every new ticket.
pub(crate) const NEW: &str = "open";

/// A named list of allowed words.
pub(crate) struct Vocabulary {
    /// The parameter that takes one of the words.
    pub(crate) parameter: &'static str,
    /// The words, in the order in which an error lists them.
    pub(crate) words: &'static [&'static str],
}

impl Vocabulary {
    /// The word itself, or a sentence that lists the allowed ones.
    pub(crate) fn word(&self, given: &str) -> Result<&'static str, String> {
        self.words.iter().find(|word| **word == given).copied().ok_or_else(|| {
            format!("parameter {} must be one of: {}", self.parameter, self.words.join(", "))
        })
    }

    /// As [`Self::word`], where the empty string means "any".
    pub(crate) fn filter(&self, given: &str) -> Result<Option<&'static str>, String> {
        if given.is_empty() { Ok(None) } else { self.word(given).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_words_are_words() {
        assert_eq!(STATUS.word("open"), Ok("open"));
        let error = STATUS.word("Open").unwrap_err();
        assert_eq!(error, "parameter status must be one of: open, in_progress, resolved, closed");
        assert_eq!(PRIORITY.filter(""), Ok(None));
        assert_eq!(PRIORITY.filter("high"), Ok(Some("high")));
        assert!(CATEGORY.word("").is_err());
        assert_eq!(STATUS.word(NEW), Ok(NEW));
    }
}
