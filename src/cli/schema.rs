//! `doorward schema`

use std::process::ExitCode;

use super::talk::{Done, say};

/// The JSON Schema of the configuration (draft 2020-12), which editors read.
const SCHEMA: &str = include_str!("../../deploy/gateway.schema.json");

pub(super) fn schema() -> Done {
    say(SCHEMA)?;
    Ok(ExitCode::SUCCESS)
}
