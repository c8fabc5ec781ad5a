//! `[identity]`: what upstreams are told about the caller, and how they can be sure of it.

use http::HeaderName;

use super::code::Code;
use super::files::Files;
use super::read::{At, Table};
use super::values::{self, Durations};
use crate::core::assertion::AssertionKey;

/// Headers that upstreams get, and callers can never set.
pub(super) struct Identity {
    pub(super) user_header: HeaderName,
    pub(super) organization_header: HeaderName,
    pub(super) assertion: Option<Assertion>,
}

/// A signed statement that a request was permitted.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The header that carries it.
    pub header: HeaderName,
    /// What it is signed with.
    pub key: AssertionKey,
    /// Keys that are no longer signed with, and still shown.
    pub retired: Vec<AssertionKey>,
    /// How long it is good for, in seconds.
    pub lifetime: i64,
}

impl Identity {
    /// Whether this header is one of them.
    pub(super) fn uses(&self, header: &HeaderName) -> bool {
        let assertion = self.assertion.as_ref().map(|assertion| &assertion.header);
        [Some(&self.user_header), Some(&self.organization_header), assertion]
            .contains(&Some(header))
    }
}

pub(super) fn read(mut table: Table<'_>, files: &Files) -> Identity {
    let user = table.parsed("user_header", values::header_name);
    let organization = table.parsed("organization_header", values::header_name);
    let span = organization.as_ref().map_or_else(|| table.span(), |at| at.span.clone());
    let user_header = user.map_or(HeaderName::from_static("x-user-id"), |at| at.value);
    let default = HeaderName::from_static("x-organization-id");
    let organization_header = organization.map_or(default, |at| at.value);
    if user_header == organization_header {
        let message = "user and organization need headers of their own".to_owned();
        table.report().error(Code::Conflict, span, message, "choose another name");
    }
    let mut identity = Identity { user_header, organization_header, assertion: None };
    identity.assertion = assertion(table.table("assertion"), &identity, files);
    table.finish();
    identity
}

fn assertion(mut table: Table<'_>, identity: &Identity, files: &Files) -> Option<Assertion> {
    if !table.exists() {
        return None;
    }
    let header = table.parsed("header", values::header_name);
    let span = header.as_ref().map_or_else(|| table.span(), |at| at.span.clone());
    let default = HeaderName::from_static("x-doorward-assertion");
    let header = header.map_or(default, |at| at.value);
    if identity.uses(&header) {
        let message = format!("the assertion needs a header of its own, and not {header}");
        table.report().error(Code::Conflict, span, message, "choose another `header`");
    }
    let key = table.required_string("key_file");
    let key = key.and_then(|text| assertion_key(&table, "key_file", text, files));
    let retired = table.strings("retired_key_files").into_iter();
    let retired = retired
        .filter_map(|text| assertion_key(&table, "retired_key_files", text, files))
        .collect();
    let lifetime = table.parsed("ttl", lifetime).map_or(60, |at| at.value);
    table.finish();
    Some(Assertion { header, key: key?, retired, lifetime })
}

fn assertion_key(
    table: &Table<'_>,
    key: &str,
    text: At<&str>,
    files: &Files,
) -> Option<AssertionKey> {
    let parse =
        |name: &str| AssertionKey::parse(&files.read(name)?).map_err(|error| error.to_string());
    table.check(key, text, parse).map(|at| at.value)
}

/// Long enough for clocks that differ, short enough to be worth little to whoever finds one.
fn lifetime(text: &str) -> Result<i64, String> {
    let lifetime = Durations("1s", "10m").read(text)?;
    Ok(i64::try_from(lifetime.as_secs()).unwrap_or(1))
}
