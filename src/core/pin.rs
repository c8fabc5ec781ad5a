//! Tools as somebody approved them, compared with what their upstream says of them now.
//!
//! What a server says of its tools goes into the context of a model, and a server can say
//! something else tomorrow (OWASP MCP03, tool poisoning and rug pulls). A tool that nobody has
//! approved is not there; one that has changed is treated by what has changed in it.

mod definition;
mod schema;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

pub use definition::{BadDefinition, Definition};

use super::argument::Declared;
use super::permission::Permission;

/// How a tool differs from what was approved.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// Its annotations, or anything else that is neither text nor schema.
    Annotations,
    /// The whole list of its upstream does not have it.
    Missing,
    /// Its schemas accept less than before.
    Narrowed,
    /// Nobody has approved it.
    New,
    /// What only models and people read: titles, descriptions, icons.
    Text,
    /// Its schemas accept more than before, or that cannot be ruled out.
    Widened,
}

impl Change {
    /// Every change.
    pub const ALL: [Self; 6] =
        [Self::Annotations, Self::Missing, Self::Narrowed, Self::New, Self::Text, Self::Widened];

    /// The word for it in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Annotations => "annotations",
            Self::Missing => "missing",
            Self::Narrowed => "narrowed",
            Self::New => "new",
            Self::Text => "text",
            Self::Widened => "widened",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of changes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Changes(u8);

impl Changes {
    /// The same, and this one.
    #[must_use]
    pub fn with(self, change: Change) -> Self {
        Self(self.0 | change.bit())
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other does not have.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        Change::ALL.into_iter().filter(move |change| self.0 & change.bit() != 0)
    }

    /// For people: `text, widened`.
    #[must_use]
    pub fn words(self) -> String {
        self.iter().map(Change::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// What is done about a changed tool; each does what the one before it does.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    /// It is logged and counted.
    #[default]
    Warn,
    /// Lists leave it out, so that no model reads what it says now. Who knows it calls it.
    Hide,
    /// It is not called.
    Refuse,
}

/// What is done, by what has changed; where several things have, the strictest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Measures {
    /// For [`Change::Annotations`].
    pub annotations: Measure,
    /// For [`Change::Narrowed`].
    pub narrowed: Measure,
    /// For [`Change::Text`].
    pub text: Measure,
    /// For [`Change::Widened`].
    pub widened: Measure,
}

impl Measures {
    fn of(&self, changes: Changes) -> Measure {
        let of = |change| match change {
            Change::Annotations => self.annotations,
            Change::Missing => Measure::Warn,
            Change::Narrowed => self.narrowed,
            Change::New => Measure::Refuse,
            Change::Text => self.text,
            Change::Widened => self.widened,
        };
        changes.iter().map(of).max().unwrap_or_default()
    }

    /// Whether one of them does less than its counterpart.
    #[must_use]
    pub fn relaxes(&self, before: &Self) -> bool {
        self.annotations < before.annotations
            || self.narrowed < before.narrowed
            || self.text < before.text
            || self.widened < before.widened
    }
}

/// Most new tools of an upstream that are remembered by name; it can invent names for ever.
const MAX_NEW: usize = 64;

/// The approved tools of one upstream, with what was last seen of them.
#[derive(Debug)]
pub struct Pins {
    tools: HashMap<String, Pin>,
    measures: Measures,
    new: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Pin {
    definition: Definition,
    /// Bits of [`Changes`].
    seen: AtomicU8,
}

impl Pin {
    fn seen(&self) -> Changes {
        Changes(self.seen.load(Ordering::Relaxed))
    }
}

/// What a list says of one tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Its name.
    pub tool: String,
    /// How it differs.
    pub changes: Changes,
}

impl Pins {
    /// Pins of these tools.
    #[must_use]
    pub fn new(tools: BTreeMap<String, Definition>, measures: Measures) -> Self {
        let pin = |definition| Pin { definition, seen: AtomicU8::default() };
        let tools = tools.into_iter().map(|(name, definition)| (name, pin(definition)));
        Self { tools: tools.collect(), measures, new: Mutex::default() }
    }

    /// The approved tools.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.tools.iter().map(|(name, pin)| (name.as_str(), &pin.definition))
    }

    /// What the approved schema of this tool's arguments declares.
    #[must_use]
    pub fn declared(&self, tool: &str) -> Declared<'_> {
        let pin = self.tools.get(tool);
        let schema = pin.and_then(|pin| pin.definition.members().get("inputSchema"));
        schema.map(Declared::new).unwrap_or_default()
    }

    /// What is done about changes.
    #[must_use]
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// Why this tool may not be called by anybody.
    #[must_use]
    pub fn refusal(&self, tool: &str) -> Option<Permission> {
        let Some(pin) = self.tools.get(tool) else {
            return Some(Permission::NotLocked);
        };
        let is_refused = self.measures.of(pin.seen()) == Measure::Refuse;
        is_refused.then_some(Permission::ToolChanged)
    }

    /// Compares a tool in a list with what was approved; `item` is its JSON.
    #[must_use]
    pub fn compare(&self, tool: &str, item: &str) -> Sighting {
        let changes = match (self.tools.get(tool), Definition::read(item)) {
            (None, _) => Changes::default().with(Change::New),
            (Some(pin), Ok(now)) => pin.definition.changes(&now),
            // It was read before; whatever this is, it is not what was approved.
            (Some(_), Err(_)) => Changes::default().with(Change::Annotations).with(Change::Widened),
        };
        Sighting { tool: tool.to_owned(), changes }
    }

    /// Whether a list may show it.
    #[must_use]
    pub fn may_show(&self, sighting: &Sighting) -> bool {
        self.measures.of(sighting.changes) == Measure::Warn
    }

    /// Remembers what a list said, and gives back what is news. What is missing is known where
    /// the list `is_whole`.
    #[must_use]
    pub fn remember(&self, sightings: &[Sighting], is_whole: bool) -> Vec<Sighting> {
        let mut now: BTreeMap<&str, Changes> = BTreeMap::new();
        for Sighting { tool, changes } in sightings {
            let known = now.entry(tool).or_default();
            *known = known.and(*changes);
        }
        let mut news = self.remember_new(&now);
        for (name, pin) in &self.tools {
            let changes = match now.get(name.as_str()) {
                Some(changes) => *changes,
                None if is_whole => pin.seen().with(Change::Missing),
                None => continue,
            };
            let before = Changes(pin.seen.swap(changes.0, Ordering::Relaxed));
            let changes = changes.without(before);
            if !changes.is_empty() {
                news.push(Sighting { tool: name.clone(), changes });
            }
        }
        news.sort_by(|a, b| a.tool.cmp(&b.tool));
        news
    }

    fn remember_new(&self, now: &BTreeMap<&str, Changes>) -> Vec<Sighting> {
        let mut known = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for tool in now.keys().filter(|tool| !self.tools.contains_key(**tool)) {
            if known.len() < MAX_NEW && known.insert((*tool).to_owned()) {
                let changes = Changes::default().with(Change::New);
                news.push(Sighting { tool: (*tool).to_owned(), changes });
            }
        }
        news
    }

    /// How many tools differ, by how.
    #[must_use]
    pub fn drift(&self) -> BTreeMap<Change, usize> {
        let mut counts: BTreeMap<Change, usize> =
            Change::ALL.into_iter().map(|change| (change, 0)).collect();
        for change in self.tools.values().flat_map(|pin| pin.seen().iter()) {
            *counts.entry(change).or_default() += 1;
        }
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner).len();
        counts.insert(Change::New, new);
        counts
    }

    /// Goes on with what was seen of tools whose approval is the same in `before`.
    pub fn follow(&self, before: &Self) {
        for (name, pin) in &self.tools {
            let known = before.tools.get(name).filter(|old| old.definition == pin.definition);
            if let Some(old) = known {
                pin.seen.store(old.seen.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        let known = before.new.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.extend(known.into_iter().filter(|tool| !self.tools.contains_key(tool)));
    }

    /// What somebody may call by these pins and not by those `before`, in words.
    #[must_use]
    pub fn widening(&self, before: &Self) -> Vec<String> {
        let mut news: Vec<String> = Vec::new();
        let by_name: BTreeMap<_, _> = self.tools.iter().collect();
        for (name, pin) in by_name {
            match before.tools.get(name) {
                None => news.push(format!("{name} is approved")),
                Some(old) if old.definition != pin.definition => {
                    let what = old.definition.changes(&pin.definition).words();
                    news.push(format!("{name} is approved as it is now ({what})"));
                }
                Some(_) => {}
            }
        }
        if self.measures.relaxes(&before.measures) {
            news.push("less is done about changed tools".to_owned());
        }
        news
    }

    /// The same of what nobody may call any more.
    #[must_use]
    pub fn narrowing(&self, before: &Self) -> Vec<String> {
        let gone = before.tools.keys().filter(|name| !self.tools.contains_key(*name));
        let mut news: Vec<String> =
            gone.map(|name| format!("{name} is no longer approved")).collect();
        news.sort();
        if before.measures.relaxes(&self.measures) {
            news.push("more is done about changed tools".to_owned());
        }
        news
    }
}

#[cfg(test)]
mod tests;
