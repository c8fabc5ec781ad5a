//! What always holds of `diff`: where it says that nobody gets more, no call passes that did not, and
//! nobody gets more by other words for the same.
//!
//! A configuration is a set of slots, each with some of what can stand in it; an edit puts
//! something else into a few.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::config::Config;
use crate::core::access::Difference;
use crate::core::permission::{Target as Asked, TargetKind};
use crate::core::pin::Definition;
use crate::core::principal::UserId;
use crate::core::rehearsal::{self, Caller};

const TOOLS: &[&str] = &[
    "'t/a'",
    "'t/b'",
    "'t/*'",
    "'t/[ab]'",
    "'*/a'",
    "'u/a'",
    "'t/{a,b}'",
    "'t/a b'",
    "'t/{a b,c}'",
    "'t/a*'",
    "'t/[!b]*'",
    "'t/?'",
    "'{t,u}/*b'",
    "'[tu]/[a-c]'",
];
const RESOURCES: &[&str] = &[
    "'t/docs://pub/x'",
    "'t/docs://pub/*'",
    "'t/docs://pub/**'",
    "'t/docs://{pub,secret}/*'",
    "'t/docs://*/x'",
    "'t/docs://**'",
    "'t/docs://pub/x?*'",
    "'t/docs://**?**'",
    "'t/docs:*'",
    "'t/*'",
    "'t/**'",
    "'u/docs://pub/x'",
    "'*/docs://*/[!y]'",
];
const PROMPTS: &[&str] = &["'t/p'", "'t/p*'", "'t/*'", "'u/p'", "'[tu]/?'"];
const SHADOW: &[&str] = &["2098-01-01", "2099-01-01"];
const ROLES: &[&str] = &["'r'", "'s'", "'d'"];

/// Conditions, those beside each other near in meaning.
const CONDITIONS: &[&str] = &[
    "equals = 'x'",
    "in = ['x']",
    "in = ['x', 'y']",
    "in = ['y', 'x', 'x']",
    "in = ['x\", \"y']",
    "not_in = ['x']",
    "not_in = ['x', 'y']",
    "not_in = ['x', 7]",
    "not_in = ['x', true]",
    "not_in = [7]",
    "not_in = [7, 5000000000]",
    "not_in = [7.5]",
    "in = [1, 7]",
    "in = [1.0, 7.0]",
    "in = ['7']",
    "equals = 7",
    "min = 0, max = 7",
    "min = 0, max = 10",
    "min = 1, max = 7.5",
    "min = -3000000000, max = 7",
    "max = 7",
    "max = 5000000000",
    "max = 7, in = [1, 7]",
    "max_length = 1",
    "max_length = 4",
    "max_length = 4, optional = true",
    "max_items = 1",
    "max_items = 2",
    "absent = true",
    "in = ['x', 'xyzzyx']",
    "glob = 'x*'",
    "glob = '?*'",
    "glob = '*'",
    "glob = '**'",
    "glob = '~*'",
    "glob = '[!a]*'",
    "glob = 'a  b'",
    "glob = 'a\\u{20}{2}b'",
    "regex = 'x.?'",
    "regex = 'x.?', max_length = 1",
    "regex = '[a-z]+'",
    "regex = '[a-z]+', max_length = 4",
    "regex = '[a-zK]+'",
    "regex = '(?i)[a-z]+'",
    "url = { host = ['a.example'] }",
    "url = { host = ['a.example'], path = '/y' }",
    "url = { host = ['a.example', '*.b.example'] }",
    "url = { host = ['*.example'], path = '/*' }",
    "url = { host = ['*.example'], scheme = ['https', 'http'] }",
    "glob = 'https://*.example/**'",
    "glob = 'https://a.example/*'",
    "min = 0",
    "min = 0, max = 7, in = [1, 7]",
    "in = [7]",
    "equals_user = true",
    "equals_user = true, optional = true",
    "equals_organization = true",
];
const PLACES: &[&str] = &["/v", "/V", "/w/v"];
const WHEN_TOOLS: &[&str] = &["'t/a'", "'t/a', 't/b'", "'t/*'", "'*/a'", "'u/*'"];

/// The slots, how many things may stand in each, and what can.
const SLOTS: &[(&str, usize, &[&str])] = &[
    ("r.tools", 3, TOOLS),
    ("r.prompts", 2, PROMPTS),
    ("r.resources", 2, RESOURCES),
    ("r.until", 1, SHADOW),
    ("s.tools", 2, TOOLS),
    ("s.deny", 2, TOOLS),
    ("s.deny_resources", 1, RESOURCES),
    ("s.until", 1, SHADOW),
    ("d.deny", 2, TOOLS),
    ("d.deny_prompts", 1, PROMPTS),
    ("d.tools", 1, TOOLS),
    ("a.roles", 3, ROLES),
    ("a.tools", 1, TOOLS),
    ("a.resources", 1, RESOURCES),
    ("a.expires", 1, &["2020-01-01", "2098-01-01", "2099-01-01"]),
    ("a.revoked", 1, &["2020-01-01", "2098-01-01"]),
    ("a.user", 1, &["'ann'", "'x'"]),
    ("a.organization", 1, &["'acme'", "'x'"]),
    ("a.secret", 1, &["one", "two"]),
    ("b.roles", 2, ROLES),
    ("b.secret", 1, &["three"]),
    ("corp.roles", 2, ROLES),
    ("corp.g", 1, ROLES),
    ("corp.h", 1, ROLES),
    ("corp.scope", 1, TOOLS),
    ("corp.claim", 1, &["'groups'", "'others'"]),
    ("corp.upstreams", 2, &["'t'", "'u'"]),
    ("corp.organization", 1, &["'acme'", "'x'"]),
    ("t.tasks", 1, &["'sealed'"]),
    ("u.path", 1, &["'/u'"]),
    ("lock", 1, &["plain", "loose", "more"]),
    ("limits.json_depth", 1, &["4", "64"]),
];

/// A condition: its tools, its place, what is asked, and until when it is only tried out.
type Asking = (usize, usize, usize, Option<usize>);

#[derive(Clone, Debug)]
struct Draft {
    slots: BTreeMap<&'static str, Vec<usize>>,
    /// Of everybody, of the role `r`, and of the role `s`.
    whens: [Vec<Asking>; 3],
}

#[derive(Clone, Debug)]
enum Edit {
    Add(Index, Index),
    Remove(Index, Index),
    Ask(Index, Asking),
    /// Something near in the place of a condition.
    Move(Index, Index, isize),
    Unask(Index, Index),
}

fn asking() -> impl Strategy<Value = Asking> {
    let until = prop::option::weighted(0.1, 0..SHADOW.len());
    (0..WHEN_TOOLS.len(), 0..PLACES.len(), 0..CONDITIONS.len(), until)
}

prop_compose! {
    fn draft()(
        chosen in prop::collection::vec(prop::collection::vec(any::<Index>(), 0..4), SLOTS.len()),
        shadows in prop::bool::weighted(0.2),
        pins in prop::bool::weighted(0.3),
        whens in [
            prop::collection::vec(asking(), 0..2),
            prop::collection::vec(asking(), 0..3),
            prop::collection::vec(asking(), 0..2),
        ],
    ) -> Draft {
        let slots = SLOTS.iter().zip(chosen).map(|((name, most, pool), some)| {
            let is_left_out = (name.ends_with("until") && !shadows) || (*name == "lock" && !pins);
            let most = if is_left_out { 0 } else { *most };
            (*name, some.into_iter().take(most).map(|at| at.index(pool.len())).collect())
        });
        Draft { slots: slots.collect(), whens }
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = any::<Index>;
    let edit = prop_oneof![
        2 => (at(), at()).prop_map(|(slot, what)| Edit::Add(slot, what)),
        4 => (at(), at()).prop_map(|(slot, what)| Edit::Remove(slot, what)),
        1 => (at(), asking()).prop_map(|(of, asking)| Edit::Ask(of, asking)),
        3 => (at(), at(), -2..3_isize).prop_map(|(of, which, by)| Edit::Move(of, which, by)),
        1 => (at(), at()).prop_map(|(of, which)| Edit::Unask(of, which)),
    ];
    prop::collection::vec(edit, 1..4)
}

impl Draft {
    fn edited(&self, edits: &[Edit]) -> Self {
        let mut new = self.clone();
        for edit in edits {
            match edit {
                Edit::Add(slot, what) => {
                    let (name, most, pool) = SLOTS[slot.index(SLOTS.len())];
                    let held = new.slots.get_mut(name).unwrap();
                    held.insert(0, what.index(pool.len()));
                    held.truncate(most);
                }
                Edit::Remove(slot, what) => {
                    let mut held = new.slots.values_mut().filter(|held| !held.is_empty());
                    let count = held.by_ref().count();
                    let mut held = new.slots.values_mut().filter(|held| !held.is_empty());
                    if let Some(held) = (count > 0).then(|| held.nth(slot.index(count))).flatten() {
                        held.remove(what.index(held.len()));
                    }
                }
                Edit::Ask(of, asking) => new.whens[of.index(3)].push(*asking),
                Edit::Move(of, which, by) => {
                    let whens = &mut new.whens[of.index(3)];
                    if !whens.is_empty() {
                        let which = which.index(whens.len());
                        let (_, _, asked, _) = &mut whens[which];
                        *asked = asked.saturating_add_signed(*by).min(CONDITIONS.len() - 1);
                    }
                }
                Edit::Unask(of, which) => {
                    let whens = &mut new.whens[of.index(3)];
                    if !whens.is_empty() {
                        whens.remove(which.index(whens.len()));
                    }
                }
            }
        }
        new
    }

    /// What stands in a slot, in the order of a spelling.
    fn list(&self, slot: &str, spelling: &Spelling) -> Vec<&'static str> {
        let (name, _, pool) = SLOTS.iter().find(|(name, ..)| *name == slot).unwrap();
        let mut all: Vec<&str> = self.slots[name].iter().map(|at| pool[*at]).collect();
        if spelling.is_other {
            all.reverse();
            all.extend(all.first().copied());
        }
        all
    }

    fn text(&self, spelling: &Spelling) -> String {
        let mut out = String::from(
            "[server]\npublic_url = 'https://gw.example'\n[upstreams.t]\npath = '/t'\n\
             url = 'http://127.0.0.1:9/'\n",
        );
        out += &self.line("t.tasks", "tasks");
        if !self.slots["u.path"].is_empty() {
            out += "[upstreams.u]\npath = '/u'\nurl = 'http://127.0.0.1:8/'\n";
        }
        out += &format!("[limits]\n{}", self.line("limits.json_depth", "json_depth"));
        if let Some(name) = self.list("lock", spelling).first() {
            out += &format!("[lock]\nfile = '{name}.lock'\n");
        }
        for (name, own) in [
            ("r", ["r.tools", "r.prompts", "r.resources"]),
            ("s", ["s.tools", "s.deny", "s.deny_resources"]),
            ("d", ["d.tools", "d.deny", "d.deny_prompts"]),
        ] {
            out += &format!("[roles.{}{name}]\n", spelling.prefix());
            own.iter().for_each(|slot| out += &self.array(slot, spelling));
            let until = self.slots.get(&*format!("{name}.until")).is_some_and(|u| !u.is_empty());
            if until {
                out += &self.line(&format!("{name}.until"), "until");
                out += "mode = 'shadow'\n";
            }
        }
        out + &self.conditions(spelling) + &self.tokens(spelling) + &self.issuer(spelling)
    }

    fn line(&self, slot: &str, key: &str) -> String {
        let first = self.list(slot, &PLAIN).first().copied();
        first.map_or_else(String::new, |value| format!("{key} = {value}\n"))
    }

    fn array(&self, slot: &str, spelling: &Spelling) -> String {
        let (_, key) = slot.split_once('.').unwrap();
        format!("{key} = [{}]\n", self.list(slot, spelling).join(", "))
    }

    /// The names of roles, as they are spelled.
    fn roles(&self, slot: &str, spelling: &Spelling) -> String {
        let names = self.array(slot, spelling);
        let names = names.replace("['", "['@").replace(", '", ", '@");
        names.replace('@', spelling.prefix())
    }

    fn tokens(&self, spelling: &Spelling) -> String {
        let mut out = String::new();
        if let Some(secret) = self.list("a.secret", &PLAIN).first() {
            out += &format!("[tokens.a]\nsha256 = '{}'\n", digest(secret));
            out += &self.roles("a.roles", spelling);
            out += &self.array("a.tools", spelling);
            out += &self.array("a.resources", spelling);
            out += &self.line("a.revoked", "revoked");
            for (slot, key, otherwise) in [
                ("a.expires", "expires", "'never'"),
                ("a.user", "user", "'ann'"),
                ("a.organization", "organization", "'acme'"),
            ] {
                let written = self.line(slot, key);
                out += &if written.is_empty() { format!("{key} = {otherwise}\n") } else { written };
            }
        }
        if let Some(secret) = self.list("b.secret", &PLAIN).first() {
            out += &format!("[tokens.b]\nsha256 = '{}'\n", digest(secret));
            out += &self.roles("b.roles", spelling);
            out += "user = 'bob'\norganization = 'acme'\nexpires = 'never'\n";
        }
        out
    }

    fn issuer(&self, spelling: &Spelling) -> String {
        if self.slots["corp.organization"].is_empty() {
            return String::new();
        }
        let mut out = String::from(
            "[issuers.corp]\nissuer = 'https://login.example'\n\
             jwks_url = 'https://login.example/keys'\n",
        );
        out += &self.roles("corp.roles", spelling);
        out += &self.line("corp.organization", "organization");
        out += &self.line("corp.claim", "roles_claim");
        out += &self.array("corp.upstreams", spelling);
        for (slot, key) in [("corp.g", "roles_map.g"), ("corp.h", "roles_map.h")] {
            out += &self.line(slot, key).replace(" '", &format!(" '{}", spelling.prefix()));
        }
        if let Some(tool) = self.list("corp.scope", &PLAIN).first() {
            out += &format!("scopes.all = [{tool}]\n");
        }
        out
    }

    fn conditions(&self, spelling: &Spelling) -> String {
        let mut out = String::new();
        for (whens, of) in self.whens.iter().zip(["", "r", "s"]) {
            let mut whens: Vec<&Asking> = whens.iter().collect();
            if of.is_empty() {
                // One table for each.
                whens.sort();
                whens.dedup_by_key(|asking| asking.0);
            }
            if spelling.is_other {
                whens.reverse();
            }
            for (tools, place, asked, until) in whens {
                let mut asked = CONDITIONS[*asked].to_owned();
                if spelling.is_other {
                    asked =
                        asked.replace("equals = 'x'", "in = ['x', 'x']").replace("= 7", "= 7.0");
                }
                let head = match of {
                    "" => {
                        let tool = ["t/a", "t/b", "t/*", "*/a", "u/*"][*tools];
                        format!("[tools.'{tool}']\n")
                    }
                    role => {
                        let role = format!("{}{role}", spelling.prefix());
                        let tools = WHEN_TOOLS[*tools];
                        format!("[[roles.{role}.when]]\ntools = [{tools}]\n")
                    }
                };
                out += &format!("{head}arguments.'{}' = {{ {asked} }}\n", PLACES[*place]);
                if let Some(until) = until {
                    out += &format!("mode = 'shadow'\nuntil = {}\n", SHADOW[*until]);
                }
                if spelling.is_other {
                    out += "message = 'another word'\n";
                }
            }
        }
        out
    }
}

/// The words in which a configuration is written.
struct Spelling {
    is_other: bool,
}

impl Spelling {
    /// What stands before the name of a role.
    fn prefix(&self) -> &'static str {
        if self.is_other { "z-" } else { "" }
    }
}

const PLAIN: Spelling = Spelling { is_other: false };
const OTHER: Spelling = Spelling { is_other: true };

fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Approved tools in a folder of their own.
fn locks() -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    let tool = |name: &str, v: &str| {
        let item = format!(
            r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{"v":{v},"vv":{{}}}}}}}}"#
        );
        (name.to_owned(), Definition::read(&item).unwrap())
    };
    for (file, v, names) in [
        ("plain", r#"{"type":"string"},"V":{"type":"string"}"#, vec!["a", "b"]),
        ("loose", r#"{}"#, vec!["a"]),
        ("more", r#"{"type":"string"}"#, vec!["a", "b", "c"]),
    ] {
        let tools: BTreeMap<_, _> = names.into_iter().map(|name| tool(name, v)).collect();
        let approved = [("t".to_owned(), tools.clone()), ("u".to_owned(), tools)];
        let text = crate::config::lock_text(&approved.into());
        std::fs::write(folder.path().join(format!("{file}.lock")), text).unwrap();
    }
    folder
}

/// 2026-06-01, a moment between the ends of trials, and one behind all of them.
const NOW: i64 = 1_780_272_000;
const MOMENTS: [i64; 3] = [NOW, 4_055_000_000, 4_200_000_000];

const ARGUMENTS: &[&str] = &[
    "{}",
    r#"{"v":"x"}"#,
    r#"{"v":"y"}"#,
    r#"{"v":"x\", \"y"}"#,
    r#"{"v":"xyzzyx"}"#,
    r#"{"v":"null"}"#,
    r#"{"v":"[1]"}"#,
    r#"{"v":null}"#,
    r#"{"v":true}"#,
    r#"{"v":false}"#,
    r#"{"v":1}"#,
    r#"{"v":7}"#,
    r#"{"v":7.2}"#,
    r#"{"v":7.5}"#,
    r#"{"v":8}"#,
    r#"{"v":-1}"#,
    r#"{"v":1e300}"#,
    r#"{"v":4294967303}"#,
    r#"{"v":5000000000}"#,
    r#"{"v":["x"]}"#,
    r#"{"v":["x","y"]}"#,
    r#"{"v":"a  b"}"#,
    r#"{"v":"au20 20b"}"#,
    r#"{"v":"a20202b"}"#,
    r#"{"v":"au202b"}"#,
    r#"{"v":"ann"}"#,
    r#"{"v":"bob"}"#,
    r#"{"v":"acme"}"#,
    r#"{"v":"https://a.example/y"}"#,
    r#"{"v":"http://a.example/y/z"}"#,
    r#"{"v":"https://a.example/y?q"}"#,
    r#"{"v":"~x"}"#,
    r#"{"v":"\u212a"}"#,
    r#"{"v":""}"#,
    r#"{"v":"https://c.b.example/y"}"#,
    r#"{"V":"x"}"#,
    r#"{"v":"x","V":"y"}"#,
    r#"{"w":{"v":"x"}}"#,
    r#"{"v":"x","w":{"v":"x"},"V":"x"}"#,
    r#"{"v":[[[["deep"]]]]}"#,
];

fn read(folder: &std::path::Path, text: &str) -> Option<Config> {
    let path: PathBuf = folder.join("gateway.toml");
    crate::config::parse(&path, text).ok()
}

/// Every call that passes, with whom the upstream takes the caller for.
fn passing(config: &Config) -> Vec<String> {
    let mut all = Vec::new();
    for now in MOMENTS {
        for (who, upstream, caller) in callers(config, now) {
            let route = config.policy.route_to(upstream).unwrap();
            let principal = caller.principal();
            let told: (&UserId, &str) = (principal.user(), principal.organization().as_str());
            let mut note = |what: String, passes: bool| {
                if passes {
                    all.push(format!("{now} {who} as {told:?}: {upstream} {what}"));
                }
            };
            for tool in ["a", "b", "c", "a b", "ab", "ca"] {
                for arguments in ARGUMENTS {
                    // The depth is looked at when a message is read.
                    let is_deep = arguments.contains("deep") && config.policy.max_depth() < 8;
                    let got = rehearsal::call(route, &caller, tool, arguments, now);
                    note(format!("{tool} {arguments}"), got.passes() && !is_deep);
                }
            }
            let uris = [
                "docs://pub/x",
                "docs://pub/y",
                "docs://pub/y/z",
                "docs://secret/x",
                "docs://secret/y",
                "docs://pub/x?q",
                "docs://pub/x?a/b",
                "docs://PUB/%78",
                "docs:x",
                "docs://**",
                "urn:x",
            ];
            let resources = uris.map(|uri| (TargetKind::Resource, uri));
            let others = [
                (TargetKind::Template, "docs://pub/{x}"),
                (TargetKind::Template, "docs://{x}/y"),
                (TargetKind::Prompt, "p"),
                (TargetKind::Prompt, "pq"),
            ];
            for (kind, name) in resources.into_iter().chain(others) {
                let target = Asked { kind, name };
                let got = rehearsal::may_see(route, &caller, target, now);
                note(format!("{kind:?} {name}"), got.passes());
            }
            note("tasks".to_owned(), route.tasks == Tasks::Sealed);
        }
    }
    all.sort();
    all
}

/// Everybody who is let in, and where.
fn callers(config: &Config, now: i64) -> Vec<(String, &'static str, Caller)> {
    let mut all = Vec::new();
    for upstream in ["t", "u"] {
        let Some(route) = config.policy.route_to(upstream) else { continue };
        for secret in ["one", "two", "three"] {
            let listed = config.policy.tokens().list_one(&Sha256::digest(secret).into());
            if let Some(listed) = listed.filter(|listed| listed.failure(now).is_none()) {
                all.push((secret.to_owned(), upstream, Caller::of_token(&listed)));
            }
        }
        let issuers = route.protected.iter().flat_map(|protected| protected.issuers());
        for issuer in issuers {
            for claims in [
                r#"{"sub":"ann"}"#,
                r#"{"sub":"ann","groups":["g"]}"#,
                r#"{"sub":"ann","groups":["h"],"others":["g"]}"#,
                r#"{"sub":"ann","groups":["g","h"],"scope":"all"}"#,
            ] {
                let held = serde_json::from_str(claims).unwrap();
                let caller = Caller::of_claims(issuer, held).unwrap();
                all.push((claims.to_owned(), upstream, caller));
            }
        }
    }
    all
}

fn widens(old: &Config, new: &Config) -> (bool, Vec<String>) {
    let tools = old.named_tools.union(&new.named_tools).cloned().collect();
    let rights = Difference::between(&old.policy, &new.policy, &tools, NOW);
    let changed = changed((&old.settings, &old.issuers), (&new.settings, &new.issuers));
    let lines = rights.lines().into_iter().chain(changed.iter().map(Changed::line));
    (rights.widens() || changed.iter().any(|changed| changed.widens), lines.collect())
}

/// The long run: DIFF_CASES=1000000 cargo test --lib changes::properties
fn runner() -> TestRunner {
    let cases = std::env::var("DIFF_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = cases.unwrap_or(400);
    let (failure_persistence, max_shrink_time) = (None, 20_000);
    let runs = Runs { cases, failure_persistence, max_shrink_time, ..Runs::default() };
    TestRunner::new_with_rng(runs, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

#[test]
fn what_is_not_said_to_widen_lets_no_call_pass_that_did_not() {
    let folder = locks();
    let seen = std::cell::Cell::new([0_usize; 4]);
    let count = |at: usize| {
        let mut all = seen.get();
        all[at] += 1;
        seen.set(all);
    };
    let tried = runner().run(&(draft(), edits()), |(draft, edits)| {
        let texts = [draft.text(&PLAIN), draft.edited(&edits).text(&PLAIN)];
        let [old, new] = texts.each_ref().map(|text| read(folder.path(), text));
        let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
        count(0);
        let (widens, lines) = widens(&old, &new);
        // Many of these say enough of what they give.
        if widens && seen.get()[0] % 8 != 0 {
            return Ok(());
        }
        let (had, has) = (passing(&old), passing(&new));
        let gained: Vec<&String> =
            has.iter().filter(|call| had.binary_search(call).is_err()).collect();
        let is_less = had.iter().any(|call| has.binary_search(call).is_err());
        count(match (widens, gained.is_empty()) {
            (false, _) if is_less => 1,
            (true, false) => 2,
            _ => 3,
        });
        let what = || format!("{lines:#?}\n{gained:#?}\n{}\n-- becomes --\n{}", texts[0], texts[1]);
        prop_assert!(widens || gained.is_empty(), "{}", what());
        prop_assert!(!lines.is_empty() || had == has, "{}", what());
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
    let [good, narrower, wider, _] = seen.get();
    let enough = format!("of {good} pairs {narrower} take away and {wider} give");
    assert!(good > 100 && narrower > good / 20 && wider > 0, "{enough}");
}

#[test]
fn other_words_for_the_same_are_not_said_to_widen() {
    let folder = locks();
    let good = std::cell::Cell::new(0);
    let tried = runner().run(&draft(), |draft| {
        let texts = [draft.text(&PLAIN), draft.text(&OTHER)];
        let [old, new] = texts.each_ref().map(|text| read(folder.path(), text));
        let (Some(old), Some(new)) = (old, new) else { return Ok(()) };
        good.set(good.get() + 1);
        let (widens, lines) = widens(&old, &new);
        let what = || format!("{lines:#?}\n{}\n-- becomes --\n{}", texts[0], texts[1]);
        prop_assert!(!widens, "{}", what());
        if good.get() % 8 == 0 {
            prop_assert!(passing(&old) == passing(&new), "{}", what());
        }
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
    assert!(good.get() > 100, "{} of them", good.get());
}
