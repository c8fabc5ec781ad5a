//! `doorward token`: the life of the entries of the token table.

mod edit;
mod hash;
mod list;
mod new;
mod revoke;
mod verify;

use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ConfigFile, EXIT_CONFIG};
use crate::core::principal::Digest;
use crate::core::token::UnixSeconds;

#[derive(Args, Debug)]
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
    /// End a token: its entry stays, so that its use is noticed
    Revoke {
        /// The entry
        name: String,
        /// Write it into the file; comments and order stay
        #[arg(long)]
        write: bool,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Say what is known about a token that is read from standard input (exit 1 if it is not valid)
    Verify(ConfigFile),
}

pub(super) fn token(token: Token) -> ExitCode {
    let done = match token.verb {
        Verb::Hash => hash::hash(),
        Verb::List { expiring, json, config } => list::list(&config.config, expiring, json),
        Verb::New(new) => new.run(),
        Verb::Revoke { name, write, config } => revoke::revoke(&config.config, &name, write),
        Verb::Verify(config) => verify::verify(&config.config),
    };
    done.unwrap_or_else(|complaint| {
        if !complaint.0.is_empty() {
            eprintln!("doorward: {}", complaint.0);
        }
        ExitCode::from(EXIT_CONFIG)
    })
}

/// Why nothing was done, in a sentence; empty where it has been said.
struct Complaint(String);

impl From<String> for Complaint {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

type Done = Result<ExitCode, Complaint>;

/// A token from standard input, a line end behind it aside.
fn read_token() -> Result<String, Complaint> {
    if io::stdin().is_terminal() {
        eprintln!("Paste the token, then a new line and Ctrl-D:");
    }
    let mut text = String::new();
    let read = io::stdin().take(64 << 10).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read standard input: {error}"))?;
    let token = text.trim_end_matches(['\r', '\n']);
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err("standard input holds no token: one line without blanks".to_owned().into());
    }
    Ok(token.to_owned())
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as TOML and RFC 3339 write it.
fn written(moment: UnixSeconds) -> String {
    jiff::Timestamp::from_second(moment).map_or_else(|_| moment.to_string(), |at| at.to_string())
}

fn now() -> UnixSeconds {
    jiff::Timestamp::now().as_second()
}
