//! Patterns of URIs that cover no more than others do. Part is compared with part, and of the paths
//! all together, since those differ most.

use super::{Allow, Authority, Deny, UriPattern};
use crate::core::glob::Glob;
use crate::core::inclusion::Texts;
use crate::core::resource::Resource;

impl UriPattern {
    /// True where everything that it allows is certainly allowed by one of `all`.
    pub(in crate::core) fn is_given_by(&self, all: &[&Self]) -> bool {
        match self.literal() {
            Some(uri) => {
                let resource = Resource::new(uri);
                all.iter().any(|pattern| pattern.allows(&resource))
            }
            None => {
                let globs: Vec<_> =
                    all.iter().copied().filter(|other| other.literal().is_none()).collect();
                self.is_matched_by(&globs)
            }
        }
    }

    /// True where everything whose parts it matches is certainly matched by one of `all`.
    pub(in crate::core) fn is_matched_by(&self, all: &[&Self]) -> bool {
        self.allows.iter().all(|allow| {
            let others = all.iter().flat_map(|pattern| &pattern.allows);
            let paths = others.filter(|other| allow.is_within_but_for_path(other));
            are_among([&allow.path], paths.map(|other| &other.path))
        })
    }

    /// True where everything that it denies is certainly denied by one of `all`.
    pub(in crate::core) fn is_covered_by(&self, all: &[&Self]) -> bool {
        // Its own text is denied, whatever its parts are.
        let text = Resource::new(&self.text);
        all.iter().any(|pattern| pattern.denies(&text))
            && self.denies.iter().all(|deny| {
                let others = all.iter().flat_map(|pattern| &pattern.denies);
                let paths = others.filter(|other| deny.is_within_but_for_path(other));
                are_among(&deny.paths, paths.flat_map(|other| &other.paths))
            })
    }
}

impl Allow {
    fn is_within_but_for_path(&self, all: &Self) -> bool {
        let part = |one: &Option<Glob>, other: &Option<Glob>| match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => are_among([one], [other]),
            _ => false,
        };
        let authority = match (&self.authority, &all.authority) {
            (_, Authority::Any)
            | (Authority::None, Authority::None)
            | (Authority::Empty, Authority::Empty) => true,
            (Authority::Some(one), Authority::Some(other)) => are_among([one], [other]),
            _ => false,
        };
        authority
            && are_among([&self.scheme], [&all.scheme])
            && part(&self.query, &all.query)
            && part(&self.fragment, &all.fragment)
    }
}

impl Deny {
    fn is_within_but_for_path(&self, all: &Self) -> bool {
        // Where nothing is said, also what is absent is met.
        let part = |one: &Option<Vec<Glob>>, other: &Option<Vec<Glob>>| match other {
            None => true,
            Some(other) => one.as_ref().is_some_and(|one| are_among(one, other)),
        };
        are_among([&self.scheme], [&all.scheme])
            && part(&self.authorities, &all.authorities)
            && part(&self.queries, &all.queries)
            && part(&self.fragments, &all.fragments)
    }
}

/// Whether each text that one of `some` matches is matched by one of `all`.
fn are_among<'g>(
    some: impl IntoIterator<Item = &'g Glob>,
    all: impl IntoIterator<Item = &'g Glob>,
) -> bool {
    let all: Vec<&Glob> = all.into_iter().collect();
    some.into_iter().all(|one| {
        let is_it = |other: &&Glob| **other == *one;
        all.iter().any(is_it) || {
            let texts: Vec<Texts> = all.iter().map(|glob| Texts::of_glob(glob)).collect();
            Texts::of_glob(one).are_among(&texts)
        }
    })
}
