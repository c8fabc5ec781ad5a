//! Requests for another host, path or origin than ours: the record says what they were for, and the
//! log, the first time, how to mend it.

use serde_json::Value;

use crate::support::{Call, Gateway, Setup, Upstream, echo, eventually};

/// The hints so far, when there are so many.
fn hints(gateway: &Gateway, count: usize) -> Vec<Value> {
    eventually("hints", || gateway.events("request.misdirected").len() >= count);
    let hints = gateway.events("request.misdirected");
    assert_eq!(hints.len(), count, "{hints:#?}");
    hints
}

fn foreign(host: &str) -> Call {
    echo().header("Host", host)
}

#[test]
fn a_foreign_host_and_an_unknown_path_are_in_the_record_and_only_show() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).start();
    let address = gateway.address;
    let long = format!("/{}", "x".repeat(5_000));
    for (call, status, detail) in [
        (foreign("evil.example:81"), 421, "Host evil.example:81, path /mcp".to_owned()),
        (foreign(&"h".repeat(900)), 421, format!("Host {}…, path /mcp", "h".repeat(128))),
        (echo().target("/mcp/"), 404, format!("Host {address}, path /mcp/")),
        (echo().target("/mcp/?t=s3cret"), 404, format!("Host {address}, path /mcp/")),
        (echo().target("/a%1b[2Jb"), 404, format!("Host {address}, path /a%1b[2Jb")),
        (echo().target(&long), 404, format!("Host {address}, path {}…", &long[..128])),
        (
            echo().header("Origin", "https://evil.example"),
            403,
            format!("Origin https://evil.example, Host {address}, path /mcp"),
        ),
    ] {
        let answer = gateway.ask(&call);
        assert_eq!(answer.status, status, "{detail}");
        assert!(!answer.text().contains("evil"), "{}", answer.text());
        let id = answer.header("x-request-id").unwrap().to_owned();
        let record = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["kind"] == "request" && line["request_id"] == *id).then_some(line)
        };
        let found = || gateway.output().lines().find_map(record);
        eventually("its record", || found().is_some());
        let record = found().unwrap();
        assert_eq!(record["detail"], detail);
    }
    assert!(!gateway.output().contains("s3cret"));
    upstream.assert_untouched("misdirected requests");
}

#[test]
fn the_log_says_once_how_to_mend_it() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).start();
    for _ in 0..3 {
        for path in ["/mcp/", "/MCP", "//mcp"] {
            gateway.ask(&echo().target(path));
        }
    }
    let hint = |n: usize| hints(&gateway, n)[n - 1]["hint"].as_str().unwrap().to_owned();
    assert_eq!(hint(1), "clients must write /mcp, and not /mcp/");
    gateway.ask(&echo().target("/mcp/sse"));
    assert!(hint(2).contains("2024-11-05") && hint(2).contains("Streamable HTTP at /mcp"));
    gateway.ask(&echo().target("/other"));
    assert!(hint(3).contains("ours: /mcp"), "{}", hint(3));
    gateway.ask(&foreign("mcp.example.com"));
    assert!(hint(4).contains("server.public_url"), "{}", hint(4));
    assert_eq!(hints(&gateway, 4)[3]["host"], "mcp.example.com");
    gateway.ask(&echo().header("Origin", "https://app.example.com"));
    assert!(hint(5).contains("server.allowed_origins"), "{}", hint(5));
    // Clients look for these by themselves.
    gateway.ask(&Call::empty("GET").target("/.well-known/oauth-authorization-server"));
    gateway.ask(&foreign("mcp.example.com"));
    hints(&gateway, 5);
}

#[test]
fn who_invents_hosts_and_paths_does_not_fill_the_log() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).start();
    let mut client = gateway.connect();
    for n in 0..100 {
        client.ask(&foreign(&format!("h{n}.example")));
        client.ask(&echo().target(&format!("/p{n}")));
    }
    hints(&gateway, 32);
    // What is commonest still has its hint.
    client.ask(&echo().target("/mcp/"));
    hints(&gateway, 33);
}
