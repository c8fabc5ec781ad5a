//! From grants and a question to an answer: denials first, then what allows it, then conditions.

use super::{Failure, Grants, Judged, Permission, Question, Role, TargetKind};
use crate::core::argument::{Call, Checked, Shadow, When};
use crate::core::pattern::{Compared, Pattern};
use crate::core::resource::Resource;
use crate::core::rule::Rule;
use crate::core::token::UnixSeconds;
use crate::core::trace::{Step, Trace};

impl Grants {
    /// The conditions of roles that decide about calls of a tool, and whether each role counts;
    /// none where something allows it without.
    pub(in crate::core) fn narrowing<'w>(
        &'w self,
        question: &Question<'_>,
    ) -> Vec<(&'w When, bool)> {
        let Question { upstream, target, .. } = question;
        let allows = |pattern: &Pattern| pattern.allows(upstream, &Compared::Name(target.name));
        if self.direct.of(target.kind).iter().any(allows) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for role in &self.roles {
            if !role.allow.of(target.kind).iter().any(allows) {
                continue;
            }
            let before = all.len();
            let counts = !role.is_tried_out(question.now);
            let covering = role.when.iter().filter(|when| when.covers(upstream, target.name));
            all.extend(covering.map(|when| (when, counts)));
            if all.len() == before {
                return Vec::new();
            }
        }
        all
    }

    /// Judges one target of one upstream. Every question about permissions ends here, whoever
    /// asks it.
    #[must_use]
    pub fn judge<T: Trace>(&self, question: &Question<'_>, trace: &mut T) -> Judged {
        let judged = self.judge_grants(question, trace);
        let Some(pins) = question.pins.filter(|_| question.target.kind == TargetKind::Tool) else {
            return judged;
        };
        let refused = pins.refusal(question.target.name);
        trace.step(|| Step::Pinned(refused));
        refused.filter(|_| judged.passes()).map_or(judged, refusal)
    }

    fn judge_grants<T: Trace>(&self, question: &Question<'_>, trace: &mut T) -> Judged {
        let name = question.target.name;
        let mut weigh =
            |compared: &Compared<'_>| Weighing { grants: self, question, compared }.weigh(trace);
        match question.target.kind {
            TargetKind::Tool | TargetKind::Prompt => weigh(&Compared::Name(name)),
            TargetKind::Template if name.contains('{') => {
                weigh(&Compared::Resource(&Resource::of_template(name)))
            }
            TargetKind::Resource | TargetKind::Template => {
                weigh(&Compared::Resource(&Resource::new(name)))
            }
        }
    }
}

struct Weighing<'w> {
    grants: &'w Grants,
    question: &'w Question<'w>,
    compared: &'w Compared<'w>,
}

impl<'w> Weighing<'w> {
    fn weigh<T: Trace>(&self, trace: &mut T) -> Judged {
        trace.step(|| Step::roles(self.grants));
        let denied = self.denied();
        trace.step(|| Step::denied(denied.as_ref()));
        let judged = match denied {
            Some(denied) if denied.is_enforced => return denied,
            // What is only tried out does not hide what is not.
            denied => [denied, Some(self.allowed(trace)), self.facts(trace)],
        };
        let of = |is_wanted: fn(&Judged) -> bool| judged.iter().flatten().find(|j| is_wanted(j));
        let refused = of(|judged| !judged.passes());
        let found = refused.or_else(|| of(|judged| judged.permission != Permission::Allowed));
        found.or_else(|| of(|_| true)).cloned().unwrap_or_else(|| refusal(Permission::NoMatch))
    }

    /// A denial that is enforced, or else one that is not.
    fn denied(&self) -> Option<Judged> {
        let denies = |pattern: &&Pattern| pattern.denies(self.question.upstream, self.compared);
        let mut tried_out = None;
        for role in &self.grants.roles {
            let Some(pattern) = role.deny.of(self.question.target.kind).iter().find(denies) else {
                continue;
            };
            let is_enforced = !role.is_tried_out(self.question.now);
            let rule = pattern.rule().cloned();
            let denied = Judged { is_enforced, rule, ..refusal(Permission::DeniedByRule) };
            if is_enforced {
                return Some(denied);
            }
            tried_out.get_or_insert(denied);
        }
        tried_out
    }

    /// What allows it: without conditions, else with conditions that hold, else with conditions
    /// that do not count.
    fn allowed<T: Trace>(&self, trace: &mut T) -> Judged {
        let kind = self.question.target.kind;
        let allows = |pattern: &&Pattern| pattern.allows(self.question.upstream, self.compared);
        let direct = self.grants.direct.of(kind).iter().find(allows);
        let by_roles = || {
            let roles = self.grants.roles.iter().map(|role| &**role);
            roles.filter_map(|role| Some((role, role.allow.of(kind).iter().find(allows)?)))
        };
        let call = self.question.call.as_ref();
        let free = direct.or_else(|| {
            let is_free = |role: &Role| call.is_none() || !self.any_covers(&role.when);
            by_roles().find(|(role, _)| is_free(role)).map(|(_, pattern)| pattern)
        });
        if let Some(pattern) = free {
            trace.step(|| Step::allowed(pattern));
            return allowance(pattern);
        }
        // That it may be called at all says more than that it may not.
        let rank = |judged: &Judged| (judged.passes(), judged.permission == Permission::Arguments);
        let mut best = self.without();
        if by_roles().next().is_none() {
            trace.step(|| Step::not_allowed(&best));
        }
        for (role, pattern) in by_roles() {
            trace.step(|| Step::allowed(pattern));
            let judged = call.and_then(|call| self.conditions(&role.when, call, Some(role), trace));
            let Some(judged) = judged else {
                return allowance(pattern);
            };
            if rank(&judged) > rank(&best) {
                best = judged;
            }
        }
        best
    }

    /// What holds where nothing allows it.
    fn without(&self) -> Judged {
        let grants = self.grants;
        let permission = match grants.roles.is_empty() && grants.direct.is_empty() {
            true => Permission::NoRole,
            false => Permission::NoMatch,
        };
        let upstream = self.question.upstream;
        let mut roles = grants.roles.iter();
        let tried_out =
            roles.find(|role| role.is_tried_out(self.question.now) && role.concerns(upstream));
        let rule = tried_out.and_then(|role| role.rule.clone());
        Judged { is_enforced: tried_out.is_none(), rule, ..refusal(permission) }
    }

    /// What holds for every caller.
    fn facts<T: Trace>(&self, trace: &mut T) -> Option<Judged> {
        let call = self.question.call.as_ref()?;
        self.conditions(call.facts, call, None, trace)
    }

    fn any_covers(&self, whens: &[When]) -> bool {
        whens.iter().any(|when| when.covers(self.question.upstream, self.question.target.name))
    }

    /// The refusal that follows from these conditions, if one does.
    fn conditions<T: Trace>(
        &self,
        whens: &'w [When],
        call: &Call<'w>,
        role: Option<&Role>,
        trace: &mut T,
    ) -> Option<Judged> {
        let (upstream, now) = (self.question.upstream, self.question.now);
        let covering = whens.iter().filter(|when| when.covers(upstream, self.question.target.name));
        let covering: Vec<&When> = covering.collect();
        if covering.is_empty() {
            return None;
        }
        let is_tried_out = role.is_some_and(|role| role.is_tried_out(now));
        let is_enforced = |checked: &Checked<'_>| !is_tried_out && checked.is_enforced(now);
        let pins = self.question.pins;
        let declared = pins.map(|pins| pins.declared(self.question.target.name));
        let checked = When::check(&covering, call, declared.unwrap_or_default());
        for one in &checked {
            trace.step(|| Step::condition(one, is_enforced(one)));
        }
        let mut failed = checked.iter().filter(|checked| !checked.holds);
        let first =
            failed.clone().find(|checked| is_enforced(checked)).or_else(|| failed.next())?;
        let failure = Failure {
            pointer: first.condition.pointer.as_str().to_owned(),
            message: first.when.message.clone(),
        };
        Some(Judged {
            permission: Permission::Arguments,
            is_enforced: is_enforced(first),
            rule: Some(first.condition.rule.clone()),
            failure: Some(failure),
        })
    }
}

impl Role {
    fn is_tried_out(&self, now: UnixSeconds) -> bool {
        Shadow::holds(self.shadow, now)
    }

    /// Whether one of its patterns names this upstream.
    fn concerns(&self, upstream: &str) -> bool {
        let mut all = [&self.allow, &self.deny].into_iter().flat_map(|patterns| {
            patterns.tools.iter().chain(&patterns.prompts).chain(&patterns.resources)
        });
        all.any(|pattern| pattern.covers_upstream(upstream))
    }
}

fn allowance(pattern: &Pattern) -> Judged {
    let rule: Option<Rule> = pattern.rule().cloned();
    Judged { permission: Permission::Allowed, is_enforced: true, rule, failure: None }
}

fn refusal(permission: Permission) -> Judged {
    Judged { permission, is_enforced: true, rule: None, failure: None }
}
