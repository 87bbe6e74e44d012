//! Carrying out what an operator has decided of a subscription that waits for a person.
//!
//! *Crash before the decision is written*: nothing happened. *Crash after*: it is due, like any step. What it changes, the end
//! of the review among it, is one transaction. I'mport is only asked here; what goes back goes by a refund of its own.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use super::command::CommandError;
use super::refund::MOST_TRIES;
use super::resolve::SETTLE_DELAY;
use super::verify::{Evidence, Meant, passed, weigh};
use super::{Billing, TRIES};
use crate::iamport::{CallError, IamportPayment};
use crate::store::{Commanded, Entry, Settled, StoreError};
use crate::subscription::charge::Payment;
use crate::subscription::settle::{LatePayment, Proof};
use crate::subscription::{
    Charge, ChargeStatus, Finding, FindingKind, ImpUid, Intent, MerchantUid, Purpose, RepairAction, Side, Subscription,
    SubscriptionId, Won,
};

/// I'mport is asked again after so long.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairRequest {
    /// What becomes of it.
    pub action: RepairAction,
    /// Who decides.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What came of a decision.
pub(super) enum Repaired {
    /// It is carried out.
    Done(Box<Subscription>),
    /// I'mport can't say what it has. It is asked again.
    Waiting(Box<Subscription>),
}

/// The books as they will be.
struct Draft {
    subscription: Subscription,
    /// As they were read, and as they are to be.
    charges: Vec<(Charge, Charge)>,
    new: Vec<Charge>,
    closed: Vec<Finding>,
    /// Payments that I'mport has given back a part of.
    shown: Vec<(MerchantUid, IamportPayment)>,
}

impl Billing {
    /// Writes a decision, with who and why. It is carried out within a minute.
    pub async fn decide_repair(
        &self,
        id: SubscriptionId,
        request: &RepairRequest,
        version: Option<u64>,
    ) -> Result<Subscription, CommandError> {
        for _ in 0..TRIES {
            let now = self.now();
            let Some(mut subscription) = self.store.subscription(id).await? else { return Err(CommandError::Unknown) };
            let is = subscription.version;
            if let Some(seen) = version.filter(|seen| *seen != is) {
                return Err(CommandError::Version { seen, is });
            }
            let RepairRequest { action, by, reason } = request.clone();
            let audit = subscription.decide(action, by, reason, now)?;
            subscription.version = is + 1;
            let entries = [Entry::Audit(audit)];
            match self.store.command(&subscription, is, &entries, None, now, &self.policy).await {
                Ok(Commanded::Done | Commanded::Repeat(_)) => {
                    info!(subscription = %id, action = action.word(), by = request.by, outcome = "decided", "repair");
                    return Ok(subscription);
                }
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "decide a repair" }.into())
    }

    /// Carries out what was decided of `seen`.
    pub(super) async fn repair(&self, seen: Subscription, action: RepairAction) -> Result<Repaired, StoreError> {
        let now = self.now();
        let mut subscription = seen.clone();
        subscription.end_review();
        let charges = self.store.ledger(seen.id).await?.charges.into_iter().map(|charge| (charge.clone(), charge));
        let mut draft =
            Draft { subscription, charges: charges.collect(), new: Vec::new(), closed: Vec::new(), shown: Vec::new() };
        draft.catch_up(now);
        let findings = self.store.findings(seen.id).await?;
        let open = findings.into_iter().filter(|finding| finding.closed.is_none());
        let asked = match action {
            RepairAction::Retry => {
                draft.retry(now);
                Ok(true)
            }
            RepairAction::Accept | RepairAction::Refund | RepairAction::WriteOff => {
                self.settle_differences(&mut draft, action, open.collect(), now).await
            }
        };
        match asked {
            Ok(true) => (),
            Ok(false) => {
                return self.repair_later(seen, "a payment is neither paid nor failed, or not shown yet").await;
            }
            Err(error) => return self.repair_later(seen, &error.to_string()).await,
        }
        let changed = draft.charges.into_iter().filter(|(was, is)| was != is);
        let mut entries: Vec<Entry> = changed.map(|(was, is)| Entry::Changed { was, is }).collect();
        entries.extend(draft.new.into_iter().map(Entry::New));
        entries.extend(draft.closed.into_iter().map(Entry::Finding));
        let mut repaired = draft.subscription;
        if let Some(review) = seen.review.as_ref().filter(|review| review.lost && seen.in_flight.is_some()) {
            repaired.wait_for_lost_commands(review, now);
        }
        match self.store.settle(&mut repaired, &entries, now, &self.policy).await? {
            Settled::Written => (),
            Settled::InTheWay(_) => return Err(StoreError::Conflict { task: "carry out a repair" }),
        }
        info!(
            subscription = %repaired.id, action = action.word(), status = repaired.status.word(), outcome = "repaired",
            "repair"
        );
        for (name, payment) in draft.shown {
            self.record(name, &payment).await?;
        }
        Ok(Repaired::Done(Box::new(repaired)))
    }

    /// The attempt in flight, each finding, the refunds and the deletion that never worked. False where I'mport has decided
    /// nothing yet.
    async fn settle_differences(
        &self,
        draft: &mut Draft,
        action: RepairAction,
        open: Vec<Finding>,
        now: Timestamp,
    ) -> Result<bool, CallError> {
        let mut done = HashSet::new();
        if let Some(intent) = draft.subscription.in_flight.clone() {
            // A person may be called for something else at any time: what was just sent may be paid still, or once more.
            let claimed_at = draft.subscription.claimed_at.unwrap_or(draft.subscription.created_at);
            if !passed(claimed_at, SETTLE_DELAY, now) {
                return Ok(false);
            }
            let mut payments = self.iamport.payments_of(intent.merchant_uid).await?;
            // What strangers have paid is none of what is decided of.
            let meant = Meant::by(&intent, &draft.subscription);
            payments.retain(|payment| meant.is_by_our_key(payment));
            payments.sort_by_key(IamportPayment::paid_at);
            done.extend(payments.iter().map(|payment| payment.imp_uid.clone()));
            if !draft.settle_attempt(&intent, action, payments, now, &self.policy) {
                return Ok(false);
            }
        }
        for finding in open.into_iter().filter(|finding| !done.contains(finding.imp_uid.as_str())) {
            // A stranger's payment under a name that is to come is no reason to leave out those before it.
            if let Some(name) = finding.merchant_uid.ours().filter(|_| finding.kind != FindingKind::UnknownCharge) {
                draft.use_up(name);
            }
            let lost = finding.kind == FindingKind::Differs && draft.charge(&finding.imp_uid).is_none();
            match (action, lost) {
                (RepairAction::Accept | RepairAction::Refund, true) => {
                    if let (Some(name), Some(payment)) =
                        (finding.merchant_uid.ours(), self.iamport.payment(&finding.imp_uid).await?)
                    {
                        let buys = action == RepairAction::Accept;
                        draft.record(name, payment, buys, now);
                    }
                }
                (RepairAction::Accept | RepairAction::Refund, false) => draft.take_over(&finding, action, now),
                (RepairAction::WriteOff | RepairAction::Retry, _) => (),
            }
            draft.closed.push(Finding { closed: Some(action), ..finding });
        }
        draft.end_refunds(action, now);
        Ok(true)
    }

    async fn repair_later(&self, mut seen: Subscription, why: &str) -> Result<Repaired, StoreError> {
        warn!(subscription = %seen.id, reason = why, outcome = "waiting", "repair not carried out yet");
        let now = self.now();
        if let Some(repair) = &mut seen.repair {
            repair.due_at = now.saturating_add(AGAIN).unwrap_or(now);
        }
        self.store.put(&mut seen, now, &self.policy).await?;
        Ok(Repaired::Waiting(Box::new(seen)))
    }

    /// What an operator has decided of this payment, if anything: then it is no news any more.
    pub(super) async fn decided(&self, id: SubscriptionId, imp_uid: &str) -> Result<Option<RepairAction>, StoreError> {
        let Ok(imp_uid) = imp_uid.parse() else { return Ok(None) };
        Ok(self.store.finding(id, &imp_uid).await?.and_then(|finding| finding.closed))
    }
}

impl Draft {
    /// A restored table may hold half of a transaction: the subscription advances by what has paid for its periods.
    fn catch_up(&mut self, now: Timestamp) {
        for (charge, _) in &self.charges {
            if self.subscription.is_behind(charge) {
                self.subscription.catch_up(charge, now);
            }
        }
    }

    fn charge(&mut self, imp_uid: &ImpUid) -> Option<&mut Charge> {
        let is_it = |charge: &&mut Charge| charge.payment().is_some_and(|payment| payment.imp_uid == *imp_uid);
        self.charges.iter_mut().map(|(_, is)| is).find(is_it)
    }

    /// I'mport has a payment of this name: the next attempt needs another.
    fn use_up(&mut self, name: MerchantUid) {
        if let Purpose::Charge { period, attempt } = name.purpose
            && period == self.subscription.period
        {
            self.subscription.attempts = self.subscription.attempts.max(attempt);
        }
    }

    fn retry(&mut self, now: Timestamp) {
        if let Some(doubt) = &mut self.subscription.doubt {
            (doubt.since, doubt.next_look) = (now, now);
        }
        self.delete_key_anew(now);
        for refund in self.charges.iter_mut().filter_map(|(_, is)| is.refund.as_mut()) {
            (refund.tries, refund.due_at) = (0, now);
        }
    }

    fn delete_key_anew(&mut self, now: Timestamp) {
        if let Some(deletion) = &mut self.subscription.key_deletion {
            (deletion.tries, deletion.due_at) = (0, now);
        }
    }

    /// False where I'mport has decided nothing yet.
    fn settle_attempt(
        &mut self,
        intent: &Intent,
        action: RepairAction,
        payments: Vec<IamportPayment>,
        now: Timestamp,
        policy: &crate::subscription::Policy,
    ) -> bool {
        let name = intent.merchant_uid;
        let declined = |reason: String| Proof::Declined { reason, imp_uid: None };
        let (paid, others): (Vec<_>, Vec<_>) = payments.into_iter().partition(IamportPayment::was_paid);
        let proof = match (action, paid.is_empty()) {
            (RepairAction::WriteOff, _) => declined("written off".to_owned()),
            (RepairAction::Accept | RepairAction::Refund | RepairAction::Retry, true) => match weigh(others) {
                Evidence::Undecided => return false,
                Evidence::Failed { reason, .. } => declined(reason),
                Evidence::Nothing | Evidence::Paid(..) => declined("not at I'mport".to_owned()),
            },
            (RepairAction::Accept | RepairAction::Refund | RepairAction::Retry, false) => {
                let buys = action == RepairAction::Accept;
                self.subscription.release();
                self.use_up(name);
                for payment in paid {
                    self.closed.extend(closed(name, &payment, action, now));
                    self.record(name, payment, buys, now);
                }
                return true;
            }
        };
        for payment in &paid {
            self.closed.extend(closed(name, payment, action, now));
        }
        let settled = self.subscription.settle(proof, now, policy);
        // The other half of it may be in a restored table's ledger already.
        let known = self.charges.iter().any(|(charge, _)| charge.merchant_uid == name);
        self.new.extend(settled.filter(|_| !known));
        true
    }

    /// A payment enters the ledger as I'mport shows it. One that buys nothing goes back.
    fn record(&mut self, name: MerchantUid, payment: IamportPayment, buys: bool, now: Timestamp) {
        let (Ok(imp_uid), Some(amount)) = (payment.imp_uid.parse(), payment.amount()) else { return };
        if self.charge(&imp_uid).is_some() {
            return;
        }
        let shown = Payment { imp_uid, paid_at: payment.paid_at(), receipt_url: None };
        let late = LatePayment { merchant_uid: name, amount, credit: Won::ZERO, carried: Won::ZERO, payment: shown };
        let of_name = |charge: &Charge| charge.merchant_uid == name;
        let all = || self.charges.iter().map(|(_, is)| is).chain(&self.new);
        let Some(period) = name.period() else { return };
        let paid_before = all().any(|charge| charge.period == period && charge.is_settled());
        let further = all().any(|charge| of_name(charge) && charge.payment().is_some());
        let Some(mut charge) = self.subscription.record_late(late, paid_before || !buys, now) else { return };
        charge.further = further;
        match self.charges.iter_mut().find(|(was, _)| of_name(was) && was.payment().is_none()) {
            Some((_, is)) => {
                charge.unknown = is.unknown.clone();
                *is = charge;
            }
            None => self.new.push(charge),
        }
        if payment.cancel_amount() > Won::ZERO {
            self.shown.push((name, payment));
        }
    }

    /// The ledger has it, and says as I'mport from here on.
    fn take_over(&mut self, finding: &Finding, action: RepairAction, now: Timestamp) {
        let (imp_uid, kind, there) = (finding.imp_uid.clone(), finding.kind, finding.there);
        let Some(charge) = self.charge(&imp_uid) else { return };
        match (kind, there) {
            (FindingKind::Differs, Some(Side { amount, .. })) => {
                charge.amount = amount;
                if action == RepairAction::Refund && charge.refund.is_none() && charge.standing() > Won::ZERO {
                    charge.give_back(charge.standing(), "an operator's decision", now);
                }
            }
            (FindingKind::RefundDiffers, Some(Side { refunded, .. })) => charge.refunded = refunded,
            (FindingKind::UnknownThere, _) => {
                let reason = "not at I'mport".to_owned();
                charge.status = ChargeStatus::Declined { reason, imp_uid: Some(imp_uid) };
                charge.refund = None;
            }
            (FindingKind::UnknownCharge | FindingKind::ForeignCharge | FindingKind::UnknownSubscription, _)
            | (FindingKind::Differs | FindingKind::RefundDiffers, None) => (),
        }
    }

    /// What never worked is asked for no more, or anew. The deletion of a key goes on: it is the buyer's, and no operator's
    /// decision lets the key be charged.
    fn end_refunds(&mut self, action: RepairAction, now: Timestamp) {
        let anew = action == RepairAction::Refund;
        for (_, is) in &mut self.charges {
            if let Some(refund) = is.refund.as_mut().filter(|refund| refund.tries >= MOST_TRIES) {
                match anew {
                    true => (refund.tries, refund.due_at) = (0, now),
                    false => is.refund = None,
                }
            }
        }
        self.delete_key_anew(now);
    }
}

/// A payment of which somebody has decided: it isn't looked at again.
fn closed(name: MerchantUid, payment: &IamportPayment, action: RepairAction, now: Timestamp) -> Option<Finding> {
    let amount = payment.amount().unwrap_or(Won::ZERO);
    Some(Finding {
        subscription: name.subscription,
        merchant_uid: name.into(),
        imp_uid: payment.imp_uid.parse().ok()?,
        kind: FindingKind::Differs,
        detail: format!("{name} ({}) isn't what was meant", payment.imp_uid),
        here: None,
        there: Some(Side { amount, refunded: payment.cancel_amount() }),
        found_at: now,
        closed: Some(action),
    })
}
