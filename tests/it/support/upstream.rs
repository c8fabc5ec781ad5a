//! A scripted HTTP/1.1 upstream: it keeps every byte that reaches it, and misbehaves on request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::client::find;
use super::{PATIENCE, eventually};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
}

impl Request {
    /// Names in lower case, and values, in their order.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let lines = self.head.split("\r\n").skip(1).filter(|line| !line.is_empty());
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        lines.map(pair).collect()
    }

    /// All values of one header.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        self.headers().into_iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect()
    }

    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The JSON-RPC method.
    pub(crate) fn method(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["method"].as_str().unwrap_or_default().to_owned()
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    Close,
    Keep,
}

/// The upstream's end of a connection.
pub(crate) struct Wire {
    stream: TcpStream,
    state: Arc<State>,
}

impl Wire {
    /// Writes; the peer may be gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// One chunk of a chunked body; an empty one ends it.
    pub(crate) fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.send(framed);
    }

    /// Waits until the gateway has closed the connection.
    pub(crate) fn wait_closed(&mut self) {
        let mut rest = [0; 1024];
        while matches!(self.stream.read(&mut rest), Ok(n) if n > 0) {}
        self.state.seen.lock().unwrap().closed_in_answer += 1;
    }
}

#[derive(Default)]
struct Seen {
    connections: usize,
    bytes: usize,
    requests: Vec<Request>,
    closed_in_answer: usize,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    stopped: AtomicBool,
}

type Script = dyn Fn(&Request, &mut Wire) -> Next + Send + Sync;

/// The upstream itself; it stops listening when it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Upstream {
    /// An honest MCP server with the tools `echo`, `read`, `delete_all` and `hidden`.
    pub(crate) fn good() -> Self {
        Self::script(good)
    }

    /// Answers every request with the same bytes.
    pub(crate) fn fixed(answer: impl Into<Vec<u8>>, next: Next) -> Self {
        let answer = answer.into();
        Self::script(move |_, wire| {
            wire.send(&answer);
            next
        })
    }

    /// Answers every request as `script` says.
    pub(crate) fn script(
        script: impl Fn(&Request, &mut Wire) -> Next + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let script: Arc<Script> = Arc::new(script);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (state, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || serve(stream.unwrap(), state, &*script));
            }
        });
        Self { address, state }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.seen.lock().unwrap().requests.clone()
    }

    /// The one and only request.
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// How many answers the gateway left before their end.
    pub(crate) fn left(&self) -> usize {
        self.state.seen.lock().unwrap().closed_in_answer
    }

    /// Waits until `count` whole requests have arrived.
    pub(crate) fn wait_for(&self, count: usize) {
        eventually("a request at the upstream", || self.requests().len() >= count);
    }

    /// No connection, no request, not one byte.
    pub(crate) fn assert_untouched(&self, what: &str) {
        let seen = self.state.seen.lock().unwrap();
        let touched = (seen.connections, seen.requests.len(), seen.bytes);
        assert_eq!(touched, (0, 0, 0), "{what}: (connections, requests, bytes) at the upstream");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, state: Arc<State>, script: &Script) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
    let connection = {
        let mut seen = state.seen.lock().unwrap();
        seen.connections += 1;
        seen.connections - 1
    };
    let mut wire = Wire { stream, state };
    let mut received = Vec::new();
    while let Some(request) = read(&mut wire, &mut received, connection) {
        wire.state.seen.lock().unwrap().requests.push(request.clone());
        if script(&request, &mut wire) == Next::Close {
            return;
        }
    }
}

fn read(wire: &mut Wire, received: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let mut more = |received: &mut Vec<u8>| {
        let mut buffer = [0; 16 << 10];
        let n = wire.stream.read(&mut buffer).ok().filter(|&n| n > 0)?;
        wire.state.seen.lock().unwrap().bytes += n;
        received.extend_from_slice(&buffer[..n]);
        Some(())
    };
    let end = loop {
        match find(received, b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(received)?,
        }
    };
    let head = String::from_utf8_lossy(&received[..end - 4]).into_owned();
    received.drain(..end);
    let mut request = Request { head, body: Vec::new(), connection };
    let length = request.values("content-length").first().map_or(0, |l| l.parse().unwrap());
    while received.len() < length {
        more(received)?;
    }
    request.body = received.drain(..length).collect();
    Some(request)
}

/// A whole answer in JSON; `headers` are lines that end in CRLF.
pub(crate) fn json(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The head of an event stream in chunks.
pub(crate) fn sse() -> &'static str {
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
}

fn good(request: &Request, wire: &mut Wire) -> Next {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let id = &body["id"];
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let answer = match request.method().as_str() {
        "tools/list" => {
            let names = ["echo", "read", "delete_all", "hidden"];
            let tools = names.map(|n| format!(r#"{{"name":"{n}"}}"#)).join(",");
            json("200 OK", "", &result(&format!(r#"{{"tools":[{tools}]}}"#)))
        }
        "initialize" => json(
            "200 OK",
            "Mcp-Session-Id: session-5f3a\r\n",
            &result(r#"{"protocolVersion":"x"}"#),
        ),
        method if method.starts_with("notifications/") => {
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        _ => json("200 OK", "", &result(r#"{"content":[]}"#)),
    };
    wire.send(answer);
    Next::Keep
}
