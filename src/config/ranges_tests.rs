//! Every duration, size and count of the schema: what is beyond its range is refused with the
//! range, and what stands in it is taken.

use serde_json::Value;

use super::tests::{DIGEST, read};

/// A table, a key of it, and the text that belongs before.
struct Key {
    table: &'static str,
    key: String,
    about: Value,
}

const TABLES: [(&str, &str); 6] = [
    ("server", "/properties/server"),
    ("server.shutdown", "/properties/server/properties/shutdown"),
    ("limits", "/properties/limits"),
    ("identity.assertion", "/properties/identity/properties/assertion"),
    ("upstreams.t", "/$defs/upstream"),
    ("issuers.i", "/$defs/issuer"),
];

/// All keys with a size, a duration or a number, as the schema has them.
fn keys() -> Vec<Key> {
    let schema: Value =
        serde_json::from_str(include_str!("../../deploy/gateway.schema.json")).unwrap();
    let mut found = Vec::new();
    for (table, pointer) in TABLES {
        let properties = schema.pointer(&format!("{pointer}/properties")).expect(table);
        for (key, about) in properties.as_object().unwrap() {
            let is_sized = about["$ref"]
                .as_str()
                .is_some_and(|to| ["#/$defs/duration", "#/$defs/size"].contains(&to));
            if is_sized || about["type"] == "integer" {
                found.push(Key { table, key: key.clone(), about: about.clone() });
            }
        }
    }
    found
}

impl Key {
    /// What the schema says of its range: the least and the most, as TOML values.
    fn range(&self) -> (String, String) {
        if self.about["type"] == "integer" {
            return (self.about["minimum"].to_string(), self.about["maximum"].to_string());
        }
        let text = self.about["description"].as_str().unwrap();
        let (_, range) =
            text.rsplit_once("from ").unwrap_or_else(|| panic!("{}: {text}", self.key));
        let (least, most) = range.trim_end_matches('.').split_once(" to ").unwrap();
        (format!("\"{least}\""), format!("\"{most}\""))
    }

    /// A good file but for this value, and every error about it.
    fn errors(&self, value: &str) -> Vec<String> {
        let line = format!("{} = {value}\n", self.key);
        let of = |table: &str, rest: &str| {
            let line = if self.table == table { line.as_str() } else { "" };
            format!("[{table}]\n{line}{rest}\n")
        };
        // No less may be held than the longest of these.
        let shortest = "request_body = \"1KiB\"\nlisting = \"1KiB\"";
        let mut text = of("server", "public_url = \"https://x\"")
            + &of("server.shutdown", "")
            + &of("limits", if self.key == "buffers" { shortest } else { "" })
            + &of("upstreams.t", "path = \"/mcp\"\nurl = \"http://127.0.0.1:9/mcp\"")
            + &of(
                "issuers.i",
                "issuer = \"https://i\"\njwks_url = \"https://i/k\"\norganization = \"o\"",
            )
            + &format!(
                "[tokens.a]\nsha256 = \"{DIGEST}\"\nuser = \"a\"\norganization = \"p\"\nexpires = 2999-01-01\n"
            );
        if self.table == "identity.assertion" {
            // Its key file is not there, which is another error.
            text += &of("identity.assertion", "key_file = \"nowhere\"");
        }
        let said = match read(&text) {
            Ok(_) => return Vec::new(),
            Err(findings) => findings.to_string(),
        };
        said.lines()
            .filter(|line| line.contains(&format!("`{}`", self.key)))
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn every_duration_size_and_count_has_a_range_that_its_error_and_the_schema_name() {
    let keys = keys();
    assert!(keys.len() >= 23, "{}", keys.len());
    for key in &keys {
        let (least, most) = key.range();
        for value in [&least, &most] {
            assert_eq!(key.errors(value), Vec::<String>::new(), "{} = {value}", key.key);
        }
        let is_count = key.about["type"] == "integer";
        let mut beyond: Vec<String> = [
            "\"584542046090y\"",
            "\"18446744073709551615s\"",
            "\"18446744073709551616s\"",
            "\"18446744073709551615GiB\"",
            "\"99999999999999999999999KiB\"",
            "\"-1s\"",
            "\"-1KiB\"",
            "\"1e9s\"",
            "\"NaN\"",
            "\"\"",
            "\" \"",
            "\"5\"",
            "\"1.5MiB\"",
            "\"+1KiB\"",
            "\"367d\"",
            "\"2048GiB\"",
            "\"1KB\"",
            "-1",
            "1.5",
            "18446744073709551615",
            "9223372036854775807",
            "inf",
            "nan",
            "true",
            "[]",
            "{}",
            "2026-01-01",
        ]
        .map(str::to_owned)
        .to_vec();
        if is_count {
            beyond.push((most.parse::<u64>().unwrap() + 1).to_string());
            beyond.extend(least.parse::<u64>().unwrap().checked_sub(1).map(|n| n.to_string()));
        } else {
            beyond.extend(["0", "1"].map(str::to_owned));
            if least.contains("0s") {
                assert_eq!(key.errors("\"0s\""), Vec::<String>::new(), "{}", key.key);
            } else {
                beyond.extend(["\"0s\"", "\"0KiB\"", "\"1ns\""].map(str::to_owned));
            }
        }
        for value in beyond {
            let errors = key.errors(&value);
            assert_eq!(errors.len(), 1, "{} = {value}: {errors:?}", key.key);
            let bare = |text: &str| text.trim_matches('"').to_owned();
            let names = errors[0].contains(&bare(&least)) && errors[0].contains(&bare(&most));
            let is_typed = ["not ", "in quotes"].iter().any(|said| errors[0].contains(said));
            assert!(names || is_typed, "{} = {value}: {errors:?}", key.key);
        }
    }
}
