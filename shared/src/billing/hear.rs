//! Hearing a webhook: a hint, unsigned and forgeable, that something happened at I'mport. Nothing in it is believed; what
//! is ours is looked up, and ends in the same use cases as everything else.

use tracing::{info, warn};

use super::confirm::Confirmation;
use super::verify::{Evidence, Meant, Weighed, weigh_ours};
use super::{Billing, Recorded};
use crate::iamport::{CallError, IamportPayment, PaymentStatus};
use crate::queue::Hint;
use crate::store::StoreError;
use crate::subscription::settle::Proof;
use crate::subscription::{Due, ImpUid, MerchantUid, Purpose, Step, Subscription};

/// What a hint came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// It was news, and the books have it now.
    Handled(&'static str),
    /// It was news, and this step follows from it. Hearing never charges: whoever may is asked to go on.
    Due(Due),
    /// The books had it already, or there is nothing to have.
    Known,
    /// I'mport has decided nothing yet.
    Undecided,
    /// No name of ours, no subscription of ours, or a payment of another name.
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
    /// The name is ours, and I'mport shows no such payment: its look-up may run behind, or somebody has made the payment up.
    #[error("I'mport shows no such payment yet")]
    NotShown,
}

impl Billing {
    /// Follows a hint: our own key first (no call to I'mport for a name that we haven't made), then I'mport, then the books.
    pub async fn hear(&self, hint: &Hint) -> Result<Heard, HearError> {
        let (Ok(name), Ok(imp_uid)) = (hint.merchant_uid.parse::<MerchantUid>(), hint.imp_uid.parse::<ImpUid>()) else {
            return Ok(Heard::NotOurs);
        };
        if !is_plain(&imp_uid) {
            return Ok(Heard::NotOurs);
        }
        let Some(subscription) = self.store.subscription(name.subscription).await? else { return Ok(Heard::NotOurs) };
        if !subscription.is_its_name(name) {
            return Ok(Heard::NotOurs);
        }
        let heard = match name.purpose {
            Purpose::Window { number } => self.hear_of_window(&subscription, name, number, &imp_uid).await?,
            Purpose::Charge { period, attempt } => {
                self.hear_of_charge(subscription, name, (period, attempt), &imp_uid).await?
            }
        };
        info!(merchant_uid = %name, %imp_uid, outcome = ?heard, "webhook");
        Ok(heard)
    }

    /// The payment, if it has this name: a forger may send any two together.
    async fn shown(&self, name: MerchantUid, imp_uid: &ImpUid) -> Result<Option<IamportPayment>, HearError> {
        let payment = self.iamport.payment(imp_uid).await?.ok_or(HearError::NotShown)?;
        Ok(Some(payment).filter(|payment| payment.merchant_uid == name.to_string()))
    }

    async fn hear_of_window(
        &self,
        subscription: &Subscription,
        name: MerchantUid,
        number: u32,
        imp_uid: &ImpUid,
    ) -> Result<Heard, HearError> {
        if number > subscription.windows {
            return Ok(Heard::NotOurs);
        }
        if subscription.payment_method.as_ref().is_some_and(|method| method.window >= number) {
            return Ok(self.what_follows(subscription));
        }
        // A billing key of a session that is over is of no use, whatever became of it.
        if subscription.status.is_over() {
            return Ok(Heard::Known);
        }
        let Some(payment) = self.shown(name, imp_uid).await? else { return Ok(Heard::NotOurs) };
        Ok(match self.record_billing_key(name, &payment).await? {
            Confirmation::Confirmed(subscription) => match self.what_follows(&subscription) {
                Heard::Known if subscription.payment_method.is_some_and(|method| method.window >= number) => {
                    Heard::Handled("billing key")
                }
                heard => heard,
            },
            Confirmation::NotYet => Heard::Undecided,
            Confirmation::Refused(_) => Heard::Known,
        })
    }

    /// The billing key is recorded: the step that it makes due.
    fn what_follows(&self, subscription: &Subscription) -> Heard {
        if !self.is_due(subscription) {
            return Heard::Known;
        }
        // The step is due since now, whenever the index lists it: a claim compares the time only to save a read.
        let due_at = subscription.listed_at.unwrap_or_else(|| self.now());
        Heard::Due(Due { subscription: subscription.id, charge: None, due_at })
    }

    fn is_due(&self, subscription: &Subscription) -> bool {
        match subscription.next_step(self.now(), &self.policy) {
            Step::Nothing { .. } => false,
            Step::CheckWindows
            | Step::ExpireCheckout
            | Step::StartTrial
            | Step::Charge(_)
            | Step::UseCredit(_)
            | Step::GoUnpaid(_)
            | Step::SwitchPlan
            | Step::DeleteKey
            | Step::SkipTo { .. }
            | Step::Resolve
            | Step::CancelAtPeriodEnd
            | Step::GiveUp
            | Step::Repair(_) => true,
        }
    }

    async fn hear_of_charge(
        &self,
        subscription: Subscription,
        name: MerchantUid,
        (period, attempt): (u32, u32),
        imp_uid: &ImpUid,
    ) -> Result<Heard, HearError> {
        let intent = subscription.in_flight.clone().filter(|intent| intent.merchant_uid == name);
        let Some(intent) = intent else {
            // Every attempt that was ever sent is in flight or in the ledger. Whoever has the merchant's code can pay under
            // any other name, and nothing comes of it.
            if (period, attempt) > (subscription.period, subscription.attempts) {
                return Ok(Heard::NotOurs);
            }
            let known = self.store.charges_of(subscription.id, period).await?;
            if known.iter().all(|charge| charge.attempt != attempt) {
                return Ok(Heard::NotOurs);
            }
            return match self.shown(name, imp_uid).await? {
                None => Ok(Heard::NotOurs),
                Some(payment) if payment.was_paid() => {
                    Ok(told(&self.record_known(subscription, &known, name, &payment).await?, name, &payment))
                }
                Some(payment) => Ok(not_paid(&payment)),
            };
        };
        let Some(payment) = self.shown(name, imp_uid).await? else { return Ok(Heard::NotOurs) };
        if payment.was_paid() {
            return Ok(told(&self.record_seen(subscription, name, &payment).await?, name, &payment));
        }
        // Without doubt, its worker is about to hear the same.
        let by_our_key = Meant::by(&intent, &subscription).is_by_our_key(&payment);
        if payment.status != PaymentStatus::Failed || subscription.doubt.is_none() || !by_our_key {
            return Ok(not_paid(&payment));
        }
        // A failure settles an attempt in doubt, if no other payment of its name says otherwise.
        let payments = self.iamport.payments_of(name).await?;
        let Weighed { evidence, .. } = weigh_ours(payments, &Meant::by(&intent, &subscription));
        match evidence {
            Evidence::Paid(first, others) => self.settle_all_paid(subscription, &intent, &first, &others).await?,
            Evidence::Failed { count, reason, imp_uid } if count >= subscription.sends => {
                self.settle(subscription, name, Proof::Declined { reason, imp_uid }).await?
            }
            Evidence::Failed { .. } | Evidence::Undecided | Evidence::Nothing => return Ok(Heard::Known),
        };
        Ok(Heard::Handled("decline"))
    }
}

/// Whether this can be I'mport's name for a payment (`imp_` and digits, as seen): it becomes part of a path, and one that
/// leads elsewhere (`..`, `status`) would be asked about again and again without ever being answered.
fn is_plain(imp_uid: &ImpUid) -> bool {
    let text = imp_uid.as_str();
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && text.bytes().any(|b| b.is_ascii_digit())
}

fn told(recorded: &Recorded, name: MerchantUid, payment: &IamportPayment) -> Heard {
    match recorded {
        Recorded::New(_) => Heard::Handled("payment"),
        Recorded::Known(charge) if charge.refunded < payment.cancel_amount() => Heard::Handled("refund"),
        Recorded::Stranger { new: true } => Heard::Handled("finding"),
        Recorded::Known(_) | Recorded::Stranger { new: false } | Recorded::Unknown => Heard::Known,
        Recorded::NeedsReview => {
            warn!(merchant_uid = %name, outcome = "needs_review", "a payment isn't what was meant");
            Heard::Handled("needs_review")
        }
    }
}

fn not_paid(payment: &IamportPayment) -> Heard {
    match payment.status {
        PaymentStatus::Failed | PaymentStatus::Cancelled => Heard::Known,
        PaymentStatus::Ready | PaymentStatus::Paid | PaymentStatus::Other(_) => Heard::Undecided,
    }
}
