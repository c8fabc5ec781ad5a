//! Certificates on both sides: those that clients show to the gateway, and that it shows itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::support::{
    ALICE, Call, Gateway, LIST, Next, PATIENCE, Setup, Upstream, echo, eventually, json, sse,
    tool_call,
};

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, names: &[SanType]) -> Pair {
        self.sign_with(names, |_| {})
    }

    fn sign_with(&self, names: &[SanType], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// Another that this one vouches for, with the certificate of that.
    fn below(&self, change: impl FnOnce(&mut CertificateParams)) -> (Self, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "below");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issued = CertifiedIssuer::signed_by(params, key, &self.0).unwrap();
        let cert = issued.pem();
        (Self(issued), cert)
    }

    /// For a server on this machine.
    fn localhost(&self) -> Pair {
        self.sign(&[SanType::DnsName("localhost".try_into().unwrap())])
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// Robbie may do what alice may; he has no token.
fn robbie(name: &str) -> String {
    format!(
        "[tokens.robbie-cert]\nsan = \"{name}\"\nuser = \"robbie\"\norganization = \"acme\"\n\
         roles = [\"reader\"]\nexpires = \"never\"\n"
    )
}

const ROBBIE: &str = "spiffe://acme/robbie";

fn gateway(upstream: &Upstream, authority: &Authority, auth: &str) -> Setup {
    let own = authority.localhost();
    let tls = "[server.tls]\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\nclient_ca_file = \"ca.pem\"";
    Setup::new(upstream)
        .server(&format!("{tls}\n{auth}"))
        .file("tls.crt", &own.cert)
        .file("tls.key", &own.key)
        .file("ca.pem", &authority.pem())
        .more(&robbie(&format!("uri:{ROBBIE}")))
}

/// What curl says of a call of `echo`: HTTP version and status.
fn curl(gateway: &Gateway, ca: &Authority, pair: Option<&Pair>, options: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--cacert"]).arg(file("ca.pem", &ca.pem())).args(options);
    if let Some(pair) = pair {
        curl.arg("--cert").arg(file("cert", &pair.cert));
        curl.arg("--key").arg(file("key", &pair.key));
    }
    let port = gateway.address.port();
    let output = curl
        .args(["--write-out", "%{http_version} %{http_code}", "--output", "/dev/null"])
        .args(["--header", "Content-Type: application/json", "--header", "X-User-ID: root"])
        .args(["--data", &tool_call("echo"), &format!("https://localhost:{port}/mcp")])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn bearer() -> [String; 2] {
    ["--header".to_owned(), format!("Authorization: Bearer {ALICE}")]
}

#[test]
fn a_certificate_is_as_good_as_a_token_over_either_version_of_http() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let gateway = gateway(&upstream, &authority, "").start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    for (option, expected) in [("--http1.1", "1.1 200"), ("--http2", "2 200")] {
        assert_eq!(curl(&gateway, &authority, Some(&pair), &[option]), expected);
    }
    for request in upstream.requests() {
        assert_eq!(request.values("x-user-id"), ["robbie"]);
    }
    assert_eq!(gateway.audit(2)[0]["token"], "robbie-cert");
    assert_eq!(gateway.metric("doorward_auth_total{result=\"ok\",scheme=\"mtls\"}"), 2.0);
}

#[test]
fn a_certificate_that_nobody_named_or_two_did_proves_nobody() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let second = robbie("dns:robbie").replace("robbie-cert", "robbie-two");
    let gateway = gateway(&upstream, &authority, "").more(&second).start();
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for names in [
        vec![],
        vec![uri("spiffe://acme/robbie/x")],
        // The same text, as another kind of name.
        vec![SanType::Rfc822Name("spiffe://acme/robbie".try_into().unwrap())],
        vec![uri("robbie")],
        vec![uri(ROBBIE), dns("robbie")],
    ] {
        let pair = authority.sign(&names);
        assert_eq!(curl(&gateway, &authority, Some(&pair), &["--http2"]), "2 401", "{names:?}");
        upstream.assert_untouched("nobody");
    }
}

#[test]
fn a_token_that_is_sent_is_meant() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let gateway = gateway(&upstream, &authority, "").start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    let wrong = ["--header", "Authorization: Bearer nonsense"];
    assert_eq!(curl(&gateway, &authority, Some(&pair), &wrong), "2 401");
    let basic = ["--header", "Authorization: Basic eDp5"];
    assert_eq!(curl(&gateway, &authority, Some(&pair), &basic), "2 401");
    upstream.assert_untouched("a wrong token");
    let right = bearer();
    let right = right.each_ref().map(String::as_str);
    assert_eq!(curl(&gateway, &authority, Some(&pair), &right), "2 200");
    assert_eq!(upstream.only_request().values("x-user-id"), ["alice"]);
}

#[test]
fn a_certificate_of_another_authority_does_not_get_in() {
    let (upstream, authority, foreign) = (Upstream::good(), Authority::new(), Authority::new());
    let gateway = gateway(&upstream, &authority, "").start();
    let forged = foreign.sign(&[uri(ROBBIE)]);
    assert!(curl(&gateway, &authority, Some(&forged), &[]).ends_with("000"), "no handshake");
    assert_eq!(curl(&gateway, &authority, None, &[]), "2 401", "it is not required");
    upstream.assert_untouched("a forged certificate");
    // Which authority it is may change.
    let pair = authority.sign(&[uri(ROBBIE)]);
    assert_eq!(curl(&gateway, &authority, Some(&pair), &[]), "2 200");
    assert!(gateway.after_reload(|| gateway.put("ca.pem", &foreign.pem())));
    assert!(curl(&gateway, &authority, Some(&pair), &[]).ends_with("000"));
    assert_eq!(curl(&gateway, &authority, Some(&forged), &[]), "2 200");
}

/// What `openssl s_client` prints of a call of `echo` without a token, over TLS 1.2.
fn s_client(gateway: &Gateway, folder: &TempDir, options: &[&str]) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-ign_eof", "-servername", "localhost", "-CAfile", "ca.pem"])
        .args(["-connect", &format!("127.0.0.1:{}", gateway.address.port())])
        .args(options)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let call = echo().without("Authorization").header("Connection", "close");
    client.stdin.take().unwrap().write_all(&call.bytes(gateway.address)).unwrap();
    String::from_utf8_lossy(&client.wait_with_output().unwrap().stdout).into_owned()
}

#[test]
fn a_resumed_session_does_not_bring_back_an_authority_that_was_taken_away() {
    let (upstream, authority, next) = (Upstream::good(), Authority::new(), Authority::new());
    let gateway = gateway(&upstream, &authority, "").start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    let folder = TempDir::new().unwrap();
    for (name, text) in [("ca.pem", &authority.pem()), ("cert", &pair.cert), ("key", &pair.key)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let first = s_client(&gateway, &folder, &["-cert", "cert", "-key", "key", "-sess_out", "sess"]);
    assert!(first.contains("HTTP/1.1 200"), "{first}");
    let resumed = s_client(&gateway, &folder, &["-sess_in", "sess"]);
    assert!(resumed.contains("Reused") && resumed.contains("HTTP/1.1 200"), "{resumed}");
    assert!(gateway.after_reload(|| gateway.put("ca.pem", &next.pem())));
    let resumed = s_client(&gateway, &folder, &["-sess_in", "sess"]);
    assert!(!resumed.contains("Reused") && resumed.contains("HTTP/1.1 401"), "{resumed}");
    assert_eq!(upstream.requests().len(), 2);
}

/// How somebody speaks TLS, who remembers sessions.
fn speaking(
    version: &'static SupportedProtocolVersion,
    authority: &Authority,
    pair: Option<&Pair>,
    alpn: &[u8],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
    let mut config = match pair {
        None => builder.with_no_client_auth(),
        Some(Pair { cert, key }) => {
            let chain = CertificateDer::pem_slice_iter(cert.as_bytes()).map(Result::unwrap);
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.collect(), key).unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(gateway: &Gateway, config: &Arc<ClientConfig>) -> Tls {
    let name = "localhost".try_into().unwrap();
    let socket = TcpStream::connect(gateway.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// All that comes until the connection ends. An alert and a reset are ends, too; silence is not.
fn rest(stream: &mut Tls) -> String {
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// What comes for a call of alice on a connection of its own, and whether its session was resumed.
fn called(gateway: &Gateway, config: &Arc<ClientConfig>) -> (String, bool) {
    let mut stream = connect(gateway, config);
    let call = echo().header("Connection", "close");
    let _ = stream.write_all(&call.bytes(gateway.address));
    let answer = rest(&mut stream);
    (answer, stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
}

const OPTIONAL: &str = "client_auth = \"optional\"";
const REQUIRED: &str = "client_auth = \"required\"";
const ACK: &str = "[reload]\nwidening = \"ack\"\n";

/// Edits of a file after which [`OPTIONAL`] is no longer enough: taken, or held for what else they
/// give.
fn require(gateway: &Gateway, is_held: bool) {
    let file = gateway.folder().join("gateway.toml");
    let text = std::fs::read_to_string(file).unwrap().replace(OPTIONAL, REQUIRED);
    if is_held {
        let give = text.replace("[tokens.carol-key]", "[tokens.carol-key]\ntools = [\"t/x\"]");
        gateway.put("gateway.toml", &give);
        eventually("it is held", || gateway.events("config.held").len() == 1);
    } else {
        assert!(gateway.after_reload(|| gateway.put("gateway.toml", &text)));
    }
}

#[test]
fn a_session_without_a_certificate_is_not_resumed_once_one_is_required() {
    for (version, is_held) in [(&TLS12, false), (&TLS13, false), (&TLS12, true), (&TLS13, true)] {
        let (upstream, authority) = (Upstream::good(), Authority::new());
        let gateway = gateway(&upstream, &authority, OPTIONAL).more(ACK).start();
        let config = speaking(version, &authority, None, b"http/1.1");
        assert!(!called(&gateway, &config).1);
        let (answer, is_resumed) = called(&gateway, &config);
        assert!(is_resumed && answer.starts_with("HTTP/1.1 200"), "{version:?}: {answer}");
        // A file that changes nothing about this leaves sessions alone.
        assert!(gateway.after_reload(|| gateway.signal("-HUP")));
        assert!(called(&gateway, &config).1, "{version:?}");
        require(&gateway, is_held);
        let (answer, is_resumed) = called(&gateway, &config);
        assert!(!is_resumed && answer.is_empty(), "{version:?} {is_held}: {answer}");
        assert_eq!(upstream.requests().len(), 3, "{version:?} {is_held}");
        let pair = authority.sign(&[uri(ROBBIE)]);
        let shown = speaking(version, &authority, Some(&pair), b"http/1.1");
        assert!(called(&gateway, &shown).0.starts_with("HTTP/1.1 200"));
        assert!(called(&gateway, &shown).1, "with a certificate it is");
    }
}

/// Connections that are open and idle, each after a first request or greeting: with what they say
/// then.
fn kept(gateway: &Gateway, authority: &Authority, pair: Option<&Pair>) -> [Tls; 2] {
    let mut one = connect(gateway, &speaking(&TLS13, authority, pair, b"http/1.1"));
    one.write_all(&echo().bytes(gateway.address)).unwrap();
    let mut status = [0; 12];
    one.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut two = connect(gateway, &speaking(&TLS12, authority, pair, b"h2"));
    two.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut settings = [0; 9];
    two.read_exact(&mut settings).unwrap();
    [one, two]
}

#[test]
fn a_connection_that_was_open_before_ends_where_what_it_has_shown_is_not_enough() {
    for is_held in [false, true] {
        let (upstream, authority) = (Upstream::good(), Authority::new());
        let gateway = gateway(&upstream, &authority, OPTIONAL).more(ACK).start();
        let pair = authority.sign(&[uri(ROBBIE)]);
        let without = kept(&gateway, &authority, None);
        let [mut with, _] = kept(&gateway, &authority, Some(&pair));
        require(&gateway, is_held);
        for mut stream in without {
            let _ = stream.write_all(&echo().bytes(gateway.address));
            let more = rest(&mut stream);
            assert!(!more.contains("HTTP/1.1"), "{is_held}: {more}");
        }
        assert_eq!(upstream.requests().len(), 2, "{is_held}");
        // One that has shown what is wanted goes on.
        let call = echo().header("Connection", "close");
        with.write_all(&call.bytes(gateway.address)).unwrap();
        assert!(rest(&mut with).contains("HTTP/1.1 200"), "{is_held}");
    }
}

#[test]
fn a_connection_ends_with_the_authority_of_its_certificate() {
    let (upstream, authority, next) = (Upstream::good(), Authority::new(), Authority::new());
    let gateway = gateway(&upstream, &authority, OPTIONAL).start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    let shown = kept(&gateway, &authority, Some(&pair));
    let [mut without, _] = kept(&gateway, &authority, None);
    assert!(gateway.after_reload(|| gateway.put("ca.pem", &next.pem())));
    for mut stream in shown {
        let _ = stream.write_all(&echo().without("Authorization").bytes(gateway.address));
        assert!(!rest(&mut stream).contains("HTTP/1.1"));
    }
    without.write_all(&echo().header("Connection", "close").bytes(gateway.address)).unwrap();
    assert!(rest(&mut without).contains("HTTP/1.1 200"), "it has shown none, and need not");
    assert_eq!(upstream.requests().len(), 3);
}

/// Ends in so few seconds that a test can wait for it, and not before a handshake.
fn soon(params: &mut CertificateParams) {
    let since_1970 = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let end = std::time::Duration::from_secs(since_1970 + 4);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
}

/// Opens a listener and a call that never end by themselves, and says how they do. A file that
/// changes nothing of this is read meanwhile.
fn ended_with(gateway: &Gateway, authority: &Authority, pair: &Pair) {
    let config = speaking(&TLS13, authority, Some(pair), b"http/1.1");
    let mut open = [Call::empty("GET"), echo()].map(|call| {
        let mut stream = connect(gateway, &config);
        let call = call.without("Authorization").header("Connection", "close");
        stream.write_all(&call.bytes(gateway.address)).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        stream
    });
    let mut idle = connect(gateway, &config);
    idle.write_all(&Call::post(LIST).without("Authorization").bytes(gateway.address)).unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    assert!(gateway.edit("[limits]\n", "[limits]\nin_flight = 7\n"));
    let [listened, called] = open.each_mut().map(rest);
    assert!(!listened.contains("Unauthorized") && called.contains("Unauthorized"), "{called}");
    for kind in ["get", "call"] {
        let closed = "doorward_streams_closed_total";
        gateway
            .counts(&format!("{closed}{{kind=\"{kind}\",reason=\"expired\",upstream=\"t\"}}"), 1.0);
    }
    let is_record = |line: &&str| {
        line.contains(r#""kind":"request""#) && line.contains("the stream was ended: expired")
    };
    eventually("records say why", || gateway.output().lines().filter(is_record).count() == 2);
    // Nor does it open anything more, here or on a connection of its own.
    let again = echo().without("Authorization").header("Connection", "close");
    idle.write_all(&again.bytes(gateway.address)).unwrap();
    assert!(rest(&mut idle).contains("HTTP/1.1 401"));
    assert!(curl(gateway, authority, Some(pair), &[]).ends_with("000"));
}

#[test]
fn the_end_of_a_certificates_time_ends_its_streams() {
    let authority = Authority::new();
    let leaf = || authority.sign_with(&[uri(ROBBIE)], soon);
    // Whoever vouches for it may end before it.
    let by_another = || {
        let (below, cert) = authority.below(soon);
        let leaf = below.sign(&[uri(ROBBIE)]);
        Pair { cert: leaf.cert + &cert, ..leaf }
    };
    let upstream = Upstream::script(|request, wire| {
        if String::from_utf8_lossy(&request.body).contains("tools/list") {
            wire.send(json("200 OK", "", r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#));
            return Next::Keep;
        }
        wire.send(sse());
        wire.chunk(": hello\n\n");
        wire.wait_closed();
        Next::Close
    });
    for pair in [&leaf as &dyn Fn() -> Pair, &by_another] {
        let gateway = gateway(&upstream, &authority, "").start();
        // The stream of a token is not concerned, whoever shows a certificate with it.
        let shown = authority.sign(&[uri(ROBBIE)]);
        let mut other = connect(&gateway, &speaking(&TLS13, &authority, Some(&shown), b"http/1.1"));
        other.write_all(&Call::empty("GET").bytes(gateway.address)).unwrap();
        other.read_exact(&mut [0; 12]).unwrap();
        ended_with(&gateway, &authority, &pair());
        gateway.counts("doorward_streams_active{kind=\"get\",upstream=\"t\"}", 1.0);
    }
}

#[test]
fn where_a_certificate_is_required_a_token_is_not_enough() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let gateway = gateway(&upstream, &authority, "client_auth = \"required\"").start();
    let token = bearer();
    let token = token.each_ref().map(String::as_str);
    assert!(curl(&gateway, &authority, None, &token).ends_with("000"));
    upstream.assert_untouched("no certificate");
    let pair = authority.sign(&[]);
    assert_eq!(curl(&gateway, &authority, Some(&pair), &token), "2 200");
}

#[test]
fn a_revoked_entry_refuses_its_certificate() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let gateway = gateway(&upstream, &authority, "").start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    assert_eq!(curl(&gateway, &authority, Some(&pair), &[]), "2 200");
    assert!(gateway.edit("[tokens.robbie-cert]", "[tokens.robbie-cert]\nrevoked = 2020-01-01"));
    assert_eq!(curl(&gateway, &authority, Some(&pair), &[]), "2 401");
    assert_eq!(gateway.audit(2)[1]["reason"], "revoked");
}

/// The upstream is a second gateway that wants to see a certificate.
#[test]
fn the_gateway_shows_its_own_certificate_to_an_upstream_that_wants_one() {
    let (upstream, authority) = (Upstream::good(), Authority::new());
    let second = gateway(&upstream, &authority, "client_auth = \"required\"").start();
    let pair = authority.sign(&[uri(ROBBIE)]);
    let url = format!("https://localhost:{}/mcp", second.address.port());
    let first = |lines: &str| {
        Setup::at(&url)
            .upstream("ca_file = \"ca.pem\"")
            .upstream(lines)
            .file("ca.pem", &authority.pem())
            .file("own.crt", &pair.cert)
            .file("own.key", &pair.key)
            .start()
    };
    let without = first("");
    assert_eq!(without.ask(&echo()).status, 502);
    upstream.assert_untouched("no certificate");
    let with = first("client_cert_file = \"own.crt\"\nclient_key_file = \"own.key\"");
    assert_eq!(with.ask(&echo()).status, 200);
    assert_eq!(upstream.only_request().values("x-user-id"), ["robbie"], "the second one's caller");
    // Another certificate is shown as soon as it lies there.
    let other = authority.sign(&[uri("spiffe://acme/nobody")]);
    assert!(with.after_reload(|| {
        with.put("own.crt", &other.cert);
        with.put("own.key", &other.key);
    }));
    assert_eq!(with.ask(&Call::post(tool_call("echo"))).status, 502, "the second one's 401");
    assert_eq!(upstream.requests().len(), 1);
}
