//! The claims of a token, by name and by place.

use serde_json::{Map, Value};

use super::rejected::{JwtFault, Rejected, found};
use crate::core::keys::KeyMark;
use crate::core::token::UnixSeconds;

/// The claims of a verified token.
pub(in crate::core) struct Claims {
    claims: Map<String, Value>,
    /// `typ` of the header, which the signature covers, too.
    pub(super) kind: Option<Value>,
    /// The key that has verified them; `None` where none has.
    pub(in crate::core) key: Option<KeyMark>,
}

impl Claims {
    pub(super) fn new(claims: Map<String, Value>, kind: Option<Value>) -> Self {
        Self { claims, kind, key: None }
    }

    /// The same claims, with the key that has verified them.
    pub(super) fn verified_with(self, key: Option<KeyMark>) -> Self {
        Self { key, ..self }
    }

    /// Claims that nobody has verified, of a token that nobody holds.
    pub(in crate::core) fn assumed(claims: Map<String, Value>) -> Self {
        Self { claims, kind: None, key: None }
    }

    /// A claim by its name, or by a JSON pointer (RFC 6901) where `name` begins with `/`: through
    /// members of objects and items of arrays.
    pub(in crate::core) fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else {
            return self.claims.get(name);
        };
        let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        self.claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }

    /// The text of a claim; some providers write one text as an array that holds it.
    pub(in crate::core) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The moment of `exp`, once it has been found fit.
    pub(in crate::core) fn expires(&self) -> Option<UnixSeconds> {
        self.seconds("exp").ok().flatten()
    }

    /// A NumericDate (RFC 7519 2), rounded down.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<UnixSeconds>, Rejected> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        // Far beyond any date, and far within what a float can tell exactly.
        let sound = |seconds: &f64| (0.0..1e12).contains(seconds);
        let seconds = value.as_f64().filter(sound).ok_or_else(|| self.not_a_date(name))?;
        #[expect(clippy::cast_possible_truncation, reason = "it is below 1e12")]
        Ok(Some(seconds as i64))
    }

    pub(super) fn not_a_date(&self, name: &str) -> Rejected {
        let expected = "a number, the seconds since 1970-01-01T00:00:00Z";
        Rejected::claim(JwtFault::Claim, name, expected, &found(self.claims.get(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: &Value) -> Claims {
        Claims::assumed(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_pointer_goes_through_objects_and_arrays_as_rfc_6901_says() {
        let claims = claims(&json!({
            "organization": ["acme", {"id": [["deep"]]}], "o": {"0": "zero", "": "empty"},
            "a/b": "slash", "m~n": "tilde", "~1": "both", "": {"": "nameless"}, "/x": "plain",
            "https://acme.example/roles": ["r"],
        }));
        for (name, value) in [
            ("/organization/0", json!("acme")),
            ("/organization/1/id/0/0", json!("deep")),
            ("/o/0", json!("zero")),
            ("/o/", json!("empty")),
            ("/a~1b", json!("slash")),
            ("/m~0n", json!("tilde")),
            ("/~01", json!("both")),
            ("/", json!({"": "nameless"})),
            ("//", json!("nameless")),
            ("/~1x", json!("plain")),
            ("a/b", json!("slash")),
            ("https://acme.example/roles", json!(["r"])),
            ("/https:~1~1acme.example~1roles/0", json!("r")),
        ] {
            assert_eq!(claims.get(name), Some(&value), "{name}");
        }
        for name in [
            "/organization/2",
            "/organization/00",
            "/organization/01",
            "/organization/+0",
            "/organization/-0",
            "/organization/-",
            "/organization/ 0",
            "/organization/",
            "/organization/0x0",
            "/organization/18446744073709551616",
            "/o/00",
            "/x",
            "/a/b",
            "/organization/0/0",
            "organization/0",
        ] {
            assert_eq!(claims.get(name), None, "{name}");
        }
    }

    #[test]
    fn one_text_is_a_text_alone_or_in_an_array() {
        for (value, text) in [
            (json!("acme"), Some("acme")),
            (json!(["acme"]), Some("acme")),
            (json!([""]), Some("")),
            (json!(["acme", "globex"]), None),
            (json!(["acme", "acme"]), None),
            (json!(["acme", null]), None),
            (json!([["acme"]]), None),
            (json!([7]), None),
            (json!([]), None),
            (json!({"acme": true}), None),
            (json!(7), None),
            (json!(null), None),
        ] {
            let claims = claims(&json!({ "org": value, "deep": {"org": value} }));
            assert_eq!(claims.text("org"), text, "{value}");
            assert_eq!(claims.text("/deep/org"), text, "{value}");
        }
    }
}
