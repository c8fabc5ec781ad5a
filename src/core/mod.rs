//! What decides, and nothing else: bytes and values in, values out.
//!
//! Nothing here does I/O, reads a clock, writes a log or knows the framework. That is what makes
//! it possible to test thousands of permissions in a second, and to ask the same [`decide`]
//! about traffic, lists and hypothetical calls.
//!
//! [`decide`]: decide::decide

pub mod access;
pub mod algorithm;
pub mod argument;
pub mod assertion;
pub mod capabilities;
pub mod chain;
pub mod decide;
pub mod decimal;
pub mod edits;
pub mod glob;
pub mod harmless;
pub mod headers;
mod inclusion;
pub mod issuer;
pub mod json;
pub mod jwt;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod lookalike;
pub mod members;
pub mod message;
pub mod method;
pub mod names;
pub mod odd_file;
pub mod outcome;
pub mod pasted;
pub mod pattern;
pub mod permission;
pub mod pin;
pub mod policy;
pub mod principal;
pub mod protected;
pub mod refusal;
pub mod rehearsal;
pub mod resource;
pub mod revision;
pub mod rule;
pub mod seal;
pub mod secret;
pub mod sse;
pub mod tasks;
pub mod token;
pub mod trace;
pub mod way_back;
