//! Everything that decides, built once per load of the configuration and immutable after.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::argument::When;
use super::jwt::JwtFault;
use super::permission::{Question, Target};
use super::pin::Pins;
use super::principal::{Principal, Proof};
use super::protected::Protected;
use super::token::{AuthFailure, Standing, TokenTable, UnixSeconds};

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
}

/// Routes, tokens and the limits of reading.
#[derive(Debug)]
pub struct Policy {
    routes: HashMap<String, Route>,
    tokens: TokenTable,
    max_depth: usize,
    trust: Trust,
}

/// Digests of what proofs are checked with, by words for it: keys of issuers, authorities of
/// client certificates. Whoever can change these can be anybody.
pub type Trust = BTreeMap<String, [u8; 32]>;

impl Policy {
    /// A policy with one route per path. `max_depth` bounds the nesting of JSON that is read.
    #[must_use]
    pub fn new(routes: HashMap<String, Route>, tokens: TokenTable, max_depth: usize) -> Self {
        Self { routes, tokens, max_depth, trust: Trust::new() }
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

    /// What has become of a principal of this route that this policy, or an earlier one,
    /// identified.
    #[must_use]
    pub fn standing(&self, upstream: &str, held: &Principal, now: UnixSeconds) -> Standing {
        let Proof::Jwt { issuer, .. } = held.proof() else {
            return self.tokens.standing(held, now);
        };
        let route = self.routes.values().find(|route| &*route.upstream == upstream);
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
        self.tokens = self.tokens.replacing(&before.tokens);
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
