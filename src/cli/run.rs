//! `doorward run`

use std::path::Path;
use std::process::ExitCode;

use super::talk::tell;
use super::{EXIT_CONFIG, EXIT_START, complain};
use crate::config::{self, Reading};
use crate::server;

pub(super) fn run(path: &Path) -> ExitCode {
    let Reading { config, sources } = config::read(path, &[]);
    let config = match config {
        Ok(config) => config,
        Err(findings) => {
            complain(&findings);
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match server::run(config, sources) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("doorward: {error}"));
            ExitCode::from(EXIT_START)
        }
    }
}
