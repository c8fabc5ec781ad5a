//! Calls that nobody makes: what [`decide`] would say, and why. Used by those who ask, and by the
//! tests of a policy; traffic has no way here, and no permit leaves.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::argument::{Condition, When};
use super::decide::{Ask, Verdict, Want, decide};
use super::issuer::Issuer;
use super::jwt::{Claims, JwtFault, Rejected};
use super::message::Message;
use super::permission::{Grants, Judged, Patterns, Permission, Role, Target, TargetKind};
use super::policy::Route;
use super::principal::{OrganizationId, Principal, Proof, UserId};
use super::refusal::Refusal;
use super::revision::Era;
use super::rule::Rule;
use super::seal::{MIN_SECRET, SealKey};
use super::token::{Listed, UnixSeconds};
use super::trace::{NoTrace, Step};

/// Somebody who might call. What is assumed here opens nothing.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Principal>);

impl Caller {
    /// The holder of a token of the table, whether or not it is still valid.
    #[must_use]
    pub fn of_token(listed: &Listed<'_>) -> Self {
        Self(Arc::clone(listed.principal))
    }

    /// The holder of a JWT of this issuer with these claims.
    ///
    /// # Errors
    /// [`Rejected`] where a claim that is needed is missing or cannot be used.
    pub fn of_claims(issuer: &Arc<Issuer>, claims: Map<String, Value>) -> Result<Self, Rejected> {
        issuer.principal(&Claims::assumed(claims)).map(|principal| Self(Arc::new(principal)))
    }

    /// The holder of some roles.
    #[must_use]
    pub fn of_roles(user: UserId, organization: OrganizationId, roles: Vec<Arc<Role>>) -> Self {
        let grants = Arc::new(Grants { roles, direct: Patterns::default() });
        let proof = Proof::Token { entry: "-".into(), digest: [0; 32] };
        Self(Arc::new(Principal::new(user, organization, proof, grants, None)))
    }

    /// Who it would be.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0
    }
}

/// Why a JWT of this issuer with these claims opens nothing of this route, whatever its holder may
/// use. What is not said of `iss`, `aud` and times is taken for good.
#[must_use]
pub fn objection(
    route: &Route,
    issuer: &Arc<Issuer>,
    claims: &Map<String, Value>,
    now: UnixSeconds,
) -> Option<Rejected> {
    let protected = route.protected.as_ref();
    let serving = protected.filter(|all| all.issuers().iter().any(|one| one.name == issuer.name));
    let Some(protected) = serving else {
        let detail = format!("JWTs of {} are not for {}", issuer.name, route.upstream);
        return Some(Rejected::unsigned(JwtFault::Issuer, detail));
    };
    let claims = Claims::assumed(claims.clone());
    let audiences = issuer.audiences(protected.resource());
    issuer.expected(&audiences).check_present(&claims, now).err()
}

/// What would be decided.
#[derive(Debug)]
pub struct Rehearsed {
    /// Why it would be refused.
    pub refusal: Option<Refusal>,
    /// The answer of the policy; `None` where the question did not get as far.
    pub permission: Option<Permission>,
    /// Whether it counts.
    pub is_enforced: bool,
    /// What decides.
    pub rule: Option<Rule>,
    /// The place in the arguments that a condition does not like.
    pub pointer: Option<String>,
    /// How it came about.
    pub steps: Vec<Step>,
}

impl Rehearsed {
    /// Whether the request would be forwarded.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.refusal.is_none()
    }

    /// Whether the policy permits it, whatever is only tried out.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        self.permission == Some(Permission::Allowed)
    }
}

/// Whether `caller` may use `target` in some way: what lists show.
#[must_use]
pub fn may_see(route: &Route, caller: &Caller, target: Target<'_>, now: UnixSeconds) -> Rehearsed {
    let question = route.question(target, now);
    let mut steps: Vec<Step> = Vec::new();
    let judged = caller.0.grants().judge(&question, &mut steps);
    let refusal = (!judged.passes()).then(|| Refusal::UnknownTarget {
        kind: target.kind,
        name: target.name.to_owned(),
        permission: judged.permission,
        rule: judged.rule.clone(),
        era: Era::Legacy,
    });
    let pointer = None;
    let Judged { permission, is_enforced, rule, .. } = judged;
    Rehearsed { refusal, permission: Some(permission), is_enforced, rule, pointer, steps }
}

/// What would be decided about a call of this tool with these arguments, a JSON text.
#[must_use]
pub fn call(
    route: &Route,
    caller: &Caller,
    tool: &str,
    arguments: &str,
    now: UnixSeconds,
) -> Rehearsed {
    let name = Value::from(tool);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
    );
    let mut steps: Vec<Step> = Vec::new();
    let refused = |refusal: Refusal, steps| {
        let (permission, pointer) = match &refusal {
            Refusal::Arguments { failure, .. } => {
                (Some(Permission::Arguments), Some(failure.pointer.clone()))
            }
            Refusal::UnknownTarget { permission, .. } => (Some(*permission), None),
            // For want of a scope.
            Refusal::InsufficientScope(_) => (Some(Permission::NoMatch), None),
            _ => (None, None),
        };
        let rule = refusal.rule().cloned();
        Rehearsed { refusal: Some(refusal), permission, is_enforced: true, rule, pointer, steps }
    };
    let message = match Message::read(body.as_bytes(), MAX_DEPTH) {
        Ok(message) => message,
        Err(unreadable) => return refused(Refusal::Unreadable(unreadable.fault), steps),
    };
    // There is no session in it to be opened.
    let Some(seal) = SealKey::new(&[0; MIN_SECRET]) else {
        return refused(Refusal::Internal, steps);
    };
    let ask = Ask { want: Want::Message(&message, Era::Legacy), session: None, now };
    match decide(&seal, &caller.0, route, ask, &mut steps) {
        Verdict::Refuse(refusal) => refused(refusal, steps),
        Verdict::Ignore => refused(Refusal::Internal, steps),
        Verdict::Forward(permit) => {
            let tried_out = permit.would_be_refused();
            let pointer =
                tried_out.and_then(|judged| Some(judged.failure.as_ref()?.pointer.clone()));
            Rehearsed {
                refusal: None,
                permission: Some(tried_out.map_or(Permission::Allowed, |judged| judged.permission)),
                is_enforced: tried_out.is_none(),
                rule: permit.rule().cloned(),
                pointer,
                steps,
            }
        }
    }
}

/// How deep arguments may be nested; the most that a configuration may allow.
const MAX_DEPTH: usize = 128;

/// A condition on calls.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'c> {
    /// The condition.
    pub condition: &'c Condition,
    /// A call is refused where it does not hold.
    pub is_enforced: bool,
}

/// The conditions on calls of this tool by `caller`, who may call it in some way.
#[must_use]
pub fn conditions<'c>(
    route: &'c Route,
    caller: &'c Caller,
    tool: &str,
    now: UnixSeconds,
) -> Vec<Asks<'c>> {
    let target = Target { kind: TargetKind::Tool, name: tool };
    let question = route.question(target, now);
    let grants = caller.0.grants();
    // What passes on trial has to fulfil what holds for everybody.
    if !grants.judge(&question, &mut NoTrace).passes() {
        return Vec::new();
    }
    let facts = route.facts.iter().filter(|when| when.covers(&route.upstream, tool));
    let whens = facts.map(|when| (when, true)).chain(grants.narrowing(&question));
    let asks = |(when, counts): (&'c When, bool)| {
        when.conditions.iter().map(move |condition| Asks {
            condition,
            is_enforced: counts && when.enforces(condition, now),
        })
    };
    whens.flat_map(asks).collect()
}
