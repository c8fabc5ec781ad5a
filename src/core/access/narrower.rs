//! Grants that certainly permit nothing that others did not.

use std::sync::Arc;

use super::Facts;
use crate::core::argument::When;
use crate::core::pattern::Pattern;
use crate::core::permission::{Grants, Patterns, Role};
use crate::core::token::UnixSeconds;

/// Whether `grants` deny something that one of `allowed` may allow.
pub(super) fn refuses_of(grants: &Grants, allowed: &[&Patterns]) -> bool {
    let meet = |of: fn(&Patterns) -> &Vec<Pattern>| {
        let mut denied = grants.roles.iter().flat_map(|role| of(&role.deny));
        denied.any(|denied| {
            allowed.iter().any(|all| of(all).iter().any(|allowed| denied.meets(allowed)))
        })
    };
    meet(|p| &p.tools) || meet(|p| &p.prompts) || meet(|p| &p.resources)
}

/// Whether `new` certainly permits nothing that `old` did not, now and later: all that patterns allow
/// was allowed before, under its conditions or fewer, and nothing that refuses is gone.
pub(super) fn is_narrower(old: &Grants, new: &Grants, facts: &Facts<'_>) -> bool {
    let asked_of_all: Vec<&When> = facts.new.iter().collect();
    old.roles.iter().all(|role| denials_kept(role, new))
        && covered(&new.direct, &asked_of_all, old, facts)
        && new.roles.iter().all(|role| {
            let asked: Vec<&When> = facts.new.iter().chain(&role.when).collect();
            match role.shadow {
                None => covered(&role.allow, &asked, old, facts),
                // What is only tried out lets pass what nothing names.
                Some(_) => {
                    When::demand(&asked_of_all, facts.old, None)
                        && old.roles.iter().any(|before| {
                            begins(role) <= begins(before)
                                && is_part(&role.allow, &before.allow)
                                && is_part(&role.deny, &before.deny)
                                && When::demand(&asked, &before.when, None)
                        })
                }
            }
        })
}

/// Whether all of `some` is among `all`, word by word.
fn is_part(some: &Patterns, all: &Patterns) -> bool {
    let is_in = |of: fn(&Patterns) -> &Vec<Pattern>| of(some).iter().all(|p| of(all).contains(p));
    is_in(|p| &p.tools) && is_in(|p| &p.prompts) && is_in(|p| &p.resources)
}

/// From this moment on a role is enforced.
fn begins(role: &Role) -> UnixSeconds {
    role.shadow.map_or(UnixSeconds::MIN, |shadow| shadow.until)
}

/// Whether everything that `role` denies is denied by `new`, and from no later moment on.
fn denials_kept(role: &Role, new: &Grants) -> bool {
    let kept = |of: fn(&Patterns) -> &Vec<Pattern>| {
        let enforced = new.roles.iter().filter(|now| begins(now) <= begins(role));
        let now: Vec<&Pattern> = enforced.flat_map(|now| of(&now.deny)).collect();
        of(&role.deny).iter().all(|denied| denied.is_covered_by(&now))
    };
    kept(|p| &p.tools) && kept(|p| &p.prompts) && kept(|p| &p.resources)
}

/// Whether each of `patterns`, where `asked` is asked of calls, was given before under no more.
fn covered(patterns: &Patterns, asked: &[&When], old: &Grants, facts: &Facts<'_>) -> bool {
    let was = |of: fn(&Patterns) -> &Vec<Pattern>, one: &Pattern, is_called: bool| {
        let counts = |role: &&Arc<Role>| {
            role.shadow.is_none() && (!is_called || When::demand(asked, &role.when, Some(one)))
        };
        let by_roles = old.roles.iter().filter(counts).flat_map(|role| of(&role.allow));
        one.is_given_by(&of(&old.direct).iter().chain(by_roles).collect::<Vec<_>>())
    };
    // Conditions are about the arguments of tools.
    let tool = |one| When::demand(asked, facts.old, Some(one)) && was(|p| &p.tools, one, true);
    patterns.tools.iter().all(tool)
        && patterns.prompts.iter().all(|one| was(|p| &p.prompts, one, false))
        && patterns.resources.iter().all(|one| was(|p| &p.resources, one, false))
}
