//! `[[roles.NAME.when]]` and `[tools."upstream/tool"]`: conditions on arguments.

mod doubts;
mod pointers;

pub(super) use self::doubts::impossible;

use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::code::Code;
use super::literals;
use super::policy::Reader;
use super::read::{At, Table};
use super::restrictions::{self, Whose};
use super::values::{self, date};
use crate::core::argument::{
    BadPointer, BadTest, Condition, Literal, Pointer, Shadow, Test, UrlTest, When,
};
use crate::core::decimal::Decimal;
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
    let asked = reader.asked.len();
    for mut table in role.tables("when") {
        let texts = table.strings("tools");
        let told = ("`tools` is missing, so no call is meant", "add tools = [\"upstream/tool\"]");
        table.lack(&["tools"], Code::Missing, table.span(), told);
        let tools = reader.tools(&table, "tools", texts, Whose::Role(allow));
        whens.push(when(table, tools, reader));
    }
    reader.asked.check(role.report(), asked);
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
    reader.asked.check(file.report(), 0);
    reader.asked.are_of_all();
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
    doubts::check_ranges(&tests, name, &table);
    // What could not be read may be what is missed.
    let is_mistyped = ["min", "max"].iter().any(|key| table.has_like(key));
    if table.report().errors() == before && !is_mistyped {
        doubts::warn_of_loose(&tests, name, &table);
    }
    if let Some(pointer) = &pointer {
        let may_lack = is_optional || tests.contains(&Test::Absent);
        let (report, schemas) = (table.report(), reader.schemas(tools));
        match schemas.is_empty() {
            true => pointers::check_spelling(report, name),
            false => pointers::check_kinds(report, name, &pointer.value, &schemas, &tests),
        }
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
    let condition = Condition { pointer: pointer?.value, tests, is_optional, shadow, rule };
    reader.asked.push(name.span.clone(), tools, &condition);
    Some(condition)
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
    let told = ("`url` needs a host, like \"*.example.com\"", "");
    table.lack(&["host"], Code::Condition, span.clone(), told);
    let test = if hosts.is_empty() {
        table.finish();
        return None;
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
    if number.is_none() && value.get_ref().is_float() {
        let message = format!("`{key}` must be a number, and JSON has no nan and inf");
        table.report().error(Code::BadValue, value.span(), message, "");
    } else if number.is_none() {
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
                let told = ("a rule that is only tried out needs an end", "add until = 2027-06-30");
                table.lack(&["until"], Code::Shadow, mode.span, told);
                None
            }
            (false, Some(_), mode) => {
                let message = "`until` means nothing without mode = \"shadow\"".to_owned();
                let (span, help) = (table.span(), "add it, or remove `until`");
                match mode {
                    Some(_) => table.report().error(Code::Shadow, span, message, help),
                    None => table.lack(&["mode"], Code::Shadow, span, (message, help)),
                }
                None
            }
            _ => None,
        }
    }
}
