//! What of an upstream's answer its caller may see, on the raw bytes.
//!
//! Lists of tools, prompts, resources and templates are cut down to what the caller may use; a
//! copy in a cache stays with its caller. Kept items, with all of their members, their order and
//! `nextCursor` stay byte for byte as the upstream wrote them (MCP, "Listing Tools",
//! "Pagination"); around them only what MCP defines passes. What cannot be read strictly is never
//! passed on: a reader that is more lenient than this one might find a hidden tool in it. Within
//! an item it costs that item, where there is no doubt where the item ends; elsewhere it is an
//! error.

mod items;
mod known;

use std::borrow::Cow;
use std::fmt;

use self::items::List;
pub use self::items::{LeftOut, OddItem, Tally};
use self::known::Known;
use super::edits::Edits;
use super::json::{self, Event, JsonError, Odd, Scanner, Token, Unfit};
use super::method;
use super::names::looks_like;
use super::permission::{Target, TargetKind};
use super::way_back::WayBack;

/// Why an answer cannot be passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unlistable {
    /// Not one unambiguous JSON value.
    Json(Unfit),
    /// Not UTF-8 in a place where that leaves doubt; holds which byte.
    Encoding(usize),
    /// An array, two meanings in one message, a name in another spelling.
    Shape(Odd),
}

impl fmt::Display for Unlistable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(unfit) => write!(f, "cannot be read: {unfit}"),
            Self::Encoding(at) => {
                write!(f, "is not UTF-8 at byte {at}, a place where that leaves doubt")
            }
            Self::Shape(Odd { at, what }) => {
                write!(f, "may be taken for something else by another reader: {what} at byte {at}")
            }
        }
    }
}

/// What a message from an upstream turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A JSON-RPC error.
    Failure,
    /// A request or notification from the server that MCP does not define.
    Foreign,
    /// A list of things of this kind.
    List(TargetKind),
    /// A request or notification from the server that MCP defines.
    Notice,
    /// Another result.
    Result,
    /// A result that announces capabilities.
    Welcome,
}

/// A message that was read, with what has to change in it.
#[derive(Debug, Eq, PartialEq)]
pub struct Listing {
    /// What it is.
    pub shape: Shape,
    /// The cursor of the page that follows, where one does (MCP, "Pagination").
    pub next: Option<String>,
    /// How much of a list stays.
    pub tally: Tally,
    /// What has to change before the caller may have it.
    pub edits: Edits,
}

/// The request that a message may be an answer to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// A request for a list.
    List,
    /// A request of another kind.
    Other,
    /// Anything that was asked for elsewhere (MCP 2025-11-25, "Resumability and Redelivery").
    Unknown,
}

/// The way in which a message is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The request that it may be an answer to.
    pub asked: Asked,
    /// Most levels of nesting.
    pub max_depth: usize,
    /// Longest time that a copy may be kept, in milliseconds.
    pub max_ttl: u64,
    /// The room for a name in a later request.
    pub way_back: WayBack,
}

/// The members of a result that list something, and the member that names each item.
const LISTS: [(&str, TargetKind, &str); 4] = [
    ("prompts", TargetKind::Prompt, "name"),
    ("resourceTemplates", TargetKind::Template, "uriTemplate"),
    ("resources", TargetKind::Resource, "uri"),
    ("tools", TargetKind::Tool, "name"),
];

/// Members of a result that say who may keep it, and for how long (MCP 2026-07-28, "Caching").
const CACHE: [&str; 2] = ["cacheScope", "ttlMs"];

fn no_array(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Prompt => "`prompts` that is no array",
        TargetKind::Resource => "`resources` that is no array",
        TargetKind::Template => "`resourceTemplates` that is no array",
        TargetKind::Tool => "`tools` that is no array",
    }
}

/// How many objects and arrays are open around an item: the message, its result, the list.
const AROUND_ITEMS: usize = 3;

/// A byte that is not UTF-8.
const NOT_UTF8: &str = "a byte that is not UTF-8";

/// The text of an answer, and what [`filter`] says of it. A text with bytes that are not UTF-8 has
/// other ones in their place; it, too, is passed on only with its edits.
///
/// # Errors
/// [`Unlistable`] where the text cannot be read with certainty.
pub fn filter_bytes<'b>(
    bytes: &'b [u8],
    how: Reading,
    keep: impl FnMut(Target<'_>, &str) -> bool,
) -> Result<(Cow<'b, str>, Listing), Unlistable> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok((Cow::Borrowed(text), filter(text, how, keep)?));
    }
    if let Some(unfit) = Unfit::by_beginning(bytes) {
        return Err(Unlistable::Json(unfit));
    }
    let first = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let text = json::patched(bytes).ok_or(Unlistable::Encoding(first))?;
    let mut listing = filter(&text, how, keep).map_err(|_| Unlistable::Encoding(first))?;
    for item in &mut listing.tally.left_out.first {
        if bytes.get(item.odd.at).is_some_and(|byte| !byte.is_ascii()) {
            item.odd.what = NOT_UTF8;
        }
    }
    Ok((Cow::Owned(text), listing))
}

/// Reads `text`, drops every item of a list that `keep` does not want, who sees its JSON, too, and
/// every item that cannot be read, and lets a copy be cached by nobody but its caller. Where a list
/// was asked for, what is not defined is taken out of lists, errors, requests and notifications;
/// elsewhere, only out of a list whose request is not known.
///
/// # Errors
/// [`Unlistable`] where the text cannot be read with certainty.
pub fn filter(
    text: &str,
    how: Reading,
    mut keep: impl FnMut(Target<'_>, &str) -> bool,
) -> Result<Listing, Unlistable> {
    let mut scanner = Scanner::new(text, how.max_depth);
    let mut found = Found::default();
    let mut known = Known::default();
    loop {
        let event = match scanner.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => break,
            Err(error) => return Err(unreadable(text, &scanner, error)),
        };
        if how.asked != Asked::Other {
            known.step(&event);
        }
        let odd = scanner.take_odd();
        found.step(text, &event, odd, &how, &mut keep)?;
        scanner.tolerate_within(if found.list.is_some() { AROUND_ITEMS } else { usize::MAX });
    }
    let mut listing = found.finish(text.len())?;
    let edits = &mut listing.edits;
    match (listing.shape, how.asked) {
        (_, Asked::Other) => {}
        (Shape::List(_), _) => known.of_list(text, edits),
        (Shape::Failure, Asked::List) => known.of_error(text, edits),
        (Shape::Notice, Asked::List) => known.of_call(text, edits),
        _ => {}
    }
    if listing.tally.left_out.count > 0 {
        is_good(&listing.edits.clone().apply(text), how.max_depth)?;
    }
    Ok(listing)
}

/// What stays where something was left out is read once more, without tolerance.
fn is_good(text: &str, max_depth: usize) -> Result<(), Unlistable> {
    let mut scanner = Scanner::new(text, max_depth);
    loop {
        match scanner.next_event() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err(unreadable(text, &scanner, error)),
        }
    }
}

fn unreadable(text: &str, scanner: &Scanner<'_>, error: JsonError) -> Unlistable {
    let by_beginning = Unfit::by_beginning(text.as_bytes());
    Unlistable::Json(by_beginning.unwrap_or_else(|| scanner.unfit(error)))
}

fn doubtful(what: &'static str, at: usize) -> Unlistable {
    Unlistable::Shape(Odd { at, what })
}

#[derive(Default)]
struct Found {
    has_method: bool,
    is_defined: bool,
    has_error: bool,
    has_result: bool,
    has_capabilities: bool,
    next: Option<String>,
    inside_result: bool,
    kind: Option<TargetKind>,
    list: Option<List>,
    tally: Tally,
    edits: Edits,
}

impl Found {
    fn step(
        &mut self,
        text: &str,
        event: &Event<'_>,
        odd: Option<Odd>,
        how: &Reading,
        keep: &mut impl FnMut(Target<'_>, &str) -> bool,
    ) -> Result<(), Unlistable> {
        match (event.depth, event.key.as_deref()) {
            (0, _) if !matches!(event.token, Token::ObjectStart | Token::End) => {
                return Err(doubtful("no object, and so no message", event.start));
            }
            (1, None) => self.inside_result = false,
            (1, Some(key)) => return self.message(key, event),
            (2, None) => {
                if let Some(list) = self.list.take() {
                    self.tally = list.finish(text, event.start, &mut self.edits);
                }
            }
            (2, Some(key)) if self.inside_result => return self.member(key, event, how),
            _ => {
                if let Some(list) = &mut self.list {
                    list.step(text, event, odd, keep);
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, key: &str, event: &Event<'_>) -> Result<(), Unlistable> {
        let token = event.token;
        match key {
            "method" => {
                self.has_method = true;
                self.is_defined = match token {
                    Token::String(name) => method::is_from_server(&name.decode()),
                    _ => false,
                };
            }
            "error" => self.has_error = true,
            "result" => {
                self.has_result = true;
                self.inside_result = token == Token::ObjectStart;
            }
            _ if looks_like(key, "result") => {
                return Err(doubtful("a member that looks like `result`", event.start));
            }
            _ => {}
        }
        Ok(())
    }

    fn member(&mut self, key: &str, event: &Event<'_>, how: &Reading) -> Result<(), Unlistable> {
        let max_ttl = how.max_ttl;
        let place = event.start..event.end;
        if let Some((_, kind, naming)) = LISTS.iter().find(|(name, ..)| *name == key) {
            if self.kind.replace(*kind).is_some() {
                return Err(doubtful("a second list", event.start));
            }
            match event.token {
                Token::ArrayStart => {
                    self.list = Some(List::begin(*kind, naming, event.end, how.way_back))
                }
                // Some servers write an empty list like this; clients expect an array.
                Token::Null => self.edits.replace(place, "[]"),
                _ => return Err(doubtful(no_array(*kind), event.start)),
            }
            return Ok(());
        }
        match (key, event.token) {
            ("capabilities", _) => self.has_capabilities = true,
            ("nextCursor", Token::String(next)) => self.next = Some(next.decode().into_owned()),
            ("cacheScope", Token::String(scope)) if scope.decode() == "private" => {}
            ("ttlMs", Token::Number(n)) if n.parse::<u64>().is_ok_and(|ms| ms <= max_ttl) => {}
            // Only a whole container would go on behind this event.
            ("cacheScope" | "ttlMs", Token::ObjectStart | Token::ArrayStart) => {
                return Err(doubtful(
                    "`cacheScope` or `ttlMs` with an object or array",
                    event.start,
                ));
            }
            ("cacheScope", _) => self.edits.replace(place, r#""private""#),
            ("ttlMs", Token::Number(n)) if n.parse::<u64>().is_ok() => {
                self.edits.replace(place, max_ttl.to_string());
            }
            ("ttlMs", _) => self.edits.replace(place, "0"),
            _ => {
                let mut known = LISTS.iter().map(|(name, ..)| name).chain(&CACHE);
                if known.any(|known| looks_like(key, known)) {
                    let what = "a member that looks like one that is known, in another spelling";
                    return Err(doubtful(what, event.start));
                }
            }
        }
        Ok(())
    }

    /// `end` is where the message ends.
    fn finish(self, end: usize) -> Result<Listing, Unlistable> {
        let shape = match (self.has_method, self.has_error, self.has_result) {
            (true, false, false) if self.is_defined => Shape::Notice,
            (true, false, false) => Shape::Foreign,
            (false, true, false) => Shape::Failure,
            (false, false, true) => match self.kind {
                Some(kind) => Shape::List(kind),
                None if self.has_capabilities => Shape::Welcome,
                None => Shape::Result,
            },
            (false, false, false) => {
                return Err(doubtful("no `result`, `error` or `method` until its end", end));
            }
            _ => {
                return Err(doubtful(
                    "more than one of `result`, `error` and `method` until its end",
                    end,
                ));
            }
        };
        Ok(Listing { shape, next: self.next, tally: self.tally, edits: self.edits })
    }
}

#[cfg(test)]
mod tests;
