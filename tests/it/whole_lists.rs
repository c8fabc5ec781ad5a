//! The question to an upstream for all of its tools: it has an end, and says why it has no answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json as value};

use crate::support::{Gateway, Next, Request, Setup, Upstream, Wire, json};

/// The page of a list that a request asks for; the first is 1. Cursors are the numbers of pages.
fn page(request: &Request) -> usize {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["params"]["cursor"].as_str().map_or(1, |cursor| cursor.parse().unwrap())
}

fn list(tools: &Value, next: Option<usize>) -> String {
    let mut result = value!({"tools": tools, "x": "", "resultType": "complete"});
    if let Some(next) = next {
        result["nextCursor"] = next.to_string().into();
    }
    json("200 OK", "", &value!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string())
}

fn tool(name: &str) -> Value {
    value!({"name": name, "inputSchema": {"type": "object"}})
}

/// An upstream whose pages are written by `write`; the first holds the tool `first`.
fn paged(write: impl Fn(usize, &mut Wire) + Send + Sync + 'static) -> Upstream {
    Upstream::script(move |request, wire| {
        match page(request) {
            1 => wire.send(list(&value!([tool("first")]), Some(2))),
            page => write(page, wire),
        }
        Next::Close
    })
}

type Write = fn(usize, &mut Wire);

/// Pages of which the second, or one further on, is the last that is asked for, each with what is
/// said of it.
const WRONG: [(Write, &str); 10] = [
    (|page, wire| wire.send(list(&value!([]), Some(page + 1))), "page 1000: the list has more"),
    (|_, wire| wire.send(list(&value!([]), Some(2))), "page 2: its cursor leads back"),
    (
        |_, wire| wire.send(json("500 Internal Server Error", "", "{}")),
        "page 2: answers with status 500",
    ),
    (
        |_, wire| wire.send(json("200 OK", "", "{")),
        "page 2: its list cannot be read: JSON that ends too early at byte 1",
    ),
    (
        |_, wire| {
            wire.send(json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{"Tools":[]}}"#))
        },
        "page 2: its list may be taken for something else",
    ),
    (
        |_, wire| wire.send(json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)),
        "page 2: its answer is no list of tools",
    ),
    (
        |_, wire| {
            wire.send(json(
                "200 OK",
                "",
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Bad cursor"}}"#,
            ));
        },
        "page 2: says no: Bad cursor",
    ),
    (
        |_, wire| wire.send(list(&value!([tool("first")]), None)),
        "page 2: it lists the tool `first` twice",
    ),
    (
        |_, wire| wire.send(list(&value!([{"name": "x", "y": "z".repeat(70_000)}]), None)),
        "page 2: its answer has more than limits.listing (65536 bytes)",
    ),
    (
        |page, wire| {
            wire.send(list(
                &value!([{"name": page.to_string(), "y": "z".repeat(60_000)}]),
                Some(page + 1),
            ))
        },
        "page 6: the pages of the list have more than 4 times limits.listing",
    ),
];

#[test]
fn what_is_wrong_with_a_page_is_said_with_its_number() {
    for (write, expected) in WRONG {
        let upstream = paged(write);
        let gateway = Setup::new(&upstream).limits("listing = \"64KiB\"").start();
        for verb in [&["lock"][..], &["check", "--online"]] {
            let (code, said) = gateway.command(verb);
            assert_eq!(code, Some(2), "{expected}: {said}");
            let sentence = format!("upstream `t` does not list its tools: {expected}");
            assert!(said.contains(&sentence), "{expected}: {said}");
        }
        assert!(!gateway.folder().join("tools.lock").exists(), "{expected}");
    }
}

/// Each page comes in time; all of them would take the better part of an hour.
#[test]
fn a_list_that_drips_has_a_deadline_for_all_of_its_pages() {
    let upstream = paged(|page, wire| {
        // Half of what a page may take.
        std::thread::park_timeout(Duration::from_millis(500));
        wire.send(list(&value!([tool(&page.to_string())]), Some(page + 1)));
    });
    let gateway = Setup::new(&upstream).upstream("call_timeout = \"1s\"").start();
    let (code, said) = gateway.command(&["lock"]);
    assert_eq!(code, Some(2), "{said}");
    let expected = "the whole list takes longer than 4 times call_timeout (4 seconds)";
    assert!(said.contains(expected) && said.contains("tools: page "), "{said}");
    assert!(upstream.requests().len() <= 12, "{}", upstream.requests().len());
}

#[test]
fn a_page_that_does_not_come_is_said_with_its_number_and_one_that_cannot_be_asked_for_without() {
    let upstream = paged(|_, wire| wire.wait_closed());
    let gateway = Setup::new(&upstream).upstream("call_timeout = \"200ms\"").start();
    let (_, said) = gateway.command(&["lock"]);
    assert!(said.contains("tools: page 2: takes longer than call_timeout (0.2 seconds)"), "{said}");
    let gone = Upstream::good().address;
    let gateway = Setup::at(&format!("http://{gone}/mcp")).start();
    let (_, said) = gateway.command(&["lock"]);
    assert!(said.contains("does not list its tools: cannot be reached"), "{said}");
}

/// Each request waits a moment for a fifth beside it, which must not come.
#[test]
fn four_upstreams_are_asked_at_once_and_all_that_fail_are_told() {
    let now = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let most = Arc::new(AtomicUsize::new(0));
    let (inside, seen) = (Arc::clone(&now), Arc::clone(&most));
    let upstream = Upstream::script(move |_, wire| {
        let (count, changed) = &*inside;
        let mut inside = count.lock().unwrap();
        *inside += 1;
        seen.fetch_max(*inside, Ordering::SeqCst);
        changed.notify_all();
        let moment = Duration::from_millis(700);
        *changed.wait_timeout_while(inside, moment, |n| *n < 5).unwrap().0 -= 1;
        wire.send(json("401 Unauthorized", "", "{}"));
        Next::Close
    });
    let further: String = (0..6)
        .map(|n| {
            format!("[upstreams.u{n}]\npath = \"/u{n}\"\nurl = \"http://{}/\"\n", upstream.address)
        })
        .collect();
    let gateway = Setup::new(&upstream).more(&further).start();
    let (code, said) = gateway.command(&["lock"]);
    assert_eq!((code, most.load(Ordering::SeqCst)), (Some(2), 4), "{said}");
    for name in ["t", "u0", "u5"] {
        let sentence =
            format!("upstream `{name}` does not list its tools: answers with status 401");
        assert!(said.contains(&sentence), "{name}: {said}");
    }
}

/// Callers see these, and so they may not be taken for others.
#[test]
fn a_tool_that_the_file_cannot_hold_is_left_out() {
    let objects = vec![r#"{"":1}"#; 30_000].join(",");
    for schema in [r#"{"maximum":1e999}"#.to_owned(), format!(r#"{{"enum":[{objects}]}}"#)] {
        let far = format!(r#",{{"name":"far","inputSchema":{schema}}}]"#);
        let tools = value!([tool("first")]).to_string().replace(']', &far);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools}}}}}"#);
        let upstream = Upstream::fixed(json("200 OK", "", &body), Next::Close);
        let gateway = Gateway::before(&upstream);
        let (code, said) = gateway.command(&["lock"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("page 1, tool `far`: nested too deeply, a number too"), "{said}");
        let lock = std::fs::read_to_string(gateway.folder().join("tools.lock")).unwrap();
        assert!(lock.contains("first") && !lock.contains("far"), "{lock}");
    }
}

/// Seven bytes of a list can be an object of 700 bytes in memory.
#[test]
fn a_list_of_more_values_than_the_verb_should_hold_is_refused() {
    let objects = vec![r#"{"":1}"#; 20_000].join(",");
    let upstream = paged(move |page, wire| {
        let tool = format!(r#"{{"name":"t{page}","x":[{objects}]}}"#);
        let next = page + 1;
        let result = format!(r#"{{"tools":[{tool}],"nextCursor":"{next}"}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        wire.send(json("200 OK", "", &body));
    });
    let (code, said) = Setup::new(&upstream).start().command(&["lock"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("page 14: its tools have more than 500000 values in all"), "{said}");
}
