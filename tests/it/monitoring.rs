//! The admin listener has no password: whoever asks, it costs little, and nobody stands in the
//! way of the monitoring.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Client, Gateway, PATIENCE, Setup, Upstream, echo, eventually};

fn refused(reason: &str) -> String {
    format!("doorward_admin_refused_total{{reason=\"{reason}\"}}")
}

fn connect(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that it answers to these bytes, up to the end of the connection.
fn answer(gateway: &Gateway, request: &str) -> String {
    let mut stream = connect(gateway);
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    // What it does not read may cost the rest of the answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(lines: &str) -> String {
    format!("GET /metrics HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
}

#[test]
fn who_asks_for_somebody_else_or_in_another_way_is_refused_with_the_cause() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let long = format!("Host: a\r\nX: {}\r\n", "x".repeat(20_000));
    let post = "POST /metrics HTTP/1.1\r\nHost: a\r\n";
    let named = |name: &str| format!("GET /token?{name} HTTP/1.1\r\nHost: a\r\n\r\n");
    let rows = [
        (get("Host: evil.example\r\n"), 421, "allowed_hosts"),
        (get("Host: 127.0.0.1.nip.io:9901\r\n"), 421, "allowed_hosts"),
        (get("Host: a\r\nHost: a\r\n"), 400, ""),
        (get(""), 400, ""),
        (get("Host: a\r\nOrigin: http://evil.example\r\n"), 403, "origin"),
        (get("Host: a\r\nOrigin: null\r\n"), 403, "origin"),
        (get("Host: a\r\nSec-Fetch-Site: cross-site\r\n"), 403, "origin"),
        (get("Host: a\r\nContent-Length: 5\r\n") + "12345", 413, ""),
        (get("Host: a\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", 413, ""),
        (get(&long), 431, ""),
        (format!("{post}Connection: close\r\n\r\n"), 405, "allow: get, head"),
        (format!("{post}Connection: close\r\n\r\n").replace("POST", "TRACE"), 405, "allow: get"),
        (format!("{post}Connection: close\r\n\r\n").replace("POST", "OPTIONS"), 405, "allow: get"),
        (named(&"x".repeat(257)).replace("a\r\n", "a\r\nConnection: close\r\n"), 400, "256 bytes"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400, ""),
        ("nonsense\r\n\r\n".to_owned(), 400, ""),
    ];
    for (request, status, says) in rows {
        let shown: String = request.chars().take(80).collect();
        let answer = answer(&gateway, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}\n{answer}");
        assert!(answer.to_lowercase().contains(says), "{shown}\n{answer}");
        assert!(!answer.contains("doorward_requests_total"), "{shown}");
    }
    for (reason, count) in [("foreign_host", 2.0), ("cross_origin", 3.0)] {
        gateway.counts(&refused(reason), count);
    }
    let told = gateway.events("admin.refused");
    assert!(told[0]["host"] == "evil.example" && told[0]["address"].is_string(), "{told:?}");
    for good in [
        get("Host: gateway:9901\r\n"),
        get("Host: localhost\r\nOrigin: http://localhost\r\n"),
        "GET /metrics HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        assert!(answer(&gateway, &good).contains("doorward_requests_total"), "{good}");
    }
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for page in ["/livez", "/readyz", "/metrics", "/status", "/diff", "/used", "/token?bob-key"] {
        let request = format!("HEAD {page} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = answer(&gateway, &request);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn connections_that_ask_nothing_make_room_for_those_that_ask() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for bytes in [&b""[..], b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: "] {
        let before = gateway.metric(&refused("displaced"));
        let mut held = Vec::new();
        for _ in 0..300 {
            let mut stream = connect(&gateway);
            let _ = stream.write_all(bytes);
            held.push(stream);
        }
        for page in ["/livez", "/readyz", "/metrics", "/status", "/diff", "/used"] {
            assert_eq!(gateway.admin(page).0, 200, "{page}");
        }
        let active = gateway.metric("doorward_connections_active{listener=\"admin\"}");
        assert!(active <= 40.0, "{active}");
        eventually("those that went are counted", || {
            let (displaced, beyond) = (
                gateway.metric(&refused("displaced")) - before,
                gateway.metric("doorward_connections_refused_total{listener=\"admin\"}"),
            );
            displaced + beyond >= 200.0
        });
        assert_eq!(gateway.ask(&echo()).status, 200);
    }
}

/// It takes as long as a head may take.
#[test]
fn a_head_that_does_not_end_is_cut_off_and_counted() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let mut held: Vec<Client> = [&b""[..], b"GET ", b"GET /livez HTTP/1.1\r\nHost: a\r\n"]
        .into_iter()
        .map(|bytes| {
            let mut client = Client::over(connect(&gateway), gateway.admin);
            client.send(bytes);
            client
        })
        .collect();
    for client in &mut held {
        client.assert_closed();
    }
    gateway.counts(&refused("slow"), 3.0);
}

#[test]
fn sixty_questions_at_once_are_all_answered() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    for page in ["/metrics", "/status"] {
        let mut asked: Vec<TcpStream> = Vec::new();
        for _ in 0..60 {
            let mut stream = connect(&gateway);
            let request = format!("GET {page} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            asked.push(stream);
        }
        assert_eq!(gateway.admin("/livez").0, 200);
        assert_eq!(gateway.ask(&echo()).status, 200);
        for mut stream in asked {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("HTTP/1.1 200 "), "{page}: {text}");
        }
    }
}

/// Status and text of the answers to those who ask for `page` again and again, however many they
/// are, while `act` goes on.
fn flooded(gateway: &Gateway, page: &str, act: impl FnOnce()) -> BTreeSet<(u16, String)> {
    let (is_over, asked) = (AtomicBool::new(false), AtomicBool::new(false));
    let flood = || {
        let mut answers = BTreeSet::new();
        while !is_over.load(Ordering::SeqCst) {
            let (status, mut text) = gateway.admin(page);
            if status == 200 {
                text.clear();
            }
            asked.store(true, Ordering::SeqCst);
            answers.insert((status, text));
        }
        answers
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..80).map(|_| scope.spawn(flood)).collect();
        eventually("they ask", || asked.load(Ordering::SeqCst));
        // Whatever comes of it, they must end.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        is_over.store(true, Ordering::SeqCst);
        let all = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        all
    })
}

#[test]
fn those_who_ask_for_what_takes_its_time_stand_in_the_way_of_no_other_page() {
    let mut tokens = String::new();
    for number in 1..2_000 {
        let rest = "user = \"u\"\norganization = \"o\"\nroles = [\"reader\"]\nexpires = \"never\"";
        writeln!(tokens, "[tokens.t{number}]\nsha256 = \"{number:064x}\"\n{rest}").unwrap();
    }
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream).more(&tokens).start();
    let quick = ["/livez", "/readyz", "/metrics", "/status", "/token?bob-key", "/nowhere"];
    let slow = ["/diff", "/used"];
    for page in slow.into_iter().chain(quick) {
        let answers = flooded(&gateway, page, || {
            for _ in 0..5 {
                for other in quick.into_iter().filter(|other| *other != page) {
                    let status = if other == "/nowhere" { 404 } else { 200 };
                    assert_eq!(gateway.admin(other).0, status, "{other}, while they ask {page}");
                }
            }
            assert_eq!(gateway.ask(&echo()).status, 200);
        });
        assert!(answers.iter().any(|(status, _)| [200, 404].contains(status)), "{answers:?}");
        let busy = (503, "busy: too many ask for this page\n".to_owned());
        assert!(page != "/diff" || answers.contains(&busy), "{answers:?}");
        eventually("the next one has it", || gateway.admin(page).0 != 503);
    }
    assert!(gateway.metric(&refused("busy")) > 0.0);
}

#[test]
fn a_verb_says_what_the_gateway_answers_in_place_of_the_page() {
    let busy =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 30\r\n\r\nbusy: \u{1b}[2Jcome again\n";
    for (verb, answer, said) in [
        (&["diff"][..], busy, "answers 503: busy: \\u{1b}[2Jcome again"),
        (&["unused", "--running"], busy, "answers 503: busy:"),
        (&["reload"], busy, "answers 503: busy:"),
        (&["diff"], "HTTP/1.1 200 OK\r\n\r\n<html>", "does not answer as doorward"),
        (&["diff"], "SSH-2.0\r\n\r\n", "not HTTP"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let ran = command.args(verb).args(["--admin", &admin]).output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && told.contains(said), "{verb:?}: {told}");
        served.join().unwrap();
    }
}

#[test]
fn the_status_says_whether_it_is_ready_and_what_is_amiss() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let status = gateway.status();
    assert_eq!((&status["ready"], &status["notes"]), (&true.into(), &serde_json::json!([])));
    gateway.terminate();
    eventually("it drains", || {
        gateway.admin("/readyz").0 == 503 && gateway.status()["ready"] == false
    });
}

/// Whoever has seen a reload in one of them finds it in the other.
#[test]
fn status_and_metrics_tell_of_a_reload_together() {
    let upstream = Upstream::good();
    let gateway = Gateway::before(&upstream);
    let told = || {
        let status = gateway.status()["config"].clone();
        let failed = gateway.metric("doorward_config_reloads_total{result=\"failure\"}");
        let loaded = gateway.metric("doorward_config_reloads_total{result=\"success\"}");
        (status["reloads"].as_f64().unwrap(), failed + loaded)
    };
    for (from, to) in [("drain = \"20s\"", "drain = \"21s\""), ("21s", "oops"), ("oops", "22s")] {
        gateway.edit(from, to);
        let (shown, counted) = told();
        assert!((shown - counted).abs() < f64::EPSILON, "{shown} in /status, {counted} counted");
    }
}
