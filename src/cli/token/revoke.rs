//! `doorward token revoke`

use std::path::PathBuf;
use std::process::ExitCode;

use toml_edit::{Document, DocumentMut};

use super::running::{self, Written};
use super::{Complaint, Done, edit, loaded, now, say, tell, written};
use crate::cli::replace;
use crate::cli::{ConfigFile, EXIT_NO};
use crate::config;
use crate::core::harmless::visible;
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
        format!("{}:{}", self.file.display(), self.line)
    }
}

pub(super) fn revoke(file: &ConfigFile, name: &str, write: bool, at: Option<UnixSeconds>) -> Done {
    let path = &file.config;
    let turn = write.then(|| replace::turn(path)).transpose()?;
    let config = loaded(path).inspect_err(|_| not_revoked(name, write))?;
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
    let shown = format!("{}  [tokens.{name}]", place.at());
    // One that is still to come does not hold off another.
    if let Some(since) = entry.revoked.filter(|since| *since <= now()) {
        say(&format!("{shown}  is revoked since {}\n", written(since)))?;
        return match write {
            true => running::confirm(file, &config.settings, name, Written::End(since)),
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
    running::confirm(file, &config.settings, name, Written::End(at))
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
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let parsed = Document::parse(text.as_str())
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
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
    let broken = || Complaint(format!("{} cannot be edited", place.file.display()));
    let mut document: DocumentMut = place.text.parse().map_err(|_| broken())?;
    let moment: toml_edit::Datetime = moment.parse().map_err(|_| broken())?;
    let entry = document
        .get_mut("tokens")
        .and_then(|tokens| tokens.get_mut(name))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(broken)?;
    let mut value = toml_edit::Value::from(moment);
    if let Some(old) = entry.get("revoked").and_then(toml_edit::Item::as_value) {
        // The comment behind it.
        *value.decor_mut() = old.decor().clone();
    }
    entry.insert("revoked", toml_edit::Item::Value(value));
    Ok(edit::with_line_ends(&place.text, &document.to_string()))
}
