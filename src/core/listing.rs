//! What of an upstream's answer its caller may see, on the raw bytes.
//!
//! Lists of tools, prompts, resources and templates are cut down to what the caller may use; a
//! copy in a cache stays with its caller. Kept items, their order, unknown members and
//! `nextCursor` stay byte for byte as the upstream wrote them (MCP, "Listing Tools",
//! "Pagination"). What cannot be read strictly is an error, never passed on: a reader that is more
//! lenient than this one might find a hidden tool in it.

use std::ops::Range;

use super::edits::Edits;
use super::json::{Event, JsonError, Scanner, Token};
use super::names::looks_like;
use super::permission::{Target, TargetKind};

/// Why an answer cannot be passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unlistable {
    /// Not one unambiguous JSON value.
    Json(JsonError),
    /// An array, two meanings in one message, a name in another spelling, an item without name.
    Shape,
}

/// What a message from an upstream turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// A JSON-RPC error.
    Failure,
    /// A list of things of this kind.
    List(TargetKind),
    /// A request or notification from the server.
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
    /// Whether another page follows (MCP, "Pagination").
    pub has_more: bool,
    /// What has to change before the caller may have it.
    pub edits: Edits,
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

/// Reads `text`, drops every item of a list that `keep` does not want, who sees its JSON, too, and
/// lets a copy be cached by nobody but its caller, for at most `max_ttl` milliseconds.
///
/// # Errors
/// [`Unlistable`] where the text cannot be read with certainty.
pub fn filter(
    text: &str,
    max_depth: usize,
    max_ttl: u64,
    mut keep: impl FnMut(Target<'_>, &str) -> bool,
) -> Result<Listing, Unlistable> {
    let mut scanner = Scanner::new(text, max_depth);
    let mut found = Found::default();
    while let Some(event) = scanner.next_event().map_err(Unlistable::Json)? {
        found.step(text, &event, max_ttl, &mut keep)?;
    }
    found.finish()
}

#[derive(Default)]
struct Found {
    has_method: bool,
    has_error: bool,
    has_result: bool,
    has_capabilities: bool,
    has_more: bool,
    inside_result: bool,
    kind: Option<TargetKind>,
    list: Option<List>,
    edits: Edits,
}

/// The list that is being read.
struct List {
    kind: TargetKind,
    naming: &'static str,
    /// Where its first item may begin.
    start: usize,
    kept: Vec<Range<usize>>,
    has_dropped: bool,
    item: Option<Item>,
}

struct Item {
    start: usize,
    name: Option<String>,
}

impl Found {
    fn step(
        &mut self,
        text: &str,
        event: &Event<'_>,
        max_ttl: u64,
        keep: &mut impl FnMut(Target<'_>, &str) -> bool,
    ) -> Result<(), Unlistable> {
        match (event.depth, event.key.as_deref()) {
            (0, _) if !matches!(event.token, Token::ObjectStart | Token::End) => {
                return Err(Unlistable::Shape);
            }
            (1, None) => self.inside_result = false,
            (1, Some(key)) => return self.envelope(key, event.token),
            (2, None) => {
                if let Some(list) = self.list.take() {
                    list.finish(text, event.start, &mut self.edits);
                }
            }
            (2, Some(key)) if self.inside_result => return self.member(key, event, max_ttl),
            (3 | 4, _) => {
                if let Some(list) = &mut self.list {
                    return list.step(text, event, keep);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn envelope(&mut self, key: &str, token: Token<'_>) -> Result<(), Unlistable> {
        match key {
            "method" => self.has_method = true,
            "error" => self.has_error = true,
            "result" => {
                self.has_result = true;
                self.inside_result = token == Token::ObjectStart;
            }
            _ if looks_like(key, "result") => return Err(Unlistable::Shape),
            _ => {}
        }
        Ok(())
    }

    fn member(&mut self, key: &str, event: &Event<'_>, max_ttl: u64) -> Result<(), Unlistable> {
        let place = event.start..event.end;
        if let Some((_, kind, naming)) = LISTS.iter().find(|(name, ..)| *name == key) {
            if event.token != Token::ArrayStart || self.kind.is_some() {
                return Err(Unlistable::Shape);
            }
            self.kind = Some(*kind);
            self.list = Some(List::begin(*kind, naming, event.end));
            return Ok(());
        }
        match (key, event.token) {
            ("capabilities", _) => self.has_capabilities = true,
            ("nextCursor", _) => self.has_more = true,
            ("cacheScope", Token::String(scope)) if scope.decode() == "private" => {}
            ("ttlMs", Token::Number(n)) if n.parse::<u64>().is_ok_and(|ms| ms <= max_ttl) => {}
            // Only a whole container would go on behind this event.
            ("cacheScope" | "ttlMs", Token::ObjectStart | Token::ArrayStart) => {
                return Err(Unlistable::Shape);
            }
            ("cacheScope", _) => self.edits.replace(place, r#""private""#),
            ("ttlMs", Token::Number(n)) if n.parse::<u64>().is_ok() => {
                self.edits.replace(place, max_ttl.to_string());
            }
            ("ttlMs", _) => self.edits.replace(place, "0"),
            _ => {
                let mut known = LISTS.iter().map(|(name, ..)| name).chain(&CACHE);
                if known.any(|known| looks_like(key, known)) {
                    return Err(Unlistable::Shape);
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Listing, Unlistable> {
        let shape = match (self.has_method, self.has_error, self.has_result) {
            (true, false, false) => Shape::Notice,
            (false, true, false) => Shape::Failure,
            (false, false, true) => match self.kind {
                Some(kind) => Shape::List(kind),
                None if self.has_capabilities => Shape::Welcome,
                None => Shape::Result,
            },
            _ => return Err(Unlistable::Shape),
        };
        Ok(Listing { shape, has_more: self.has_more, edits: self.edits })
    }
}

impl List {
    fn begin(kind: TargetKind, naming: &'static str, start: usize) -> Self {
        Self { kind, naming, start, kept: Vec::new(), has_dropped: false, item: None }
    }

    fn step(
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
    fn finish(self, text: &str, end: usize, edits: &mut Edits) {
        if self.has_dropped {
            let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
            let kept: Vec<&str> = self.kept.iter().map(slice).collect();
            edits.replace(self.start..end, kept.join(","));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Shape, String), Unlistable> {
        let listing = filter(text, 64, 60_000, |target, _| target.name == "alpha")?;
        Ok((listing.shape, listing.edits.apply(text)))
    }

    /// The list of tools as it may pass.
    fn only_alpha(text: &str) -> Result<String, Unlistable> {
        let (shape, passed) = read(text)?;
        assert_eq!(shape, Shape::List(TargetKind::Tool), "{text}");
        Ok(passed)
    }

    #[test]
    fn kept_items_and_everything_around_them_stay_byte_for_byte() {
        let alpha = r#"{"x-new" : [1.50, "\u00e9"], "name":"alpha","inputSchema":{"name":"beta"}}"#;
        let text = format!(
            "{{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{{\"tools\":[ {{\"name\":\"beta\"}} ,{alpha}\n,{{\"name\":\"gamma\"}}],\"nextCursor\":\"\",\"z\":1e2}}}}"
        );
        let expected = format!(
            "{{\"jsonrpc\":\"2.0\", \"id\":1,\"result\":{{\"tools\":[{alpha}],\"nextCursor\":\"\",\"z\":1e2}}}}"
        );
        assert_eq!(only_alpha(&text), Ok(expected));
    }

    #[test]
    fn a_list_that_may_pass_is_not_touched() {
        let text = r#"{"result":{"tools":[{"name":"alpha"}],"cacheScope":"private"}}"#;
        assert_eq!(only_alpha(text).as_deref(), Ok(text));
        let empty = r#"{"result":{"tools":[]}}"#;
        assert_eq!(only_alpha(empty).as_deref(), Ok(empty));
    }

    #[test]
    fn an_empty_page_keeps_its_cursor_and_turns_private() {
        let text = r#"{"result":{"cacheScope":"public","tools":[{"name":"b"}],"nextCursor":"c"}}"#;
        let cut = r#"{"result":{"cacheScope":"private","tools":[],"nextCursor":"c"}}"#;
        assert_eq!(only_alpha(text), Ok(cut.into()));
    }

    #[test]
    fn an_escaped_name_is_read_as_the_client_will_read_it() {
        let text = r#"{"result":{"tools":[{"name":"\u0062eta"},{"name":"\u0061lpha"}]}}"#;
        let cut = r#"{"result":{"tools":[{"name":"\u0061lpha"}]}}"#;
        assert_eq!(only_alpha(text), Ok(cut.into()));
    }

    #[test]
    fn what_a_lenient_client_might_read_otherwise_is_not_passed_on() {
        for text in [
            r#"[{"result":{"tools":[]}}]"#,
            r#"{"result":{"tools":[]},"result":{"tools":[{"name":"b"}]}}"#,
            r#"{"result":{"tools":[],"tools":[{"name":"b"}]}}"#,
            r#"{"result":{"tools":[],"Tools":[{"name":"b"}]}}"#,
            r#"{"result":{"toolſ":[{"name":"b"}]}}"#,
            r#"{"Result":{"tools":[{"name":"b"}]}}"#,
            r#"{"result":{"tools":{"name":"b"}}}"#,
            r#"{"result":{"tools":[["b"]]}}"#,
            r#"{"result":{"tools":[{"name":7}]}}"#,
            r#"{"result":{"tools":[{"title":"no name"}]}}"#,
            r#"{"result":{"tools":[{"name":"alpha","Name":"b"}]}}"#,
            r#"{"result":{"tools":[{"name":"alpha","name":"b"}]}}"#,
            r#"{"method":"x","result":{"tools":[]}}"#,
            r#"{"error":{},"result":{"tools":[]}}"#,
            r#"{"id":1}"#,
            r#"{"result":{"tools":[],"prompts":[{"name":"b"}]}}"#,
            r#"{"result":{"Prompts":[{"name":"b"}]}}"#,
            r#"{"result":{"resources":[{"name":"alpha"}]}}"#,
            r#"{"result":{"resources":[{"uri":"alpha","URI":"b"}]}}"#,
            r#"{"result":{"resourcetemplates":[]}}"#,
            r#"{"result":{"tools":[],"cacheScope":{"a":1}}}"#,
            r#"{"result":{"tools":[],"CacheScope":"public"}}"#,
            r#"{"result":{"tools":[],"ttlMs":[]}}"#,
            r#"{"result":{"tools":[],"TTLms":1}}"#,
            r#"{"result":{"tools":[]}} x"#,
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_kind_of_list_is_filtered_by_what_names_its_items() {
        let cases = [
            ("prompts", "name", TargetKind::Prompt),
            ("resources", "uri", TargetKind::Resource),
            ("resourceTemplates", "uriTemplate", TargetKind::Template),
            ("tools", "name", TargetKind::Tool),
        ];
        for (list, naming, kind) in cases {
            let alpha = format!(r#"{{"title":"b","{naming}":"alpha"}}"#);
            let beta = format!(r#"{{"{naming}":"beta","title":"alpha"}}"#);
            let text = format!(r#"{{"result":{{"{list}":[{beta},{alpha}]}}}}"#);
            let cut = format!(r#"{{"result":{{"{list}":[{alpha}]}}}}"#);
            assert_eq!(read(&text), Ok((Shape::List(kind), cut)));
        }
    }

    #[test]
    fn a_time_to_live_is_capped_and_stays_a_whole_number() {
        let cases = [
            ("0", "0"),
            ("60000", "60000"),
            ("60001", "60000"),
            ("3600000", "60000"),
            ("18446744073709551616", "0"),
            ("1e9", "0"),
            ("1.5", "0"),
            ("-1", "0"),
            ("null", "0"),
            ("\"3600000\"", "0"),
        ];
        for (sent, passed) in cases {
            let text = |ttl| format!(r#"{{"result":{{"contents":[],"ttlMs":{ttl}}}}}"#);
            assert_eq!(read(&text(sent)), Ok((Shape::Result, text(passed))), "{sent}");
        }
    }

    #[test]
    fn other_messages_are_told_apart() {
        let cases = [
            (r#"{"id":1,"error":{"code":1}}"#, Shape::Failure),
            (r#"{"method":"notifications/progress"}"#, Shape::Notice),
            (r#"{"id":1,"result":{"content":[]}}"#, Shape::Result),
            (r#"{"id":1,"result":"text"}"#, Shape::Result),
            (r#"{"id":1,"result":{"capabilities":{}}}"#, Shape::Welcome),
        ];
        for (text, shape) in cases {
            assert_eq!(read(text), Ok((shape, text.to_owned())));
        }
    }
}
