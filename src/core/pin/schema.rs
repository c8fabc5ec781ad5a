//! Two JSON Schemas of a tool (JSON Schema 2020-12): does the later one accept less, or more?
//!
//! A name that a schema does not declare counts as one that callers do not send: an added property
//! is an invitation to send more, however open the schema was before. What is not understood
//! counts as more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Change, Changes};

/// Keywords that say something to readers and nothing about what is accepted.
const TEXTS: [&str; 4] = ["title", "description", "$comment", "examples"];

/// Keywords whose members are schemas by name.
const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Keywords whose value is a list of schemas.
const LISTED: [&str; 5] = ["anyOf", "allOf", "oneOf", "prefixItems", "items"];

/// Keywords whose value is a schema.
const NESTED: [&str; 11] = [
    "items",
    "additionalProperties",
    "additionalItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
];

/// How `now` differs from `before`.
pub(super) fn changes(before: Option<&Value>, now: Option<&Value>) -> Changes {
    let mut changes = Changes::default();
    let (mut had, mut has) = (BTreeMap::new(), BTreeMap::new());
    let bare_before = before.map(|schema| bare(schema, "", &mut had));
    let bare_now = now.map(|schema| bare(schema, "", &mut has));
    if has.iter().any(|(place, text)| had.get(place) != Some(text)) {
        changes = changes.with(Change::Text);
    }
    if bare_before != bare_now {
        let change = match (&bare_before, &bare_now) {
            (Some(before), Some(now)) if refers_plainly(now) && is_narrower(before, now) => {
                Change::Narrowed
            }
            _ => Change::Widened,
        };
        changes = changes.with(change);
    }
    // Texts that are only gone.
    if changes.is_empty() { changes.with(Change::Text) } else { changes }
}

/// The schema without its texts, which are taken down with their places. A property may well be
/// called `title`.
fn bare<'s>(schema: &'s Value, at: &str, texts: &mut BTreeMap<String, &'s Value>) -> Value {
    let Value::Object(members) = schema else {
        return schema.clone();
    };
    let mut kept = Map::new();
    for (name, value) in members {
        let place = format!("{at}/{name}");
        let name = name.as_str();
        let value = match value {
            text if TEXTS.contains(&name) => {
                texts.insert(place, text);
                continue;
            }
            Value::Object(schemas) if NAMED.contains(&name) => {
                let each = schemas.iter().map(|(name, schema)| {
                    (name.clone(), bare(schema, &format!("{place}/{name}"), texts))
                });
                Value::Object(each.collect())
            }
            Value::Array(schemas) if LISTED.contains(&name) => {
                let each = schemas.iter().enumerate();
                each.map(|(index, schema)| bare(schema, &format!("{place}/{index}"), texts))
                    .collect()
            }
            schema if NESTED.contains(&name) => bare(schema, &place, texts),
            other => other.clone(),
        };
        kept.insert(name.to_owned(), value);
    }
    Value::Object(kept)
}

/// Whether references lead to definitions only, which must not differ at all. Elsewhere a part that
/// narrows might be referred to where that means more.
fn refers_plainly(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().all(|(name, value)| match name.as_str() {
            "$ref" => value
                .as_str()
                .is_some_and(|to| to.starts_with("#/$defs/") || to.starts_with("#/definitions/")),
            "$dynamicRef" | "$recursiveRef" => false,
            _ => refers_plainly(value),
        }),
        Value::Array(items) => items.iter().all(refers_plainly),
        _ => true,
    }
}

/// Whether everything that `now` accepts was accepted `before`, as far as that is certain.
fn is_narrower(before: &Value, now: &Value) -> bool {
    if before == now || *before == Value::Bool(true) || *now == Value::Bool(false) {
        return true;
    }
    let (Value::Object(before), Value::Object(now)) = (before, now) else {
        return false;
    };
    if !properties(before, now) {
        return false;
    }
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names.into_iter().all(|name| keyword(name, before.get(name), now.get(name)))
}

/// Properties by name: none that was not there, each as narrow as it was.
fn properties(before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let none = Map::new();
    let of = |schema: &Map<String, Value>| {
        schema.get("properties").and_then(Value::as_object).unwrap_or(&none).clone()
    };
    // What a property no longer says, a pattern may.
    let has_patterns = before.contains_key("patternProperties");
    let (before, now) = (of(before), of(now));
    if has_patterns && before.len() > now.len() {
        return false;
    }
    now.iter().all(|(name, schema)| before.get(name).is_some_and(|old| is_narrower(old, schema)))
}

/// One keyword, before and now.
fn keyword(name: &str, before: Option<&Value>, now: Option<&Value>) -> bool {
    if before == now {
        return true;
    }
    let anything = Value::Bool(true);
    match (name, before, now) {
        // They have been compared.
        ("properties", ..) => true,
        ("additionalProperties" | "items", before, now) => {
            is_narrower(before.unwrap_or(&anything), now.unwrap_or(&anything))
        }
        ("type", Some(before), Some(now)) => {
            let was = types(before);
            let is_in = |name| was.contains(name) || name == "integer" && was.contains("number");
            types(now).into_iter().all(is_in)
        }
        ("enum", Some(Value::Array(before)), Some(Value::Array(now))) => {
            now.iter().all(|value| before.contains(value))
        }
        ("required", Some(Value::Array(before)), Some(Value::Array(now))) => {
            before.iter().all(|name| now.contains(name))
        }
        (
            "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties",
            Some(before),
            Some(now),
        ) => is_at_most(before, now),
        (
            "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties",
            Some(before),
            Some(now),
        ) => is_at_most(now, before),
        ("anyOf", Some(Value::Array(before)), Some(Value::Array(now))) => {
            now.iter().all(|now| before.iter().any(|before| is_narrower(before, now)))
        }
        // What asks for something, where nothing was asked for.
        (
            "type" | "enum" | "const" | "required" | "minimum" | "exclusiveMinimum" | "minLength"
            | "minItems" | "minProperties" | "maximum" | "exclusiveMaximum" | "maxLength"
            | "maxItems" | "maxProperties" | "pattern" | "anyOf" | "multipleOf",
            None,
            Some(_),
        ) => true,
        _ => false,
    }
}

fn types(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn is_at_most(less: &Value, more: &Value) -> bool {
    match (less.as_i64(), more.as_i64(), less.as_f64(), more.as_f64()) {
        (Some(less), Some(more), ..) => less <= more,
        (.., Some(less), Some(more)) => less <= more,
        _ => false,
    }
}
