//! The input schema of a tool as somebody approved it (JSON Schema 2020-12): which names it
//! declares, and which values are texts and nothing else.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::kinds::{Kinds, kinds};
use super::{Literal, Pointer, Test, hint};
use crate::core::decimal::Decimal;

/// Number of references and alternatives that are followed, one behind the other.
const MAX_DEPTH: usize = 16;

/// Number of alternatives within each other whose kinds are looked at.
const MAX_PARTS: usize = 8;

/// A schema, or a part of one; of a tool that nobody has approved, nothing is declared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declared<'s> {
    /// The schema that references point into.
    root: Option<&'s Value>,
    here: Option<&'s Value>,
}

/// A name that a schema does not declare.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undeclared {
    /// The name.
    pub name: String,
    /// A name that is declared in its place, which readers may take for it.
    pub respelled: Option<String>,
    /// Whether no other names are taken than those that are declared.
    pub is_closed: bool,
    /// The names that are declared there.
    pub known: Vec<String>,
}

impl<'s> Declared<'s> {
    /// The declarations of this schema of a tool's arguments.
    #[must_use]
    pub fn new(schema: &'s Value) -> Self {
        Self { root: Some(schema), here: Some(schema) }
    }

    /// The schema of the property `name` of an object, or of an array's items.
    pub(super) fn at(self, name: &str) -> Self {
        let mut all = self.here.into_iter().flat_map(|schema| self.alternatives(schema, MAX_DEPTH));
        let here = all.find_map(|schema| {
            let property = schema.get("properties").and_then(|all| all.get(name));
            let is_index = name.bytes().all(|b| b.is_ascii_digit());
            property.or_else(|| schema.get("items").filter(|_| is_index))
        });
        Self { here, ..self }
    }

    /// True where an object is declared to have the property `name`.
    pub(in crate::core) fn has(self, name: &str) -> bool {
        let mut all = self.here.into_iter().flat_map(|schema| self.alternatives(schema, MAX_DEPTH));
        all.any(|schema| {
            schema
                .get("properties")
                .and_then(Value::as_object)
                .is_some_and(|p| p.contains_key(name))
        })
    }

    /// What a schema lacks on the way of `pointer`; `None` where all of it is declared, or where
    /// nothing is said about what there is.
    #[must_use]
    pub fn lacks(self, pointer: &Pointer) -> Option<Undeclared> {
        let mut here = self;
        for name in pointer.names() {
            let has_members = here.may_hold(name);
            if has_members && here.declares(name) {
                here = here.at(name);
                continue;
            }
            let known = here.names();
            let is_closed = here.is_closed() || !has_members;
            if known.is_empty() && !is_closed {
                return None;
            }
            let respelled = known.iter().find(|known| hint(known) == hint(name));
            return Some(Undeclared {
                name: name.to_owned(),
                respelled: respelled.map(|name| (*name).to_owned()),
                is_closed,
                known: known.into_iter().map(str::to_owned).collect(),
            });
        }
        None
    }

    fn declares(self, name: &str) -> bool {
        self.has(name)
            || self.at(name).here.is_some()
            || self.parts().any(|schema| {
                let patterns = schema.get("patternProperties").and_then(Value::as_object);
                // What is said by rules that hold sometimes is not followed.
                patterns.is_some_and(|all| all.keys().any(|pattern| may_match(pattern, name)))
                    || ["if", "dependentSchemas", "prefixItems", "propertyNames"]
                        .iter()
                        .any(|keyword| schema.contains_key(*keyword))
            })
    }

    /// True where a value there may have a member or an item with this name.
    fn may_hold(self, name: &str) -> bool {
        let is_index = name.bytes().all(|b| b.is_ascii_digit());
        self.kinds().is_none_or(|kinds| kinds.object || kinds.array && is_index)
    }

    /// The kinds of values that are declared here, where that is said.
    fn kinds(self) -> Option<Kinds> {
        self.here.and_then(|schema| kinds(schema, &|schema| self.resolved(schema), MAX_PARTS))
    }

    /// The declaration of what stands at the end of `pointer`.
    #[must_use]
    pub fn of(self, pointer: &Pointer) -> Self {
        pointer.names().fold(self, Self::at)
    }

    /// True where no value that is declared here is of a kind that `test` is about.
    #[must_use]
    pub fn excludes(self, test: &Test) -> bool {
        let Some(kinds) = self.kinds() else { return false };
        !kinds.meets(Kinds::of(test))
    }

    /// The words that are declared here, where nothing else may stand.
    #[must_use]
    pub fn words(self) -> Option<Vec<&'s Value>> {
        self.here.and_then(|schema| self.words_of(schema, MAX_PARTS))
    }

    fn words_of(self, schema: &'s Value, depth: usize) -> Option<Vec<&'s Value>> {
        let schema = self.resolved(schema).filter(|_| depth > 0)?;
        if let Some(words) = schema.get("enum") {
            return words.as_array().map(|words| words.iter().collect());
        }
        if let Some(word) = schema.get("const") {
            return Some(vec![word]);
        }
        if schema.get("type").is_some_and(|name| name == "null") {
            return Some(Vec::new());
        }
        let parts = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
        let words = parts.iter().map(|part| self.words_of(part, depth - 1));
        words.collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    fn parts(self) -> impl Iterator<Item = &'s Map<String, Value>> {
        self.here.into_iter().flat_map(move |schema| self.alternatives(schema, MAX_DEPTH))
    }

    /// The names that an object is declared to have.
    pub(super) fn names(self) -> Vec<&'s str> {
        let properties = self.parts().filter_map(|schema| schema.get("properties")?.as_object());
        properties.flat_map(|names| names.keys().map(String::as_str)).collect()
    }

    /// True where an object is declared to have no other names.
    fn is_closed(self) -> bool {
        self.parts().any(|schema| {
            ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|keyword| schema.get(*keyword) == Some(&Value::Bool(false)))
        })
    }

    /// True where an object anywhere in the arguments is declared to have the property `name`.
    pub(super) fn mentions(self, name: &str) -> bool {
        fn is_in(value: &Value, name: &str, depth: usize) -> bool {
            let has = |schema: &Map<String, Value>| {
                let properties = schema.get("properties").and_then(Value::as_object);
                properties.is_some_and(|properties| properties.contains_key(name))
            };
            match value {
                Value::Object(schema) => {
                    has(schema) || depth > 0 && schema.values().any(|v| is_in(v, name, depth - 1))
                }
                Value::Array(all) => depth > 0 && all.iter().any(|v| is_in(v, name, depth - 1)),
                _ => false,
            }
        }
        self.root.is_some_and(|root| is_in(root, name, MAX_DEPTH))
    }

    /// True for a value that is a text and never anything else: no null, no word of a list, no
    /// format. Readers who parse texts leave such a one alone.
    pub(super) fn is_plain_text(self) -> bool {
        let Some(schema) = self.here.and_then(|schema| self.resolved(schema)) else {
            return false;
        };
        const OTHERS: [&str; 9] =
            ["enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "format", "contentMediaType"];
        schema.get("type").and_then(Value::as_str) == Some("string")
            && !OTHERS.iter().any(|keyword| schema.contains_key(*keyword))
    }

    /// The schema that `schema` refers to, or itself.
    fn resolved(self, schema: &'s Value) -> Option<&'s Map<String, Value>> {
        let mut schema = schema.as_object()?;
        for _ in 0..MAX_DEPTH {
            let Some(to) = schema.get("$ref") else {
                return Some(schema);
            };
            let pointer = to.as_str()?.strip_prefix('#')?;
            schema = self.root?.pointer(pointer)?.as_object()?;
        }
        None
    }

    /// The schema with its references followed, and those that it is composed of.
    fn alternatives(self, schema: &'s Value, depth: usize) -> Vec<&'s Map<String, Value>> {
        let Some(schema) = self.resolved(schema).filter(|_| depth > 0) else {
            return Vec::new();
        };
        let lists = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema.get(name));
        let parts = lists.filter_map(Value::as_array).flatten();
        let mut all = vec![schema];
        all.extend(parts.flat_map(|part| self.alternatives(part, depth - 1)));
        all
    }
}

/// Longest expression of a schema in bytes once compiled.
const MAX_REGEX: usize = 64 << 10;

/// True where a name may match an expression of `patternProperties` (ECMA-262), as far as that
/// cannot be ruled out.
fn may_match(pattern: &str, name: &str) -> bool {
    let built = RegexBuilder::new(pattern).size_limit(MAX_REGEX).nest_limit(50).build();
    built.map_or(true, |regex| regex.is_match(name))
}

/// True where a value of the configuration is this one of a schema.
#[must_use]
pub fn is_word(literal: &Literal, word: &Value) -> bool {
    match (literal, word) {
        (Literal::Bool(one), Value::Bool(other)) => one == other,
        (Literal::Number(one, _), Value::Number(other)) => {
            Decimal::parse(&other.to_string()).as_ref() == Some(one)
        }
        (Literal::Text(one), Value::String(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_declares_its_properties_through_references_and_alternatives() {
        let schema = json!({
            "properties": {
                "filter": {"anyOf": [{"$ref": "#/$defs/Filter"}, {"type": "null"}]},
                "list": {"items": {"properties": {"id": {"type": "string"}}}},
                "loop": {"$ref": "#/$defs/Loop"},
                "title": {"type": "string", "minLength": 1},
            },
            "$defs": {
                "Filter": {"properties": {"org": {"type": ["string", "null"]}}},
                "Loop": {"$ref": "#/$defs/Loop"},
            },
        });
        let declared = Declared::new(&schema);
        assert!(declared.has("filter") && declared.has("title") && !declared.has("org"));
        assert!(declared.at("filter").has("org"));
        assert!(declared.at("list").at("0").has("id") && declared.mentions("id"));
        assert!(!declared.at("loop").has("x") && !declared.mentions("x"));
        assert!(!Declared::default().has("title"));
    }

    #[test]
    fn a_plain_text_is_nothing_else() {
        for (schema, is_plain) in [
            (json!({"type": "string"}), true),
            (json!({"type": "string", "maxLength": 9, "title": "T", "pattern": "a"}), true),
            (json!({"$ref": "#/$defs/Text"}), true),
            (json!({"type": ["string", "null"]}), false),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), false),
            (json!({"type": "string", "enum": ["a"]}), false),
            (json!({"type": "string", "format": "date"}), false),
            (json!({"type": "array"}), false),
            (json!({}), false),
            (json!(true), false),
        ] {
            let root = json!({"properties": {"x": schema}, "$defs": {"Text": {"type": "string"}}});
            assert_eq!(Declared::new(&root).at("x").is_plain_text(), is_plain, "{root}");
        }
    }
}
