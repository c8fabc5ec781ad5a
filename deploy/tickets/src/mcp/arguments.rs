//! The arguments of the tools. Their comments are what a model reads.

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;

use crate::ticket::{default_category, default_priority};

// Numbers and words are left for the API to judge: its refusal is a result that a model reads,
// while an argument that does not deserialise is a protocol error that it may never see.

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListTickets {
    /// Which page, from 1.
    #[serde(default = "first_page")]
    #[schemars(range(min = 1))]
    pub(super) page: i64,
    /// Tickets on a page, 1 to 100.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    pub(super) page_size: i64,
    /// Only tickets with this status: open, in_progress, resolved, closed. Empty for any.
    #[serde(default)]
    pub(super) status: String,
    /// Only tickets of this category: general, technical, billing, feature_request, bug, other.
    /// Empty for any.
    #[serde(default)]
    pub(super) category: String,
    /// Only tickets of this priority: low, medium, high, urgent. Empty for any.
    #[serde(default)]
    pub(super) priority: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateTicket {
    /// What it is about, in one line of at most 200 characters.
    pub(super) title: String,
    /// Everything that helps to solve it, at most 20000 characters.
    pub(super) description: String,
    /// One of: general, technical, billing, feature_request, bug, other.
    #[serde(default = "default_category")]
    pub(super) category: String,
    /// One of: low, medium, high, urgent.
    #[serde(default = "default_priority")]
    pub(super) priority: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchTickets {
    /// The text to find, at most 200 characters.
    pub(super) query: String,
    /// Which page, from 1.
    #[serde(default = "first_page")]
    #[schemars(range(min = 1))]
    pub(super) page: i64,
    /// Tickets on a page, 1 to 100.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 100))]
    pub(super) page_size: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetTicket {
    /// The id of the ticket as the other tools give it, such as T-12.
    pub(super) ticket_id: String,
}

fn first_page() -> i64 {
    1
}

fn ten() -> i64 {
    10
}
