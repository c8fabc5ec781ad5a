//! Dependencies point one way: `main → cli → server → {config, gateway, admin, telemetry} → core`.

use std::path::{Path, PathBuf};

/// Which layers the code of a layer may name, besides itself.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("main", &["cli"]),
    ("lib", &[]),
    ("cli", &["config", "core", "server"]),
    ("server", &["admin", "config", "core", "gateway", "telemetry"]),
    ("admin", &["core", "telemetry"]),
    ("config", &["core"]),
    ("gateway", &["core", "telemetry"]),
    ("telemetry", &["core"]),
];

/// What would let I/O, time or the surroundings into the decision.
const NOT_IN_CORE: [&str; 13] = [
    "pingora",
    "prometheus",
    "tokio",
    "tracing",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "println!",
];

/// Code without comments, strings and white space, so that a path reads as one word.
fn bare(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let mut skip = c.len_utf8();
        if rest.starts_with("//") {
            skip = rest.find('\n').unwrap_or(rest.len());
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            skip = raw.find("\"#").map_or(rest.len(), |at| at + 5);
        } else if c == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let is_end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                is_end
            });
            skip = end.map_or(rest.len(), |at| at + 2);
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            skip = rest[2..].find('\'').map_or(rest.len(), |at| at + 3);
        } else if rest.starts_with("b'\"'") {
            skip = 4;
        } else if c.is_whitespace() {
            out.push(' ');
        } else {
            out.push(c);
        }
        rest = &rest[skip..];
    }
    let words: Vec<&str> = out.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").replace(" ::", "::").replace(":: ", "::")
}

/// The first segments of everything behind `prefix`, groups in braces included.
fn named(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            found.push(first_word(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut start = true;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                c if start && !c.is_whitespace() => {
                    found.push(first_word(&group[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The layer that a file under `src/` belongs to.
fn layer(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Everything in `source` that its place does not allow.
fn violations(path: &Path, source: &str) -> Vec<String> {
    let layer = layer(path);
    let code = bare(source);
    let mut used = named(&code, "crate::");
    used.extend(named(&code, "doorward::"));
    // `super::` leaves the layer only from the layer's own root file.
    if path.components().count() == 1 || path.ends_with("mod.rs") {
        let root = code.split("mod tests {").next().unwrap_or_default();
        used.extend(named(root, "super::"));
    }
    let allowed = MAY_USE.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, may)| may);
    let mut found: Vec<String> = used
        .into_iter()
        .filter(|name| *name != layer && !allowed.contains(&name.as_str()))
        .filter(|name| name == "core" || name == "cli" || MAY_USE.iter().any(|(l, _)| l == name))
        .map(|name| format!("{}: {layer} must not know {name}", path.display()))
        .collect();
    if layer == "core" {
        let banned = NOT_IN_CORE.iter().filter(|word| {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            code.match_indices(**word).any(|(at, _)| {
                let before = code[..at].chars().next_back().is_some_and(is_part);
                let after = code[at + word.len()..].chars().next().is_some_and(is_part);
                !before && !after
            })
        });
        found.extend(banned.map(|word| format!("{}: core must not use {word}", path.display())));
        let grouped = named(&code, "std::").into_iter();
        let io =
            grouped.filter(|n| ["env", "fs", "net", "process", "thread"].contains(&n.as_str()));
        found.extend(io.map(|n| format!("{}: core must not use std::{n}", path.display())));
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_module_names_one_that_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 20, "the sources were found");
    let mut found = Vec::new();
    for path in paths {
        let source = std::fs::read_to_string(&path).unwrap();
        found.extend(violations(path.strip_prefix(&root).unwrap(), &source));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_checker_finds_what_is_forbidden() {
    let bad = [
        ("config/read.rs", "use crate::gateway::Gateway;"),
        ("config/read.rs", "use crate::{core::json, telemetry::log};"),
        ("gateway/story.rs", "fn f() { crate::config::load(x) }"),
        ("gateway/story.rs", "use crate :: server :: run;"),
        ("gateway/mod.rs", "use super::admin::Admin;"),
        ("telemetry/log.rs", "use crate::gateway::Gateway;"),
        ("admin/mod.rs", "use crate::config::Config;"),
        ("server.rs", "use crate::cli::main;"),
        ("server.rs", "use super::cli;"),
        ("cli/run.rs", "use crate::gateway::Gateway;"),
        ("main.rs", "fn main() { doorward::server::run(c) }"),
        ("core/decide.rs", "use crate::config::Config;"),
        ("core/decide.rs", "use crate::{\n    core::x,\n    gateway,\n};"),
        ("core/decide.rs", "use tokio::sync::Mutex;"),
        ("core/decide.rs", "use std::{collections::HashMap, fs::File};"),
        ("core/decide.rs", "fn f() { std::env::var(\"x\") }"),
        ("core/decide.rs", "fn f() { let now = Instant::now(); }"),
        ("core/decide.rs", "fn f() { pingora::x() }"),
        ("core/decide.rs", "let c = '\"'; use tokio::x; let d = '\"';"),
    ];
    for (path, source) in bad {
        assert!(!violations(Path::new(path), source).is_empty(), "{path}: {source}");
    }
    let good = [
        ("server.rs", "use crate::{admin::Admin, gateway::{Gateway, Options}};"),
        ("core/decide.rs", "//! knows no pingora and no tokio\nuse super::json;"),
        ("core/decide.rs", "let a = \"std::fs \\\" tokio\"; // Instant::now"),
        ("core/decide.rs", "use std::collections::HashMap;"),
        ("gateway/story.rs", "use super::config_like; use crate::telemetry::metrics;"),
        ("main.rs", "fn main() { doorward::cli::main() }"),
    ];
    for (path, source) in good {
        assert_eq!(violations(Path::new(path), source), Vec::<String>::new(), "{path}: {source}");
    }
}
