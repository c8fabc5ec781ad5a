//! Everything that decides, built once per load of the configuration and immutable after.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::argument::When;
use super::jwt::JwtFault;
use super::permission::{Question, Target};
use super::pin::Pins;
use super::principal::{PresentedToken, Principal, Proof};
use super::protected::Protected;
use super::token::{AuthFailure, Standing, TokenTable, Unidentified, UnixSeconds};

/// How the tasks of an upstream are treated (MCP 2025-11-25, "Tasks"; the tasks extension).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Tasks {
    /// There are none: the methods are refused, the capability is left out.
    #[default]
    Off,
    /// Their ids are sealed to the caller and the tool that made them.
    Sealed,
}

/// The path under which clients find an upstream.
#[derive(Clone, Debug)]
pub struct Route {
    /// The upstream's name, as permissions, metrics and records use it.
    pub upstream: Arc<str>,
    /// How its tasks are treated.
    pub tasks: Tasks,
    /// What must hold for calls of its tools, whoever calls.
    pub facts: Arc<[When]>,
    /// Its tools as they were approved, where they are pinned.
    pub pins: Option<Arc<Pins>>,
    /// How callers may come with a JWT, where they may.
    pub protected: Option<Arc<Protected>>,
}

impl Route {
    /// "May this be used in some way?"
    #[must_use]
    pub fn question<'q>(&'q self, target: Target<'q>, now: UnixSeconds) -> Question<'q> {
        let pins = self.pins.as_deref();
        Question { upstream: &self.upstream, target, now, call: None, pins }
    }

    /// This route, with what `held` refuses besides.
    fn bounded_by(&self, held: &Self) -> Self {
        let both_seal = self.tasks == Tasks::Sealed && held.tasks == Tasks::Sealed;
        let facts = self.facts.iter().chain(&*held.facts);
        let pins = match (&self.pins, &held.pins) {
            (Some(taken), Some(held)) => Some(taken.bounded_by(held)),
            (taken, held) => taken.as_ref().or(held.as_ref()).cloned(),
        };
        Self {
            tasks: if both_seal { Tasks::Sealed } else { Tasks::Off },
            facts: facts.cloned().collect(),
            pins,
            ..self.clone()
        }
    }
}

/// Routes, tokens and the limits of reading.
#[derive(Debug)]
pub struct Policy {
    routes: HashMap<String, Route>,
    tokens: Arc<TokenTable>,
    max_depth: usize,
    trust: Trust,
    /// The policy that waits: only what it permits, too, is permitted.
    held: Option<Arc<Self>>,
}

/// The worth of an entry of the token table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Worth {
    /// The reason for which it opens nothing; `None` where it opens something.
    pub failure: Option<AuthFailure>,
    /// From then on it opens nothing; `None` for never.
    pub ends: Option<UnixSeconds>,
}

/// Digests of everything that proofs are checked with, by words for it: keys of issuers, authorities
/// of client certificates. Whoever can change these can be anybody.
pub type Trust = BTreeMap<String, BTreeSet<[u8; 32]>>;

impl Policy {
    /// A policy with one route per path. `max_depth` bounds the nesting of JSON that is read.
    #[must_use]
    pub fn new(routes: HashMap<String, Route>, tokens: TokenTable, max_depth: usize) -> Self {
        Self { routes, tokens: Arc::new(tokens), max_depth, trust: Trust::new(), held: None }
    }

    /// The policy of what both this one and `held` permit: in force while `held` waits for a word,
    /// so that what it takes away does not. This one says what everything is that both have.
    #[must_use]
    pub fn bounded_by(&self, held: Self) -> Self {
        let held = held.replacing(self);
        let both = |(path, route): (&String, &Route)| {
            let other = held.routes.get(path).filter(|held| held.upstream == route.upstream)?;
            Some((path.clone(), route.bounded_by(other)))
        };
        Self {
            routes: self.routes.iter().filter_map(both).collect(),
            tokens: Arc::clone(&self.tokens),
            max_depth: self.max_depth.min(held.max_depth),
            trust: self.trust.clone(),
            held: Some(Arc::new(held)),
        }
    }

    /// This policy, with these entries of the token table revoked from these moments on.
    #[must_use]
    pub fn ending(&self, ends: &BTreeMap<String, UnixSeconds>) -> Self {
        Self {
            routes: self.routes.clone(),
            tokens: Arc::new(self.tokens.ending(ends)),
            max_depth: self.max_depth,
            trust: self.trust.clone(),
            held: self.held.clone(),
        }
    }

    /// The entries of `ends` that open something at present, and would do so for longer.
    #[must_use]
    pub fn outlasting(
        &self,
        ends: &BTreeMap<String, UnixSeconds>,
    ) -> BTreeMap<String, UnixSeconds> {
        let open = self.tokens.list().filter_map(|listed| {
            let at = *ends.get(listed.name)?;
            let lasts = listed.revoked.is_none_or(|revoked| at < revoked);
            lasts.then(|| (listed.name.to_owned(), at))
        });
        open.collect()
    }

    /// The policy that waits, where one [bounds](Self::bounded_by) this.
    #[must_use]
    pub fn held(&self) -> Option<&Self> {
        self.held.as_deref()
    }

    /// The worth of the entry `name` of the token table at the moment `now`.
    #[must_use]
    pub fn worth(&self, name: &str, now: UnixSeconds) -> Worth {
        let here = |policy: &Self, missing| match policy.tokens.list().find(|l| l.name == name) {
            None => Worth { failure: Some(missing), ends: None },
            Some(listed) => Worth {
                failure: listed.failure(now),
                ends: [listed.expires, listed.revoked].into_iter().flatten().min(),
            },
        };
        let taken = here(self, AuthFailure::Unknown);
        let Some(held) = self.held().filter(|_| taken.failure.is_none()) else {
            return taken;
        };
        let held = here(held, AuthFailure::Revoked);
        let ends = [taken.ends, held.ends].into_iter().flatten().min();
        Worth { failure: held.failure, ends }
    }

    /// The principal whom `token` proves at the moment `now`.
    ///
    /// # Errors
    /// [`Unidentified`] for a token that is unknown, revoked or expired.
    pub fn identify(
        &self,
        token: PresentedToken<'_>,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Unidentified> {
        let taken = self.tokens.identify(token, now)?;
        match self.held() {
            Some(held) => Ok(taken.bounded_by(&held.tokens.identify(token, now)?)),
            None => Ok(taken),
        }
    }

    /// The principal whom a verified client certificate with these names, which proves nothing from
    /// `until` on, proves at the moment `now`.
    ///
    /// # Errors
    /// [`Unidentified`] for one that is unknown, revoked or expired.
    pub fn identify_certificate(
        &self,
        names: &[Arc<str>],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Arc<Principal>, Unidentified> {
        let taken = self.tokens.identify_certificate(names, until, now)?;
        let Some(held) = self.held() else { return Ok(taken) };
        Ok(taken.bounded_by(&held.tokens.identify_certificate(names, until, now)?))
    }

    /// The same policy, with what its proofs are checked with.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// What proofs are checked with.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The route for exactly this raw path: no decoding, no trailing slash, no folding.
    #[must_use]
    pub fn route(&self, path: &[u8]) -> Option<&Route> {
        self.routes.get(std::str::from_utf8(path).ok()?)
    }

    /// The route to this upstream.
    #[must_use]
    pub fn route_to(&self, upstream: &str) -> Option<&Route> {
        self.routes.values().find(|route| &*route.upstream == upstream)
    }

    /// What has become of a principal of this route that this policy, or an earlier one,
    /// identified.
    #[must_use]
    pub fn standing(&self, upstream: &str, known: &Principal, now: UnixSeconds) -> Standing {
        let (taken, bound) = known.parts().unzip();
        let taken = taken.unwrap_or(known);
        let own = self.standing_here(upstream, taken, now);
        let other = match (self.held(), bound) {
            (None, None) => Standing::Same,
            // What bounded it has come into force, or is gone.
            (None, Some(_)) => Standing::Changed,
            (Some(held), bound) => held.standing_here(upstream, bound.unwrap_or(taken), now),
        };
        match (own, other) {
            (Standing::Lost(failure), _) | (_, Standing::Lost(failure)) => Standing::Lost(failure),
            (Standing::Same, Standing::Same) => Standing::Same,
            _ => Standing::Changed,
        }
    }

    fn standing_here(&self, upstream: &str, known: &Principal, now: UnixSeconds) -> Standing {
        let Proof::Jwt { issuer, .. } = known.proof() else {
            return self.tokens.standing(known, now);
        };
        let route = self.route_to(upstream);
        let issuers = route.and_then(|route| route.protected.as_ref()).map(|p| p.issuers());
        match issuers.and_then(|all| all.iter().find(|now| now.name == issuer.name)) {
            None => Standing::Lost(AuthFailure::Jwt(JwtFault::Issuer)),
            Some(now) if now == issuer => Standing::Same,
            // What the token is worth by other rules, the next request will tell.
            Some(_) => Standing::Changed,
        }
    }

    /// The routes.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes.iter().map(|(path, route)| (path.as_str(), route))
    }

    /// This policy after `before`, which remembers the tokens that were taken out, and how tools
    /// have changed.
    #[must_use]
    pub fn replacing(mut self, before: &Self) -> Self {
        for route in self.routes.values_mut() {
            let known = before.routes.values().find(|known| known.upstream == route.upstream);
            let known = known.and_then(|known| known.pins.as_ref());
            if let (Some(pins), Some(known)) = (&route.pins, known) {
                route.pins = Some(Arc::new(pins.following(known)));
            }
        }
        // Nobody else has it yet.
        if let Some(tokens) = Arc::get_mut(&mut self.tokens) {
            *tokens = std::mem::take(tokens).replacing(&before.tokens);
        }
        self
    }

    /// The token table.
    #[must_use]
    pub fn tokens(&self) -> &TokenTable {
        &self.tokens
    }

    /// How many levels of nesting a message may have.
    #[must_use]
    pub fn max_depth(&self) -> usize {
        self.max_depth
    }
}
