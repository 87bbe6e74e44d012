//! What must hold, whatever happens: the rules of the charge protocol, checked against both books, ours and I'mport's, at each
//! write and at each request for money; and what must be true once everything is quiet.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use maedal::billing::SEND_WITHIN;
use maedal::subscription::step::WINDOW_LOOK;
use maedal::subscription::{
    AfterDunning, CLAIMS_A_DAY, Charge, ChargeStatus, EndReason, Finding, FindingKind, MerchantUid, PaymentMethod,
    Policy, Purpose, RepairAction, ReviewCause, Status, Subscription, SubscriptionId,
};
use serde_json::Value;
use simulator::{Payment, Simulator};

use crate::fault::{LONGEST_BLIND, MOST_OFF};
use crate::log::Log;
use crate::oracle::{self, Between, Wrong};
use crate::people::Life;
use crate::table::{Account, Copy, Written};

/// How late a step may be before its subscription counts as forgotten.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// How long after charging was switched off the last charge may reach I'mport: the worker has asked before, has stood still, and
/// what it sent was long on its way.
const SWITCH_WORKS: SignedDuration = SignedDuration::from_mins(20);
/// What I'mport says can change between our look and our write: while a worker stands still, and a little more.
const RACE: SignedDuration = SignedDuration::from_secs(420);

/// A rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// 1. Money was asked for without an intent in the table, or with another one.
    IntentBeforeEffect,
    /// 2. A new attempt went out before the last one had surely failed.
    NewAttemptBeforeProof,
    /// 3. Something was settled that I'mport doesn't show.
    WithoutProof,
    /// 4. Something changed while an attempt was in doubt.
    DoubtBlocks,
    /// 5. I'mport has a payment that the ledger doesn't have.
    Forgotten,
    /// 5. A period has two payments that stand.
    DoubleCharge,
    /// 6. An amount that wasn't meant was taken for a payment.
    WrongAmount,
    /// 7. More attempts in a day than the circuit breaker allows.
    Breaker,
    /// Money was asked for while charging was off.
    Switch,
    /// 8. The subscription advanced without its ledger entry, or the other way round.
    TornSettlement,
    /// A state led to one that it can't lead to.
    IllegalTransition,
    /// More went back than should, or less, or the books differ about it.
    Refund,
    /// Something never came to rest.
    Stuck,
    /// A person was called for nothing.
    NeedlessReview,
    /// A renewal of a history in which nothing struck took other calls than its three.
    Budget,
    /// The table holds what can't be read.
    Unreadable,
    /// Money was asked for after what was accepted forbids it: a cancellation, a pause, the deletion of the billing key.
    Unwanted,
    /// A name was asked for again after the ledger had it, paid or declined.
    ProvenName,
    /// A subscription lives, and the index lists nothing of it.
    Unlisted,
    /// Somebody was canceled as unpaid who could have paid.
    GivenUp,
    /// Comparing a day's books left them different.
    NotHealed,
    /// A charge was handed to the network later after its claim than it may be.
    SentLate,
    /// A write has lost what a newer version of the code had written.
    Lost,
    /// What a newer version must decide was decided.
    Meddled,
    /// Something was paid that isn't the price of what people did, or nothing was.
    Price,
    /// A panic.
    Panic,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// In words.
    pub what: String,
}

/// A payment in the ledger: I'mport's name for it, and how much of it went back.
pub type Entered = (String, u64);

/// What is known beside the table: I'mport's books, and what people did.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// I'mport.
    pub iamport: &'a Simulator,
    /// What people did.
    pub log: &'a Log,
    /// The true present.
    pub now: Timestamp,
}

/// What a subscription was before a write.
#[derive(Debug)]
pub struct Was {
    status: Status,
    /// Proof may end the review, without anybody's decision.
    proof_ends_review: bool,
    version: u64,
    paid_through: u32,
    in_flight: Option<MerchantUid>,
    claimed_at: Option<Timestamp>,
    window_opened_at: Option<Timestamp>,
}

/// The rules, and what they have to remember.
#[derive(Debug, Default)]
pub struct Rules {
    /// What was broken.
    pub violations: Vec<Violation>,
    claims: BTreeMap<SubscriptionId, BTreeSet<i64>>,
    /// When the attempts in flight were claimed last.
    claimed_at: BTreeMap<String, Timestamp>,
    /// Whose items a newer version of the code has written by a schema that this one doesn't understand.
    newer: BTreeSet<SubscriptionId>,
    /// Who may have half of a transaction, until it is caught up.
    torn: BTreeSet<SubscriptionId>,
    /// The table was lost once, and with it some subscriptions as a whole.
    restored: bool,
    on_the_way: BTreeMap<String, u32>,
    /// What I'mport was too slow with for the protocol to know.
    beyond: BTreeSet<String>,
    /// When money was asked for last.
    asked_at: BTreeMap<SubscriptionId, Timestamp>,
    /// Whom a charge was refused, or didn't reach, for no doing of theirs.
    refused: BTreeSet<SubscriptionId>,
    policies: Vec<Policy>,
    wrong_amounts: BTreeMap<SubscriptionId, BTreeSet<String>>,
    repairs: BTreeMap<SubscriptionId, Vec<(RepairAction, BTreeSet<String>)>>,
    off_since: Option<Timestamp>,
    /// What was decided to go back of each payment, by when it was.
    decided: BTreeMap<String, BTreeMap<Timestamp, u64>>,
    /// The payments that were canceled in I'mport's console: what we wanted to give back of them, too, need not.
    by_hand: BTreeSet<String>,
}

impl Rules {
    /// The rules for `life`.
    pub fn of(life: &Life) -> Self {
        Self { policies: vec![life.policy.clone()], ..Self::default() }
    }

    /// The merchant deploys another policy.
    pub fn deployed(&mut self, policy: Policy) {
        self.policies.push(policy);
    }

    /// Something is broken.
    pub fn broken(&mut self, rule: Rule, what: impl Into<String>) {
        let what = what.into();
        if !self.violations.iter().any(|known| known.rule == rule && known.what == what) {
            self.violations.push(Violation { rule, what });
        }
    }

    /// A request for `uid` was cut off from its sender and arrives later.
    pub fn sets_out(&mut self, uid: &str, seconds: u32) {
        if SignedDuration::from_secs(seconds.into()) > LONGEST_BLIND {
            return self.is_beyond(uid);
        }
        *self.on_the_way.entry(uid.to_owned()).or_default() += 1;
    }

    /// I'mport is slower with `uid` than the protocol can wait for.
    pub fn is_beyond(&mut self, uid: &str) {
        self.beyond.insert(uid.to_owned());
    }

    /// So much of a payment was canceled in I'mport's console.
    pub fn canceled_by_hand(&mut self, imp_uid: &str, amount: u64, now: Timestamp) {
        self.decided.entry(imp_uid.to_owned()).or_default().insert(now, amount);
        self.by_hand.insert(imp_uid.to_owned());
    }

    /// From here on nobody but the newer version of the code may write this subscription; or they may again.
    pub fn left_to_newer(&mut self, id: SubscriptionId, is: bool) {
        match is {
            true => self.newer.insert(id),
            false => self.newer.remove(&id),
        };
    }

    /// The table was restored as it was at `from`.
    pub fn restored(&mut self, copy: &Copy, iamport: &Simulator, from: Timestamp, now: Timestamp) {
        self.restored = true;
        self.claims.clear();
        self.newer.clear();
        self.torn = copy.accounts.keys().copied().collect();
        for (imp_uid, decided) in &mut self.decided {
            // A refund that was asked for since, and not made, was lost: it would be asked for again.
            decided.retain(|requested_at, _| *requested_at <= from);
            let (is, made): (u64, _) =
                (decided.values().sum(), iamport.books().payment(imp_uid).map_or(0, Payment::cancel_amount));
            if made > is {
                decided.insert(now, made - is);
            }
        }
    }

    /// A charge named `uid` is handed to the network.
    pub fn sends(&mut self, uid: &str, now: Timestamp) {
        let late = self.claimed_at.get(uid).map(|claimed_at| now.duration_since(*claimed_at)).unwrap_or_default();
        if late > SEND_WITHIN {
            self.broken(Rule::SentLate, format!("{uid} is sent {} s after its claim", late.as_secs()));
        }
    }

    /// A charge named `uid` was refused, for no fault of the buyer's.
    pub fn is_refused(&mut self, uid: &str) {
        self.refused.extend(uid.parse::<MerchantUid>().map(|name| name.subscription));
    }

    /// It has arrived.
    pub fn arrives(&mut self, uid: &str) {
        if let Some(left) = self.on_the_way.get_mut(uid) {
            *left = left.saturating_sub(1);
        }
    }

    /// I'mport has taken another amount for `uid` than it was asked for.
    pub fn takes_wrong_amount(&mut self, uid: &str) {
        if let Ok(name) = uid.parse::<MerchantUid>() {
            self.wrong_amounts.entry(name.subscription).or_default().insert(uid.to_owned());
        }
    }

    /// Charging is off, or on.
    pub fn switched(&mut self, off: bool, now: Timestamp) {
        self.off_since = off.then(|| self.off_since.unwrap_or(now));
    }

    /// An operator has decided of what waits for a person: from here on its books have to agree, too.
    pub fn repaired(&mut self, id: SubscriptionId, action: RepairAction) {
        let names = self.wrong_amounts.remove(&id).unwrap_or_default();
        self.repairs.entry(id).or_default().push((action, names));
    }

    fn is_written_off(&self, id: SubscriptionId) -> bool {
        let repairs = self.repairs.get(&id).map_or(&[][..], Vec::as_slice);
        repairs.iter().any(|(action, _)| *action == RepairAction::WriteOff)
    }

    /// Where an operator gave up on it, or took it as it came, the two books need not say the same.
    fn is_a_persons(&self, account: &Account, id: SubscriptionId) -> bool {
        account.is_in_review() || self.wrong_amounts.contains_key(&id) || self.is_written_off(id)
    }

    /// The two books agree, and so comparing them must find nothing: the ledgers are the same before and after. A billing key of
    /// a second window, which another one has replaced before anybody heard of it, may be news still: no money hangs on it.
    pub fn compared(&mut self, before: &[Entered], after: &[Entered], open: &[Finding]) {
        let settled = after.iter().filter(|entered| !before.contains(entered));
        for (imp_uid, refunded) in settled {
            self.broken(
                Rule::Forgotten,
                format!("comparing the books, once all is quiet, settles {imp_uid}, of which {refunded} went back"),
            );
        }
        for finding in open {
            // Somebody else has paid, or charged the key: that is for a person to know.
            if matches!(finding.kind, FindingKind::ForeignCharge | FindingKind::UnknownCharge) {
                continue;
            }
            self.broken(Rule::NeedlessReview, format!("a finding: {}", finding.detail));
        }
    }

    /// What stands before a write.
    pub fn before(&self, copy: &Copy) -> BTreeMap<SubscriptionId, Was> {
        let was = |subscription: &Subscription| Was {
            status: subscription.status,
            proof_ends_review: subscription
                .review
                .as_ref()
                .is_some_and(|review| review.cause != ReviewCause::Difference),
            version: subscription.version,
            paid_through: subscription.paid_through,
            in_flight: subscription.in_flight.as_ref().map(|intent| intent.merchant_uid),
            claimed_at: subscription.claimed_at,
            window_opened_at: subscription.window_opened_at,
        };
        copy.accounts.iter().filter_map(|(id, account)| Some((*id, was(account.subscription.as_ref()?)))).collect()
    }

    /// A request for money reaches I'mport.
    pub fn before_again(&mut self, body: &Value, copy: &Copy, facts: Facts<'_>) {
        let Facts { iamport, log, now } = facts;
        let uid = body["merchant_uid"].as_str().unwrap_or_default().to_owned();
        let Ok(MerchantUid { subscription: id, purpose: Purpose::Charge { period, .. }, .. }) = uid.parse() else {
            return self.broken(Rule::IntentBeforeEffect, format!("{uid} is no name of a charge"));
        };
        let Some(account) = copy.accounts.get(&id) else {
            return self.broken(Rule::IntentBeforeEffect, format!("{uid} belongs to no subscription"));
        };
        let Some(subscription) = account.subscription.as_ref() else {
            return self.broken(Rule::IntentBeforeEffect, format!("{uid} belongs to no subscription"));
        };
        self.asked_at.insert(id, now);
        let beyond = self.beyond.iter().any(|other| same_period(other, id, period));
        // Who asks without a key charges nobody.
        let charges = iamport.books().key(subscription.customer_uid.as_str()).is_some();
        if let Some(why) = log.forbids(id).filter(|_| !beyond && charges) {
            self.broken(Rule::Unwanted, format!("{uid} was asked for after {why}"));
        }
        if !beyond && account.charges.values().any(|charge| charge.merchant_uid.to_string() == uid) {
            self.broken(Rule::ProvenName, format!("{uid} was asked for after it had entered the ledger"));
        }
        match &subscription.in_flight {
            Some(intent) if intent.merchant_uid.to_string() == uid => {
                if body["amount"].as_u64() != Some(intent.amount.get()) {
                    self.broken(
                        Rule::IntentBeforeEffect,
                        format!("{uid}: {} was asked for, not {}", body["amount"], intent.amount),
                    );
                }
            }
            // What a slow gateway delivers late was asked for when it was in flight.
            _ if beyond => return,
            _ => self.broken(Rule::IntentBeforeEffect, format!("{uid} was asked for, and is not in flight")),
        }
        if subscription.status.is_over() {
            self.broken(Rule::IntentBeforeEffect, format!("{uid} was asked for, and the subscription is over"));
        }
        let claims = self.claims.entry(id).or_default();
        claims.insert(subscription.claims[0]);
        let newest = claims.last().copied().unwrap_or_default();
        let day = SignedDuration::from_hours(24) - MOST_OFF * 4;
        let since = newest - i64::try_from(day.as_millis()).unwrap_or(i64::MAX);
        let today = claims.iter().filter(|at| **at > since).count();
        if today > CLAIMS_A_DAY {
            self.broken(Rule::Breaker, format!("{uid} is attempt {today} within a day"));
        }
        if self.on_the_way.get(&uid).is_some_and(|n| *n > 0) {
            self.broken(Rule::WithoutProof, format!("{uid} was asked for again while it is on its way"));
        }
        let paid = iamport.books().payments_of(&uid).find(|payment| payment.was_charged());
        if !beyond && paid.is_some_and(|payment| !changed_its_mind(payment, now)) {
            self.broken(Rule::WithoutProof, format!("{uid} was asked for again, and is paid"));
        }
        if self.off_since.is_some_and(|since| now.duration_since(since) > SWITCH_WORKS) {
            self.broken(Rule::Switch, format!("{uid} was asked for while charging is off"));
        }
        let others = of_period(iamport, id, period).filter(|payment| payment.order.merchant_uid != uid);
        let standing = others.filter(|payment| payment.balance() > 0);
        let known: Vec<String> = standing
            .filter(|payment| !changed_its_mind(payment, now))
            .map(|payment| payment.order.merchant_uid.clone())
            .collect();
        let written_off = self.is_written_off(id);
        for other in known.into_iter().filter(|_| !beyond && !written_off) {
            self.broken(Rule::NewAttemptBeforeProof, format!("{uid} was asked for while {other} is paid"));
        }
        let on_the_way: Vec<String> = self
            .on_the_way
            .iter()
            .filter(|(other, n)| **n > 0 && **other != uid && same_period(other, id, period))
            .map(|(other, _)| other.clone())
            .collect();
        for other in on_the_way {
            self.broken(Rule::NewAttemptBeforeProof, format!("{uid} was asked for while {other} is on its way"));
        }
    }

    /// Something was written.
    pub fn after_write(
        &mut self,
        before: &BTreeMap<SubscriptionId, Was>,
        copy: &mut Copy,
        written: &[Written],
        facts: Facts<'_>,
        mut trace: Option<&mut Vec<(Timestamp, String)>>,
    ) {
        let Facts { iamport, now, .. } = facts;
        let mut say = |line: std::fmt::Arguments<'_>| {
            if let Some(trace) = &mut trace {
                trace.push((now, line.to_string()));
            }
        };
        for unread in std::mem::take(&mut copy.unread) {
            self.broken(Rule::Unreadable, unread);
        }
        for lost in std::mem::take(&mut copy.lost) {
            self.broken(Rule::Lost, format!("{lost} has lost what a newer version of the code wrote"));
        }
        for written in written {
            match written {
                Written::Subscription(is) => {
                    self.listed(is);
                    self.keyed(is, iamport);
                    if self.newer.contains(&is.id) {
                        self.broken(Rule::Meddled, format!("{} was written, by a schema that isn't understood", is.id));
                    }
                    if let Some(was) = before.get(&is.id) {
                        self.moved(was, is, copy, facts);
                        self.ended(was, is, facts);
                        if was.status != is.status {
                            say(format_args!("    {} is {}", is.id, is.status.word()));
                        }
                    }
                    self.settled_together(&copy.accounts[&is.id], is);
                }
                Written::Charge(_, charge) => {
                    if let (Some(payment), Some(refund)) = (charge.payment(), &charge.refund) {
                        let decided = self.decided.entry(payment.imp_uid.to_string()).or_default();
                        decided.entry(refund.requested_at).or_insert(refund.amount.get());
                    }
                    say(format_args!("    ledger: {} {}", charge.merchant_uid, charge.status.word()));
                    self.entered(charge, copy, iamport, now);
                }
                Written::Refund(_, refund) => {
                    say(format_args!("    ledger: {} given back of {}", refund.amount, refund.imp_uid));
                }
            }
        }
    }

    fn moved(&mut self, was: &Was, is: &Subscription, copy: &Copy, Facts { iamport, log, now }: Facts<'_>) {
        let id = is.id;
        if is.version != was.version + 1 {
            self.broken(Rule::DoubtBlocks, format!("{id}: version {} after {}", is.version, was.version));
        }
        let repaired = was.status == Status::NeedsReview && (self.repairs.contains_key(&id) || was.proof_ends_review);
        let canceled = is.status == Status::Canceled && log.is_canceled(id);
        if !repaired && !canceled && !may_become(was.status, is.status) {
            self.broken(Rule::IllegalTransition, format!("{id}: {} after {}", is.status.word(), was.status.word()));
        }
        if is.status == Status::PastDue && was.status != Status::PastDue && !log.may_be_deleted(id) {
            let taken = |charge: &Charge| {
                let payments = || iamport.books().payments_of(&charge.merchant_uid.to_string()).collect::<Vec<_>>();
                charge.period == is.period
                    && payments().iter().any(|payment| payment.was_paid() && !payment.was_charged())
                    && payments().iter().all(|payment| payment.was_paid())
            };
            let declined: Vec<&Charge> =
                copy.accounts[&id].charges.values().filter(|c| c.period == is.period).collect();
            if !declined.is_empty() && declined.into_iter().all(taken) {
                self.broken(
                    Rule::IllegalTransition,
                    format!("{id} is past due, since somebody has taken its charge's name"),
                );
            }
        }
        if is.paid_through < was.paid_through {
            self.broken(
                Rule::TornSettlement,
                format!("{id}: paid through {} after {}", is.paid_through, was.paid_through),
            );
        }
        let is_in_flight = is.in_flight.as_ref().map(|intent| intent.merchant_uid);
        if let Some(name) = is_in_flight.filter(|_| is.claimed_at != was.claimed_at) {
            self.claimed_at.insert(name.to_string(), now);
        }
        match (was.in_flight, is_in_flight) {
            (Some(before), Some(after)) if before != after => {
                self.broken(Rule::DoubtBlocks, format!("{after} took the place of {before}, which was in flight"));
            }
            (Some(before), None) => {
                let entered = copy.accounts[&id].charges.values().any(|charge| charge.merchant_uid == before);
                let money = iamport.books().payments_of(&before.to_string()).any(Payment::was_charged);
                if !entered && money {
                    self.broken(Rule::TornSettlement, format!("{before} was let go, is paid and not in the ledger"));
                }
            }
            (Some(_) | None, Some(_)) | (None, None) => (),
        }
        // Late truth about another attempt is recorded whatever is in flight.
        let late_truth = is.paid_through > was.paid_through;
        if was.in_flight.is_some()
            && is_in_flight == was.in_flight
            && was.status != is.status
            && is.status != Status::NeedsReview
            && !was.proof_ends_review
            && !late_truth
        {
            self.broken(Rule::DoubtBlocks, format!("{id} became {} with a charge in flight", is.status.word()));
        }
    }

    /// Whoever lives is listed, at each moment: else nothing is ever done about it again.
    fn listed(&mut self, is: &Subscription) {
        let unpaid = |policy: &Policy| {
            let dunning = is.plan.terms.dunning.as_ref().unwrap_or(&policy.dunning);
            dunning.then == AfterDunning::LeaveUnpaid
        };
        let newer = |method: &PaymentMethod| {
            !method.broken && is.dunning.as_ref().is_some_and(|dunning| method.confirmed_at > dunning.last_decline)
        };
        let may_be_unlisted = match is.status {
            Status::Expired | Status::Canceled | Status::NeedsReview => true,
            Status::Paused => is.window_opened_at.is_none() && !is.cancel_at_period_end,
            Status::PastDue => self.policies.iter().any(unpaid) && !is.payment_method.as_ref().is_some_and(newer),
            Status::Pending | Status::Trialing | Status::Active => false,
        };
        if is.listed_at.is_none() && !may_be_unlisted {
            self.broken(Rule::Unlisted, format!("{} is {}, and nothing of it is listed", is.id, is.status.word()));
        }
    }

    /// Nobody is given up who could have paid.
    fn ended(&mut self, was: &Was, is: &Subscription, facts: Facts<'_>) {
        let unpaid = is.ended.as_ref().is_some_and(|ended| ended.reason == EndReason::Unpaid);
        if was.status == is.status || is.status != Status::Canceled || !unpaid || facts.log.may_be_deleted(is.id) {
            return;
        }
        let id = is.id;
        let ago = |at: Timestamp| facts.now.duration_since(at);
        if was.window_opened_at.is_some_and(|at| ago(at) < WINDOW_LOOK - MOST_OFF * 2) {
            self.broken(Rule::GivenUp, format!("{id} is canceled as unpaid, and its window is open"));
        }
        let untried = facts.log.approved_at(id).filter(|approved| {
            ago(*approved) > RACE && self.asked_at.get(&id).is_none_or(|asked_at| asked_at < approved)
        });
        if untried.is_some() {
            self.broken(Rule::GivenUp, format!("{id} is canceled as unpaid, and its billing key was never tried"));
        }
        let key = facts.iamport.books().key(is.customer_uid.as_str());
        let declined = facts
            .iamport
            .books()
            .payments()
            .iter()
            .any(|payment| payment.failed_at.is_some() && same_period(&payment.order.merchant_uid, id, is.period));
        if key.is_some() && !declined {
            self.broken(Rule::GivenUp, format!("{id} is canceled as unpaid, and its key was never declined"));
        }
    }

    /// Its billing key is of a window that was opened here.
    fn keyed(&mut self, is: &Subscription, iamport: &Simulator) {
        let Some(method) = is.payment_method.as_ref().filter(|method| method.window > 0 && !method.deleted) else {
            return;
        };
        let issued = method.imp_uid.as_ref().and_then(|imp_uid| iamport.books().payment(imp_uid.as_str()));
        let name = is.window_name(method.window).to_string();
        if issued.is_none_or(|payment| payment.order.merchant_uid != name) {
            self.broken(Rule::WithoutProof, format!("{}: its billing key isn't of its window {name}", is.id));
        }
    }

    fn settled_together(&mut self, account: &Account, is: &Subscription) {
        let settled = account.charges.values().filter(|charge| charge.is_settled());
        let through = settled.map(|charge| charge.period).max().unwrap_or(0);
        if self.torn.contains(&is.id) {
            if through == is.paid_through {
                self.torn.remove(&is.id);
            }
            return;
        }
        if through != is.paid_through {
            self.broken(
                Rule::TornSettlement,
                format!(
                    "{}: the ledger is paid through {through}, the subscription through {}",
                    is.id, is.paid_through
                ),
            );
        }
    }

    fn entered(&mut self, charge: &Charge, copy: &Copy, iamport: &Simulator, now: Timestamp) {
        let uid = charge.merchant_uid.to_string();
        match &charge.status {
            ChargeStatus::Paid(paid) => match iamport.books().payment(paid.imp_uid.as_str()) {
                Some(payment) if payment.was_charged() && payment.order.merchant_uid == uid => {
                    if payment.order.amount != charge.amount.get() {
                        let what =
                            format!("{uid}: {} was paid, the ledger has {}", payment.order.amount, charge.amount);
                        self.broken(Rule::WrongAmount, what);
                    }
                    if payment.cancel_amount() < charge.refunded.get() {
                        self.broken(Rule::Refund, format!("{uid}: the ledger gave back more than I'mport did"));
                    }
                }
                Some(_) | None => {
                    self.broken(Rule::WithoutProof, format!("{uid} is paid in the ledger, not at I'mport"))
                }
            },
            ChargeStatus::Declined { .. } if charge.moved || self.is_written_off(charge.subscription) => (),
            ChargeStatus::Declined { .. } if self.beyond.contains(&uid) => (),
            ChargeStatus::Declined { .. } => {
                let paid = iamport.books().payments_of(&uid).find(|payment| payment.was_charged());
                if paid.is_some_and(|payment| !changed_its_mind(payment, now)) {
                    self.broken(Rule::WithoutProof, format!("{uid} is declined in the ledger, and paid at I'mport"));
                }
                if self.on_the_way.get(&uid).is_some_and(|n| *n > 0) {
                    self.broken(
                        Rule::WithoutProof,
                        format!("{uid} is declined in the ledger, and on its way to I'mport"),
                    );
                }
            }
            ChargeStatus::Credited | ChargeStatus::Imported => (),
        }
        let settled = copy.accounts[&charge.subscription]
            .charges
            .values()
            .filter(|c| c.is_settled() && c.period == charge.period);
        if settled.count() > 1 {
            self.broken(Rule::DoubleCharge, format!("{uid}: its period is settled two times in the ledger"));
        }
    }

    /// Payments of ours at I'mport that the ledger doesn't have as they are there: by name, and since when.
    /// A payment of somebody else's, by a billing key of ours, must be a finding.
    pub fn differences(&self, copy: &Copy, iamport: &Simulator) -> Vec<(String, Timestamp)> {
        let mut open = Vec::new();
        for payment in iamport.books().payments().iter().filter(|payment| payment.was_charged()) {
            let Some((id, account)) = copy.account_of(&payment.order) else { continue };
            if self.is_a_persons(account, id) || account.findings.contains(&payment.imp_uid) {
                continue;
            }
            let over = account.subscription.as_ref().is_none_or(|subscription| subscription.status.is_over());
            if over && payment.order.merchant_uid.parse::<MerchantUid>().is_err() {
                continue;
            }
            let is_it = |charge: &&Charge| charge.payment().is_some_and(|p| p.imp_uid.as_str() == payment.imp_uid);
            let known = account.charges.values().find(is_it);
            if known.is_none_or(|charge| charge.refunded.get() < payment.cancel_amount()) {
                let cancelled = payment.cancellations.iter().map(|cancellation| cancellation.cancelled_at);
                let since = cancelled.chain(payment.paid_at).max().unwrap_or(payment.started_at);
                open.push((format!("{} ({})", payment.order.merchant_uid, payment.imp_uid), since));
            }
        }
        open
    }

    /// The books of the days before `until` have been compared, and nothing went wrong meanwhile.
    pub fn healed(&mut self, copy: &Copy, iamport: &Simulator, from: Timestamp, until: Timestamp) {
        for (name, since) in self.differences(copy, iamport) {
            if since >= from && since < until {
                self.broken(Rule::NotHealed, format!("{name}: its day was compared, and the ledger doesn't have it"));
            }
        }
    }

    /// Everything is quiet: I'mport's books must be what people did, at the published prices.
    pub fn priced(&mut self, copy: &Copy, life: &Life, facts: Facts<'_>) {
        for (id, account) in &copy.accounts {
            let slow = self.beyond.iter().any(|uid| uid.starts_with(&id.to_string()));
            let unpaid = |charge: &Charge| matches!(charge.status, ChargeStatus::Declined { .. });
            let declined = account.charges.values().any(unpaid);
            let between = Between {
                refused: declined || self.refused.contains(id) || slow || account.is_in_review(),
                slow,
                wrong_amount: self.wrong_amounts.contains_key(id) || self.repairs.contains_key(id),
                deployed: self.policies.len() > 1 || self.restored,
            };
            let Some(subscription) = &account.subscription else { continue };
            let customer_uid = subscription.customer_uid.as_str();
            for Wrong(what) in oracle::compare(*id, customer_uid, life, facts.log, facts.iamport, between, facts.now) {
                self.broken(Rule::Price, what);
            }
        }
    }

    /// Everything is quiet: both books must say the same, and nobody may be forgotten.
    pub fn at_rest(&mut self, copy: &Copy, Facts { iamport, log, now }: Facts<'_>, policy: &Policy) {
        let mut standing: BTreeMap<(SubscriptionId, u32), Vec<String>> = BTreeMap::new();
        for payment in iamport.books().payments().iter().filter(|payment| payment.was_charged()) {
            let Ok(MerchantUid { subscription, purpose: Purpose::Charge { period, .. }, .. }) =
                payment.order.merchant_uid.parse()
            else {
                continue;
            };
            if self.wrong_amounts.contains_key(&subscription) || self.is_written_off(subscription) {
                continue;
            }
            // Lost as a whole with the table: each payment of it is a finding, and a person's.
            let account = copy.accounts.get(&subscription);
            if self.restored && account.is_none_or(|account| account.subscription.is_none()) {
                if account.is_none_or(|account| !account.findings.contains(&payment.imp_uid)) {
                    self.broken(Rule::Forgotten, format!("{} of a lost subscription is no finding", payment.imp_uid));
                }
                continue;
            }
            if payment.balance() > 0 {
                standing.entry((subscription, period)).or_default().push(payment.imp_uid.clone());
            }
            let entry = copy.accounts.get(&subscription).and_then(|account| {
                account.charges.values().find(|c| c.payment().is_some_and(|p| p.imp_uid.as_str() == payment.imp_uid))
            });
            // What the restored plan doesn't explain is found, and a person's.
            let is_found = self.restored && account.is_some_and(|account| account.findings.contains(&payment.imp_uid));
            match entry {
                None if is_found => (),
                None => self.broken(
                    Rule::Forgotten,
                    format!(
                        "{} ({}) is paid at I'mport, and not in the ledger",
                        payment.order.merchant_uid, payment.imp_uid
                    ),
                ),
                Some(charge) if charge.refunded.get() != payment.cancel_amount() => {
                    let what = format!(
                        "{}: I'mport gave back {}, the ledger has {}",
                        payment.imp_uid,
                        payment.cancel_amount(),
                        charge.refunded
                    );
                    self.broken(Rule::Refund, what);
                }
                Some(_) => (),
            }
            let decided: u64 = self.decided.get(&payment.imp_uid).map_or(0, |decided| decided.values().sum());
            if decided != payment.cancel_amount() && !self.by_hand.contains(&payment.imp_uid) {
                let what =
                    format!("{}: {decided} were to go back, and {} did", payment.imp_uid, payment.cancel_amount());
                self.broken(Rule::Refund, what);
            }
        }
        for ((id, period), payments) in standing {
            if payments.len() > 1 {
                self.broken(Rule::DoubleCharge, format!("{id}, period {period}: {} stand", payments.join(" and ")));
            }
        }
        let given_back = self.repairs.values().flatten().filter(|(action, _)| *action == RepairAction::Refund);
        let kept: Vec<String> = given_back
            .flat_map(|(_, names)| names)
            .filter(|name| iamport.books().payments_of(name).any(|payment| payment.balance() > 0))
            .cloned()
            .collect();
        for name in kept {
            self.broken(Rule::Refund, format!("{name}: an operator wants it to go back, and it stands"));
        }
        self.torn.clear();
        for (id, account) in &copy.accounts {
            let Some(subscription) = &account.subscription else { continue };
            self.settled_together(account, subscription);
            let key = iamport.books().key(subscription.customer_uid.as_str());
            if key.is_some() && log.is_key_deleted(*id) && !account.waits_for_a_person() {
                self.broken(
                    Rule::Unwanted,
                    format!("{id}: the deletion of its billing key was accepted, and I'mport has it still"),
                );
            }
            for imp_uid in account.findings.iter().filter(|_| subscription.name_key.is_some()) {
                let name = iamport.books().payment(imp_uid).and_then(|payment| payment.order.merchant_uid.parse().ok());
                if name.is_some_and(|name: MerchantUid| name.tag.is_none()) {
                    self.broken(
                        Rule::NeedlessReview,
                        format!("{id}: {imp_uid} is a finding, under a name that anybody can guess"),
                    );
                }
            }
            let refunds: u64 = account.refunds.values().map(|refund| refund.amount.get()).sum();
            let refunded: u64 = account.charges.values().map(|charge| charge.refunded.get()).sum();
            if refunds != refunded {
                self.broken(
                    Rule::Refund,
                    format!("{id}: refunds of {refunds} in the ledger, {refunded} of its charges"),
                );
            }
            if self.wrong_amounts.contains_key(id) {
                if subscription.status != Status::NeedsReview {
                    self.broken(Rule::WrongAmount, format!("{id}: a wrong amount was taken, and nobody is called"));
                }
                continue;
            }
            // Whom the facts would free is free, once nothing goes wrong; and nothing here is for a person alone to know.
            if let Some(review) = &subscription.review {
                self.broken(Rule::NeedlessReview, format!("{id}: {}", review.reason));
            }
            let in_flight = subscription.in_flight.as_ref().filter(|_| !account.waits_for_a_person());
            if let Some(intent) = in_flight {
                self.broken(Rule::Stuck, format!("{} is in flight still", intent.merchant_uid));
            }
            if account.charges.values().any(|charge| charge.refund.is_some()) {
                self.broken(Rule::Stuck, format!("{id}: a refund is under way still"));
            }
            // Who was left unpaid by the settings of before may rest still: the daily sweep lists them by the new ones.
            let policies = || self.policies.iter().chain([policy]);
            if policies().all(|policy| is_forgotten(subscription, policy, now)) {
                self.broken(Rule::Forgotten, format!("{id} is {}, and nothing is next", subscription.status.word()));
            }
        }
    }
}

fn is_forgotten(subscription: &Subscription, policy: &Policy, now: Timestamp) -> bool {
    let dunning = subscription.plan.terms.dunning.as_ref().unwrap_or(&policy.dunning);
    let may_rest = match subscription.status {
        Status::Expired | Status::Canceled | Status::Paused | Status::NeedsReview => true,
        Status::PastDue => dunning.then == AfterDunning::LeaveUnpaid,
        Status::Pending | Status::Trialing | Status::Active => false,
    };
    match subscription.listed_at {
        None => !may_rest,
        Some(listed_at) => now.duration_since(listed_at) > FORGOTTEN_AFTER,
    }
}

fn of_period(iamport: &Simulator, id: SubscriptionId, period: u32) -> impl Iterator<Item = &Payment> {
    iamport
        .books()
        .payments()
        .iter()
        .filter(move |payment| payment.was_charged() && same_period(&payment.order.merchant_uid, id, period))
}

fn same_period(uid: &str, id: SubscriptionId, period: u32) -> bool {
    let name = uid.parse::<MerchantUid>().ok().filter(|name| name.subscription == id);
    matches!(name.map(|name| name.purpose), Some(Purpose::Charge { period: other, .. }) if other == period)
}

/// It failed at first and was paid just now: whoever has looked before can't know.
fn changed_its_mind(payment: &Payment, now: Timestamp) -> bool {
    payment.paid_at.is_some_and(|paid_at| paid_at > payment.started_at && now.duration_since(paid_at) < RACE)
}

/// The state machine, as the documentation draws it.
fn may_become(was: Status, is: Status) -> bool {
    use Status::*;
    was == is
        || match was {
            Pending => matches!(is, Expired | Trialing | Active | NeedsReview),
            Trialing => matches!(is, Active | PastDue | Paused | Canceled | NeedsReview),
            Active => matches!(is, PastDue | Paused | Canceled | NeedsReview),
            PastDue => matches!(is, Active | Canceled | NeedsReview),
            Paused => matches!(is, Active | Trialing | Canceled | NeedsReview),
            Expired | Canceled => is == NeedsReview,
            NeedsReview => false,
        }
}
