//! doorward: an authenticating reverse-proxy gateway in front of MCP servers.
//!
//! # The map
//!
//! | module | what it is |
//! |---|---|
//! | [`core`] | what decides: messages, principals, permissions, the decision. Pure. |
//! | [`config`] | from the text of `gateway.toml` to settings and a policy |
//! | [`gateway`] | pingora on both sides, and the ten steps of a request between them |
//! | [`telemetry`] | metrics, audit records, logs |
//! | [`admin`] | `/metrics`, `/livez`, `/readyz`, `/status` on their own listener |
//! | [`server`] | wiring, start and end of the process |
//! | [`cli`] | the verbs of the command line |
//!
//! Dependencies point one way: `main → cli → server → {config, gateway, admin, telemetry} → core`.
//! `config` and `gateway` do not know each other. A test reads the `use` lines and holds this.
//!
//! # What always holds
//!
//! * No body byte leaves for an upstream without a [`core::decide::Permit`], and only
//!   [`core::decide::decide`] makes one.
//! * What is forwarded is exactly what was judged, in a head built anew from an allow-list; only
//!   the ids of sessions and tasks lose their seals.
//! * A tool, a prompt, a resource is listed exactly when it may be used: one function answers both.
//! * A session or a task is reached by whom it was given to, and nobody else.
//! * A reload takes all of a configuration or nothing of it; a request sees one to its end.
//! * What is not known is refused; what cannot be read with certainty is refused.
//! * There is no anonymous principal. Tokens cannot be printed.

pub mod admin;
pub mod cli;
pub mod config;
pub mod core;
pub mod gateway;
pub mod server;
pub mod telemetry;
