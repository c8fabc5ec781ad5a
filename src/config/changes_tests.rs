//! Every key of the schema is shown where it changes, and waits where it should.

#[path = "changes_calls.rs"]
mod calls;
#[path = "changes_rows.rs"]
mod rows;

use self::calls::CALLS;
use self::rows::{APART, BASE, CONTEXTS, KEYS, TABLES, WORDS};
use super::*;
use crate::config::{Code, Findings};
use crate::core::access::Difference;

/// The configuration with this below the head of a table, in the place of what stands there.
fn below(head: &str, own: &str) -> String {
    below_in(BASE, head, own)
}

fn below_in(base: &str, head: &str, own: &str) -> String {
    let mut own = own.to_owned();
    for (word, text) in WORDS {
        let lines = own.lines().map(|line| if line == *word { *text } else { line });
        own = lines.collect::<Vec<_>>().join("\n");
    }
    match base.split_once(&format!("{head}\n")) {
        Some((before, rest)) => format!("{before}{head}\n{own}\n{rest}"),
        None => format!("{base}{head}\n{own}\n"),
    }
}

/// What the rows name.
fn fill(folder: &std::path::Path) {
    let write = |name: String, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let mut all = Vec::new();
    for (name, digit, x, y) in [
        (
            "one",
            "1",
            "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        ),
        (
            "two",
            "2",
            "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        ),
    ] {
        write(name.to_owned(), &digit.repeat(64));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write(format!("{name}.crt"), &made.cert.pem());
        write(format!("{name}.key"), &made.signing_key.serialize_pem());
        let keys = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{name}","x":"{x}","y":"{y}"}}]}}"#
        );
        write(format!("{name}.jwks"), &keys);
        all.push(format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#));
    }
    let [one, two] = [&all[0], &all[1]];
    for (name, keys) in [
        ("both", format!(r#"{{{one},"kid":"one"}},{{{two},"kid":"two"}}"#)),
        (
            "turned",
            format!("{{\"kid\":\"two\",{two}}},\n {{ \"use\":\"sig\",{one},\"kid\":\"one\"}}"),
        ),
        ("namesakes", format!(r#"{{{one},"kid":"k"}},{{{two},"kid":"k"}}"#)),
        ("turned-namesakes", format!(r#"{{{two},"kid":"k"}},{{{one},"kid":"k"}}"#)),
        ("last-namesake", format!(r#"{{{two},"kid":"k"}}"#)),
        ("nameless", format!("{{{one}}},{{{two}}}")),
        ("last-nameless", format!("{{{two}}}")),
    ] {
        write(format!("{name}.jwks"), &format!(r#"{{"keys":[{keys}]}}"#));
    }
    let pem = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    write("both.crt".to_owned(), &(pem("one.crt") + &pem("two.crt")));
    write("turned.crt".to_owned(), &(pem("two.crt") + "\n# one\n" + &pem("one.crt")));
    let tool = |name: &str| {
        let item = format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
        (name.to_owned(), crate::core::pin::Definition::read(&item).unwrap())
    };
    for (file, names) in [("tools.lock", vec!["a"]), ("more.lock", vec!["a", "b"])] {
        let tools = names.into_iter().map(tool).collect();
        let approved = [("t".to_owned(), tools)].into();
        write(file.to_owned(), &crate::config::lock_text(&approved));
    }
}

#[test]
fn a_call_that_newly_passes_is_never_hidden_in_what_seems_the_same() {
    let mut wrong = Vec::new();
    for (old, new, waits) in CALLS {
        let token = "[tokens.w]\nsha256_file = 'one'\nuser = 'w'\norganization = 'o'\n\
                     expires = 2099-01-01\nroles = ['w']\n";
        let text = |row: &str| {
            let (kind, rest) = row.split_once(' ').unwrap();
            match kind {
                "@when" => format!(
                    "{BASE}{token}[roles.w]\ntools = ['t/a']\n[[roles.w.when]]\ntools = ['t/a']\n\
                     arguments.'/v' = {{ {rest} }}\n"
                ),
                "@roles" => format!("{BASE}{token}[roles.w]\n{rest}\n"),
                _ => {
                    let roles = "[roles.no]\ndeny = ['t/a']\n";
                    let own = format!("@groups\n{rest}");
                    below("[issuers.w]", &own) + roles
                }
            }
        };
        let (lines, widens) = lines(&text(old), &text(new));
        if widens != *waits {
            wrong.push(format!("{old} -> {new}: {lines:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn with(key: &str, value: &str) -> String {
    with_in(BASE, key, value)
}

fn with_in(base: &str, key: &str, value: &str) -> String {
    let key = key.replace("issuers.*", "issuers.corp").replace("upstreams.*", "upstreams.t");
    let (table, name) = match key.split_once(".credential.") {
        Some((table, name)) => (table.to_owned(), format!("credential.{name}")),
        None => {
            let (table, name) = key.rsplit_once('.').unwrap();
            (table.to_owned(), name.to_owned())
        }
    };
    let head = format!("[{table}]\n");
    let (before, rest) = base.split_once(&head).unwrap_or_else(|| panic!("{head}"));
    let (own, behind) = rest.split_once("\n[").unwrap_or((rest, "x]"));
    let own = own.lines().filter(|line| line.split(' ').next() != Some(&*name));
    let own: String = own.map(|line| format!("{line}\n")).collect();
    let line = if value.is_empty() { String::new() } else { format!("{name} = {value}\n") };
    format!("{before}{head}{line}{own}[{behind}")
}

fn lines(before: &str, after: &str) -> (Vec<String>, bool) {
    let folder = tempfile::TempDir::new().unwrap();
    fill(folder.path());
    let read = |text: &str| {
        read_in(folder.path(), text).unwrap_or_else(|findings| panic!("{text}\n{findings}"))
    };
    lines_between(&read(before), &read(after))
}

fn read_in(folder: &std::path::Path, text: &str) -> Result<crate::config::Config, Findings> {
    let path = folder.join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    crate::config::load(&path)
}

fn lines_between(old: &crate::config::Config, new: &crate::config::Config) -> (Vec<String>, bool) {
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
    for (key, head, old, new, waits) in TABLES {
        let (lines, widens) = lines(&below(head, old), &below(head, new));
        if lines.is_empty() || widens != *waits {
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
    for (head, old, new) in [
        ("[issuers.w]", "@i\njwks_file = 'both.jwks'", "@i\njwks_file = 'turned.jwks'"),
        ("[issuers.w]", "@url\nca_file = 'both.crt'", "@url\nca_file = 'turned.crt'"),
        ("[issuers.w]", "@url", "@i\njwks_url = 'https://w.example:443/keys'"),
        (
            "[server.tls]",
            "@tls\nclient_ca_file = 'both.crt'",
            "@tls\nclient_ca_file = 'turned.crt'",
        ),
        ("[[expect]]", "@expect", "deny = [\"t/b\"]\nroles = ['r']"),
    ] {
        let (lines, widens) = lines(&below(head, old), &below(head, new));
        assert!(lines.is_empty() && !widens, "{head}: {old} -> {new}: {lines:?}");
    }
}

/// The configuration with what else may stand in one, a table each time: what stands there
/// already gives way.
fn context(tables: &[(&str, &str)]) -> String {
    let mut base = BASE.to_owned();
    for (head, own) in tables {
        let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut ours: Vec<String> = own.lines().map(name).collect();
        if ours.iter().any(|key| key == "jwks_file") {
            ours.push("jwks_url".to_owned());
        }
        let head = format!("[{head}]\n");
        base = match base.split_once(&head) {
            None => format!("{base}{head}{own}\n"),
            Some((before, rest)) => {
                let (old, behind) = rest.split_once("\n[").unwrap_or((rest, "x]"));
                let old = old.lines().filter(|line| !ours.contains(&name(line)));
                let old: String = old.map(|line| format!("{line}\n")).collect();
                format!("{before}{head}{own}\n{old}[{behind}")
            }
        };
    }
    base
}

/// Whether a key means nothing by one of the two, and that is told.
fn is_told_to_be_useless(key: &str, configs: [&crate::config::Config; 2]) -> bool {
    let name = key.rsplit('.').next().unwrap();
    configs.iter().flat_map(|config| config.warnings.findings()).any(|finding| {
        finding.code == Code::Useless && finding.message.starts_with(&format!("`{name}` "))
    })
}

/// The lines of a text that another does not have.
fn different(text: &str, other: &str) -> String {
    let all: Vec<&str> = other.lines().collect();
    text.lines().filter(|line| !all.contains(line)).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_change_is_shown_whatever_else_is_set() {
    let folder = tempfile::TempDir::new().unwrap();
    fill(folder.path());
    let (mut wrong, mut bare) = (Vec::new(), Vec::new());
    for (what, tables, (from, to)) in CONTEXTS {
        let base = context(tables);
        if let Err(findings) = read_in(folder.path(), &base) {
            panic!("{what}: {base}\n{findings}");
        }
        let mut tried = 0;
        let rows = KEYS.iter().map(|(key, old, new, waits)| {
            (*key, [old, new].map(|value| with_in(&base, key, value)), *waits)
        });
        let rows = rows.chain(TABLES.iter().map(|(key, head, old, new, waits)| {
            (*key, [old, new].map(|own| below_in(&base, head, own)), *waits)
        }));
        for (key, texts, waits) in rows {
            let read = |text: &String| read_in(folder.path(), &text.replace(from, to));
            let [old, new] = texts.each_ref().map(read);
            let (Ok(old), Ok(new)) = (old, new) else { continue };
            tried += 1;
            let (lines, widens) = lines_between(&old, &new);
            if is_told_to_be_useless(key, [&old, &new]) {
                continue;
            }
            if lines.is_empty() || widens != waits {
                let [old, new] = texts.each_ref().map(|text| different(text, &base));
                wrong.push(format!("{what}: {key}: {old} -> {new}: {waits}, {lines:?}"));
            }
        }
        if tried * 10 < (KEYS.len() + TABLES.len()) * 7 {
            bare.push(format!("{what}: {tried}"));
        }
    }
    assert!(wrong.is_empty() && bare.is_empty(), "{wrong:#?} {bare:?}");
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
    // What roles and conditions permit is compared by what passes, and what check leaves unsaid
    // changes nothing.
    all.retain(|key| !["roles.", "tools.", "check."].iter().any(|of| key.starts_with(of)));
    let rows = KEYS.iter().map(|(key, ..)| *key).chain(TABLES.iter().map(|(key, ..)| *key));
    let rows: Vec<&str> = rows.chain(APART).collect();
    for key in &all {
        assert!(rows.contains(&&**key), "{key} has no row");
    }
    for row in rows {
        assert!(all.iter().any(|key| key == row), "{row} is no key");
    }
}
