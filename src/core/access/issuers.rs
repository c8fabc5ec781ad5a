//! What becomes of those who come with a JWT of an issuer.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Facts, Tools, compare};
use crate::core::issuer::Issuer;
use crate::core::permission::{Grants, Patterns};
use crate::core::policy::Policy;
use crate::core::token::UnixSeconds;

/// Groups and scopes of the issuers of JWTs, before and after.
pub(super) fn issuers(
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

pub(super) fn all_issuers(policy: &Policy) -> BTreeMap<&str, &Issuer> {
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
