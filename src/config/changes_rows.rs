//! Keys with what stands there before and after, and whether that waits for a word.

/// What the rows change.
pub(super) const BASE: &str = r#"
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
pub(super) const KEYS: &[(&str, &str, &str, bool)] = &[
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
    ("upstreams.*.connect_timeout", "'2s'", "'3s'", true),
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
    ("issuers.*.upstreams", "['t', 'u']", "['t']", false),
    ("issuers.*.leeway", "'30s'", "'60s'", true),
    ("issuers.*.leeway", "'30s'", "'10s'", false),
    ("issuers.*.max_lifetime", "'1h'", "'2h'", true),
    ("issuers.*.max_lifetime", "", "'2h'", false),
    ("issuers.*.refresh", "'5m'", "'10m'", true),
    ("issuers.*.max_stale", "'1h'", "'2h'", true),
    ("issuers.*.max_stale", "'2h'", "'1h'", false),
    ("limits.request_body", "'1MiB'", "'2MiB'", true),
    ("limits.listing", "'8MiB'", "'2MiB'", false),
    ("limits.request_body", "'2MiB'", "'1MiB'", false),
    ("limits.in_flight", "2000", "1000", false),
    ("upstreams.*.stream_max", "'3s'", "'1d'", true),
    ("limits.write_timeout", "'61s'", "'60s'", false),
    ("limits.buffers", "'256MiB'", "'512MiB'", true),
    ("limits.list_ttl", "'1m'", "'2m'", true),
    ("limits.json_depth", "64", "65", true),
    ("limits.headers", "'32KiB'", "'16KiB'", false),
    ("limits.connections", "1000", "2000", true),
    ("limits.in_flight", "1000", "2000", true),
    ("limits.streams", "1000", "2000", true),
    ("limits.head_timeout", "'10s'", "'11s'", true),
    ("limits.body_timeout", "'30s'", "'31s'", true),
    ("limits.write_timeout", "'60s'", "'61s'", true),
    ("reload.widening", "'ack'", "'apply'", true),
    ("reload.widening", "'apply'", "'ack'", false),
    ("log.level", "'info'", "'debug'", false),
    ("log.format", "'auto'", "'json'", false),
    ("audit.to", "'stdout'", "'off'", true),
    ("audit.on_failure", "'deny'", "'count'", true),
    ("audit.on_failure", "'count'", "'deny'", false),
    ("audit.arguments", "'keys'", "'full'", true),
    ("server.session_key_file", "", "'one'", true),
    ("server.session_key_file", "'one'", "", false),
    ("upstreams.*.credential.bearer_file", "", "'one'", true),
    ("upstreams.*.credential.bearer_file", "'one'", "", false),
    ("upstreams.*.stream_keep_alive", "'3s'", "", false),
    ("issuers.*.roles_claim", "'groups'", "", false),
    ("issuers.*.max_lifetime", "'2h'", "", true),
    ("issuers.*.initial_scopes", "['openid']", "[]", false),
    ("issuers.*.initial_scopes", "", "['openid']", false),
    ("admin.listen", "", "'127.0.0.1:2'", true),
    ("audit.arguments", "'none'", "'keys'", true),
    ("audit.arguments", "'full'", "'none'", false),
];

/// The same of keys that need others beside them: the head of a table, and what stands below it
/// before and after.
pub(super) const TABLES: &[(&str, &str, &str, &str, bool)] = &[
    (
        "server.tls.cert_file",
        "[server.tls]",
        TLS,
        "cert_file = 'two.crt'\nkey_file = 'two.key'",
        false,
    ),
    (
        "server.tls.key_file",
        "[server.tls]",
        TLS,
        "cert_file = 'two.crt'\nkey_file = 'two.key'",
        false,
    ),
    (
        "server.tls.client_ca_file",
        "[server.tls]",
        "@tls\nclient_ca_file = 'one.crt'",
        "@tls\nclient_ca_file = 'two.crt'",
        true,
    ),
    ("server.tls.client_ca_file", "[server.tls]", TLS, "@tls\nclient_ca_file = 'two.crt'", true),
    (
        "server.tls.client_auth",
        "[server.tls]",
        "@ca\nclient_auth = 'required'",
        "@ca\nclient_auth = 'optional'",
        true,
    ),
    (
        "server.tls.client_auth",
        "[server.tls]",
        "@ca\nclient_auth = 'optional'",
        "@ca\nclient_auth = 'required'",
        false,
    ),
    (
        "identity.assertion.header",
        "[identity.assertion]",
        "@key\nheader = 'X-A'",
        "@key\nheader = 'X-B'",
        true,
    ),
    ("identity.assertion.key_file", "[identity.assertion]", "@key", "key_file = 'two.key'", true),
    (
        "identity.assertion.retired_key_files",
        "[identity.assertion]",
        "@key",
        "@key\nretired_key_files = ['two.key']",
        true,
    ),
    (
        "identity.assertion.retired_key_files",
        "[identity.assertion]",
        "@key\nretired_key_files = ['two.key']",
        "@key",
        false,
    ),
    (
        "identity.assertion.ttl",
        "[identity.assertion]",
        "@key\nttl = '10s'",
        "@key\nttl = '20s'",
        true,
    ),
    (
        "identity.assertion.ttl",
        "[identity.assertion]",
        "@key\nttl = '20s'",
        "@key\nttl = '10s'",
        false,
    ),
    ("upstreams.*.builtin", "[upstreams.w]", "@w", "path = '/w'\nbuiltin = 'tickets'", true),
    ("upstreams.*.ca_file", "[upstreams.w]", "@w", "@w\nca_file = 'one.crt'", true),
    (
        "upstreams.*.ca_file",
        "[upstreams.w]",
        "@w\nca_file = 'one.crt'",
        "@w\nca_file = 'two.crt'",
        true,
    ),
    ("upstreams.*.client_cert_file", "[upstreams.w]", "@w\n@own", "@w", true),
    ("upstreams.*.client_cert_file", "[upstreams.w]", "@w\n@own", "@w\n@other", true),
    ("upstreams.*.client_key_file", "[upstreams.w]", "@w", "@w\n@own", true),
    (
        "upstreams.*.credential.header",
        "[upstreams.w]",
        "@w\ncredential = { header = 'X-A', file = 'one' }",
        "@w\ncredential = { header = 'X-B', file = 'one' }",
        true,
    ),
    (
        "upstreams.*.credential.file",
        "[upstreams.w]",
        "@w\ncredential = { header = 'X-A', file = 'one' }",
        "@w\ncredential = { header = 'X-A', file = 'two' }",
        true,
    ),
    (
        "upstreams.*.credential.env",
        "[upstreams.w]",
        "@w\ncredential = { header = 'X-A', env = 'CARGO_PKG_NAME' }",
        "@w\ncredential = { header = 'X-A', env = 'CARGO_PKG_VERSION' }",
        true,
    ),
    (
        "upstreams.*.credential.bearer_env",
        "[upstreams.w]",
        "@w\ncredential = { bearer_env = 'CARGO_PKG_NAME' }",
        "@w\ncredential = { bearer_env = 'CARGO_PKG_VERSION' }",
        true,
    ),
    (
        "upstreams.*.credential.bearer_env",
        "[upstreams.w]",
        "@w\ncredential = { bearer_env = 'CARGO_PKG_NAME' }",
        "@w",
        false,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'one.jwks'",
        "@i\njwks_file = 'two.jwks'",
        true,
    ),
    ("issuers.*.ca_file", "[issuers.w]", "@url", "@url\nca_file = 'two.crt'", true),
    (
        "issuers.*.organization_claim",
        "[issuers.w]",
        "@claims\norganization_claim = 'a'",
        "@claims\norganization_claim = 'b'",
        true,
    ),
    ("issuers.*.roles_map.*", "[issuers.w]", "@groups", "@groups\nroles_map.g = 'r'", true),
    ("issuers.*.roles_map.*", "[issuers.w]", "@groups\nroles_map.g = 'r'", "@groups", false),
    ("issuers.*.scopes.*", "[issuers.w]", "@url", "@url\nscopes.x = ['t/a']", true),
    ("issuers.*.scopes.*", "[issuers.w]", "@url\nscopes.x = ['t/a']", "@url\nscopes.x = []", false),
    (
        "issuers.*.initial_scopes",
        "[issuers.w]",
        "@url\ninitial_scopes = ['x']",
        "@url\ninitial_scopes = []",
        false,
    ),
    (
        "audit.file",
        "[audit]",
        "to = 'file'\nfile = 'a.jsonl'",
        "to = 'file'\nfile = 'b.jsonl'",
        true,
    ),
    (
        "audit.redact",
        "[audit]",
        "arguments = 'full'\nredact = ['x', 'y']",
        "arguments = 'full'\nredact = ['x']",
        true,
    ),
    (
        "audit.redact",
        "[audit]",
        "arguments = 'full'\nredact = ['x']",
        "arguments = 'full'\nredact = ['x', 'y']",
        false,
    ),
    ("audit.redact", "[audit]", "arguments = 'full'", "arguments = 'full'\nredact = []", true),
    (
        "identity.assertion.key_file",
        "[identity.assertion]",
        "@key\nretired_key_files = ['two.key']",
        "key_file = 'two.key'\nretired_key_files = ['one.key']",
        true,
    ),
    (
        "issuers.*.jwks_url",
        "[issuers.w]",
        "@i\njwks_file = 'one.jwks'",
        "@i\njwks_url = 'https://x.example/keys'",
        true,
    ),
    (
        "issuers.*.initial_scopes",
        "[issuers.w]",
        "@url\nscopes.x = ['t/a']",
        "@url\nscopes.x = ['t/a']\ninitial_scopes = []",
        false,
    ),
    (
        "issuers.*.initial_scopes",
        "[issuers.w]",
        "@url\nscopes.x = ['t/a']\nscopes.y = ['t/a']\ninitial_scopes = ['x']",
        "@url\nscopes.x = ['t/a']\nscopes.y = ['t/a']\ninitial_scopes = ['y']",
        false,
    ),
    ("expect", "[[expect]]", "@expect", "roles = ['r']\ndeny = ['t/c']", false),
    (
        "expect",
        "[[expect]]",
        "@expect",
        "@expect\n[[expect]]\nroles = ['r']\nallow = ['t/a']",
        false,
    ),
    (
        "expect",
        "[[expect]]",
        "@expect\n[[expect]]\nroles = ['r']\nallow = ['t/a']",
        "@expect",
        false,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'one.jwks'",
        "@i\njwks_file = 'both.jwks'",
        true,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'both.jwks'",
        "@i\njwks_file = 'one.jwks'",
        false,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'namesakes.jwks'",
        "@i\njwks_file = 'turned-namesakes.jwks'",
        true,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'namesakes.jwks'",
        "@i\njwks_file = 'last-namesake.jwks'",
        true,
    ),
    (
        "issuers.*.jwks_file",
        "[issuers.w]",
        "@i\njwks_file = 'nameless.jwks'",
        "@i\njwks_file = 'last-nameless.jwks'",
        true,
    ),
    (
        "issuers.*.ca_file",
        "[issuers.w]",
        "@url\nca_file = 'both.crt'",
        "@url\nca_file = 'two.crt'",
        false,
    ),
    (
        "issuers.*.ca_file",
        "[issuers.w]",
        "@url\nca_file = 'one.crt'",
        "@url\nca_file = 'both.crt'",
        true,
    ),
    ("issuers.*.ca_file", "[issuers.w]", "@url\nca_file = 'one.crt'", "@url", true),
    (
        "server.tls.client_ca_file",
        "[server.tls]",
        "@tls\nclient_ca_file = 'both.crt'",
        "@ca",
        false,
    ),
    ("server.tls.client_ca_file", "[server.tls]", "@ca", "@tls\nclient_ca_file = 'both.crt'", true),
    (
        "upstreams.*.url",
        "[upstreams.w]",
        "@w",
        "path = '/w'\nurl = 'https://127.0.0.1:443/mcp'",
        true,
    ),
    (
        "upstreams.*.url",
        "[upstreams.w]",
        "path = '/w'\nurl = 'https://127.0.0.1/mcp'",
        "path = '/w'\nurl = 'https://127.0.0.1:443/mcp'",
        false,
    ),
    (
        "upstreams.*.url",
        "[upstreams.w]",
        "path = '/w'\nurl = 'http://127.0.0.1:80/mcp'",
        "path = '/w'\nurl = 'http://127.0.0.1/mcp'",
        false,
    ),
    (
        "upstreams.*.url",
        "[upstreams.w]",
        "path = '/w'\nurl = 'http://127.0.0.1:443/mcp'",
        "path = '/w'\nurl = 'http://127.0.0.1/mcp'",
        true,
    ),
    ("lock.file", "[lock]", "@lock", "file = 'more.lock'", true),
    ("lock.file", "[lock]", "file = 'more.lock'", "@lock", false),
    ("lock.text", "[lock]", "@lock\ntext = 'refuse'", "@lock\ntext = 'hide'", true),
    ("lock.text", "[lock]", "@lock\ntext = 'warn'", "@lock\ntext = 'hide'", false),
    ("lock.narrowed", "[lock]", "@lock\nnarrowed = 'hide'", "@lock", true),
    ("lock.widened", "[lock]", "@lock", "@lock\nwidened = 'warn'", true),
    ("lock.annotations", "[lock]", "@lock", "@lock\nannotations = 'hide'", true),
    ("tokens.*.sha256", "[tokens.w]", "@token\n@one", "@token\n@two", true),
    (
        "tokens.*.sha256_file",
        "[tokens.w]",
        "@token\nsha256_file = 'one'",
        "@token\nsha256_file = 'two'",
        true,
    ),
    ("tokens.*.san", "[tokens.w]", "@token\n@one\nsan = 'dns:a'", "@token\n@one", false),
    ("tokens.*.san", "[tokens.w]", "@token\n@one", "@token\n@one\nsan = 'dns:a.example'", true),
    ("tokens.*.user", "[tokens.w]", "@more\nuser = 'w'", "@more\nuser = 'v'", true),
    (
        "tokens.*.organization",
        "[tokens.w]",
        "@token\n@one",
        "@one\nuser = 'w'\norganization = 'x'\nexpires = 2099-01-01",
        true,
    ),
    ("tokens.*.roles", "[tokens.w]", "@token\n@one", "@token\n@one\nroles = ['r']", true),
    ("tokens.*.roles", "[tokens.w]", "@token\n@one\nroles = ['r']", "@token\n@one", false),
    ("tokens.*.tools", "[tokens.w]", "@token\n@one", "@token\n@one\ntools = ['t/a']", true),
    ("tokens.*.prompts", "[tokens.w]", "@token\n@one", "@token\n@one\nprompts = ['t/a']", true),
    (
        "tokens.*.resources",
        "[tokens.w]",
        "@token\n@one",
        "@token\n@one\nresources = ['t/a:b']",
        true,
    ),
    (
        "tokens.*.expires",
        "[tokens.w]",
        "@token\n@one",
        "@one\nuser = 'w'\norganization = 'o'\nexpires = 'never'",
        true,
    ),
    (
        "tokens.*.expires",
        "[tokens.w]",
        "@token\n@one",
        "@one\nuser = 'w'\norganization = 'o'\nexpires = 2098-01-01",
        false,
    ),
    (
        "tokens.*.revoked",
        "[tokens.w]",
        "@token\n@one\nrevoked = 2097-01-01",
        "@token\n@one\nrevoked = 2098-01-01",
        true,
    ),
    (
        "tokens.*.revoked",
        "[tokens.w]",
        "@token\n@one\nrevoked = 2098-01-01",
        "@token\n@one\nrevoked = 2097-01-01",
        false,
    ),
    ("tokens.*.san", "[tokens.w]", "@token\n@one\nsan = 'dns:a'", "@token\nsan = 'dns:a'", false),
    ("tokens.*.revoked", "[tokens.w]", "@token\n@one\nrevoked = 2020-01-01", "@token\n@one", true),
    ("tokens.*.revoked", "[tokens.w]", "@token\n@one", "@token\n@one\nrevoked = 2020-01-01", false),
];

pub(super) const TLS: &str = "cert_file = 'one.crt'\nkey_file = 'one.key'";

/// What `@word` stands for in a row.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("@tls", TLS),
    ("@ca", "cert_file = 'one.crt'\nkey_file = 'one.key'\nclient_ca_file = 'one.crt'"),
    ("@key", "key_file = 'one.key'"),
    ("@w", "path = '/w'\nurl = 'https://127.0.0.1:9/mcp'"),
    ("@own", "client_cert_file = 'one.crt'\nclient_key_file = 'one.key'"),
    ("@other", "client_cert_file = 'two.crt'\nclient_key_file = 'two.key'"),
    ("@i", "issuer = 'https://w.example'\norganization = 'o'"),
    (
        "@url",
        "issuer = 'https://w.example'\norganization = 'o'\njwks_url = 'https://w.example/keys'",
    ),
    ("@claims", "issuer = 'https://w.example'\njwks_url = 'https://w.example/keys'"),
    (
        "@groups",
        "issuer = 'https://w.example'\norganization = 'o'\njwks_url = 'https://w.example/keys'\nroles_claim = 'groups'",
    ),
    ("@lock", "file = 'tools.lock'"),
    ("@expect", "roles = ['r']\ndeny = ['t/b']"),
    ("@token", "user = 'w'\norganization = 'o'\nexpires = 2099-01-01"),
    ("@more", "organization = 'o'\nexpires = 2099-01-01\nsha256_file = 'one'"),
    ("@one", "sha256_file = 'one'"),
    ("@two", "sha256_file = 'two'"),
];

/// They permit nothing by themselves, or are spelled like another key.
pub(super) const APART: [&str; 2] = ["tokens.*.sha256_env", "include"];

/// What else may be set: the heads of tables, what stands below each, and a line of the rows with
/// another in its place.
pub(super) const CONTEXTS: &[Context] = &[
    (
        "keys in a file",
        &[("issuers.corp", "jwks_file = 'one.jwks'")],
        ("jwks_url = 'https://w.example/keys'", "jwks_file = 'two.jwks'"),
    ),
    ("TLS", &[("server.tls", TLS)], SAME),
    ("optional certificates", &[("server.tls", CLIENTS)], SAME),
    ("required certificates", &[("server.tls", REQUIRED)], SAME),
    ("behind a proxy", &[("server", "plaintext = 'behind-proxy'")], SAME),
    ("a lock", &[("lock", "file = 'tools.lock'")], SAME),
    ("records in a file", &[("audit", "to = 'file'\nfile = 'a.jsonl'")], SAME),
    ("whole arguments", &[("audit", "arguments = 'full'\non_failure = 'count'")], SAME),
    ("no records", &[("audit", "to = 'off'")], SAME),
    ("assertions", &[("identity.assertion", "key_file = 'one.key'")], SAME),
    ("a key of sessions", &[("server", "session_key_file = 'one'")], SAME),
    ("tasks", &[("upstreams.t", "tasks = 'sealed'"), ("upstreams.u", "tasks = 'sealed'")], SAME),
    ("a built-in server", &[("upstreams.v", "path = '/v'\nbuiltin = 'tickets'")], SAME),
    (
        "a server with TLS",
        &[("upstreams.t", "url = 'https://127.0.0.1:9/mcp'\nca_file = 'one.crt'")],
        SAME,
    ),
    ("a server without TLS", &[], ("'https://127.0.0.1:9/mcp'", "'http://127.0.0.1:9/mcp'")),
    ("credentials", &[("upstreams.t", "credential.bearer_file = 'one'")], SAME),
    ("callers", &[("tokens.x", CALLER)], SAME),
    ("callers of an issuer", &[("issuers.corp", CALLERS)], SAME),
    ("no word", &[("reload", "widening = 'apply'")], SAME),
];

/// See [`CONTEXTS`].
type Context =
    (&'static str, &'static [(&'static str, &'static str)], (&'static str, &'static str));

const SAME: (&str, &str) = ("@", "@");
const CLIENTS: &str = "cert_file = 'one.crt'\nkey_file = 'one.key'\nclient_ca_file = 'one.crt'";
const REQUIRED: &str = "cert_file = 'one.crt'\nkey_file = 'one.key'\nclient_ca_file = 'one.crt'\n\
                        client_auth = 'required'";
const CALLER: &str = "sha256 = '3333333333333333333333333333333333333333333333333333333333333333'\nuser = 'x'\norganization = 'o'\n\
                      expires = 2098-01-01\nroles = ['r']\ntools = ['u/b']";
const CALLERS: &str = "roles = ['r']\nroles_claim = 'groups'\nroles_map = { g = 'r' }\n\
                       scopes = { s = ['u/b'] }\naudience = ['https://gw.example/t']";
