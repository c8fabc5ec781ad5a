//! Audit records: where they go.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Stat, fstat, major, minor};

use super::{StartError, is_json};
use crate::config::{self, AuditTo, Settings};
use crate::telemetry::audit::{Audit, OnFailure, Writer};

/// Begins to write them, as the configuration says where.
///
/// # Errors
/// [`StartError`] where they cannot be written there.
pub(super) fn start(settings: &Settings) -> Result<(Audit, Writer), StartError> {
    let on_failure = match settings.audit.on_failure {
        config::OnFailure::Count => OnFailure::Count,
        config::OnFailure::Deny => OnFailure::Deny,
    };
    match &settings.audit.to {
        AuditTo::Off => Ok(Audit::off()),
        AuditTo::File(path) => {
            let failed = |error| StartError::Audit(path.display().to_string(), error);
            Audit::to_file(path.clone(), on_failure).map_err(failed)
        }
        AuditTo::Stdout => {
            let json = is_json(settings.log_format, io::stdout().is_terminal());
            // Without a lock and a buffer that the end of the process would wait for.
            let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(StartError::System)?;
            if is_nowhere(&stdout) {
                tracing::warn!(
                    event = "audit.discarded",
                    "no record is kept: standard output is closed, or is /dev/null"
                );
            }
            Audit::to_stream(File::from(stdout), json, on_failure).map_err(StartError::System)
        }
    }
}

/// Whether this is `/dev/null`, which takes the place of a standard output that is closed.
fn is_nowhere(file: &OwnedFd) -> bool {
    const NULL: (u32, u32) = (1, 3);
    let is_null = |about: Stat| (major(about.st_rdev), minor(about.st_rdev)) == NULL;
    fstat(file).is_ok_and(is_null)
}
