//! `doorward health`

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::status::{self, PATIENCE};
use super::talk::{say, tell};
use super::{ConfigFile, EXIT_CONFIG, EXIT_NO};

pub(super) fn health(config: &ConfigFile) -> ExitCode {
    // A mistake in the saved file makes nobody ill who runs with the one of before.
    let admin = status::admin(config);
    if admin.port() == 0 {
        tell("doorward: [admin] listen has port 0, so nobody knows where to ask");
        return ExitCode::from(EXIT_CONFIG);
    }
    match ask(admin) {
        Ok(200) => {
            // The exit code says it, too.
            let _ = say("ready\n");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            tell(&format!("doorward: not ready: {admin} answers {status}"));
            ExitCode::from(EXIT_NO)
        }
        Err(error) => {
            tell(&format!("doorward: not ready: {admin}: {error}"));
            ExitCode::from(EXIT_NO)
        }
    }
}

/// The status of `/readyz`.
fn ask(admin: SocketAddr) -> io::Result<u16> {
    let head = status::read(admin, "/readyz", PATIENCE, "HTTP/1.1 200".len())?;
    std::str::from_utf8(&head)
        .ok()
        .and_then(|head| head.strip_prefix("HTTP/1.1 ")?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "does not answer as HTTP"))
}
