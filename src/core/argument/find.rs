//! Finds single values in the arguments of a call, in one pass and without a tree of them.

use crate::core::json::{Event, Scanner, Str, Token};
use crate::core::names::looks_like;

use super::{Pointer, hint};

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

/// The value at each of `pointers` in `arguments`, a JSON text that was read strictly before.
pub(super) fn find<'a>(arguments: Option<&'a str>, pointers: &[&Pointer]) -> Vec<Found<'a>> {
    let Some(text) = arguments else {
        return vec![Found::Absent; pointers.len()];
    };
    let mut search = Search {
        pointers,
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
                Some(_) if hint != Some(segment.hint) => continue,
                Some(key) if key == segment.name => {}
                Some(key) => {
                    if looks_like(key, &segment.name) {
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
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, pointer: &str) -> Found<'a> {
        find(Some(text), &[&Pointer::parse(pointer).unwrap()])[0]
    }

    #[test]
    fn a_pointer_finds_its_value_and_no_other() {
        let text = r#"{"b":{"a":9,"c":[]},"a":1,"c":{"b":{"a":[1,{"a":true},"x"]}},"":null,
            "a/b":false,"m~n":{}, "d":[[1,2],[3]]}"#;
        for (pointer, expected) in [
            ("/a", Found::Number("1")),
            ("/b/a", Found::Number("9")),
            ("/b", Found::Object),
            ("/b/c", Found::Array { items: 0 }),
            ("/c/b/a", Found::Array { items: 3 }),
            ("/c/b/a/0", Found::Number("1")),
            ("/c/b/a/1/a", Found::Bool(true)),
            ("/c/b/a/3", Found::Absent),
            ("/d", Found::Array { items: 2 }),
            ("/d/1/0", Found::Number("3")),
            ("/d/0/2", Found::Absent),
            ("/", Found::Null),
            ("/a~1b", Found::Bool(false)),
            ("/m~0n", Found::Object),
            ("/x", Found::Absent),
            ("/x/y", Found::Absent),
            ("/b/x", Found::Absent),
            ("/c/a", Found::Absent),
            ("/d/00", Found::Unclear),
        ] {
            assert_eq!(found(text, pointer), expected, "{pointer}");
        }
        assert_eq!(find(None, &[&Pointer::parse("/a").unwrap()]), [Found::Absent]);
    }

    #[test]
    fn what_a_lenient_server_may_find_elsewhere_is_unclear() {
        for (text, pointer) in [
            (r#"{"Priority":"urgent"}"#, "/priority"),
            (r#"{"priority":"low","PRIORITY":"urgent"}"#, "/priority"),
            (r#"{"PRIORITY":"urgent","priority":"low"}"#, "/priority"),
            (r#"{"priority ":"urgent"}"#, "/priority"),
            (r#"{"filter":"{\"org\":\"other\"}"}"#, "/filter/org"),
            (r#"{"filter":null}"#, "/filter/org"),
            (r#"{"filter":[{"org":"other"}]}"#, "/filter/org"),
            (r#"{"filter":{"Org":"other"}}"#, "/filter/org"),
            (r#"{"FILTER":{"org":"other"}}"#, "/filter/org"),
            (r#""{}""#, "/a"),
            ("[1]", "/0"),
            ("null", "/a"),
            ("{", "/a"),
        ] {
            assert_eq!(found(text, pointer), Found::Unclear, "{text} {pointer}");
        }
    }

    #[test]
    fn a_name_that_is_escaped_is_the_name() {
        assert_eq!(found(r#"{"\u0061":1}"#, "/a"), Found::Number("1"));
    }

    #[test]
    fn pointers_are_found_in_one_pass() {
        let pointers = ["/a", "/b/c", "/d"].map(|text| Pointer::parse(text).unwrap());
        let pointers: Vec<&Pointer> = pointers.iter().collect();
        let found = find(Some(r#"{"d":[1],"b":{"c":2},"a":3}"#), &pointers);
        assert_eq!(found, [Found::Number("3"), Found::Number("2"), Found::Array { items: 1 }]);
    }
}
