//! `doorward token new`

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Complaint, Done, edit, hex, now, written};
use crate::cli::ConfigFile;
use crate::core::secret::Secret;
use crate::core::token::UnixSeconds;

#[derive(Args, Debug)]
pub(super) struct New {
    /// Name of the entry: it stands in records, and in the token
    name: String,
    /// Whose identity it proves
    #[arg(long)]
    user: String,
    /// The user's organization
    #[arg(long)]
    organization: String,
    /// A role that it gives; repeatable
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// A tool that it gives besides, upstream/tool; repeatable
    #[arg(long, value_name = "PATTERN")]
    tool: Vec<String>,
    /// How long it is good for: 90d, or a date like 2027-06-30, or never
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = Expires::parse)]
    expires: Expires,
    /// Append the entry to the file
    #[arg(long)]
    write: bool,
    /// Put the secret into a new file that only you can read, and not on the terminal
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Clone, Debug)]
enum Expires {
    Never,
    At(UnixSeconds),
}

impl Expires {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(duration) = humantime::parse_duration(text) {
            let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            return Ok(Self::At(now().saturating_add(seconds)));
        }
        let date: Result<jiff::Timestamp, _> = format!("{text}T00:00:00Z").parse();
        let moment = date.or_else(|_| text.parse::<jiff::Timestamp>());
        let moment = moment.map_err(|_| "write 90d, 2027-06-30, or never".to_owned())?;
        Ok(Self::At(moment.as_second()))
    }
}

impl New {
    #[expect(clippy::print_stdout, reason = "the answer of the verb")]
    pub(super) fn run(self) -> Done {
        if self.out.is_none() && !io::stdout().is_terminal() {
            return Err(
                "standard output is not a terminal, and a secret that goes into a pipe is \
                        soon in a log; name a file with --out"
                    .to_owned()
                    .into(),
            );
        }
        let path = &self.config.config;
        let before = fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| format!("there is no randomness: {error}"))?;
        let secret = Secret::new(&self.name, random);
        let block = self.block(&secret);
        let gap = if before.ends_with("\n\n") { "" } else { "\n" };
        let after = format!("{before}{gap}{block}");
        crate::config::check_edit(path, path, &after).map_err(|findings| {
            crate::cli::complain(&findings);
            Complaint("this entry would not be a good one, so nothing was made".to_owned())
        })?;

        if let Some(out) = &self.out {
            keep(out, &secret)?;
        }
        if self.write {
            edit::replace(path, path, &after).inspect_err(|_| {
                if let Some(out) = &self.out {
                    // A secret that opens nothing is of no use to anybody.
                    let _ = fs::remove_file(out);
                }
            })?;
        }
        match &self.out {
            Some(out) => {
                eprintln!("The secret is in {}; hand it over, and delete it.", out.display())
            }
            None => {
                eprintln!("The secret, shown once; hand it over through your secret store:");
                println!("{}", secret.reveal());
            }
        }
        if self.write {
            eprintln!("Its entry is in {}: [tokens.{}]", path.display(), self.name);
        } else {
            eprintln!("Its entry, for {} (or run again with --write):", path.display());
            print!("{block}");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn block(&self, secret: &Secret) -> String {
        let text = |text: &str| toml_edit::Value::from(text).to_string();
        let texts = |all: &[String]| {
            toml_edit::Value::from_iter(all.iter().map(String::as_str)).to_string()
        };
        let mut block = format!("[tokens.{}]\n", toml_edit::Key::new(self.name.as_str()));
        let mut line = |key: &str, value: &str| {
            // Writing into a string does not fail.
            let _ = writeln!(block, "{key:12} = {value}");
        };
        line("sha256", &text(&hex(&secret.digest())));
        line("user", &text(&self.user));
        line("organization", &text(&self.organization));
        line("roles", &texts(&self.role));
        if !self.tool.is_empty() {
            line("tools", &texts(&self.tool));
        }
        match self.expires {
            Expires::Never => line("expires", "\"never\""),
            Expires::At(moment) => line("expires", &written(moment)),
        }
        block
    }
}

/// A new file that nobody else can read.
fn keep(out: &Path, secret: &Secret) -> Result<(), Complaint> {
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(out)?;
        writeln!(file, "{}", secret.reveal())?;
        file.sync_all()
    };
    let written: io::Result<()> = write();
    written.map_err(|error| {
        format!("{} cannot be made: {error}; name a file that is not there", out.display()).into()
    })
}
