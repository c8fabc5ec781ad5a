//! The demo system behind doorward: a ticket API and the MCP server in front of it.
//!
//! ```text
//! gateway --X-User-ID, X-Organization-ID--> MCP server --the same two headers--> ticket API --> SQLite or PostgreSQL
//! ```
//!
//! Neither service knows a password: both believe the two identity headers, which is right only
//! behind a gateway that sets them. An [`AccessKey`] keeps everybody else out; with [`Assertions`] they
//! believe nothing that the gateway has not signed.
//!
//! - No row is read or written without the organization of the request that asks for it.
//! - A tool call acts for the headers of its own HTTP request, never for those that opened its
//!   session, and never for a default.
//! - No client stops another: connections, bodies and answers have bounds and deadlines, and where
//!   there are too many, the one ends that has kept the service waiting longest.
//! - The MCP server knows the API by its address only; it never opens the database.

mod access;
mod api;
mod assertion;
mod backend;
mod embedded;
mod health;
mod identity;
mod mcp;
mod query;
mod rate;
mod refusal;
mod serve;
mod store;
mod ticket;
mod trust;
mod vocabulary;

pub use access::{AccessKey, InvalidAccessKey};
pub use api::serve_api;
pub use assertion::{AssertionKeys, Assertions};
pub use backend::{ApiUrl, InvalidApiUrl};
pub use embedded::{Embedded, EmbeddedOptions, start_embedded};
pub use health::{Unwell, ask_health};
pub use mcp::{McpOptions, serve_mcp};
pub use rate::LogRate;
pub use serve::raise_files;
pub use store::{DatabaseUrl, InvalidDatabaseUrl, Store, StoreError};
pub use trust::Trust;
