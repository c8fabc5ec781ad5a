//! Both services over real sockets on free ports.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod api;
mod assertion;
mod binary;
mod bounds;
mod embedded;
mod mcp;
mod postgres;
mod session;
mod support;
