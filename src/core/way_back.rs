//! The way back: what a caller is handed out has to fit into a later request.
//!
//! An id, a name or a cursor that an upstream makes up comes back in the head or in the body of a
//! request, and both have a limit. One that would not fit is of no use to anybody: its caller
//! would be told that a head or a body is too large, over and over.

use std::fmt;

use super::limits::Limits;
use super::permission::TargetKind;
use super::revision::{Era, encode_sentinel};

/// What a later head has more than that of the request which is answered, in bytes: the name of a
/// header, a token that was renewed, the revision that was agreed on.
const HEAD_MARGIN: usize = 256;

/// What stands around an id in a body, in bytes; at most half of `limits.request_body`.
const BODY_MARGIN: usize = 4 << 10;

/// The room in a later request of a caller for what is handed out now.
#[derive(Clone, Copy, Debug)]
pub struct WayBack {
    /// Bytes in a header.
    head: usize,
    /// Bytes in the body.
    body: usize,
    era: Era,
}

impl WayBack {
    /// The room of a caller of this era whose head has `head` bytes.
    #[must_use]
    pub fn new(limits: &Limits, head: usize, era: Era) -> Self {
        let margin = BODY_MARGIN.min(limits.request_body / 2);
        Self {
            head: limits.headers.saturating_sub(head).saturating_sub(HEAD_MARGIN),
            body: limits.request_body.saturating_sub(margin),
            era,
        }
    }

    /// Room for everything.
    #[cfg(test)]
    pub(super) fn boundless() -> Self {
        Self { head: usize::MAX, body: usize::MAX, era: Era::Modern }
    }

    /// Bytes that the value of a header may have.
    #[must_use]
    pub fn header_room(&self) -> usize {
        self.head
    }

    /// Lets the id of a session pass that can come back.
    ///
    /// # Errors
    /// [`TooLong`] where it cannot.
    pub fn session(&self, id: &str) -> Result<(), TooLong> {
        self.in_head(Handed::Session, id)
    }

    /// Lets the id of a task pass that can come back.
    ///
    /// # Errors
    /// [`TooLong`] where it cannot.
    pub fn task(&self, id: &str) -> Result<(), TooLong> {
        if self.era == Era::Modern {
            self.in_head(Handed::Task, &encode_sentinel(id))?;
        }
        self.in_body(Handed::Task, id)
    }

    /// Lets the cursor of a further page pass that can come back.
    ///
    /// # Errors
    /// [`TooLong`] where it cannot.
    pub fn cursor(&self, cursor: &str) -> Result<(), TooLong> {
        self.in_body(Handed::Cursor, cursor)
    }

    /// True where a request about something of this name can come. In the modern era a header
    /// repeats it (MCP 2026-07-28, "Standard Request Headers").
    #[must_use]
    pub fn takes_name(&self, kind: TargetKind, name: &str) -> bool {
        let in_head = match (self.era, kind) {
            (Era::Legacy, _) | (_, TargetKind::Template) => true,
            (Era::Modern, _) => encode_sentinel(name).len() <= self.head,
        };
        in_head && self.takes_text(name)
    }

    fn in_head(&self, what: Handed, value: &str) -> Result<(), TooLong> {
        let (length, room) = (value.len(), self.head);
        let limit = "limits.headers";
        if length <= room { Ok(()) } else { Err(TooLong { what, length, limit, room }) }
    }

    fn in_body(&self, what: Handed, text: &str) -> Result<(), TooLong> {
        let (length, room) = (text.len(), self.body);
        let limit = "limits.request_body";
        if self.takes_text(text) { Ok(()) } else { Err(TooLong { what, length, limit, room }) }
    }

    /// True where this text can come back in a body, however a client spells it.
    fn takes_text(&self, text: &str) -> bool {
        // Nearly always the first half says yes.
        let longest = text.len().saturating_mul(LONGEST_ESCAPE).saturating_add(2);
        longest <= self.body || spelled(text) <= self.body
    }
}

/// A thing that is handed out to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handed {
    /// The cursor of a page of a list.
    Cursor,
    /// The id of a session.
    Session,
    /// The id of a task.
    Task,
}

/// Something that would not fit into a later request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong {
    /// A thing of this kind.
    pub what: Handed,
    /// Its length as it would be handed out, in bytes.
    pub length: usize,
    /// The limit of requests that it would go beyond.
    pub limit: &'static str,
    /// What that limit leaves for it, in bytes.
    pub room: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, length, limit, room } = self;
        let what = match what {
            Handed::Cursor => "cursor",
            Handed::Session => "session id",
            Handed::Task => "task id",
        };
        write!(
            f,
            "its {what} would have {length} bytes, and {limit} leaves room for {room} in the \
             requests that bring it back"
        )
    }
}

/// `\u0000` for a control character.
const LONGEST_ESCAPE: usize = 6;

/// The length of the JSON string for this text where everything is escaped that some clients
/// escape (RFC 8259 7; `ensure_ascii` of Python).
fn spelled(text: &str) -> usize {
    let length = |c: char| match c {
        '"' | '\\' | '/' => 2,
        ' '..='~' => 1,
        c if u32::from(c) < 0x1_0000 => LONGEST_ESCAPE,
        _ => 2 * LONGEST_ESCAPE,
    };
    2 + text.chars().map(length).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limits(headers: usize, request_body: usize) -> Limits {
        let second = Duration::from_secs(1);
        Limits {
            request_body,
            listing: 1,
            buffers: 1,
            list_ttl: second,
            json_depth: 8,
            headers,
            connections: 1,
            in_flight: 1,
            streams: 1,
            head_timeout: second,
            body_timeout: second,
            write_timeout: second,
        }
    }

    /// The longest text of these characters that passes.
    fn longest(passes: impl Fn(&str) -> bool, c: char) -> usize {
        (0..20_000).take_while(|&n| passes(&String::from_iter(vec![c; n]))).count() - 1
    }

    #[test]
    fn what_comes_back_fits_into_head_and_body() {
        let limits = limits(4_096, 16 << 10);
        let [legacy, modern] =
            [Era::Legacy, Era::Modern].map(|era| WayBack::new(&limits, 1_000, era));
        assert_eq!(longest(|id| legacy.session(id).is_ok(), 'x'), 4_096 - 1_000 - HEAD_MARGIN);
        assert_eq!(longest(|text| legacy.takes_text(text), 'x'), (12 << 10) - 2);
        assert_eq!(longest(|text| legacy.takes_text(text), 'é'), ((12 << 10) - 2) / 6);
        assert_eq!(longest(|id| legacy.task(id).is_ok(), 'x'), (12 << 10) - 2);
        assert_eq!(longest(|id| modern.task(id).is_ok(), 'x'), 4_096 - 1_000 - HEAD_MARGIN);
        for kind in [TargetKind::Prompt, TargetKind::Resource, TargetKind::Tool] {
            assert_eq!(longest(|name| legacy.takes_name(kind, name), 'x'), (12 << 10) - 2);
            assert_eq!(longest(|name| modern.takes_name(kind, name), 'x'), 2_840);
            // In Base64, and with what marks it.
            let most = (2_840 - "=?base64??=".len()) / 4 * 3 / 2;
            assert_eq!(longest(|name| modern.takes_name(kind, name), 'é'), most);
        }
        assert_eq!(
            longest(|uri| modern.takes_name(TargetKind::Template, uri), 'x'),
            (12 << 10) - 2
        );
    }

    #[test]
    fn a_head_that_is_full_leaves_no_room_and_a_small_limit_leaves_some() {
        let full = WayBack::new(&limits(4_096, 100), 4_000, Era::Legacy);
        assert!(full.session("x").is_err() && full.session("").is_ok());
        assert!(full.takes_text(&"x".repeat(48)) && !full.takes_text(&"x".repeat(49)));
    }

    proptest! {
        #[test]
        fn what_is_taken_for_shorter_is_never_longer_when_spelled(text in "\\PC{0,40}|[\\x00-\\x1f]{0,9}") {
            let plain = serde_json::Value::from(&*text).to_string();
            let ascii: usize = plain
                .chars()
                .map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() })
                .sum();
            prop_assert!(plain.len() <= spelled(&text) && ascii <= spelled(&text), "{text:?}");
        }
    }
}
