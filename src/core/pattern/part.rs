//! Patterns that cover no more than others do.

use super::{Half, Pattern, Subject};
use crate::core::inclusion::Texts;
use crate::core::resource::UriPattern;

impl Pattern {
    /// True where everything that this pattern allows is certainly allowed by one of `all`, too.
    #[must_use]
    pub fn is_given_by(&self, all: &[&Self]) -> bool {
        self.is_part_of(all, Half::is_given_by, UriPattern::is_given_by)
    }

    /// True where everything that this pattern denies or restricts is certainly met by one of
    /// `all`, too, in whatever spelling.
    #[must_use]
    pub fn is_covered_by(&self, all: &[&Self]) -> bool {
        self.is_part_of(all, Half::is_within, UriPattern::is_covered_by)
    }

    fn is_part_of(
        &self,
        all: &[&Self],
        names: fn(&Half, &[&Half]) -> bool,
        uris: fn(&UriPattern, &[&UriPattern]) -> bool,
    ) -> bool {
        if all.iter().any(|one| **one == *self) {
            return true;
        }
        let is_of = |other: &&&Self| self.upstream.is_within(&[&other.upstream]);
        let wider = all.iter().filter(is_of).map(|other| &other.subject);
        match &self.subject {
            Subject::Name(name) => {
                let halves = wider.filter_map(|subject| match subject {
                    Subject::Name(half) => Some(half),
                    Subject::Uri(_) => None,
                });
                names(name, &halves.collect::<Vec<_>>())
            }
            Subject::Uri(uri) => {
                let patterns = wider.filter_map(|subject| match subject {
                    Subject::Uri(pattern) => Some(pattern),
                    Subject::Name(_) => None,
                });
                uris(uri, &patterns.collect::<Vec<_>>())
            }
        }
    }
}

impl Half {
    /// A glob reaches fewer names than a word does, so what is no glob is asked for itself.
    fn is_given_by(&self, all: &[&Self]) -> bool {
        match self {
            Self::Literal(name) => all.iter().any(|half| half.allows(name)),
            Self::Glob(_) => self.is_within(all),
        }
    }

    /// Whether each text that it matches is matched by one of these.
    fn is_within(&self, all: &[&Self]) -> bool {
        match self {
            Self::Literal(name) => all.iter().any(|half| half.matches(name)),
            Self::Glob(_) if all.contains(&self) => true,
            Self::Glob(_) => {
                let others: Vec<Texts> = all.iter().map(|half| half.texts()).collect();
                self.texts().are_among(&others)
            }
        }
    }

    fn texts(&self) -> Texts {
        match self {
            Self::Literal(name) => Texts::only(name),
            Self::Glob(glob) => Texts::of_glob(glob),
        }
    }
}
