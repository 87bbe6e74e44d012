//! Reconciling: I'mport's payments of some days against the ledger, both ways. What a missed webhook, a missed redirect or a
//! restored table has left out enters the ledger through the same use cases as everything else; what none of them can settle
//! is a finding: written once, told once, and the subscription waits for a person.
//!
//! Both books are cut at the same place, I'mport's own time of the payment. Its list is one of *present* states: a payment
//! that was given back is listed where it was given back, and is looked up where it was paid.
//!
//! I'mport's list is of the whole account. What is none of ours is read over, unless it was charged by the billing key of a
//! subscription of ours: the same buyer pays another system, most often a schedule of I'mport's own that was left over.
//!
//! A day is compared part by part, each no longer than what can be held at once, and how far it is is written after each: a day
//! of a million payments takes several calls, and none of them begins it anew.
//!
//! A difference is a hint like any other: it is read again, consistently, before anything follows from it. So a run may come
//! twice, overlap another, or die anywhere: the next one compares the same and finds nothing left to do.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::hear::HearError;
use super::resolve::SETTLE_DELAY;
use super::{Billing, Heard, Recorded};
use crate::iamport::{CallError, IamportPayment, LISTED, Listed, Usage};
use crate::metrics::{self, Metric};
use crate::queue::Hint;
use crate::store::{Compared, Found, Run, StoreError};
use crate::subscription::period::in_seoul;
use crate::subscription::{
    Charge, CustomerUid, Finding, FindingKind, ImpUid, MerchantUid, PaymentName, Purpose, Side, Subscription, Won,
};

/// How many days before the one that is new are compared again: for what was given back, or paid, or shown late.
const OVERLAP_DAYS: i64 = 2;
/// I'mport lists 90 days at most.
const MOST_DAYS: i64 = 89;
/// As many payments as are held at once, of I'mport's and of the ledger's; a span with more is cut in two.
const MOST_AT_ONCE: usize = 5_000;
/// I'mport's time is in seconds, so no span is cut shorter.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// Where I'mport lacks more than this share of what the ledger has, it is not the payments that are missing: it is unwell, or
/// the credentials are another account's. Nobody is handed to a person for that.
const MOST_MISSING: usize = 10;
const FEW: usize = 3;
/// So many `customer_uid`s are read at once.
const UIDS_A_READ: usize = 100;

/// From when until before when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Reconciled {
    /// Payments of ours in I'mport's list.
    pub there: usize,
    /// Payments in the ledger.
    pub here: usize,
    /// Differences that are settled now.
    pub settled: usize,
    /// Differences that no step can settle, found now.
    pub found: usize,
    /// Payments that only the ledger has, too many to be believed.
    pub implausible: usize,
    /// Where it goes on; none where it is done.
    pub next: Option<Timestamp>,
}

/// What I'mport lists of a span, as far as it may concern us.
#[derive(Default)]
struct Theirs {
    /// By names as we make them.
    ours: Vec<(MerchantUid, IamportPayment)>,
    /// By a billing key, under other names.
    foreign: Vec<IamportPayment>,
}

impl Theirs {
    fn add(&mut self, payment: IamportPayment) {
        match payment.merchant_uid.parse() {
            Ok(name) => self.ours.push((name, payment)),
            Err(_) if by_some_key(&payment) => self.foreign.push(payment),
            // The merchant's other orders are none of ours.
            Err(_) => (),
        }
    }
}

/// Whether some billing key was charged, whoever did that.
fn by_some_key(payment: &IamportPayment) -> bool {
    let charged = match &payment.customer_uid_usage {
        Some(Usage::Payment | Usage::Scheduled) => true,
        Some(Usage::Issue | Usage::Other(_)) | None => false,
    };
    charged && payment.customer_uid.is_some() && payment.stands()
}

/// What came of looking after one difference.
pub(super) enum Followed {
    Agrees,
    Settled,
    Found,
    /// It reads as a name of ours, and isn't.
    NotOurs,
}

impl Billing {
    /// The day's turn: yesterday, what was missed before, and an overlap; then nothing until the next day. It goes on where the
    /// run before ended, or died.
    pub async fn reconcile_daily(&self, budget: Duration) -> Result<Reconciled, HearError> {
        let today = in_seoul(self.now()).start_of_day().map_or(self.now(), |day| day.timestamp());
        let days = |n: i64| in_seoul(today).saturating_sub(n.days()).timestamp();
        let before = self.store.run().await?;
        let mut run = match before {
            Some(run) if run.next < run.to => run,
            Some(run) if run.to >= today => return Ok(Reconciled::default()),
            Some(Run { to: done, .. }) => {
                let next = in_seoul(done).saturating_sub(OVERLAP_DAYS.days()).timestamp();
                Run { next: next.max(days(MOST_DAYS)), to: today }
            }
            None => Run { next: days(1 + OVERLAP_DAYS), to: today },
        };
        let started = tokio::time::Instant::now();
        let (mut total, mut longest) = (Reconciled::default(), LONGEST);
        while run.next < run.to {
            if started.elapsed() >= budget {
                total.next = Some(run.next);
                break;
            }
            let left = Span { from: run.next, to: run.to };
            run.next = Box::pin(self.reconcile_part(left, &mut longest, &mut total)).await?;
            self.store.put_run(&run).await?;
        }
        Ok(total)
    }

    /// Compares any span of the last 90 days, for as long as `budget` lasts.
    pub async fn reconcile(&self, span: Span, budget: Duration) -> Result<Reconciled, HearError> {
        // What is younger may be on its way, and I'mport may not show it yet.
        let to = span.to.min(self.now().saturating_sub(SETTLE_DELAY).unwrap_or(span.to));
        let started = tokio::time::Instant::now();
        let (mut total, mut longest) = (Reconciled::default(), LONGEST);
        let mut from = span.from;
        while from < to {
            if started.elapsed() >= budget {
                total.next = Some(from);
                break;
            }
            from = Box::pin(self.reconcile_part(Span { from, to }, &mut longest, &mut total)).await?;
        }
        Ok(total)
    }

    /// Compares what `left` begins with: as much of its first day as can be held at once. Returns where that ends. `longest` is
    /// how long a part may be, as far as is known from the one before.
    async fn reconcile_part(
        &self,
        left: Span,
        longest: &mut SignedDuration,
        total: &mut Reconciled,
    ) -> Result<Timestamp, HearError> {
        let day = Span { from: left.from, to: end_of_day(left.from).min(left.to) };
        let before = total.implausible;
        let part = loop {
            let end = day.from.saturating_add(*longest).unwrap_or(day.to);
            let part = Span { from: day.from, to: end.min(day.to) };
            let can_be_cut = part.to.duration_since(part.from) > SHORTEST;
            let most = if can_be_cut { MOST_AT_ONCE } else { usize::MAX };
            if let Some(ours) = self.store.paid_between(part.from, part.to, most).await?
                && let Some(theirs) = self.listed(part, most).await?
            {
                Box::pin(self.compare(part, &ours, theirs.ours, total)).await?;
                self.look_at_foreign(&theirs.foreign, total).await?;
                break part;
            }
            let half = part.to.duration_since(part.from).as_secs() / 2;
            *longest = SignedDuration::from_secs(half).max(SHORTEST);
        };
        *longest = (*longest * 2).min(LONGEST);
        // A data point for each day that is done, and for what is wrong.
        let implausible = total.implausible - before;
        if part.to == day.to || implausible > 0 {
            #[allow(clippy::cast_precision_loss)]
            metrics::put(&[(Metric::Implausible, implausible as f64)]);
        }
        info!(
            from = %part.from, to = %part.to, there = total.there, here = total.here, settled = total.settled,
            found = total.found, implausible = total.implausible, outcome = "reconciled", "reconcile"
        );
        Ok(part.to)
    }

    /// What I'mport lists of `part`, the oldest first; none where that is more than `most`.
    async fn listed(&self, part: Span, most: usize) -> Result<Option<Theirs>, CallError> {
        let mut all = Theirs::default();
        // In this order: what is given back meanwhile is in both rather than in neither.
        for status in [Listed::Paid, Listed::Cancelled] {
            for page in 1.. {
                let Some(listed) = self.iamport.payments_by_status(status, (part.from, part.to), page).await? else {
                    break;
                };
                if listed.total > most {
                    return Ok(None);
                }
                listed.payments.into_iter().for_each(|payment| all.add(payment));
                if page * LISTED >= listed.total {
                    break;
                }
            }
        }
        Ok(Some(all))
    }

    async fn compare(
        &self,
        part: Span,
        ours: &[Compared],
        theirs: Vec<(MerchantUid, IamportPayment)>,
        total: &mut Reconciled,
    ) -> Result<(), HearError> {
        let mut left: HashMap<&str, &Compared> = ours.iter().map(|charge| (charge.imp_uid.as_str(), charge)).collect();
        let (charges, windows): (Vec<_>, Vec<_>) =
            theirs.iter().partition(|(name, _)| matches!(name.purpose, Purpose::Charge { .. }));
        let mut seen = HashSet::new();
        // A billing key of a subscription that begins with its first charge comes after that.
        for (name, payment) in charges.into_iter().chain(windows) {
            if !seen.insert(payment.imp_uid.as_str()) {
                continue;
            }
            total.there += 1;
            let agrees = match left.remove(payment.imp_uid.as_str()) {
                Some(ours) => self.agrees(ours, payment).await?,
                None => false,
            };
            if !agrees {
                let followed = Box::pin(self.follow(*name, payment)).await?;
                total.count(&followed);
                if matches!(followed, Followed::NotOurs) && by_some_key(payment) {
                    self.look_at_foreign(std::slice::from_ref(payment), total).await?;
                }
            }
        }
        total.here += ours.len();
        let mut missing = Vec::new();
        for ours in left.into_values() {
            match self.iamport.payment(&ours.imp_uid).await? {
                Some(payment) => match payment.merchant_uid.parse() {
                    Ok(name) => total.count(&Box::pin(self.follow(name, &payment)).await?),
                    Err(_) => missing.push(ours),
                },
                None => missing.push(ours),
            }
        }
        if missing.len() > FEW && missing.len() * 100 > ours.len() * MOST_MISSING {
            total.implausible += missing.len();
            error!(
                from = %part.from, missing = missing.len(), here = ours.len(), outcome = "implausible",
                "I'mport lacks too much of the ledger to be believed"
            );
            return Ok(());
        }
        for ours in missing {
            total.count(&self.missing_there(ours).await?);
        }
        Ok(())
    }

    /// Whether the ledger has a payment as I'mport does: its charge, and the entries of what went back. Those are read only where
    /// something did.
    async fn agrees(&self, ours: &Compared, payment: &IamportPayment) -> Result<bool, StoreError> {
        let refunded = payment.cancel_amount();
        let same = Some(ours.amount) == payment.amount() && ours.refunded == refunded;
        if !same || refunded == Won::ZERO {
            return Ok(same);
        }
        let refunds = self.store.refunds_of(ours.subscription, &ours.imp_uid).await?;
        Ok(refunds.iter().map(|refund| refund.amount).sum::<Won>() == refunded)
    }

    /// Payments under names that aren't ours, by billing keys: are the keys subscriptions' of ours?
    async fn look_at_foreign(&self, foreign: &[IamportPayment], total: &mut Reconciled) -> Result<(), StoreError> {
        for some in foreign.chunks(UIDS_A_READ) {
            let uid = |payment: &IamportPayment| payment.customer_uid.clone()?.parse::<CustomerUid>().ok();
            let uids: BTreeSet<CustomerUid> = some.iter().filter_map(uid).collect();
            let whose = self.store.of_customer_uids(&Vec::from_iter(&uids)).await?;
            for payment in some {
                let subscription = uid(payment).and_then(|uid| whose.get(&uid));
                let (Some(subscription), Ok(imp_uid)) = (subscription, payment.imp_uid.parse()) else { continue };
                // Before it was brought here, the key was charged where it came from.
                if payment.paid_at().is_some_and(|paid_at| paid_at >= subscription.created_at) {
                    total.count(&self.find(self.foreign_charge(subscription, imp_uid, payment)).await?);
                }
            }
        }
        Ok(())
    }

    fn foreign_charge(&self, subscription: &Subscription, imp_uid: ImpUid, payment: &IamportPayment) -> Finding {
        let name = &payment.merchant_uid;
        let by = match payment.customer_uid_usage {
            Some(Usage::Scheduled) => "by a schedule of I'mport's own",
            Some(Usage::Payment | Usage::Issue | Usage::Other(_)) | None => "by another system with I'mport's key",
        };
        let detail = format!("{name} ({imp_uid}) was charged to the billing key of this subscription, {by}");
        let there = Side { amount: payment.amount().unwrap_or(Won::ZERO), refunded: payment.cancel_amount() };
        Finding {
            subscription: subscription.id,
            merchant_uid: PaymentName::Foreign(name.clone()),
            imp_uid,
            kind: FindingKind::ForeignCharge,
            detail,
            here: None,
            there: Some(there),
            found_at: self.now(),
            closed: None,
        }
    }

    /// The ledger has a payment that I'mport doesn't.
    async fn missing_there(&self, ours: &Compared) -> Result<Followed, StoreError> {
        // Read again: the index may be behind.
        let Some(charge) = self.store.charge_at(&ours.key).await? else { return Ok(Followed::Agrees) };
        let Some(payment) = charge.payment() else { return Ok(Followed::Agrees) };
        let detail = format!("{} ({}) is paid here, and not at I'mport", charge.merchant_uid, payment.imp_uid);
        let finding = Finding {
            subscription: charge.subscription,
            merchant_uid: charge.merchant_uid.into(),
            imp_uid: payment.imp_uid.clone(),
            kind: FindingKind::UnknownThere,
            detail,
            here: Some(side(&charge)),
            there: None,
            found_at: self.now(),
            closed: None,
        };
        self.find(finding).await
    }

    /// A payment of I'mport's that isn't in the ledger as it is there.
    async fn follow(&self, name: MerchantUid, payment: &IamportPayment) -> Result<Followed, HearError> {
        let (true, Ok(imp_uid)) = (payment.was_paid(), payment.imp_uid.parse::<ImpUid>()) else {
            return Ok(Followed::Agrees);
        };
        let subscription = self.store.subscription(name.subscription).await?;
        if subscription.as_ref().is_some_and(|subscription| !subscription.is_its_name(name)) {
            return Ok(Followed::NotOurs);
        }
        match (name.purpose, subscription) {
            (Purpose::Window { number }, Some(subscription)) => {
                self.follow_window(&subscription, number, name, &imp_uid).await
            }
            // No money moved.
            (Purpose::Window { .. }, None) => Ok(Followed::Agrees),
            (Purpose::Charge { .. }, None) => {
                let detail = format!("{name} ({imp_uid}) is paid at I'mport, and there is no such subscription here");
                let kind = FindingKind::UnknownSubscription;
                Ok(self.find(self.finding(name, imp_uid, kind, detail, None, payment)).await?)
            }
            (Purpose::Charge { period, attempt }, Some(subscription)) => {
                self.follow_charge(subscription, name, (period, attempt), &imp_uid, payment).await
            }
        }
    }

    /// A billing key that nobody told us of.
    async fn follow_window(
        &self,
        subscription: &Subscription,
        number: u32,
        name: MerchantUid,
        imp_uid: &ImpUid,
    ) -> Result<Followed, HearError> {
        let known = subscription.payment_method.as_ref().map_or(0, |method| method.window);
        if number <= known || subscription.status.is_over() {
            return Ok(Followed::Agrees);
        }
        match Box::pin(self.hear(&hint(name, imp_uid))).await {
            Ok(Heard::Handled(_) | Heard::Due(_)) => Ok(Followed::Settled),
            Ok(Heard::Known | Heard::Undecided | Heard::NotOurs) | Err(HearError::NotShown) => Ok(Followed::Agrees),
            Err(failure) => Err(failure),
        }
    }

    async fn follow_charge(
        &self,
        subscription: Subscription,
        name: MerchantUid,
        (period, attempt): (u32, u32),
        imp_uid: &ImpUid,
        payment: &IamportPayment,
    ) -> Result<Followed, HearError> {
        let charges = self.store.charges_of(subscription.id, period).await?;
        let is_it = |charge: &&Charge| charge.payment().is_some_and(|known| known.imp_uid == *imp_uid);
        if let Some(known) = charges.iter().find(is_it) {
            return self.follow_known(known, name, imp_uid, payment).await;
        }
        if self.store.finding(subscription.id, imp_uid).await?.is_some() {
            return Ok(Followed::Agrees);
        }
        let in_flight = subscription.in_flight.as_ref().is_some_and(|intent| intent.merchant_uid == name);
        let charged = in_flight || charges.iter().any(|charge| charge.attempt == attempt);
        // Only the merchant's own credentials charge a billing key. What a window took under such a name is none of ours, and
        // would buy periods that nobody has paid for.
        let by_key = matches!(payment.customer_uid_usage, Some(Usage::Payment | Usage::Scheduled))
            && payment.customer_uid.as_deref() == Some(subscription.customer_uid.as_str());
        if !charged && !by_key {
            let detail =
                format!("{name} ({imp_uid}) was paid at I'mport, but neither charged here nor by the billing key");
            let finding = self.finding(name, imp_uid.clone(), FindingKind::UnknownCharge, detail, None, payment);
            return Ok(self.find(finding).await?);
        }
        let id = subscription.id;
        let recorded = match in_flight {
            true => Box::pin(self.record_seen(subscription, name, payment)).await?,
            false => Box::pin(self.record_known(subscription, &charges, name, payment)).await?,
        };
        match recorded {
            Recorded::New(_) | Recorded::Known(_) => {
                info!(merchant_uid = %name, %imp_uid, outcome = "recorded", "a payment that nobody told us of");
                Ok(Followed::Settled)
            }
            Recorded::NeedsReview => {
                let review = self.store.subscription(id).await?.and_then(|subscription| subscription.review);
                let detail = review.map_or_else(|| format!("{name} ({imp_uid}) isn't what was meant"), |r| r.reason);
                let finding = self.finding(name, imp_uid.clone(), FindingKind::Differs, detail, None, payment);
                Ok(self.find(finding).await?)
            }
            Recorded::Stranger { new: true } => Ok(Followed::Found),
            Recorded::Stranger { new: false } | Recorded::Unknown => Ok(Followed::Agrees),
        }
    }

    /// The ledger has it: as much, and as much given back?
    async fn follow_known(
        &self,
        known: &Charge,
        name: MerchantUid,
        imp_uid: &ImpUid,
        payment: &IamportPayment,
    ) -> Result<Followed, HearError> {
        let (amount, refunded) = (payment.amount().unwrap_or(Won::ZERO), payment.cancel_amount());
        let differs = |what: &str, theirs: Won, ours: Won| {
            format!("{name} ({imp_uid}): {what} is {theirs} at I'mport, {ours} here")
        };
        let (kind, detail) = if amount != known.amount {
            (FindingKind::Differs, differs("the amount", amount, known.amount))
        } else if refunded < known.refunded {
            (FindingKind::RefundDiffers, differs("what went back", refunded, known.refunded))
        } else {
            // More went back there, or as much, and a restored table has lost the entry of it.
            return Ok(match self.record_refunds(known, payment).await? {
                true => Followed::Settled,
                false => Followed::Agrees,
            });
        };
        let finding = self.finding(name, imp_uid.clone(), kind, detail, Some(side(known)), payment);
        Ok(self.find(finding).await?)
    }

    pub(super) fn finding(
        &self,
        name: MerchantUid,
        imp_uid: ImpUid,
        kind: FindingKind,
        detail: String,
        here: Option<Side>,
        payment: &IamportPayment,
    ) -> Finding {
        let there = Side { amount: payment.amount().unwrap_or(Won::ZERO), refunded: payment.cancel_amount() };
        let (subscription, found_at) = (name.subscription, self.now());
        Finding {
            subscription,
            merchant_uid: name.into(),
            imp_uid,
            kind,
            detail,
            here,
            there: Some(there),
            found_at,
            closed: None,
        }
    }

    /// Hands the subscription to a person, and writes the finding, once. *Crash in between*: the next run finds the same, and
    /// writes it then.
    pub(super) async fn find(&self, finding: Finding) -> Result<Followed, StoreError> {
        let subscription = match finding.kind.stops_charging() {
            true => self.store.subscription(finding.subscription).await?,
            false => None,
        };
        if self.store.finding(finding.subscription, &finding.imp_uid).await?.is_some() {
            return Ok(Followed::Agrees);
        }
        if let Some(subscription) = subscription {
            self.review(subscription, finding.detail.clone()).await?;
        }
        let found = self.store.put_finding(&finding).await?;
        warn!(
            merchant_uid = %finding.merchant_uid, imp_uid = %finding.imp_uid, kind = finding.kind.word(),
            outcome = "found", "the books differ"
        );
        Ok(match found {
            Found::New => Followed::Found,
            Found::Known => Followed::Agrees,
        })
    }
}

impl Reconciled {
    fn count(&mut self, followed: &Followed) {
        match followed {
            Followed::Agrees | Followed::NotOurs => (),
            Followed::Settled => self.settled += 1,
            Followed::Found => self.found += 1,
        }
    }
}

fn side(charge: &Charge) -> Side {
    Side { amount: charge.amount, refunded: charge.refunded }
}

fn hint(name: MerchantUid, imp_uid: &ImpUid) -> Hint {
    Hint { imp_uid: imp_uid.to_string(), merchant_uid: name.to_string(), mark: String::new() }
}

/// The end of the day in Korea that `t` lies on.
fn end_of_day(t: Timestamp) -> Timestamp {
    let tomorrow = in_seoul(t).saturating_add(1.day()).start_of_day();
    tomorrow.map_or(Timestamp::MAX, |day| day.timestamp())
}
