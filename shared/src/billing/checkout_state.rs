//! Where a checkout session stands, for the buyer who looks at it.

use super::Billing;
use crate::store::MOST_WINDOWS;
use crate::subscription::{Status, Subscription};

/// What the buyer of a session can do or know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutState {
    /// The payment window can be opened.
    Open,
    /// The billing key is there; the charge or the trial isn't settled yet.
    Confirming,
    /// It worked: paid, or in its trial.
    Subscribed,
    /// The payment window can be opened for a new payment method.
    Replacing,
    /// A renewal was declined.
    PastDue,
    /// Held by the merchant.
    Paused,
    /// There was a subscription; it has ended.
    Ended,
    /// The session closed without one.
    Over,
    /// A person looks at it.
    Review,
}

impl Billing {
    /// Where the session stands now.
    pub fn checkout_state(&self, session: &Subscription) -> CheckoutState {
        let open = |session: &Subscription| {
            session.windows < MOST_WINDOWS
                && session.checkout.as_ref().is_some_and(|checkout| checkout.expires_at > self.now())
        };
        match session.status {
            // The same as what `open_window` refuses: no page offers a window that would not open.
            Status::Pending if session.in_flight.is_some() || session.can_be_charged() => CheckoutState::Confirming,
            Status::Pending if open(session) => CheckoutState::Open,
            Status::Pending | Status::Expired => CheckoutState::Over,
            Status::Trialing | Status::Active | Status::PastDue | Status::Paused
                if session.is_replacing(self.now()) && session.windows_of_session() < MOST_WINDOWS =>
            {
                CheckoutState::Replacing
            }
            Status::Trialing | Status::Active => CheckoutState::Subscribed,
            Status::PastDue => CheckoutState::PastDue,
            Status::Paused => CheckoutState::Paused,
            Status::Canceled => CheckoutState::Ended,
            Status::NeedsReview => CheckoutState::Review,
        }
    }
}
