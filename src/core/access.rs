//! What one policy permits that another does not: the effect of an edit.

mod entries;
mod issuers;
mod narrower;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::entries::Pair;
use self::issuers::{all_issuers, issuers};
use self::narrower::{is_narrower, refuses_of};
use super::argument::When;
use super::harmless::visible;
use super::permission::{Grants, Patterns, Question, Role, Target, TargetKind};
use super::pin::Pins;
use super::policy::{Policy, Tasks};
use super::token::{Listed, UnixSeconds};
use super::trace::NoTrace;

/// Pairs of upstream and tool that are worth asking about.
pub type Tools = BTreeSet<(String, String)>;

/// What changes for somebody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Change {
    /// What has become of them, in words.
    pub news: Vec<String>,
    /// Tools that they may call from now on, in some way.
    pub gained: Vec<String>,
    /// Tools that they may no longer call.
    pub lost: Vec<String>,
    /// Whether they may do more than before, as far as that cannot be ruled out.
    pub widens: bool,
}

/// What changes, and for whom: the same change is said once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Changes, each with those whom it concerns.
    pub changes: Vec<(Vec<String>, Change)>,
}

impl Difference {
    /// From `old` to `new`, at the moment `now`.
    #[must_use]
    pub fn between(old: &Policy, new: &Policy, tools: &Tools, now: UnixSeconds) -> Self {
        let mut changes: Vec<(Vec<String>, Change)> = Vec::new();
        let mut add = |who: String, change: Change| {
            if change == Change::default() {
                return;
            }
            match changes.iter_mut().find(|(_, known)| *known == change) {
                Some((all, _)) => all.push(who),
                None => changes.push((vec![who], change)),
            }
        };
        let before = by_name(old);
        let after = by_name(new);
        let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let known: BTreeSet<&str> = old.routes().map(|(_, route)| &*route.upstream).collect();
        let all = new.routes().map(|(_, route)| &*route.upstream);
        let added = all.filter(|upstream| !known.contains(upstream)).collect();
        let pins = [pins(old), pins(new)];
        for (_, route) in new.routes().filter(|(_, route)| known.contains(&*route.upstream)) {
            let upstream = &*route.upstream;
            let pair = (pins[0].get(upstream).copied(), pins[1].get(upstream).copied());
            let change = repinned(pair, upstream, &conditions(old));
            add(format!("upstream {upstream}"), change);
        }
        let facts = Facts { old: facts(old), new: facts(new), added, pins };
        for (_, route) in new.routes().filter(|(_, route)| route.tasks == Tasks::Sealed) {
            let mut before = old.routes().map(|(_, before)| before);
            if !before.any(|b| b.upstream == route.upstream && b.tasks == Tasks::Sealed) {
                let news = vec!["lets tasks through".to_owned()];
                let change = Change { news, widens: true, ..Change::default() };
                add(format!("upstream {}", route.upstream), change);
            }
        }
        for name in names {
            let pair = Pair { old: before.get(name), new: after.get(name) };
            add(format!("token {name}"), pair.change(&facts, tools, now));
        }
        issuers(old, new, &facts, tools, now, &mut add);
        for (what, is) in new.trust() {
            let was = old.trust().get(what);
            let news = match was {
                Some(was) if was == is => continue,
                Some(was) if is.is_subset(was) => ("are fewer than before", false),
                _ => ("are not those of before", true),
            };
            let (news, widens) = (vec![news.0.to_owned()], news.1);
            add(what.clone(), Change { news, widens, ..Change::default() });
        }
        Self { changes }
    }

    /// Whether anybody may do more than before, as far as that cannot be ruled out.
    #[must_use]
    pub fn widens(&self) -> bool {
        self.changes.iter().any(|(_, change)| change.widens)
    }

    /// Whether nothing changes for anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For people: a line for each change, with `+` where it widens.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        const NAMED: usize = 8;
        let line = |(who, change): &(Vec<String>, Change)| {
            let mark = if change.widens { '+' } else { '-' };
            let more = if who.len() > NAMED {
                format!(" and {} more", who.len() - NAMED)
            } else {
                String::new()
            };
            let who: Vec<&str> = who.iter().take(NAMED).map(String::as_str).collect();
            let mut said = change.news.clone();
            for (word, tools) in [("gains", &change.gained), ("loses", &change.lost)] {
                if !tools.is_empty() {
                    said.push(format!("{word} {}", tools.join(", ")));
                }
            }
            visible(&format!("{mark} {}{more}: {}", who.join(", "), said.join("; ")))
        };
        self.changes.iter().map(line).collect()
    }
}

fn by_name(policy: &Policy) -> BTreeMap<&str, Listed<'_>> {
    policy.tokens().list().map(|listed| (listed.name, listed)).collect()
}

/// They are the same for all upstreams.
fn facts(policy: &Policy) -> &[When] {
    policy.routes().next().map_or(&[], |(_, route)| &route.facts)
}

/// The approved tools of upstreams, where they are pinned.
fn pins(policy: &Policy) -> BTreeMap<&str, &Pins> {
    let pinned = policy.routes().filter_map(|(_, route)| Some((route, route.pins.as_deref()?)));
    pinned.map(|(route, pins)| (&*route.upstream, pins)).collect()
}

/// All conditions on arguments.
fn conditions(policy: &Policy) -> Vec<&When> {
    fn of_role(role: &Arc<Role>) -> impl Iterator<Item = &When> {
        role.when.iter()
    }
    let issuers = all_issuers(policy).into_values();
    let of_issuers = issuers.flat_map(|issuer| {
        let scopes = issuer.scopes.values().flatten();
        issuer.roles.iter().chain(issuer.roles_map.values()).chain(scopes).flat_map(of_role)
    });
    let tokens = policy.tokens().list();
    let of_tokens =
        tokens.flat_map(|listed| listed.principal.grants().roles.iter().flat_map(of_role));
    facts(policy).iter().chain(of_issuers).chain(of_tokens).collect()
}

/// What changes for everybody by other pins of an upstream, where calls had to fulfil `conditions`.
fn repinned(
    (was, is): (Option<&Pins>, Option<&Pins>),
    upstream: &str,
    conditions: &[&When],
) -> Change {
    let (mut news, widens) = match (was, is) {
        (None, None) => return Change::default(),
        (None, Some(is)) => {
            let count = is.tools().count();
            let mut news = vec![format!("its tools are pinned, {count} of them")];
            let eased = |(tool, _): &(&str, _)| {
                let mut covering = conditions.iter().filter(|when| when.covers(upstream, tool));
                covering.any(|when| when.is_eased_by(is.declared(tool)))
            };
            let eased: Vec<&str> = is.tools().filter(eased).map(|(tool, _)| tool).collect();
            if !eased.is_empty() {
                news.push(format!("conditions trust the approved schema of {}", eased.join(", ")));
            }
            (news, !eased.is_empty())
        }
        (Some(_), None) => (vec!["its tools are no longer pinned".to_owned()], true),
        (Some(was), Some(is)) => {
            let news = is.widening(was);
            let widens = !news.is_empty();
            (news, widens)
        }
    };
    if let (Some(was), Some(is)) = (was, is) {
        news.extend(is.narrowing(was));
    }
    Change { news, widens, ..Change::default() }
}

/// What is the same for everybody.
struct Facts<'p> {
    old: &'p [When],
    new: &'p [When],
    /// Upstreams that were not there before.
    added: Vec<&'p str>,
    /// Before and after.
    pins: [BTreeMap<&'p str, &'p Pins>; 2],
}

impl Facts<'_> {
    /// As they are for the way back.
    fn reversed(&self) -> Self {
        let [old, new] = self.pins.clone();
        Self { old: self.new, new: self.old, added: Vec::new(), pins: [new, old] }
    }

    /// Whether something is allowed of an upstream that was not there before.
    fn opens(&self, grants: &Grants) -> bool {
        let allow = grants.roles.iter().map(|role| &role.allow).chain([&grants.direct]);
        let mut patterns = allow.flat_map(|p| p.tools.iter().chain(&p.prompts).chain(&p.resources));
        patterns.any(|pattern| self.added.iter().any(|name| pattern.covers_upstream(name)))
    }
}

/// What changes from some grants to others, for those who have `others` besides: who has lost all of
/// these can have lost what refused of those.
fn compare(
    old: &Grants,
    new: &Grants,
    others: &[&Patterns],
    facts: &Facts<'_>,
    tools: &Tools,
    now: UnixSeconds,
) -> Change {
    let opens = facts.opens(new);
    let has_nothing = *old == Grants::default();
    let gives_nothing = *new == Grants::default() && !refuses_of(old, others);
    if old == new && (has_nothing || facts.old == facts.new && !opens) {
        return Change::default();
    }
    let [old_pins, new_pins] = &facts.pins;
    let sees = |grants: &Grants, pins: &BTreeMap<&str, &Pins>, upstream: &str, tool: &str| {
        let target = Target { kind: TargetKind::Tool, name: tool };
        let pins = pins.get(upstream).copied();
        grants.judge(&Question { upstream, target, now, call: None, pins }, &mut NoTrace).passes()
    };
    let widens = opens || !gives_nothing && !is_narrower(old, new, facts);
    let mut change = Change { widens, ..Change::default() };
    for (upstream, tool) in tools {
        let was_there = !facts.added.contains(&upstream.as_str());
        let was = was_there && sees(old, old_pins, upstream, tool);
        match (was, sees(new, new_pins, upstream, tool)) {
            (false, true) => change.gained.push(format!("{upstream}/{tool}")),
            (true, false) => change.lost.push(format!("{upstream}/{tool}")),
            _ => {}
        }
    }
    if change.gained.is_empty() && change.lost.is_empty() && old != new {
        let is_same = !widens && is_narrower(new, old, &facts.reversed());
        let news = match (widens, is_same) {
            (true, _) => "has other patterns or conditions",
            (false, true) => "has the same in other words",
            (false, false) => "has fewer patterns, or more or narrower conditions",
        };
        change.news.push(news.to_owned());
    } else if opens {
        change.news.push(format!("reaches {}", facts.added.join(", ")));
    } else if old == new && change.widens {
        change.news.push("has fewer conditions on arguments".to_owned());
    } else if old == new && change.gained.is_empty() && change.lost.is_empty() {
        change.news.push("has more or narrower conditions on arguments, or other words".to_owned());
    }
    change
}
