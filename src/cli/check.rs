//! `doorward check`

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::lock::Asking;
use super::talk::{Complaint, Done, many, now, say, say_json, spelled};
use super::{ConfigFile, EXIT_CONFIG, complain};
use crate::config::{self, Code, Config, Findings, Severity};
use crate::core::harmless::visible;
use crate::core::token::UnixSeconds;
use crate::server::{self, Descriptors, StartError};

/// Tokens whose end is nearer than this are worth a word, in days.
const SOON: i64 = 14;

/// How many names a warning lists.
const NAMED: usize = 5;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward check\n\
    \x20 doorward check --deny-warnings --format github\n\
    \x20 doorward check --online\n\
    \x20 doorward check --explain DW0012";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Warnings count as errors
    #[arg(long)]
    deny_warnings: bool,
    /// How findings are shown
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Say what a code means, like DW0012, and check nothing
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
    /// It is to run on another machine: leave out what is true of this one alone
    #[arg(long)]
    elsewhere: bool,
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the upstreams for their tools: is there a pattern that matches none?
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object
    Json,
    /// Commands of GitHub Actions
    Github,
}

impl Check {
    pub(super) fn run(self) -> Done {
        if let Some(code) = &self.explain {
            return explain(code);
        }
        let path = &self.config.config;
        let (read, unanswered) = match config::load(path) {
            Ok(config) if self.online => self.online(config),
            read => (read, None),
        };
        let (findings, good) = match read {
            Ok(mut config) => {
                add_expiring(&mut config, now());
                if !self.elsewhere {
                    add_shortage(&mut config);
                }
                let (upstreams, tokens) =
                    (config.settings.upstreams.len(), config.policy.tokens().len());
                let (upstreams, tokens) = (many(upstreams, "upstream"), many(tokens, "token"));
                let good = format!("{}: good, {upstreams}, {tokens}\n", spelled(path));
                let findings = proven(config, self.elsewhere);
                let is_good = !findings.has_errors();
                (findings, is_good.then_some(good))
            }
            Err(findings) => (findings, None),
        };
        self.show(&findings, good.as_deref())?;
        if let Some(complaint) = unanswered {
            return Err(complaint);
        }
        let is_denied = self.deny_warnings && findings.counts().1 > 0;
        Ok(if good.is_none() || is_denied {
            ExitCode::from(EXIT_CONFIG)
        } else {
            ExitCode::SUCCESS
        })
    }

    /// The same, read anew with what the upstreams say; or why they do not.
    fn online(&self, config: Config) -> (Result<Config, Findings>, Option<Complaint>) {
        let path = &self.config.config;
        match self.asking.ask(config, &[]) {
            Ok(told) => (config::load_knowing(path, &told.tools), None),
            Err(complaint) => (config::load(path), Some(complaint)),
        }
    }

    fn show(&self, findings: &Findings, good: Option<&str>) -> Result<(), Complaint> {
        match if self.json { Format::Json } else { self.format } {
            Format::Json => say_json(&findings.json()),
            Format::Github => say(&findings.github()),
            Format::Text => {
                if !findings.findings().is_empty() {
                    complain(findings);
                }
                let known = findings.known();
                if !known.is_empty() {
                    let each = known.iter().map(|(code, count)| match count {
                        1 => (*code).to_owned(),
                        count => format!("{code} ({count} times)"),
                    });
                    say(&format!("accepted: {}\n", each.collect::<Vec<_>>().join(", ")))?;
                }
                say(good.unwrap_or_default())
            }
        }
    }
}

/// What there is to say of a configuration whose text is good, once all that `run` builds has been
/// built; without what is true of this machine alone where it is to run `elsewhere`.
fn proven(mut config: Config, elsewhere: bool) -> Findings {
    let mut findings = std::mem::take(&mut config.warnings);
    let places = config.places.clone();
    let (listen, admin) = (config.settings.listen.clone(), config.settings.admin_listen);
    let faults = server::prove(config).into_iter();
    for fault in faults.filter(|fault| !(elsewhere && fault.is_of_the_machine())) {
        let key = match &fault {
            StartError::Bind(address, _) if listen.contains(address) => "server.listen",
            StartError::Bind(address, _) if *address == admin => "admin.listen",
            StartError::Audit(..) => "audit.file",
            _ => "",
        };
        let span = places.get(key).cloned().unwrap_or(0..0);
        let (message, help) = (fault.to_string(), "doorward run would not start here".to_owned());
        findings.add_at(span, Severity::Error, Code::Machine, message, help);
    }
    findings.tell_idle();
    findings
}

fn explain(code: &str) -> Done {
    let Some(code) = Code::find(code) else {
        let first = Code::ALL.iter().map(|code| format!("  {}  {}\n", code.as_str(), code.title()));
        return Err(format!(
            "there is no code `{}`:\n{}",
            visible(code),
            first.collect::<String>()
        )
        .into());
    };
    say(&format!("{}: {}\n\n{}\n", code.as_str(), code.title(), code.text()))?;
    Ok(ExitCode::SUCCESS)
}

/// What only the machine can tell.
fn add_shortage(config: &mut Config) {
    if let Some(message) = Descriptors::attainable().shortage(config.settings.limits) {
        let help = "raise the hard limit where it is to run: ulimit -Hn, LimitNOFILE=, --ulimit";
        config.warnings.add(Severity::Warning, Code::FewDescriptors, message, help.to_owned());
    }
}

/// What only a clock can tell.
fn add_expiring(config: &mut Config, now: UnixSeconds) {
    const DAY: i64 = 86_400;
    let tokens = config.policy.tokens().list().filter(|listed| listed.failure(now).is_none());
    let left = |at: UnixSeconds| (at - now) / DAY;
    let soon = tokens.filter_map(|listed| Some((left(listed.expires?), listed.name.to_owned())));
    let mut soon: Vec<(i64, String)> = soon.filter(|(days, _)| *days < SOON).collect();
    soon.sort();
    if soon.is_empty() {
        return;
    }
    let named: Vec<String> = soon
        .iter()
        .take(NAMED)
        .map(|(days, name)| {
            format!("{name} in {}", many(usize::try_from(*days).unwrap_or(0), "day"))
        })
        .collect();
    let more = if soon.len() > NAMED { ", …" } else { "" };
    let message = format!("{} will expire: {}{more}", many(soon.len(), "token"), named.join(", "));
    let help = format!("see doorward token list --expiring {SOON}d");
    config.warnings.add(Severity::Warning, Code::ExpiresSoon, message, help);
}
