//! How clients write where they find us, and what they never write.

use super::tests::{UPSTREAM, findings, read, token};

fn server(key: &str, value: &str) -> Vec<String> {
    findings(&format!("[server]\n{key} = {value}\n{}", token("")))
}

#[test]
fn a_public_url_that_nobody_can_type_is_refused() {
    for (url, said) in [
        ("http://x:99999", "ends in `:99999`, and a port is from 1 to 65535"),
        ("http://x:65536", "a port is"),
        ("http://x:0", "a port is"),
        ("http://x:", "a port is"),
        ("http://x:+80", "a port is"),
        ("http://x:8o", "a port is"),
        ("http://[::1]x", "a port is"),
        ("http://*", "must not hold `*`"),
        ("https://*.example.com", "must not hold `*`"),
        ("https://x.example.com:*", "a port is"),
        ("https://x#frag", "a fragment"),
        ("https://x/#frag", "a fragment"),
        ("https://x#", "a fragment"),
        ("https://x?", "a query"),
        ("https://x/?q", "a query"),
        ("https://x/mcp", "no path"),
        ("https://x//", "no path"),
        ("https://x/.", "no path"),
        ("https://x\\\\y", "no path"),
        ("https://u@x", "without user name"),
        ("https://u:p@x", "without user name"),
        ("https://@x", "without user name"),
        ("https://", "and a host"),
        ("https:///", "and a host"),
        ("https:x", "must begin with"),
        ("//x", "must begin with"),
        ("x", "must begin with"),
        ("ftp://x", "must begin with"),
        ("tauri://localhost", "must begin with"),
        ("null", "must begin with"),
        ("https://a..b", "must be a host"),
        ("https://.a", "must be a host"),
        ("https://a b", "must be a host"),
        ("https://a,b", "must be a host"),
        ("https://a%2eb", "must be a host"),
        ("https://{name}", "must be a host"),
        ("https://größe.example", "xn--"),
        ("https://x ", "must be a host"),
        (" https://x", "must begin with"),
        ("https://127.1", "no IP address"),
        ("https://0x7f.0.0.1", "no IP address"),
        ("https://2130706433", "no IP address"),
        ("https://1.2.3.999", "no IP address"),
        ("https://[::g]", "IPv6"),
        ("https://[0:0:0:0:0:0:0:1]", "which clients write as [::1]"),
        ("https://::1", "must be a host"),
    ] {
        let shown = server("public_url", &format!("\"{url}\""));
        assert!(shown[0].contains("`public_url` "), "{url}: {shown:?}");
        assert!(shown[0].contains(said), "{url}: {said:?} is not in {shown:?}");
    }
}

#[test]
fn a_public_url_is_read_as_clients_write_it() {
    for (url, wanted) in [
        ("https://mcp.example.com", "https://mcp.example.com/"),
        ("https://mcp.example.com/", "https://mcp.example.com/"),
        ("https://mcp.example.com:443", "https://mcp.example.com/"),
        ("http://mcp.example.com:80/", "http://mcp.example.com/"),
        ("http://mcp.example.com:443", "http://mcp.example.com:443/"),
        ("HTTPS://MCP.Example.COM:8443", "https://mcp.example.com:8443/"),
        ("http://127.0.0.1:08080", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("http://under_score:1", "http://under_score:1/"),
        ("https://xn--gre-6ka8e.example.", "https://xn--gre-6ka8e.example./"),
    ] {
        let config = read(&format!("{UPSTREAM}[server]\npublic_url = \"{url}\"\n")).unwrap();
        assert_eq!(config.settings.public_url.unwrap().to_string(), wanted, "{url}");
    }
}

#[test]
fn a_host_that_stands_in_no_request_is_refused() {
    for host in [
        "*",
        "*.x",
        "x:*",
        "http://x",
        "https://x:1",
        "//x",
        "x/",
        "x/mcp",
        "x?",
        "x#",
        "u@x",
        "",
        ":80",
        "x:",
        "x:0",
        "x:70000",
        "x y",
        "x,y",
        " x",
        "::1",
        "[::1",
        "[x]",
        "127.1",
        "10",
        "1.2.3.4.5",
        "[0::1]:80",
        "ä",
        "x:80:80",
    ] {
        let shown = server("allowed_hosts", &format!("[\"good\", \"{host}\"]"));
        assert_eq!(shown.len(), 1, "{host}: {shown:?}");
        assert!(shown[0].contains("`allowed_hosts` "), "{host}: {shown:?}");
    }
    for host in ["x", "X.example:8080", "gw_1", "10.0.0.1", "[::1]:80", "localhost.", "a-b", "1a"] {
        let shown = server("allowed_hosts", &format!("[\"{host}\"]"));
        assert!(shown.is_empty(), "{host}: {shown:?}");
    }
}

#[test]
fn an_origin_that_no_browser_writes_is_refused() {
    for origin in [
        "*",
        "https://*.x",
        "https://*",
        "*://x",
        "chrome-extension://*",
        "https://x/",
        "x",
        "https://x/app",
        "https://x?",
        "https://x#",
        "https://u@x",
        "https://",
        "https:x",
        "",
        "https://x:99999",
        "https://x:",
        "ws://x",
        "wss://x",
        "ftp://x",
        "data://x",
        "file:///x",
        "blob://x",
        "about://blank",
        "tauri://",
        "tauri://localhost/",
        "app://a b",
        "Null",
        "1://x",
        "null,null",
        "https://x, https://y",
        "https://127.1",
        "https://ä",
        "chrome-extension:abc",
    ] {
        let shown = server("allowed_origins", &format!("[\"{origin}\"]"));
        assert_eq!(shown.len(), 1, "{origin}: {shown:?}");
        assert!(shown[0].contains("`allowed_origins` "), "{origin}: {shown:?}");
    }
    for (origin, wanted) in [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example:443", "https://app.example"),
        ("http://localhost:6274", "http://localhost:6274"),
        ("http://[::1]:80", "http://[::1]"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", ""),
        ("moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc", ""),
        ("safari-web-extension://2C127FA4-62C7", "safari-web-extension://2c127fa4-62c7"),
        ("vscode-webview://0abc1def", ""),
        ("vscode-file://vscode-app", ""),
        ("tauri://localhost", ""),
        ("capacitor://localhost:8100", ""),
        ("app://obsidian.md", ""),
        ("file://", ""),
        ("null", ""),
    ] {
        let text = format!("{UPSTREAM}[server]\nallowed_origins = [\"{origin}\"]\n");
        let read = read(&text).unwrap().settings.allowed_origins;
        assert_eq!(read, [if wanted.is_empty() { origin } else { wanted }]);
    }
}

#[test]
fn no_url_loses_a_part_of_it_silently() {
    for url in ["http://h/x#y", "http://h:99999/", "http://h:/", "http://*/", "http://a..b/"] {
        let text = UPSTREAM.replace("http://127.0.0.1:9/mcp", url);
        assert!(read(&text).unwrap_err().to_string().contains("`url` "), "{url}");
        let issuer = format!(
            "{UPSTREAM}[server]\npublic_url = \"https://x\"\n[issuers.i]\norganization = \"o\"\n\
             issuer = \"{url}\"\njwks_url = \"{}\"\n",
            url.replace("http:", "https:")
        );
        let said = read(&issuer).unwrap_err().to_string();
        for key in ["`issuer` ", "`jwks_url` "] {
            assert!(said.contains(key), "{url}: {said}");
        }
    }
}

/// What the file says of the outside, and whether that is this machine alone.
const SAYS: [(&str, bool); 29] = [
    ("", true),
    ("listen = [\"127.0.0.1:1\", \"[::1]:1\", \"127.9.9.9:2\"]", true),
    ("public_url = \"http://localhost:8080\"", true),
    ("public_url = \"https://127.0.0.1\"", true),
    ("public_url = \"http://[::1]:80\"", true),
    ("public_url = \"http://doorward.localhost\"", true),
    ("allowed_hosts = [\"localhost\", \"127.3.2.1:9\", \"[::1]\", \"a.LOCALHOST:1\"]", true),
    ("allowed_origins = [\"http://localhost:6274\", \"http://127.0.0.1\"]", true),
    ("allowed_origins = [\"vscode-webview://abc\", \"tauri://localhost\", \"file://\"]", true),
    (
        "listen = [\"0.0.0.0:8080\"]\nplaintext = \"behind-proxy\"\npublic_url = \"http://[::1]\"",
        false,
    ),
    ("listen = [\"127.0.0.1:1\", \"192.0.2.1:1\"]\nplaintext = \"behind-proxy\"", false),
    ("plaintext = \"behind-proxy\"", false),
    ("public_url = \"https://mcp.example.com\"", false),
    ("public_url = \"https://MCP.example.com:443\"", false),
    ("public_url = \"http://gateway\"", false),
    ("public_url = \"http://192.168.0.7:8080\"", false),
    ("public_url = \"http://0.0.0.0:8080\"", false),
    ("public_url = \"http://[2001:db8::1]\"", false),
    ("public_url = \"https://localhost.example.com\"", false),
    ("public_url = \"https://notlocalhost\"", false),
    ("public_url = \"https://127.0.0.1.nip.io\"", false),
    ("public_url = \"http://[::]\"", false),
    ("allowed_hosts = [\"gateway:8080\"]", false),
    ("allowed_hosts = [\"localhost\", \"mcp.example.com\"]", false),
    ("allowed_hosts = [\"10.0.0.1\"]", false),
    ("allowed_origins = [\"https://app.example\"]", false),
    ("allowed_origins = [\"http://localhost\", \"https://localhost.evil.example\"]", false),
    ("allowed_origins = [\"null\"]", false),
    ("public_url = \"http://localhost\"\nallowed_hosts = [\"x\"]", false),
];

/// An entry whose secret stands in the README.
fn demo(ends: &str) -> String {
    let digest = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2";
    token(ends).replace(super::tests::DIGEST, digest)
}

#[test]
fn a_public_token_lives_where_nothing_speaks_of_the_outside() {
    for (lines, is_local) in SAYS {
        let server = format!("{UPSTREAM}[server]\n{lines}\n");
        assert!(read(&format!("{server}{}", token(""))).is_ok(), "{lines}");
        match (read(&format!("{server}{}", demo(""))), is_local) {
            (Ok(_), true) => {}
            (Err(findings), false) => {
                let said = findings.to_string();
                let count = said.matches("`x` is the public demo token, and ").count();
                assert_eq!(count, 1, "{lines}: {said}");
            }
            (read, _) => panic!("{lines}: {:?}", read.map(|config| config.path)),
        }
    }
}

#[test]
fn a_public_token_that_is_over_lets_nobody_in_and_may_stay() {
    let outside = format!("{UPSTREAM}[server]\npublic_url = \"https://mcp.example.com\"\n");
    for (ends, is_over) in [
        ("revoked = 2020-01-01", true),
        ("revoked = 2026-01-01T00:00:00Z", true),
        ("revoked = 2999-01-01", false),
        ("", false),
    ] {
        assert_eq!(read(&format!("{outside}{}", demo(ends))).is_ok(), is_over, "{ends}");
    }
    for (date, is_over) in [("2020-01-01", true), ("2999-01-01", false), ("\"never\"", false)] {
        let expiring = demo("").replace("\"never\"", date);
        assert_eq!(read(&format!("{outside}{expiring}")).is_ok(), is_over, "{date}");
        let revoked = expiring.replace("expires", "revoked = 2999-01-01\nexpires");
        assert_eq!(read(&format!("{outside}{revoked}")).is_ok(), is_over, "{date}");
    }
}
