//! What an upstream says of a tool (MCP, "Tool").

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::schema;
use super::{Change, Changes};

/// A tool without its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Definition(Map<String, Value>);

/// Not a JSON object, or one that cannot be kept: nested too deeply, with a number too great, with
/// more than [`MAX_VALUES`] values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadDefinition;

/// Most values in a definition. Seven bytes of text can be an object of 700 bytes in memory.
pub const MAX_VALUES: usize = 50_000;

/// Members that only people and models read.
const TEXTS: [&str; 3] = ["title", "description", "icons"];

/// Members that say what is accepted, and what comes back.
const SCHEMAS: [&str; 2] = ["inputSchema", "outputSchema"];

impl Definition {
    /// Reads an item of a list of tools.
    ///
    /// # Errors
    /// [`BadDefinition`] where it is not an object, or cannot be kept.
    pub fn read(item: &str) -> Result<Self, BadDefinition> {
        if Self::values(item) > MAX_VALUES {
            return Err(BadDefinition);
        }
        serde_json::from_str(item).map(Self::of).map_err(|_| BadDefinition)
    }

    /// As many values as a JSON text has, or more: one stands behind each bracket and comma.
    #[must_use]
    pub fn values(text: &str) -> usize {
        1 + text.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b',')).count()
    }

    /// A definition of these members; the name is not one of them.
    #[must_use]
    pub fn of(mut members: Map<String, Value>) -> Self {
        members.remove("name");
        Self(members)
    }

    /// Its members.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// SHA-256 over its canonical form, in hexadecimal: the same however the upstream orders
    /// members and spells strings.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = String::new();
        canonical_object(&self.0, &mut text);
        Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
            // A string takes everything.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// How `now` differs from this.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Changes {
        let mut changes = Changes::default();
        if self == now {
            return changes;
        }
        let differs = |name: &str| self.0.get(name) != now.0.get(name);
        if TEXTS.into_iter().any(differs) {
            changes = changes.with(Change::Text);
        }
        for name in SCHEMAS.into_iter().filter(|name| differs(name)) {
            changes = changes.and(schema::changes(self.0.get(name), now.0.get(name)));
        }
        let is_other = |name: &&String| !TEXTS.iter().chain(&SCHEMAS).any(|known| name == known);
        if self.0.keys().chain(now.0.keys()).filter(is_other).any(|name| differs(name)) {
            changes = changes.with(Change::Annotations);
        }
        changes
    }
}

/// Members in the order of their names, no white space (after RFC 8785; numbers as they are).
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => canonical_object(members, out),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                out.push(if index == 0 { '[' } else { ',' });
                canonical(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        other => *out += &other.to_string(),
    }
}

fn canonical_object(members: &Map<String, Value>, out: &mut String) {
    // Whether the map is in order depends on the features that other crates ask for.
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        *out += &Value::from(name.as_str()).to_string();
        out.push(':');
        canonical(value, out);
    }
    out.push('}');
}
