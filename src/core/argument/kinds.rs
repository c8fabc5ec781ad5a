//! The kinds of values that a schema declares, and that tests are about.

use serde_json::{Map, Value};

use super::{Literal, Test};

/// Some of the kinds of JSON values.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Kinds {
    pub(super) array: bool,
    pub(super) boolean: bool,
    pub(super) null: bool,
    pub(super) number: bool,
    pub(super) object: bool,
    pub(super) text: bool,
}

impl Kinds {
    const ALL: Self =
        Self { array: true, boolean: true, null: true, number: true, object: true, text: true };
    const NONE: Self = Self {
        array: false,
        boolean: false,
        null: false,
        number: false,
        object: false,
        text: false,
    };

    fn bits(self) -> [bool; 6] {
        [self.array, self.boolean, self.null, self.number, self.object, self.text]
    }

    /// True where they have a kind in common.
    pub(super) fn meets(self, other: Self) -> bool {
        self.bits().iter().zip(other.bits()).any(|(one, other)| *one && other)
    }

    fn join(self, other: Self, join: fn(bool, bool) -> bool) -> Self {
        Self {
            array: join(self.array, other.array),
            boolean: join(self.boolean, other.boolean),
            null: join(self.null, other.null),
            number: join(self.number, other.number),
            object: join(self.object, other.object),
            text: join(self.text, other.text),
        }
    }

    /// By the name that schemas have for it; an unknown one may be any.
    fn named(name: &str) -> Self {
        match name {
            "array" => Self { array: true, ..Self::NONE },
            "boolean" => Self { boolean: true, ..Self::NONE },
            "null" => Self { null: true, ..Self::NONE },
            "integer" | "number" => Self { number: true, ..Self::NONE },
            "object" => Self { object: true, ..Self::NONE },
            "string" => Self { text: true, ..Self::NONE },
            _ => Self::ALL,
        }
    }

    fn of_value(value: &Value) -> Self {
        Self::named(match value {
            Value::Array(_) => "array",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
            Value::Number(_) => "number",
            Value::Object(_) => "object",
            Value::String(_) => "string",
        })
    }

    fn of_literal(literal: &Literal) -> Self {
        Self::named(match literal {
            Literal::Bool(_) => "boolean",
            Literal::Number(..) => "number",
            Literal::Text(_) => "string",
        })
    }

    /// Those that a test can hold for.
    pub(super) fn of(test: &Test) -> Self {
        let any = |literals: &[Literal]| union(literals.iter().map(Self::of_literal));
        match test {
            Test::Absent => Self::ALL,
            Test::Equals(literal) => Self::of_literal(literal),
            Test::In(literals) | Test::NotIn(literals) => any(literals),
            Test::Max(..) | Test::Min(..) => Self::named("number"),
            Test::MaxItems(_) => Self::named("array"),
            Test::EqualsOrganization
            | Test::EqualsUser
            | Test::Glob(_)
            | Test::MaxLength(_)
            | Test::Regex { .. }
            | Test::Url(_) => Self::named("string"),
        }
    }
}

fn union(all: impl Iterator<Item = Kinds>) -> Kinds {
    all.fold(Kinds::NONE, |one, other| one.join(other, |one, other| one || other))
}

/// The kinds that `schema` lets pass, as far as its own words, those of its alternatives and of
/// what it refers to say; `None` where they say nothing.
pub(super) fn kinds<'s>(
    schema: &'s Value,
    resolved: &dyn Fn(&'s Value) -> Option<&'s Map<String, Value>>,
    depth: usize,
) -> Option<Kinds> {
    let schema = resolved(schema).filter(|_| depth > 0)?;
    let within = |part: &'s Value| kinds(part, resolved, depth - 1);
    let list = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
    let types = schema.get("type").map(|types| match types {
        Value::String(name) => Kinds::named(name),
        Value::Array(names) => {
            union(names.iter().map(|name| Kinds::named(name.as_str().unwrap_or_default())))
        }
        _ => Kinds::ALL,
    });
    let words = list("enum").map(|words| union(words.iter().map(Kinds::of_value)));
    let word = schema.get("const").map(Kinds::of_value);
    let mut said: Vec<Kinds> = types.into_iter().chain(words).chain(word).collect();
    for parts in [list("anyOf"), list("oneOf")].into_iter().flatten() {
        said.extend(
            parts.iter().map(within).collect::<Option<Vec<_>>>().map(|all| union(all.into_iter())),
        );
    }
    said.extend(list("allOf").into_iter().flatten().filter_map(within));
    let all = said.into_iter().reduce(|one, other| one.join(other, |one, other| one && other));
    all.filter(|kinds| *kinds != Kinds::ALL)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_kinds_of_a_schema_are_those_that_all_its_words_let_pass() {
        let text = Kinds { text: true, ..Kinds::NONE };
        let (number, null) =
            (Kinds { number: true, ..Kinds::NONE }, Kinds { null: true, ..Kinds::NONE });
        for (schema, expected) in [
            (json!({"type": "string"}), Some(text)),
            (json!({"type": "integer"}), Some(number)),
            (json!({"type": ["integer", "null"]}), Some(Kinds { null: true, ..number })),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                Some(Kinds { text: true, ..null }),
            ),
            (json!({"oneOf": [{"type": "string"}, {"title": "any"}]}), None),
            (
                json!({"allOf": [{"type": ["string", "null"]}, {"type": ["null", "array"]}]}),
                Some(null),
            ),
            (json!({"allOf": [{"type": "string"}, {"title": "any"}]}), Some(text)),
            (json!({"enum": ["a", null]}), Some(Kinds { text: true, ..null })),
            (json!({"const": 3}), Some(number)),
            (json!({"type": "uuid"}), None),
            (json!({"minLength": 3}), None),
            (json!(true), None),
            (json!({}), None),
        ] {
            assert_eq!(kinds(&schema, &Value::as_object, 9), expected, "{schema}");
        }
    }
}
