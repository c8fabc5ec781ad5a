//! Two globs, and the texts that both match.

/// Most alternatives of a glob that are looked at one by one.
const MAX_ALTERNATIVES: usize = 64;

/// Most steps of a walk through two globs; what would take more is not ruled out.
const MAX_STEPS: usize = 4 << 20;

/// One step of a glob.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece {
    /// This character.
    Char(char),
    /// Some character.
    Some,
    /// Any number of characters.
    Any,
}

/// True where two globs can match one text, as far as that cannot be ruled out.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    overlap_within(one, other, |_| true)
}

/// The same, of texts of these characters.
pub(super) fn overlap_within(one: &str, other: &str, is_within: fn(char) -> bool) -> bool {
    let possible = |glob| {
        let fits = |piece: &Piece| !matches!(piece, Piece::Char(c) if !is_within(*c));
        let all = alternatives(glob)?.into_iter();
        Some(all.filter(|pieces| pieces.iter().all(fits)).collect::<Vec<_>>())
    };
    let (Some(one), Some(other)) = (possible(one), possible(other)) else {
        return true;
    };
    let steps = |all: &[Vec<Piece>]| all.iter().map(Vec::len).sum::<usize>();
    steps(&one).saturating_mul(steps(&other)) > MAX_STEPS
        || one.iter().any(|one| other.iter().any(|other| meet(one, other)))
}

/// A walk through both at once.
fn meet(one: &[Piece], other: &[Piece]) -> bool {
    let mut reached = vec![false; other.len() + 1];
    reached.first_mut().into_iter().for_each(|start| *start = true);
    skip(&mut reached, other);
    for piece in one {
        let mut next = vec![false; other.len() + 1];
        for (place, _) in reached.iter().enumerate().filter(|(_, is_reached)| **is_reached) {
            let here = other.get(place).copied();
            let mut go = |to: usize| next.get_mut(to).into_iter().for_each(|to| *to = true);
            match (*piece, here) {
                // It takes everything that the other may still want, or nothing.
                (Piece::Any, _) => (place..=other.len()).for_each(go),
                (_, Some(Piece::Any)) => go(place),
                (Piece::Char(a), Some(Piece::Char(b))) if a != b => {}
                (_, Some(_)) => go(place + 1),
                (_, None) => {}
            }
        }
        skip(&mut next, other);
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// What can match nothing may be passed over.
fn skip(reached: &mut [bool], other: &[Piece]) {
    for place in 0..other.len() {
        if reached.get(place) == Some(&true) && other.get(place) == Some(&Piece::Any) {
            reached.get_mut(place + 1).into_iter().for_each(|next| *next = true);
        }
    }
}

/// The pieces of every alternative of a glob; nothing where there are too many.
fn alternatives(glob: &str) -> Option<Vec<Vec<Piece>>> {
    let mut all = vec![Vec::new()];
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        let piece = match c {
            '{' => {
                let inner = braced(&mut chars)?;
                let mut ends = Vec::new();
                for text in inner {
                    ends.extend(alternatives(&text)?);
                    if all.len() * ends.len() > MAX_ALTERNATIVES {
                        return None;
                    }
                }
                let starts = std::mem::take(&mut all);
                let joined = |start: &Vec<Piece>| {
                    ends.iter().map(|end| [start.as_slice(), end].concat()).collect::<Vec<_>>()
                };
                all = starts.iter().flat_map(joined).collect();
                continue;
            }
            '[' => {
                // A class is some character, whichever they are; `]` may be its first.
                chars.next();
                chars.find(|c| *c == ']')?;
                Piece::Some
            }
            '\\' => Piece::Char(chars.next()?),
            '*' => Piece::Any,
            '?' => Piece::Some,
            c => Piece::Char(c),
        };
        all.iter_mut().for_each(|one| one.push(piece));
    }
    Some(all)
}

/// The texts between braces.
fn braced(chars: &mut std::str::Chars<'_>) -> Option<Vec<String>> {
    let (mut all, mut depth) = (vec![String::new()], 0_usize);
    loop {
        let c = chars.next()?;
        match c {
            '}' if depth == 0 => return Some(all),
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let last = all.last_mut()?;
        last.push(c);
        if c == '\\' {
            last.push(chars.next()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use globset::Glob;
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        text.chars().flat_map(|c| ['\\', c]).collect()
    }

    #[test]
    fn globs_overlap_where_one_text_fulfils_both() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("get_*", "get_ticket", true),
            ("get_*", "delete_*", false),
            ("*_ticket", "get_*", true),
            ("*_ticket", "get_*_list", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "*", true),
            ("{a,b}", "{b,c}", true),
            ("{a,b}", "{c,d}", false),
            ("x{a,b{c,d}}", "xbd", true),
            ("x{a,b{c,d}}", "xbe", false),
            ("[abc]d", "?d", true),
            ("[abc]d", "?e", false),
            ("\\*", "a", false),
            ("{", "a", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    proptest! {
        /// What is said not to overlap has no text in common.
        #[test]
        fn a_text_that_both_match_is_never_denied(
            one in "[ab*?]{0,6}", other in "[ab*?]{0,6}", text in "[ab]{0,6}",
        ) {
            let matches = |glob: &str| Glob::new(glob).unwrap().compile_matcher().is_match(&text);
            prop_assert!(!(matches(&one) && matches(&other)) || overlap(&one, &other));
            prop_assert_eq!(overlap(&one, &escaped(&text)), matches(&one));
        }
    }
}
