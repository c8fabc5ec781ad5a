//! The items of a list: those that are wanted stay as they are. What cannot be read is left out.

use std::fmt;
use std::ops::Range;

use crate::core::edits::Edits;
use crate::core::json::{Event, Odd, Token};
use crate::core::names::looks_like;
use crate::core::permission::{Target, TargetKind};
use crate::core::way_back::WayBack;

/// Most items of one list that are told one by one.
const MAX_TOLD: usize = 8;

/// The items of a list that are left out, since no two readers need agree on them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeftOut {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<OddItem>,
}

/// An item that is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OddItem {
    /// Its index in the list, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub odd: Odd,
}

impl fmt::Display for OddItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {} at byte {}: {}", self.index, self.odd.at, self.odd.what)
    }
}

/// How much of a list its caller sees.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Items in the list of the upstream.
    pub items: usize,
    /// Items that stay.
    pub kept: usize,
    /// Items that cannot be read.
    pub left_out: LeftOut,
}

/// The list that is being read.
pub(super) struct List {
    kind: TargetKind,
    naming: &'static str,
    /// The place where its first item may begin, in bytes.
    start: usize,
    kept: Vec<Range<usize>>,
    item: Option<Item>,
    tally: Tally,
    way_back: WayBack,
}

#[derive(Default)]
struct Item {
    start: usize,
    name: Option<String>,
    /// What is wrong with it.
    odd: Option<Odd>,
}

impl List {
    pub(super) fn begin(
        kind: TargetKind,
        naming: &'static str,
        start: usize,
        way_back: WayBack,
    ) -> Self {
        let (kept, tally) = (Vec::new(), Tally::default());
        Self { kind, naming, start, kept, item: None, tally, way_back }
    }

    /// Takes an event in the list, and a fault that the scanner noted on its way there.
    pub(super) fn step(
        &mut self,
        text: &str,
        event: &Event<'_>,
        odd: Option<Odd>,
        keep: &mut impl FnMut(Target<'_>, &str) -> bool,
    ) {
        let (at, token) = (event.start, event.token);
        let item = self.item.get_or_insert_with(|| Item { start: at, ..Item::default() });
        let what = match (event.depth, event.key.as_deref()) {
            (3, _) if !matches!(token, Token::ObjectStart | Token::End) => Some("not an object"),
            (4, Some(key)) if key == self.naming => match token {
                Token::String(name) => {
                    item.name = Some(name.decode().into_owned());
                    None
                }
                _ => Some("its name is not a string"),
            },
            (4, Some(key)) if looks_like(key, self.naming) => {
                Some("a member that may be taken for its name")
            }
            _ => None,
        };
        let odd = odd.or_else(|| what.map(|what| Odd { at, what }));
        item.odd = item.odd.or(odd);
        if event.depth == 3 && !matches!(token, Token::ObjectStart | Token::ArrayStart) {
            self.end(text, event.end, keep);
        }
    }

    /// The item that was begun ends at `end`.
    fn end(&mut self, text: &str, end: usize, keep: &mut impl FnMut(Target<'_>, &str) -> bool) {
        let Item { start, name, odd } = self.item.take().unwrap_or_default();
        let index = self.tally.items;
        self.tally.items += 1;
        let left_out = match (odd, name) {
            (None, Some(name)) if !self.way_back.takes_name(self.kind, &name) => {
                Odd { at: start, what: "its name is longer than a request may repeat it" }
            }
            (None, Some(name)) => {
                let item = text.get(start..end).unwrap_or_default();
                if keep(Target { kind: self.kind, name: &name }, item) {
                    self.tally.kept += 1;
                    self.kept.push(start..end);
                }
                return;
            }
            (Some(odd), _) => odd,
            (None, None) => Odd { at: start, what: "without a name" },
        };
        let LeftOut { count, first } = &mut self.tally.left_out;
        *count += 1;
        if first.len() < MAX_TOLD {
            first.push(OddItem { index, odd: left_out });
        }
    }

    /// The list ends at `end`; where something was dropped, the rest takes its place.
    pub(super) fn finish(self, text: &str, end: usize, edits: &mut Edits) -> Tally {
        if self.tally.kept < self.tally.items {
            let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
            let kept: Vec<&str> = self.kept.iter().map(slice).collect();
            edits.replace(self.start..end, kept.join(","));
        }
        self.tally
    }
}
