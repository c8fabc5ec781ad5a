//! Patterns of tools, prompts and resources: what they allow, deny and are about.

use super::Reader;
use crate::config::code::Code;
use crate::config::doubts;
use crate::config::read::{At, Table, did_you_mean};
use crate::config::restrictions::{self, Restriction, Whose};
use crate::core::argument::Declared;
use crate::core::pasted;
use crate::core::pattern::{BadPattern, Pattern};
use crate::core::permission::{Patterns, TargetKind};

type Parse = fn(&str) -> Result<Pattern, BadPattern>;

impl Reader<'_> {
    /// Patterns of tools, prompts and resources, under these keys.
    pub(in crate::config) fn patterns(
        &mut self,
        table: &mut Table<'_>,
        keys: &[&'static str; 3],
    ) -> Patterns {
        let [tools, prompts, resources] = keys;
        let mut read = |key, parse: Parse| {
            let texts = table.strings(key);
            if key == "tools" {
                texts.iter().for_each(|text| warn_of_everything(table, text));
            }
            let is_of_tools = key == "tools" || key == "deny";
            let allows = !key.starts_with("deny");
            let patterns = texts.into_iter().filter_map(|text| {
                let pattern = self.pattern(table, key, text.clone(), parse, allows)?;
                let kind = match key {
                    "deny" => Some(TargetKind::Tool),
                    "deny_prompts" => Some(TargetKind::Prompt),
                    "deny_resources" => Some(TargetKind::Resource),
                    _ => None,
                };
                if let Some(kind) = kind {
                    let restriction = Restriction::new(text.span.clone(), kind, &pattern);
                    self.restrictions.push(restriction);
                }
                if is_of_tools {
                    self.warn_of_nothing(table, text, &pattern);
                }
                Some(pattern)
            });
            patterns.collect::<Vec<_>>()
        };
        let patterns = Patterns {
            tools: read(tools, Pattern::of_names),
            prompts: read(prompts, Pattern::of_names),
            resources: read(resources, Pattern::of_uris),
        };
        self.note_tools(&patterns.tools);
        patterns
    }

    /// Patterns of tools that stand elsewhere.
    pub(in crate::config) fn tools(
        &mut self,
        table: &Table<'_>,
        key: &str,
        texts: Vec<At<&str>>,
        whose: Whose<'_>,
    ) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        let allows = matches!(whose, Whose::Scope);
        for text in texts {
            let read = self.pattern(table, key, text.clone(), Pattern::of_names, allows);
            let Some(pattern) = read else { continue };
            match whose {
                Whose::Role(allow) => restrictions::check_granted(table, &text, &pattern, allow),
                Whose::Everybody => {
                    let kind = TargetKind::Tool;
                    self.restrictions.push(Restriction::new(text.span.clone(), kind, &pattern));
                }
                Whose::Scope => {}
            }
            self.warn_of_nothing(table, text, &pattern);
            patterns.push(pattern);
        }
        self.note_tools(&patterns);
        patterns
    }

    /// The schemas of the arguments of tools that these patterns are about, as far as they are
    /// known.
    pub(in crate::config) fn schemas(&self, patterns: &[Pattern]) -> Vec<Declared<'_>> {
        let covered = self.definitions.iter().filter(|(upstream, tool, _)| {
            patterns.iter().any(|pattern| pattern.covers(upstream, tool))
        });
        let schemas = covered.filter_map(|(_, _, known)| known.members().get("inputSchema"));
        schemas.map(Declared::new).collect()
    }

    /// A grant of a tool that is not there looks right and does nothing.
    fn warn_of_nothing(&self, table: &Table<'_>, text: At<&str>, pattern: &Pattern) {
        const NAMED: usize = 12;
        let Some(known) = self.known else {
            return;
        };
        if known.iter().any(|(upstream, tool)| pattern.covers(upstream, tool)) {
            return;
        }
        let of = known.iter().filter(|(upstream, _)| pattern.covers_upstream(upstream));
        // What an upstream has made up must not be taken for a glob of more.
        let names = of.filter_map(|(upstream, tool)| {
            let name = format!("{upstream}/{tool}");
            let read = Pattern::of_names(&name).ok()?;
            (read.literal_name() == Some(tool)).then_some(name)
        });
        let names: Vec<String> = names.collect();
        let message = format!("`{}` matches no tool that is known", text.value);
        let near = did_you_mean(text.value, &names);
        let help = format!("{near}known: {}", pasted::offers(&names, NAMED));
        table.report().warning(Code::NoSuchTool, text.span, message, help);
    }

    /// Tools that are named literally may stand in metrics before an upstream has listed them.
    fn note_tools(&mut self, patterns: &[Pattern]) {
        for pattern in patterns {
            let Some(tool) = pattern.literal_name() else {
                continue;
            };
            let covered = self.upstreams.iter().filter(|u| pattern.covers_upstream(u));
            self.named_tools.extend(covered.map(|u| ((*u).to_owned(), tool.to_owned())));
        }
    }

    fn pattern(
        &self,
        table: &Table<'_>,
        key: &str,
        text: At<&str>,
        parse: Parse,
        allows: bool,
    ) -> Option<Pattern> {
        let rule = table.rule_at(key, &text.span);
        let pattern = match parse(text.value) {
            Ok(pattern) => pattern,
            Err(why) => {
                let message = format!("`{}` {why}", text.value);
                let help = "write it as \"upstream/name\", or \"upstream/uri\" for resources";
                table.report().error(Code::Pattern, text.span, message, help);
                return None;
            }
        };
        // Where none could be read, that has been said.
        if !self.upstreams.is_empty() && !self.upstreams.iter().any(|u| pattern.covers_upstream(u))
        {
            let upstream = text.value.split('/').next().unwrap_or_default();
            table.report().error(
                Code::Unknown,
                text.span.clone(),
                format!("`{}` names no upstream of this file", text.value),
                format!(
                    "{}defined here: {}",
                    did_you_mean(upstream, &self.upstreams),
                    self.upstreams.join(", ")
                ),
            );
        }
        self.doubt(table, key, &text, &pattern, allows);
        Some(pattern.at(rule))
    }

    fn doubt(
        &self,
        table: &Table<'_>,
        key: &str,
        text: &At<&str>,
        pattern: &Pattern,
        allows: bool,
    ) {
        let (_, name) = text.value.split_once('/').unwrap_or_default();
        let report = table.report();
        // The names of prompts are texts for people.
        match key {
            "prompts" | "deny_prompts" => {}
            "resources" | "deny_resources" => {
                doubts::check_uri_pattern(report, text, pattern, allows);
            }
            // A literal name that is known is what it is.
            _ if self.definitions.iter().any(|(_, tool, _)| *tool == name) => {}
            _ => doubts::check_name_pattern(report, text, allows),
        }
    }
}

/// What is granted today should not grow by itself tomorrow.
fn warn_of_everything(table: &Table<'_>, text: &At<&str>) {
    if let Some((upstream, "*" | "**")) = text.value.split_once('/') {
        let message = format!("`{}` grants every tool of {upstream}", text.value);
        let help = "name tools, or a family of them like \"upstream/get_*\"";
        table.report().warning(Code::Wildcard, text.span.clone(), message, help);
    }
}
