//! What a merchant sets once for the whole stack.

use super::dunning::{DeclineRules, DunningPolicy};
use super::window::ChargeWindow;
use super::won::Won;

/// The least that is charged where nothing else is set: gateways decline less than 100 won.
pub const LEAST_AMOUNT: Won = Won::new(100);

/// What a merchant sets once for the whole stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The hours in which renewals are charged.
    pub charge_window: ChargeWindow,
    /// What follows a decline, where the plan says nothing else.
    pub dunning: DunningPolicy,
    /// What a hard decline reads like.
    pub declines: DeclineRules,
    /// What happens to periods that went by uncharged.
    pub missed: MissedPeriods,
    /// Whether the billing key of a subscription that ended for good is deleted at I'mport.
    pub delete_keys: bool,
    /// The least that a gateway takes. What is less isn't charged, but with the next charge.
    pub least_amount: Won,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            charge_window: ChargeWindow::default(),
            dunning: DunningPolicy::default(),
            declines: DeclineRules::default(),
            missed: MissedPeriods::default(),
            delete_keys: false,
            least_amount: LEAST_AMOUNT,
        }
    }
}

/// What happens to periods that nobody charged because the system was down or the buyer was past due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedPeriods {
    /// Only the current period is charged; those before it are skipped.
    #[default]
    Skip,
    /// Each is charged once, oldest first.
    ChargeEach,
}
