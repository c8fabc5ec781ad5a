//! What one policy permits that another does not: the effect of an edit.

mod narrower;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::narrower::{is_narrower, refuses_of};
use super::argument::When;
use super::harmless::visible;
use super::issuer::Issuer;
use super::permission::{Grants, Patterns, Question, Role, Target, TargetKind};
use super::pin::Pins;
use super::policy::{Policy, Tasks};
use super::principal::Proof;
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
        for (what, digest) in new.trust() {
            if old.trust().get(what) != Some(digest) {
                let news = vec!["are not those of before".to_owned()];
                add(what.clone(), Change { news, widens: true, ..Change::default() });
            }
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

/// An entry of the token table, before and after.
struct Pair<'p, 't> {
    old: Option<&'p Listed<'t>>,
    new: Option<&'p Listed<'t>>,
}

impl Pair<'_, '_> {
    fn change(&self, facts: &Facts<'_>, tools: &Tools, now: UnixSeconds) -> Change {
        let none = Grants::default();
        let valid = |listed: Option<&Listed<'_>>| listed.is_some_and(|l| l.failure(now).is_none());
        let (was, is) = (valid(self.old), valid(self.new));
        let old = self.old.filter(|_| was).map_or(&none, |listed| listed.principal.grants());
        let new = self.new.filter(|_| is).map_or(&none, |listed| listed.principal.grants());
        let mut change = compare(old, new, &[], facts, tools, now);
        match (self.old, self.new) {
            (None, Some(new)) => {
                change.news.push(format!("is new, for {}", who(new)));
                change.widens |= is;
            }
            (Some(_), None) => change.news.push("is gone".to_owned()),
            (Some(old), Some(new)) => {
                if who(old) != who(new) {
                    change.news.push(format!("is {} and was {}", who(new), who(old)));
                    change.widens |= is;
                }
                if secret(old) != secret(new) {
                    change.news.push("has another secret".to_owned());
                    change.widens |= is;
                }
                match (was, is) {
                    (true, false) => {
                        let why = new.failure(now).map_or("invalid", |failure| failure.as_str());
                        change.news.push(format!("is {why}"));
                    }
                    (false, true) => {
                        change.news.push("is valid again".to_owned());
                        change.widens = true;
                    }
                    _ if end(old) != end(new) => {
                        change.news.push("has another end".to_owned());
                        change.widens |= is && end(new) > end(old);
                    }
                    _ => {}
                }
            }
            (None, None) => {}
        }
        change
    }
}

fn who(listed: &Listed<'_>) -> String {
    let principal = listed.principal;
    format!("{} of {}", principal.user().as_str(), principal.organization().as_str())
}

/// What proves it: a token, a certificate, or one of the two.
fn secret<'t>(listed: &Listed<'t>) -> (Option<&'t [u8]>, Option<&'t str>) {
    let digest = match listed.principal.proof() {
        Proof::Token { digest, .. } => Some(digest.as_slice()),
        Proof::Certificate { .. } | Proof::Jwt { .. } => None,
    };
    (digest, listed.certificate)
}

/// When it ends, in an order in which never is last.
fn end(listed: &Listed<'_>) -> UnixSeconds {
    [listed.expires, listed.revoked].into_iter().flatten().min().unwrap_or(UnixSeconds::MAX)
}

/// Groups and scopes of the issuers of JWTs, before and after.
fn issuers(
    old: &Policy,
    new: &Policy,
    facts: &Facts<'_>,
    tools: &Tools,
    now: UnixSeconds,
    add: &mut impl FnMut(String, Change),
) {
    let (before, after) = (all_issuers(old), all_issuers(new));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for name in names {
        let (old, new) = (before.get(name).copied(), after.get(name).copied());
        let (had, has) = (old.map(given).unwrap_or_default(), new.map(given).unwrap_or_default());
        let keys: BTreeSet<&String> = had.keys().chain(has.keys()).collect();
        for key in keys {
            let none = Grants::default();
            let others = has.iter().filter(|(other, _)| *other != key);
            let others = others.flat_map(|(_, grants)| grants.roles.iter().map(|role| &role.allow));
            let change = compare(
                had.get(key).unwrap_or(&none),
                has.get(key).unwrap_or(&none),
                &others.collect::<Vec<_>>(),
                facts,
                tools,
                now,
            );
            add(format!("JWTs of {name}, {key}"), change);
        }
        let news = match (old, new) {
            (None, Some(_)) => ("is new", true),
            (Some(_), None) => ("is gone", false),
            (Some(old), Some(new)) => {
                for (news, widens) in checks(old, new) {
                    let change = Change { news: vec![news], widens, ..Change::default() };
                    add(format!("JWTs of {name}"), change);
                }
                continue;
            }
            (None, None) => continue,
        };
        let change = Change { news: vec![news.0.to_owned()], widens: news.1, ..Change::default() };
        add(format!("JWTs of {name}"), change);
    }
    let served = (served(old), served(new));
    let (was, is) = &served;
    let pairs =
        [(is.difference(was), "are good there"), (was.difference(is), "are gone from there")];
    for ((pairs, news), widens) in pairs.into_iter().zip([true, false]) {
        for (upstream, name) in pairs {
            let change = Change { news: vec![news.to_owned()], widens, ..Change::default() };
            add(format!("upstream {upstream}, JWTs of {name}"), change);
        }
    }
}

/// Which issuers are for which protected resources.
fn served(policy: &Policy) -> BTreeSet<(String, String)> {
    let protected =
        policy.routes().filter_map(|(_, route)| Some((route, route.protected.as_ref()?)));
    let pairs = protected.flat_map(|(route, protected)| {
        let place = format!("{} ({})", route.upstream, protected.resource());
        protected.issuers().iter().map(move |issuer| (place.clone(), issuer.name.to_string()))
    });
    pairs.collect()
}

fn all_issuers(policy: &Policy) -> BTreeMap<&str, &Issuer> {
    let protected = policy.routes().filter_map(|(_, route)| route.protected.as_ref());
    let all = protected.flat_map(|protected| protected.issuers());
    all.map(|issuer| (&*issuer.name, &**issuer)).collect()
}

/// What the issuer's callers are given, by what they are given it for.
fn given(issuer: &Issuer) -> BTreeMap<String, Grants> {
    let grants = |roles: Vec<_>| Grants { roles, direct: Patterns::default() };
    let everybody = ("everybody".to_owned(), grants(issuer.roles.clone()));
    let groups = issuer.roles_map.iter();
    let groups = groups.map(|(name, role)| (format!("group {name}"), grants(vec![role.clone()])));
    let scopes = issuer.scopes.iter();
    let scopes = scopes.map(|(name, roles)| (format!("scope {name}"), grants(roles.clone())));
    std::iter::once(everybody).chain(groups).chain(scopes).collect()
}

/// What is checked of an issuer's tokens in another way, and whether more of them are good or
/// belong to somebody else. A key that is new does not compile until it stands here.
fn checks(old: &Issuer, new: &Issuer) -> Vec<(String, bool)> {
    let Issuer {
        name: _,
        issuer,
        audiences,
        algorithms,
        leeway,
        max_lifetime,
        user_claim,
        organization,
        // What these give is compared grant by grant.
        roles: _,
        roles_claim,
        // And this as well; what it refuses, only who is found in it.
        roles_map,
        scopes: _,
        asked,
        // Callers are told of it, and it gives nothing.
        initial_scopes: _,
    } = old;
    let mut found = Vec::new();
    let mut say = |what: &str, differs: bool, widens: bool| {
        if differs {
            found.push((format!("are checked in another way, by `{what}`"), widens));
        }
    };
    say("issuer", *issuer != new.issuer, true);
    // Without any it is the protected resource itself.
    let other = audiences.is_empty() != new.audiences.is_empty();
    let more = new.audiences.iter().any(|audience| !audiences.contains(audience));
    let less = audiences.iter().any(|audience| !new.audiences.contains(audience));
    say("audience", other || more || less, other || more);
    let more = new.algorithms.iter().any(|algorithm| !algorithms.contains(algorithm));
    let less = algorithms.iter().any(|algorithm| !new.algorithms.contains(algorithm));
    say("algorithms", more || less, more);
    say("leeway", *leeway != new.leeway, new.leeway > *leeway);
    let longest = |at: &Option<i64>| at.unwrap_or(i64::MAX);
    let longer = longest(&new.max_lifetime) > longest(max_lifetime);
    say("max_lifetime", *max_lifetime != new.max_lifetime, longer);
    say("user_claim", *user_claim != new.user_claim, true);
    say("organization", *organization != new.organization, true);
    // Groups can refuse, too.
    let refuses = roles_map.values().any(|role| role.deny != Patterns::default());
    let widens = new.roles_claim.is_some() || refuses;
    say("roles_claim", *roles_claim != new.roles_claim, widens);
    if *asked != new.asked {
        found.push(("are asked for with other names of scopes, by `ask`".to_owned(), false));
    }
    found
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
