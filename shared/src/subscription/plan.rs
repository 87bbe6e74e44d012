//! Plans: what is sold, for how much, how often.

use serde::{Deserialize, Serialize};

use super::dunning::DunningPolicy;
use super::id::PlanId;
use super::period::{Interval, Unit};
use super::policy::LEAST_AMOUNT;
use super::won::Won;

/// One version of a plan. A subscription keeps the version that it was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Chosen by the merchant.
    pub id: PlanId,
    /// Counted from 1; every put makes a new one.
    pub version: u32,
    #[serde(flatten)]
    /// What is sold.
    pub terms: Terms,
}

/// What a plan sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What the buyer reads on the page and on the receipt: 1 to 40 characters (I'mport's limit on `name`).
    pub name: String,
    /// What a period costs, tax included.
    pub amount: Won,
    /// The part of `amount` that carries no VAT.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax_free: Won,
    /// How long a period is.
    pub interval: Interval,
    /// Days before the first charge.
    #[serde(default, skip_serializing_if = "is_none")]
    pub trial_days: u16,
    /// Its own dunning, where it differs from the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dunning: Option<DunningPolicy>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(amount: &Won) -> bool {
    *amount == Won::ZERO
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(days: &u16) -> bool {
    *days == 0
}

/// The longest trial, in days.
pub const LONGEST_TRIAL: u16 = 730;

/// A field that can't be as it was given, and what it can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct InvalidField {
    /// The field's name in the request.
    pub field: &'static str,
    /// What it must be.
    pub rule: String,
}

impl InvalidField {
    /// `field` must be as `rule` says.
    pub fn new(field: &'static str, rule: impl Into<String>) -> Self {
        Self { field, rule: rule.into() }
    }
}

impl Terms {
    /// The first field that can't be as it is.
    pub fn check(&self) -> Result<(), InvalidField> {
        let invalid = |field, rule: String| Err(InvalidField { field, rule });
        let length = self.name.chars().count();
        if self.name.trim().is_empty() || length > 40 || self.name.chars().any(char::is_control) {
            return invalid("name", format!("1 to 40 characters, without control characters; it has {length}"));
        }
        if self.amount < LEAST_AMOUNT || self.amount > Won::MOST {
            let (least, most) = (LEAST_AMOUNT.get(), Won::MOST.get());
            return invalid("amount", format!("a whole number of won from {least} to {most}"));
        }
        if self.tax_free > self.amount {
            return invalid("tax_free", format!("at most the amount, {}", self.amount.get()));
        }
        let most = Interval::most(self.interval.unit);
        if self.interval.count == 0 || self.interval.count > most {
            let unit = match self.interval.unit {
                Unit::Day => "days",
                Unit::Week => "weeks",
                Unit::Month => "months",
                Unit::Year => "years",
            };
            return invalid("interval", format!("a count of 1 to {most} {unit}"));
        }
        if self.trial_days > LONGEST_TRIAL {
            return invalid("trial_days", format!("0 to {LONGEST_TRIAL}"));
        }
        match self.dunning.as_ref().and_then(DunningPolicy::problem) {
            Some(rule) => invalid("dunning", format!("retry_days: {rule}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            name: "월간 구독".into(),
            amount: Won::new(9_900),
            tax_free: Won::ZERO,
            interval: Interval::MONTHLY,
            trial_days: 0,
            dunning: None,
        }
    }

    #[test]
    fn names_the_field_that_cannot_be() {
        let field = |change: fn(&mut Terms)| {
            let mut terms = terms();
            change(&mut terms);
            terms.check().err().map(|e| e.field)
        };
        assert_eq!(field(|_| ()), None);
        assert_eq!(field(|t| t.name = "가".repeat(40)), None);
        assert_eq!(field(|t| t.name = "가".repeat(41)), Some("name"));
        assert_eq!(field(|t| t.name = "  ".into()), Some("name"));
        assert_eq!(field(|t| t.amount = Won::ZERO), Some("amount"));
        assert_eq!(field(|t| t.amount = Won::new(1_000_000_001)), Some("amount"));
        assert_eq!(field(|t| t.amount = Won::MOST), None);
        assert_eq!(field(|t| t.tax_free = Won::new(9_901)), Some("tax_free"));
        assert_eq!(field(|t| t.tax_free = Won::new(9_900)), None);
        assert_eq!(field(|t| t.interval.count = 0), Some("interval"));
        assert_eq!(field(|t| t.interval.count = 61), Some("interval"));
        assert_eq!(field(|t| t.interval.count = 60), None);
        assert_eq!(field(|t| t.trial_days = 731), Some("trial_days"));
        assert_eq!(field(|t| t.trial_days = 730), None);
    }
}
