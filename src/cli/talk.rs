//! What verbs read, say and complain about.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::IgnoredAny;

use super::complain;
use crate::config::{self, AuditTo, Config, Reading};
use crate::core::harmless::{coloured, harmless, lines, visible};
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
    put(&lines(text))
}

/// The answer of a verb for scripts, which means the same and hides nothing from people either.
pub(super) fn say_json(answer: &impl Serialize) -> Result<(), Complaint> {
    let json = serde_json::to_string_pretty(answer).unwrap_or_default();
    put(&(harmless(&json) + "\n"))
}

/// A line of JSON that is passed on as it is.
pub(super) fn say_record(line: &str) -> Result<(), Complaint> {
    // Between the values nothing but blanks is needed, and in them a raw one cannot be.
    let line = line.replace(|c: char| c.is_ascii_control(), " ");
    put(&(harmless(&line) + "\n"))
}

/// Many answers of a verb, a line each, written when there is room for no more or when asked to.
pub(super) struct Answers(io::BufWriter<io::StdoutLock<'static>>);

impl Answers {
    /// Room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(io::BufWriter::with_capacity(bytes, io::stdout().lock()))
    }

    /// A line for people.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Complaint> {
        self.0.write_all((lines(line) + "\n").as_bytes()).map_err(unwritten)
    }

    /// A line for scripts.
    pub(super) fn say_json(&mut self, answer: &impl Serialize) -> Result<(), Complaint> {
        let json = serde_json::to_string(answer).unwrap_or_default();
        self.0.write_all((harmless(&json) + "\n").as_bytes()).map_err(unwritten)
    }

    /// Writes what has been said.
    pub(super) fn flush(&mut self) -> Result<(), Complaint> {
        self.0.flush().map_err(unwritten)
    }
}

/// Says something beside the answer, on standard error, where nobody need listen.
pub(super) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all((lines(text) + "\n").as_bytes());
}

/// Like [`tell`], where colours are meant.
pub(super) fn tell_coloured(text: &str) {
    let _ = io::stderr().lock().write_all(coloured(text).as_bytes());
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unwritten(error: io::Error) -> Complaint {
    format!("cannot write to standard output: {error}").into()
}

fn put(text: &str) -> Result<(), Complaint> {
    let mut out = io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(unwritten)
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

/// Where records go. Other errors of the file are said and in nobody's way.
pub(super) fn audit_to(path: &Path) -> Result<AuditTo, Complaint> {
    let findings = match config::load(path) {
        Ok(config) => return Ok(config.settings.audit.to),
        Err(findings) => findings,
    };
    complain(&findings);
    config::partial(path).audit.ok_or_else(|| {
        Complaint("where records go cannot be read: name the file with them".to_owned())
    })
}

/// The longest argument of a verb that is read from elsewhere.
const MAX_INPUT: u64 = 4 << 20;

/// An argument of a verb: the text itself, or what is in `@FILE`, or `-` for standard input.
pub(super) fn input(text: &str) -> Result<String, Complaint> {
    let mut out = String::new();
    let read = match (text, text.strip_prefix('@')) {
        ("-", _) => io::stdin().take(MAX_INPUT).read_to_string(&mut out),
        (_, Some(path)) => {
            let file = config::open_file(Path::new(path));
            file.and_then(|file| file.take(MAX_INPUT).read_to_string(&mut out))
        }
        (text, None) => return Ok(text.to_owned()),
    };
    read.map_err(|error| format!("{} cannot be read: {error}", visible(text)))?;
    Ok(out)
}

/// The arguments of a call, as [`input`] reads them. Text that is no object of JSON is a mistake of
/// whoever asks, and no question; what readers take differently is one.
pub(super) fn arguments(text: &str) -> Result<String, Complaint> {
    let text = input(text)?;
    let read: Result<HashMap<String, IgnoredAny>, _> = serde_json::from_str(&text);
    match read {
        Ok(_) => Ok(text),
        // Deeper than this reader goes is for the gateway's own to judge.
        Err(error) if error.to_string().contains("recursion limit") => Ok(text),
        Err(error) => Err(format!("--args is no object of JSON: {error}").into()),
    }
}

/// A moment as TOML and RFC 3339 write it.
pub(super) fn written(moment: UnixSeconds) -> String {
    jiff::Timestamp::from_second(moment).map_or_else(|_| moment.to_string(), |at| at.to_string())
}

/// The name of a file, which anybody can have given to it, in a sentence.
pub(super) fn spelled(path: &Path) -> String {
    visible(&path.display().to_string())
}

/// `1 record`, `2 records`.
pub(super) fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

pub(super) fn now() -> UnixSeconds {
    jiff::Timestamp::now().as_second()
}
