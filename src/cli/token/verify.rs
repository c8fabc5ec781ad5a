//! `doorward token verify`

use std::path::Path;
use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::list::state;
use super::{Complaint, Done, now, read_token};
use crate::cli::{EXIT_NO, complain};
use crate::config;
use crate::core::principal::Digest;
use crate::core::secret::{Form, form};

#[expect(clippy::print_stdout, reason = "the answer of the verb")]
pub(super) fn verify(path: &Path) -> Done {
    let config = config::load(path).map_err(|findings| {
        complain(&findings);
        Complaint(String::new())
    })?;
    let token = read_token()?;
    match form(&token) {
        Form::Sound(name) => println!("form: doorward's, made for the entry `{name}`"),
        Form::Mistyped => println!("form: doorward's, but its digits do not fit together: a typo?"),
        Form::Foreign => println!("form: not made by doorward, which is no fault"),
    }
    let digest: Digest = Sha256::digest(token.as_bytes()).into();
    let Some(entry) = config.policy.tokens().list_one(&digest) else {
        println!("entry: none; it is not in {} and what that includes", path.display());
        return Ok(ExitCode::from(EXIT_NO));
    };
    let (user, organization) = (entry.principal.user(), entry.principal.organization());
    println!("entry: {}, of {} in {}", entry.name, user.as_str(), organization.as_str());
    println!("state: {}", state(&entry, now()));
    Ok(if entry.failure(now()).is_none() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
}
