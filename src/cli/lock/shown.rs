//! How a tool differs, for those who approve it.

use serde_json::{Value, json};

use crate::core::harmless::visible;
use crate::core::pin::{Change, Changes, Definition};

/// Longest value in characters that is shown of a difference.
const MAX_SHOWN: usize = 400;

/// A tool that is not what was approved.
pub(super) struct Difference<'d> {
    pub(super) upstream: &'d str,
    pub(super) tool: &'d str,
    pub(super) before: Option<&'d Definition>,
    pub(super) now: Option<&'d Definition>,
}

/// A place in a definition, with what was there and what is.
type Place<'d> = (String, Option<&'d Value>, Option<&'d Value>);

impl Difference<'_> {
    fn changes(&self) -> Changes {
        match (self.before, self.now) {
            (None, _) => Changes::default().with(Change::New),
            (_, None) => Changes::default().with(Change::Missing),
            (Some(before), Some(now)) => before.changes(now),
        }
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let mark = match (self.before, self.now) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        let mut text = format!("  {mark} {}  {}\n", visible(self.tool), self.changes().words());
        for (place, before, now) in self.places() {
            text += &format!("      {}\n", visible(&place));
            for (mark, value) in [('-', before), ('+', now)] {
                text.extend(value.map(|value| format!("      {mark} {}\n", shown(value))));
            }
        }
        text
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let places: Vec<Value> = self
            .places()
            .iter()
            .map(|(place, before, now)| json!({"pointer": place, "before": before, "now": now}))
            .collect();
        let changes: Vec<&str> = self.changes().iter().map(Change::as_str).collect();
        json!({
            "upstream": self.upstream,
            "tool": self.tool,
            "changes": changes,
            "places": places,
        })
    }

    /// Where both have something to say.
    fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        if let (Some(before), Some(now)) = (self.before, self.now) {
            members("", before.members(), now.members(), &mut places);
        }
        places
    }
}

fn members<'d>(
    at: &str,
    before: &'d serde_json::Map<String, Value>,
    now: &'d serde_json::Map<String, Value>,
    places: &mut Vec<Place<'d>>,
) {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (before.get(name), now.get(name)) {
            (before, now) if before == now => {}
            (Some(Value::Object(before)), Some(Value::Object(now))) => {
                members(&place, before, now, places);
            }
            (before, now) => places.push((place, before, now)),
        }
    }
}

fn shown(value: &Value) -> String {
    let text = visible(&value.to_string());
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
