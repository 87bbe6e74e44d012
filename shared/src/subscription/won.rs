//! Korean won: whole, never negative, never a floating-point number.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// An amount in won.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Won(u64);

impl Won {
    /// Nothing. What a payment window shows while it only issues a billing key.
    pub const ZERO: Won = Won(0);
    /// The most that one charge may be: a guard against a slipped digit in a plan.
    pub const MOST: Won = Won(1_000_000_000);

    /// `amount` won.
    pub const fn new(amount: u64) -> Self {
        Self(amount)
    }

    /// The bare number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The part of it that `part` of `whole` is, in whole won, rounded down; nothing where there is no whole.
    pub fn part(self, part: u128, whole: u128) -> Won {
        match whole {
            0 => Won::ZERO,
            _ => Won(u64::try_from(u128::from(self.0) * part.min(whole) / whole).unwrap_or(u64::MAX)),
        }
    }

    /// What is left after taking `other` away; nothing where `other` is more.
    pub const fn saturating_sub(self, other: Won) -> Won {
        Won(self.0.saturating_sub(other.0))
    }

    /// Reads a JSON number as I'mport sends it, which may carry a fraction of zero (`9900.0`). `None` where it is not
    /// a whole amount of won: such an amount never equals one of ours.
    pub fn from_number(number: &serde_json::Number) -> Option<Won> {
        if let Some(whole) = number.as_u64() {
            return Some(Won(whole));
        }
        let float = number.as_f64()?;
        let exact = float >= 0.0 && float.fract() == 0.0 && float < 9e15;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        exact.then_some(Won(float as u64))
    }
}

impl Add for Won {
    type Output = Won;
    fn add(self, other: Won) -> Won {
        Won(self.0.saturating_add(other.0))
    }
}

impl Sum for Won {
    fn sum<I: Iterator<Item = Won>>(amounts: I) -> Won {
        amounts.fold(Won::ZERO, Add::add)
    }
}

/// As people in Korea write it: `9,900원`.
impl fmt::Display for Won {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        f.write_str("원")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_thousands_and_the_sign() {
        assert_eq!(Won(0).to_string(), "0원");
        assert_eq!(Won(990).to_string(), "990원");
        assert_eq!(Won(9_900).to_string(), "9,900원");
        assert_eq!(Won(1_234_567).to_string(), "1,234,567원");
    }

    #[test]
    fn reads_whole_numbers_only() {
        let read = |json: &str| Won::from_number(&serde_json::from_str(json).unwrap());
        assert_eq!(read("9900"), Some(Won(9_900)));
        assert_eq!(read("9900.0"), Some(Won(9_900)));
        assert_eq!(read("9900.5"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read("1e300"), None);
    }

    #[test]
    fn a_part_is_rounded_down_and_never_more_than_the_whole() {
        assert_eq!(Won(9_900).part(1, 3), Won(3_300));
        assert_eq!(Won(100).part(2, 3), Won(66));
        assert_eq!(Won(100).part(5, 3), Won(100));
        assert_eq!(Won(100).part(5, 0), Won::ZERO);
    }
}
