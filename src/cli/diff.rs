//! `doorward diff`: what an edit changes, and for whom.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::talk::{Complaint, Done, loaded, now, say, say_json, tell};
use super::{ConfigFile, EXIT_NO, status};
use crate::config;
use crate::core::access::{Difference, Tools};

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward diff old.toml gateway.toml\n\
    \x20 doorward diff old.toml gateway.toml --json";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// The configuration of before; what the running gateway uses where none is named
    #[arg(value_name = "OLD")]
    old: Option<PathBuf>,
    /// The configuration of after; --config where none is named
    #[arg(value_name = "NEW")]
    new: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// A line for each change, whether one of them widens, and what needs a restart.
type Effect = (Vec<String>, bool, Vec<String>);

impl Diff {
    pub(super) fn run(self) -> Done {
        let (lines, widens, restart) = match &self.old {
            Some(old) => self.between(old)?,
            None => running(&self.config)?,
        };
        if self.json {
            let told = json!({"changes": lines, "widens": widens, "restart_needed": restart});
            say_json(&told)?;
        } else {
            let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if lines.is_empty() {
                text += "nothing changes\n";
            }
            if !restart.is_empty() {
                text += &format!("restart needed: {}\n", restart.join(", "));
            }
            say(&text)?;
        }
        let is_same = lines.is_empty() && restart.is_empty();
        Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
    }

    fn between(&self, old: &Path) -> Result<Effect, Complaint> {
        let old = loaded(old)?;
        let new = loaded(self.new.as_ref().unwrap_or(&self.config.config))?;
        let tools: Tools =
            old.named_tools.union(&new.named_tools).cloned().collect::<BTreeSet<_>>();
        let difference = Difference::between(&old.policy, &new.policy, &tools, now());
        let restart = new.settings.needing_restart(&old.settings);
        let restart = restart.into_iter().map(str::to_owned).collect();
        let changed = config::changed((&old.settings, &old.issuers), (&new.settings, &new.issuers));
        let widens = difference.widens() || changed.iter().any(|changed| changed.widens);
        let lines = difference.lines().into_iter().chain(changed.iter().map(config::Changed::line));
        Ok((lines.collect(), widens, restart))
    }
}

/// What the file would change at the gateway that runs with it.
fn running(config: &ConfigFile) -> Result<Effect, Complaint> {
    let answer = status::get(config, "/diff")?;
    let texts = |key: &str| {
        let all = answer.get(key).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let errors = texts("errors");
    if !errors.is_empty() {
        return Err(format!("the file has errors:\n{}", errors.join("\n")).into());
    }
    if answer.get("held") == Some(&Value::Bool(true)) {
        tell(
            "doorward: held: what it takes away is in force; what it gives waits for: doorward \
             reload --ack",
        );
    }
    let widens = answer.get("widens").and_then(Value::as_bool).unwrap_or(true);
    Ok((texts("changes"), widens, texts("restart_needed")))
}
