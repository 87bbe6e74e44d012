//! Late truth: a payment that I'mport shows enters the ledger, whatever was recorded before.

use tracing::{info, warn};

use super::reconcile::Followed;
use super::verify::Meant;
use super::{Billing, TRIES};
use crate::iamport::IamportPayment;
use crate::store::{Entry, Settled, StoreError};
use crate::subscription::settle::LatePayment;
use crate::subscription::{Charge, FindingKind, ImpUid, MerchantUid, Purpose, Subscription, Won};

/// What came of recording a payment.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is in the ledger, and was not before.
    New(Box<Charge>),
    /// It was in the ledger already.
    Known(Box<Charge>),
    /// It isn't what was meant: a person must look.
    NeedsReview,
    /// Somebody else has paid, another way than by the billing key. It is a finding, and nothing follows from it.
    Stranger {
        /// It is one since now.
        new: bool,
    },
    /// No subscription of ours has such a name.
    Unknown,
}

impl Billing {
    /// Records a paid payment of the name `name`, in flight or not, and the refunds that I'mport shows of it.
    pub async fn record(&self, name: MerchantUid, paid: &IamportPayment) -> Result<Recorded, StoreError> {
        let Some(subscription) = self.store.subscription(name.subscription).await? else {
            return Ok(Recorded::Unknown);
        };
        self.record_seen(subscription, name, paid).await
    }

    /// As [`Billing::record`], where the subscription has just been read.
    pub(super) async fn record_seen(
        &self,
        seen: Subscription,
        name: MerchantUid,
        paid: &IamportPayment,
    ) -> Result<Recorded, StoreError> {
        let Purpose::Charge { period, .. } = name.purpose else { return Ok(Recorded::Unknown) };
        if let Some(intent) = seen.in_flight.clone().filter(|intent| intent.merchant_uid == name) {
            if !Meant::by(&intent, &seen).is_by_our_key(paid) {
                return Box::pin(self.tell_of_stranger(name, paid)).await;
            }
            self.settle_paid(seen, &intent, paid).await?;
            return self.recorded(name, period, paid).await;
        }
        let known = self.store.charges_of(seen.id, period).await?;
        self.record_known(seen, &known, name, paid).await
    }

    /// As [`Billing::record_seen`], of a name that isn't in flight, where `known`, the charges of its period, have just
    /// been read, too.
    pub(super) async fn record_known(
        &self,
        seen: Subscription,
        known: &[Charge],
        name: MerchantUid,
        paid: &IamportPayment,
    ) -> Result<Recorded, StoreError> {
        let Purpose::Charge { period, attempt } = name.purpose else { return Ok(Recorded::Unknown) };
        if let Some(charge) = known.iter().find(|c| is_of(c, paid)) {
            // Half of a transaction, in a restored table: else the period would be charged for and let go of again, for ever.
            if seen.is_behind(charge) {
                self.catch_up(seen, charge, None).await?;
            }
            self.record_refunds(charge, paid).await?;
            return Ok(Recorded::Known(Box::new(charge.clone())));
        }
        // The amount that was asked for then; the plan's, where the ledger has lost the attempt.
        let asked = known.iter().find(|c| c.attempt == attempt);
        let amount = asked.map_or(seen.plan.terms.amount, |c| c.amount);
        let (credit, carried) = asked.map_or((Won::ZERO, Won::ZERO), |c| (c.credit, c.carried));
        let meant = Meant { merchant_uid: name, amount, customer_uid: &seen.customer_uid };
        match meant.verify(paid) {
            Ok(payment) => {
                self.record_verified(LatePayment { merchant_uid: name, amount, credit, carried, payment }).await?;
            }
            Err(_) if !meant.is_by_our_key(paid) => return Box::pin(self.tell_of_stranger(name, paid)).await,
            Err(_) if self.decided(seen.id, &paid.imp_uid).await?.is_some() => return Ok(Recorded::Unknown),
            Err(difference) => {
                self.review(seen, difference).await?;
                return Ok(Recorded::NeedsReview);
            }
        }
        self.recorded(name, period, paid).await
    }

    /// Whoever knew the name has paid under it, and nobody owes us that: it is told once, and stops nothing.
    pub(super) async fn tell_of_stranger(
        &self,
        name: MerchantUid,
        paid: &IamportPayment,
    ) -> Result<Recorded, StoreError> {
        let Ok(imp_uid) = paid.imp_uid.parse::<ImpUid>() else { return Ok(Recorded::Unknown) };
        let detail = format!("{name} ({imp_uid}) was paid at I'mport, but not by the billing key of this subscription");
        let finding = self.finding(name, imp_uid, FindingKind::UnknownCharge, detail, None, paid);
        let new = match self.find(finding).await? {
            Followed::Found => true,
            Followed::Agrees | Followed::Settled | Followed::NotOurs => false,
        };
        Ok(Recorded::Stranger { new })
    }

    /// The payment has just been settled: what went back of it since enters the ledger, too.
    async fn recorded(&self, name: MerchantUid, period: u32, paid: &IamportPayment) -> Result<Recorded, StoreError> {
        let charges = self.store.charges_of(name.subscription, period).await?;
        match charges.into_iter().find(|c| is_of(c, paid)) {
            Some(charge) => {
                self.record_refunds(&charge, paid).await?;
                Ok(Recorded::New(Box::new(charge)))
            }
            None => Ok(Recorded::NeedsReview),
        }
    }

    /// Writes a payment that isn't the attempt in flight, once. A period that is paid twice gives the later one back.
    pub(super) async fn record_verified(&self, late: LatePayment) -> Result<(), StoreError> {
        let name = late.merchant_uid;
        let Purpose::Charge { period, attempt } = name.purpose else { return Ok(()) };
        // A query may show less than the table holds; what stood in the way of a write is sure.
        let mut stands = false;
        for _ in 0..TRIES {
            let now = self.now();
            let Some(mut subscription) = self.store.subscription(name.subscription).await? else { return Ok(()) };
            let known = self.store.charges_of(subscription.id, period).await?;
            // Half of a transaction, in a restored table: whatever has paid for the period.
            if let Some(charge) = known.iter().find(|c| subscription.is_behind(c)) {
                self.catch_up(subscription, charge, None).await?;
                continue;
            }
            if known.iter().any(|c| is_payment(c, &late)) {
                return Ok(());
            }
            let paid_before = stands || known.iter().any(Charge::is_settled);
            let Some(mut charge) = subscription.record_late(late.clone(), paid_before, now) else { return Ok(()) };
            let entry = match known.into_iter().find(|c| c.attempt == attempt && !c.further) {
                None => Entry::New(charge),
                Some(was) if was.payment().is_some() => {
                    charge.further = true;
                    Entry::New(charge)
                }
                Some(was) => {
                    charge.unknown = was.unknown.clone();
                    Entry::Changed { was, is: charge }
                }
            };
            match self.store.settle(&mut subscription, &[entry], now, &self.policy).await {
                Ok(Settled::InTheWay(other)) => {
                    // As above, of what the query didn't show.
                    if let Some(current) = self.store.subscription(name.subscription).await?
                        && current.is_behind(&other)
                    {
                        self.catch_up(current, &other, None).await?;
                    }
                    if is_payment(&other, &late) {
                        return Ok(());
                    }
                    stands |= other.is_settled();
                }
                Ok(Settled::Written) => {
                    let (customer_uid, imp_uid) = (&subscription.customer_uid, &late.payment.imp_uid);
                    match paid_before {
                        true => {
                            warn!(%customer_uid, merchant_uid = %name, %imp_uid, attempt, outcome = "paid twice", "late payment recorded; it goes back")
                        }
                        false => {
                            let status = subscription.status.word();
                            info!(%customer_uid, merchant_uid = %name, %imp_uid, attempt, outcome = "paid", status, "late payment recorded")
                        }
                    }
                    return Ok(());
                }
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "record a late payment" })
    }
}

fn is_payment(charge: &Charge, late: &LatePayment) -> bool {
    charge.payment().is_some_and(|payment| payment.imp_uid == late.payment.imp_uid)
}

/// Whether the ledger has `paid` as this charge.
fn is_of(charge: &Charge, paid: &IamportPayment) -> bool {
    charge.payment().is_some_and(|payment| payment.imp_uid.as_str() == paid.imp_uid)
}
