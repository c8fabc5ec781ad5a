//! `doorward reload`: takes the file now, and says what came of it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::talk::{Complaint, Done, say, tell};
use super::{ConfigFile, EXIT_CONFIG, EXIT_NO, status};
use crate::config;

/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked for.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Args, Debug)]
pub(super) struct Reload {
    /// Take a file that gives somebody more than before, as `doorward diff` shows it, and is held
    /// by reload.widening = "ack"
    #[arg(long)]
    ack: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Reload {
    pub(super) fn run(self) -> Done {
        let admin = status::admin(&self.config);
        let before = status::get_at(admin, "/status")?;
        if self.ack && at(&before, "/config/held").is_null() {
            tell("doorward: nothing is held");
            // A file with a mistake holds nothing either, and that is what has to be mended.
            return match at(&before, "/config/last_reload/successful") {
                Value::Bool(false) => report(&before),
                _ => Ok(ExitCode::from(EXIT_NO)),
            };
        }
        let pid =
            at(&before, "/pid").as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid =
            pid.ok_or_else(|| Complaint("the gateway does not say its process id".to_owned()))?;
        let signal = if self.ack { Signal::USR1 } else { Signal::HUP };
        kill_process(pid, signal).map_err(|error| {
            format!(
                "process {} cannot be signalled: {error}; it must be on this host",
                pid.as_raw_nonzero()
            )
        })?;
        let after = answered(admin, &before)?;
        report(&after)
    }
}

/// The status after another reload than the latest of before.
fn answered(admin: SocketAddr, before: &Value) -> Result<Value, Complaint> {
    let began = Instant::now();
    let count = |status: &Value| at(status, "/config/reloads").as_u64();
    loop {
        let now = status::get_at(admin, "/status")?;
        if count(&now) != count(before) {
            return Ok(now);
        }
        if began.elapsed() > PATIENCE {
            return Err("the gateway has not reloaded; see its log".to_owned().into());
        }
        std::thread::park_timeout(LOOK);
    }
}

/// The value at a JSON pointer; null where there is none.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn report(status: &Value) -> Done {
    let found = |pointer: &str| at(status, &format!("/config{pointer}"));
    let lines = |of: &Value| {
        let all = of.as_array().into_iter().flatten().filter_map(Value::as_str);
        all.map(|line| format!("{line}\n")).collect::<String>()
    };
    let revision = config::short(found("/revision").as_str().unwrap_or_default());
    if !found("/held").is_null() {
        say(&lines(found("/held/changes")))?;
        tell(&format!(
            "doorward: held: it gives somebody more than before; {revision} stays in use, and what \
             it takes away is in force. Take it with: doorward reload --ack"
        ));
        return Ok(ExitCode::from(EXIT_NO));
    }
    if *found("/last_reload/successful") == Value::Bool(true) {
        say(&lines(found("/last_reload/changes")))?;
        say(&format!("reloaded: {revision} is in use\n"))?;
        let restart = lines(found("/restart_needed"));
        if !restart.is_empty() {
            say(&format!("restart needed: {}\n", restart.trim_end().replace('\n', ", ")))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    tell(lines(found("/last_reload/errors")).trim_end());
    let ended = lines(found("/ended_by_refused"));
    if !ended.is_empty() {
        let ended = ended.trim_end().replace('\n', ", ");
        tell(&format!("ended all the same, as a refused file says: {ended}"));
    }
    tell(&format!("doorward: refused; {revision} stays in use"));
    Ok(ExitCode::from(EXIT_CONFIG))
}
