//! Giving money back. The intent is in the charge before I'mport hears of it; its `checksum` (the balance that it starts
//! from) makes a repeat harmless; and the ledger records what I'mport shows, whoever started it.
//!
//! *Crash before `cancel`*: the intent is due, and is done then. *Crash after*: it is due, too; I'mport refuses the repeat
//! because the balance has changed, a look-up shows the cancellation, and it enters the ledger.

use jiff::SignedDuration;
use tracing::{info, warn};

use super::{Billing, TRIES};
use crate::iamport::{Answer, Cancel, IamportPayment};
use crate::key::Key;
use crate::store::{Entry, StoreError};
use crate::subscription::{Charge, ImpUid, Refund, RefundIntent, ReviewCause, SubscriptionId, Won};

/// A refund that I'mport refuses or doesn't answer is asked for again after so long, then daily.
const SOON: SignedDuration = SignedDuration::from_mins(5);
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// After so many tries a person must look.
pub(super) const MOST_TRIES: u32 = 8;
/// A transaction holds at most 100 writes.
const MOST_AT_ONCE: usize = 90;

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
            self.review_for(ReviewCause::Refund, subscription, format!("{imp_uid} could not be refunded: {why}"))
                .await?;
        }
        let wait = if tries == 1 { SOON } else { DAILY };
        let due_at = now.saturating_add(wait).unwrap_or(now);
        let is = Charge { refund: Some(RefundIntent { tries, due_at, ..intent }), ..was.clone() };
        self.store.write(&[Entry::Changed { was, is }]).await?;
        Ok(if tries >= MOST_TRIES { Refunded::NeedsReview } else { Refunded::Later })
    }

    /// Brings the ledger of one payment up to what I'mport shows of it: each cancellation once. Returns whether one was missing.
    pub(super) async fn record_refunds(&self, charge: &Charge, shown: &IamportPayment) -> Result<bool, StoreError> {
        let mut charge = charge.clone();
        for _ in 0..TRIES {
            if shown.cancel_amount() < charge.refunded || shown.cancel_amount() == Won::ZERO {
                return Ok(false);
            }
            let Some(payment) = charge.payment().cloned() else { return Ok(false) };
            let known = self.store.refunds_of(charge.subscription, &payment.imp_uid).await?;
            let refunds = new_refunds(&charge, &payment.imp_uid, shown, &known);
            // As much here as there, by the charge and by its refunds: a restored table may hold half of that.
            if shown.cancel_amount() == charge.refunded && refunds.is_empty() {
                return Ok(false);
            }
            let mut is = charge.clone();
            is.refunded = shown.cancel_amount();
            is.refund = still_open(&charge, is.refunded);
            let mut entries = vec![Entry::Changed { was: charge.clone(), is }];
            entries.extend(refunds.into_iter().map(Entry::Refund));
            match self.store.write(&entries).await {
                Ok(()) => {
                    if charge.refund.as_ref().is_some_and(|refund| refund.tries >= MOST_TRIES) {
                        self.end_review_of_refunds(charge.subscription).await?;
                    }
                    info!(merchant_uid = %charge.merchant_uid, imp_uid = %payment.imp_uid, refunded = shown.cancel_amount().get(), outcome = "refunded", "refund settled");
                    return Ok(true);
                }
                Err(StoreError::Conflict { .. }) => match self.store.charge_at(&Key::of(&charge)).await? {
                    Some(current) => charge = current,
                    None => return Ok(false),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "record a refund" })
    }

    /// A refund that a person was called for has worked after all: where no other one is stuck, nobody need look any more.
    async fn end_review_of_refunds(&self, id: SubscriptionId) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(mut subscription) = self.store.subscription(id).await? else { return Ok(()) };
            let stuck = |charge: &Charge| charge.refund.as_ref().is_some_and(|refund| refund.tries >= MOST_TRIES);
            if self.store.ledger(id).await?.charges.iter().any(stuck)
                || !subscription.end_review_of(ReviewCause::Refund)
            {
                return Ok(());
            }
            match self.store.put(&mut subscription, self.now(), &self.policy).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "end a review" })
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

/// The refunds that I'mport shows and the ledger doesn't have. With those that it has they add up to what went back: where
/// the history can't be told apart, doesn't add up or isn't there (some gateways show a sum only), one entry makes up the
/// difference.
fn new_refunds(charge: &Charge, imp_uid: &ImpUid, shown: &IamportPayment, known: &[Refund]) -> Vec<Refund> {
    let refund = |cancellation_id: String, amount, refunded_at, reason: &str| Refund {
        subscription: charge.subscription,
        merchant_uid: charge.merchant_uid,
        imp_uid: imp_uid.clone(),
        cancellation_id,
        amount,
        refunded_at,
        reason: reason.chars().take(200).collect(),
    };
    let sum = |refunds: &[Refund]| refunds.iter().map(|refund| refund.amount).sum::<Won>();
    let named = names(shown).into_iter().zip(&shown.cancel_history);
    let new: Vec<Refund> = named
        .filter(|(name, _)| known.iter().all(|known| known.cancellation_id != *name))
        .map(|(name, c)| refund(name, c.amount().unwrap_or(Won::ZERO), c.cancelled_at(), &c.reason))
        .collect();
    let (total, before) = (shown.cancel_amount(), sum(known));
    if before + sum(&new) == total && new.len() <= MOST_AT_ONCE {
        return new;
    }
    match total.saturating_sub(before) {
        Won::ZERO => Vec::new(),
        rest => vec![refund(format!("total-{}", total.get()), rest, None, "")],
    }
}

/// A name for each cancellation, the same however often and in whatever order I'mport shows them. Those before 2024-02 have
/// no id: their time and amount stand in, and a number where two are alike.
fn names(shown: &IamportPayment) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(shown.cancel_history.len());
    for c in &shown.cancel_history {
        let id = c.cancellation_id.clone().filter(|id| !id.is_empty() && id.len() <= 100);
        let name = id.unwrap_or_else(|| {
            let at = c.cancelled_at().map_or(0, jiff::Timestamp::as_second);
            let alike = format!("at-{at}-{}-", c.amount().unwrap_or(Won::ZERO).get());
            let before = names.iter().filter(|name| name.starts_with(&alike)).count();
            format!("{alike}{before}")
        });
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::subscription::{ChargeStatus, Intent, MerchantUid};

    fn shown(total: u64, history: &Value) -> IamportPayment {
        let payment = json!({ "imp_uid": "imp_1", "amount": 10_000, "cancel_amount": total, "status": "cancelled",
            "cancel_history": history });
        serde_json::from_value(payment).unwrap()
    }

    fn charge() -> Charge {
        let id = SubscriptionId::new(ulid::Ulid::from_parts(1, 2));
        let intent = Intent {
            period: 1,
            attempt: 1,
            merchant_uid: MerchantUid::charge(id, 1, 1),
            amount: Won::new(10_000),
            credit: Won::ZERO,
            carried: Won::ZERO,
            left: Won::ZERO,
            window: None,
            until: jiff::Timestamp::UNIX_EPOCH,
        };
        let status = ChargeStatus::Declined { reason: String::new(), imp_uid: None };
        Charge::of(id, &intent, status, jiff::Timestamp::UNIX_EPOCH)
    }

    /// The amounts that the ledger has after I'mport has shown one after the other.
    fn amounts(shown: &[IamportPayment]) -> Vec<u64> {
        let mut known = Vec::new();
        for shown in shown {
            known.extend(new_refunds(&charge(), &"imp_1".parse().unwrap(), shown, &known));
            assert_eq!(known.iter().map(|r| r.amount).sum::<Won>(), shown.cancel_amount());
        }
        known.iter().map(|refund| refund.amount.get()).collect()
    }

    fn old(amount: u64, at: i64) -> Value {
        json!({ "amount": amount, "cancelled_at": at, "pg_tid": "t" })
    }

    #[test]
    fn a_history_without_ids_may_come_in_any_order() {
        let first = shown(3_000, &json!([old(3_000, 10)]));
        for history in [json!([old(3_000, 10), old(7_000, 20)]), json!([old(7_000, 20), old(3_000, 10)])] {
            assert_eq!(amounts(&[first.clone(), shown(10_000, &history), shown(10_000, &history)]), [3_000, 7_000]);
        }
    }

    #[test]
    fn two_that_are_alike_are_two() {
        let history = json!([old(3_000, 10), old(3_000, 10)]);
        assert_eq!(amounts(&[shown(6_000, &history)]), [3_000, 3_000]);
    }

    #[test]
    fn a_history_that_is_missing_or_does_not_add_up_is_made_up_for() {
        assert_eq!(amounts(&[shown(3_000, &json!([])), shown(10_000, &Value::Null)]), [3_000, 7_000]);
        // The sum came first, and its parts later.
        let parts = json!([{ "amount": 3_000, "cancellation_id": "a" }, { "amount": 7_000, "cancellation_id": "b" }]);
        assert_eq!(amounts(&[shown(3_000, &json!([])), shown(10_000, &parts)]), [3_000, 7_000]);
        // More than a transaction holds.
        let many: Vec<Value> = (0..200).map(|at| old(50, at)).collect();
        assert_eq!(amounts(&[shown(10_000, &json!(many))]), [10_000]);
    }

    /// What is left of a refund of `asked` while `refunded` of the payment went back.
    fn left(asked: u64, duplicate: bool, refunded: u64) -> Option<(u64, u64)> {
        let mut charge = charge();
        charge.duplicate = duplicate;
        charge.give_back(Won::new(asked), "as asked", jiff::Timestamp::UNIX_EPOCH);
        still_open(&charge, Won::new(refunded)).map(|intent| (intent.amount.get(), intent.balance.get()))
    }

    #[test]
    fn a_refund_stays_open_for_what_did_not_go_back() {
        assert_eq!(left(3_000, false, 0), Some((3_000, 10_000)));
        assert_eq!(left(3_000, false, 1_000), Some((2_000, 9_000)));
        assert_eq!(left(3_000, false, 2_999), Some((1, 7_001)));
        assert_eq!(left(3_000, false, 3_000), None);
        assert_eq!(left(3_000, false, 10_000), None);
        // Whole, whatever part somebody else gave back.
        assert_eq!(left(10_000, true, 4_000), Some((6_000, 6_000)));
        assert_eq!(left(10_000, true, 10_000), None);
        assert_eq!(still_open(&charge(), Won::ZERO), None);
    }
}
