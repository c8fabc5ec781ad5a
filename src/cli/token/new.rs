//! `doorward token new`

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::revoke::place;
use super::running::{self, Written};
use super::{Complaint, Done, edit, hex, loaded, moment, now, say, tell, written};
use crate::cli::replace;
use crate::cli::talk::spelled;
use crate::cli::{ConfigFile, complain};
use crate::config;
use crate::core::pasted;
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
        let at = if let Ok(duration) = humantime::parse_duration(text) {
            now().saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
        } else {
            moment(text).map_err(|_| "write 90d, 2027-06-30, or never".to_owned())?
        };
        if at <= now() {
            return Err("that is over already".to_owned());
        }
        Ok(Self::At(at))
    }
}

impl New {
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
        let turn = self.write.then(|| replace::turn(path)).transpose()?;
        self.refuse_a_second(path)?;
        let before = config::read_text_file(path)
            .map_err(|error| format!("{} cannot be read: {error}", spelled(path)))?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| format!("there is no randomness: {error}"))?;
        let secret = Secret::new(&self.name, random);
        let block = self.block(&secret);
        let after = edit::appended(&before, &block);
        let config = config::check_edit(path, path, &after).map_err(|findings| {
            complain(&findings);
            Complaint("this entry would not be a good one, so nothing was made".to_owned())
        })?;

        if let Some(out) = &self.out {
            keep(out, &secret)?;
        }
        if self.write {
            edit::replace(path, path, &before, &after).inspect_err(|_| self.forget())?;
        }
        match &self.out {
            Some(out) => {
                tell(&format!("The secret is in {}; hand it over, and delete it.", spelled(out)))
            }
            None => {
                tell("The secret, shown once; hand it over through your secret store:");
                say(&format!("{}\n", secret.reveal()))?;
            }
        }
        if self.write {
            tell(&format!(
                "Its entry is in {}: [tokens.{}]",
                spelled(path),
                pasted::key(&self.name)
            ));
            drop(turn);
            return running::confirm(
                &self.config,
                config.settings.admin_listen,
                &self.name,
                Written::New,
            );
        } else {
            tell(&format!("Its entry, for {} (or run again with --write):", spelled(path)));
            say(&block).inspect_err(|_| self.forget())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A name stands for one token in records, for good.
    fn refuse_a_second(&self, path: &Path) -> Result<(), Complaint> {
        let config = loaded(path)?;
        match place(&config.files, &self.name)? {
            None => Ok(()),
            Some(place) => Err(format!(
                "there is a token `{}` already, {}; give this one another name",
                self.name,
                place.at()
            )
            .into()),
        }
    }

    /// A secret without an entry opens nothing, and is of no use to anybody.
    fn forget(&self) {
        if let Some(out) = &self.out {
            let _ = fs::remove_file(out);
        }
    }

    fn block(&self, secret: &Secret) -> String {
        let (text, texts) = (pasted::string, pasted::strings::<String>);
        let mut block = format!("[tokens.{}]\n", pasted::key(&self.name));
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
        format!("{} cannot be made: {error}; name a file that is not there", spelled(out)).into()
    })
}
