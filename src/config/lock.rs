//! `[lock]`, and the file that it names: the tools of upstreams as somebody approved them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::code::Code;
use super::files::Files;
use super::read::Table;
use super::settings::Settings;
use crate::core::access::Tools;
use crate::core::harmless::harmless;
use crate::core::pin::{Definition, Measure, Measures, Pins};

/// Where `doorward lock` writes to where the configuration names no file.
pub const DEFAULT_FILE: &str = "tools.lock";

/// What is done unless the configuration says otherwise: a text is mended often, more than a schema
/// is widened; annotations are what clients decide by whether they ask a person.
const MEASURES: Measures = Measures {
    annotations: Measure::Refuse,
    narrowed: Measure::Warn,
    text: Measure::Warn,
    widened: Measure::Hide,
};

/// Tools by the names of their upstreams, and by their own.
pub type Approved = BTreeMap<String, BTreeMap<String, Definition>>;

/// The file, as it is written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u8,
    upstreams: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
    definition: Map<String, Value>,
}

/// Why a file does not hold approved tools.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadLock(String);

impl fmt::Display for BadLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the text of a lock file.
///
/// # Errors
/// [`BadLock`] with the place of what is wrong, or the tool whose definition is not the one that was
/// approved.
pub fn parse(text: &str) -> Result<Approved, BadLock> {
    let written: Written =
        serde_json::from_str(text).map_err(|error| BadLock(format!("is not a lock: {error}")))?;
    if written.version != 1 {
        let version = written.version;
        return Err(BadLock(format!("is of version {version}, which this doorward does not know")));
    }
    let mut approved = Approved::new();
    for (upstream, tools) in written.upstreams {
        let of = approved.entry(upstream.clone()).or_default();
        for (name, Entry { sha256, definition }) in tools {
            let definition = Definition::of(definition);
            if definition.digest() != sha256 {
                return Err(BadLock(format!(
                    "was changed by hand: the digest of `{upstream}/{name}` is another"
                )));
            }
            of.insert(name, definition);
        }
    }
    Ok(approved)
}

/// The text of a lock file. What turns the direction of text, or cannot be seen, is escaped, so that
/// a reviewer sees it.
#[must_use]
pub fn text(approved: &Approved) -> String {
    let entry = |definition: &Definition| Entry {
        sha256: definition.digest(),
        definition: sorted(definition.members()),
    };
    let tools = |tools: &BTreeMap<String, Definition>| {
        tools.iter().map(|(name, tool)| (name.clone(), entry(tool))).collect()
    };
    let upstreams = approved.iter().map(|(name, of)| (name.clone(), tools(of))).collect();
    let text = serde_json::to_string_pretty(&Written { version: 1, upstreams });
    harmless(&text.unwrap_or_default()).into_owned() + "\n"
}

/// In the order of their names, whatever the map keeps, so that a later text differs only where a
/// tool does.
fn sorted(members: &Map<String, Value>) -> Map<String, Value> {
    let in_order: BTreeMap<&String, &Value> = members.iter().collect();
    in_order.into_iter().map(|(name, value)| (name.clone(), ordered(value))).collect()
}

fn ordered(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(sorted(members)),
        Value::Array(items) => items.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

/// What is pinned.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// By the names of upstreams; empty where nothing is pinned.
    pub(super) pins: BTreeMap<String, Arc<Pins>>,
    /// The tools that are approved, where tools are pinned.
    pub(super) tools: Option<Tools>,
    /// Where it stands.
    pub(super) file: Option<PathBuf>,
}

/// Reads `[lock]`; where `unlocked`, its file is left alone.
pub(super) fn read(
    root: &mut Table<'_>,
    settings: &Settings,
    files: &Files,
    unlocked: bool,
) -> Locked {
    let mut table = root.table("lock");
    if !table.exists() {
        return Locked::default();
    }
    let measures = measures(&mut table);
    let file = table.required_string("file");
    let path = file.as_ref().map(|file| files.path(file.value));
    let span = file.as_ref().map_or_else(|| table.span(), |file| file.span.clone());
    let read = |name: &str| {
        let text = files.read_text(name)?;
        parse(&text).map_err(|bad| bad.to_string())
    };
    let help = |reason| format!("{reason}; doorward lock writes it");
    let approved = file
        .filter(|_| !unlocked)
        .and_then(|file| table.check("file", file, |name| read(name).map_err(help)));
    if unlocked || approved.is_none() {
        table.finish();
        return Locked { file: path, ..Locked::default() };
    }
    let mut approved = approved.map(|at| at.value).unwrap_or_default();
    let mut locked = Locked { file: path, ..Locked::default() };
    let mut known = Tools::new();
    for upstream in &settings.upstreams {
        let tools = approved.remove(&upstream.name).unwrap_or_default();
        if tools.is_empty() {
            let message = format!("no tool of `{}` is approved, so none is there", upstream.name);
            let help = format!("doorward lock {} approves those that it has", upstream.name);
            table.report().warning(Code::Unlocked, span.clone(), message, help);
        }
        known.extend(tools.keys().map(|tool| (upstream.name.clone(), tool.clone())));
        locked.pins.insert(upstream.name.clone(), Arc::new(Pins::new(tools, measures)));
    }
    table.finish();
    Locked { tools: Some(known), ..locked }
}

fn measures(table: &mut Table<'_>) -> Measures {
    let mut measure = |key, default| {
        let read = table.parsed(key, |text| match text {
            "warn" => Ok(Measure::Warn),
            "hide" => Ok(Measure::Hide),
            "refuse" => Ok(Measure::Refuse),
            _ => Err("must be \"warn\", \"hide\" or \"refuse\"".to_owned()),
        });
        read.map_or(default, |at| at.value)
    };
    Measures {
        annotations: measure("annotations", MEASURES.annotations),
        narrowed: measure("narrowed", MEASURES.narrowed),
        text: measure("text", MEASURES.text),
        widened: measure("widened", MEASURES.widened),
    }
}
