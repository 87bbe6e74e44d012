//! The charge protocol: claim, `again`, settle. The only place where money is asked for.
//!
//! `again` has no idempotency key. What keeps a buyer from paying twice is the order of these lines, and what is true
//! after a crash at each of them:
//!
//! 1. **Claim**: one conditional write turns the next charge into the attempt in flight.
//!    *Crash before*: nothing happened; it is still due. *Crash after*: the attempt is in flight. Nobody else can claim;
//!    once its lease is over, whoever comes asks I'mport what became of it ([`super::resolve`]).
//! 2. **Earlier attempts** of the same period are looked up, from the second attempt on: a decline may have turned into a
//!    payment since, or its request may have arrived twice, and one that goes back must have gone. *Crash after*: as above.
//!    What arrives only after this look, of a retry within minutes, is a late payment: it enters the ledger as a duplicate, and
//!    goes back.
//! 3. **The send deadline**: a worker that was held up for longer than [`SEND_WITHIN`] since its claim does not send. So
//!    nothing leaves late, after others have concluded that nothing will. The client looks at the clock last, once it has a
//!    token, and before each try ([`Iamport::again`](crate::iamport::Iamport::again)).
//! 4. **`again`**. *Crash before, during or after*: in flight, and looked up. An answer counts as proof only where it
//!    says `paid` or `failed`; a refusal only with a look-up that shows every send failed, or none after the settle delay.
//! 5. **Settle**: subscription and ledger in one transaction. *Crash before*: in flight, looked up, settled then.
//!    *Crash after*: done.
//!
//! An attempt without proof is *in doubt*: it keeps its name, blocks every other attempt, and is looked up until known.

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::verify::{Evidence, Meant, fail_reason, weigh, weigh_ours};
use super::{Billing, TRIES};
use crate::iamport::{Again, Answer, CallError, IamportPayment, PaymentStatus};
use crate::store::{Entry, Guard, Settled, StoreError, Taken};
use crate::subscription::settle::{LatePayment, Proof};
use crate::subscription::{
    Charge, ChargeStatus, ImpUid, Intent, MerchantUid, RepairAction, Review, ReviewCause, Subscription, SubscriptionId,
    Won,
};

/// What became of the attempts at a period that are recorded as declined.
pub(super) enum Earlier {
    /// None of them was paid.
    Unpaid,
    /// One was paid after all.
    Paid(MerchantUid, Box<IamportPayment>),
    /// One was, by an amount that wasn't meant, and goes back as an operator has decided.
    GoesBack,
}

/// How long after its claim an attempt may still be sent. Far below the settle delay, even where clocks differ by minutes.
pub const SEND_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// What came of a charge.
#[derive(Debug, Clone, PartialEq)]
pub enum Charged {
    /// The money moved, and the ledger says so.
    Paid(Box<Subscription>),
    /// It did not, and the ledger says so.
    Declined(Box<Subscription>),
    /// Nobody knows yet.
    InDoubt(Box<Subscription>),
    /// A person must look.
    NeedsReview(Box<Subscription>),
    /// The claim's condition did not hold: this is what stands there instead.
    NotClaimed(Option<Box<Subscription>>),
}

impl Charged {
    /// The subscription as it is now.
    pub fn subscription(&self) -> Option<&Subscription> {
        match self {
            Self::Paid(s) | Self::Declined(s) | Self::InDoubt(s) | Self::NeedsReview(s) => Some(s),
            Self::NotClaimed(found) => found.as_deref(),
        }
    }
}

impl Billing {
    /// Makes one attempt, if the claim holds.
    pub async fn charge(&self, id: SubscriptionId, guard: &Guard) -> Result<Charged, StoreError> {
        match self.store.claim(id, guard, self.now()).await {
            Ok(claimed) => Box::pin(self.send(claimed)).await,
            Err(Taken::Found(found)) => Ok(Charged::NotClaimed(found)),
            Err(Taken::Store(error)) => Err(error),
        }
    }

    /// Sends the attempt that was just claimed.
    pub(super) async fn send(&self, claimed: Subscription) -> Result<Charged, StoreError> {
        let Some(intent) = claimed.in_flight.clone() else { return Ok(Charged::NotClaimed(Some(Box::new(claimed)))) };
        match self.late_payment(&claimed, intent.period, intent.attempt - 1).await {
            Ok(Earlier::Unpaid) => (),
            Ok(Earlier::Paid(name, paid)) => return Box::pin(self.settle_by_earlier(claimed, name, &paid)).await,
            // Else the buyer would have paid twice, for as long as that takes.
            Ok(Earlier::GoesBack) => {
                return self.doubt(claimed, true, None, "an earlier payment has yet to go back").await;
            }
            Err(error) => return self.doubt(claimed, true, None, &error.to_string()).await,
        }
        let send_by = claimed.claimed_at.and_then(|at| at.checked_add(SEND_WITHIN).ok()).unwrap_or(Timestamp::MIN);
        // Where credit lessens the amount, it lessens its part without VAT alike.
        let terms = &claimed.plan.terms;
        let tax_free = terms.tax_free.part(intent.amount.get().into(), terms.amount.get().into());
        let again = Again {
            customer_uid: &claimed.customer_uid,
            merchant_uid: intent.merchant_uid,
            amount: intent.amount,
            name: &claimed.plan.terms.name,
            tax_free: (tax_free > Won::ZERO).then_some(tax_free),
        };
        match self.iamport.again(&again, send_by).await {
            Ok(Answer::Done(payment)) => Box::pin(self.settle_by_answer(claimed, &intent, &payment)).await,
            Ok(Answer::Refused { message, .. } | Answer::NotFound { message }) => {
                Box::pin(self.settle_by_refusal(claimed, &intent, message)).await
            }
            Err(error) => {
                let unsent = error.surely_unsent();
                self.doubt(claimed, unsent, None, &error.to_string()).await
            }
        }
    }

    /// `code` 0: the gateway was reached. Only the payment's own status says what came of it.
    async fn settle_by_answer(
        &self,
        claimed: Subscription,
        intent: &Intent,
        payment: &IamportPayment,
    ) -> Result<Charged, StoreError> {
        if payment.merchant_uid != intent.merchant_uid.to_string() {
            return self.doubt(claimed, false, None, "the answer is about another merchant_uid").await;
        }
        if !Meant::by(intent, &claimed).is_by_our_key(payment) {
            return self.doubt(claimed, false, None, "the answer is about somebody else's payment").await;
        }
        match payment.status {
            PaymentStatus::Paid => {
                self.note_outcome(&claimed, intent, None).await;
                self.settle_paid(claimed, intent, payment).await
            }
            PaymentStatus::Failed => {
                let proof = Proof::Declined { reason: fail_reason(payment), imp_uid: payment.imp_uid.parse().ok() };
                self.note_outcome(&claimed, intent, Some(&fail_reason(payment))).await;
                self.settle(claimed, intent.merchant_uid, proof).await
            }
            PaymentStatus::Ready | PaymentStatus::Cancelled | PaymentStatus::Other(_) => {
                self.doubt(claimed, false, None, "the answer says neither paid nor failed").await
            }
        }
    }

    /// `code` other than 0 proves nothing by itself: the name may be refused because it is paid.
    async fn settle_by_refusal(
        &self,
        claimed: Subscription,
        intent: &Intent,
        message: String,
    ) -> Result<Charged, StoreError> {
        let message: String = message.chars().take(200).collect();
        let payments = self.iamport.payments_of(intent.merchant_uid).await;
        let evidence = payments.map(|payments| weigh_ours(payments, &Meant::by(intent, &claimed)).evidence);
        // A payment that failed says better why than the refusal.
        let message = match &evidence {
            Ok(Evidence::Failed { reason, .. }) if !reason.is_empty() => reason.clone(),
            Ok(Evidence::Failed { .. } | Evidence::Paid(..) | Evidence::Undecided | Evidence::Nothing) | Err(_) => {
                message
            }
        };
        if !matches!(evidence, Ok(Evidence::Paid(..))) {
            self.note_outcome(&claimed, intent, Some(&message)).await;
        }
        match evidence {
            Ok(Evidence::Paid(first, others)) => self.settle_all_paid(claimed, intent, &first, &others).await,
            Ok(Evidence::Failed { count, imp_uid, .. }) if count >= claimed.sends => {
                self.settle(claimed, intent.merchant_uid, Proof::Declined { reason: message, imp_uid }).await
            }
            // Perhaps refused because the name is taken, by a payment that I'mport doesn't show yet: the network may have
            // delivered the request two times, or an earlier send.
            Ok(Evidence::Nothing | Evidence::Failed { .. }) => {
                self.doubt(claimed, false, Some(message), "refused, and no trace within the settle delay").await
            }
            Ok(Evidence::Undecided) => {
                self.doubt(claimed, false, Some(message), "refused, with a payment undecided").await
            }
            Err(error) => self.doubt(claimed, false, Some(message), &error.to_string()).await,
        }
    }

    /// Settles the attempt in flight by the first payment; the others of the same name go back. What went back of the first
    /// meanwhile enters the ledger, too.
    pub(super) async fn settle_all_paid(
        &self,
        claimed: Subscription,
        intent: &Intent,
        first: &IamportPayment,
        others: &[IamportPayment],
    ) -> Result<Charged, StoreError> {
        let settled = self.settle_paid(claimed, intent, first).await?;
        let given_back = Some(first).filter(|first| first.cancel_amount() > Won::ZERO);
        for payment in given_back.into_iter().chain(others) {
            self.record(intent.merchant_uid, payment).await?;
        }
        Ok(settled)
    }

    pub(super) async fn settle_paid(
        &self,
        claimed: Subscription,
        intent: &Intent,
        payment: &IamportPayment,
    ) -> Result<Charged, StoreError> {
        match Meant::by(intent, &claimed).verify(payment) {
            Ok(payment) => self.settle(claimed, intent.merchant_uid, Proof::Paid(payment)).await,
            Err(difference) => self.review(claimed, difference).await,
        }
    }

    /// Writes what is proven, once: where somebody else has settled the attempt meanwhile, there is nothing left to do.
    ///
    /// A payment is one, whoever has asked for it. That nothing was paid is true of the claim that was looked at, and of no
    /// later one: where somebody has claimed the attempt since `seen` was read, it stays in flight.
    pub(super) async fn settle(
        &self,
        mut seen: Subscription,
        name: MerchantUid,
        proof: Proof,
    ) -> Result<Charged, StoreError> {
        let meant = seen.in_flight.clone().filter(|intent| intent.merchant_uid == name);
        let claim = seen.claimed_at;
        let proof = self.judge(&seen, proof).await;
        for _ in 0..TRIES {
            let now = self.now();
            let mut next = seen.clone();
            let ours = seen.in_flight.as_ref().is_some_and(|intent| intent.merchant_uid == name);
            let proven = match &proof {
                Proof::Paid(_) => true,
                Proof::Declined { .. } | Proof::Void { .. } | Proof::Refused { .. } => seen.claimed_at == claim,
            };
            if ours && !proven {
                info!(merchant_uid = %name, outcome = "claimed since", "somebody else has sent it again");
                return Ok(Charged::InDoubt(Box::new(seen)));
            }
            let Some(charge) = ours.then(|| next.settle(proof.clone(), now, &self.policy)).flatten() else {
                info!(merchant_uid = %name, outcome = "settled already", "somebody else was faster");
                return self.settled_elsewhere(seen, name, meant.as_ref(), proof).await;
            };
            match self.store.settle(&mut next, &[Entry::New(charge.clone())], now, &self.policy).await {
                Ok(Settled::Written) => {
                    let next = Box::new(next);
                    let attempt = meant.as_ref().map(|intent| intent.attempt);
                    let duration_ms = since_claim(&seen, now);
                    let (customer_uid, status) = (&next.customer_uid, next.status.word());
                    return Ok(match proof {
                        Proof::Paid(payment) => {
                            info!(%customer_uid, merchant_uid = %name, imp_uid = %payment.imp_uid, attempt, outcome = "paid", status, duration_ms, "charge settled");
                            Charged::Paid(next)
                        }
                        Proof::Declined { reason, imp_uid } => {
                            let imp_uid = imp_uid.as_ref().map(ImpUid::as_str);
                            info!(%customer_uid, merchant_uid = %name, imp_uid, attempt, outcome = "declined", reason, status, duration_ms, "charge settled");
                            Charged::Declined(next)
                        }
                        Proof::Void { reason } => {
                            warn!(%customer_uid, merchant_uid = %name, attempt, outcome = "void", reason, status, duration_ms, "charge settled");
                            Charged::Declined(next)
                        }
                        Proof::Refused { reason, imp_uid } => {
                            let imp_uid = imp_uid.as_ref().map(ImpUid::as_str);
                            warn!(%customer_uid, merchant_uid = %name, imp_uid, attempt, outcome = "refused", reason, status, duration_ms, "charge refused for no fault of the buyer's");
                            Charged::Declined(next)
                        }
                    });
                }
                // Half of a transaction, as a restored table may hold it: what the ledger has counts, and the subscription catches up.
                Ok(Settled::InTheWay(stands)) => match self.catch_up(seen, &stands, Some(&proof)).await? {
                    Some(current) => seen = current,
                    None => return Ok(Charged::NotClaimed(None)),
                },
                Err(StoreError::Conflict { .. }) => match self.store.subscription(next.id).await? {
                    Some(current) => seen = current,
                    None => return Ok(Charged::NotClaimed(None)),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "settle a charge" })
    }

    /// The ledger has `stands` in the place of what was to enter it, and nobody has written `seen` meanwhile. Where it is the
    /// very attempt in flight, whose `proof` has just been found anew, that is settled by it; else its period is paid by it, and the
    /// subscription advances. Returns the subscription as it is now.
    pub(super) async fn catch_up(
        &self,
        mut seen: Subscription,
        stands: &Charge,
        proof: Option<&Proof>,
    ) -> Result<Option<Subscription>, StoreError> {
        let now = self.now();
        let id = seen.id;
        warn!(
            customer_uid = %seen.customer_uid, merchant_uid = %stands.merchant_uid, outcome = "caught up",
            "the ledger has a charge that the subscription hasn't advanced by"
        );
        seen.catch_up(stands, now);
        // A decline of the very attempt: it is settled by what stands. The ledger doesn't say whose fault it was; the proof does.
        if let (Some(proof), ChargeStatus::Declined { reason, imp_uid }) = (proof, &stands.status)
            && seen.in_flight.as_ref().is_some_and(|intent| intent.merchant_uid == stands.merchant_uid)
        {
            let (reason, imp_uid) = (reason.clone(), imp_uid.clone());
            let stood = match proof {
                Proof::Declined { .. } => Proof::Declined { reason, imp_uid },
                Proof::Refused { .. } => Proof::Refused { reason, imp_uid },
                // It is paid since: that enters the ledger next, and begins no dunning.
                Proof::Void { .. } | Proof::Paid(_) => Proof::Void { reason },
            };
            seen.settle(stood, now, &self.policy);
        }
        match self.store.put(&mut seen, now, &self.policy).await {
            Ok(()) => Ok(Some(seen)),
            Err(StoreError::Conflict { .. }) => self.store.subscription(id).await,
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => Err(error),
        }
    }

    /// The attempt isn't in flight any more: it was settled. A payment that isn't in the ledger must still enter it.
    async fn settled_elsewhere(
        &self,
        seen: Subscription,
        name: MerchantUid,
        meant: Option<&Intent>,
        proof: Proof,
    ) -> Result<Charged, StoreError> {
        match proof {
            Proof::Declined { .. } | Proof::Void { .. } | Proof::Refused { .. } => {
                Ok(Charged::Declined(Box::new(seen)))
            }
            Proof::Paid(payment) => {
                let amount = meant.map_or(seen.plan.terms.amount, |intent| intent.amount);
                let (credit, carried) = meant.map_or((Won::ZERO, Won::ZERO), |intent| (intent.credit, intent.carried));
                let late = LatePayment { merchant_uid: name, amount, credit, carried, payment };
                self.record_verified(late).await?;
                Ok(Charged::Paid(Box::new(self.store.subscription(seen.id).await?.unwrap_or(seen))))
            }
        }
    }

    /// Late truth, asked for: whether one of the first `attempts` at `period`, recorded as declined, was paid after all: by
    /// our key. What strangers have paid under their names is no news to this attempt.
    pub(super) async fn late_payment(
        &self,
        seen: &Subscription,
        period: u32,
        attempts: u32,
    ) -> Result<Earlier, CallError> {
        let mut earlier = Earlier::Unpaid;
        for attempt in (1..=attempts).rev() {
            let name = seen.charge_name(period, attempt);
            let mut payments = self.iamport.payments_of(name).await?;
            // A payment that names no key is told by the amount that was asked for then; where that isn't known, it counts.
            let asked = match payments.iter().any(IamportPayment::names_no_key) {
                true => self.store.charges_of(seen.id, period).await.unwrap_or_default(),
                false => Vec::new(),
            };
            let asked = asked.iter().find(|charge| charge.attempt == attempt).map(|charge| charge.amount);
            let amount = asked.unwrap_or(seen.plan.terms.amount);
            let meant = Meant { merchant_uid: name, amount, customer_uid: &seen.customer_uid };
            payments.retain(|payment| meant.is_by_our_key(payment) || asked.is_none() && payment.names_no_key());
            let Evidence::Paid(first, others) = weigh(payments) else { continue };
            for paid in std::iter::once(*first).chain(others) {
                // Of a payment that wasn't what was meant, an operator may have decided.
                match self.decided(seen.id, &paid.imp_uid).await.unwrap_or(None) {
                    None => return Ok(Earlier::Paid(name, Box::new(paid))),
                    Some(RepairAction::Refund) if paid.stands() => earlier = Earlier::GoesBack,
                    Some(
                        RepairAction::Accept | RepairAction::Refund | RepairAction::Retry | RepairAction::WriteOff,
                    ) => (),
                }
            }
        }
        Ok(earlier)
    }

    /// An earlier attempt was paid, and enters the ledger. This one is let go where it was never sent; where it was, it
    /// stays in doubt until a look-up settles it.
    async fn settle_by_earlier(
        &self,
        mut claimed: Subscription,
        name: MerchantUid,
        paid: &IamportPayment,
    ) -> Result<Charged, StoreError> {
        if claimed.sends <= 1 {
            claimed.release();
            self.store.put(&mut claimed, self.now(), &self.policy).await?;
        }
        self.record(name, paid).await?;
        let id = claimed.id;
        Ok(Charged::Paid(Box::new(self.store.subscription(id).await?.unwrap_or(claimed))))
    }

    /// Nobody knows what became of the attempt: it keeps its name and is looked up later.
    ///
    /// Where even that can't be written, nothing is lost: it stays in flight, and its lease leads to the same look.
    pub(super) async fn doubt(
        &self,
        mut claimed: Subscription,
        unsent: bool,
        refusal: Option<String>,
        reason: &str,
    ) -> Result<Charged, StoreError> {
        let now = self.now();
        claimed.keep_in_doubt(unsent, refusal, now);
        let intent = claimed.in_flight.as_ref();
        warn!(
            customer_uid = %claimed.customer_uid,
            merchant_uid = intent.map(|intent| intent.merchant_uid.to_string()),
            attempt = intent.map(|intent| intent.attempt),
            unsent,
            reason,
            outcome = "in doubt",
            status = claimed.status.word(),
            duration_ms = since_claim(&claimed, now),
            "charge not settled"
        );
        match self.store.put(&mut claimed, now, &self.policy).await {
            Ok(()) if claimed.review.is_some() => Ok(Charged::NeedsReview(Box::new(claimed))),
            Ok(()) => Ok(Charged::InDoubt(Box::new(claimed))),
            Err(StoreError::Conflict { .. }) => {
                // Somebody has heard more than we have.
                Ok(Charged::InDoubt(Box::new(self.store.subscription(claimed.id).await?.unwrap_or(claimed))))
            }
            Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => Err(error),
        }
    }

    /// The books disagree: a person must look. The attempt stays in flight, so that nothing else is charged.
    pub(super) async fn review(&self, seen: Subscription, reason: String) -> Result<Charged, StoreError> {
        self.review_for(ReviewCause::Difference, seen, reason).await
    }

    /// As [`Billing::review`], where `cause` isn't a difference of the books.
    pub(super) async fn review_for(
        &self,
        cause: ReviewCause,
        mut seen: Subscription,
        reason: String,
    ) -> Result<Charged, StoreError> {
        for _ in 0..TRIES {
            let now = self.now();
            let known = |review: &Review| review.cause == ReviewCause::Difference || review.cause == cause;
            if seen.review.as_ref().is_some_and(known) {
                return Ok(Charged::NeedsReview(Box::new(seen)));
            }
            seen.needs_review_for(cause, reason.clone(), now);
            let intent = seen.in_flight.as_ref();
            warn!(
                customer_uid = %seen.customer_uid,
                merchant_uid = intent.map(|intent| intent.merchant_uid.to_string()),
                attempt = intent.map(|intent| intent.attempt),
                reason,
                outcome = "needs_review",
                "the books disagree"
            );
            match self.store.put(&mut seen, now, &self.policy).await {
                Ok(()) => return Ok(Charged::NeedsReview(Box::new(seen))),
                Err(StoreError::Conflict { .. }) => match self.store.subscription(seen.id).await? {
                    Some(current) => seen = current,
                    None => return Ok(Charged::NotClaimed(None)),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "hand a subscription to a person" })
    }
}

/// Milliseconds since the latest claim, for the log.
fn since_claim(subscription: &Subscription, now: Timestamp) -> Option<u64> {
    u64::try_from(now.duration_since(subscription.claimed_at?).as_millis()).ok()
}
