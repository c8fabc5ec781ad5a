//! Tools as somebody approved them, compared with what their upstream says of them now.
//!
//! What a server says of its tools goes into the context of a model, and a server can say
//! something else tomorrow (OWASP MCP03, tool poisoning and rug pulls). A tool that nobody has
//! approved is not there; one that has changed is treated by what has changed in it.

mod change;
mod definition;
mod observed;
mod schema;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use self::observed::{Clock, Observed};
use self::walk::Walks;
pub use change::{Change, Changes, Measure, Measures};
pub use definition::{BadDefinition, Definition, MAX_VALUES};
pub use observed::Mark;
pub use walk::{Cursor, Page};

use super::argument::Declared;
use super::permission::Permission;

/// Most new tools of an upstream that are remembered by name; it can invent names for ever.
const MAX_NEW: usize = 64;

/// The approved tools of one upstream, with what was seen of them.
///
/// What is approved does not change; what was seen is shared with the pins that come before and
/// after in time, so that a request of before a reload tells those of after it.
#[derive(Debug)]
pub struct Pins {
    tools: HashMap<String, Pin>,
    measures: Measures,
    walks: Mutex<Walks>,
    clock: Arc<Clock>,
    /// Names of tools that nobody approved.
    new: Arc<Mutex<BTreeSet<Mark>>>,
    /// The pins that wait for a word: what they refuse is refused, too.
    held: Option<Arc<Self>>,
}

#[derive(Debug)]
struct Pin {
    definition: Arc<Definition>,
    observed: Arc<Observed>,
}

/// The way in which a list of tools was come by.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// It, or a page of it, was asked for just now. What a whole one shows holds.
    Answer(Page),
    /// It came by itself, or again, or for an earlier configuration. It can only add to what was
    /// seen.
    Replay,
}

/// What a list says of one tool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// Its name.
    pub tool: String,
    /// How it differs.
    pub changes: Changes,
    /// Its differences from what the pins that wait approve, where some do.
    pub held: Changes,
}

impl Sighting {
    fn new(tool: &str, changes: Changes) -> Self {
        Self { tool: tool.to_owned(), changes, held: Changes::default() }
    }

    /// The same sighting for the pins that wait.
    fn of_held(&self) -> Self {
        Self::new(&self.tool, self.held)
    }
}

impl Pins {
    /// Pins of these tools.
    #[must_use]
    pub fn new(tools: BTreeMap<String, Definition>, measures: Measures) -> Self {
        let pin = |definition| Pin { definition: Arc::new(definition), observed: Arc::default() };
        let tools = tools.into_iter().map(|(name, definition)| (name, pin(definition))).collect();
        let (clock, new) = (Arc::default(), Arc::default());
        Self { tools, measures, walks: Mutex::default(), clock, new, held: None }
    }

    /// These pins, which refuse what the pins that wait refuse besides. Both go on learning what
    /// is seen of their own tools.
    #[must_use]
    pub fn bounded_by(self: &Arc<Self>, held: &Arc<Self>) -> Arc<Self> {
        let is_same = self.measures == held.measures
            && self.tools.len() == held.tools.len()
            && self.tools.iter().all(|(name, pin)| {
                held.tools.get(name).is_some_and(|held| held.definition == pin.definition)
            });
        if is_same {
            return Arc::clone(self);
        }
        Arc::new(Self { held: Some(Arc::clone(held)), ..self.following(self) })
    }

    /// The approved tools.
    pub fn tools(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.tools.iter().map(|(name, pin)| (name.as_str(), &*pin.definition))
    }

    /// The declarations of the approved schema of this tool's arguments.
    #[must_use]
    pub fn declared(&self, tool: &str) -> Declared<'_> {
        let pin = self.tools.get(tool);
        let definition = |pins: &Self| pins.tools.get(tool).map(|pin| Arc::clone(&pin.definition));
        if self.held.as_ref().is_some_and(|held| definition(held) != definition(self)) {
            return Declared::default();
        }
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
        let refused = self.refuses(pin.observed.all()).then_some(Permission::ToolChanged);
        refused.or_else(|| self.held.as_ref().and_then(|held| held.refusal(tool)))
    }

    /// Compares a tool in a list with what was approved; `item` is its JSON.
    #[must_use]
    pub fn compare(&self, tool: &str, item: &str) -> Sighting {
        let changes = match self.tools.get(tool).map(|pin| (pin, Definition::read(item))) {
            None => Changes::default().with(Change::New),
            Some((pin, Ok(now))) => pin.definition.changes(&now),
            // It was read before; whatever this is, it is not what was approved.
            Some((_, Err(_))) => Changes::default().with(Change::Annotations).with(Change::Widened),
        };
        let held = self.held.as_ref().map(|held| held.compare(tool, item).changes);
        Sighting { tool: tool.to_owned(), changes, held: held.unwrap_or_default() }
    }

    fn refuses(&self, changes: Changes) -> bool {
        self.measures.of(changes) == Measure::Refuse
    }

    /// Number of changes that have been seen by now.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// True where a list may show the tool to this asker: as it is in the list, and if others saw
    /// nothing for which it is refused. What the asker saw before, an answer takes back.
    #[must_use]
    pub fn may_show(&self, sighting: &Sighting, asker: Mark, source: &Source) -> bool {
        let others = match (self.tools.get(&sighting.tool), source) {
            (None, _) => Changes::default(),
            (Some(pin), _) if !self.refuses(pin.observed.all()) => Changes::default(),
            (Some(pin), Source::Answer(_)) => pin.observed.by_others(asker),
            (Some(pin), Source::Replay) => pin.observed.all(),
        };
        let held = self.held.as_ref();
        self.measures.of(sighting.changes) == Measure::Warn
            && !self.refuses(others)
            && held.is_none_or(|held| held.may_show(&sighting.of_held(), asker, source))
    }

    /// Remembers what a list said to this asker, and gives back what is news. What is missing is
    /// known where the list is whole.
    #[must_use]
    pub fn remember(&self, sightings: &[Sighting], asker: Mark, source: &Source) -> Vec<Sighting> {
        let mut now: BTreeMap<&str, Changes> = BTreeMap::new();
        for Sighting { tool, changes, .. } in sightings {
            let known = now.entry(tool).or_default();
            *known = known.and(*changes);
        }
        let mut news = self.remember_new(&now);
        now.retain(|tool, _| self.tools.contains_key(*tool));
        let whole = match source {
            Source::Answer(page) => {
                let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
                walks.turn(asker, page, &now)
            }
            Source::Replay => None,
        };
        for (name, Pin { observed, .. }) in &self.tools {
            let before = observed.all();
            match (&whole, now.get(name.as_str())) {
                (None, Some(changes)) => observed.add(asker, *changes, &self.clock),
                (None, None) => {}
                (Some(whole), _) => match whole.shown.get(name) {
                    Some(changes) => observed.settle(asker, *changes, whole.began, &self.clock),
                    None => observed.miss(),
                },
            }
            let changes = observed.all().without(before);
            if !changes.is_empty() {
                news.push(Sighting::new(name, changes));
            }
        }
        if let Some(held) = &self.held {
            // What is news to them is told when they are in use.
            let sightings: Vec<Sighting> = sightings.iter().map(Sighting::of_held).collect();
            let _ = held.remember(&sightings, asker, source);
        }
        news.sort_by(|a, b| a.tool.cmp(&b.tool));
        news
    }

    fn remember_new(&self, now: &BTreeMap<&str, Changes>) -> Vec<Sighting> {
        let mut known = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for tool in now.keys().filter(|tool| !self.tools.contains_key(**tool)) {
            if known.len() < MAX_NEW && known.insert(Mark::of(&[tool])) {
                news.push(Sighting::new(tool, Changes::default().with(Change::New)));
            }
        }
        news
    }

    /// How many of these tools are new, and are not remembered since too many are.
    #[must_use]
    pub fn beyond_memory(&self, sightings: &[Sighting]) -> usize {
        let known = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_NEW {
            return 0;
        }
        let is_beyond =
            |tool: &str| !self.tools.contains_key(tool) && !known.contains(&Mark::of(&[tool]));
        sightings.iter().filter(|sighting| is_beyond(&sighting.tool)).count()
    }

    /// How many tools differ, by how.
    #[must_use]
    pub fn drift(&self) -> BTreeMap<Change, usize> {
        let mut counts: BTreeMap<Change, usize> =
            Change::ALL.into_iter().map(|change| (change, 0)).collect();
        for change in self.tools.values().flat_map(|pin| pin.observed.all().iter()) {
            *counts.entry(change).or_default() += 1;
        }
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were approved since then are not new any more.
        let approved = self.tools.keys().map(|tool| Mark::of(&[tool]));
        let count = match new.is_empty() {
            true => 0,
            false => new.len() - approved.filter(|tool| new.contains(tool)).count(),
        };
        counts.insert(Change::New, count);
        counts
    }

    /// These pins, which share with those `before` what is seen of tools whose approval is the
    /// same.
    #[must_use]
    pub fn following<'b>(&'b self, before: &'b Self) -> Self {
        let follow = |(name, pin): (&String, &'b Pin)| {
            let known = |pins: &'b Self| {
                pins.tools.get(name).filter(|old| old.definition == pin.definition)
            };
            let known = known(before).or_else(|| known(before.held.as_deref()?));
            let observed = Arc::clone(&known.unwrap_or(pin).observed);
            (name.clone(), Pin { definition: Arc::clone(&pin.definition), observed })
        };
        Self {
            tools: self.tools.iter().map(follow).collect(),
            measures: self.measures,
            walks: Mutex::default(),
            clock: Arc::clone(&before.clock),
            new: Arc::clone(&before.new),
            held: None,
        }
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
