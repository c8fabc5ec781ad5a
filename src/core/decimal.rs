//! Numbers as they are written, compared without rounding.

use std::cmp::Ordering;

/// A number of JSON (RFC 8259 6), exactly: `0.d₁d₂d₃… × 10^exponent`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decimal {
    is_negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// The number that `text`, a number of JSON, spells. `None` where it is none, or where its
    /// exponent is beyond all reason.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = Vec::with_capacity(whole.len() + fraction.len());
        digits.extend(whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0'));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let leading = whole.len() + fraction.len() - digits.len();
        let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - trailing);
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits, exponent: 0 });
        }
        let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()?;
        Some(Self { is_negative, digits, exponent: exponent.checked_add(point)? })
    }

    /// What remains of the number where a reader takes it for a double (RFC 8259 6); `None` where
    /// that is infinite.
    #[must_use]
    pub fn rounded(text: &str) -> Option<Self> {
        let double: f64 = text.parse().ok().filter(|double: &f64| double.is_finite())?;
        Self::parse(&format!("{double:e}"))
    }

    /// A whole number.
    #[must_use]
    pub fn from_whole(number: i128) -> Self {
        // Every whole number is spelled like one of JSON.
        let zero = Self { is_negative: false, digits: Vec::new(), exponent: 0 };
        Self::parse(&number.to_string()).unwrap_or(zero)
    }

    /// True for a number without a fraction.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        i64::try_from(self.digits.len()).is_ok_and(|len| len <= self.exponent)
            || self.digits.is_empty()
    }

    /// The largest whole number that is not above it; `None` where that has more than 38 digits.
    #[must_use]
    pub fn floor(&self) -> Option<i128> {
        let whole = self.toward_zero()?;
        Some(if self.is_negative && !self.is_whole() { whole - 1 } else { whole })
    }

    /// The smallest whole number that is not below it; `None` where that has more than 38 digits.
    #[must_use]
    pub fn ceil(&self) -> Option<i128> {
        let whole = self.toward_zero()?;
        Some(if self.is_negative || self.is_whole() { whole } else { whole + 1 })
    }

    fn toward_zero(&self) -> Option<i128> {
        const MAX_DIGITS: i64 = 38;
        if self.exponent > MAX_DIGITS {
            return None;
        }
        let len = usize::try_from(self.exponent).unwrap_or_default();
        let digits = self.digits.iter().copied().chain(std::iter::repeat(b'0')).take(len);
        let magnitude =
            digits.fold(0, |number: i128, digit| number * 10 + i128::from(digit - b'0'));
        Some(if self.is_negative { -magnitude } else { magnitude })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (false, false) => {
                self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
            }
            (is_zero, other_is_zero) => other_is_zero.cmp(&is_zero),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_ordered_by_what_they_are_worth() {
        let ascending = [
            "-1e400",
            "-100",
            "-99.5",
            "-10",
            "-9",
            "-0.1",
            "-0.01",
            "0",
            "1e-400",
            "0.01",
            "0.1",
            "0.11",
            "0.9",
            "1",
            "1.0000000000000000000001",
            "9",
            "10",
            "99",
            "100.5",
            "101",
            "9007199254740992",
            "9007199254740993",
            "1e17",
            "1e400",
        ];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
            assert!(number(pair[1]) > number(pair[0]), "{pair:?}");
        }
    }

    #[test]
    fn spellings_of_one_number_are_equal() {
        for same in [
            &["0", "-0", "0.0", "0e9", "-0.0e-9"][..],
            &["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+0"],
            &["-1200", "-1.2e3", "-1200.00"],
        ] {
            for text in same {
                assert_eq!(number(text), number(same[0]), "{text}");
            }
        }
    }

    #[test]
    fn a_number_lies_between_its_whole_neighbours() {
        for (text, floor, ceil, is_whole) in [
            ("0", 0, 0, true),
            ("7", 7, 7, true),
            ("-7", -7, -7, true),
            ("7.5", 7, 8, false),
            ("-7.5", -8, -7, false),
            ("0.4", 0, 1, false),
            ("-0.4", -1, 0, false),
            ("1e-400", 0, 1, false),
            ("1e3", 1000, 1000, true),
            ("12.30e1", 123, 123, true),
            ("1e37", 10_i128.pow(37), 10_i128.pow(37), true),
        ] {
            let number = number(text);
            assert_eq!((number.floor(), number.ceil()), (Some(floor), Some(ceil)), "{text}");
            assert_eq!(number.is_whole(), is_whole, "{text}");
            assert_eq!(Decimal::from_whole(floor) == number, is_whole, "{text}");
        }
        assert_eq!(number("1e300").floor(), None);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".5", "1e", "abc", "1e99999999999999999999", "0x1", "1_0"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::rounded("1e400"), None);
    }

    #[test]
    fn a_double_loses_what_it_cannot_hold() {
        for (text, kept) in
            [("1e-400", "0"), ("9007199254740993", "9007199254740992"), ("0.3", "0.3")]
        {
            assert_eq!(Decimal::rounded(text), Some(number(kept)), "{text}");
        }
    }
}
