//! Everything that decides, built once per load of the configuration and immutable after.

use std::collections::HashMap;
use std::sync::Arc;

use super::token::TokenTable;

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
}

/// Routes, tokens and the limits of reading.
#[derive(Debug)]
pub struct Policy {
    routes: HashMap<String, Route>,
    tokens: TokenTable,
    max_depth: usize,
}

impl Policy {
    /// A policy with one route per path. `max_depth` bounds the nesting of JSON that is read.
    #[must_use]
    pub fn new(routes: HashMap<String, Route>, tokens: TokenTable, max_depth: usize) -> Self {
        Self { routes, tokens, max_depth }
    }

    /// The route for exactly this raw path: no decoding, no trailing slash, no folding.
    #[must_use]
    pub fn route(&self, path: &[u8]) -> Option<&Route> {
        self.routes.get(std::str::from_utf8(path).ok()?)
    }

    /// This policy after `before`, which remembers the tokens that were taken out.
    #[must_use]
    pub fn replacing(mut self, before: &Self) -> Self {
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
