//! Cuts a byte stream into the events of an event stream (WHATWG HTML, "Server-sent events").
//!
//! The bytes of an event stay as they came; only the data of an event that had to be filtered is
//! written anew. Lines may end in LF, CRLF or CR, and chunks may be cut anywhere.

mod splitter;

use std::borrow::Cow;

pub use splitter::{Splitter, TooBig};

/// The lines of an event without their ends.
fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let event = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let bytes = rest.filter(|r| !r.is_empty())?;
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
        let (line, tail) = bytes.split_at(end);
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..));
        Some(line)
    })
}

fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data") {
        Some([]) => Some(&[]),
        Some([b':', b' ', value @ ..] | [b':', value @ ..]) => Some(value),
        _ => None,
    }
}

/// The event's data: its `data` lines joined by LF. Empty for comments and priming events.
#[must_use]
pub fn data(event: &[u8]) -> Cow<'_, [u8]> {
    let mut values = lines(event).filter_map(data_of);
    let first = values.next().unwrap_or_default();
    values.fold(Cow::Borrowed(first), |mut joined, value| {
        let all = joined.to_mut();
        all.push(b'\n');
        all.extend_from_slice(value);
        joined
    })
}

/// The part of an event that may stand beside a list: its data, an id, a time to wait, the name
/// that every message has. A comment stays as an empty one, which keeps a connection alive. `None`
/// where all of it may pass as it is; empty where nothing may.
///
/// Some readers end a line at other characters than LF and CR, and find a second field behind
/// them; so ids are ASCII without controls.
#[must_use]
pub fn only_defined(event: &[u8]) -> Option<Vec<u8>> {
    let is_whole = !event.starts_with(b"\xef\xbb\xbf");
    if is_whole && lines(event).all(|line| line.is_empty() || is_defined(line)) {
        return None;
    }
    let is_other = |line| matches!(field(line), (b"event", name) if !is_message_name(name));
    if lines(event).any(is_other) {
        return Some(Vec::new());
    }
    let mut out = Vec::with_capacity(event.len());
    for line in lines(event).filter(|line| !line.is_empty()) {
        match line.first() {
            Some(b':') => out.extend_from_slice(b":\n"),
            _ if is_defined(line) => out.extend([line, b"\n"].concat()),
            _ => {}
        }
    }
    if !out.is_empty() {
        out.push(b'\n');
    }
    Some(out)
}

/// The same event without an id of more than `most` bytes: the id before it holds on. `None` where
/// it has none.
#[must_use]
pub fn without_longer_id(event: &[u8], most: usize) -> Option<Vec<u8>> {
    let is_longer = |line: &[u8]| matches!(field(line), (b"id", id) if id.len() > most);
    if event.len() <= most || !lines(event).any(is_longer) {
        return None;
    }
    let mut out = Vec::with_capacity(event.len());
    for line in lines(event).filter(|line| !line.is_empty() && !is_longer(line)) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    Some(out)
}

/// The name of a field and its value.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        return (line, &[]);
    };
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

fn is_defined(line: &[u8]) -> bool {
    match field(line) {
        (b"", value) => value.is_empty() && line == b":",
        (b"data", _) => true,
        (b"event", name) => is_message_name(name),
        (b"id", id) => id.iter().all(|&b| b == b' ' || b.is_ascii_graphic()),
        (b"retry", time) => time.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_message_name(name: &[u8]) -> bool {
    name.is_empty() || name == b"message"
}

/// Whether clients of MCP read a message in the data of the event, by its name; the last one
/// counts.
#[must_use]
pub fn is_message(event: &[u8]) -> bool {
    let names = lines(event).filter_map(|line| match field(line) {
        (b"event", name) => Some(name),
        _ => None,
    });
    names.last().is_none_or(is_message_name)
}

/// Whether the event has an id, from which a stream can be taken up again.
#[must_use]
pub fn has_id(event: &[u8]) -> bool {
    lines(event).any(|line| matches!(field(line), (b"id", id) if !id.is_empty()))
}

/// Whether the event is the first one of the transport that Streamable HTTP took the place of
/// (MCP 2024-11-05, "HTTP with SSE").
#[must_use]
pub fn is_endpoint(event: &[u8]) -> bool {
    lines(event).any(|line| matches!(line, b"event: endpoint" | b"event:endpoint"))
}

/// The same event with other data: every other line stays, in its place.
#[must_use]
pub fn with_data(event: &[u8], text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.len());
    let mut written = false;
    for line in lines(event) {
        if data_of(line).is_none() {
            if !line.is_empty() {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        } else if !std::mem::replace(&mut written, true) {
            out.extend_from_slice(&data_lines(text));
        }
    }
    out.push(b'\n');
    out
}

/// An event that consists of data alone.
#[must_use]
pub fn event(text: &str) -> Vec<u8> {
    let mut out = data_lines(text);
    out.push(b'\n');
    out
}

fn data_lines(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    for line in lines(text.as_bytes()) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new(1 << 20);
        let mut events = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            while let Some(event) = splitter.next_event().unwrap() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn events_come_out_whole_wherever_the_chunks_are_cut() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = [": hi", "", "id: 1", "data: a", "data:b", "", "data", "", ""].join(end);
            let whole = split(&[stream.as_bytes()]);
            assert_eq!(whole.len(), 3, "{end:?} {whole:?}");
            assert_eq!(whole.concat(), stream.as_bytes());
            for cut in 0..=stream.len() {
                let (head, tail) = stream.as_bytes().split_at(cut);
                let parts = split(&[head, tail]);
                let data_of = |events: &[Vec<u8>]| -> Vec<Vec<u8>> {
                    events.iter().map(|e| data(e).into_owned()).filter(|d| !d.is_empty()).collect()
                };
                assert_eq!(data_of(&parts), data_of(&whole), "{end:?} cut at {cut}");
                let joined = parts.concat();
                assert!(stream.as_bytes().starts_with(&joined), "{end:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_event_that_is_complete_is_never_held_back() {
        assert_eq!(split(&[b"data: a\r\n\r"]), [b"data: a\r\n\r".to_vec()]);
        assert_eq!(split(&[b"data: a\n\n"]).len(), 1);
        assert_eq!(split(&[b"data: a\n"]).len(), 0);
    }

    #[test]
    fn data_is_what_a_client_reads() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"data: a\ndata:b\ndata\ndata:  c\n\n", b"a\nb\n\n c"),
            (b"\xef\xbb\xbfdata: a\n\n", b"a"),
            (b"datax: a\nDATA: b\n data: c\n\n", b""),
            (b"id: 3\nretry: 5\ndata:\n\n", b""),
            (b": data: a\n\n", b""),
            (b"event: x\r\ndata: {\r\ndata: }\r\n\r\n", b"{\n}"),
        ];
        for (event, expected) in cases {
            assert_eq!(data(event), expected, "{}", String::from_utf8_lossy(event));
        }
    }

    #[test]
    fn new_data_leaves_every_other_line_in_place() {
        let event = b"id: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n: note\r\nretry: 5\r\n\r\n";
        let written = with_data(event, "{\n\"b\":2}");
        assert_eq!(written, b"id: 7\ndata: {\ndata: \"b\":2}\n: note\nretry: 5\n\n");
        assert_eq!(data(&written), b"{\n\"b\":2}".as_slice());
    }

    #[test]
    fn beside_a_list_only_what_is_defined_stays() {
        let whole: [&[u8]; 6] = [
            b"data: a\n\n",
            b"event: message\r\nid: 7_x/1==\r\nretry: 5\r\ndata:a\r\ndata\r\n\r\n",
            b"event\rdata: a\r\r",
            b"id\ndata:\n\n",
            b":\n\n",
            b"\n",
        ];
        for event in whole {
            assert_eq!(only_defined(event), None, "{}", String::from_utf8_lossy(event));
        }
        let cut: [(&[u8], &[u8]); 14] = [
            (b": hidden\n\n", b":\n\n"),
            (b":hidden\r\ndata: a\r\n\r\n", b":\ndata: a\n\n"),
            (b"data : hidden\ndata: a\n\n", b"data: a\n\n"),
            (b"data : hidden\n\n", b""),
            (b" data: hidden\n\n", b""),
            (b"DATA: hidden\nid: 1\n\n", b"id: 1\n\n"),
            (b"hidden\ndata: a\n\n", b"data: a\n\n"),
            (b"event: hidden\ndata: a\n\n", b""),
            (b"event:  message\ndata: a\n\n", b""),
            (b"retry: hidden\ndata: a\n\n", b"data: a\n\n"),
            ("id: 1\u{2028}data: hidden\n\n".as_bytes(), b""),
            (b"id: 1\x0bdata: hidden\ndata: a\n\n", b"data: a\n\n"),
            (b"\xef\xbb\xbfdata: a\n\n", b"data: a\n\n"),
            (b"x:y\r: z\rdata: a\r\r", b":\ndata: a\n\n"),
        ];
        for (event, left) in cut {
            let passed = only_defined(event);
            assert_eq!(passed.as_deref(), Some(left), "{}", String::from_utf8_lossy(event));
            assert!(left.is_empty() || data(left) == data(event));
        }
    }

    #[test]
    fn an_id_that_is_too_long_goes_and_everything_else_stays() {
        for (event, left) in [
            (&b"id: 123456\ndata: a\n\n"[..], Some(&b"data: a\n\n"[..])),
            (b"id:123456\r\nevent: message\r\n: x\r\n\r\n", Some(b"event: message\n: x\n\n")),
            (b"id: 12345\rid: 123456\rdata: a\r\r", Some(b"id: 12345\ndata: a\n\n")),
            (b"\xef\xbb\xbfid: 123456\n\n", Some(b"\n")),
            (b"id: 12345\ndata: 123456\n\n", None),
            (b"ID: 123456\nids: 123456\ndata: id: 123456\n\n", None),
        ] {
            assert_eq!(without_longer_id(event, 5).as_deref(), left, "{}", event.escape_ascii());
        }
    }

    #[test]
    fn an_endless_event_is_cut_off() {
        let mut splitter = Splitter::new(10);
        splitter.push(b"data: 12345678");
        assert_eq!(splitter.next_event(), Err(TooBig));
    }
}
