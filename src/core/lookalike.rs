//! Characters that people take for others, or do not see at all.

use std::fmt;

use super::harmless::misleads;
use super::names::OTHER_SLASHES;

/// Letters of other scripts, each before the Latin one that common typefaces draw like it (UTS #39,
/// "confusables").
const LETTERS: &str = "\
    аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwкkмmтtнhвbпnгrАAВBЕEЅSІIЈJКKМMНHОOРP\
    СCТTХXУYҮYԌGοoαaνvιiκkρpτtυuχxγyηnωwϲcΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥY\
    ΧXօoսuհhցgոnզqꓐBꓑPꓒdꓓDꓔTꓖGꓗKꓙJꓚCꓜZꓝFꓟMꓠNꓡLꓢSꓣRꓥVꓧHꓪWꓫXꓬYꓮAꓰEꓲIꓳO\
    ꓴUᎪAᎠDᎡRᎢTᎥiᎬEᎳWᎷMᎻHᏀGᏃZᏞLᏢPᏙVᏚSᏟC";

/// Something in a text that is not what it looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lookalike {
    /// Not seen at all, or seen as a blank.
    Unseen(char),
    /// Seen as the other one.
    Like(char, char),
}

/// Completes the sentence "the text holds …".
impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen(c) => write!(f, "U+{:04X}, which is not seen", u32::from(*c)),
            Self::Like(c, other) => {
                write!(f, "U+{:04X} (`{c}`), which looks like `{other}`", u32::from(*c))
            }
        }
    }
}

/// The ASCII character that `c` looks like.
fn latin(c: char) -> Option<char> {
    let mut letters = LETTERS.chars();
    while let (Some(one), Some(other)) = (letters.next(), letters.next()) {
        if one == c {
            return Some(other);
        }
    }
    None
}

/// The ASCII character of which `c` is a wide or mathematical form, or another sign.
fn form(c: char) -> Option<char> {
    let from = |first: u32| char::from_u32(u32::from(c).checked_sub(first)?);
    match c {
        '\u{ff01}'..='\u{ff5e}' => from(0xfee0),
        '\u{1d400}'..='\u{1d6a3}' => {
            let place = (u32::from(c) - 0x1d400) % 52;
            char::from_u32(if place < 26 { place + 0x41 } else { place - 26 + 0x61 })
        }
        '\u{1d7ce}'..='\u{1d7ff}' => char::from_u32((u32::from(c) - 0x1d7ce) % 10 + 0x30),
        '\u{2217}' | '\u{204e}' => Some('*'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => Some('-'),
        '\u{a789}' | '\u{2236}' | '\u{fe55}' => Some(':'),
        '\u{2024}' => Some('.'),
        '\u{17f}' => Some('s'),
        '\u{131}' => Some('i'),
        '\u{251}' => Some('a'),
        '\u{261}' => Some('g'),
        '\u{1c0}' => Some('l'),
        '\u{212a}' => Some('K'),
        c if OTHER_SLASHES.contains(&c) => Some('/'),
        _ => None,
    }
}

/// The first character that is not seen. Those that belong to a sign or a word of a script that
/// needs them (emoji, Persian, Hindi) are left alone.
#[must_use]
pub fn unseen(text: &str) -> Option<Lookalike> {
    let chars: Vec<char> = text.chars().collect();
    let is_hidden = |at: usize, c: char| {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let joins = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
        let is_foreign = |c: &char| u32::from(*c) > 0x5ff && !misleads(*c) || is_joiner(*c);
        let is_blank = c.is_whitespace() && !c.is_ascii();
        (misleads(c) || is_blank) && !(joins && before.is_some_and(is_foreign))
    };
    let found = chars.iter().enumerate().find(|(at, c)| is_hidden(*at, **c));
    found.map(|(_, c)| Lookalike::Unseen(*c))
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{fe0f}' | '\u{200d}')
}

/// The first character that is another form or sign of one of ASCII, as texts for people may hold
/// them, and names do not.
#[must_use]
pub fn respelled(text: &str) -> Option<Lookalike> {
    text.chars().find_map(|c| Some(Lookalike::Like(c, form(c)?)))
}

/// The first letter that looks like a Latin one: within a word of Latin letters, or in a word of
/// such letters alone beside Latin ones.
#[must_use]
pub fn lookalike(text: &str) -> Option<Lookalike> {
    if text.is_ascii() {
        return None;
    }
    let is_latin = |c: char| c.is_ascii_alphabetic();
    let has_latin = text.contains(is_latin);
    let words = text.split(|c: char| !c.is_alphabetic());
    words.filter(|word| !word.is_ascii()).find_map(|word| {
        let is_mixed = word.contains(is_latin);
        let is_like = has_latin && word.chars().all(|c| latin(c).is_some());
        let like = |c: char| Some(Lookalike::Like(c, latin(c)?));
        if is_mixed || is_like { word.chars().find_map(like) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_another_character_is_found_and_named() {
        for (text, shown) in [
            ("t/get_\u{435}vil", "U+0435 (`е`), which looks like `e`"),
            ("t/\u{441}\u{43e}\u{440}\u{443}", "U+0441 (`с`), which looks like `c`"),
            ("t/\u{3bf}pen", "U+03BF (`ο`), which looks like `o`"),
            ("t/ech\u{585}", "U+0585 (`օ`), which looks like `o`"),
            ("t/get_\u{ff0a}", "U+FF0A (`＊`), which looks like `*`"),
            ("t/\u{ff47}et", "U+FF47 (`ｇ`), which looks like `g`"),
            ("t/\u{1d420}et", "U+1D420 (`𝐠`), which looks like `g`"),
            ("t/\u{1d7d9}", "U+1D7D9 (`𝟙`), which looks like `1`"),
            ("t\u{2215}get", "U+2215 (`∕`), which looks like `/`"),
            ("t/get\u{2011}x", "U+2011 (`‑`), which looks like `-`"),
            ("t/\u{131}d", "U+0131 (`ı`), which looks like `i`"),
        ] {
            let found = lookalike(text).or_else(|| respelled(text));
            assert_eq!(found.unwrap().to_string(), shown, "{text}");
        }
        for (text, shown) in [
            ("t/evil\u{200b}", "U+200B, which is not seen"),
            ("\u{feff}t/x", "U+FEFF, which is not seen"),
            ("t/\u{202e}x", "U+202E, which is not seen"),
            ("t/a\u{a0}b", "U+00A0, which is not seen"),
            ("t/x\u{3000}", "U+3000, which is not seen"),
            ("a\u{200d}b", "U+200D, which is not seen"),
            ("a\u{ad}b", "U+00AD, which is not seen"),
            ("a\u{e0041}", "U+E0041, which is not seen"),
            ("a\u{fe0f}", "U+FE0F, which is not seen"),
        ] {
            assert_eq!(unseen(text).unwrap().to_string(), shown, "{text:?}");
        }
        for text in [
            "t/get_*",
            "t/größe",
            "t/naïve",
            "t/отчёт",
            "t/get_отчёт",
            "t/λόγος",
            "t/表を取得",
            "t/get表",
            "done \u{2714}\u{fe0f}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "می\u{200c}خواهم",
            "сор",
            "…½²™",
            "a b",
        ] {
            let found = [lookalike(text), unseen(text), respelled(text)];
            assert_eq!(found, [None; 3], "{text}");
        }
    }
}
