//! TLS on both sides: curl as the client, a second gateway as the upstream.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{ALICE, BOB, Call, Gateway, LIST, Setup, Upstream, eventually, tool_call};

struct Pair {
    cert: String,
    key: String,
}

fn self_signed() -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pair { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn behind_tls(upstream: &Upstream, pair: &Pair) -> Setup {
    Setup::new(upstream)
        .server("[server.tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"")
        .file("tls.crt", &pair.cert)
        .file("tls.key", &pair.key)
}

/// What curl says of alice's call: the HTTP version and status, and its exit code.
fn curl(gateway: &Gateway, pair: &Pair, version: &str, tool: &str) -> (String, Option<i32>) {
    curl_with(gateway, pair, &[version], tool)
}

fn curl_with(
    gateway: &Gateway,
    pair: &Pair,
    options: &[&str],
    tool: &str,
) -> (String, Option<i32>) {
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &pair.cert).unwrap();
    let port = gateway.address.port();
    let output = Command::new("curl")
        .args(["--silent", "--cacert"])
        .arg(ca)
        .args(options)
        .args(["--write-out", "%{http_version} %{http_code}", "--output", "/dev/null"])
        .args(["--header", &format!("Authorization: Bearer {ALICE}")])
        .args(["--header", "Content-Type: application/json"])
        .args(["--header", "X-User-ID: root", "--header", "Accept: application/json"])
        .args(["--data", &tool_call(tool), &format!("https://localhost:{port}/mcp")])
        .output()
        .unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

#[test]
fn a_call_passes_over_tls_with_either_version_of_http() {
    for (version, spoken) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
        let (upstream, pair) = (Upstream::good(), self_signed());
        let gateway = behind_tls(&upstream, &pair).start();
        assert_eq!(curl(&gateway, &pair, version, "echo"), (spoken.to_owned(), Some(0)));
        let request = upstream.only_request();
        assert_eq!(request.values("x-user-id"), ["alice"]);
        assert_eq!(request.body, tool_call("echo").as_bytes());
    }
}

#[test]
fn a_refused_call_over_http2_never_reaches_the_upstream() {
    let (upstream, pair) = (Upstream::good(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    assert_eq!(curl(&gateway, &pair, "--http2", "delete_all"), ("2 200".to_owned(), Some(0)));
    upstream.assert_untouched("delete_all over HTTP/2");
}

/// Rows H23 and I1, I2 of the catalogue over HTTP/2, where no raw head can be looked at.
#[test]
fn what_http2_lets_a_caller_repeat_is_refused_or_dropped() {
    let (upstream, pair) = (Upstream::good(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    let second = format!("Authorization: Bearer {BOB}");
    let for_each = [
        (second.as_str(), "2 400"),
        ("Origin: https://evil.example", "2 403"),
        ("Content-Encoding: gzip", "2 415"),
        ("Host: evil.example", "2 421"),
    ];
    for (header, expected) in for_each {
        let options = ["--http2", "--header", header];
        assert_eq!(curl_with(&gateway, &pair, &options, "echo").0, expected, "{header}");
    }
    upstream.assert_untouched("hostile heads over HTTP/2");
    let claims = ["--http2", "--header", "x_user_id: root", "--header", "X-Organization-ID: evil"];
    assert_eq!(curl_with(&gateway, &pair, &claims, "echo").0, "2 200");
    let request = upstream.only_request();
    assert_eq!(request.values("x-user-id"), ["alice"]);
    assert_eq!(request.values("x-organization-id"), ["acme"]);
    assert!(request.values("x_user_id").is_empty());
}

#[test]
fn headers_may_be_as_long_over_http2_as_the_limit_says() {
    let (upstream, pair) = (Upstream::good(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    for (length, expected) in [(20_000, "2 200"), (31_000, "2 200"), (33_000, "2 431")] {
        let header = format!("X-Long: {}", "x".repeat(length));
        let options = ["--http2", "--header", &header];
        assert_eq!(curl_with(&gateway, &pair, &options, "echo").0, expected, "{length}");
    }
}

#[test]
fn plain_text_on_a_tls_listener_is_not_answered() {
    let (upstream, pair) = (Upstream::good(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(&Call::post(LIST).bytes(gateway.address)).unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    upstream.assert_untouched("plain text");
}

/// Whoever can connect can cause as many as they like.
#[test]
fn handshakes_that_fail_are_counted_and_the_log_names_one_in_a_while() {
    let (upstream, pair) = (Upstream::good(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0x16, 3, 1, 0, 2, 0, 0], b"\0"] {
        for _ in 0..20 {
            let mut client = TcpStream::connect(gateway.address).unwrap();
            client.write_all(garbage).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        }
    }
    eventually("each is counted", || {
        gateway.metric("doorward_tls_handshakes_failed_total") == 60.0
    });
    let told = gateway.events("tls.failed");
    assert!((1..=3).contains(&told.len()), "{told:?}");
    assert_eq!(told[0]["client_ip"], "127.0.0.1");
    assert_eq!(curl(&gateway, &pair, "--http2", "echo").1, Some(0), "others are served");
}

#[test]
fn another_certificate_is_shown_without_a_restart_and_one_without_its_key_is_not() {
    let (upstream, pair, next) = (Upstream::good(), self_signed(), self_signed());
    let gateway = behind_tls(&upstream, &pair).start();
    let called = |pair: &Pair| curl(&gateway, pair, "--http1.1", "echo");
    assert_eq!(called(&pair).1, Some(0));
    assert!(!gateway.after_reload(|| gateway.put("tls.crt", &next.cert)));
    assert_eq!(called(&pair).1, Some(0), "the old pair goes on");
    assert!(gateway.after_reload(|| gateway.put("tls.key", &next.key)));
    assert_eq!(called(&next).1, Some(0));
    assert_ne!(called(&pair).1, Some(0));
    let said = gateway.events("config.error")[0]["message"].to_string();
    assert!(said.contains("they do not belong together"), "{said}");
}

#[test]
fn a_key_of_another_certificate_has_its_place_in_check_and_in_run() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tls.crt", &self_signed().cert);
    write("tls.key", &self_signed().key);
    write(
        "gateway.toml",
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[server.tls]\ncert_file = \"tls.crt\"\n\
         key_file = \"tls.key\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstreams.t]\npath = \"/mcp\"\nurl = \"http://127.0.0.1:1/mcp\"\n",
    );
    for verb in ["check", "run"] {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let config = folder.path().join("gateway.toml");
        let output = doorward.args([verb, "--config"]).arg(config).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{verb}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("they do not belong together"), "{verb}: {said}");
        assert!(said.contains("gateway.toml:5:12"), "{verb}: {said}");
        assert!(!said.contains("panicked"), "{verb}: {said}");
    }
}

#[test]
fn a_system_without_roots_serves_plain_upstreams_and_says_what_https_lacks() {
    let upstream = Upstream::good();
    let no_roots = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let gateway = no_roots.iter().fold(Setup::new(&upstream), |s, (k, v)| s.env(k, v)).start();
    assert_eq!(gateway.ask(&Call::post(tool_call("echo"))).status, 200);
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("gateway.toml");
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
                [upstreams.t]\npath = \"/mcp\"\nurl = \"https://localhost:1/mcp\"\n";
    std::fs::write(&config, text).unwrap();
    for (verb, code) in [("check", 2), ("run", 3)] {
        let mut doorward = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let output =
            doorward.args([verb, "--config"]).arg(&config).envs(no_roots).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{verb}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("the roots for the certificate of upstream `t`"), "{verb}: {said}");
        assert!(!said.contains("panicked"), "{verb}: {said}");
    }
}

/// The upstream is a gateway behind TLS, which knows no token of the first: its 401 shows that
/// the handshake succeeded, and the caller gets a 502 either way.
#[test]
fn an_upstream_is_believed_only_under_its_own_ca() {
    for (right, reason, heard) in
        [(true, "upstream_answer", 1.0), (false, "upstream_unreachable", 0.0)]
    {
        let (upstream, pair) = (Upstream::good(), self_signed());
        let second = behind_tls(&upstream, &pair).start();
        let ca = if right { pair.cert } else { self_signed().cert };
        let url = format!("https://localhost:{}/mcp", second.address.port());
        let first = Setup::at(&url).upstream("ca_file = \"ca.pem\"").file("ca.pem", &ca).start();
        assert_eq!(first.ask(&Call::post(LIST)).status, 502);
        assert_eq!(first.audit(1)[0]["reason"], reason);
        let missing = "doorward_auth_total{result=\"missing\",scheme=\"token\"}";
        assert!((second.metric(missing) - heard).abs() < f64::EPSILON);
        upstream.assert_untouched("no token");
    }
}
