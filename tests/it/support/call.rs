//! Requests as honest clients of both eras write them, and as anybody else may.

use std::net::SocketAddr;

/// Token of alice in acme, who may use `echo` and `read`.
pub(crate) const ALICE: &str = "alice-secret-4f1d2c3b5a697887";
/// Token of bob in globex, who may use `delete_all`.
pub(crate) const BOB: &str = "bob-secret-90817263544536271";
/// The revision without a handshake.
pub(crate) const MODERN: &str = "2026-07-28";
/// A list request of the legacy era.
pub(crate) const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A JSON-RPC request; `id` and `params` are JSON.
pub(crate) fn rpc(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// The body of a legacy call of `tool`.
pub(crate) fn tool_call(tool: &str) -> String {
    rpc("1", "tools/call", &format!(r#"{{"name":"{tool}","arguments":{{"text":"hi"}}}}"#))
}

/// alice's permitted call.
pub(crate) fn echo() -> Call {
    Call::post(tool_call("echo"))
}

/// A call of `tool` as the modern era writes it.
pub(crate) fn modern_call(tool: &str) -> Call {
    modern("tools/call", &format!(r#""name":"{tool}","arguments":{{}}"#)).header("Mcp-Name", tool)
}

/// A modern request with the members `params`, without `Mcp-Name`.
pub(crate) fn modern(method: &str, params: &str) -> Call {
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}"#);
    let comma = if params.is_empty() { "" } else { "," };
    Call::post(rpc("1", method, &format!("{{{params}{comma}{meta}}}")))
        .header("MCP-Protocol-Version", MODERN)
        .header("Mcp-Method", method)
}

/// One request, written exactly as it is told.
#[derive(Clone)]
pub(crate) struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framed: bool,
}

impl Call {
    /// alice's POST of `body`.
    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Self {
        let new = Self::bare("POST", body.into());
        new.header("Content-Type", "application/json")
    }

    /// alice's request without a body.
    pub(crate) fn empty(method: &str) -> Self {
        Self { framed: false, ..Self::bare(method, Vec::new()) }
    }

    fn bare(method: &str, body: Vec<u8>) -> Self {
        let new = Self {
            method: method.to_owned(),
            target: "/mcp".to_owned(),
            headers: Vec::new(),
            body,
            framed: true,
        };
        new.token(ALICE).header("Accept", "application/json, text/event-stream")
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.without("Authorization").header("Authorization", &format!("Bearer {token}"))
    }

    /// One more header, whatever is there already.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// The body goes out in chunks of `size` bytes.
    pub(crate) fn chunked(mut self, size: usize) -> Self {
        self.framed = false;
        let mut body = Vec::with_capacity(self.body.len() + 64);
        for chunk in self.body.chunks(size) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        self.body = body;
        self.header("Transfer-Encoding", "chunked")
    }

    /// The head as it stands on the wire.
    pub(crate) fn head(&self, host: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(n, _)| n == "Host") {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.framed {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }

    /// Head and body as they stand on the wire.
    pub(crate) fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut bytes = self.head(host).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
