//! What can be said of a token while the configuration has errors.

use std::process::ExitCode;

use sha2::{Digest as _, Sha256};

use super::list::{end_of, state_of};
use super::{Complaint, Done, can_be_sent, now, read_token, say, tell};
use crate::cli::{ConfigFile, EXIT_NO};
use crate::config::{self, Partial, PartialEntry};
use crate::core::harmless::visible;
use crate::core::principal::Digest;
use crate::core::token;

/// Looks for a token from standard input in what can be read; the errors have been said.
pub(super) fn verify(file: &ConfigFile) -> Done {
    let Partial { unreadable: None, entries, .. } = config::partial(&file.config) else {
        return Err(Complaint(String::new()));
    };
    let token = read_token()?;
    let digest: Digest = Sha256::digest(token.as_bytes()).into();
    let mut known = entries.iter().filter(|entry| entry.digest == Some(digest));
    let failure = |entry: &&PartialEntry| token::failure(entry.revoked, entry.expires, now());
    let first = known.clone().next();
    // Where there are two of them, the one that ends it is right.
    let entry = known.find(|entry| failure(entry).is_some()).or(first);
    let Some(entry) = entry else {
        // What cannot be read may know it.
        return Err(Complaint("the token is in no entry that can be read".to_owned()));
    };
    let text = |text: &Option<String>| visible(text.as_deref().unwrap_or("?"));
    let (user, organization) = (text(&entry.user), text(&entry.organization));
    let (failure, name) = (failure(&entry), visible(&entry.name));
    let state = state_of(failure, end_of(entry), now());
    say(&format!("entry: {name}, of {user} in {organization}\nstate: {state}\n"))?;
    tell(
        "doorward: this is by what can be read; the configuration has errors, as above, and a \
         running gateway goes on with the one of before",
    );
    let is_good = failure.is_none() && can_be_sent(&token);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
}
