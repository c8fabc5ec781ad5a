//! Configurations that somebody got wrong: none is good in `check` and refused by `run`, and none
//! restricts less than it says without a word.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use tempfile::TempDir;

/// A good file, which each case changes.
const BASE: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[admin]
listen = "127.0.0.1:0"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:1/mcp"
[roles.reader]
tools = ["t/echo", "t/get_*"]
prompts = ["t/greet"]
resources = ["t/docs://a/**"]
[tokens.a]
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
user = "alice"
organization = "acme"
roles = ["reader"]
expires = 2999-01-01
"#;

/// What is changed (nothing: the text comes to the end), into what, the code of a finding that
/// there must be, and a text in the line that it names.
type Case = (&'static str, &'static str, &'static str, &'static str);

const LISTEN: &str = "listen = [\"127.0.0.1:0\"]";
const ADMIN: &str = "listen = \"127.0.0.1:0\"";
const URL: &str = "url = \"http://127.0.0.1:1/mcp\"";
const TOOLS: &str = "tools = [\"t/echo\", \"t/get_*\"]";
const RESOURCES: &str = "resources = [\"t/docs://a/**\"]";
const EXPIRES: &str = "expires = 2999-01-01";

/// What `run` builds.
const BUILT: &[Case] = &[
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.crt\", key_file = \"b.key\" }",
        "DW0020",
        "b.key",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.crt\", key_file = \"p521.key\" }",
        "DW0020",
        "p521.key",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.crt\", key_file = \"sealed.key\" }",
        "DW0006",
        "sealed.key",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"odd.crt\", key_file = \"a.key\" }",
        "DW0020",
        "a.key",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.key\", key_file = \"a.key\" }",
        "DW0006",
        "a.key",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.crt\", key_file = \"a.key\", client_ca_file = \"odd.crt\" }",
        "DW0020",
        "odd.crt",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"old.crt\", key_file = \"a.key\" }",
        "DW0114",
        "old.crt",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"future.crt\", key_file = \"a.key\" }",
        "DW0114",
        "future.crt",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:0\"]\ntls = { cert_file = \"a.crt\", key_file = \"a.key\", client_ca_file = \"old.crt\" }",
        "DW0114",
        "old.crt",
    ),
    (URL, "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"old.crt\"", "DW0114", "ca_file"),
    (URL, "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"odd.crt\"", "DW0020", "ca_file"),
    (URL, "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"both.pem\"", "DW0020", "ca_file"),
    (URL, "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"empty\"", "DW0006", "ca_file"),
    (
        URL,
        "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"\nclient_cert_file = \"a.crt\"\nclient_key_file = \"b.key\"",
        "DW0020",
        "client_key_file",
    ),
    (
        URL,
        "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"\nclient_cert_file = \"a.crt\"\nclient_key_file = \"p521.key\"",
        "DW0020",
        "client_key_file",
    ),
    (
        URL,
        "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"\nclient_cert_file = \"odd.crt\"\nclient_key_file = \"a.key\"",
        "DW0020",
        "client_key_file",
    ),
    (
        URL,
        "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"\nclient_cert_file = \"a.crt\"",
        "DW0013",
        "[upstreams.t]",
    ),
    (
        URL,
        "url = \"https://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"\nclient_cert_file = \"old.crt\"\nclient_key_file = \"a.key\"",
        "DW0114",
        "client_cert_file",
    ),
    (URL, "url = \"http://127.0.0.1:1/mcp\"\nca_file = \"a.crt\"", "DW0103", "ca_file"),
    (
        URL,
        "url = \"http://127.0.0.1:1/mcp\"\nclient_cert_file = \"a.crt\"\nclient_key_file = \"a.key\"",
        "DW0103",
        "client_cert_file",
    ),
    ("", "[audit]\nto = \"file\"\nfile = \"nowhere/audit.jsonl\"", "DW0021", "nowhere"),
    ("", "[audit]\nto = \"file\"\nfile = \"empty/audit.jsonl\"", "DW0021", "empty"),
    ("", "[audit]\nto = \"file\"\nfile = \".\"", "DW0021", "file = \".\""),
    ("", "[audit]\nto = \"file\"\nfile = \"fifo\"", "DW0021", "fifo"),
    ("", "[audit]\nto = \"file\"\nfile = \"/proc/self/status\"", "DW0021", "status"),
    (LISTEN, "listen = []", "DW0006", "listen"),
    (
        LISTEN,
        "listen = [\"127.0.0.1:47124\"]\n[upstreams.u]\npath = \"/u\"\nurl = \"http://localhost:47124/mcp\"",
        "DW0013",
        "localhost",
    ),
    (URL, "url = \"http://127.0.0.1:9901/mcp\"", "DW0013", "url"),
    (LISTEN, "listen = [\"127.0.0.1:47123\", \"127.0.0.1:47123\"]", "DW0013", "47123"),
    (
        LISTEN,
        "listen = [\"0.0.0.0:47123\", \"[::]:47123\"]\nplaintext = \"behind-proxy\"\npublic_url = \"http://x\"",
        "DW0013",
        "47123",
    ),
    (
        LISTEN,
        "listen = [\"127.0.0.1:47123\", \"[::ffff:127.0.0.1]:47123\"]\nplaintext = \"behind-proxy\"",
        "DW0013",
        "47123",
    ),
    (LISTEN, "listen = [\"127.0.0.1:9901\"]", "DW0013", ""),
    (LISTEN, "listen = [\"192.0.2.77:0\"]\nplaintext = \"behind-proxy\"", "DW0021", "192.0.2.77"),
    (ADMIN, "listen = \"192.0.2.77:0\"", "DW0021", "192.0.2.77"),
    (LISTEN, "listen = [\"[2001:db8::77]:0\"]\nplaintext = \"behind-proxy\"", "DW0021", "2001:db8"),
    ("[admin]", "session_key_file = \"empty\"\n[admin]", "DW0006", "session_key_file"),
    ("", "[identity]\nassertion = { key_file = \"p521.key\" }", "DW0006", "p521.key"),
    ("", "[identity]\nassertion = { key_file = \"a.crt\" }", "DW0006", "a.crt"),
    (
        "sha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"",
        "sha256_file = \"empty\"",
        "DW0006",
        "sha256_file",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"empty\"\norganization = \"o\"\n[admin]",
        "DW0006",
        "jwks_file",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_url = \"https://i/k\"\nca_file = \"odd.crt\"\norganization = \"o\"\n[admin]",
        "DW0020",
        "ca_file",
    ),
    ("", "[audit]\nto = \"file\"\nfile = \"gateway.toml\"", "DW0013", "file = \"gateway.toml\""),
    (
        "",
        "[audit]\nto = \"file\"\nfile = \"./open.lock\"\n[lock]\nfile = \"open.lock\"",
        "DW0013",
        "./open.lock",
    ),
];

/// Rules that restrict less than they say.
const VOID: &[Case] = &[
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/ecoh\"]\narguments.\"/a\" = { equals = 1 }\n[tokens.a]",
        "DW0022",
        "t/ecoh",
    ),
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/echo\", \"t/delete_*\"]\narguments.\"/a\" = { equals = 1 }\n[tokens.a]",
        "DW0113",
        "t/delete_*",
    ),
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/Echo\"]\narguments.\"/a\" = { equals = 1 }\n[tokens.a]",
        "DW0022",
        "t/Echo",
    ),
    ("", "[tools.\"t/ecoh\"]\narguments.\"/a\" = { equals = 1 }", "DW0113", "t/ecoh"),
    ("", "[tools.\"t/set_*\"]\narguments.\"/a\" = { equals = 1 }", "DW0113", "t/set_*"),
    (RESOURCES, "deny = [\"t/ehco\"]", "DW0113", "ehco"),
    (RESOURCES, "deny = [\"t/get_a\", \"t/set_*\"]", "DW0113", "set_*"),
    (RESOURCES, "deny_prompts = [\"t/gret\"]", "DW0113", "gret"),
    (
        RESOURCES,
        "resources = [\"t/docs://a/**\"]\ndeny_resources = [\"t/dosc://a/secret\"]",
        "DW0113",
        "dosc",
    ),
    (
        RESOURCES,
        "resources = [\"t/docs://a/**\"]\ndeny_resources = [\"t/docs://b/**\"]",
        "DW0113",
        "docs://b",
    ),
    (
        RESOURCES,
        "resources = [\"t/docs://a/**\"]\ndeny_resources = [\"t/files://a/**\"]",
        "DW0113",
        "files://a",
    ),
    ("[tokens.a]", "[roles.idle]\ndeny = [\"t/echo\"]\n[tokens.a]", "DW0113", "[roles.idle]"),
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/echo\"]\narguments.\"/a\" = { equals = 1 }\n[tokens.a]\ntools = [\"t/echo\"]",
        "DW0113",
        "[tokens.a]",
    ),
    (
        "roles = [\"reader\"]\nexpires = 2999-01-01\n",
        "roles = [\"reader\", \"all\"]\nexpires = 2999-01-01\n[roles.all]\ntools = [\"t/e*\"]\n[[roles.reader.when]]\ntools = [\"t/echo\"]\narguments.\"/a\" = { equals = 1 }\n",
        "DW0113",
        "[tokens.a]",
    ),
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/echo\"]\narguments.\"/a\" = { glob = \"*\" }\n[tokens.a]",
        "DW0113",
        "glob",
    ),
    (
        "[tokens.a]",
        "[[roles.reader.when]]\ntools = [\"t/echo\"]\narguments.\"/a\" = { regex = \".*\", optional = true }\n[tokens.a]",
        "DW0113",
        "regex",
    ),
    // The approved schema has `title` and `filter.org`, and takes nothing else.
    (
        "",
        "[lock]\nfile = \"closed.lock\"\n[tools.\"t/echo\"]\narguments.\"/titel\" = { max_length = 9, optional = true }",
        "DW0022",
        "titel",
    ),
    (
        "",
        "[lock]\nfile = \"closed.lock\"\n[tools.\"t/echo\"]\narguments.\"/Title\" = { max_length = 9, optional = true }",
        "DW0022",
        "Title",
    ),
    (
        "",
        "[lock]\nfile = \"closed.lock\"\n[tools.\"t/echo\"]\narguments.\"/filter/organisation\" = { equals = \"x\", optional = true }",
        "DW0022",
        "organisation",
    ),
    (
        "",
        "[lock]\nfile = \"closed.lock\"\n[tools.\"t/echo\"]\narguments.\"/admin\" = { absent = true }",
        "DW0022",
        "admin",
    ),
    (
        "",
        "[lock]\nfile = \"closed.lock\"\n[tools.\"t/echo\"]\narguments.\"/titel\" = { max_length = 9 }",
        "DW0113",
        "titel",
    ),
    (
        "",
        "[lock]\nfile = \"open.lock\"\n[tools.\"t/echo\"]\narguments.\"/titel\" = { max_length = 9, optional = true }",
        "DW0113",
        "titel",
    ),
    (
        "",
        "[lock]\nfile = \"open.lock\"\n[tools.\"t/echo\"]\narguments.\"/TITLE\" = { max_length = 9, optional = true }",
        "DW0022",
        "TITLE",
    ),
    (
        "",
        "[lock]\nfile = \"open.lock\"\n[tools.\"t/get_*\"]\narguments.\"/a\" = { equals = 1 }",
        "DW0109",
        "t/get_*",
    ),
    (
        "",
        "[lock]\nfile = \"open.lock\"\n[[expect]]\ntoken = \"a\"\ndeny = [\"t/get_x\"]",
        "DW0109",
        "t/get_*",
    ),
    ("", "[audit]\nredact = [\"ssn\"]", "DW0103", "redact"),
    ("", "[audit]\narguments = \"full\"\nredact = [\"pass*\"]", "DW0120", "pass*"),
    ("", "[audit]\narguments = \"full\"\nredact = [\"/card/number\"]", "DW0120", "/card"),
    ("", "[audit]\narguments = \"full\"\nredact = [\"\"]", "DW0006", "redact"),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"keys.json\"\norganization = \"o\"\nupstreams = []\n[admin]",
        "DW0113",
        "upstreams = []",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"keys.json\"\norganization = \"o\"\nroles_claim = \"g\"\n[admin]",
        "DW0113",
        "roles_claim",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"keys.json\"\norganization = \"o\"\nroles_map = { g = \"reader\" }\n[admin]",
        "DW0113",
        "roles_map",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"keys.json\"\norganization = \"o\"\ninitial_scopes = [\"tikets\"]\nscopes = { tickets = [\"t/echo\"] }\n[admin]",
        "DW0113",
        "tikets",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\norganization = \"o\"\njwks_file = \"keys.json\"\nroles_claim = \"realm_access.roles\"\nroles_map = { g = \"reader\" }\n[admin]",
        "DW0125",
        "roles_claim",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\norganization = \"o\"\njwks_file = \"keys.json\"\nroles_claim = \"g\"\nroles_map = { \"team-*\" = \"reader\" }\n[admin]",
        "DW0120",
        "team",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\norganization = \"o\"\njwks_file = \"keys.json\"\nrefresh = \"1h\"\n[admin]",
        "DW0103",
        "refresh",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\norganization = \"o\"\njwks_url = \"https://i/keys\"\nrefresh = \"1h\"\nmax_stale = \"30m\"\n[admin]",
        "DW0124",
        "max_stale",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"over.json\"\norganization = \"o\"\n[admin]",
        "DW0114",
        "over.json",
    ),
    (
        "[admin]",
        "public_url = \"http://x\"\n[issuers.i]\nissuer = \"https://i\"\njwks_file = \"x5c.json\"\norganization = \"o\"\n[admin]",
        "DW0114",
        "x5c.json",
    ),
    (EXPIRES, "expires = 2020-01-01", "DW0122", "[tokens.a]"),
    ("", "[[expect]]\ntoken = \"a\"\ndeny = [\"t/*\"]", "DW0006", "deny"),
    ("", "[[expect]]\ntoken = \"a\"\ndeny = [\"t/{echo,delete}\"]", "DW0006", "deny"),
    ("", "[[expect]]\ntoken = \"a\"\ndeny_resources = [\"t/docs://**\"]", "DW0006", "deny"),
    (TOOLS, "tools = [\"t/echo\", \"t/get_*\"]\ndeny = [\"t/e*\"]", "DW0113", "tools"),
    (TOOLS, "tools = [\"t/echo\", \"t/get_*\"]\ndeny = [\"t/get_*\"]", "DW0113", "tools"),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { equals = \"x\", in = [\"y\", \"z\"] }",
        "DW0014",
        "/a",
    ),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [\"x\", \"y\"], glob = \"z*\" }",
        "DW0014",
        "/a",
    ),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [7, 8], max = 6, min = 0 }",
        "DW0014",
        "/a",
    ),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [6, 8], max = 6, min = 0 }",
        "DW0113",
        "/a",
    ),
    ("", "[tools.\"t/echo\"]\narguments.\"/a\" = { max_length = 6, min = 0 }", "DW0014", "/a"),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { equals_user = true, max_items = 2 }",
        "DW0014",
        "/a",
    ),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a\" = { equals = \"yes\", not_in = [\"YES\"] }",
        "DW0014",
        "/a",
    ),
    ("", "[tools.\"t/echo\"]\narguments.\"/a\" = { in = [] }", "DW0014", "/a"),
    (
        "",
        "[tools.\"t/echo\"]\narguments.\"/a/\" = { in = [\"x\"], optional = true }",
        "DW0120",
        "/a/",
    ),
    (EXPIRES, "expires = 2999-01-01\nrevoked = 2998-01-01", "DW0113", "[tokens.a]"),
    (
        "1111111111111111111111111111111111111111111111111111111111111111",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "DW0115",
        "sha256",
    ),
    (
        "1111111111111111111111111111111111111111111111111111111111111111",
        "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
        "DW0115",
        "sha256",
    ),
    (
        URL,
        "url = \"http://127.0.0.1:1/mcp\"\nstream_idle = \"2h\"\nstream_max = \"1h\"",
        "DW0103",
        "stream_idle",
    ),
    (
        URL,
        "url = \"http://127.0.0.1:1/mcp\"\nstream_keep_alive = \"10m\"",
        "DW0103",
        "stream_keep_alive",
    ),
    (
        EXPIRES,
        "expires = 2020-01-01\n[[expect]]\ntoken = \"a\"\ndeny = [\"t/other\"]",
        "DW0122",
        "token = \"a\"",
    ),
    ("[tokens.a]", "mode = \"shadow\"\nuntil = 2020-01-01\n[tokens.a]", "DW0122", "until"),
    (
        "",
        "[tools.\"t/echo\"]\nmode = \"shadow\"\nuntil = 2020-01-01\narguments.\"/a\" = { equals = 1 }",
        "DW0122",
        "until",
    ),
    ("", "[[expect]]\ntoken = \"a\"\ndeny = [\"t/ecoh\"]", "DW0113", "ecoh"),
    (
        "",
        "[roles.trial]\nmode = \"shadow\"\nuntil = 2999-01-01\n[[expect]]\nroles = [\"trial\"]\ndeny = [\"t/x\"]",
        "DW0113",
        "[roles.trial]",
    ),
];

/// Texts that mean something else elsewhere.
const MEANT: &[Case] = &[
    ("user = \"alice\"", "user = \"${USER}\"", "DW0115", "${USER}"),
    ("user = \"alice\"", "user = \"$ALICE\"", "DW0115", "$ALICE"),
    ("user = \"alice\"", "user = \"{{name}}\"", "DW0115", "{{name}}"),
    ("organization = \"acme\"", "organization = \"<your-org>\"", "DW0115", "<your-org>"),
    ("organization = \"acme\"", "organization = \"CHANGE_ME\"", "DW0115", "CHANGE_ME"),
    ("organization = \"acme\"", "organization = \"${ORG:-acme}\"", "DW0115", "ORG"),
    (
        "",
        "[[expect]]\nroles = [\"reader\"]\norganization = \"${{secrets.ORG}}\"\ndeny = [\"t/x\"]",
        "DW0115",
        "secrets.ORG",
    ),
    (URL, "url = \"http://127.0.0.1:1\"", "DW0121", "url"),
    (URL, "url = \"http://127.0.0.1:1/\"", "DW0121", "url"),
    (TOOLS, "tools = [\"t/notes.*\"]", "DW0120", "notes.*"),
    (TOOLS, "tools = [\"t/get_.*\"]", "DW0120", "get_.*"),
    (TOOLS, "tools = [\"t/^get_*\"]", "DW0120", "^get"),
    (TOOLS, "tools = [\"t/get_*$\"]", "DW0120", "get_*$"),
    (TOOLS, "tools = [\"t/(get|list)_*\"]", "DW0120", "(get|list)"),
    (TOOLS, "tools = [\"t/get_\\\\w+\"]", "DW0120", "w+"),
    (TOOLS, "tools = [\"t/echo \"]", "DW0120", "echo "),
    (TOOLS, "tools = [\"t/echo/\"]", "DW0120", "echo/"),
    (TOOLS, "tools = [\"t/tickets/*\"]", "DW0120", "tickets/*"),
    (TOOLS, "tools = [\"t/Größe*\"]", "DW0120", "Größe*"),
    (RESOURCES, "resources = [\"t/*\"]", "DW0120", "t/*"),
    (RESOURCES, "resources = [\"t/^docs://.*\"]", "DW0120", "^docs"),
    (RESOURCES, "resources = [\"t/DOCS://a/*\"]", "DW0120", "DOCS"),
    (TOOLS, "tools = [\"t/get_%\"]", "DW0120", "get_%"),
    (TOOLS, "tools = [\"t/get_a,t/get_b\"]", "DW0120", "get_a,"),
    ("organization = \"acme\"", "organization = \"replace-with-yours\"", "DW0115", "replace-with"),
];

/// Syntax, causes before their consequences, ranges, and acceptances.
const WRITTEN: &[Case] = &[
    (TOOLS, "tools = [\"t/echo\", \"t/get_*\"", "DW0002", ""),
    ("[roles.reader]", "[roles.reader", "DW0002", "[roles.reader"),
    ("user = \"alice\"", "user = \"alice\"\nuser = \"bob\"", "DW0002", "bob"),
    ("", "[roles.reader]\ntools = []", "DW0002", "[roles.reader]"),
    ("\n[server]", "include = [\"gateway.toml\"]\n[server]", "DW0013", "include"),
    ("\n[server]", "include = [\"*.toml\"]\n[server]", "DW0013", "include"),
    ("\n[server]", "include = [\"none.toml\"]\n[server]", "DW0001", "include"),
    ("", "[tools.\"t/echo\"]\narguments.\"/a\" = { maxx = 1 }", "DW0003", "maxx"),
    ("", "[tools.\"t/echo\"]\narguments.\"/a\" = { regex = \"(\" }", "DW0006", "regex"),
    ("user = \"alice\"", "usr = \"alice\"", "DW0003", "usr"),
    (
        URL,
        "url = \"http://127.0.0.1:1/mcp\"\nstream_max = \"584542046090y\"",
        "DW0006",
        "stream_max",
    ),
    ("", "[limits]\nheaders = \"1GiB\"", "DW0006", "headers"),
    ("", "[check]\naccept = [\"DW9999\"]", "DW0006", "DW9999"),
    ("", "[check]\naccept = [\"DW0010\"]", "DW0006", "DW0010"),
    ("", "[check]\naccept = [\"DW0102\"]", "DW0123", "DW0102"),
    ("", "[check]\naccept = [\"DW0105 roles.other\"]", "DW0123", "roles.other"),
    (ADMIN, "listen = \"0.0.0.0:0\"", "DW0102", "0.0.0.0"),
];

/// Certificates, keys and other files that the cases name.
fn files() -> Vec<(&'static str, String)> {
    let key = |_: &str| KeyPair::generate().unwrap();
    let (a, b) = (key("a"), key("b"));
    let valid = |from: i32, to: i32, key: &KeyPair| {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params.self_signed(key).unwrap().pem()
    };
    let (good, old) = (valid(2020, 2900, &a), valid(2000, 2020, &a));
    let body = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).output().unwrap();
        String::from_utf8(made.stdout).unwrap()
    };
    let p521 = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]);
    let sealed = openssl(&["genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:x"]);
    assert!(p521.contains("PRIVATE KEY") && sealed.contains("ENCRYPTED"));
    let odd = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
    let jwk = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    vec![
        ("a.crt", good.clone()),
        ("a.key", a.serialize_pem()),
        ("b.key", b.serialize_pem()),
        ("both.pem", good + &a.serialize_pem()),
        ("old.crt", old.clone()),
        ("future.crt", valid(2800, 2900, &a)),
        ("odd.crt", odd.to_owned()),
        ("p521.key", p521),
        ("sealed.key", sealed),
        ("empty", String::new()),
        ("keys.json", jwk.to_owned()),
        ("over.json", jwk.replace("\"kty\"", "\"exp\":1600000000,\"kty\"")),
        ("x5c.json", jwk.replace("\"kty\"", &format!("\"x5c\":[\"{}\"],\"kty\"", body(&old)))),
        ("closed.lock", lock("\"additionalProperties\": false,")),
        ("open.lock", lock("")),
    ]
}

fn lock(more: &str) -> String {
    use doorward::config::{Approved, lock_text};
    use doorward::core::pin::Definition;
    let schema = format!(
        r#"{{"inputSchema": {{{more} "type": "object", "properties": {{
            "title": {{"type": "string"}},
            "filter": {{"type": "object", {more} "properties": {{"org": {{"type": "string"}}}}}}}}}}}}"#
    );
    let tools = [("echo".to_owned(), Definition::read(&schema).unwrap())];
    lock_text(&Approved::from([("t".to_owned(), tools.into())]))
}

fn doorward(verb: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.args([verb, "--config"]).arg(folder.join("gateway.toml")).env("NO_COLOR", "1");
    command
}

/// True where the process comes up; it is ended.
fn comes_up(folder: &Path) -> bool {
    let mut child = doorward("run", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_up = lines.map_while(Result::ok).any(|line| {
        assert!(!line.contains("panicked"), "{line}");
        line.contains("server.ready")
    });
    let _ = child.kill();
    let code = child.wait().unwrap().code();
    assert!(is_up || matches!(code, Some(2 | 3)), "{code:?}");
    is_up
}

/// Looks at one case; what is wrong with it.
fn fault(case: &Case, files: &[(&str, String)]) -> Option<String> {
    let (from, to, code, at) = *case;
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let text = match from {
        "" => format!("{BASE}{to}\n"),
        from => BASE.replacen(from, to, 1),
    };
    assert_ne!(text, BASE, "{from}");
    let text = if to.contains("9901") {
        text.replacen(&format!("[admin]\n{ADMIN}\n"), "", 1)
    } else {
        text
    };
    if to.contains("\"fifo\"") {
        let path = folder.path().join("fifo");
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    std::fs::write(folder.path().join("gateway.toml"), &text).unwrap();
    let checked = doorward("check", folder.path()).arg("--json").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    let told: Value = match serde_json::from_slice(&checked.stdout) {
        Ok(told) => told,
        Err(_) => return Some(format!("no JSON: {said}")),
    };
    let findings = told["findings"].as_array().unwrap();
    let is_there = findings.iter().any(|finding| {
        let line = usize::try_from(finding["line"].as_u64().unwrap()).unwrap();
        let line = text.lines().nth(line - 1).unwrap_or_default();
        finding["code"] == code && line.contains(at)
    });
    let is_good = checked.status.code() == Some(0);
    let is_error = code < "DW0100";
    let is_up = comes_up(folder.path());
    let problem = match (is_there, is_good, is_up) {
        (false, ..) => format!("no {code} at {at:?}"),
        (_, true, false) => "check says good, and run refuses".to_owned(),
        (_, false, true) => "check refuses, and run comes up".to_owned(),
        (_, good, _) if good == is_error => format!("{code} and good: {good}"),
        _ => return None,
    };
    Some(format!("{problem}:\n{to}\n{told:#}\n{said}"))
}

#[test]
fn no_broken_configuration_is_good_in_check_and_refused_by_run_or_passes_without_a_word() {
    let cases: Vec<&Case> = [BUILT, VOID, MEANT, WRITTEN].into_iter().flatten().collect();
    assert!(cases.len() >= 98, "{}", cases.len());
    let (files, next) = (files(), AtomicUsize::new(0));
    let faults: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut faults = Vec::new();
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        faults.extend(fault(case, &files));
                    }
                    faults
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n---\n"));
}

#[test]
fn the_file_that_the_cases_change_is_good_without_a_word() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), BASE).unwrap();
    let checked = doorward("check", folder.path()).arg("--deny-warnings").output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!((checked.status.code(), &*said), (Some(0), ""));
    assert!(comes_up(folder.path()));
}
