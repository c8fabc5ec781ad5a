//! The command line and its file: every fault at once, with its place, and a plain exit code.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{Setup, Upstream, echo};

fn doorward(verb: &str, path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.args([verb, "--config"]).arg(path).env("NO_COLOR", "1").output().unwrap()
}

fn check(text: &str) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("short.key"), "thirty-one bytes and a line end\n").unwrap();
    let output = doorward("check", &path);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

const GOOD: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:1/mcp"
[roles.reader]
tools = ["t/echo"]
[tokens.a]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "alice"
organization = "acme"
roles = ["reader"]
expires = "never"
"#;

#[test]
fn the_shipped_file_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml");
    let output = doorward("check", &path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
}

#[test]
fn a_good_file_is_said_to_be_good() {
    let (code, said) = check(GOOD);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("good"), "{said}");
}

/// Each change breaks one thing; the report names it and where it is.
#[test]
fn a_broken_file_is_refused_with_the_place_of_its_fault() {
    let cases = [
        ("path = \"/mcp\"", "path = \"/mcp\"\nurll = \"x\"", "unknown key `urll`"),
        ("tools = [\"t/echo\"]", "alow_tools = []", "unknown key `alow_tools`"),
        ("tools = [\"t/echo\"]", "tools = [\"x/echo\"]", "names no upstream"),
        ("tools = [\"t/echo\"]", "tools = [\"echo\"]", "upstream/name"),
        ("tools = [\"t/echo\"]", "tools = [\"t/[\"]", "t/["),
        ("tools = [\"t/echo\"]", "prompts = [\"x/greet\"]", "names no upstream"),
        ("tools = [\"t/echo\"]", "resources = [\"t/docs://{id}\"]", "write * for it"),
        ("tools = [\"t/echo\"]", "deny_resources = [\"docs\"]", "names no upstream"),
        ("path = \"/mcp\"", "path = \"/mcp\"\ntasks = \"on\"", "\"off\" or \"sealed\""),
        ("path = \"/mcp\"", "path = \"/mcp\"\nstream_keep_alive = \"0s\"", "must be from \"1ms\""),
        ("[server]", "[server]\nsession_key_file = \"none.key\"", "cannot be read"),
        ("[server]", "[server]\nsession_key_file = \"short.key\"", "at least 32 bytes"),
        ("roles = [\"reader\"]", "roles = [\"raeder\"]", "did you mean `reader`?"),
        ("roles = [\"reader\"]", "roles = \"reader\"", "an array of strings"),
        ("1111111111\"", "111111111\"", "64 hexadecimal digits"),
        ("user = \"alice\"", "user = \"a,b\"", "visible ASCII"),
        ("user = \"alice\"", "user = \"a\\r\\nX-Org: b\"", "visible ASCII"),
        ("user = \"alice\"\n", "", "`user` is missing"),
        ("expires = \"never\"\n", "", "`expires` is missing"),
        ("expires = \"never\"", "expires = \"soon\"", "must be a date"),
        ("path = \"/mcp\"", "path = \"mcp\"", "must begin with"),
        ("path = \"/mcp\"", "path = \"/.well-known/x\"", ".well-known"),
        ("url = \"http://127.0.0.1:1/mcp\"", "url = \"ftp://x\"", "http://"),
        ("url = \"http://127.0.0.1:1/mcp\"", "url = \"http://u:p@x/\"", "without user name"),
        ("url = \"http://127.0.0.1:1/mcp\"\n", "", "needs either `url` or `builtin`"),
        ("listen = [\"127.0.0.1:0\"]", "listen = [\"0.0.0.0:0\"]", "is not loopback"),
        ("listen = [\"127.0.0.1:0\"]", "listen = [\"localhost\"]", "must be an IP address"),
        ("[roles.reader]", "[limits]\nrequest_body = \"4 pounds\"\n[roles.reader]", "a size"),
        (
            "[roles.reader]",
            "[limits]\nhead_timeout = \"0s\"\n[roles.reader]",
            "must be from \"1ms\" to \"24h\"",
        ),
        ("[roles.reader]", "[identity]\nuser_header = \"Host\"\n[roles.reader]", "its own meaning"),
        ("[roles.reader]", "[roles.reader", "gateway.toml"),
    ];
    for (from, to, wanted) in cases {
        assert!(GOOD.contains(from), "{from}");
        let (code, said) = check(&GOOD.replacen(from, to, 1));
        assert_eq!(code, Some(2), "{to}: {said}");
        assert!(said.contains(wanted), "{to}: {wanted:?} is not in\n{said}");
        assert!(said.contains("gateway.toml:"), "{to}: no place in\n{said}");
    }
}

#[test]
fn all_faults_are_reported_at_once_with_line_and_column() {
    let text = GOOD
        .replacen("organization = \"acme\"", "organisation = \"acme\"", 1)
        .replacen("path = \"/mcp\"", "path = \"mcp\"", 1)
        .replacen("roles = [\"reader\"]", "roles = [\"writer\"]", 1);
    let (code, said) = check(&text);
    assert_eq!(code, Some(2));
    for place in ["gateway.toml:7:8", "gateway.toml:14:1", "gateway.toml:15:10"] {
        assert!(said.contains(place), "{place} is not in\n{said}");
    }
    // That `organization` is missing is the same fault as the other key in its place.
    assert!(said.contains("3 errors"), "{said}");
}

#[test]
fn a_demo_token_is_refused_beyond_loopback() {
    let demo = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2";
    let text = GOOD
        .replacen("127.0.0.1:0\"]", "0.0.0.0:0\"]\nplaintext = \"behind-proxy\"", 1)
        .replacen(&"1".repeat(64), demo, 1);
    let (code, said) = check(&text);
    assert!(code == Some(2) && said.contains("public demo token"), "{said}");
}

/// What a proxy on the same machine forwards comes from loopback.
#[test]
fn a_demo_token_is_refused_behind_a_proxy_by_check_run_and_reload() {
    let demo = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2";
    let local = GOOD.replacen(&"1".repeat(64), demo, 1);
    assert_eq!(check(&local).0, Some(0));
    for line in [
        "public_url = \"https://mcp.example.com\"",
        "allowed_hosts = [\"mcp.example.com\"]",
        "allowed_origins = [\"https://app.example.com\"]",
        "plaintext = \"behind-proxy\"",
    ] {
        let text = local.replacen("[server]", &format!("[server]\n{line}"), 1);
        let (code, said) = check(&text);
        assert!(code == Some(2) && said.contains("public demo token"), "{line}: {said}");
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).unwrap();
        assert_eq!(doorward("run", &path).status.code(), Some(2), "{line}");
    }
    let upstream = Upstream::good();
    let digest = crate::support::gateway::sha256("dev-alice-token");
    let who = "user = \"alice\"\norganization = \"dev-org\"\ntools = [\"t/echo\"]\n";
    let entry = format!("[tokens.demo]\nsha256 = \"{digest}\"\n{who}expires = \"never\"\n");
    let gateway = Setup::new(&upstream).more(&entry).start();
    let public = "[server]\npublic_url = \"https://mcp.example.com\"\n";
    assert!(!gateway.edit("[server]\n", public), "a reload takes what check refuses");
    let call = echo().token("dev-alice-token");
    assert_eq!(gateway.ask(&call.clone().header("Host", "mcp.example.com")).status, 421);
    assert!(gateway.edit(&entry, ""), "without the entry it is good");
    assert_eq!(gateway.ask(&call.header("Host", "mcp.example.com")).status, 401);
    upstream.assert_untouched("nobody was let in");
}

#[test]
fn an_issuer_of_the_whole_world_is_refused_by_check_run_and_reload() {
    let upstream = Upstream::good();
    let issuer = |url: &str| {
        format!(
            "[issuers.ci]\nissuer = \"{url}\"\njwks_url = \"https://127.0.0.1:9/keys\"\n\
             organization = \"ci\"\nroles = [\"reader\"]\n"
        )
    };
    let own = "https://ci.example.com";
    let public = "public_url = \"https://mcp.example.com\"";
    let gateway = Setup::new(&upstream).server(public).more(&issuer(own)).start();
    let path = gateway.folder().join("gateway.toml");
    assert_eq!(doorward("check", &path).status.code(), Some(0));
    for (url, said) in [
        ("https://token.actions.githubusercontent.com", "anybody in the world"),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "holds a placeholder"),
    ] {
        assert!(!gateway.edit(own, url), "{url}");
        for verb in ["check", "run"] {
            let output = doorward(verb, &path);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{verb} {url}: {text}");
            assert!(text.contains(said), "{verb} {url}: {text}");
        }
        assert!(gateway.edit(url, own));
    }
}

#[test]
fn one_secret_under_two_names_is_refused() {
    let token = &GOOD[GOOD.find("[tokens.a]").unwrap()..];
    let (code, said) = check(&format!("{GOOD}{}", token.replace("tokens.a", "tokens.b")));
    assert!(code == Some(2) && said.contains("same digest"), "{said}");
}

#[test]
fn run_refuses_what_check_refuses() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    assert_eq!(doorward("run", &path).status.code(), Some(2), "no file");
    std::fs::write(&path, "[server]\nlistne = []").unwrap();
    let output = doorward("run", &path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("did you mean `listen`?"), "{said}");
}

#[test]
fn a_port_in_use_is_one_sentence_and_exit_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    for (from, listener) in [
        ("listen = [\"127.0.0.1:0\"]", format!("listen = [\"{address}\"]")),
        ("listen = \"127.0.0.1:0\"", format!("listen = \"{address}\"")),
    ] {
        std::fs::write(&path, GOOD.replacen(from, &listener, 1)).unwrap();
        let output = doorward("run", &path);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        let id = std::process::id();
        let sentence = format!("doorward: {address} is in use by process {id} (");
        assert!(said.contains(&sentence), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn health_says_whether_the_gateway_of_this_file_is_ready() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gateway.toml");
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", admin.local_addr().unwrap());
    std::fs::write(&path, GOOD.replacen("listen = \"127.0.0.1:0\"", &listen, 1)).unwrap();
    for (answer, code, said) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 0, "ready\n"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 1, "answers 503\n"),
        ("SSH-2.0-OpenSSH_9\r\n", 1, "does not answer as HTTP\n"),
    ] {
        let output = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = admin.accept().unwrap();
                assert!(BufReader::new(&stream).lines().any(|line| line.unwrap().is_empty()));
                stream.write_all(answer.as_bytes()).unwrap();
            });
            doorward("health", &path)
        });
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{printed}");
        assert!(printed.ends_with(said), "{printed}");
    }
    drop(admin);
    assert_eq!(doorward("health", &path).status.code(), Some(1), "nobody listens");
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(doorward("health", &path).status.code(), Some(2), "port 0");
}

#[test]
fn no_arguments_print_the_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_doorward")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage"));
}

/// Whoever comes by a name that the file allows, with or without the port that clients leave out.
#[test]
fn the_default_port_is_the_same_as_none_and_any_scheme_can_be_an_origin() {
    let upstream = Upstream::good();
    let gateway = Setup::new(&upstream)
        .server("public_url = \"https://MCP.example.com:443\"")
        .server("allowed_hosts = [\"gw:443\", \"plain\", \"gw:8080\"]")
        .server("allowed_origins = [\"chrome-extension://abcdef\", \"null\", \"tauri://localhost\", \"https://app.example:443\"]")
        .start();
    let ask = |name: &str, value: &str| gateway.ask(&echo().header(name, value)).status;
    for host in [
        "mcp.example.com",
        "mcp.example.com:443",
        "MCP.Example.Com",
        "gw",
        "gw:443",
        "plain",
        "plain:80",
        "plain:443",
        "gw:8080",
    ] {
        assert_eq!(ask("Host", host), 200, "{host}");
    }
    for origin in [
        "https://mcp.example.com",
        "chrome-extension://abcdef",
        "null",
        "tauri://localhost",
        "https://app.example",
        "https://gw",
        "http://gw:8080",
    ] {
        assert_eq!(ask("Origin", origin), 200, "{origin}");
    }
    let before = upstream.requests().len();
    for host in ["mcp.example.com:80", "mcp.example.com:8443", "gw:80", "plain:8080", "evil"] {
        assert_eq!(ask("Host", host), 421, "{host}");
    }
    for origin in [
        "http://mcp.example.com",
        "chrome-extension://other",
        "tauri://evil",
        "http://app.example",
        "https://app.example:8443",
        "https://evil",
        "moz-extension://abcdef",
        "file://",
    ] {
        assert_eq!(ask("Origin", origin), 403, "{origin}");
    }
    assert_eq!(upstream.requests().len(), before);
    assert!(!gateway.edit("\"plain\"", "\"*\""), "a reload takes what check refuses");
    assert_eq!(ask("Host", "plain"), 200);
}
