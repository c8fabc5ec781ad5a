//! What a record says. The names of its fields live here.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::core::argument::shown::{self, Wanted};
use crate::core::harmless::{harmless, visible};
use crate::core::message::Message;

/// Longest text from a caller in a record, in characters.
const MAX_TEXT: usize = 256;

/// Longest arguments in a record, in bytes.
const MAX_VALUES: usize = 16 << 10;

/// One request and what became of it. `None` is written as null: it is not known.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// Version of this schema.
    pub v: u8,
    /// When the request's head had been read; RFC 3339, UTC.
    #[serde(serialize_with = "to_milliseconds")]
    pub time: jiff::Timestamp,
    /// Sets audit records apart from log lines.
    pub kind: &'static str,
    /// The id that the caller got as `X-Request-Id`.
    pub request_id: &'a str,
    /// What the identity was proved with: `token`, `mtls` or `jwt`.
    pub auth: Option<&'static str>,
    /// Who called.
    pub user: Option<&'a str>,
    /// The caller's organization.
    pub organization: Option<&'a str>,
    /// The name of the token that proved it, or of the expired or revoked one that did not.
    pub token: Option<&'a str>,
    /// The name of the issuer of the JWT that proved it, or that one says to be of that proved
    /// nothing.
    pub issuer: Option<&'a str>,
    /// The names of the caller's roles.
    pub roles: Vec<&'a str>,
    /// The address of the TCP peer.
    pub client_ip: Option<IpAddr>,
    /// Where the request was meant to go.
    pub upstream: Option<&'a str>,
    /// JSON-RPC method; `GET` or `DELETE` where there is none; as the caller sent it, shortened.
    pub method: Option<&'a str>,
    /// The tool that a call names; as the caller sent it, shortened.
    pub tool: Option<&'a str>,
    /// The prompt or resource that the request names; as the caller sent it, shortened.
    pub target: Option<&'a str>,
    /// The arguments of a call, as far as the configuration wants them.
    pub args: Option<Args>,
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// Whether the decision counted; false where a rule is only tried out, and the request passed.
    pub enforced: bool,
    /// Why; operators alert on these words.
    pub reason: &'static str,
    /// The rule of the configuration that decided, where one did.
    pub rule: Option<&'a str>,
    /// `file:line` of the rule.
    pub place: Option<&'a str>,
    /// More about the reason.
    pub detail: Option<String>,
    /// How it ended, in the words of the metrics.
    pub outcome: &'static str,
    /// HTTP status that the caller got; null where the connection ended before.
    pub status: Option<u16>,
    /// From the request's head to the end of the answer.
    pub duration_ms: f64,
    /// Length of the request body.
    pub bytes_in: usize,
    /// Length of the answer's body.
    pub bytes_out: usize,
    /// The revision of the configuration that decided.
    pub config: &'a str,
}

/// The arguments of a call.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Args {
    /// What they are, without what looks like a secret.
    Full {
        /// JSON on one line.
        values: Box<RawValue>,
    },
    /// How they are called.
    Keys {
        /// JSON pointers.
        keys: Vec<String>,
    },
}

impl Args {
    /// The arguments of a call as far as `wanted` goes; their names where they are too long.
    #[must_use]
    pub fn of(message: &Message<'_>, wanted: &Wanted) -> Option<Self> {
        let arguments = message.arguments()?;
        let keys = || Some(Self::Keys { keys: shown::keys(message.argument_names()) });
        match wanted {
            Wanted::None => None,
            Wanted::Keys => keys(),
            Wanted::Full { redact } => {
                let values = shown::values(arguments, redact)
                    .map(|text| harmless(&text).into_owned())
                    .filter(|text| text.len() <= MAX_VALUES)
                    .and_then(|text| RawValue::from_string(text).ok());
                values.map(|values| Self::Full { values }).or_else(keys)
            }
        }
    }
}

/// Something else than a request.
#[derive(Clone, Debug, Serialize)]
pub struct Note<'a> {
    v: u8,
    #[serde(serialize_with = "to_milliseconds")]
    time: jiff::Timestamp,
    kind: &'static str,
    version: &'static str,
    config: &'a str,
    /// Of a start: the digest of the line before, where records go to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<&'a str>,
    /// How many records are not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

impl<'a> Note<'a> {
    /// What happened (`hold`, `reload`, `rotate`, `stop`, `truncate`), and the configuration that is in use.
    #[must_use]
    pub fn new(kind: &'static str, config: &'a str) -> Self {
        let (version, time) = (env!("CARGO_PKG_VERSION"), jiff::Timestamp::now());
        Self { v: 1, time, kind, version, config, follows: None, lost: None }
    }

    /// The beginning of a process, behind the line with the digest `follows`.
    pub(super) fn start(config: &'a str, follows: Option<&'a str>) -> Self {
        Self { follows, ..Self::new("start", config) }
    }

    /// So many records could not be written before this one.
    pub(super) fn lost(count: u64) -> Self {
        Self { lost: Some(count), ..Self::new("lost", "") }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Shortens what a caller sent to what a record may hold.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT { text.to_owned() } else { text.chars().take(MAX_TEXT).collect() }
}

pub(super) fn to_milliseconds<S: Serializer>(
    time: &jiff::Timestamp,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

impl Record<'_> {
    /// Whether it cost its caller nothing: nobody known was calling, or the gateway had no place
    /// for the record of a call.
    pub(super) fn is_cheap(&self) -> bool {
        self.user.is_none() || self.reason == "audit_unavailable"
    }

    /// Whether nothing was done for it, so that its record may be summed where there is no place.
    pub(super) fn is_refused(&self) -> bool {
        self.decision == "deny" && self.enforced
    }

    /// As JSON.
    pub(super) fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(1536);
        // A vector takes everything, and a record has nothing that JSON could not say.
        let _ = serde_json::to_writer(&mut json, self);
        String::from_utf8(json).unwrap_or_default()
    }

    /// For a terminal. What a caller sent is escaped, so that it cannot move the cursor.
    pub(super) fn to_text(&self) -> String {
        let who = self.user.unwrap_or("-");
        let what = [self.upstream, self.method, self.tool, self.target];
        let what: Vec<&str> = what.into_iter().flatten().collect();
        let status = self.status.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let text = format!(
            "{:.3} {}{} {who} {} {} ({}) {status} {:.1} ms {}",
            self.time,
            self.decision,
            if self.enforced { "" } else { " (not enforced)" },
            what.join(" "),
            self.outcome,
            self.reason,
            self.duration_ms,
            self.request_id,
        );
        visible(&text)
    }
}
