//! The form of the tokens that doorward makes: `dw_<name>_<43 digits>_<6 digits>`.
//!
//! The name of the entry says in a leak whose it is, the digits (base 62) are 256 random bits, the
//! last six a CRC-32 of everything before them: scanners for secrets find it, and a typo shows
//! without a look into any table. The form means nothing to the gateway, which knows tokens by
//! their digest.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::principal::Digest;

const PREFIX: &str = "dw_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Digits that hold 256 bits.
const RANDOM_DIGITS: usize = 43;
/// Digits that hold 32 bits.
const CHECK_DIGITS: usize = 6;

/// A token that has just been made. `Debug` masks it, and it has neither `Display` nor `Serialize`.
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The token of the entry `name` from 256 random bits.
    #[must_use]
    pub fn new(name: &str, random: [u8; 32]) -> Self {
        let body = format!("{PREFIX}{name}_{}", base62(&random, RANDOM_DIGITS));
        let check = base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECK_DIGITS);
        Self(format!("{body}_{check}"))
    }

    /// The token itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its SHA-256, for the table.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// What a text looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form<'t> {
    /// Not a token that doorward made.
    Foreign,
    /// One, but its digits do not fit together.
    Mistyped,
    /// A token made for the entry of this name.
    Sound(&'t str),
}

/// The form of a text.
#[must_use]
pub fn form(text: &str) -> Form<'_> {
    let parts = || {
        let (body, check) = text.rsplit_once('_')?;
        let (name, random) = body.strip_prefix(PREFIX)?.rsplit_once('_')?;
        let is_whole = random.len() == RANDOM_DIGITS
            && random.bytes().chain(check.bytes()).all(|digit| DIGITS.contains(&digit));
        Some((name, body, check)).filter(|_| is_whole && is_name(name))
    };
    let Some((name, body, check)) = parts() else { return Form::Foreign };
    let right = base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECK_DIGITS);
    if check == right { Form::Sound(name) } else { Form::Mistyped }
}

/// Whether entries can have this name. Names stand in logs, metrics and patterns, so nothing in
/// them has a meaning there.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A big-endian number in so many digits.
fn base62(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut found: Vec<u8> = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0_usize;
        for byte in &mut number {
            let value = (rest << 8) | usize::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            rest = value % 62;
        }
        found.push(DIGITS.get(rest).copied().unwrap_or_default());
    }
    found.reverse();
    String::from_utf8(found).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_token_is_as_long_as_it_says_and_checks_out() {
        for (name, random) in [("alice", [0; 32]), ("ci_bot.2", [0xff; 32]), ("a", [7; 32])] {
            let secret = Secret::new(name, random);
            let text = secret.reveal();
            assert_eq!(text.len(), 3 + name.len() + 1 + 43 + 1 + 6, "{text}");
            assert_eq!(form(text), Form::Sound(name));
            assert!(!format!("{secret:?}").contains(name));
        }
        assert_ne!(Secret::new("a", [1; 32]).digest(), Secret::new("a", [2; 32]).digest());
    }

    #[test]
    fn the_digits_are_those_of_the_number() {
        assert_eq!(base62(&[0], 2), "00");
        assert_eq!(base62(&[61], 2), "0z");
        assert_eq!(base62(&[62], 2), "10");
        assert_eq!(base62(&[0x0f, 0x03], 2), "zz");
        // No digit is lost where all bits are set.
        assert!(
            base62(&[0xff; 32], 43).starts_with('z') || base62(&[0xff; 32], 44).starts_with('0')
        );
        assert_ne!(base62(&[0xff; 32], 43), base62(&[0xfe; 32], 43));
    }

    #[test]
    fn a_typo_shows_and_a_token_of_others_is_no_typo() {
        let secret = Secret::new("alice", [7; 32]);
        let text = secret.reveal();
        for at in 3..text.len() {
            let mut typo = text.to_owned().into_bytes();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).unwrap();
            assert!(!matches!(form(&typo), Form::Sound(_)), "{typo}");
        }
        for foreign in ["", "dw_", "dw_alice", "dev-alice-token", "dw_a_b_c", "eyJ.a.b"] {
            assert_eq!(form(foreign), Form::Foreign, "{foreign}");
        }
    }
}
