//! The buyer: their data, and what they may do on their own page: less than the merchant. A pause is the merchant's, and stays.

use serde::{Deserialize, Serialize};

use super::command::{Command, RefundPart, When};
use super::{Checkout, InvalidField, Status, Subscription};

/// The buyer's data: shown in the window, sent to I'mport, kept apart so that it can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buyer {
    /// At most 16 characters (PortOne V1 OpenAPI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// At most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tel: Option<String>,
    /// At most 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    /// At most 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
}

impl Buyer {
    /// The first field that can't be as it is, by the limits of I'mport's window and charge (PortOne V1 OpenAPI).
    pub fn check(&self) -> Result<(), InvalidField> {
        for (field, value, most) in [
            ("buyer.name", &self.name, 16),
            ("buyer.email", &self.email, 64),
            ("buyer.tel", &self.tel, 16),
            ("buyer.addr", &self.addr, 128),
            ("buyer.postcode", &self.postcode, 8),
        ] {
            let fits = |value: &String| value.chars().count() <= most && !value.chars().any(char::is_control);
            if !value.as_ref().is_none_or(fits) {
                return Err(InvalidField::new(field, format!("at most {most} characters, without control characters")));
            }
        }
        Ok(())
    }
}

/// A button of the buyer's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuyerAction {
    /// Bring another payment method.
    ChangePaymentMethod,
    /// No further period: the paid one is used to its end. While past due, which has none, it ends at once.
    Cancel,
    /// Go on after all.
    Resume,
}

impl Subscription {
    /// Whether the buyer's page has this button.
    pub fn buyer_may(&self, action: BuyerAction) -> bool {
        let lives = match self.status {
            Status::Trialing | Status::Active | Status::PastDue | Status::Paused => true,
            Status::Pending | Status::Expired | Status::Canceled | Status::NeedsReview => false,
        };
        lives
            && self.beyond_doubt().is_ok()
            && match action {
                BuyerAction::ChangePaymentMethod => self.key_deletion.is_none(),
                BuyerAction::Cancel => !self.cancel_at_period_end,
                BuyerAction::Resume => self.cancel_at_period_end && self.status != Status::Paused,
            }
    }

    /// Whether what the button asks for is so already: a second press changes nothing.
    pub fn buyer_has(&self, action: BuyerAction, now: jiff::Timestamp) -> bool {
        match action {
            BuyerAction::ChangePaymentMethod => self.is_replacing(now),
            BuyerAction::Cancel => self.cancel_at_period_end || self.status == Status::Canceled,
            BuyerAction::Resume => !self.cancel_at_period_end && self.buyer_may(BuyerAction::Cancel),
        }
    }

    /// The command behind the button. `checkout` is the way through the window for a new payment method.
    pub fn buyer_command(&self, action: BuyerAction, checkout: Checkout) -> Command {
        match action {
            BuyerAction::ChangePaymentMethod => Command::ReplacePaymentMethod { checkout },
            BuyerAction::Cancel if self.status == Status::PastDue => {
                Command::Cancel { when: When::Now, refund: RefundPart::None }
            }
            BuyerAction::Cancel => Command::Cancel { when: When::PeriodEnd, refund: RefundPart::None },
            BuyerAction::Resume => Command::Resume,
        }
    }

    /// When it ends, where it is to end with the paid period or the trial.
    pub fn ends_at(&self) -> Option<jiff::Timestamp> {
        self.cancel_at_period_end.then(|| self.start_of(self.paid_through.saturating_add(1))).flatten()
    }
}
