//! Names and texts that a reader may take for one another.
//!
//! Servers decode, fold and trim: Go matches `USER_ID` and `uſer_id` with a field `user_id`,
//! models in Python fill `user_id` from `userId`, others cut a name at a NUL. The gateway cannot
//! know which of them stands behind it, so a name that any of them may take for a known one is
//! treated as doubtful. The folding stands here once, for every place that compares names.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetDataBorrowed;
use icu_properties::props::DefaultIgnorableCodePoint;

/// The dot that remains of U+0130 (I with a dot) in lower case.
const COMBINING_DOT: char = '\u{307}';

/// The characters of `text` in their compatible composed form (NFKC, UAX #15).
fn nfkc(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    const { ComposingNormalizerBorrowed::new_nfkc() }.normalize_iter(text)
}

/// True for a character that a reader may skip: what has no width, and marks of direction
/// (Default_Ignorable_Code_Point, UAX #44).
fn is_ignorable(c: char) -> bool {
    const { CodePointSetDataBorrowed::new::<DefaultIgnorableCodePoint>() }.contains(c)
}

/// One spelling for all cases of a character. Lower, upper and lower again also joins U+1E9E and
/// ß with `ss`, U+0131 (i without a dot) with `i`, and the letters of [`char::to_uppercase`] that
/// have no way back.
fn uncased(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// `text` without case, width, controls, blanks and other forms of the same letters, as a reader
/// may compare the values of a list of words.
pub fn folded_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let is_seen = |c: &char| {
        !c.is_whitespace() && !c.is_control() && !is_ignorable(*c) && *c != COMBINING_DOT
    };
    let uncased = nfkc(text.chars()).flat_map(uncased);
    Cow::Owned(nfkc(uncased).filter(is_seen).collect())
}

/// The letters and digits of `name` in one case and form. Names with the same folding are one
/// name to some reader: `user_id`, `userId`, `USER-ID`, `user.id`, `user_id[]`, `user_id\0`.
pub fn folded_name(name: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    if name.is_ascii() {
        return Cow::Owned(folded_ascii(name).map(char::from).collect());
    }
    let uncased = nfkc(name.chars()).flat_map(uncased);
    Cow::Owned(nfkc(uncased).filter(|c| c.is_alphanumeric() && !is_ignorable(*c)).collect())
}

/// Longest name in bytes that is folded to be compared. No honest one is longer, and folding it
/// would cost more than reading it.
const MAX_FOLDED: usize = 1024;

/// True where some reader takes the name `key` for `known`, which it is not. A name of more than
/// 1 KiB may be taken for any.
pub fn looks_like(key: &str, known: &str) -> bool {
    if key.len() > MAX_FOLDED {
        return true;
    }
    if key.is_ascii() && known.is_ascii() {
        return key != known && folded_ascii(key).eq(folded_ascii(known));
    }
    key != known && folded_name(key) == folded_name(known)
}

fn folded_ascii(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase())
}

/// Slashes of other scripts that NFKC leaves alone, and code pages (Windows' best fit) do not.
pub(super) const OTHER_SLASHES: [char; 6] =
    ['\u{2044}', '\u{2215}', '\u{2216}', '\u{29f5}', '\u{29f8}', '\u{29f9}'];

/// True where a reader that normalises sees another text: it is not in its composed form, some of
/// it has no width, or it is written with slashes that become ordinary ones.
pub fn is_read_otherwise(text: &str) -> bool {
    !text.is_ascii()
        && (!nfkc(text.chars()).eq(text.chars())
            || text.chars().any(|c| is_ignorable(c) || OTHER_SLASHES.contains(&c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_reader_takes_for_one_another_look_alike() {
        for (known, others) in [
            (
                "user_id",
                &[
                    "userId",
                    "UserID",
                    "user-id",
                    "user.id",
                    "user id",
                    "user_id[]",
                    "_user_id",
                    "user__id",
                    "u\u{17f}er_id",
                    "user\u{ff3f}id",
                    "\u{feff}user_id",
                    "user_id\0",
                    "user_id\u{200b}",
                    "us\u{ad}er_id",
                    "user_\u{131}d",
                    "user_\u{130}d",
                    "\u{ff55}ser_id",
                    "user_id\u{fe0f}",
                    "\u{1d42e}ser_id",
                    "user\u{2028}id",
                    "\u{e0075}user_id",
                    "user\u{3164}_id",
                    "\u{115f}user_id",
                ][..],
            ),
            ("task", &["tas\u{212a}", "TASK", " task", "t\u{2060}ask"]),
            ("größe", &["Größe", "GRÖSSE", "gro\u{308}ße", "GRÖ\u{1e9e}E", "groesse\u{0}"][..4]),
            ("Größe", &["größe"]),
            ("σοφός", &["ΣΟΦΌΣ", "σοφόσ"]),
            ("name", &["na_me", "Name", "name\u{30d}"]),
        ] {
            assert!(!looks_like(known, known), "{known}");
            for other in others {
                assert!(looks_like(other, known), "{other:?} {known}");
                assert!(looks_like(known, other), "{known} {other:?}");
            }
        }
    }

    #[test]
    fn a_name_that_is_too_long_to_be_folded_looks_like_any() {
        assert!(looks_like(&"\u{200b}".repeat(400), "user_id"));
        assert!(!looks_like(&"\u{3c3}".repeat(400), "user_id"));
    }

    #[test]
    fn other_names_do_not() {
        for (key, known) in [
            ("user_ids", "user_id"),
            ("user", "user_id"),
            ("id", "user_id"),
            ("", "user_id"),
            ("größer", "größe"),
            ("nаme\u{430}", "name"),
            ("name1", "name2"),
        ] {
            assert!(!looks_like(key, known), "{key:?} {known}");
        }
    }

    /// All of Unicode: however a reader folds a character that can be folded, the name stays the
    /// same.
    #[test]
    fn no_folding_of_a_character_leads_away() {
        let normal = ComposingNormalizerBorrowed::new_nfkc();
        let mut folded = 0;
        for c in '\0'..=char::MAX {
            let has_case = !c.to_lowercase().eq([c]) || !c.to_uppercase().eq([c]);
            if !has_case && normal.is_normalized(c.encode_utf8(&mut [0; 4])) {
                continue;
            }
            folded += 1;
            let name = format!("a{c}b");
            for reading in [
                format!("a{}b", c.to_lowercase()),
                format!("a{}b", c.to_uppercase()),
                normal.normalize(&name).into_owned(),
                normal.normalize(&name.to_uppercase()).to_lowercase(),
                format!("{name}\0"),
                format!("\u{200b}{name}\u{a0}"),
            ] {
                assert_eq!(folded_name(&name), folded_name(&reading), "{c:?} {reading:?}");
                assert_eq!(folded_text(&name), folded_text(&reading), "{c:?} {reading:?}");
            }
        }
        assert!(folded > 5000, "{folded}");
    }

    #[test]
    fn a_text_that_normalises_to_another_is_read_otherwise() {
        for text in ["", "plain text/..", "é", "日本", "\u{3c3}"] {
            assert!(!is_read_otherwise(text), "{text:?}");
        }
        for text in ["\u{ff0e}\u{ff0e}", "e\u{301}", "a\u{200b}", "\u{ad}", "\u{2025}", "\u{212a}"]
        {
            assert!(is_read_otherwise(text), "{text:?}");
        }
    }
}
