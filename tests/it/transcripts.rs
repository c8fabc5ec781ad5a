//! Captured conversations of real clients with real servers, said again through the gateway:
//! each side hears what it heard without one.
//!
//! The files in `tests/fixtures/wire` say at their top how they are written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{ALICE, ALICE_AT, Call, Gateway, Next, Setup, Upstream, sealed_session};

/// The one thing that is not passed on: a capability that is refused to everybody.
const TASKS: &str = r#""tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}},"#;

/// One request and what came back.
#[derive(Clone, Default)]
struct Exchange {
    request: Part,
    answer: Part,
    chunks: Vec<String>,
    is_stream: bool,
    /// Whether the stream was ended by the server.
    has_end: bool,
}

#[derive(Clone, Default)]
struct Part {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Part {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|l| l.split_once(": "));
        let headers = headers.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        Self { line, headers, body: body.trim_end_matches('\n').to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The exchanges of a transcript in the order of their requests.
fn exchanges(text: &str) -> Vec<Exchange> {
    let mut found: Vec<Exchange> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for section in text.split("\n### ").skip(1) {
        let (title, rest) = section.split_once('\n').unwrap_or((section, ""));
        let number = title.split(' ').next().unwrap().to_owned();
        let rest = rest.strip_suffix('\n').unwrap_or(rest);
        if title.ends_with("CLIENT -> SERVER") {
            places.insert(number, found.len());
            found.push(Exchange { request: Part::parse(rest), ..Exchange::default() });
            continue;
        }
        // What is about a connection as a whole has no number of an exchange.
        let Some(&place) = places.get(&number) else {
            continue;
        };
        let exchange: &mut Exchange = &mut found[place];
        match title.rsplit("s  ").next().unwrap() {
            "SERVER -> CLIENT" => exchange.answer = Part::parse(rest),
            "SERVER -> CLIENT (stream opens)" => {
                exchange.answer = Part::parse(rest);
                exchange.is_stream = true;
            }
            "SERVER -> CLIENT (stream chunk)" => {
                exchange.chunks.push(format!("{}\n\n", rest.trim_end_matches('\n')));
            }
            "SERVER -> CLIENT (stream ends)" => exchange.has_end = true,
            _ => {}
        }
    }
    found.retain(|e| e.request.line.contains(" /mcp HTTP/") && !e.answer.line.is_empty());
    found
}

/// Says what the server said in the exchange that is on.
fn replaying(now: &Arc<Mutex<Exchange>>) -> Upstream {
    let now = Arc::clone(now);
    Upstream::script(move |_, wire| {
        let exchange = now.lock().unwrap().clone();
        let mut head = exchange.answer.line + "\r\n";
        for (name, value) in &exchange.answer.headers {
            if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        if exchange.is_stream {
            wire.send(head + "Transfer-Encoding: chunked\r\n\r\n");
            exchange.chunks.iter().for_each(|chunk| wire.chunk(chunk));
            if !exchange.has_end {
                wire.wait_closed();
                return Next::Close;
            }
            wire.chunk("");
        } else {
            let body = exchange.answer.body;
            wire.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        }
        Next::Keep
    })
}

/// The client's request as it would write it to the gateway.
fn call(request: &Part) -> Call {
    let method = request.line.split(' ').next().unwrap();
    let mut call = match method {
        "POST" => Call::post(request.body.as_str()),
        method => Call::empty(method),
    };
    call = call.without("Accept").without("Content-Type");
    for (name, value) in &request.headers {
        match name.as_str() {
            "host" | "content-length" | "authorization" | "connection" => {}
            "mcp-session-id" => call = call.header(name, &sealed_session(ALICE_AT, value)),
            _ => call = call.header(name, value),
        }
    }
    call.token(ALICE)
}

fn replay(gateway: &Gateway, upstream: &Upstream, exchange: &Exchange, place: &str) {
    let before = upstream.requests().len();
    let mut client = gateway.connect();
    client.send(&call(&exchange.request).bytes(gateway.address));
    let head = client.head();
    assert_eq!(Some(head.status.to_string().as_str()), exchange.answer.line.split(' ').nth(1));
    let is_initialize = exchange.request.body.contains("\"initialize\"");
    let session = exchange.answer.header("mcp-session-id").filter(|_| is_initialize);
    let sealed = session.map(|id| sealed_session(ALICE_AT, id));
    assert_eq!(head.header("mcp-session-id"), sealed.as_deref(), "{place}");
    let expected = match exchange.is_stream {
        true => exchange.chunks.concat(),
        false => exchange.answer.body.clone(),
    };
    let expected = expected.replace(TASKS, "");
    let mut heard = Vec::new();
    while heard.len() < expected.len() || exchange.has_end {
        match client.part() {
            Some(part) => heard.extend(part),
            None => break,
        }
    }
    assert_eq!(String::from_utf8(heard).unwrap(), expected, "{place}");

    let requests = upstream.requests();
    assert_eq!(requests.len(), before + 1, "{place}");
    let seen = &requests[before];
    assert_eq!(String::from_utf8_lossy(&seen.body), exchange.request.body, "{place}");
    let is_modern = exchange.request.body.contains("io.modelcontextprotocol/protocolVersion");
    for name in ["accept", "last-event-id", "mcp-protocol-version", "mcp-session-id"] {
        let sent: Vec<&str> = exchange.request.header(name).into_iter().collect();
        assert_eq!(seen.values(name), sent, "{place}: {name}");
    }
    for name in ["mcp-method", "mcp-name"] {
        let sent = exchange.request.header(name).filter(|_| is_modern);
        assert_eq!(seen.values(name), sent.into_iter().collect::<Vec<_>>(), "{place}: {name}");
    }
    assert_eq!(seen.values("x-user-id"), ["alice"]);
}

#[test]
fn captured_conversations_are_the_same_through_the_gateway() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let now = Arc::new(Mutex::new(Exchange::default()));
    let upstream = replaying(&now);
    let gateway = Setup::new(&upstream).everything().start();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, exchange) in exchanges(&text).into_iter().enumerate() {
            let place = format!("{} {at}: {}", path.display(), exchange.request.line);
            *now.lock().unwrap() = exchange.clone();
            replay(&gateway, &upstream, &exchange, &place);
            count += 1;
        }
    }
    assert!(count > 100, "only {count} exchanges were found");
}
