//! `[audit]`: where records go, and what is in them.

use std::path::PathBuf;

use super::code::Code;
use super::files::Files;
use super::read::{At, Table};
use crate::core::argument::shown::Wanted;
use crate::core::harmless::visible;

/// What becomes of audit records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditSpec {
    /// Where they go.
    pub to: AuditTo,
    /// What happens to calls where they cannot be written.
    pub on_failure: OnFailure,
    /// What they hold of the arguments of calls.
    pub arguments: Wanted,
}

/// Where audit records go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuditTo {
    /// To the end of a file.
    File(PathBuf),
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
}

/// What happens to calls whose records cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// They are made, and the lost records are counted.
    Count,
    /// They are not made.
    Deny,
}

/// Parts of names under which arguments are not recorded, unless the configuration says which.
const REDACTED: [&str; 6] = ["api_key", "apikey", "authorization", "password", "secret", "token"];

pub(super) fn read(mut table: Table<'_>, files: &Files) -> AuditSpec {
    let to = table.parsed("to", |text| match text {
        "file" | "off" | "stdout" => Ok(text.to_owned()),
        _ => Err("must be \"stdout\", \"file\" or \"off\"".to_owned()),
    });
    let file = table.string("file");
    if let Some(at) = &file
        && at.value.ends_with('/')
    {
        let message = "`file` names no file, but a folder".to_owned();
        let help = "name a file in it, like records/audit.jsonl";
        table.report().error(Code::BadValue, at.span.clone(), message, help);
    }
    let place = match (to.as_ref().map(|at| at.value.as_str()), file) {
        (Some("off"), _) => AuditTo::Off,
        (Some("file"), Some(file)) => AuditTo::File(files.path(file.value)),
        (Some("file"), None) => {
            let told = ("`file` is missing in [audit]", "add file = \"audit.jsonl\"");
            table.lack(&["file"], Code::Missing, table.span(), told);
            AuditTo::Stdout
        }
        (_, Some(file)) => {
            let message = "`file` means nothing without to = \"file\"".to_owned();
            let help = "add it, or remove `file`";
            match to {
                Some(_) => table.report().error(Code::Conflict, file.span, message, help),
                None => table.lack(&["to"], Code::Conflict, file.span, (message, help)),
            }
            AuditTo::Stdout
        }
        (_, None) => AuditTo::Stdout,
    };
    let on_failure = table.parsed("on_failure", |text| match text {
        "count" => Ok(OnFailure::Count),
        "deny" => Ok(OnFailure::Deny),
        _ => Err("must be \"deny\" or \"count\"".to_owned()),
    });
    let arguments = arguments(&mut table);
    if place == AuditTo::Off {
        for key in ["file", "on_failure", "arguments", "redact"] {
            if let Some(value) = table.value(key) {
                let message =
                    format!("`{key}` means nothing with to = \"off\": nothing is recorded");
                table.report().warning(Code::Useless, value.span(), message, "leave it out");
            }
        }
    }
    table.finish();
    AuditSpec {
        to: place,
        on_failure: on_failure.map_or(OnFailure::Deny, |at| at.value),
        arguments,
    }
}

fn arguments(table: &mut Table<'_>) -> Wanted {
    let words = table.strings("redact");
    if table.string("to").is_none_or(|at| at.value != "off") {
        check_words(table, &words);
    }
    let mut redact: Vec<String> = words.iter().map(|word| word.value.to_lowercase()).collect();
    if table.value("redact").is_none() {
        redact = REDACTED.map(str::to_owned).to_vec();
    }
    let wanted = table.parsed("arguments", |text| match text {
        "none" => Ok(Wanted::None),
        "keys" => Ok(Wanted::Keys),
        "full" => Ok(Wanted::Full { redact }),
        _ => Err("must be \"none\", \"keys\" or \"full\"".to_owned()),
    });
    wanted.map_or(Wanted::Keys, |at| at.value)
}

/// Warns of words that hide nothing, because no name has them in it, or none is recorded.
fn check_words(table: &mut Table<'_>, words: &[At<&str>]) {
    let is_full = table.string("arguments").is_some_and(|at| at.value == "full");
    if let Some(value) = table.value("redact").filter(|_| !is_full && !words.is_empty()) {
        let is_default = words.iter().map(|word| word.value).eq(REDACTED);
        if !is_default {
            let message = "`redact` means nothing without arguments = \"full\"".to_owned();
            let help = "other records hold no values of arguments";
            table.report().warning(Code::Useless, value.span(), message, help);
        }
    }
    let odd = ['*', '/', '^', '$', ' ', '.', '[', '(', '|'];
    for word in words.iter().filter(|word| word.value.contains(odd)) {
        let message = format!("`{}` is looked for in names as it stands", visible(word.value));
        let help = "write a part of the name, like \"password\"";
        table.report().warning(Code::Unmatched, word.span.clone(), message, help);
    }
    for word in words.iter().filter(|word| word.value.is_empty()) {
        let message = "an empty word is in every name: nothing would be recorded".to_owned();
        table.report().error(Code::BadValue, word.span.clone(), message, "remove it");
    }
}
