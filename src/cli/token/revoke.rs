//! `doorward token revoke`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toml_edit::{Document, DocumentMut};

use super::{Complaint, Done, edit, now, written};
use crate::cli::{EXIT_NO, complain};
use crate::config;

/// Where an entry stands.
struct Place {
    file: PathBuf,
    text: String,
    line: usize,
}

#[expect(clippy::print_stdout, reason = "the answer of the verb")]
pub(super) fn revoke(path: &Path, name: &str, write: bool) -> Done {
    let config = config::load(path).map_err(|findings| {
        complain(&findings);
        Complaint(String::new())
    })?;
    let entry = config.policy.tokens().list().find(|entry| entry.name == name);
    let (Some(entry), Some(place)) = (entry, place(&config.files, name)?) else {
        let names: Vec<&str> = config.policy.tokens().list().map(|entry| entry.name).collect();
        eprintln!("doorward: there is no token `{name}`; {}", config::did_you_mean(name, &names));
        return Ok(ExitCode::from(EXIT_NO));
    };
    let at = format!("{}:{}  [tokens.{name}]", place.file.display(), place.line);
    if let Some(since) = entry.revoked {
        println!("{at}  is revoked since {}", written(since));
        return Ok(ExitCode::SUCCESS);
    }
    let moment = written(now());
    if write {
        edit::replace(path, &place.file, &revoked(&place, name, &moment)?)?;
        println!("{at}  revoked = {moment}");
    } else {
        println!("Add to {at}, or run again with --write:\n  revoked = {moment}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The file and line in which an entry begins.
fn place(files: &[PathBuf], name: &str) -> Result<Option<Place>, Complaint> {
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
    entry.insert("revoked", toml_edit::value(moment));
    Ok(document.to_string())
}
