//! `doorward check`

use std::path::Path;
use std::process::ExitCode;

use super::{EXIT_CONFIG, complain};
use crate::config;

#[expect(clippy::print_stdout, reason = "the answer of the verb")]
pub(super) fn check(path: &Path) -> ExitCode {
    match config::load(path) {
        Ok(config) => {
            if !config.warnings.findings().is_empty() {
                complain(&config.warnings);
            }
            let (upstreams, tokens) =
                (config.settings.upstreams.len(), config.policy.tokens().len());
            println!("{}: good, {upstreams} upstreams, {tokens} tokens", path.display());
            ExitCode::SUCCESS
        }
        Err(findings) => {
            complain(&findings);
            ExitCode::from(EXIT_CONFIG)
        }
    }
}
