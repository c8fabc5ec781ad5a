//! Finds single values in the arguments of a call, in one pass and without a tree of them.

use crate::core::json::{Event, Scanner, Str, Token};

use super::declared::Declared;
use super::{Pointer, hint};

/// Names that change an object's kind for readers in JavaScript, however deep they stand.
const PROTOTYPES: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// What stands where a pointer points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// Nothing, beyond doubt.
    Absent,
    Array {
        /// How many items it has.
        items: usize,
    },
    Bool(bool),
    Null,
    /// As it is spelled.
    Number(&'a str),
    Object,
    Text(Str<'a>),
    /// Something that readers may find in different places: on the way there is a value that is
    /// neither object nor array, which a lenient server may yet read as one, or a name that one
    /// takes for another (CVE-2026-27896).
    Unclear,
}

/// The value at each of `pointers` in `arguments`, a JSON text that was read strictly before. A
/// name that is `declared` is never taken for another.
pub(super) fn find<'a>(
    arguments: Option<&'a str>,
    pointers: &[&Pointer],
    declared: Declared<'_>,
) -> Vec<Found<'a>> {
    let Some(text) = arguments else {
        return vec![Found::Absent; pointers.len()];
    };
    let mut search = Search {
        pointers,
        declared,
        reached: vec![0; pointers.len()],
        found: vec![Found::Absent; pointers.len()],
        indices: Vec::with_capacity(8),
    };
    let mut scanner = Scanner::again(text);
    loop {
        match scanner.next_event() {
            Ok(Some(event)) => search.step(&event),
            Ok(None) => return search.found,
            Err(_) => return vec![Found::Unclear; pointers.len()],
        }
    }
}

struct Search<'p, 'a> {
    pointers: &'p [&'p Pointer],
    declared: Declared<'p>,
    /// How many segments of each pointer lead to the innermost open container, at most.
    reached: Vec<usize>,
    found: Vec<Found<'a>>,
    /// The position in each open container.
    indices: Vec<usize>,
}

impl<'a> Search<'_, 'a> {
    fn step(&mut self, event: &Event<'a>) {
        if event.token == Token::End {
            self.indices.pop();
            return;
        }
        let depth = event.depth;
        let index = self.indices.last_mut().map_or(0, |next| {
            *next += 1;
            *next - 1
        });
        let hint = event.key.as_deref().map(hint);
        if event.key.as_deref().is_some_and(|key| self.changes_kind(key)) {
            self.found.fill(Found::Unclear);
        }
        let all = self.pointers.iter().zip(&mut self.reached).zip(&mut self.found);
        for ((pointer, reached), found) in all {
            if depth == 0 {
                if event.token != Token::ObjectStart {
                    *found = Found::Unclear;
                }
                continue;
            }
            // What stood before in this container is done with.
            *reached = (*reached).min(depth - 1);
            if *reached < depth - 1 {
                continue;
            }
            let Some(segment) = pointer.segments.get(depth - 1) else {
                if let Found::Array { items } = found
                    && depth == pointer.segments.len() + 1
                {
                    *items += 1;
                }
                continue;
            };
            match event.key.as_deref() {
                Some(key) if key == segment.name => {}
                Some(key) => {
                    if hint.is_some_and(|hint| segment.is_like(hint))
                        && !declared_at(self.declared, pointer, depth).has(key)
                    {
                        *found = Found::Unclear;
                    }
                    continue;
                }
                None if segment.index == Some(index) => {}
                None => continue,
            }
            *reached = depth;
            // What was unclear stays so.
            if *found == Found::Absent {
                *found = at(event.token, pointer.segments.get(depth).map(|next| next.index));
            }
        }
        if matches!(event.token, Token::ObjectStart | Token::ArrayStart) {
            self.indices.push(0);
        }
    }
}

impl Search<'_, '_> {
    fn changes_kind(&self, key: &str) -> bool {
        PROTOTYPES.contains(&key) && (key == "__proto__" || !self.declared.mentions(key))
    }
}

/// The declaration of the object that holds the segment of `pointer` at this depth.
fn declared_at<'s>(declared: Declared<'s>, pointer: &Pointer, depth: usize) -> Declared<'s> {
    let way = pointer.segments.iter().take(depth - 1);
    way.fold(declared, |declared, segment| declared.at(&segment.name))
}

/// What is found with a token that lies on the way of a pointer. `next` is the index that the
/// pointer's next segment can be, where it goes on.
fn at(token: Token<'_>, next: Option<Option<usize>>) -> Found<'_> {
    match (token, next) {
        (Token::ObjectStart, Some(_)) | (Token::ArrayStart, Some(Some(_))) => Found::Absent,
        (_, Some(_)) | (Token::End, None) => Found::Unclear,
        (Token::ArrayStart, None) => Found::Array { items: 0 },
        (Token::Bool(value), None) => Found::Bool(value),
        (Token::Null, None) => Found::Null,
        (Token::Number(text), None) => Found::Number(text),
        (Token::ObjectStart, None) => Found::Object,
        (Token::String(text), None) => Found::Text(text),
    }
}

#[cfg(test)]
mod tests;
