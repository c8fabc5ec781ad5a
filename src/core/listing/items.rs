//! The items of a list: those that are wanted stay as they are.

use std::ops::Range;

use super::Unlistable;
use crate::core::edits::Edits;
use crate::core::json::{Event, Token};
use crate::core::names::looks_like;
use crate::core::permission::{Target, TargetKind};

/// The list that is being read.
pub(super) struct List {
    kind: TargetKind,
    naming: &'static str,
    /// The place where its first item may begin, in bytes.
    start: usize,
    kept: Vec<Range<usize>>,
    has_dropped: bool,
    item: Option<Item>,
}

struct Item {
    start: usize,
    name: Option<String>,
}

impl List {
    pub(super) fn begin(kind: TargetKind, naming: &'static str, start: usize) -> Self {
        Self { kind, naming, start, kept: Vec::new(), has_dropped: false, item: None }
    }

    pub(super) fn step(
        &mut self,
        text: &str,
        event: &Event<'_>,
        keep: &mut impl FnMut(Target<'_>, &str) -> bool,
    ) -> Result<(), Unlistable> {
        if event.depth == 3 {
            return self.item(text, event, keep);
        }
        let Some(key) = event.key.as_deref() else {
            return Ok(());
        };
        if looks_like(key, self.naming) {
            return Err(Unlistable::Shape);
        }
        if let Some(item) = self.item.as_mut().filter(|_| key == self.naming) {
            let Token::String(name) = event.token else {
                return Err(Unlistable::Shape);
            };
            item.name = Some(name.decode().into_owned());
        }
        Ok(())
    }

    fn item(
        &mut self,
        text: &str,
        event: &Event<'_>,
        keep: &mut impl FnMut(Target<'_>, &str) -> bool,
    ) -> Result<(), Unlistable> {
        match (event.token, self.item.take()) {
            (Token::ObjectStart, None) => {
                self.item = Some(Item { start: event.start, name: None });
            }
            (Token::End, Some(Item { start, name: Some(name) })) => {
                let place = start..event.end;
                let item = text.get(place.clone()).unwrap_or_default();
                match keep(Target { kind: self.kind, name: &name }, item) {
                    true => self.kept.push(place),
                    false => self.has_dropped = true,
                }
            }
            _ => return Err(Unlistable::Shape),
        }
        Ok(())
    }

    /// The list ends at `end`; where something was dropped, the rest takes its place.
    pub(super) fn finish(self, text: &str, end: usize, edits: &mut Edits) {
        if self.has_dropped {
            let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
            let kept: Vec<&str> = self.kept.iter().map(slice).collect();
            edits.replace(self.start..end, kept.join(","));
        }
    }
}
