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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::pattern::Compared;
    use crate::core::resource::Resource;

    const NAMES: &[&str] = &["a", "b", "ab", "ba", "a b", "A", "", "a/b", "é", "aé", "x.y-z_"];

    const NAME_PATTERNS: &[&str] = &[
        "t/a",
        "t/a b",
        "t/*",
        "t/a*",
        "t/?",
        "t/[ab]",
        "t/[!a]",
        "t/{a,b}*",
        "t/{a b,b}",
        "*/a",
        "{t,u}/*b",
        "[tu]/?*",
        "u/*",
        "t/**",
        "t/*é",
    ];

    const URIS: &[&str] = &[
        "docs://a",
        "docs://a/",
        "docs://a/x",
        "docs://a/x/y",
        "docs://a/x?q",
        "docs://a/x?q=a/b",
        "docs://a/x#f",
        "docs://a/x?q#f",
        "docs://b/x",
        "docs://B/x",
        "docs://b/%78",
        "docs:x",
        "docs:/x",
        "docs:///x",
        "docs://a/../b/x",
        "docs://a//x",
        "DOCS://a/x",
        "urn:a:b",
        "urn:a",
        "https://h/x",
        "https://h:443/x",
        "https://H/x",
        "https://h",
        "https://u@h/x",
        "file:///x",
        "docs://a/x%3Fq",
        "docs://a/x?",
        "x",
        "**",
        "docs://**",
        "docs://a:1/x",
        "docs://a/x;p",
    ];

    const URI_PATTERNS: &[&str] = &[
        "t/**",
        "t/*",
        "t/docs://**",
        "t/docs://*",
        "t/docs://a/**",
        "t/docs://a/*",
        "t/docs://a/x",
        "t/docs://{a,b}/*",
        "t/docs://[ab]/x",
        "t/docs://*/x",
        "t/docs://**/x",
        "t/docs:*",
        "t/docs://a/x?*",
        "t/docs://a/x?q",
        "t/docs://a/**?**",
        "t/docs://a/**#*",
        "t/**?**",
        "t/docs:///*",
        "t/*://a/x",
        "t/https://*/x",
        "t/https://h/**",
        "t/https://h:443/**",
        "t/file:///**",
        "u/**",
        "*/docs://a/*",
        "t/urn:*",
        "t/urn:a:*",
        "t/docs://*:*/x",
        "t/docs://a/{x,y}",
        "t/docs://a/[!y]",
    ];

    /// Everything that is said of each pair, and of each with two others, is tried on all texts.
    fn check(patterns: &[Pattern], compared: &[Compared<'_>]) {
        let passes =
            |pattern: &Pattern, upstream: &str, one: &Compared<'_>, denies: bool| match denies {
                true => pattern.denies(upstream, one),
                false => pattern.allows(upstream, one),
            };
        let mut said = 0;
        for one in patterns {
            for (place, first) in patterns.iter().enumerate() {
                for second in &patterns[place..] {
                    let all = [first, second];
                    for denies in [false, true] {
                        let is_said =
                            if denies { one.is_covered_by(&all) } else { one.is_given_by(&all) };
                        if !is_said {
                            continue;
                        }
                        said += usize::from(*one != *first && *one != *second);
                        for (text, upstream) in
                            compared.iter().flat_map(|text| [(text, "t"), (text, "u")])
                        {
                            let is_in = |all: &&Pattern| passes(all, upstream, text, denies);
                            let shown = match text {
                                Compared::Name(name) => (*name).to_owned(),
                                Compared::Resource(resource) => format!("{resource:?}"),
                            };
                            assert!(
                                !passes(one, upstream, text, denies) || all.iter().any(is_in),
                                "{} in {} and {}: {upstream} {shown} {denies}",
                                one.as_str(),
                                first.as_str(),
                                second.as_str(),
                            );
                        }
                    }
                }
            }
        }
        assert!(said > 100, "{said}");
    }

    #[test]
    fn nothing_is_outside_of_what_a_pattern_is_said_to_be_part_of() {
        let names: Vec<Pattern> =
            NAME_PATTERNS.iter().map(|text| Pattern::of_names(text).unwrap()).collect();
        check(&names, &NAMES.iter().map(|name| Compared::Name(name)).collect::<Vec<_>>());
        let uris: Vec<Pattern> =
            URI_PATTERNS.iter().map(|text| Pattern::of_uris(text).unwrap()).collect();
        let resources: Vec<Resource> = URIS.iter().map(|uri| Resource::new(uri)).collect();
        check(&uris, &resources.iter().map(Compared::Resource).collect::<Vec<_>>());
    }
}
