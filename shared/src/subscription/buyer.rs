//! What the buyer may do on their own page: less than the merchant. A pause is the merchant's, and stays.

use super::command::{Command, RefundPart, When};
use super::{Checkout, Status, Subscription};

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
