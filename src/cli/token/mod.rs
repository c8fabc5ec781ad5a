//! `doorward token`: the life of the entries of the token table.

mod edit;
mod hash;
mod jwt;
mod list;
mod new;
mod revoke;
mod running;
mod trouble;
mod verify;

use std::io::{self, IsTerminal as _, Read as _};

use clap::{Args, Subcommand};

use super::ConfigFile;
use super::talk::{
    Complaint, Done, loaded, loaded_with_revision, now, say, say_json, tell, written,
};
use crate::core::principal::{Digest, PresentedToken};
use crate::core::token::UnixSeconds;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward token new ci --user ci --organization acme --role agent --expires 90d --write --out ci.token\n\
    \x20 doorward token list --expiring 90d\n\
    \x20 doorward token revoke dev-alice --write\n\
    \x20 doorward token verify < ci.token";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the SHA-256 of a token that is read from standard input
    Hash,
    /// List the entries: whose they are, what they give, until when
    List {
        /// Only those that end within this time, like 7d
        #[arg(long, value_name = "DURATION")]
        expiring: Option<humantime::Duration>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make a token: the secret, shown once, and its entry
    New(new::New),
    /// End a token: its entry stays, so that its use is noticed; with --write, ask the gateway
    /// whether it holds (exit 1 if it does not)
    Revoke {
        /// The entry
        name: String,
        /// Write it into the file; comments and order stay
        #[arg(long)]
        write: bool,
        /// From when on, like 2027-06-30 or 2027-06-30T12:00:00Z; now where it is not said
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        at: Option<UnixSeconds>,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Say what is known about a token, or a JWT, that is read from standard input: every check, with
    /// what was expected and found (exit 0 if an upstream takes it, 1 if none does or its signature
    /// cannot be checked, 2 on errors)
    Verify {
        /// Fetch no keys from a `jwks_url`: say what would be checked
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
}

pub(super) fn token(token: Token) -> Done {
    match token.verb {
        Verb::Hash => hash::hash(),
        Verb::List { expiring, json, config } => list::list(&config, expiring, json),
        Verb::New(new) => new.run(),
        Verb::Revoke { name, write, at, config } => revoke::revoke(&config, &name, write, at),
        Verb::Verify { offline, config } => verify::verify(&config, offline),
    }
}

/// The longest text that is read as a token, as long as headers may be; nothing is cut off in
/// silence.
const MAX_INPUT: u64 = 1 << 20;

/// A token from standard input, a line end behind it aside.
fn read_token() -> Result<String, Complaint> {
    if io::stdin().is_terminal() {
        tell("Paste the token, then a new line and Ctrl-D:");
    }
    let mut text = String::new();
    let read = io::stdin().take(MAX_INPUT + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    if text.len() as u64 > MAX_INPUT {
        return Err("standard input is longer than any token".to_owned().into());
    }
    let token = text.trim_end_matches(['\r', '\n']);
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err("standard input holds no token: one line without blanks".to_owned().into());
    }
    Ok(token.to_owned())
}

/// What is wrong with a token that [`can_be_sent`] is not true of.
const UNUSABLE: &str = "no bearer token, so the gateway refuses it always: letters, digits and \
                        -._~+/ can be one, = only at its end";

/// Whether the gateway would look for it at all.
fn can_be_sent(token: &str) -> bool {
    PresentedToken::from_authorization(&format!("Bearer {token}")).is_some()
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A date (its first second in UTC) or a moment, as the configuration takes them.
fn moment(text: &str) -> Result<UnixSeconds, String> {
    let date: Result<jiff::Timestamp, _> = format!("{text}T00:00:00Z").parse();
    let moment = date.or_else(|_| text.parse());
    let moment = moment.map_err(|_| "write 2027-06-30 or 2027-06-30T12:00:00Z".to_owned())?;
    Ok(moment.as_second())
}
