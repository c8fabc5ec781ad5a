//! What verbs read, say and complain about.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::complain;
use crate::config::{self, Config, Reading};
use crate::core::token::UnixSeconds;

/// Why nothing was done, in a sentence; empty where it has been said.
#[derive(Debug)]
pub(super) struct Complaint(pub(super) String);

impl From<String> for Complaint {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

pub(super) type Done = Result<ExitCode, Complaint>;

/// The answer of a verb. Unlike `print!` it survives a reader that has left.
pub(super) fn say(text: &str) -> Result<(), Complaint> {
    let mut out = io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// The configuration; what is wrong with it is said.
pub(super) fn loaded(path: &Path) -> Result<Config, Complaint> {
    config::load(path).map_err(|findings| {
        complain(&findings);
        Complaint(String::new())
    })
}

/// The configuration, and its revision; what is wrong with it is said.
pub(super) fn loaded_with_revision(path: &Path) -> Result<(Config, String), Complaint> {
    let Reading { config, sources } = config::read(path, &[]);
    let config = config.map_err(|findings| {
        complain(&findings);
        Complaint(String::new())
    })?;
    Ok((config, sources.revision()))
}

/// The longest argument of a verb that is read from elsewhere.
const MAX_INPUT: u64 = 4 << 20;

/// An argument of a verb: the text itself, or what is in `@FILE`, or `-` for standard input.
pub(super) fn input(text: &str) -> Result<String, Complaint> {
    let mut out = String::new();
    let read = match (text, text.strip_prefix('@')) {
        ("-", _) => io::stdin().take(MAX_INPUT).read_to_string(&mut out),
        (_, Some(path)) => {
            std::fs::File::open(path).and_then(|file| file.take(MAX_INPUT).read_to_string(&mut out))
        }
        (text, None) => return Ok(text.to_owned()),
    };
    read.map_err(|error| format!("{text} cannot be read: {error}"))?;
    Ok(out)
}

/// A moment as TOML and RFC 3339 write it.
pub(super) fn written(moment: UnixSeconds) -> String {
    jiff::Timestamp::from_second(moment).map_or_else(|_| moment.to_string(), |at| at.to_string())
}

/// `1 record`, `2 records`.
pub(super) fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

pub(super) fn now() -> UnixSeconds {
    jiff::Timestamp::now().as_second()
}
