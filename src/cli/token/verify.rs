//! `doorward token verify`

use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::list::state;
use super::{
    Done, UNUSABLE, can_be_sent, jwt, loaded_with_revision, now, read_token, running, say, tell,
    trouble,
};
use crate::cli::talk::spelled;
use crate::cli::{ConfigFile, EXIT_NO};
use crate::core::jwt::has_form;
use crate::core::principal::Digest;
use crate::core::secret::{Form, form};

pub(super) fn verify(file: &ConfigFile, is_offline: bool) -> Done {
    let path = &file.config;
    let Ok((config, revision)) = loaded_with_revision(path) else { return trouble::verify(file) };
    let token = read_token()?;
    let is_usable = can_be_sent(&token);
    let form = match form(&token) {
        Form::Sound(name) => format!("doorward's, made for the entry `{name}`"),
        Form::Mistyped => "doorward's, but its digits do not fit together: a typo?".to_owned(),
        Form::Foreign if !is_usable => UNUSABLE.to_owned(),
        Form::Foreign => "not made by doorward, which is no fault".to_owned(),
    };
    let mut out = format!("form: {form}\n");
    let limit = config.settings.limits.headers;
    let fits = token.len() < limit;
    if !fits {
        tell(&format!("A request with it is a 431: limits.headers are {limit} bytes"));
    }
    let digest: Digest = Sha256::digest(token.as_bytes()).into();
    let Some(entry) = config.policy.tokens().list_one(&digest) else {
        if is_usable && has_form(&token) {
            let is_taken = jwt::explain(&config, &token, is_offline, now())? && fits;
            running::warn_where_it_differs(file, config.settings.admin_listen, &revision);
            return Ok(if is_taken { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) });
        }
        out += &format!("entry: none; it is not in {} and what that includes\n", spelled(path));
        say(&out)?;
        running::warn_where_it_differs(file, config.settings.admin_listen, &revision);
        return Ok(ExitCode::from(EXIT_NO));
    };
    let (user, organization) = (entry.principal.user(), entry.principal.organization());
    out += &format!("entry: {}, of {} in {}\n", entry.name, user.as_str(), organization.as_str());
    say(&format!("{out}state: {}\n", state(&entry, now())))?;
    running::warn_where_it_differs(file, config.settings.admin_listen, &revision);
    Ok(if is_usable && fits && entry.failure(now()).is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    })
}
