//! `doorward token verify`

use std::path::Path;
use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::list::state;
use super::{Done, UNUSABLE, can_be_sent, loaded, now, read_token, say};
use crate::cli::EXIT_NO;
use crate::core::principal::Digest;
use crate::core::secret::{Form, form};

pub(super) fn verify(path: &Path) -> Done {
    let config = loaded(path)?;
    let token = read_token()?;
    let is_usable = can_be_sent(&token);
    let form = match form(&token) {
        Form::Sound(name) => format!("doorward's, made for the entry `{name}`"),
        Form::Mistyped => "doorward's, but its digits do not fit together: a typo?".to_owned(),
        Form::Foreign if !is_usable => UNUSABLE.to_owned(),
        Form::Foreign => "not made by doorward, which is no fault".to_owned(),
    };
    let mut out = format!("form: {form}\n");
    let digest: Digest = Sha256::digest(token.as_bytes()).into();
    let Some(entry) = config.policy.tokens().list_one(&digest) else {
        out += &format!("entry: none; it is not in {} and what that includes\n", path.display());
        say(&out)?;
        return Ok(ExitCode::from(EXIT_NO));
    };
    let (user, organization) = (entry.principal.user(), entry.principal.organization());
    out += &format!("entry: {}, of {} in {}\n", entry.name, user.as_str(), organization.as_str());
    say(&format!("{out}state: {}\n", state(&entry, now())))?;
    Ok(if is_usable && entry.failure(now()).is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NO)
    })
}
