//! `[[roles.NAME.when]]` and `[tools."upstream/tool"]`: conditions on arguments.

use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::code::Code;
use super::literals;
use super::policy::Reader;
use super::read::{At, Table};
use super::restrictions::{self, Whose};
use super::values::{self, date};
use crate::core::argument::{
    self, BadPointer, BadTest, Condition, Literal, Pointer, Shadow, Test, UrlTest, When,
};
use crate::core::decimal::Decimal;
use crate::core::harmless::visible;
use crate::core::pattern::Pattern;
use crate::core::permission::Patterns;

/// Longest `message` in characters.
const MAX_MESSAGE: usize = 1000;

/// `[[roles.NAME.when]]`: what must hold for calls that the role allows.
pub(super) fn of_role(
    role: &mut Table<'_>,
    reader: &mut Reader<'_>,
    allow: &Patterns,
) -> Vec<When> {
    let mut whens = Vec::new();
    for mut table in role.tables("when") {
        let texts = table.strings("tools");
        if texts.is_empty() {
            let message = "`tools` is missing, so no call is meant".to_owned();
            table.report().error(
                Code::Missing,
                table.span(),
                message,
                "add tools = [\"upstream/tool\"]",
            );
        }
        let tools = reader.tools(&table, "tools", texts, Whose::Role(allow));
        whens.push(when(table, tools, reader));
    }
    whens
}

/// `[tools."upstream/tool"]`: what must hold for calls of a tool, whoever calls.
pub(super) fn of_tools(file: &mut Table<'_>, reader: &mut Reader<'_>) -> Vec<When> {
    let mut whens = Vec::new();
    for (name, value) in file.entries("tools") {
        if !value.get_ref().is_table() {
            file.wrong_kind("tools", value, "a table");
            continue;
        }
        let table = file.within("tools", &name, value);
        let tools = reader.tools(&table, "tools", vec![name], Whose::Everybody);
        whens.push(when(table, tools, reader));
    }
    whens
}

fn when(mut table: Table<'_>, tools: Vec<Pattern>, reader: &mut Reader<'_>) -> When {
    let mut conditions = Vec::new();
    let before = table.report().errors();
    for (name, value) in table.entries("arguments") {
        if !value.get_ref().is_table() {
            table.wrong_kind(name.value, value, "a table like { in = [\"low\", \"normal\"] }");
            continue;
        }
        let inner = table.within("arguments", &name, value);
        conditions.extend(condition(&name, inner, &tools, reader));
    }
    if conditions.is_empty() && table.report().errors() == before {
        let message = "there are no conditions in `arguments`".to_owned();
        let help = "add arguments.\"/name\" = { in = [\"a\", \"b\"] }";
        table.report().error(Code::Condition, table.span(), message, help);
    }
    let message = table.parsed("message", |text| match text.chars().count() {
        1..=MAX_MESSAGE => Ok(text.to_owned()),
        _ => Err(format!("must have 1 to {MAX_MESSAGE} characters")),
    });
    let shadow = reader.shadow(&mut table);
    let rule = table.rule();
    table.finish();
    When { tools, conditions, message: message.map(|at| at.value), shadow, rule }
}

fn condition(
    name: &At<&str>,
    mut table: Table<'_>,
    tools: &[Pattern],
    reader: &mut Reader<'_>,
) -> Option<Condition> {
    let pointer =
        table.check("arguments", At { value: name.value, span: name.span.clone() }, |text| {
            Pointer::parse(text).map_err(|why| match why {
                BadPointer::Form => {
                    "must name a value by a JSON pointer, like \"/priority\"".into()
                }
                BadPointer::TooLong => why.to_string(),
            })
        });
    if name.value.ends_with('/') {
        let message = format!("`{}` is about a member whose name is empty", visible(name.value));
        let help = format!("perhaps `{}`", visible(name.value.trim_end_matches('/')));
        table.report().warning(Code::Unmatched, name.span.clone(), message, help);
    }
    literals::check_pointer(table.report(), name);
    let before = table.report().errors();
    let tests = asked(&mut table);
    let is_optional = table.flag("optional");
    if tests.contains(&Test::Absent) && (tests.len() > 1 || is_optional) {
        let message = "`absent` says all, and leaves nothing to ask".to_owned();
        table.report().error(
            Code::Condition,
            name.span.clone(),
            message,
            "remove `absent`, or the others",
        );
    }
    check_ranges(&tests, name, &table);
    warn_of_loose(&tests, name, &table);
    if let Some(pointer) = &pointer {
        let may_lack = is_optional || tests.contains(&Test::Absent);
        let (report, schemas) = (table.report(), reader.schemas(tools));
        restrictions::check_argument(report, name, &pointer.value, &schemas, may_lack);
    }
    let shadow = reader.shadow(&mut table);
    let (rule, report) = (table.rule(), table.report());
    table.finish();
    // What was meant to ask something and could not be read has been told.
    if tests.is_empty() && report.errors() == before {
        let message = format!("nothing is asked of `{}`", name.value);
        let help = "add one of equals, in, max, …";
        report.error(Code::Condition, name.span.clone(), message, help);
    }
    Some(Condition { pointer: pointer?.value, tests, is_optional, shadow, rule })
}

fn asked(table: &mut Table<'_>) -> Vec<Test> {
    let mut tests = Vec::new();
    if table.flag("absent") {
        tests.push(Test::Absent);
    }
    if table.flag("equals_organization") {
        tests.push(Test::EqualsOrganization);
    }
    if table.flag("equals_user") {
        tests.push(Test::EqualsUser);
    }
    tests.extend(table.value("equals").and_then(|v| literal(table, "equals", v)).map(Test::Equals));
    tests.extend(literals(table, "in").map(Test::In));
    tests.extend(literals(table, "not_in").map(Test::NotIn));
    tests.extend(number(table, "min").map(|(number, text)| Test::Min(number, text)));
    tests.extend(number(table, "max").map(|(number, text)| Test::Max(number, text)));
    tests.extend(table.integer("max_length", 0..=usize::MAX >> 1).map(Test::MaxLength));
    tests.extend(table.integer("max_items", 0..=usize::MAX >> 1).map(Test::MaxItems));
    let built = |test: Result<Test, BadTest>| test.map_err(|BadTest(why)| why);
    tests.extend(table.parsed("glob", |text| built(Test::glob(text))).map(|at| at.value));
    tests.extend(table.parsed("regex", |text| built(Test::regex(text))).map(|at| at.value));
    if table.value("url").is_some() {
        tests.extend(url(table.table("url")).map(Test::Url));
    }
    tests
}

/// `url = { scheme = "https", host = ["*.example.com"], path = "/v1/**" }`.
fn url(mut table: Table<'_>) -> Option<UrlTest> {
    let schemes = table.one_or_more("scheme");
    let hosts = table.one_or_more("host");
    let path = table.string("path").map_or("/**", |at| at.value);
    let span = table.span();
    let test = if hosts.is_empty() {
        Err(BadTest("needs a host, like \"*.example.com\"".to_owned()))
    } else {
        let hosts: Vec<&str> = hosts.iter().map(|at| at.value).collect();
        let mut schemes: Vec<&str> = schemes.iter().map(|at| at.value).collect();
        if schemes.is_empty() {
            schemes.push("https");
        }
        UrlTest::new(&schemes, &hosts, path)
    };
    let report = table.report();
    table.finish();
    test.map_err(|BadTest(why)| {
        let help = "like { scheme = \"https\", host = [\"*.example.com\"], path = \"/v1/**\" }";
        report.error(Code::Condition, span, format!("`url` {why}"), help);
    })
    .ok()
}

/// Reports what can never hold: the call would be refused for ever, and nobody told why.
fn check_ranges(tests: &[Test], name: &At<&str>, table: &Table<'_>) {
    let literals = tests.iter().flat_map(|test| match test {
        Test::Equals(literal) => std::slice::from_ref(literal),
        Test::In(literals) => literals,
        _ => &[],
    });
    for literal in literals.filter(|literal| literal.is_between_doubles()) {
        let message = format!("no value is certainly equal to {literal}");
        let help = "readers round it to another number; let the tool take it as a text";
        table.report().error(Code::Condition, name.span.clone(), message, help);
    }
    let impossible = |message: String, help: &str| {
        table.report().error(Code::Condition, name.span.clone(), message, help);
    };
    if let Some((one, other)) = argument::contradiction(tests) {
        impossible(format!("no value is {one} and {other}"), "they ask for values of two kinds");
        return;
    }
    let (least, most) = range(tests);
    if let (Some((least, least_text)), Some((most, most_text))) = (least, most)
        && least > most
    {
        let message = format!("no number is at least {least_text} and at most {most_text}");
        impossible(message, "swap `min` and `max`");
        return;
    }
    let (named, refused) = argument::literals(tests);
    let first = refused.first().filter(|literal| !literal.is_between_doubles());
    if let Some(first) = first {
        let help = "of these tests all must hold; take one out";
        match named.len() == refused.len() {
            true => impossible(format!("no value passes: {first} fails another test"), help),
            false => table.report().warning(
                Code::Nothing,
                name.span.clone(),
                format!("{first} never passes: it fails another test"),
                help,
            ),
        }
    }
}

type Bound<'t> = Option<(&'t Decimal, &'t str)>;

/// The numbers of `min` and `max`.
fn range(tests: &[Test]) -> (Bound<'_>, Bound<'_>) {
    let least = tests.iter().find_map(|test| match test {
        Test::Min(number, text) => Some((number, text.as_str())),
        _ => None,
    });
    let most = tests.iter().find_map(|test| match test {
        Test::Max(number, text) => Some((number, text.as_str())),
        _ => None,
    });
    (least, most)
}

/// Conditions that are legal, and for which there is a better one.
fn warn_of_loose(tests: &[Test], name: &At<&str>, table: &Table<'_>) {
    let warn = |message: String, help: &str| {
        table.report().warning(Code::Loose, name.span.clone(), message, help);
    };
    match range(tests) {
        (None, Some(_)) => warn(
            "`max` without `min`: -1 passes, which means all to many tools".to_owned(),
            "add `min`",
        ),
        (Some((_, least)), None) => warn(
            format!(
                "`min` without `max`: at least {least}, and at most 2147483647 unless `max` is larger"
            ),
            "add `max`; numbers beyond 32 bits are refused without it, since servers may wrap them",
        ),
        _ => {}
    }
    for test in tests {
        match test {
            Test::Glob(_) | Test::Regex { .. } if asks_nothing(test) => table.report().warning(
                Code::Nothing,
                name.span.clone(),
                "every text fulfils this: it asks only that there is one".to_owned(),
                "say which texts may be",
            ),
            Test::NotIn(words) if words.iter().any(|w| matches!(w, Literal::Text(_))) => warn(
                "`not_in` guesses what servers take for these words".to_owned(),
                "write `in` with the words that may be",
            ),
            Test::Glob(glob) if glob.is_of_urls() => warn(
                "a glob of URLs reaches no query".to_owned(),
                "write url = { scheme = \"https\", host = [\"*.example.com\"], path = \"/**\" }",
            ),
            Test::Equals(literal) if literal.is_parsed() => warn_of_parsed(&warn, literal),
            Test::In(literals) => {
                let mut parsed = literals.iter().filter(|literal| literal.is_parsed());
                parsed.by_ref().take(1).for_each(|literal| warn_of_parsed(&warn, literal));
            }
            _ => {}
        }
    }
}

/// True for a glob or an expression that every text fulfils.
fn asks_nothing(test: &Test) -> bool {
    match test {
        Test::Glob(glob) => ["*", "**"].contains(&glob.text()),
        Test::Regex { text, .. } => {
            [".*", ".+", "^.*$", "^.*", ".*$", "(?s).*", "(?s:.*)"].contains(&text.as_str())
        }
        _ => false,
    }
}

fn warn_of_parsed(warn: &impl Fn(String, &str), literal: &Literal) {
    warn(
        format!("some servers take {literal} for something that is no text"),
        "make sure that this one does not, or leave it out",
    );
}

fn literals(table: &mut Table<'_>, key: &'static str) -> Option<Vec<Literal>> {
    let value = table.value(key)?;
    let Some(array) = value.get_ref().as_array().filter(|array: &&DeArray<'_>| !array.is_empty())
    else {
        match value.get_ref().is_array() {
            true => {
                let message = format!("`{key}` is empty");
                let help = "name the values, or leave it out";
                table.report().error(Code::Condition, value.span(), message, help);
            }
            false => table.wrong_kind(key, value, "an array"),
        }
        return None;
    };
    Some(array.iter().filter_map(|item| literal(table, key, item)).collect())
}

fn literal(table: &Table<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Literal> {
    let inner = value.get_ref();
    if let Some(text) = inner.as_str() {
        literals::check_value(table.report(), key, &At { value: text, span: value.span() });
        return Some(Literal::Text(text.to_owned()));
    }
    if let Some(flag) = inner.as_bool() {
        return Some(Literal::Bool(flag));
    }
    let number = values::number(inner).map(|(number, text)| Literal::Number(number, text));
    if number.is_none() {
        table.wrong_kind(key, value, "a string, a number or a boolean");
    }
    number
}

fn number(table: &mut Table<'_>, key: &'static str) -> Option<(Decimal, String)> {
    let value = table.value(key)?;
    let number = values::number(value.get_ref());
    if number.is_none() {
        table.wrong_kind(key, value, "a number");
    }
    number
}

impl Reader<'_> {
    /// `mode = "shadow"` with its `until`: the rule is only tried out.
    pub(super) fn shadow(&mut self, table: &mut Table<'_>) -> Option<Shadow> {
        let mode = table.parsed("mode", |text| match text {
            "enforce" => Ok(false),
            "shadow" => Ok(true),
            _ => Err("must be \"enforce\" or \"shadow\"".to_owned()),
        });
        let until = super::policy::moment(table, "until");
        let is_shadow = mode.as_ref().is_some_and(|at| at.value);
        match (is_shadow, until, mode) {
            (true, Some(until), _) => {
                let shadow = Shadow { until };
                if until <= self.now {
                    let span = table.value("until").map_or_else(|| table.span(), |at| at.span());
                    let message =
                        format!("the trial is over since {}: the rule is in force", date(until));
                    let help = "remove `mode` and `until`, or choose a later end";
                    table.report().warning(Code::Over, span, message, help);
                }
                self.shadows.push((table.rule(), shadow));
                Some(shadow)
            }
            (true, None, Some(mode)) => {
                let message = "a rule that is only tried out needs an end".to_owned();
                table.report().error(Code::Shadow, mode.span, message, "add until = 2027-06-30");
                None
            }
            (false, Some(_), _) => {
                let message = "`until` means nothing without mode = \"shadow\"".to_owned();
                table.report().error(
                    Code::Shadow,
                    table.span(),
                    message,
                    "add it, or remove `until`",
                );
                None
            }
            _ => None,
        }
    }
}
