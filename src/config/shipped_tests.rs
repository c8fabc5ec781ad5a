//! The shipped file and its schema: true, and complete.

use super::tests::{UPSTREAM, read};
use super::*;

/// What stands in the shipped file as a comment is no less true.
#[cfg(feature = "demo")]
#[test]
fn the_issuer_in_the_shipped_file_is_a_good_one() {
    let shipped = include_str!("../../gateway.toml");
    let from = shipped.find("# [issuers.corp]").unwrap();
    let block = shipped[from..].split("\n\n").next().unwrap();
    let issuer: Vec<&str> = block.lines().map(|line| line.strip_prefix("# ").unwrap()).collect();
    assert!(issuer.len() > 15);
    let config = read(&format!("{shipped}\n{}", issuer.join("\n"))).unwrap();
    // Its claim can name the organization of the demo tokens, which a real file has not.
    let codes: Vec<Code> = config.warnings.findings().iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::SameUsers], "{}", config.warnings);
    // With the defaults that it shows left out it is the same, but for what has none.
    let is_default = |line: &&&str| {
        ["algorithms", "audience", "user_claim", "roles ", "leeway", "refresh", "max_stale"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let least: Vec<&str> = issuer.iter().filter(|line| !is_default(line)).copied().collect();
    let least = read(&format!("{shipped}\n{}", least.join("\n"))).unwrap();
    let [least, full] = [&least.issuers[0], &config.issuers[0]];
    assert_eq!(least.issuer, full.issuer);
    let rest = |spec: &IssuerSpec| format!("{:?} {:?}", spec.keys, spec.upstreams);
    assert_eq!(rest(least), rest(full));
}

#[cfg(feature = "demo")]
#[test]
fn the_shipped_file_is_good_and_shows_the_defaults() {
    let shipped = read(include_str!("../../gateway.toml")).unwrap();
    assert!(shipped.warnings.findings().is_empty(), "{}", shipped.warnings);
    let least = read(UPSTREAM).unwrap();
    let comparable = |config: &Config| {
        let mut settings = config.settings.clone();
        settings.public_url = None;
        for upstream in &mut settings.upstreams {
            upstream.span = 0..0;
            upstream.name = String::new();
            upstream.target = Target::BuiltinTickets;
        }
        format!("{settings:?}")
    };
    assert_eq!(comparable(&shipped), comparable(&least));
}

/// The lines of a block of the shipped file that is commented out, from `first` to an empty line.
#[cfg(feature = "demo")]
fn commented(first: &str) -> String {
    let shipped = include_str!("../../gateway.toml");
    let from = shipped.find(first).expect(first);
    let block = shipped[from..].split("\n\n").next().unwrap();
    block.lines().map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n").collect()
}

#[cfg(feature = "demo")]
#[test]
fn the_rules_and_tests_in_the_shipped_file_are_good_ones() {
    let shipped = include_str!("../../gateway.toml");
    let rules = ["# [[roles.agent.when]]", "# [tools.", "# [[expect]]"].map(commented).concat();
    let config = read(&format!("{shipped}\n{rules}")).unwrap();
    assert!(config.warnings.findings().is_empty(), "{}", config.warnings);
    let role = &config.roles["agent"];
    assert_eq!((role.when.len(), role.when[0].conditions.len()), (1, 2));
    let (_, route) = config.policy.routes().next().unwrap();
    assert_eq!(route.facts.len(), 1);
    let refused = read(
        &format!("{shipped}\n{rules}").replace("deny      = [", "deny = [\"tickets/whoami\", "),
    );
    assert!(refused.unwrap_err().to_string().contains("`tickets/whoami` is allowed"));
}

#[cfg(feature = "demo")]
#[test]
fn the_lock_in_the_shipped_file_is_a_good_one() {
    use crate::core::pin::Definition;

    let folder = tempfile::TempDir::new().unwrap();
    let tools = BTreeMap::from([("whoami".to_owned(), Definition::read("{}").unwrap())]);
    let approved = Approved::from([("tickets".to_owned(), tools)]);
    std::fs::write(folder.path().join("tools.lock"), lock_text(&approved)).unwrap();
    let shipped = include_str!("../../gateway.toml");
    let with = |block: &str| {
        let path = folder.path().join("gateway.toml");
        parse(&path, &format!("{shipped}\n{block}")).unwrap()
    };
    let pins = |config: &Config| {
        let (_, route) = config.policy.routes().next().unwrap();
        route.pins.clone().unwrap()
    };
    let block = "[lock]\nfile = \"tools.lock\"\n";
    let config = with(&commented("# [lock]"));
    assert_eq!(pins(&config).measures(), pins(&with(block)).measures(), "it shows the defaults");
    assert_eq!(pins(&config).tools().map(|(name, _)| name).collect::<Vec<_>>(), ["whoami"]);
    assert_eq!(config.lock_file, Some(folder.path().join("tools.lock")));
}

/// The keys that the reader knows in the table at the end of `lines`.
fn known_keys(lines: &str) -> Vec<String> {
    let text = format!("{lines}\nzzz-nobody-knows = 1\n");
    let found = read(&text).unwrap_err().to_string();
    let known = found.split("unknown key `zzz-nobody-knows`").nth(1).expect(&found);
    let known = known.split("known here: ").nth(1).unwrap().lines().next().unwrap();
    let mut keys: Vec<String> = known.split(", ").map(str::to_owned).collect();
    keys.sort();
    keys
}

#[test]
fn the_schema_knows_the_same_keys_as_the_reader() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/gateway.schema.json")).unwrap();
    let keys = |pointer: &str| {
        let properties = schema.pointer(&format!("{pointer}/properties")).expect(pointer);
        let mut keys: Vec<String> = properties.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    for (lines, pointer) in [
        ("", ""),
        ("[server]", "/properties/server"),
        ("[server.tls]", "/properties/server/properties/tls"),
        ("[server.shutdown]", "/properties/server/properties/shutdown"),
        ("[admin]", "/properties/admin"),
        ("[identity]", "/properties/identity"),
        ("[identity.assertion]", "/properties/identity/properties/assertion"),
        ("[upstreams.x]", "/$defs/upstream"),
        ("[upstreams.x.credential]\nheader = \"X-Key\"", "/$defs/upstream/properties/credential"),
        ("[roles.x]", "/$defs/role"),
        ("[[roles.x.when]]", "/$defs/when"),
        ("[tools.\"x/y\"]", "/$defs/tool"),
        ("[tools.\"x/y\".arguments.\"/a\"]", "/$defs/condition"),
        ("[tokens.x]", "/$defs/token"),
        ("[issuers.x]", "/$defs/issuer"),
        ("[issuers.x.scopes.y]", "/$defs/scope/oneOf/1"),
        ("[[expect]]", "/$defs/expect"),
        ("[limits]", "/properties/limits"),
        ("[lock]", "/properties/lock"),
        ("[reload]", "/properties/reload"),
        ("[check]", "/properties/check"),
        ("[log]", "/properties/log"),
        ("[audit]", "/properties/audit"),
    ] {
        let mut known = known_keys(lines);
        // Which of these there are depends on the others.
        if lines.contains("credential") {
            known.extend(["bearer_env", "bearer_file"].map(str::to_owned));
            known.sort();
        }
        assert_eq!(keys(pointer), known, "{lines}");
    }
}
