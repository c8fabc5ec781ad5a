//! What the process says about itself: metrics, audit records, logs.
//!
//! Knows the words of `core` and nothing of the framework, so that nothing here can see a header
//! or a body. No label and no field ever holds a token, a session id or an argument.

pub mod audit;
pub mod log;
pub mod metrics;
pub mod seldom;
pub mod used;
