//! `doorward token revoke`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toml_edit::Document;

use super::running::{self, Written};
use super::{Complaint, Done, edit, now, say, tell, written};
use crate::cli::replace;
use crate::cli::talk::spelled;
use crate::cli::{ConfigFile, EXIT_NO, complain};
use crate::config;
use crate::core::harmless::visible;
use crate::core::pasted;
use crate::core::token::UnixSeconds;

/// Where an entry stands.
pub(super) struct Place {
    file: PathBuf,
    text: String,
    line: usize,
}

impl Place {
    /// `file:line`, as in findings.
    pub(super) fn at(&self) -> String {
        format!("{}:{}", spelled(&self.file), self.line)
    }
}

pub(super) fn revoke(file: &ConfigFile, name: &str, write: bool, at: Option<UnixSeconds>) -> Done {
    let path = &file.config;
    let turn = write.then(|| replace::turn(path)).transpose()?;
    let config = match config::load(path) {
        Ok(config) => config,
        Err(findings) => {
            complain(&findings);
            return in_trouble(file, name, write, at.unwrap_or_else(now), turn);
        }
    };
    let entry = config.policy.tokens().list().find(|entry| entry.name == name);
    let (Some(entry), Some(place)) = (entry, place(&config.files, name)?) else {
        let names: Vec<&str> = config.policy.tokens().list().map(|entry| entry.name).collect();
        tell(&format!(
            "doorward: there is no token `{}`; {}",
            visible(name),
            config::did_you_mean(name, &names)
        ));
        return Ok(ExitCode::from(EXIT_NO));
    };
    let shown = format!("{}  [tokens.{}]", place.at(), pasted::key(name));
    // One that is still to come does not hold off another.
    if let Some(since) = entry.revoked.filter(|since| *since <= now()) {
        say(&format!("{shown}  is revoked since {}\n", written(since)))?;
        return match write {
            true => running::confirm(file, config.settings.admin_listen, name, Written::End(since)),
            false => Ok(ExitCode::SUCCESS),
        };
    }
    let at = at.unwrap_or_else(now);
    let moment = written(at);
    if !write {
        let what = if entry.revoked.is_some() { "Change in" } else { "Add to" };
        say(&format!("{what} {shown}, or run again with --write:\n  revoked = {moment}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    edit::replace(path, &place.file, &place.text, &revoked(&place, name, &moment)?)
        .inspect_err(|_| not_revoked(name, write))?;
    say(&format!("{shown}  revoked = {moment}\n"))?;
    // Whoever has something else to write need not wait for the gateway.
    drop(turn);
    running::confirm(file, config.settings.admin_listen, name, Written::End(at))
}

/// Nobody must take silence, or a word about something else, for a yes.
fn not_revoked(name: &str, write: bool) {
    if write {
        tell(&format!(
            "doorward: `{}` is NOT revoked: nothing was written, and a running gateway goes on with \
             what it has. Mend the file, and run this again",
            visible(name)
        ));
    }
}

/// The file and line in which an entry begins.
pub(super) fn place(files: &[PathBuf], name: &str) -> Result<Option<Place>, Complaint> {
    for file in files {
        let text = config::read_text_file(file)
            .map_err(|error| format!("{} cannot be read: {error}", spelled(file)))?;
        let parsed = Document::parse(text.as_str())
            .map_err(|error| format!("{} cannot be read: {error}", spelled(file)))?;
        let tokens = parsed.get("tokens").and_then(toml_edit::Item::as_table_like);
        let Some((key, _)) = tokens.and_then(|tokens| tokens.get_key_value(name)) else {
            continue;
        };
        let start = key.span().map_or(0, |span| span.start);
        let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        return Ok(Some(Place { file: file.clone(), text, line }));
    }
    Ok(None)
}

/// The text with the entry revoked; everything else stays as it is written.
fn revoked(place: &Place, name: &str, moment: &str) -> Result<String, Complaint> {
    let edited = config::with_revoked(&place.text, name, moment);
    let edited = edited.ok_or_else(|| format!("{} cannot be edited", spelled(&place.file)))?;
    Ok(edit::with_line_ends(&place.text, &edited))
}

/// Revokes an entry of a configuration that is wrong somewhere else. A gateway refuses the file, and
/// ends the token all the same.
fn in_trouble(
    file: &ConfigFile,
    name: &str,
    write: bool,
    at: UnixSeconds,
    turn: Option<replace::Turn>,
) -> Done {
    let partial = config::partial(&file.config);
    let entries: Vec<_> = partial.entries.iter().filter(|entry| entry.name == name).collect();
    if entries.is_empty() {
        not_revoked(name, write);
        return Err(format!("no entry `{}` is in what can be read", visible(name)).into());
    }
    let moment = written(at);
    let mut edited = BTreeSet::new();
    for entry in entries {
        let header = format!("[tokens.{}]", pasted::key(name));
        let shown = format!("{}:{}  {header}", spelled(&entry.file), entry.line);
        if let Some(since) = entry.revoked.filter(|since| *since <= at) {
            say(&format!("{shown}  is revoked since {}\n", written(since)))?;
            continue;
        }
        if !write {
            say(&format!("Add to {shown}, or run again with --write:\n  revoked = {moment}\n"))?;
            continue;
        }
        if edited.insert(&entry.file) {
            end_in(&entry.file, name, &moment).inspect_err(|_| not_revoked(name, write))?;
        }
        say(&format!("{shown}  revoked = {moment}\n"))?;
    }
    if !write {
        return Ok(ExitCode::SUCCESS);
    }
    drop(turn);
    tell("doorward: the configuration has other errors, as above: mend them, too");
    running::confirm(file, partial.admin_listen, name, Written::End(at))
}

fn end_in(file: &Path, name: &str, moment: &str) -> Result<(), Complaint> {
    let failed = |why: String| Complaint(format!("{} {why}", spelled(file)));
    let text =
        config::read_text_file(file).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let place = Place { file: file.to_owned(), text, line: 0 };
    let after = revoked(&place, name, moment)?;
    replace::write(file, Some(&place.text), &after)
        .map_err(|error| failed(format!("cannot be written: {error}")))
}
