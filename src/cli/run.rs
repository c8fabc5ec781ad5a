//! `doorward run`

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use super::talk::tell;
use super::{EXIT_CONFIG, EXIT_START, complain};
use crate::config::{self, Reading};
use crate::server;

/// How long the last words may take.
const PATIENCE: Duration = Duration::from_secs(1);

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
            let words = format!("doorward: {error}");
            let (done, said) = mpsc::channel();
            std::thread::spawn(move || {
                tell(&words);
                done.send(())
            });
            // Where standard error is a pipe that nobody reads, the end must not wait for it.
            let _ = said.recv_timeout(PATIENCE);
            ExitCode::from(EXIT_START)
        }
    }
}
