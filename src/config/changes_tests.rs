//! Every key of the schema is shown where it changes, and waits where it should.

use super::*;
use crate::core::access::Difference;

const BASE: &str = r#"
[server]
public_url = "https://gw.example"
[server.shutdown]
[admin]
[identity]
[limits]
[reload]
widening = "ack"
[log]
[audit]
[upstreams.t]
path = "/t"
url = "http://127.0.0.1:9/mcp"
[upstreams.u]
path = "/u"
url = "http://127.0.0.1:8/mcp"
[issuers.corp]
issuer = "https://login.example"
jwks_url = "https://login.example/keys"
organization = "acme"
[roles.r]
tools = ["t/a"]
"#;

/// A key of the schema, a value of before and one of after, in TOML, and whether that waits for a
/// word. An empty value is an absent key.
const KEYS: &[(&str, &str, &str, bool)] = &[
    ("server.listen", "['127.0.0.1:8080']", "['127.0.0.1:8081']", true),
    ("server.listen", "['127.0.0.1:8080', '127.0.0.1:8081']", "['127.0.0.1:8080']", false),
    ("server.public_url", "'https://gw.example'", "'https://other.example'", true),
    ("server.allowed_hosts", "[]", "['a.example']", true),
    ("server.allowed_hosts", "['a.example']", "[]", false),
    ("server.allowed_origins", "[]", "['https://a.example']", true),
    ("server.allowed_origins", "['https://a.example']", "[]", false),
    ("server.threads", "1", "2", false),
    ("server.session_key_file", "'one'", "'two'", true),
    ("server.plaintext", "", "'behind-proxy'", true),
    ("server.plaintext", "'behind-proxy'", "", false),
    ("server.shutdown.lame_duck", "'5s'", "'6s'", false),
    ("server.shutdown.drain", "'60s'", "'2m'", false),
    ("admin.listen", "'127.0.0.1:1'", "'127.0.0.1:2'", true),
    ("identity.user_header", "'x-user-id'", "'x-other'", true),
    ("identity.organization_header", "", "'x-other'", true),
    ("upstreams.*.path", "'/t'", "'/other'", true),
    ("upstreams.*.url", "'http://127.0.0.1:9/mcp'", "'http://127.0.0.1:7/mcp'", true),
    ("upstreams.*.credential.bearer_file", "'one'", "'two'", true),
    ("upstreams.*.connect_timeout", "'2s'", "'3s'", false),
    ("upstreams.*.call_timeout", "'60s'", "'3s'", false),
    ("upstreams.*.stream_idle", "'10m'", "'3s'", false),
    ("upstreams.*.stream_max", "'1d'", "'3s'", false),
    ("upstreams.*.stream_keep_alive", "", "'3s'", false),
    ("upstreams.*.tasks", "'off'", "'sealed'", true),
    ("upstreams.*.tasks", "'sealed'", "'off'", false),
    ("issuers.*.issuer", "'https://login.example'", "'https://other.example'", true),
    ("issuers.*.jwks_url", "'https://login.example/keys'", "'https://x.example/keys'", true),
    ("issuers.*.algorithms", "['RS256']", "['RS256', 'ES256']", true),
    ("issuers.*.algorithms", "['RS256', 'ES256']", "['ES256']", false),
    ("issuers.*.audience", "['a']", "['a', 'b']", true),
    ("issuers.*.audience", "['a', 'b']", "['b']", false),
    ("issuers.*.user_claim", "'sub'", "'email'", true),
    ("issuers.*.organization", "'acme'", "'other'", true),
    ("issuers.*.roles", "[]", "['r']", true),
    ("issuers.*.roles", "['r']", "[]", false),
    ("issuers.*.roles_claim", "", "'groups'", true),
    ("issuers.*.upstreams", "['t']", "['t', 'u']", true),
    ("issuers.*.leeway", "'30s'", "'60s'", true),
    ("issuers.*.leeway", "'30s'", "'10s'", false),
    ("issuers.*.max_lifetime", "'1h'", "'2h'", true),
    ("issuers.*.max_lifetime", "", "'2h'", false),
    ("issuers.*.refresh", "'5m'", "'10m'", true),
    ("issuers.*.max_stale", "'1h'", "'2h'", true),
    ("issuers.*.max_stale", "'2h'", "'1h'", false),
    ("limits.request_body", "'1MiB'", "'2MiB'", false),
    ("limits.listing", "'8MiB'", "'2MiB'", false),
    ("limits.buffers", "'256MiB'", "'512MiB'", false),
    ("limits.list_ttl", "'1m'", "'2m'", false),
    ("limits.json_depth", "64", "65", false),
    ("limits.headers", "'32KiB'", "'16KiB'", false),
    ("limits.connections", "1000", "2000", false),
    ("limits.in_flight", "1000", "2000", false),
    ("limits.streams", "1000", "2000", false),
    ("limits.head_timeout", "'10s'", "'11s'", false),
    ("limits.body_timeout", "'30s'", "'31s'", false),
    ("limits.write_timeout", "'60s'", "'61s'", false),
    ("reload.widening", "'ack'", "'apply'", true),
    ("reload.widening", "'apply'", "'ack'", false),
    ("log.level", "'info'", "'debug'", false),
    ("log.format", "'auto'", "'json'", false),
    ("audit.to", "'stdout'", "'off'", true),
    ("audit.on_failure", "'deny'", "'count'", true),
    ("audit.on_failure", "'count'", "'deny'", false),
    ("audit.arguments", "'keys'", "'full'", true),
    ("audit.arguments", "'full'", "'none'", false),
];

/// They are parts of another row, or need keys and certificates.
const ELSEWHERE: [&str; 24] = [
    "server.tls.cert_file",
    "server.tls.key_file",
    "server.tls.client_ca_file",
    "server.tls.client_auth",
    "identity.assertion.header",
    "identity.assertion.key_file",
    "identity.assertion.retired_key_files",
    "identity.assertion.ttl",
    "upstreams.*.builtin",
    "upstreams.*.ca_file",
    "upstreams.*.client_cert_file",
    "upstreams.*.client_key_file",
    "upstreams.*.credential.header",
    "upstreams.*.credential.bearer_env",
    "upstreams.*.credential.file",
    "upstreams.*.credential.env",
    "issuers.*.jwks_file",
    "issuers.*.ca_file",
    "issuers.*.organization_claim",
    "issuers.*.roles_map.*",
    "issuers.*.scopes.*",
    "issuers.*.initial_scopes",
    "audit.file",
    "audit.redact",
];

fn with(key: &str, value: &str) -> String {
    let key = key.replace("issuers.*", "issuers.corp").replace("upstreams.*", "upstreams.t");
    let (table, name) = match key.split_once(".credential.") {
        Some((table, name)) => (table.to_owned(), format!("credential.{name}")),
        None => {
            let (table, name) = key.rsplit_once('.').unwrap();
            (table.to_owned(), name.to_owned())
        }
    };
    let head = format!("[{table}]\n");
    let (before, rest) = BASE.split_once(&head).unwrap_or_else(|| panic!("{head}"));
    let (own, behind) = rest.split_once("\n[").unwrap_or((rest, "x]"));
    let own = own.lines().filter(|line| line.split(' ').next() != Some(&*name));
    let own: String = own.map(|line| format!("{line}\n")).collect();
    let line = if value.is_empty() { String::new() } else { format!("{name} = {value}\n") };
    format!("{before}{head}{line}{own}[{behind}")
}

fn lines(before: &str, after: &str) -> (Vec<String>, bool) {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("one"), "1".repeat(32)).unwrap();
    std::fs::write(folder.path().join("two"), "2".repeat(32)).unwrap();
    let path = folder.path().join("gateway.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        crate::config::load(&path).unwrap_or_else(|findings| panic!("{text}\n{findings}"))
    };
    let (old, new) = (read(before), read(after));
    let tools = old.named_tools.union(&new.named_tools).cloned().collect();
    let rights = Difference::between(&old.policy, &new.policy, &tools, 0);
    let changed = changed((&old.settings, &old.issuers), (&new.settings, &new.issuers));
    let widens = rights.widens() || changed.iter().any(|changed| changed.widens);
    let all = rights.lines().into_iter().chain(changed.iter().map(Changed::line));
    (all.collect(), widens)
}

#[test]
fn every_change_is_shown_and_waits_where_it_gives_more() {
    let mut wrong = Vec::new();
    for (key, old, new, waits) in KEYS {
        let (lines, widens) = lines(&with(key, old), &with(key, new));
        let hides = lines.iter().all(|line| !line.contains("1111"));
        if lines.is_empty() || widens != *waits || !hides {
            wrong.push(format!("{key}: {old} -> {new}: {lines:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn another_name_to_ask_for_a_scope_is_shown_and_gives_nothing() {
    let row = |ask: &str| format!("{{ a = {{ tools = ['t/echo']{ask} }} }}");
    let names = ["", ", ask = 'api://x/a'", ", ask = 'api://y/a'"];
    for (old, new) in [(0, 1), (1, 0), (1, 2)] {
        let (old, new) = (row(names[old]), row(names[new]));
        let (lines, widens) =
            lines(&with("issuers.*.scopes", &old), &with("issuers.*.scopes", &new));
        assert!(
            lines.len() == 1 && lines[0].contains("`ask`") && !widens,
            "{old} {new}: {lines:?}"
        );
    }
}

#[test]
fn another_spelling_is_no_change() {
    for (key, old, new) in [
        ("limits.list_ttl", "'60s'", "'1m'"),
        ("limits.list_ttl", "", "'1m'"),
        ("server.allowed_hosts", "['a.example', 'b.example']", "['b.example', 'a.example']"),
        ("server.listen", "", "['127.0.0.1:8080']"),
        ("issuers.*.algorithms", "['RS256', 'ES256']", "['ES256', 'RS256']"),
        ("issuers.*.audience", "['a', 'b']", "['b', 'a']"),
        ("limits.request_body", "'1MiB'", "'1024KiB'"),
        ("audit.to", "", "'stdout'"),
    ] {
        let (lines, widens) = lines(&with(key, old), &with(key, new));
        assert!(lines.is_empty() && !widens, "{key}: {old} -> {new}: {lines:?}");
    }
}

/// Keys below `node`.
fn keys(root: &serde_json::Value, node: &serde_json::Value, path: &str, all: &mut Vec<String>) {
    let named = node["$ref"].as_str().and_then(|to| root.pointer(to.strip_prefix('#')?));
    let node = named.unwrap_or(node);
    let below = |key: &str| format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
    if let Some(properties) = node["properties"].as_object() {
        properties.iter().for_each(|(key, node)| keys(root, node, &below(key), all));
    } else if node["additionalProperties"].is_object() {
        keys(root, &node["additionalProperties"], &below("*"), all);
    } else {
        all.push(path.to_owned());
    }
}

#[test]
fn no_key_of_the_schema_is_forgotten() {
    let schema = include_str!("../../deploy/gateway.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let mut all = Vec::new();
    keys(&schema, &schema, "", &mut all);
    assert!(all.len() > 80, "{all:?}");
    // Rules are compared by what they permit, and what check leaves unsaid changes nothing.
    let others = ["roles.", "tools.", "tokens.", "expect", "include", "lock.", "check."];
    all.retain(|key| !others.iter().any(|of| key.starts_with(of)));
    for key in &all {
        let is_here = KEYS.iter().any(|(known, ..)| known == key);
        assert!(is_here || ELSEWHERE.contains(&&**key), "{key}");
    }
}
