//! Hearing a webhook: a hint, unsigned and forgeable, that something happened at I'mport. Nothing in it is believed; what
//! is ours is looked up, and ends in the same use cases as everything else.

use tracing::{info, warn};

use super::confirm::Confirmation;
use super::verify::{Evidence, weigh};
use super::{Billing, Recorded};
use crate::iamport::{CallError, IamportPayment, PaymentStatus};
use crate::queue::Hint;
use crate::store::{Due, StoreError};
use crate::subscription::settle::Proof;
use crate::subscription::{ImpUid, MerchantUid, Purpose, Step, Subscription};

/// What a hint came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// It was news, and the books have it now.
    Handled(&'static str),
    /// It was news, and this step follows from it. Hearing never charges: whoever may is asked to go on.
    Due(Due),
    /// The books had it already, or there is nothing to have.
    Known,
    /// No name of ours, no subscription of ours, or no payment at I'mport.
    NotOurs,
}

/// A hint that could not be followed now: it must be kept and tried again.
#[derive(Debug, thiserror::Error)]
pub enum HearError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// I'mport.
    #[error(transparent)]
    Iamport(#[from] CallError),
}

impl Billing {
    /// Follows a hint: our own key first (no call to I'mport for what isn't ours), then I'mport, then the books.
    pub async fn hear(&self, hint: &Hint) -> Result<Heard, HearError> {
        let (Ok(name), Ok(imp_uid)) = (hint.merchant_uid.parse::<MerchantUid>(), hint.imp_uid.parse::<ImpUid>()) else {
            return Ok(Heard::NotOurs);
        };
        let Some(subscription) = self.store.subscription(name.subscription).await? else { return Ok(Heard::NotOurs) };
        // A name that we have not made yet is a forger's.
        let made = match name.purpose {
            Purpose::Window { number } => number <= subscription.windows,
            Purpose::Charge { period, attempt } => {
                let next = subscription.attempts.saturating_add(1);
                (period, attempt) <= (subscription.period, next)
            }
        };
        if !made {
            return Ok(Heard::NotOurs);
        }
        let Some(payment) = self.iamport.payment(&imp_uid).await? else {
            return Ok(Heard::NotOurs);
        };
        if payment.merchant_uid != hint.merchant_uid {
            return Ok(Heard::NotOurs);
        }
        let heard = match name.purpose {
            Purpose::Window { .. } => self.hear_of_window(name, &payment).await?,
            Purpose::Charge { .. } => self.hear_of_charge(subscription, name, &payment).await?,
        };
        info!(merchant_uid = %name, %imp_uid, outcome = ?heard, "webhook");
        Ok(heard)
    }

    async fn hear_of_window(&self, name: MerchantUid, payment: &IamportPayment) -> Result<Heard, StoreError> {
        Ok(match self.record_billing_key(name, payment).await? {
            Confirmation::Confirmed(subscription) => {
                let due = self.is_due(&subscription).then_some(subscription.listed_at).flatten();
                match due {
                    Some(due_at) => Heard::Due(Due { subscription: subscription.id, charge: None, due_at }),
                    None => Heard::Known,
                }
            }
            Confirmation::NotYet | Confirmation::Refused(_) => Heard::Known,
        })
    }

    fn is_due(&self, subscription: &Subscription) -> bool {
        match subscription.next_step(self.now(), &self.policy) {
            Step::Nothing { .. } => false,
            Step::CheckWindows
            | Step::ExpireCheckout
            | Step::StartTrial
            | Step::Charge(_)
            | Step::UseCredit(_)
            | Step::SwitchPlan
            | Step::DeleteKey
            | Step::SkipTo { .. }
            | Step::Resolve
            | Step::CancelAtPeriodEnd
            | Step::GiveUp => true,
        }
    }

    async fn hear_of_charge(
        &self,
        subscription: Subscription,
        name: MerchantUid,
        payment: &IamportPayment,
    ) -> Result<Heard, HearError> {
        if payment.was_paid() {
            return Ok(match self.record_seen(subscription, name, payment).await? {
                Recorded::New(_) => Heard::Handled("payment"),
                Recorded::Known(charge) if charge.refunded < payment.cancel_amount() => Heard::Handled("refund"),
                Recorded::Known(_) | Recorded::Unknown => Heard::Known,
                Recorded::NeedsReview => {
                    warn!(merchant_uid = %name, outcome = "needs_review", "a payment isn't what was meant");
                    Heard::Handled("needs_review")
                }
            });
        }
        let intent = subscription.in_flight.clone().filter(|intent| intent.merchant_uid == name);
        let (PaymentStatus::Failed, Some(intent), Some(_)) = (&payment.status, intent, &subscription.doubt) else {
            return Ok(Heard::Known);
        };
        // A failure settles an attempt in doubt, if no other payment of its name says otherwise.
        match weigh(self.iamport.payments_of(name).await?) {
            Evidence::Paid(first, others) => self.settle_all_paid(subscription, &intent, &first, &others).await?,
            Evidence::Failed { count, reason, imp_uid } if count >= subscription.sends => {
                self.settle(subscription, name, Proof::Declined { reason, imp_uid }).await?
            }
            Evidence::Failed { .. } | Evidence::Undecided | Evidence::Nothing => return Ok(Heard::Known),
        };
        Ok(Heard::Handled("decline"))
    }
}
