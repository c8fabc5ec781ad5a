//! Lists that come in pages: what an asker was shown since the first of them.

use std::collections::{BTreeMap, VecDeque};

use super::{Changes, Mark};

/// Most lists that are followed at once. One that is forgotten takes nothing back.
const MAX_WALKS: usize = 128;

/// The place in a list where the page begins that a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cursor {
    /// At the beginning.
    Beginning,
    /// At this cursor.
    At(Mark),
    /// A place that only the upstream knows: the cursor is no text.
    Unclear,
}

/// The answer to a request for a list of tools.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The place where it begins.
    pub cursor: Cursor,
    /// The cursor of the page that follows, where one does.
    pub next: Option<Mark>,
    /// Number of changes that had been seen when it was asked for.
    pub began: u64,
}

/// A list that has come to its end, page by page, for one asker.
#[derive(Debug)]
pub(super) struct Whole {
    /// When its first page was asked for.
    pub(super) began: u64,
    /// Every approved tool in it, with the changes that any page shows.
    pub(super) shown: BTreeMap<String, Changes>,
}

#[derive(Debug)]
struct Walk {
    asker: Mark,
    next: Mark,
    so_far: Whole,
}

/// The lists that are being read in pages, the latest last; of each asker one.
#[derive(Debug, Default)]
pub(super) struct Walks(VecDeque<Walk>);

impl Walks {
    /// Takes the next page; gives back the list where this was the last of all of its pages.
    pub(super) fn turn(
        &mut self,
        asker: Mark,
        page: &Page,
        shown: &BTreeMap<&str, Changes>,
    ) -> Option<Whole> {
        let before = self.0.iter().position(|walk| walk.asker == asker);
        let mut whole = match page.cursor {
            Cursor::Beginning => {
                before.and_then(|at| self.0.remove(at));
                Whole { began: page.began, shown: BTreeMap::new() }
            }
            Cursor::At(cursor) => {
                let at = before.filter(|&at| self.0.get(at).is_some_and(|w| w.next == cursor))?;
                self.0.remove(at)?.so_far
            }
            Cursor::Unclear => return None,
        };
        for (tool, changes) in shown {
            let known = whole.shown.entry((*tool).to_owned()).or_default();
            *known = known.and(*changes);
        }
        let Some(next) = page.next else {
            return Some(whole);
        };
        if self.0.len() >= MAX_WALKS {
            self.0.pop_front();
        }
        self.0.push_back(Walk { asker, next, so_far: whole });
        None
    }
}
