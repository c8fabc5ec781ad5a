//! `doorward can`: may somebody use something, and which line says so?

mod batch;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::caller::{self, Asked, Assumed};
use super::table::columns;
use super::talk::{Complaint, Done, arguments, loaded, now, say, say_json};
use super::{ConfigFile, EXIT_NO, steps};
use crate::config::{Config, did_you_mean};
use crate::core::harmless::visible;
use crate::core::permission::{Target, TargetKind};
use crate::core::policy::Route;
use crate::core::rehearsal::{self, Asks, Rehearsed};
use crate::core::rule::Rule;

const EXAMPLES: &str = "Examples:\n\
    \x20 doorward can dev-alice tickets/create_ticket\n\
    \x20 doorward can alice tickets/create_ticket --args '{\"title\":\"x\"}' --why\n\
    \x20 doorward can --who tickets/get_ticket\n\
    \x20 doorward can --matrix\n\
    \x20 doorward can --role agent tickets/whoami\n\
    \x20 echo tickets/whoami | doorward can dev-alice -";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Can {
    /// The name of a token, or of a user: all their tokens
    #[arg(value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// What they want to use, like tickets/create_ticket; - reads many from standard input, one a
    /// line, or as a JSON string
    #[arg(value_name = "UPSTREAM/TOOL")]
    target: Option<String>,
    /// The arguments of the call: a JSON object, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// It is a prompt
    #[arg(long, conflicts_with_all = ["resource", "args"])]
    prompt: bool,
    /// It is a resource, by its URI
    #[arg(long, conflicts_with = "args")]
    resource: bool,
    /// Who may use it?
    #[arg(long, value_name = "UPSTREAM/TOOL", conflicts_with_all = ["principal", "matrix", "args"])]
    who: Option<String>,
    /// Everybody, or PRINCIPAL, and every tool that the configuration names
    #[arg(long, conflicts_with_all = ["target", "args"])]
    matrix: bool,
    /// Show how the answer came about
    #[arg(long, conflicts_with_all = ["who", "matrix"])]
    why: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    assumed: Assumed,
    #[command(flatten)]
    config: ConfigFile,
}

impl Can {
    pub(super) fn run(self) -> Done {
        let config = loaded(&self.config.config)?;
        if self.matrix {
            return self.matrix(&config);
        }
        if let Some(target) = &self.who {
            return self.who(&config, target);
        }
        // With --role or --issuer there is no name, and the first word is the target.
        let (name, target) = match (&self.principal, &self.target, self.assumed.is_given()) {
            (Some(target), None, true) => (None, target),
            (Some(name), Some(target), false) => (Some(name), target),
            _ => {
                return Err("say who and what: doorward can alice tickets/create_ticket"
                    .to_owned()
                    .into());
            }
        };
        let asked = self.asked(&config, name.map(String::as_str))?;
        if target == "-" {
            return self.batch(&config, &asked);
        }
        let arguments = self.args.as_deref().map(arguments).transpose()?;
        let answers: Vec<Answer<'_>> = asked
            .iter()
            .map(|asked| self.answer(&config, asked, target, arguments.as_deref()))
            .collect::<Result<_, _>>()?;
        if self.json {
            let rows: Vec<Value> = answers.iter().map(Answer::json).collect();
            say_json(&rows)?;
        } else {
            let several = answers.len() > 1;
            say(&answers.iter().map(|answer| answer.text(several, self.why)).collect::<String>())?;
        }
        let may = answers.iter().any(Answer::may);
        Ok(if may { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NO) })
    }

    fn asked(&self, config: &Config, name: Option<&str>) -> Result<Vec<Asked>, Complaint> {
        match name {
            Some(name) => caller::named(config, name, now()),
            None => Ok(vec![self.assumed.asked(config)?]),
        }
    }

    fn kind(&self) -> TargetKind {
        match (self.prompt, self.resource) {
            (true, _) => TargetKind::Prompt,
            (_, true) => TargetKind::Resource,
            _ => TargetKind::Tool,
        }
    }

    fn answer<'a>(
        &self,
        config: &'a Config,
        asked: &'a Asked,
        target: &str,
        arguments: Option<&str>,
    ) -> Result<Answer<'a>, Complaint> {
        let (route, name) = route(config, target)?;
        let kind = self.kind();
        let got = match arguments {
            Some(arguments) => rehearsal::call(route, &asked.caller, name, arguments, now()),
            None => rehearsal::may_see(route, &asked.caller, Target { kind, name }, now()),
        };
        let is_open = arguments.is_none() && kind == TargetKind::Tool;
        let asks = match is_open {
            true => rehearsal::conditions(route, &asked.caller, name, now()),
            false => Vec::new(),
        };
        Ok(Answer { asked, got, asks })
    }

    fn who(&self, config: &Config, target: &str) -> Done {
        let everybody = caller::everybody(config, now());
        let mut yes = Vec::new();
        for asked in &everybody {
            let answer = self.answer(config, asked, target, None)?;
            if answer.may() {
                yes.push(answer);
            }
        }
        let others = everybody.len() - yes.len();
        if self.json {
            let rows: Vec<Value> = yes.iter().map(Answer::json).collect();
            say_json(&rows)?;
        } else {
            let mut text: String = yes.iter().map(|answer| answer.text(true, false)).collect();
            text += &match others {
                0 => "everybody may\n".to_owned(),
                others => format!("nobody else: {others} of {} tokens may not\n", everybody.len()),
            };
            say(&text)?;
        }
        Ok(if yes.is_empty() { ExitCode::from(EXIT_NO) } else { ExitCode::SUCCESS })
    }

    fn matrix(&self, config: &Config) -> Done {
        let rows = match (&self.principal, self.assumed.is_given()) {
            (Some(name), _) => caller::named(config, name, now())?,
            (None, true) => vec![self.assumed.asked(config)?],
            (None, false) => caller::everybody(config, now()),
        };
        let tools: Vec<(String, String)> = config.named_tools.iter().cloned().collect();
        let mut cells = Vec::new();
        for asked in &rows {
            let mut row = Vec::new();
            for (upstream, tool) in &tools {
                let target = format!("{upstream}/{tool}");
                row.push(self.answer(config, asked, &target, None)?.word());
            }
            cells.push(row);
        }
        let name = |(upstream, tool): &(String, String)| format!("{upstream}/{tool}");
        if self.json {
            let row = |(asked, words): (&Asked, &Vec<&str>)| {
                let tools = tools.iter().map(name).zip(words.iter().copied().map(Value::from));
                json!({"principal": asked.name, "tools": tools.collect::<serde_json::Map<_, _>>()})
            };
            let rows: Vec<Value> = rows.iter().zip(&cells).map(row).collect();
            say_json(&rows)?;
            return Ok(ExitCode::SUCCESS);
        }
        let head = std::iter::once(String::new()).chain(tools.iter().map(name)).collect();
        let lines = rows.iter().zip(&cells).map(|(asked, words)| {
            let words = words.iter().map(|word| (*word).to_owned());
            std::iter::once(asked.name.clone()).chain(words).collect()
        });
        let lines: Vec<Vec<String>> = std::iter::once(head).chain(lines).collect();
        say(&columns(&lines))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The route of an upstream, and the name behind it.
pub(super) fn route<'c, 't>(
    config: &'c Config,
    target: &'t str,
) -> Result<(&'c Route, &'t str), Complaint> {
    let (upstream, name) = target.split_once('/').ok_or_else(|| {
        format!("write `{}` as UPSTREAM/TOOL, like tickets/create_ticket", visible(target))
    })?;
    let mut routes = config.policy.routes().map(|(_, route)| route);
    let route = routes.find(|route| &*route.upstream == upstream);
    let route = route.ok_or_else(|| {
        let names: Vec<&str> = config.policy.routes().map(|(_, r)| &*r.upstream).collect();
        format!("there is no upstream `{}`; {}", visible(upstream), did_you_mean(upstream, &names))
    })?;
    Ok((route, name))
}

struct Answer<'a> {
    asked: &'a Asked,
    got: Rehearsed,
    /// What calls have to fulfil.
    asks: Vec<Asks<'a>>,
}

impl Answer<'_> {
    fn may(&self) -> bool {
        self.got.passes() && self.asked.failure.is_none()
    }

    fn word(&self) -> &'static str {
        match (self.may(), self.got.is_enforced) {
            (false, _) => "-",
            (true, false) => "tried out",
            (true, true) if self.asks.iter().any(|asks| asks.is_enforced) => "if",
            (true, true) => "yes",
        }
    }

    fn text(&self, with_name: bool, with_steps: bool) -> String {
        let name = if with_name { format!("{}: ", self.asked.name) } else { String::new() };
        let place = |rule: &Rule| format!("{} ({})", rule.name(), rule.place());
        let by = self.got.rule.as_ref().map(place);
        let mut text = match (self.asked.failure, self.got.passes()) {
            (Some(failure), _) => format!("{name}no   the token is {}\n", failure.as_str()),
            (None, true) if !self.got.is_enforced => {
                format!("{name}yes  because {} is only tried out\n", by.unwrap_or_default())
            }
            (None, true) => format!("{name}yes  {}\n", by.unwrap_or_default()),
            (None, false) => format!("{name}no   {}\n", self.reason(by)),
        };
        if self.may() {
            for Asks { condition, is_enforced } in &self.asks {
                let place = condition.rule.place();
                let trial = if *is_enforced { "" } else { ", which is only tried out" };
                text += &format!("     if {condition} ({place}){trial}\n");
            }
        }
        if with_steps {
            text += &steps::numbered(&[], &self.got.steps);
        }
        text
    }

    fn reason(&self, by: Option<String>) -> String {
        use crate::core::permission::Permission;
        let roles = &self.asked.principal().grants().roles;
        let names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
        let held = if names.is_empty() { "no roles".to_owned() } else { names.join(", ") };
        match (self.got.permission, by) {
            (Some(Permission::Arguments), Some(by)) => {
                let pointer = self.got.pointer.as_deref().unwrap_or_default();
                format!("not with this {pointer}: {by}")
            }
            (Some(Permission::DeniedByRule), Some(by)) => format!("denied by {by}"),
            (Some(Permission::NotLocked), _) => {
                "it is granted, and nobody has approved the tool; doorward lock does".to_owned()
            }
            (Some(_), _) => format!("nothing allows it ({held}){}", self.cure()),
            (None, _) => {
                let detail = self.got.refusal.as_ref().and_then(|refusal| refusal.detail());
                detail.unwrap_or_else(|| "it cannot be read".to_owned())
            }
        }
    }

    /// What would have to change.
    fn cure(&self) -> String {
        let grants = self.asked.principal().grants();
        let rule = grants.roles.iter().find_map(|role| role.rule.as_ref());
        match rule {
            Some(rule) => format!("; it would have to be in {} ({})", rule.name(), rule.place()),
            None => "; it would need a role, or a grant of its own".to_owned(),
        }
    }

    fn json(&self) -> Value {
        let condition = |Asks { condition, is_enforced }: &Asks<'_>| {
            let mut shown =
                json!({"condition": condition.to_string(), "place": condition.rule.place()});
            if let Some(members) = shown.as_object_mut().filter(|_| !is_enforced) {
                members.insert("enforced".to_owned(), Value::from(false));
            }
            shown
        };
        let conditions: Vec<Value> = self.asks.iter().map(condition).collect();
        json!({
            "principal": self.asked.name,
            "user": self.asked.principal().user().as_str(),
            "organization": self.asked.principal().organization().as_str(),
            "allowed": self.may(),
            "enforced": self.got.is_enforced,
            "reason": match self.asked.failure {
                Some(failure) => Some(failure.as_str()),
                None => self.got.permission.map(|permission| permission.as_str()),
            },
            "rule": self.got.rule.as_ref().map(Rule::name),
            "place": self.got.rule.as_ref().map(Rule::place),
            "pointer": self.got.pointer,
            "conditions": conditions,
        })
    }
}
