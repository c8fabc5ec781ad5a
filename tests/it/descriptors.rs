//! Callers, however many they are, take no file descriptor that the monitoring or a call needs.

use std::process::Command;
use std::sync::Barrier;

use crate::support::{
    Call, Client, Gate, Gateway, Next, Request, Setup, Upstream, Wire, echo, eventually, sse,
};

const LIMIT: usize = 256;

/// Nothing that is silent ends by its deadline while the test looks.
const PATIENT: &str = "head_timeout = \"5m\"";

const REFUSED: &str = "doorward_connections_refused_total{listener=\"mcp\"}";

/// Opens connections that begin with `bytes` until some are refused.
fn flood(gateway: &Gateway, bytes: &[u8]) -> Vec<Client> {
    let mut held = Vec::new();
    while gateway.metric(REFUSED) < 10.0 {
        assert!(held.len() < 2 * LIMIT, "there is no bound");
        for _ in 0..20 {
            let mut client = gateway.connect();
            client.try_send(bytes);
            held.push(client);
        }
    }
    held
}

fn assert_all_serve(gateway: &Gateway, kept: &mut Client) {
    for _ in 0..20 {
        assert_eq!(kept.ask(&echo()).status, 200, "a connection that was there before");
    }
    for page in ["/livez", "/readyz", "/metrics", "/status", "/diff"] {
        assert_eq!(gateway.admin(page).0, 200, "{page}");
    }
    let (open, most) = (gateway.metric("process_open_fds"), gateway.metric("process_max_fds"));
    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    let all = LIMIT as f64;
    assert!(most == all && open < most, "{open} of {most}: the limit is raised, and not reached");
}

#[test]
fn silent_connections_leave_descriptors_for_calls_and_the_monitoring() {
    for bytes in [&b""[..], b"POST /mcp HTTP/1.1\r\nHost: x\r\n"] {
        let upstream = Upstream::good();
        let gateway = Setup::new(&upstream).limits(PATIENT).descriptors(LIMIT).start();
        let mut kept = gateway.connect();
        assert_eq!(kept.ask(&echo()).status, 200);
        let held = flood(&gateway, bytes);
        assert_all_serve(&gateway, &mut kept);
        let told = gateway.events("descriptors.short");
        let message = told[0]["message"].as_str().unwrap();
        assert!(message.contains("20000") && message.contains("256 file descriptors"), "{message}");
        assert!(gateway.admin("/readyz").1.contains("connections are open"));
        assert!(!gateway.events("listener.full").is_empty());
        drop(held);
        eventually("there is room again", || {
            gateway.connect().ask_if_open(&echo()).is_some_and(|answer| answer.status == 200)
        });
    }
}

/// The handshake is inside: a client that does not begin it takes a place, too.
#[test]
fn silent_tls_clients_leave_descriptors_for_the_monitoring() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream)
        .server("[server.tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"")
        .file("tls.crt", &pair.cert.pem())
        .file("tls.key", &pair.signing_key.serialize_pem())
        .limits(PATIENT)
        .descriptors(LIMIT)
        .start();
    let _held = flood(&gateway, b"");
    for page in ["/livez", "/metrics", "/diff"] {
        assert_eq!(gateway.admin(page).0, 200, "{page}");
    }
    assert!(gateway.metric("process_open_fds") < gateway.metric("process_max_fds"));
}

#[test]
fn open_streams_leave_descriptors_for_calls() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let upstream = Upstream::script(move |request: &Request, wire: &mut Wire| {
        if request.line().starts_with("GET") {
            wire.send(sse());
            wire.chunk(": open\n\n");
            waiting.wait();
            return Next::Close;
        }
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        wire.send(crate::support::json("200 OK", "", result));
        Next::Keep
    });
    let gateway = Setup::new(&upstream).limits(PATIENT).descriptors(LIMIT).start();
    let mut kept = gateway.connect();
    assert_eq!(kept.ask(&echo()).status, 200);
    let mut streams = Vec::new();
    loop {
        assert!(streams.len() < LIMIT, "there is no bound");
        let mut client = gateway.connect();
        client
            .send(&Call::empty("GET").header("Accept", "text/event-stream").bytes(gateway.address));
        let status = client.head().status;
        if status == 503 {
            break;
        }
        assert_eq!(status, 200);
        streams.push(client);
    }
    let _held = flood(&gateway, b"");
    assert_all_serve(&gateway, &mut kept);
    gate.open();
}

#[test]
fn idle_connections_to_many_upstreams_leave_descriptors_for_the_next_one() {
    const AT_ONCE: usize = 24;
    let together = Barrier::new(AT_ONCE);
    let upstream = Upstream::script(move |_: &Request, wire: &mut Wire| {
        together.wait();
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
        wire.send(crate::support::json("200 OK", "", result));
        Next::Keep
    });
    let tables: String = (0..12)
        .map(|n| {
            let url = format!("http://{}/mcp", upstream.address);
            format!("[upstreams.u{n}]\npath = \"/u{n}\"\nurl = \"{url}\"\n")
        })
        .collect();
    let role = "[roles.many]\ntools = [\"*/echo\"]\n";
    let gateway = Setup::new(&upstream)
        .more(&format!("{tables}{role}"))
        .role("many")
        .limits(PATIENT)
        .descriptors(LIMIT)
        .start();
    for n in 0..12 {
        let mut clients: Vec<Client> = (0..AT_ONCE).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(&echo().target(&format!("/u{n}")).bytes(gateway.address));
        }
        let statuses: Vec<u16> = clients.iter_mut().map(|client| client.head().status).collect();
        assert!(statuses.iter().all(|status| *status == 200), "u{n}: {statuses:?}");
    }
}

#[test]
fn check_says_where_descriptors_do_not_suffice() {
    let check = |limit: usize, more: &str| {
        let folder = tempfile::TempDir::new().unwrap();
        let file = "[upstreams.t]\npath = \"/t\"\nurl = \"http://127.0.0.1:9/mcp\"\n";
        std::fs::write(folder.path().join("gateway.toml"), format!("{file}{more}")).unwrap();
        let checked = Command::new("sh")
            .args(["-c", &format!("ulimit -n {limit} && exec \"$0\" check")])
            .arg(env!("CARGO_BIN_EXE_doorward"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(checked.status.success());
        String::from_utf8(checked.stderr).unwrap()
    };
    let told = check(1_024, "");
    let numbers = "limits.connections is 20000, and 416 fit into 1024 file descriptors";
    assert!(told.contains("warning[DW0119]") && told.contains(numbers), "{told}");
    let enough = "[limits]\nconnections = 480\nin_flight = 100\nstreams = 200\n";
    assert!(!check(1_024, enough).contains("DW0119"));
    assert!(check(1_024, "[limits]\nconnections = 900\n").contains("DW0119"));
}

#[test]
fn with_too_few_descriptors_to_serve_at_all_check_and_run_say_so() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                [upstreams.t]\npath = \"/t\"\nurl = \"http://127.0.0.1:9/mcp\"\n";
    std::fs::write(folder.path().join("gateway.toml"), file).unwrap();
    for limit in [10, 16, 24, 40, 64, 79] {
        for verb in ["check", "run"] {
            let ran = Command::new("sh")
                .args(["-c", &format!("ulimit -n {limit} && exec \"$0\" {verb}")])
                .arg(env!("CARGO_BIN_EXE_doorward"))
                .current_dir(folder.path())
                .output()
                .unwrap();
            let told = String::from_utf8(ran.stderr).unwrap();
            let code = if verb == "run" { 3 } else { 2 };
            assert_eq!(ran.status.code(), Some(code), "{limit} {verb}: {told}");
            let numbers = format!("it may have {limit} file descriptors, and needs at least 80");
            assert!(told.contains(&numbers) && !told.contains("panic"), "{limit} {verb}: {told}");
        }
    }
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).descriptors(80).start();
    assert_eq!(gateway.ask(&echo()).status, 200);
    assert_eq!(gateway.admin("/livez").0, 200);
}

#[test]
fn limits_that_a_reload_raises_beyond_the_descriptors_are_told() {
    let upstream = Upstream::good();
    let few = "connections = 20\nin_flight = 10\nstreams = 10\n";
    let gateway = Setup::new(&upstream).limits(few).descriptors(LIMIT).start();
    assert!(gateway.events("descriptors.short").is_empty());
    assert!(gateway.edit("connections = 20\n", "connections = 2000\n"));
    let told = gateway.events("descriptors.short");
    assert!(
        told[0]["message"].as_str().unwrap().contains("limits.connections is 2000"),
        "{told:?}"
    );
}
