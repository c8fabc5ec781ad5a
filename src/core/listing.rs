//! Cuts a list result down to what its caller may see, on the raw bytes.
//!
//! Kept items, their order, unknown members and `nextCursor` stay byte for byte as the upstream
//! wrote them (MCP, "Listing Tools", "Pagination"). What cannot be read strictly is an error, never
//! passed on: a reader that is more lenient than this one might find a hidden tool in it.

use std::ops::Range;

use super::json::{JsonError, Scanner, Token};
use super::message::looks_like;

/// Why an answer cannot be passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unlistable {
    /// Not one unambiguous JSON value.
    Json(JsonError),
    /// An array, two meanings in one message, a name in another spelling, an item without name.
    Shape,
}

/// What a message from an upstream turned out to be.
#[derive(Debug, Eq, PartialEq)]
pub enum Listing {
    /// A list result with items taken out or `cacheScope` changed: the new text.
    Cut(String),
    /// A JSON-RPC error.
    Failure,
    /// A list result that may pass as it is.
    List,
    /// A request or notification from the server.
    Notice,
    /// Another result.
    Result,
}

/// Reads `text` and, if it is a list of tools, drops every tool that `keep` does not want.
///
/// # Errors
/// [`Unlistable`] where the text cannot be read with certainty.
pub fn filter(
    text: &str,
    max_depth: usize,
    mut keep: impl FnMut(&str) -> bool,
) -> Result<Listing, Unlistable> {
    let mut scanner = Scanner::new(text, max_depth);
    let mut found = Found::default();
    while let Some(event) = scanner.next_event().map_err(Unlistable::Json)? {
        found.step(&event, &mut keep)?;
    }
    found.finish(text)
}

#[derive(Default)]
struct Found {
    has_method: bool,
    has_error: bool,
    has_result: bool,
    inside_result: bool,
    inside_tools: bool,
    /// The bytes between the brackets of `result.tools`.
    tools: Option<Range<usize>>,
    kept: Vec<Range<usize>>,
    dropped: bool,
    item: Option<Item>,
    /// Where a `cacheScope` stands that is not yet private.
    scope: Option<Range<usize>>,
}

struct Item {
    start: usize,
    keep: Option<bool>,
}

impl Found {
    fn step(
        &mut self,
        event: &super::json::Event<'_>,
        keep: &mut impl FnMut(&str) -> bool,
    ) -> Result<(), Unlistable> {
        let key = event.key.as_deref();
        match (event.depth, key) {
            (0, _) if !matches!(event.token, Token::ObjectStart | Token::End) => {
                return Err(Unlistable::Shape);
            }
            (1, None) => self.inside_result = false,
            (1, Some(key)) => return self.envelope(key, event.token),
            (2, None) if self.inside_tools => {
                self.inside_tools = false;
                if let Some(tools) = &mut self.tools {
                    tools.end = event.start;
                }
            }
            (2, Some(key)) if self.inside_result => return self.member(key, event),
            (3, None) if self.inside_tools => return self.item(event),
            (4, Some(key)) if self.inside_tools => {
                if looks_like(key, "name") {
                    return Err(Unlistable::Shape);
                }
                if let (Some(item), "name") = (&mut self.item, key) {
                    let Token::String(name) = event.token else {
                        return Err(Unlistable::Shape);
                    };
                    item.keep = Some(keep(&name.decode()));
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

    fn member(&mut self, key: &str, event: &super::json::Event<'_>) -> Result<(), Unlistable> {
        match key {
            "tools" => {
                if event.token != Token::ArrayStart {
                    return Err(Unlistable::Shape);
                }
                self.inside_tools = true;
                self.tools = Some(event.end..event.end);
            }
            "cacheScope" => match event.token {
                Token::String(scope) if scope.decode() == "private" => {}
                _ => self.scope = Some(event.start..event.end),
            },
            _ if looks_like(key, "tools") || looks_like(key, "cacheScope") => {
                return Err(Unlistable::Shape);
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, event: &super::json::Event<'_>) -> Result<(), Unlistable> {
        match (event.token, self.item.take()) {
            (Token::ObjectStart, None) => {
                self.item = Some(Item { start: event.start, keep: None });
            }
            (Token::End, Some(Item { start, keep: Some(true) })) => {
                self.kept.push(start..event.end);
            }
            (Token::End, Some(Item { keep: Some(false), .. })) => self.dropped = true,
            _ => return Err(Unlistable::Shape),
        }
        Ok(())
    }

    fn finish(self, text: &str) -> Result<Listing, Unlistable> {
        match (self.has_method, self.has_error, self.has_result) {
            (true, false, false) => return Ok(Listing::Notice),
            (false, true, false) => return Ok(Listing::Failure),
            (false, false, true) => {}
            _ => return Err(Unlistable::Shape),
        }
        let Some(tools) = self.tools else {
            return Ok(Listing::Result);
        };
        let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        if self.dropped {
            let kept: Vec<&str> = self.kept.iter().map(slice).collect();
            edits.push((tools, kept.join(",")));
        }
        if let Some(scope) = self.scope {
            edits.push((scope, r#""private""#.to_owned()));
        }
        if edits.is_empty() {
            return Ok(Listing::List);
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (range, replacement) in &edits {
            out.push_str(slice(&(done..range.start)));
            out.push_str(replacement);
            done = range.end;
        }
        out.push_str(slice(&(done..text.len())));
        Ok(Listing::Cut(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_alpha(text: &str) -> Result<Listing, Unlistable> {
        filter(text, 64, |name| name == "alpha")
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
        assert_eq!(only_alpha(&text), Ok(Listing::Cut(expected)));
    }

    #[test]
    fn a_list_that_may_pass_is_not_touched() {
        let text = r#"{"result":{"tools":[{"name":"alpha"}],"cacheScope":"private"}}"#;
        assert_eq!(only_alpha(text), Ok(Listing::List));
        assert_eq!(only_alpha(r#"{"result":{"tools":[]}}"#), Ok(Listing::List));
    }

    #[test]
    fn an_empty_page_keeps_its_cursor_and_turns_private() {
        let text = r#"{"result":{"cacheScope":"public","tools":[{"name":"b"}],"nextCursor":"c"}}"#;
        let cut = r#"{"result":{"cacheScope":"private","tools":[],"nextCursor":"c"}}"#;
        assert_eq!(only_alpha(text), Ok(Listing::Cut(cut.into())));
    }

    #[test]
    fn an_escaped_name_is_read_as_the_client_will_read_it() {
        let text = r#"{"result":{"tools":[{"name":"\u0062eta"},{"name":"\u0061lpha"}]}}"#;
        let cut = r#"{"result":{"tools":[{"name":"\u0061lpha"}]}}"#;
        assert_eq!(only_alpha(text), Ok(Listing::Cut(cut.into())));
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
            r#"{"result":{"tools":[]}} x"#,
            "",
        ] {
            assert!(only_alpha(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_messages_are_told_apart() {
        assert_eq!(only_alpha(r#"{"id":1,"error":{"code":1}}"#), Ok(Listing::Failure));
        assert_eq!(only_alpha(r#"{"method":"notifications/progress"}"#), Ok(Listing::Notice));
        assert_eq!(only_alpha(r#"{"id":1,"result":{"content":[]}}"#), Ok(Listing::Result));
        assert_eq!(only_alpha(r#"{"id":1,"result":"text"}"#), Ok(Listing::Result));
    }
}
