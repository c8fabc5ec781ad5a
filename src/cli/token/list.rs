//! `doorward token list`

use std::process::ExitCode;

use serde::Serialize;

use super::{Complaint, Done, loaded_with_revision, now, running, say, say_json, tell, written};
use crate::cli::ConfigFile;
use crate::cli::table::columns;
use crate::config;
use crate::core::token::{self, AuthFailure, Listed, UnixSeconds};

#[derive(Serialize)]
struct Row<'t> {
    name: &'t str,
    user: &'t str,
    organization: &'t str,
    roles: Vec<&'t str>,
    /// `null` for never.
    expires: Option<String>,
    /// `null` for not; it can be still to come.
    revoked: Option<String>,
    state: String,
}

pub(super) fn list(file: &ConfigFile, expiring: Option<humantime::Duration>, json: bool) -> Done {
    let now = now();
    let Ok((config, revision)) = loaded_with_revision(&file.config) else {
        return in_trouble(file, expiring, json, now);
    };
    let until = horizon(expiring, now);
    let mut entries: Vec<Listed<'_>> = config.policy.tokens().list().collect();
    entries.sort_by_key(|entry| entry.name);
    let ends = |entry: &&Listed<'_>| {
        let is_active = entry.failure(now).is_none();
        until.is_none_or(|until| is_active && end(entry).is_some_and(|at| at <= until))
    };
    let rows: Vec<Row<'_>> = entries.iter().filter(ends).map(|entry| row(entry, now)).collect();
    if json {
        say_json(&rows)?;
    } else {
        say(&table(&rows))?;
    }
    running::warn_where_it_differs(file, config.settings.admin_listen, &revision);
    Ok(ExitCode::SUCCESS)
}

/// The end of the time that `--expiring` names.
fn horizon(expiring: Option<humantime::Duration>, now: UnixSeconds) -> Option<UnixSeconds> {
    expiring.map(|time| now.saturating_add(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
}

/// Lists what can be read of a table in a configuration that has errors, which have been said.
fn in_trouble(
    file: &ConfigFile,
    expiring: Option<humantime::Duration>,
    json: bool,
    now: UnixSeconds,
) -> Done {
    let config::Partial { unreadable, mut entries, .. } = config::partial(&file.config);
    if unreadable.is_some() {
        // It has been said why; a table without entries would say something else.
        return Err(Complaint(String::new()));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let until = horizon(expiring, now);
    entries.retain(|entry| {
        until.is_none_or(|until| end_of(entry).is_some_and(|at| at > now && at <= until))
    });
    let unread = |text: &'_ Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
    let texts: Vec<_> =
        entries.iter().map(|entry| (unread(&entry.user), unread(&entry.organization))).collect();
    let rows = entries.iter().zip(&texts).map(|(entry, (user, organization))| Row {
        name: &entry.name,
        user,
        organization,
        roles: entry.roles.iter().map(String::as_str).collect(),
        expires: entry.expires.map(written),
        revoked: entry.revoked.map(written),
        state: state_of(token::failure(entry.revoked, entry.expires, now), end_of(entry), now),
    });
    let rows: Vec<Row<'_>> = rows.collect();
    if json {
        say_json(&rows)?;
    } else {
        say(&table(&rows))?;
    }
    tell(
        "doorward: these are the entries that can be read; the configuration has errors, as above",
    );
    Ok(ExitCode::SUCCESS)
}

pub(super) fn end_of(entry: &config::PartialEntry) -> Option<UnixSeconds> {
    [entry.expires, entry.revoked].into_iter().flatten().min()
}

fn row<'t>(entry: &Listed<'t>, now: UnixSeconds) -> Row<'t> {
    Row {
        name: entry.name,
        user: entry.principal.user().as_str(),
        organization: entry.principal.organization().as_str(),
        roles: entry.principal.grants().roles.iter().map(|role| role.name.as_str()).collect(),
        expires: entry.expires.map(written),
        revoked: entry.revoked.map(written),
        state: state(entry, now),
    }
}

/// When it stops to be valid, whichever way.
fn end(entry: &Listed<'_>) -> Option<UnixSeconds> {
    [entry.expires, entry.revoked].into_iter().flatten().min()
}

pub(super) fn state(entry: &Listed<'_>, now: UnixSeconds) -> String {
    state_of(entry.failure(now), end(entry), now)
}

pub(super) fn state_of(
    failure: Option<AuthFailure>,
    end: Option<UnixSeconds>,
    now: UnixSeconds,
) -> String {
    match (failure, end) {
        (Some(AuthFailure::Revoked), _) => "revoked".to_owned(),
        (Some(_), _) => "expired".to_owned(),
        (None, None) => "active".to_owned(),
        (None, Some(at)) => match (at - now) / 86_400 {
            0 => "active, ends within a day".to_owned(),
            1 => "active for 1 day".to_owned(),
            days => format!("active for {days} days"),
        },
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let head = ["NAME", "USER", "ORGANIZATION", "ROLES", "EXPIRES", "STATE"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        [
            row.name.to_owned(),
            row.user.to_owned(),
            row.organization.to_owned(),
            if row.roles.is_empty() { "-".to_owned() } else { row.roles.join(",") },
            row.expires.clone().unwrap_or_else(|| "never".to_owned()),
            row.state.clone(),
        ]
    });
    columns(&std::iter::once(head).chain(cells).map(Vec::from).collect::<Vec<_>>())
}
