//! Giving money back. The intent is in the charge before I'mport hears of it; its `checksum` (the balance that it starts
//! from) makes a repeat harmless; and the ledger records what I'mport shows, whoever started it.
//!
//! *Crash before `cancel`*: the intent is due, and is done then. *Crash after*: it is due, too; I'mport refuses the repeat
//! because the balance has changed, a look-up shows the cancellation, and it enters the ledger.

use jiff::SignedDuration;
use tracing::{info, warn};

use super::{Billing, TRIES};
use crate::iamport::{Answer, Cancel, IamportPayment};
use crate::store::{Entry, Key, StoreError};
use crate::subscription::{Charge, ImpUid, Refund, RefundIntent, SubscriptionId, Won};

/// A refund that I'mport refuses or doesn't answer is asked for again after so long, then daily.
const SOON: SignedDuration = SignedDuration::from_mins(5);
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// After so many tries a person must look.
const MOST_TRIES: u32 = 8;

/// What came of a refund's step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refunded {
    /// It is in the ledger.
    Settled,
    /// It is due again later.
    Later,
    /// I'mport keeps refusing: a person must look.
    NeedsReview,
    /// There is no refund under way at this key.
    NotDue,
}

impl Billing {
    /// Carries out the refund that is under way at `key`.
    pub(super) async fn refund(&self, id: SubscriptionId, key: &Key) -> Result<Refunded, StoreError> {
        let Some(charge) = self.store.charge_at(key).await? else { return Ok(Refunded::NotDue) };
        let (Some(intent), Some(payment)) = (&charge.refund, charge.payment()) else { return Ok(Refunded::NotDue) };
        if intent.due_at > self.now() {
            return Ok(Refunded::NotDue);
        }
        let imp_uid = payment.imp_uid.clone();
        let cancel =
            Cancel { imp_uid: &imp_uid, amount: intent.amount, checksum: intent.balance, reason: &intent.reason };
        let why = match self.iamport.cancel(&cancel).await {
            Ok(Answer::Done(shown)) if shown.cancel_amount() > charge.refunded => {
                self.record_refunds(&charge, &shown).await?;
                return Ok(Refunded::Settled);
            }
            Ok(Answer::Done(_)) => "code 0, but nothing was given back".to_owned(),
            Ok(Answer::Refused { message, .. } | Answer::NotFound { message }) => message,
            Err(error) => error.to_string(),
        };
        // Whatever was said: only the payment itself tells whether money went back.
        if let Ok(Some(shown)) = self.iamport.payment(&imp_uid).await
            && shown.cancel_amount() > charge.refunded
        {
            self.record_refunds(&charge, &shown).await?;
            return Ok(Refunded::Settled);
        }
        self.refund_later(id, charge.clone(), intent.clone(), &imp_uid, &why).await
    }

    async fn refund_later(
        &self,
        id: SubscriptionId,
        was: Charge,
        intent: RefundIntent,
        imp_uid: &ImpUid,
        why: &str,
    ) -> Result<Refunded, StoreError> {
        let now = self.now();
        let tries = intent.tries + 1;
        warn!(subscription = %id, %imp_uid, tries, reason = why, outcome = "refund open", "refund not settled");
        if tries >= MOST_TRIES
            && let Some(subscription) = self.store.subscription(id).await?
        {
            self.review(subscription, format!("{imp_uid} could not be refunded: {why}")).await?;
        }
        let wait = if tries == 1 { SOON } else { DAILY };
        let due_at = now.saturating_add(wait).unwrap_or(now);
        let is = Charge { refund: Some(RefundIntent { tries, due_at, ..intent }), ..was.clone() };
        self.store.write(&[Entry::Changed { was, is }]).await?;
        Ok(if tries >= MOST_TRIES { Refunded::NeedsReview } else { Refunded::Later })
    }

    /// Brings the ledger of one payment up to what I'mport shows of it: each cancellation once.
    pub(super) async fn record_refunds(&self, charge: &Charge, shown: &IamportPayment) -> Result<(), StoreError> {
        let mut charge = charge.clone();
        for _ in 0..TRIES {
            if shown.cancel_amount() <= charge.refunded {
                return Ok(());
            }
            let Some(payment) = charge.payment().cloned() else { return Ok(()) };
            let known = self.store.refunds_of(charge.subscription, &payment.imp_uid).await?;
            let refunds: Vec<Refund> = shown_refunds(&charge, &payment.imp_uid, shown)
                .into_iter()
                .filter(|refund| known.iter().all(|k| k.cancellation_id != refund.cancellation_id))
                .collect();
            let mut is = charge.clone();
            is.refunded = shown.cancel_amount();
            is.refund = still_open(&charge, is.refunded);
            let mut entries = vec![Entry::Changed { was: charge.clone(), is }];
            entries.extend(refunds.into_iter().map(Entry::Refund));
            match self.store.write(&entries).await {
                Ok(()) => {
                    info!(merchant_uid = %charge.merchant_uid, imp_uid = %payment.imp_uid, refunded = shown.cancel_amount().get(), outcome = "refunded", "refund settled");
                    return Ok(());
                }
                Err(StoreError::Conflict { .. }) => match self.store.charge_at(&Key::of(&charge)).await? {
                    Some(current) => charge = current,
                    None => return Ok(()),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "record a refund" })
    }
}

/// What of a refund under way is left, now that `refunded` of the payment went back.
fn still_open(charge: &Charge, refunded: Won) -> Option<RefundIntent> {
    let intent = charge.refund.as_ref()?;
    let balance = charge.amount.saturating_sub(refunded);
    // A duplicate goes back whole, whatever part somebody else gave back meanwhile.
    let open =
        if charge.duplicate { balance } else { intent.amount.saturating_sub(refunded.saturating_sub(charge.refunded)) };
    (open > Won::ZERO && balance > Won::ZERO).then(|| RefundIntent {
        amount: open.min(balance),
        balance,
        ..intent.clone()
    })
}

/// I'mport's cancellations of a payment, as refunds.
fn shown_refunds(charge: &Charge, imp_uid: &ImpUid, shown: &IamportPayment) -> Vec<Refund> {
    let refund = |cancellation_id: String, amount, refunded_at, reason: &str| Refund {
        subscription: charge.subscription,
        merchant_uid: charge.merchant_uid,
        imp_uid: imp_uid.clone(),
        cancellation_id,
        amount,
        refunded_at,
        reason: reason.chars().take(200).collect(),
    };
    if shown.cancel_history.is_empty() {
        // Some gateways show a sum and no history.
        let total = shown.cancel_amount();
        let step = total.saturating_sub(charge.refunded);
        return vec![refund(format!("total-{}", total.get()), step, None, "")];
    }
    let entries = shown.cancel_history.iter().enumerate();
    entries
        .map(|(place, c)| {
            // Cancellations before 2024-02 have no id; their place in the history is as good.
            let id = c.cancellation_id.clone().filter(|id| !id.is_empty() && id.len() <= 100);
            refund(
                id.unwrap_or_else(|| format!("nth-{place}")),
                c.amount().unwrap_or(Won::ZERO),
                c.cancelled_at(),
                &c.reason,
            )
        })
        .collect()
}
