//! What was in an event stream that ended without an answer, for operators.

use crate::core::sse;

/// What an event stream held besides an answer.
pub(super) struct Held {
    pub(super) is_empty: bool,
    pub(super) has_id: bool,
    has_messages: bool,
    /// A message that is no JSON.
    has_others: bool,
    /// An event with a name of its own.
    has_named: bool,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            is_empty: true,
            has_id: false,
            has_messages: false,
            has_others: false,
            has_named: false,
        }
    }
}

impl Held {
    pub(super) fn note(&mut self, event: &[u8], is_json: impl FnOnce(&[u8]) -> bool) {
        self.has_id |= sse::has_id(event);
        let data = sse::data(event);
        if !sse::is_message(event) {
            self.has_named = true;
        } else if !data.is_empty() {
            let is_json = is_json(&data);
            self.has_messages |= is_json;
            self.has_others |= !is_json;
        }
    }

    /// True where all that was in it is what a server sends beside an answer.
    pub(super) const fn is_orderly(&self) -> bool {
        !self.has_others && !self.has_named
    }

    pub(super) fn words(&self) -> &'static str {
        match self {
            Self { is_empty: true, .. } => "the event stream ended without an answer: it was empty",
            Self { has_others: true, .. } => {
                "the event stream ended without an answer: an event in it is no JSON"
            }
            Self { has_named: true, .. } => {
                "the event stream ended without an answer: an event in it has a name, and no \
                 client of MCP reads it"
            }
            Self { has_messages: true, .. } => {
                "the event stream ended without an answer: only other messages were in it"
            }
            _ => "the event stream ended without an answer: no event was in it",
        }
    }
}
