//! The command line: one file per verb. Exit codes: 0 good, 1 no, 2 usage or configuration,
//! 3 cannot start.

mod audit;
mod caller;
mod can;
mod check;
mod diff;
mod explain;
mod health;
mod lock;
mod reload;
mod replace;
mod run;
mod schema;
mod status;
mod steps;
mod table;
mod talk;
mod token;
mod unused;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::core::harmless::visible;

/// An authenticating gateway in front of MCP servers.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read audit records: who called what, when, and how it ended
    Audit(audit::Audit),
    /// May somebody use something, and which line says so? (exit 0 yes, 1 no, 2 error)
    Can(can::Can),
    /// Check the configuration: every error and warning with its place (exit 2 on errors)
    Check(check::Check),
    /// What an edit changes, and for whom: two files, or the running gateway and its file (exit 1 if
    /// anything does)
    Diff(diff::Diff),
    /// Why was a request refused, or let through? What would be decided today? (exit 1 if unknown)
    Explain(explain::Explain),
    /// Ask the gateway that runs with this configuration whether it is ready (exit 1 if not)
    Health(ConfigFile),
    /// Write down what the upstreams say of their tools, so that a change is noticed (exit 1 with
    /// --check if anything differs)
    Lock(lock::Lock),
    /// Take the file now, and say what came of it (exit 0 taken, 1 held, 2 refused)
    Reload(reload::Reload),
    /// Serve in the foreground until SIGTERM (drains) or SIGINT (at once)
    Run(ConfigFile),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Make, list, check and end tokens
    Token(token::Token),
    /// What was granted and not used, by audit records or the running gateway (exit 1 if there is any)
    Unused(unused::Unused),
}

#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
    /// Where the running gateway answers, where it is not `admin.listen` of the configuration
    #[arg(long, value_name = "ADDRESS", hide = true)]
    admin: Option<SocketAddr>,
}

const EXIT_NO: u8 = 1;
const EXIT_CONFIG: u8 = 2;
const EXIT_START: u8 = 3;

/// Carries out what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return refused(&error),
        // What was asked for.
        Err(error) => error.exit(),
    };
    let done = match arguments.verb {
        Verb::Audit(audit) => audit.run(),
        Verb::Can(can) => can.run(),
        Verb::Check(check) => check.run(),
        Verb::Diff(diff) => diff.run(),
        Verb::Explain(explain) => explain.run(),
        Verb::Health(file) => Ok(health::health(&file)),
        Verb::Lock(lock) => lock.run(),
        Verb::Reload(reload) => reload.run(),
        Verb::Run(file) => Ok(run::run(&file.config)),
        Verb::Schema => schema::schema(),
        Verb::Token(token) => token::token(token),
        Verb::Unused(unused) => unused.run(),
    };
    done.unwrap_or_else(|complaint| {
        if !complaint.0.is_empty() {
            talk::tell(&format!("doorward: {}", complaint.0));
        }
        ExitCode::from(EXIT_CONFIG)
    })
}

/// Says what is wrong with a command line, in which a script can put anything.
fn refused(error: &clap::Error) -> ExitCode {
    use std::io::IsTerminal as _;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut text = error.render().ansi().to_string();
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy();
        let value = word.split_once('=').map_or("", |(_, value)| value);
        for part in [&*word, value].into_iter().filter(|part| visible(part) != **part) {
            text = text.replace(part, &visible(part));
        }
    }
    if !colours {
        // What is left of sequences is colours.
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        text = parts.fold(first, |out, part| out + part.split_once('m').map_or(part, |p| p.1));
    }
    talk::tell_coloured(&text);
    ExitCode::from(EXIT_CONFIG)
}

/// Prints what is wrong with a configuration, for a person.
fn complain(findings: &crate::config::Findings) {
    use std::io::IsTerminal as _;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    talk::tell_coloured(&findings.render(colours));
}
