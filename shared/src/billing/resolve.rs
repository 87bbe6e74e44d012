//! Finding out what became of an attempt in doubt: by our own name, all payments of it, never by guessing.
//!
//! *Crash at any line*: the attempt is still in flight, and the next look begins anew. Nothing is written before I'mport
//! has answered, and what is written then is a settlement, a later look, or a claim to send again.

use jiff::SignedDuration;

use super::charge::Charged;
use super::verify::{Evidence, Meant, Weighed, passed, weigh_ours};
use super::{Billing, TRIES};
use crate::store::{StoreError, Taken};
use crate::subscription::settle::Proof;
use crate::subscription::{Intent, ReviewCause, Status, Subscription};

/// How long I'mport may take to show what it was sent. Before that, finding nothing proves nothing.
pub const SETTLE_DELAY: SignedDuration = SignedDuration::from_mins(10);

impl Billing {
    /// Looks up the attempt in flight and settles it, waits on, or sends it again under the same name.
    pub(super) async fn resolve(&self, seen: Subscription) -> Result<Charged, StoreError> {
        let Some(intent) = seen.in_flight.clone() else { return Ok(Charged::NotClaimed(Some(Box::new(seen)))) };
        let unsent = seen.doubt.as_ref().is_some_and(|doubt| doubt.unsent);
        let refusal = seen.doubt.as_ref().and_then(|doubt| doubt.refusal.clone());
        let settled = passed(seen.claimed_at.unwrap_or(seen.created_at), SETTLE_DELAY, self.now());
        let payments = match self.iamport.payments_of(intent.merchant_uid).await {
            Ok(payments) => payments,
            Err(error) => return self.doubt(seen, unsent, refusal, &error.to_string()).await,
        };
        let Weighed { evidence, strangers } = weigh_ours(payments, &Meant::by(&intent, &seen));
        match evidence {
            Evidence::Paid(first, others) => self.settle_all_paid(seen, &intent, &first, &others).await,
            Evidence::Undecided => self.doubt(seen, false, refusal, "a payment is neither paid nor failed").await,
            // Every send has failed; or one has, and the others have left no trace in time.
            Evidence::Failed { count, reason, imp_uid } if count >= seen.sends || settled => {
                self.settle(seen, intent.merchant_uid, Proof::Declined { reason, imp_uid }).await
            }
            Evidence::Failed { .. } => self.doubt(seen, false, refusal, "one send failed, another is open").await,
            // Somebody else has paid under this name, and I'mport has no trace of the attempt: it can't be made under it any
            // more.
            Evidence::Nothing if settled && !strangers.is_empty() => {
                for payment in &strangers {
                    Box::pin(self.tell_of_stranger(intent.merchant_uid, payment)).await?;
                }
                let reason = "its name was used up by somebody else's payment".to_owned();
                self.settle(seen, intent.merchant_uid, Proof::Void { reason }).await
            }
            Evidence::Nothing => match refusal {
                Some(reason) if settled => {
                    self.settle(seen, intent.merchant_uid, Proof::Declined { reason, imp_uid: None }).await
                }
                Some(_) => self.doubt(seen, false, refusal, "refused, and no trace within the settle delay").await,
                None if unsent && seen.sends <= 1 || settled => self.send_again(seen, &intent).await,
                None => self.doubt(seen, unsent, None, "no trace at I'mport, within the settle delay").await,
            },
        }
    }

    /// I'mport has no trace of the attempt, and had time enough: it did not happen. It is sent again under its own name,
    /// unless it is no longer wanted.
    async fn send_again(&self, mut seen: Subscription, intent: &Intent) -> Result<Charged, StoreError> {
        for _ in 0..TRIES {
            let now = self.now();
            let wanted = now < intent.until && intent.period > seen.paid_through && !seen.cancel_at_period_end;
            if !wanted {
                let reason = "never reached the payment gateway".to_owned();
                return self.settle(seen, intent.merchant_uid, Proof::Declined { reason, imp_uid: None }).await;
            }
            // A person was called because I'mport couldn't be asked; now it has answered.
            if seen.end_review_of(ReviewCause::Doubt) {
                match self.store.put(&mut seen, now, &self.policy).await {
                    Ok(()) => (),
                    Err(StoreError::Conflict { .. }) => match self.store.subscription(seen.id).await? {
                        Some(current) if is_same_claim(&current, &seen) => {
                            seen = current;
                            continue;
                        }
                        current => return Ok(Charged::NotClaimed(current.map(Box::new))),
                    },
                    Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
                }
            }
            if seen.status == Status::NeedsReview {
                return Ok(Charged::NeedsReview(Box::new(seen)));
            }
            if let Some(later) = seen.may_send_again_at(now, &self.policy) {
                seen.look_again_at(later);
                return match self.store.put(&mut seen, now, &self.policy).await {
                    Ok(()) => Ok(Charged::InDoubt(Box::new(seen))),
                    Err(error) => Err(error),
                };
            }
            match self.store.claim_again(&seen, now).await {
                Ok(claimed) => return Box::pin(self.send(claimed)).await,
                Err(Taken::Store(error)) => return Err(error),
                Err(Taken::Found(None)) => return Ok(Charged::NotClaimed(None)),
                Err(Taken::Found(Some(current))) => {
                    // Somebody else has sent it, or settled it.
                    if !is_same_claim(&current, &seen) || current.status == Status::NeedsReview {
                        return Ok(Charged::NotClaimed(Some(current)));
                    }
                    seen = *current;
                }
            }
        }
        Err(StoreError::Conflict { task: "send a charge again" })
    }
}

/// Whether nobody has claimed or settled the attempt since `seen` was read: what was looked up since then is true of this claim,
/// and of no later one, not even one of the same name (an attempt that is let go leaves its name to the next).
fn is_same_claim(current: &Subscription, seen: &Subscription) -> bool {
    let claim = |s: &Subscription| (s.in_flight.as_ref().map(|intent| intent.merchant_uid), s.claimed_at, s.sends);
    claim(current) == claim(seen)
}
