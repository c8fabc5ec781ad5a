//! What the running gateway makes of the token table, said behind what the file says.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Done, UnixSeconds, tell};
use crate::cli::{ConfigFile, EXIT_NO, status};
use crate::config;
use crate::core::harmless::visible;

/// Time that the gateway is given to take a saved file. On file systems that tell of no change it
/// looks every 15 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time between two questions.
const LOOK: Duration = Duration::from_millis(50);

/// The edit that was written into the file, and is to be found at the gateway.
#[derive(Clone, Copy)]
pub(super) enum Written {
    /// The entry ends at this moment, or earlier.
    End(UnixSeconds),
    /// The entry opens something.
    New,
}

/// Asks the gateway that runs with `config`, and listens for operators at `listen`, for the entry `name` until it has taken what was
/// written, and says what it found. Exit code 0 where it is in force, or there is nobody to ask.
pub(super) fn confirm(
    config: &ConfigFile,
    listen: SocketAddr,
    name: &str,
    written: Written,
) -> Done {
    let Some(admin) = address(config, listen) else {
        tell(
            "No gateway was asked: admin.listen names no port, and --admin no address. \
             It takes effect when a gateway takes the file",
        );
        return Ok(ExitCode::SUCCESS);
    };
    let path = format!("/token?{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let began = Instant::now();
    let mut reloads = None;
    loop {
        let told = match status::ask_briefly(admin, &path) {
            Ok(told) => told,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tell(&format!(
                    "No gateway answers at {admin}: it takes effect when one runs with \
                     this file. --admin names another address"
                ));
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => {
                return unsure(&format!("the gateway at {admin} gives no answer ({error})"));
            }
        };
        if let Some(found) = found(admin, &told, name, written) {
            return found;
        }
        let status = status::ask_briefly(admin, "/status").unwrap_or_default();
        let count = status.pointer("/config/reloads").and_then(Value::as_u64);
        let has_read = *reloads.get_or_insert(count) != count;
        let has_refused = status.pointer("/config/last_reload/successful") == Some(&false.into());
        if (has_read && has_refused) || began.elapsed() > PATIENCE {
            // What a refused file ends is in force before it is said to be refused.
            let told = status::ask_briefly(admin, &path).unwrap_or_default();
            return found(admin, &told, name, written)
                .unwrap_or_else(|| not_taken(admin, &status, written));
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The gateway's word about the entry; `None` where that may still come.
fn found(admin: SocketAddr, told: &Value, name: &str, written: Written) -> Option<Done> {
    let text = |key: &str| told.get(key).and_then(Value::as_str);
    let (state, name) = (text("state")?, visible(name));
    let revision = config::short(text("revision").unwrap_or_default()).to_owned();
    let held = text("held");
    let since = match held {
        Some(held) => format!(
            "revision {revision}, and of {}, which is held, what it takes away",
            visible(config::short(held))
        ),
        None => format!("revision {revision}"),
    };
    let since = visible(&since);
    match (written, state) {
        (Written::End(_), "unknown") if held.is_none() => Some(unsure(&format!(
            "the gateway at {admin} ({since}) knows no token `{name}`; does it run with this file?"
        ))),
        (Written::End(at), state) => {
            let ends = text("ends").and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let ends_in_time = ends.is_some_and(|ends| ends.as_second() <= at);
            if state == "active" && !ends_in_time {
                return None;
            }
            let how = if state == "active" { "will end as written" } else { "opens nothing" };
            tell(&format!("In force: at {admin} `{name}` {how} ({since})"));
            Some(Ok(ExitCode::SUCCESS))
        }
        (Written::New, "active") => {
            tell(&format!("In force: at {admin} `{name}` is good ({since})"));
            Some(Ok(ExitCode::SUCCESS))
        }
        (Written::New, _) if held.is_some() => {
            tell(&format!(
                "doorward: held: at {admin} `{name}` opens nothing until: doorward reload --ack"
            ));
            Some(Ok(ExitCode::from(EXIT_NO)))
        }
        (Written::New, _) => None,
    }
}

fn unsure(why: &str) -> Done {
    tell(&format!("doorward: {why}: it is in the file, and whether it is in force is not known"));
    Ok(ExitCode::from(EXIT_NO))
}

/// Says that what is in the file is not what holds, and why.
fn not_taken(admin: SocketAddr, status: &Value, written: Written) -> Done {
    let errors = status.pointer("/config/last_reload/errors").and_then(Value::as_array);
    for line in errors.into_iter().flatten().filter_map(Value::as_str) {
        tell(&visible(line));
    }
    let goes_on = match written {
        Written::End(_) => "the token still opens what it did",
        Written::New => "the token opens nothing",
    };
    tell(&format!(
        "doorward: NOT in force: the gateway at {admin} has not taken the file; {goes_on}. Mend what \
         it says, or see: doorward reload"
    ));
    Ok(ExitCode::from(EXIT_NO))
}

/// Says it where the running gateway goes by something else than the file with this revision.
pub(super) fn warn_where_it_differs(config: &ConfigFile, listen: SocketAddr, revision: &str) {
    let Some(admin) = address(config, listen) else { return };
    let Ok(status) = status::ask_briefly(admin, "/status") else { return };
    let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
    let Some(running) = text("/config/revision").filter(|running| *running != revision) else {
        return;
    };
    let running = visible(config::short(running));
    if text("/config/held/revision") == Some(revision) {
        tell(&format!(
            "This is the file; the gateway at {admin} holds it: what it takes away is in \
             force, what it gives waits for: doorward reload --ack"
        ));
    } else {
        tell(&format!(
            "This is the file; the gateway at {admin} runs with another revision, {running}"
        ));
    }
}

fn address(config: &ConfigFile, listen: SocketAddr) -> Option<SocketAddr> {
    let admin = status::reachable(config.admin.unwrap_or(listen));
    (admin.port() != 0).then_some(admin)
}
