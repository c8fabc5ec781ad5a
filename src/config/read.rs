//! Reads TOML tables key by key and remembers everything that is wrong with them.
//!
//! Deserializing into structs stops at the first fault; an operator at night wants all of them.
//! Each getter notes that its key is known, reports a value of the wrong kind, and goes on with
//! the default; [`Table::finish`] reports the keys that nobody asked for.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::error::{Finding, Severity, Source};
use crate::core::pasted;
use crate::core::rule::Rule;
use crate::core::secret::is_name;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// Collects findings about one file, and knows its lines.
#[derive(Debug)]
pub(super) struct Report {
    file: usize,
    path: String,
    /// Where each line but the first begins.
    lines: Vec<usize>,
    findings: RefCell<Vec<Finding>>,
}

impl Report {
    /// About the file with this number; see [`Finding::file`].
    pub(super) fn on(file: usize, source: &Source) -> Self {
        let lines = source.text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { file, path: source.path.clone(), lines, findings: RefCell::default() }
    }

    /// Its number; see [`Finding::file`].
    pub(super) fn file(&self) -> usize {
        self.file
    }

    /// The line of the byte `at`, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at) + 1
    }

    fn rule(&self, name: String, span: &Range<usize>) -> Rule {
        Rule::new(name, &self.path, self.line(span.start))
    }

    pub(super) fn error(
        &self,
        code: Code,
        span: Range<usize>,
        message: String,
        help: impl Into<String>,
    ) {
        let (file, help) = (self.file, help.into());
        self.add(Finding { severity: Severity::Error, code, file, span, message, help });
    }

    pub(super) fn warning(
        &self,
        code: Code,
        span: Range<usize>,
        message: String,
        help: impl Into<String>,
    ) {
        let (file, help) = (self.file, help.into());
        self.add(Finding { severity: Severity::Warning, code, file, span, message, help });
    }

    fn add(&self, finding: Finding) {
        self.findings.borrow_mut().push(finding);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(|finding| finding.severity == Severity::Error)
    }

    /// How many errors there are, so far.
    pub(super) fn errors(&self) -> usize {
        let findings = self.findings.borrow();
        findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// The findings so far.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.borrow().clone()
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings.into_inner()
    }
}

/// One table of the file.
pub(super) struct Table<'t> {
    /// As it is written in brackets; empty for the whole file.
    name: String,
    span: Range<usize>,
    table: Option<&'t DeTable<'t>>,
    known: Vec<&'static str>,
    /// Keys that are needed and not there.
    needed: Vec<&'static str>,
    /// What else is needed and not there.
    missing: Vec<Missing>,
    report: &'t Report,
}

/// Something that is said only where nobody meant one of these keys by another name: a cause comes
/// before what follows from it.
struct Missing {
    keys: &'static [&'static str],
    code: Code,
    span: Range<usize>,
    message: String,
    help: String,
}

impl<'t> Table<'t> {
    pub(super) fn root(table: &'t DeTable<'t>, report: &'t Report) -> Self {
        Self {
            name: String::new(),
            span: 0..0,
            table: Some(table),
            known: Vec::new(),
            needed: Vec::new(),
            missing: Vec::new(),
            report,
        }
    }

    pub(super) fn report(&self) -> &'t Report {
        self.report
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The rule that this table is.
    pub(super) fn rule(&self) -> Rule {
        self.report.rule(self.name.clone(), &self.span)
    }

    /// The rule that stands here under `key`.
    pub(super) fn rule_at(&self, key: &str, span: &Range<usize>) -> Rule {
        self.report.rule(self.child_name(key), span)
    }

    /// Reports at the end that none of these keys is there, unless one that nobody knows is meant to
    /// be it. What is there and could not be read is not missing.
    pub(super) fn lack(
        &mut self,
        keys: &'static [&'static str],
        code: Code,
        span: Range<usize>,
        (message, help): (impl Into<String>, impl Into<String>),
    ) {
        for key in keys {
            if self.value(key).is_some_and(|value| !is_nothing(value.get_ref())) {
                return;
            }
        }
        let (message, help) = (message.into(), help.into());
        self.missing.push(Missing { keys, code, span, message, help });
    }

    /// Whether a key that nobody has asked for so far may be meant to be this one.
    pub(super) fn has_like(&self, key: &str) -> bool {
        let keys = self.table.into_iter().flatten().map(|(key, _)| key.get_ref().as_ref());
        let mut others = keys.filter(|name: &&str| !self.known.contains(name));
        others.any(|name| name != key && !did_you_mean(name, &[key]).is_empty())
    }

    /// The value of `key`, which is thereby a known one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table?.get(key)
    }

    pub(super) fn wrong_kind(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.report.error(
            Code::WrongType,
            value.span(),
            format!("`{key}` must be {wanted}, not {found}"),
            "",
        );
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<At<&'t str>> {
        let value = self.value(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(key, value, "a string in quotes");
            return None;
        };
        Some(At { value: text, span: value.span() })
    }

    /// Like [`Self::string`]; its absence is an error.
    pub(super) fn required_string(&mut self, key: &'static str) -> Option<At<&'t str>> {
        if self.table.is_some_and(|t| !t.contains_key(key)) {
            self.needed.push(key);
        }
        self.string(key)
    }

    /// A string put through `parse`, whose error text completes "`key` …".
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        if let Some(number) = value.get_ref().as_integer() {
            // The parser knows which unit is missing.
            let why = parse(number.as_str()).err();
            let why = why.unwrap_or_else(|| "must be a string in quotes".to_owned());
            self.report.error(Code::WrongType, value.span(), format!("`{key}` {why}"), "");
            return None;
        }
        let text = self.string(key)?;
        self.check(key, text, parse)
    }

    /// Puts a string that was read before through `parse`.
    pub(super) fn check<T>(
        &self,
        key: &str,
        text: At<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        match parse(text.value) {
            Ok(value) => Some(At { value, span: text.span }),
            Err(why) => {
                self.report.error(Code::BadValue, text.span, format!("`{key}` {why}"), "");
                None
            }
        }
    }

    /// An array of strings; empty where it is absent.
    pub(super) fn strings(&mut self, key: &'static str) -> Vec<At<&'t str>> {
        self.value(key).map_or_else(Vec::new, |value| self.texts(key, value))
    }

    /// A string, or an array of strings; empty where it is absent.
    pub(super) fn one_or_more(&mut self, key: &'static str) -> Vec<At<&'t str>> {
        match self.value(key) {
            None => Vec::new(),
            Some(value) => match value.get_ref().as_str() {
                Some(text) => vec![At { value: text, span: value.span() }],
                None => self.texts(key, value),
            },
        }
    }

    /// The strings of an array that stands under `key`.
    pub(super) fn texts(&self, key: &str, value: &'t Spanned<DeValue<'t>>) -> Vec<At<&'t str>> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_kind(key, value, "an array of strings");
            return Vec::new();
        };
        let text = |item: &'t Spanned<DeValue<'t>>| {
            let text = item.get_ref().as_str();
            if text.is_none() {
                self.wrong_kind(key, item, "an array of strings");
            }
            text.map(|value| At { value, span: item.span() })
        };
        array.iter().filter_map(text).collect()
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Option<usize> {
        let value = self.value(key)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|i| usize::from_str_radix(&i.as_str().replace('_', ""), i.radix()).ok());
        let number = number.filter(|n| range.contains(n));
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            self.report.error(
                Code::BadValue,
                value.span(),
                format!("`{key}` must be {wanted}"),
                "",
            );
        }
        number
    }

    /// A switch, which can only be on where it is written.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.value(key) else {
            return false;
        };
        let said = value.get_ref().as_bool();
        match said {
            Some(true) => {}
            Some(false) => {
                let message = format!("`{key}` is false, which means nothing");
                self.report.error(Code::WrongType, value.span(), message, "leave it out");
            }
            None => self.wrong_kind(key, value, "true, or left out"),
        }
        said == Some(true)
    }

    /// The tables of an array `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let items = value.get_ref().as_array();
        if items.is_none() {
            self.wrong_kind(key, value, "an array of tables");
        }
        let mut found = Vec::new();
        for (i, item) in items.into_iter().flat_map(|items| items.iter()).enumerate() {
            if !item.get_ref().is_table() {
                self.wrong_kind(key, item, "a table");
                continue;
            }
            found.push(Self {
                name: format!("{}[{i}]", self.child_name(key)),
                span: item.span(),
                table: item.get_ref().as_table(),
                known: Vec::new(),
                needed: Vec::new(),
                missing: Vec::new(),
                report: self.report,
            });
        }
        found
    }

    /// A table within this one; empty where it is absent.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let name = self.child_name(key);
        let (table, span) = match self.value(key) {
            None => (None, self.span()),
            Some(value) => {
                if !value.get_ref().is_table() {
                    self.wrong_kind(key, value, "a table");
                }
                (value.get_ref().as_table(), value.span())
            }
        };
        Self {
            name,
            span,
            table,
            known: Vec::new(),
            needed: Vec::new(),
            missing: Vec::new(),
            report: self.report,
        }
    }

    /// The entries of a table whose keys can be anything, in the order of the file.
    pub(super) fn entries(
        &mut self,
        key: &'static str,
    ) -> Vec<(At<&'t str>, &'t Spanned<DeValue<'t>>)> {
        let inner = self.table(key);
        let entries = inner.table.into_iter().flatten();
        let mut found: Vec<_> = entries
            .map(|(name, value)| (At { value: name.get_ref().as_ref(), span: name.span() }, value))
            .collect();
        found.sort_by_key(|(name, _)| name.span.start);
        found
    }

    /// A table that is the value of such an entry.
    pub(super) fn within(
        &self,
        key: &str,
        name: &At<&str>,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Self {
        Self {
            name: format!("{}.{}", self.child_name(key), pasted::key(name.value)),
            span: name.span.clone(),
            table: value.get_ref().as_table(),
            known: Vec::new(),
            needed: Vec::new(),
            missing: Vec::new(),
            report: self.report,
        }
    }

    /// Whether the file has this table at all.
    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// The tables `[key.NAME]` in the order of the file.
    pub(super) fn named_tables(&mut self, key: &'static str) -> Vec<(At<&'t str>, Self)> {
        let mut parent = self.table(key);
        let mut found = Vec::new();
        for (name, value) in parent.table.into_iter().flatten() {
            let at = At { value: name.get_ref().as_ref(), span: name.span() };
            if !is_name(at.value) {
                self.report.error(
                    Code::BadName,
                    at.span.clone(),
                    format!("`{}` is not a name", at.value),
                    "use 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
                );
            }
            let Some(table) = value.get_ref().as_table() else {
                parent.wrong_kind(at.value, value, "a table");
                continue;
            };
            let child = Self {
                name: parent.child_name(at.value),
                span: at.span.clone(),
                table: Some(table),
                known: Vec::new(),
                needed: Vec::new(),
                missing: Vec::new(),
                report: self.report,
            };
            found.push((at, child));
        }
        parent.table = None;
        found.sort_by_key(|(name, _)| name.span.start);
        found
    }

    fn child_name(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Reports every key that no getter asked for, and those that are missing, unless one of the
    /// former is meant to be it.
    pub(super) fn finish(self) {
        let keys = self.table.into_iter().flatten().map(|(key, _)| key.get_ref().as_ref());
        let unknown: Vec<&str> = keys.filter(|key: &&str| !self.known.contains(key)).collect();
        let is_mistyped = |key: &str| {
            unknown.iter().any(|name| did_you_mean(name, &self.known).contains(&format!("`{key}`")))
        };
        for lack in &self.missing {
            if !lack.keys.iter().any(|key| is_mistyped(key)) {
                let (span, message) = (lack.span.clone(), lack.message.clone());
                match lack.code.is_warning() {
                    true => self.report.warning(lack.code, span, message, lack.help.as_str()),
                    false => self.report.error(lack.code, span, message, lack.help.as_str()),
                }
            }
        }
        for key in self.needed.iter().filter(|key| !is_mistyped(key)) {
            self.report.error(
                Code::Missing,
                self.span.clone(),
                format!("`{key}` is missing in [{}]", self.name),
                format!("add `{key} = \"…\"`"),
            );
        }
        for (key, _) in self.table.into_iter().flatten() {
            let name: &str = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place =
                if self.name.is_empty() { "the file".into() } else { format!("[{}]", self.name) };
            self.report.error(
                Code::UnknownKey,
                key.span(),
                format!("unknown key `{}` in {place}", name),
                format!("{}known here: {}", did_you_mean(name, &self.known), self.known.join(", ")),
            );
        }
    }
}

/// True for a table or an array with nothing in it.
pub(super) fn is_nothing(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Array(items) => items.is_empty(),
        DeValue::Table(entries) => entries.is_empty(),
        _ => false,
    }
}

/// `did you mean …? ` where one of `known` is near enough.
pub fn did_you_mean<S: AsRef<str>>(name: &str, known: &[S]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(name, k.as_ref()), k.as_ref()))
        .filter(|(distance, k)| *distance <= 2.max(k.len() / 3))
        .min();
    near.map_or_else(String::new, |(_, k)| match pasted::offered(k) {
        word if word == k => format!("did you mean `{word}`? "),
        string => format!("did you mean {string}? "),
    })
}
