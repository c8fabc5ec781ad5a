//! Expressions of texts that match only what others match, too.
//!
//! Each side is walked as an automaton, byte by byte, through every pair of states that a text can
//! lead to. What cannot be walked within the bounds is not shown, and so not said.

use std::collections::{BTreeSet, HashSet};

use regex::Regex;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::Compiler;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::glob::Glob;

/// Most pairs of states that are looked at.
const MAX_PAIRS: usize = 10_000;

/// Bound on a compiled side in bytes, and on its states.
const MAX_SIZE: usize = 1 << 20;

/// Texts of some form, as a regular expression that matches them as a whole.
pub(super) struct Texts {
    expression: String,
    /// Of a glob, which is compiled as the library of globs does it.
    is_glob: bool,
}

impl Texts {
    /// This text only.
    pub(super) fn only(text: &str) -> Self {
        Self { expression: format!(r"\A{}\z", regex::escape(text)), is_glob: false }
    }

    /// Those that a glob matches.
    pub(super) fn of_glob(glob: &Glob) -> Self {
        Self { expression: glob.expression().to_owned(), is_glob: true }
    }

    /// Those that an expression matches, which must stand for whole texts.
    pub(super) fn of_regex(regex: &Regex) -> Self {
        Self { expression: regex.as_str().to_owned(), is_glob: false }
    }

    /// True where each of these texts is certainly among `all`, taken together.
    pub(super) fn are_among(&self, all: &[Self]) -> bool {
        let pair = || Some((Side::of(std::slice::from_ref(self))?, Side::of(all)?));
        pair().is_some_and(|(mut some, mut all)| some.is_within(&mut all).unwrap_or_default())
    }
}

/// An automaton with the states that were met so far.
struct Side {
    dfa: DFA,
    cache: Cache,
}

impl Side {
    /// For the texts of all together.
    fn of(texts: &[Texts]) -> Option<Self> {
        let parsed = texts.iter().map(|texts| {
            let config = syntax::Config::new();
            let config = match texts.is_glob {
                true => config.utf8(false).dot_matches_new_line(true),
                false => config,
            };
            syntax::parse_with(&texts.expression, &config).ok()
        });
        let parsed = parsed.collect::<Option<Vec<_>>>()?;
        let bounded = regex_automata::nfa::thompson::Config::new().utf8(false);
        let bounded = bounded.nfa_size_limit(Some(MAX_SIZE));
        let nfa = Compiler::new().configure(bounded).build_many_from_hir(&parsed).ok()?;
        let config = DFA::config().match_kind(MatchKind::All).cache_capacity(MAX_SIZE);
        // A state that is forgotten could not be told from another one.
        let config = config.minimum_cache_clear_count(Some(0));
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        let cache = dfa.create_cache();
        Some(Self { dfa, cache })
    }

    fn start(&mut self) -> Option<LazyStateID> {
        let input = Input::new("").anchored(Anchored::Yes);
        self.dfa.start_state_forward(&mut self.cache, &input).ok()
    }

    fn next(&mut self, state: LazyStateID, byte: u8) -> Option<LazyStateID> {
        let next = self.dfa.next_state(&mut self.cache, state, byte).ok()?;
        (!next.is_quit()).then_some(next)
    }

    /// Whether a text that leads to `state` may end there.
    fn accepts(&mut self, state: LazyStateID) -> Option<bool> {
        let end = self.dfa.next_eoi_state(&mut self.cache, state).ok()?;
        (!end.is_quit()).then(|| end.is_match())
    }

    /// `None` where a bound is in the way.
    fn is_within(&mut self, all: &mut Self) -> Option<bool> {
        let (mut classes, mut bytes) = (BTreeSet::new(), Vec::new());
        for byte in 0..=u8::MAX {
            let pair = [&self.dfa, &all.dfa].map(|dfa| dfa.byte_classes().get(byte));
            if classes.insert(pair) {
                bytes.push(byte);
            }
        }
        let start = (self.start()?, all.start()?);
        let (mut seen, mut open) = (HashSet::from([start]), vec![start]);
        while let Some((here, there)) = open.pop() {
            if self.accepts(here)? && !all.accepts(there)? {
                return Some(false);
            }
            for byte in &bytes {
                let here = self.next(here, *byte)?;
                if here.is_dead() {
                    continue;
                }
                let next = (here, all.next(there, *byte)?);
                if seen.insert(next) {
                    open.push(next);
                }
            }
            if seen.len() > MAX_PAIRS {
                return None;
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Texts {
        Texts::of_glob(&Glob::of_paths(text).unwrap())
    }

    fn regex(text: &str) -> Texts {
        Texts::of_regex(&Regex::new(&format!(r"\A(?:{text})\z")).unwrap())
    }

    #[test]
    fn globs_are_among_others_where_each_of_their_texts_is() {
        for (some, all, expected) in [
            ("get_a*", vec!["get_*"], true),
            ("get_*", vec!["get_a*"], false),
            ("a", vec!["?"], true),
            ("", vec!["*"], true),
            ("*", vec!["?*"], false),
            ("?*", vec!["*"], true),
            ("*a*b*", vec!["*a*"], true),
            ("*a*", vec!["*a*b*"], false),
            ("[ab]x", vec!["[a-c]x"], true),
            ("[a-c]x", vec!["[ab]x"], false),
            // A class may match a slash.
            ("[!a]", vec!["?"], false),
            ("[!a/]", vec!["?"], true),
            ("{a,b}*", vec!["a*", "b*"], true),
            ("[ab]*", vec!["a*", "b*"], true),
            ("[abc]*", vec!["a*", "b*"], false),
            ("/v1/*", vec!["/v1/**"], true),
            ("/v1/**", vec!["/v1/*"], false),
            ("*/x", vec!["**"], true),
            ("**", vec!["*"], false),
            ("**/x", vec!["**"], true),
            ("\\*", vec!["*"], true),
            ("*", vec!["\\*"], false),
            ("é", vec!["*"], true),
            ("a", vec![], false),
        ] {
            let others: Vec<Texts> = all.iter().map(|text| glob(text)).collect();
            assert_eq!(glob(some).are_among(&others), expected, "{some} {all:?}");
        }
    }

    #[test]
    fn expressions_are_among_others_where_each_of_their_texts_is() {
        for (some, all, expected) in [
            ("[a-c]+", "[a-z]+", true),
            ("[a-z]+", "[a-c]+", false),
            ("[a-z]{1,3}", "[a-z]*", true),
            ("a|ab", "ab?", true),
            ("ab?", "a", false),
            ("x", "x|y", true),
            ("(?i)x", "[xX]", true),
            ("(?i)k", "[kK]", false),
            (r"[0-9]+(?-u:\b)", "[0-9]+", true),
            ("é", ".", true),
            (".", "[^a]", false),
        ] {
            assert_eq!(regex(some).are_among(&[regex(all)]), expected, "{some} {all}");
        }
        assert!(Texts::only("a.c").are_among(&[regex("a[.]c")]));
        assert!(!Texts::only("a.c").are_among(&[Texts::only("abc")]));
        assert!(!regex("a.c").are_among(&[Texts::only("a.c")]));
    }

    #[test]
    fn what_is_too_large_to_be_shown_is_not_said() {
        let large = "(a|b)*a(a|b){200}";
        assert!(!regex(large).are_among(&[regex(&format!("{large}|c"))]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// A text that only one of them matches refutes it.
        #[test]
        fn no_text_is_outside_of_what_it_is_said_to_be_among(
            some in "([ab/*?]|\\[ab\\]|\\[!a\\]|\\{a,b\\*\\}|\\*\\*|/\\*\\*/){0,5}",
            all in prop::collection::vec("([ab/*?]|\\[ab\\]|\\[!a\\]|\\*\\*|/\\*\\*/){0,4}", 1..3),
            texts in prop::collection::vec("[ab/]{0,6}", 40),
        ) {
            let all: Vec<Glob> = all.iter().map(|text| Glob::of_paths(text).unwrap()).collect();
            let some = Glob::of_paths(&some).unwrap();
            let others: Vec<Texts> = all.iter().map(Texts::of_glob).collect();
            let is_said = Texts::of_glob(&some).are_among(&others);
            let matches = |glob: &Glob, text: &str| glob.is_match(text);
            for text in texts.iter().filter(|text| is_said && matches(&some, text)) {
                prop_assert!(all.iter().any(|glob| matches(glob, text)), "{some:?} {all:?} {text}");
            }
        }
    }
}
