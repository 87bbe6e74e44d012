//! What proof changes: transitions of a subscription, and the ledger entries that go with them.
//!
//! Each function here changes the subscription and returns what enters the ledger; the store writes both in one
//! transaction or neither. None of them asks whether something should be done: [`super::step`] has decided that.

use jiff::{SignedDuration, Timestamp};

use super::charge::{Charge, ChargeStatus, Intent, Payment};
use super::dunning::{DeclineKind, Dunning};
use super::id::{ImpUid, MerchantUid, Purpose};
use super::period::days_after;
use super::policy::Policy;
use super::step::after;
use super::unknown::Unknown;
use super::won::Won;
use super::{Doubt, PaymentMethod, ReviewCause, Status, Subscription};

/// When an attempt in doubt is looked up, counted from its last send: the second look comes right after the settle delay.
/// Then once a day.
pub const LOOKS: [SignedDuration; 3] =
    [SignedDuration::from_mins(5), SignedDuration::from_mins(11), SignedDuration::from_hours(1)];
/// How long we look before it goes to a person.
pub const LOOK_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What became of an attempt, beyond doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// I'mport shows the payment, and it matches the intent.
    Paid(Payment),
    /// I'mport shows that it failed, or refused it and has nothing paid, or has no trace of it after the settle delay.
    Declined {
        /// The gateway's words.
        reason: String,
        /// I'mport's name for the attempt, where it made one.
        imp_uid: Option<ImpUid>,
    },
    /// It did not happen, for a reason that is no fault of the buyer's or the billing key's. The next attempt, under the next
    /// name, is due at once.
    Void {
        /// Why, in our words.
        reason: String,
    },
    /// As declined, for a reason that isn't the buyer's: the channel, the gateway, or whatever many are refused for alike. It judges
    /// no billing key and begins no dunning; the charge is tried again later.
    Refused {
        /// I'mport's or the gateway's words.
        reason: String,
        /// I'mport's name for the attempt, where it made one.
        imp_uid: Option<ImpUid>,
    },
}

/// What was refused for no fault of the buyer's is tried again after so long.
pub const REFUSED_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// A payment that I'mport shows, whatever we hold of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatePayment {
    /// The attempt that it was made for.
    pub merchant_uid: MerchantUid,
    /// How much was paid.
    pub amount: Won,
    /// How much of the credit balance the attempt was to use.
    pub credit: Won,
    /// How much of the amount was for what was too little to be charged before.
    pub carried: Won,
    /// The payment.
    pub payment: Payment,
}

impl Subscription {
    /// Records a billing key for a subscription that lives, once. False where nothing was changed: it has this key or a later
    /// one, it is over or with a person, or its key is being deleted. Nor is a key news with which the attempt was made that was
    /// declined last: that is of a claim since `charged_from`.
    pub fn replace_key(&mut self, method: PaymentMethod, charged_from: Timestamp) -> bool {
        let lives = match self.status {
            Status::Trialing | Status::Active | Status::PastDue | Status::Paused => true,
            Status::Pending | Status::Expired | Status::Canceled | Status::NeedsReview => false,
        };
        let known = self.payment_method.as_ref().is_some_and(|known| known.window >= method.window);
        let ours = self.windows >= method.window && self.key_deletion.is_none();
        if !lives || !ours || known || self.was_declined_since(charged_from) {
            return false;
        }
        self.payment_method = Some(method);
        self.window_opened_at = None;
        true
    }

    /// Whether the attempt that was declined last was claimed at `charged_from` or later.
    pub(crate) fn was_declined_since(&self, charged_from: Timestamp) -> bool {
        self.dunning.is_some() && self.claims[0] >= charged_from.as_millisecond()
    }

    /// Starts the trial: the first period begins when it ends.
    pub fn start_trial(&mut self, now: Timestamp) {
        self.anchor = Some(days_after(now, self.plan.terms.trial_days));
        self.window_opened_at = None;
        self.set_status(Status::Trialing);
    }

    /// Leaves the periods before `period` uncharged. Dunning goes on where it stood.
    pub fn skip_to(&mut self, period: u32) {
        self.period = period;
        self.attempts = 0;
    }

    /// Settles the attempt in flight. `None` where there is none.
    ///
    /// Where its period has been paid meanwhile (late truth about an earlier attempt), a payment is a duplicate that
    /// goes back, and a decline changes nothing.
    pub fn settle(&mut self, proof: Proof, now: Timestamp, policy: &Policy) -> Option<Charge> {
        let intent = self.in_flight.take()?;
        let claimed_at = self.claimed_at.take().unwrap_or(now);
        let was_in_doubt = self.doubt.take().is_some();
        self.end_review_of(ReviewCause::Doubt);
        self.sends = 0;
        let paid_before = intent.period <= self.paid_through;
        let status = match &proof {
            Proof::Paid(payment) => ChargeStatus::Paid(payment.clone()),
            Proof::Declined { reason, imp_uid } | Proof::Refused { reason, imp_uid } => {
                ChargeStatus::Declined { reason: reason.clone(), imp_uid: imp_uid.clone() }
            }
            Proof::Void { reason } => ChargeStatus::Declined { reason: reason.clone(), imp_uid: None },
        };
        let mut charge = Charge { was_in_doubt, ..Charge::of(self.id, &intent, status, now) };
        match proof {
            Proof::Paid(_) if paid_before || self.is_over() => charge.is_duplicate(now),
            Proof::Paid(_) => {
                charge.credit = self.advance(intent.period, intent.credit, claimed_at);
                self.pay_carried(intent.carried);
            }
            Proof::Declined { .. } | Proof::Void { .. } | Proof::Refused { .. } if paid_before => (),
            Proof::Void { .. } => self.attempts = self.attempts.max(intent.attempt),
            // The buyer who waits reads why, and may try again.
            Proof::Refused { .. } if self.standing() != Status::Pending => {
                self.attempts = self.attempts.max(intent.attempt);
                self.not_before = Some(after(now, REFUSED_AGAIN));
            }
            Proof::Refused { reason, .. } => self.decline(&intent, &reason, claimed_at, now, policy),
            Proof::Declined { reason, .. } => self.decline(&intent, &reason, claimed_at, now, policy),
        }
        Some(charge)
    }

    /// Whether it hasn't advanced by a charge of the ledger that paid for its period: half of a transaction, as a restored table
    /// may hold it.
    pub fn is_behind(&self, charge: &Charge) -> bool {
        charge.is_settled() && charge.period > self.paid_through && !self.is_over()
    }

    /// The ledger has a charge that paid for its period, and the subscription hasn't advanced by it: half of a transaction, as
    /// a restored table may hold it. It advances now.
    pub fn catch_up(&mut self, charge: &Charge, now: Timestamp) {
        if !charge.is_settled() || charge.period <= self.paid_through {
            return;
        }
        let paid_at = charge.payment().and_then(|payment| payment.paid_at);
        // Its entry says already how much credit it has used.
        let _ = self.advance(charge.period, charge.credit, paid_at.unwrap_or(charge.settled_at).min(now));
        self.pay_carried(charge.carried);
        self.carried = self.carried + charge.left;
        if self.in_flight.as_ref().is_some_and(|intent| intent.merchant_uid == charge.merchant_uid) {
            self.release();
        }
    }

    /// Records a payment that isn't the attempt in flight: late truth, which always wins. `paid_before` says whether the
    /// ledger has a paid charge for that period already; `None` where the name isn't a charge's.
    pub fn record_late(&mut self, late: LatePayment, paid_before: bool, now: Timestamp) -> Option<Charge> {
        let Purpose::Charge { period, attempt } = late.merchant_uid.purpose else { return None };
        let paid_at = late.payment.paid_at;
        let mut charge = Charge {
            subscription: self.id,
            period,
            attempt,
            merchant_uid: late.merchant_uid,
            amount: late.amount,
            credit: late.credit,
            carried: late.carried,
            left: Won::ZERO,
            credited: Won::ZERO,
            status: ChargeStatus::Paid(late.payment),
            settled_at: now,
            was_in_doubt: false,
            duplicate: false,
            further: false,
            refunded: Won::ZERO,
            refund: None,
            bill: None,
            moved: false,
            place: None,
            unknown: Unknown::default(),
        };
        match paid_before || self.is_over() {
            true => charge.is_duplicate(now),
            // A first period that the books have lost began when it was paid.
            false => {
                // The decline that broke the key of a buyer who waited was none.
                let pending = self.standing() == Status::Pending;
                if let Some(method) = self.payment_method.as_mut().filter(|method| pending && !method.deleted) {
                    method.broken = false;
                }
                charge.credit = self.advance(period, late.credit, paid_at.filter(|at| *at < now).unwrap_or(now));
                self.pay_carried(late.carried);
            }
        }
        Some(charge)
    }

    /// The credit balance pays for the period, without I'mport. What is left, too little to be asked for, is asked for with
    /// the next charge.
    pub fn settle_by_credit(&mut self, intent: &Intent, now: Timestamp) -> Charge {
        self.carried = intent.left;
        let credit = self.advance(intent.period, intent.credit, now);
        Charge { credit, ..Charge::of(self.id, intent, ChargeStatus::Credited, now) }
    }

    /// What is due goes unpaid: the billing key was deleted, and I'mport need not be asked to know what it would say.
    pub fn settle_without_key(&mut self, intent: &Intent, now: Timestamp, policy: &Policy) -> Charge {
        let reason = "the billing key was deleted";
        self.decline(intent, reason, now, now, policy);
        Charge::of(self.id, intent, ChargeStatus::Declined { reason: reason.to_owned(), imp_uid: None }, now)
    }

    /// Goes on with the plan that was chosen for the next period. Where its periods are of another length, they count
    /// from the start of that one.
    pub fn switch_plan(&mut self) {
        let Some(plan) = self.next_plan.take() else { return };
        if plan.terms.interval != self.plan.terms.interval {
            self.anchor = self.start_of(self.period);
            self.anchor_period = self.period;
        }
        self.plan = plan;
    }

    /// Lets go of an attempt that surely was never sent and need not be any more.
    pub fn release(&mut self) {
        self.in_flight = None;
        self.claimed_at = None;
        self.sends = 0;
        self.doubt = None;
    }

    /// Keeps an attempt in doubt and plans the next look; after seven days of looking it goes to a person, and is looked up on.
    pub fn keep_in_doubt(&mut self, unsent: bool, refusal: Option<String>, now: Timestamp) {
        let Some(intent) = &self.in_flight else { return };
        let claimed_at = self.claimed_at.unwrap_or(now);
        let since = self.doubt.as_ref().map_or(claimed_at, |doubt| doubt.since);
        if now >= after(since, LOOK_FOR) {
            let uid = intent.merchant_uid;
            let reason = format!("what became of {uid} could not be found out in seven days");
            self.needs_review_for(ReviewCause::Doubt, reason, now);
        }
        // A new send starts the looks anew.
        let looks = self.doubt.as_ref().filter(|doubt| doubt.next_look > claimed_at).map_or(0, |doubt| doubt.looks + 1);
        let planned = match LOOKS.get(looks as usize) {
            Some(delay) => after(claimed_at, *delay),
            None => after(claimed_at, SignedDuration::from_hours(24 * i64::from(looks - 2))),
        };
        // A look that comes late is not followed by a burst of those that it missed.
        let next_look = planned.max(after(now, LOOKS[0]));
        self.doubt = Some(Doubt { since, looks, next_look, unsent, refusal });
    }

    /// When an attempt that left no trace may be sent again; `None`: now. Inside the charge window, unless the buyer waits
    /// for it, and no sooner than the breaker lets it.
    pub fn may_send_again_at(&self, now: Timestamp, policy: &Policy) -> Option<Timestamp> {
        let from = self.breaker_opens().max(now);
        let at = if self.status == Status::Pending { from } else { policy.charge_window.next_opening(from) };
        (at > now).then_some(at)
    }

    /// Plans the next look of an attempt that waits for nothing but the hour.
    pub fn look_again_at(&mut self, at: Timestamp) {
        let claimed_at = self.claimed_at.unwrap_or(at);
        let doubt = self.doubt.get_or_insert(Doubt {
            since: claimed_at,
            looks: 0,
            next_look: at,
            unsent: false,
            refusal: None,
        });
        doubt.next_look = at;
    }

    /// An incident, which was nobody's fault here, is over: the declines of that time are tried once more before anything follows
    /// from them.
    pub fn try_once_more(&mut self, now: Timestamp) {
        if let Some(dunning) = &mut self.dunning {
            dunning.retry_at = Some(now);
        }
        if let Some(method) = self.payment_method.as_mut().filter(|method| !method.deleted) {
            method.broken = false;
        }
    }

    /// What was too little to be charged is paid. Where another payment has paid it before, it is the buyer's.
    fn pay_carried(&mut self, carried: Won) {
        self.credit = self.credit + carried.saturating_sub(self.carried);
        self.carried = self.carried.saturating_sub(carried);
    }

    /// The period is paid: what follows it is next. Returns how much credit it uses: what was meant to be used, as far as it is
    /// there still. Between an attempt and its late payment another may have used it.
    #[must_use]
    fn advance(&mut self, period: u32, credit: Won, attempted_at: Timestamp) -> Won {
        self.not_before = None;
        let used = credit.min(self.credit);
        self.credit = self.credit.saturating_sub(used);
        self.anchor.get_or_insert(attempted_at);
        self.paid_through = self.paid_through.max(period);
        if period >= self.period {
            self.period = period.saturating_add(1);
            self.attempts = 0;
            self.dunning = None;
        }
        if self.paid_through <= 1 {
            self.window_opened_at = None;
        }
        match &mut self.checkout {
            Some(checkout) if period == 1 => checkout.decline = None,
            // The buyer may be in the window, for a new payment method.
            Some(checkout) if checkout.replaces.is_some() && checkout.expires_at > attempted_at => (),
            // The buyer has long been back from the window.
            Some(_) | None => self.checkout = None,
        }
        let stays = match self.standing() {
            Status::Paused => true,
            // Late truth about a skipped period doesn't end the dunning of the current one.
            Status::PastDue => self.dunning.is_some(),
            Status::Pending | Status::Trialing | Status::Active | Status::NeedsReview => false,
            Status::Expired | Status::Canceled => true,
        };
        if !stays {
            self.set_status(Status::Active);
        }
        used
    }

    /// A decline judges the billing key that was charged, and no other: not one that came while the attempt was in doubt.
    fn decline(&mut self, intent: &Intent, reason: &str, claimed_at: Timestamp, now: Timestamp, policy: &Policy) {
        self.not_before = None;
        self.attempts = self.attempts.max(intent.attempt);
        let hard = policy.declines.kind(reason) == DeclineKind::Hard;
        let window = self.window_charged(intent, claimed_at);
        let pending = self.standing() == Status::Pending;
        let charged = self.payment_method.as_mut().filter(|method| method.window == window);
        if let Some(method) = charged.filter(|_| hard || pending) {
            method.broken = true;
        }
        if pending {
            // The buyer is there, reads why, and may open the window again.
            self.window_opened_at = None;
            if let Some(checkout) = &mut self.checkout {
                checkout.decline = Some(reason.to_owned());
            }
            return;
        }
        let rules = self.dunning_policy(policy).clone();
        match &mut self.dunning {
            Some(dunning) => dunning.decline(window, now, &rules),
            None => self.dunning = Some(Dunning::begin(window, now)),
        }
        match self.standing() {
            Status::Paused | Status::Canceled | Status::Expired => (),
            Status::Pending | Status::Trialing | Status::Active | Status::PastDue | Status::NeedsReview => {
                self.set_status(Status::PastDue);
            }
        }
    }

    /// The window whose billing key an attempt that was claimed at `claimed_at` has charged. One that doesn't say so charged the
    /// present key, if that was there already; else one of before it.
    fn window_charged(&self, intent: &Intent, claimed_at: Timestamp) -> u32 {
        let then = self.payment_method.as_ref().filter(|method| method.confirmed_at <= claimed_at);
        intent.window.or(then.map(|method| method.window)).unwrap_or_default()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.standing().is_over()
    }

    /// While a person has it, the machine's states pass behind the scenes.
    fn set_status(&mut self, status: Status) {
        match &mut self.review {
            Some(review) => review.was = status,
            None => self.status = status,
        }
    }
}

impl Charge {
    /// The payment buys nothing (its period was paid before, or the subscription is over): all of it goes back.
    fn is_duplicate(&mut self, now: Timestamp) {
        self.duplicate = true;
        self.credit = Won::ZERO;
        self.give_back(self.amount, "paid twice, or after the end", now);
    }
}
