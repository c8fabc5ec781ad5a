//! `doorward lock`: what the upstreams say of their tools, as somebody approves it.

mod shown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::replace;
use super::talk::{Complaint, Done, say, say_json, spelled, tell};
use super::{ConfigFile, EXIT_NO, complain};
use crate::config::{self, Approved, Config, DEFAULT_LOCK, did_you_mean};
use crate::core::harmless::visible;
use crate::core::principal::{BadIdentity, OrganizationId, Principal, UserId};
use crate::server::tools::{self, LeftOutTools, Toolbox};

use shown::Difference;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward lock --check\n\
    \x20 doorward lock\n\
    \x20 doorward lock tickets --as dev-alice";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lock {
    /// Only these; all where none is named
    #[arg(value_name = "UPSTREAM")]
    upstreams: Vec<String>,
    /// Write nothing: what differs from the file? (exit 1 if anything does)
    #[arg(long)]
    check: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    config: ConfigFile,
}

/// In whose name upstreams are asked.
#[derive(Args, Debug)]
pub(super) struct Asking {
    /// Ask as the holder of this token, where an upstream wants to know; its secret is not needed
    #[arg(long = "as", value_name = "TOKEN")]
    token: Option<String>,
}

impl Asking {
    fn principal(&self, config: &Config) -> Result<Principal, Complaint> {
        let Some(name) = &self.token else {
            let nobody = |bad: BadIdentity| bad.to_string();
            let user = UserId::parse("doorward").map_err(nobody)?;
            let organization = OrganizationId::parse("doorward").map_err(nobody)?;
            return Ok(Principal::without_grants(user, organization));
        };
        let known = config.policy.tokens().list().find(|listed| listed.name == name);
        let principal = known.map(|listed| listed.principal).ok_or_else(|| {
            let names: Vec<&str> = config.policy.tokens().list().map(|token| token.name).collect();
            let hint = did_you_mean(name, &names);
            Complaint(format!(
                "there is no token `{}`; {hint}see doorward token list",
                visible(name)
            ))
        })?;
        let (user, organization) = (principal.user().clone(), principal.organization().clone());
        Ok(Principal::without_grants(user, organization))
    }

    /// The tools of these upstreams, or of all where none is named.
    pub(super) fn ask(&self, config: Config, only: &[String]) -> Result<Answers, Complaint> {
        let names: Vec<String> =
            config.settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let (hint, known) = (did_you_mean(unknown, &known), known.join(", "));
            return Err(format!(
                "there is no upstream `{}`; {hint}known: {known}",
                visible(unknown)
            )
            .into());
        }
        let principal = self.principal(&config)?;
        let asked = if only.is_empty() { names } else { only.to_vec() };
        let told = tools::ask(config, &asked, principal).map_err(|error| error.to_string())?;
        let (mut answers, mut complaints) = (Answers::default(), Vec::new());
        for (upstream, told) in told {
            match told {
                Ok(Toolbox { tools, left_out }) => {
                    if left_out.count > 0 {
                        let what = left_out.to_string();
                        tell(&format!("warning: upstream `{upstream}`: {}", visible(&what)));
                        answers.left_out.insert(upstream.clone(), left_out);
                    }
                    answers.tools.insert(upstream, tools);
                }
                Err(why) => {
                    let may_help = self.token.is_none() && why.is_refusal();
                    let hint = if may_help { "; --as TOKEN asks in its name" } else { "" };
                    complaints.push(format!(
                        "upstream `{upstream}` does not list its tools: {}{hint}",
                        visible(&why.to_string())
                    ));
                }
            }
        }
        if complaints.is_empty() { Ok(answers) } else { Err(complaints.join("\n").into()) }
    }
}

/// What upstreams said of their tools.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) tools: Approved,
    /// What cannot be read of it; those who approve have been told.
    left_out: BTreeMap<String, LeftOutTools>,
}

impl Lock {
    pub(super) fn run(self) -> Done {
        let config = config::load_unlocked(&self.config.config).map_err(|findings| {
            complain(&findings);
            Complaint(String::new())
        })?;
        let names: Vec<String> =
            config.settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        let configured = config.lock_file.clone();
        let path = configured.clone().unwrap_or_else(|| beside(&self.config.config));
        let Answers { tools: now, left_out } = self.asking.ask(config, &self.upstreams)?;
        let turn = if self.check { None } else { Some(replace::turn(&self.config.config)?) };
        let before = read(&path)?;
        let approved = approved(before.as_deref(), &path)?;
        let differences = differences(&approved, &now);
        if self.check {
            self.show(&differences, &now, &left_out, "")?;
            let is_same = differences.is_empty() && before.is_some();
            return Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) });
        }
        let mut all = approved.clone();
        all.retain(|upstream, _| names.contains(upstream));
        all.extend(now.clone());
        let text = config::lock_text(&all);
        if before.as_ref() != Some(&text) {
            replace::write(&path, before.as_deref(), &text)
                .map_err(|error| format!("{} cannot be written: {error}", spelled(&path)))?;
        }
        drop(turn);
        let mut end = format!(
            "{}: {}\n",
            spelled(&path),
            match before {
                Some(before) if before == text => "nothing changes",
                _ => "written; look at it, and keep it with the configuration",
            }
        );
        if configured.is_none() {
            end += "it is not in use yet; add to the configuration:\n\n\
                    [lock]\nfile = \"tools.lock\"\n";
        }
        self.show(&differences, &now, &left_out, &end)?;
        Ok(ExitCode::SUCCESS)
    }

    fn show(
        &self,
        differences: &[Difference<'_>],
        now: &Approved,
        left_out: &BTreeMap<String, LeftOutTools>,
        end: &str,
    ) -> Result<(), Complaint> {
        if self.json {
            let all: Vec<_> = differences.iter().map(Difference::json).collect();
            let left_out: BTreeMap<_, _> = left_out
                .iter()
                .map(|(upstream, LeftOutTools { count, first })| {
                    (upstream, json!({"count": count, "first": first}))
                })
                .collect();
            let told = json!({"same": all.is_empty(), "differences": all, "left_out": left_out});
            return say_json(&told);
        }
        let mut text = String::new();
        for (upstream, tools) in now {
            let of: Vec<_> = differences.iter().filter(|one| one.upstream == upstream).collect();
            let said = if of.is_empty() { ", as approved" } else { "" };
            text += &format!("{upstream}: {}{said}\n", super::talk::many(tools.len(), "tool"));
            text.extend(of.into_iter().map(Difference::text));
        }
        say(&(text + end))
    }
}

fn beside(config: &Path) -> PathBuf {
    config.with_file_name(DEFAULT_LOCK)
}

fn read(path: &Path) -> Result<Option<String>, Complaint> {
    match config::read_text_file(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", spelled(path)).into()),
    }
}

/// What is in the file; nothing where there is none.
fn approved(text: Option<&str>, path: &Path) -> Result<Approved, Complaint> {
    let parsed = text.map(config::parse_lock).transpose();
    let hint = "remove it to approve everything anew";
    let parsed = parsed.map_err(|bad| format!("{} {bad}; {hint}", spelled(path)))?;
    Ok(parsed.unwrap_or_default())
}

/// In the order of upstreams and tools.
fn differences<'d>(approved: &'d Approved, now: &'d Approved) -> Vec<Difference<'d>> {
    let mut all = Vec::new();
    for (upstream, tools) in now {
        let before = approved.get(upstream);
        let known = before.into_iter().flat_map(BTreeMap::keys);
        let mut names: Vec<&String> = known.chain(tools.keys()).collect();
        names.sort();
        names.dedup();
        for tool in names {
            let (before, now) = (before.and_then(|tools| tools.get(tool)), tools.get(tool));
            if before != now {
                all.push(Difference { upstream, tool, before, now });
            }
        }
    }
    all
}
