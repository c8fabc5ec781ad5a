//! A raw HTTP/1.1 client that sends exact bytes and trusts no answer: every response header that
//! is not on its list fails the test, whatever the test was about.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Call, PATIENCE};

const ALLOWED: [&str; 15] = [
    "accept-encoding",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "mcp-protocol-version",
    "mcp-session-id",
    "retry-after",
    "transfer-encoding",
    "vary",
    "www-authenticate",
    "x-accel-buffering",
    "x-request-id",
];

/// One answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, v)| v.as_str());
        assert!(found.next().is_none(), "{name} twice in {:?}", self.headers);
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Everything but what differs from one answer to the next.
    pub(crate) fn comparable(&self) -> (u16, Vec<(String, String)>, String) {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        (self.status, headers, self.text())
    }

    /// The JSON-RPC error: its id as JSON, and its code.
    pub(crate) fn error(&self) -> (serde_json::Value, i64) {
        let value: serde_json::Value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: not JSON: {}", self.status, self.text()));
        assert_eq!(value["jsonrpc"], "2.0", "{value}");
        (value["id"].clone(), value["error"]["code"].as_i64().unwrap_or_default())
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Chunked,
    Length(usize),
    UntilClosed,
}

/// A connection.
pub(crate) struct Client {
    stream: Box<dyn ReadWrite>,
    received: Vec<u8>,
    framing: Framing,
    pub(crate) address: SocketAddr,
}

/// Anything that bytes go in and come out of.
pub(crate) trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream, address)
    }

    /// Over a stream that exists already.
    pub(crate) fn over(stream: impl ReadWrite + 'static, address: SocketAddr) -> Self {
        let framing = Framing::Length(0);
        Self { stream: Box::new(stream), received: Vec::new(), framing, address }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).unwrap();
    }

    /// For bytes that the gateway may refuse before it has read them all.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// Whether the connection still takes bytes.
    pub(crate) fn survives(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn ask(&mut self, call: &Call) -> Response {
        self.send(&call.bytes(self.address));
        self.response()
    }

    /// The answer, where the connection was not closed before.
    pub(crate) fn ask_if_open(&mut self, call: &Call) -> Option<Response> {
        self.try_send(&call.bytes(self.address));
        self.try_response()
    }

    /// The next whole answer.
    pub(crate) fn response(&mut self) -> Response {
        self.try_response().expect("an answer, and not the end of the connection")
    }

    /// The next whole answer, or `None` where the connection ends instead.
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let mut response = self.try_head()?;
        while let Some(part) = self.part() {
            response.body.extend_from_slice(&part);
        }
        Some(response)
    }

    /// The head of the next answer; its body is for [`Self::part`].
    pub(crate) fn head(&mut self) -> Response {
        self.try_head().expect("a head, and not the end of the connection")
    }

    fn try_head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                assert!(self.received.is_empty(), "half a head: {:?}", self.received);
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..end + 4).collect();
        let response = parse(std::str::from_utf8(&head[..end]).expect("a head in ASCII"));
        self.framing = match (response.header("content-length"), response.status) {
            (_, 100..=199 | 204 | 304) => Framing::Length(0),
            (Some(length), _) => Framing::Length(length.parse().unwrap()),
            (None, _) if response.header("transfer-encoding").is_some() => Framing::Chunked,
            (None, _) => Framing::UntilClosed,
        };
        Some(response)
    }

    /// The next bytes of the body, one chunk where it is chunked; `None` at its proper end.
    pub(crate) fn part(&mut self) -> Option<Vec<u8>> {
        self.try_part().expect("the rest of the body, and not the end of the connection")
    }

    /// Like [`Self::part`]; an error where the connection ends before the body.
    pub(crate) fn try_part(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        match self.framing {
            Framing::Length(0) => Ok(None),
            Framing::Length(length) => {
                if self.received.is_empty() && !self.fill() {
                    return Err("cut off");
                }
                let taken = length.min(self.received.len());
                self.framing = Framing::Length(length - taken);
                Ok(Some(self.received.drain(..taken).collect()))
            }
            Framing::Chunked => self.chunk(),
            Framing::UntilClosed => {
                if self.received.is_empty() && !self.fill() {
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.received)))
            }
        }
    }

    fn chunk(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        let line = loop {
            match find(&self.received, b"\r\n") {
                Some(at) => break at,
                None if self.fill() => {}
                None => return Err("cut off"),
            }
        };
        let size = std::str::from_utf8(&self.received[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let end = line + 2 + size;
        while self.received.len() < end + 2 {
            if !self.fill() {
                return Err("cut off");
            }
        }
        assert_eq!(&self.received[end..end + 2], b"\r\n", "a chunk ends with its line");
        let chunk: Vec<u8> = self.received.drain(..end + 2).collect();
        if size == 0 {
            self.framing = Framing::Length(0);
            return Ok(None);
        }
        Ok(Some(chunk[line + 2..end].to_vec()))
    }

    /// Waits for the end of the connection; whatever still comes is no answer.
    pub(crate) fn assert_closed(&mut self) {
        while self.fill() {}
        let rest = String::from_utf8_lossy(&self.received);
        assert!(rest.is_empty(), "a closed connection, and not {rest:?}");
    }

    /// Reads some more; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                self.received.extend_from_slice(&buffer[..n]);
                true
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing more came; so far: {:?}", String::from_utf8_lossy(&self.received))
            }
            Err(_) => false,
        }
    }
}

fn parse(head: &str) -> Response {
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).expect("a status line");
    let mut response =
        Response { status: status.parse().expect("a status"), ..Response::default() };
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        let name = name.trim_end_matches(':').to_ascii_lowercase();
        let is_cors = name.starts_with("access-control-");
        // The framework's own answer to a head that it cannot parse; one test is about it.
        let is_unparsed = response.status == 400 && name == "server";
        assert!(
            is_cors || is_unparsed || ALLOWED.contains(&name.as_str()),
            "a stray response header in:\n{head}"
        );
        response.headers.push((name, value.to_owned()));
    }
    response
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
