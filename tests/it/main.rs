//! Integration tests: the real binary between a raw client and a scripted upstream.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod access;
mod arguments;
mod support;

mod assertion;
mod audit;
mod audit_flood;
mod audit_trouble;
mod audit_verbs;
mod authentication;
mod bodies;
mod broken;
mod buffers;
mod calls;
mod clock;
mod commands;
mod config;
mod descriptors;
mod drift;
mod eras;
mod held;
mod hidden_names;
mod hostile_http;
mod hostile_json;
mod identity;
mod jwt;
mod jwt_claims;
mod jwt_forms;
mod jwt_records;
mod keys_trouble;
mod layers;
mod lists;
mod log;
mod misdirected;
mod monitoring;
mod mtls;
mod observability;
mod odd_files;
mod odd_items;
mod params;
mod pins;
mod questions;
mod readers;
mod reload;
mod remembered;
mod rmcp;
mod rmcp_tasks;
mod sessions;
mod settings;
mod shown;
mod standing;
mod starts;
mod streams;
mod targets;
mod tasks;
mod tls;
mod token;
mod transcripts;
mod trouble;
mod upstream_faults;
mod verify;
mod way_back;
mod whole_lists;
mod wire;
