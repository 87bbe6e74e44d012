//! What is next for a subscription, and when. One pure function decides; every function of the stack only executes.

use super::period::FOREVER;
use jiff::{SignedDuration, Timestamp};

use super::charge::Intent;
use super::dunning::{AfterDunning, DunningPolicy};
use super::id::{LAST_ATTEMPT, LAST_PERIOD};
use super::policy::{MissedPeriods, Policy};
use super::repair::RepairAction;
use super::won::Won;
use super::{CLAIMS_A_DAY, Checkout, ReviewCause, Status, Subscription};

/// How long a worker has for an attempt that it claimed, before others may ask what became of it.
pub const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// When we look for an opened payment window of which nothing was heard.
pub const WINDOW_LOOK: SignedDuration = SignedDuration::from_mins(10);
/// The span over which the circuit breaker counts claims.
pub const BREAKER_SPAN: SignedDuration = SignedDuration::from_hours(24);

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before `until`; nothing ever, as things are, where there is none.
    Nothing {
        /// When the next step is due.
        until: Option<Timestamp>,
    },
    /// A payment window was opened and nothing came back: ask I'mport what became of it.
    CheckWindows,
    /// The session is over: close it, unless a window issued a billing key that nobody told us of.
    ExpireCheckout,
    /// The billing key is there and the plan starts with a trial.
    StartTrial,
    /// Charge what is due.
    Charge(Intent),
    /// The credit balance covers what is due, or leaves less than a gateway takes: settle it, without I'mport.
    UseCredit(Intent),
    /// The billing key was deleted: what is due goes unpaid, without asking I'mport.
    GoUnpaid(Intent),
    /// The plan that was chosen for this period begins.
    SwitchPlan,
    /// The billing key is not wanted any more: delete it at I'mport.
    DeleteKey,
    /// Periods went by uncharged: go on with this one.
    SkipTo {
        /// The current period.
        period: u32,
    },
    /// An attempt is in flight or in doubt: find out what became of it.
    Resolve,
    /// As the buyer or the merchant asked.
    CancelAtPeriodEnd,
    /// Dunning is over, nothing was paid, and no payment window is open that may bring a new billing key.
    GiveUp,
    /// A person has decided what becomes of it.
    Repair(RepairAction),
}

impl Subscription {
    /// What to do at `now`.
    pub fn next_step(&self, now: Timestamp, policy: &Policy) -> Step {
        match self.agenda(now, policy) {
            None => Step::Nothing { until: None },
            Some((at, _)) if at > now => Step::Nothing { until: Some(at) },
            Some((_, step @ (Step::Charge(_) | Step::UseCredit(_) | Step::GoUnpaid(_)))) => {
                match self.current_period(now, policy) {
                    Some(period) if period > self.period => Step::SkipTo { period },
                    Some(_) | None => step,
                }
            }
            Some((_, step)) => step,
        }
    }

    /// When the next step is due: what the `due` index sorts by. Never before the step can be done, so that dispatch
    /// doesn't turn in circles.
    pub fn due_at(&self, now: Timestamp, policy: &Policy) -> Option<Timestamp> {
        self.agenda(now, policy).map(|(at, _)| at)
    }

    /// The attempt that the next claim makes live, where the next step is a charge. It is stored ahead of time, so that
    /// a renewal's claim needs no read.
    pub fn next_charge(&self, now: Timestamp, policy: &Policy) -> Option<Intent> {
        match self.agenda(now, policy) {
            Some((_, Step::Charge(intent))) => Some(intent),
            Some(_) | None => None,
        }
    }

    /// When the next charge is planned and how much it will be, less the credit; `None` where none is. A window that is
    /// looked after before it moves no charge.
    pub fn planned_charge(&self, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Won)> {
        let waits = self.status == Status::NeedsReview || self.in_flight.is_some() || self.key_deletion.is_some();
        let (at, step) = match self.status {
            _ if waits => None,
            Status::Trialing | Status::Active => self.living_agenda(now, policy),
            Status::PastDue => self.past_due_agenda(now, policy),
            Status::Pending | Status::Expired | Status::Paused | Status::Canceled | Status::NeedsReview => {
                self.agenda(now, policy)
            }
        }?;
        match step {
            Step::Charge(intent) | Step::UseCredit(intent) => Some((at, intent.amount)),
            Step::SwitchPlan => {
                let price = self.next_plan.as_ref().unwrap_or(&self.plan).terms.amount;
                Some((at, self.parts(price, policy).amount))
            }
            Step::Nothing { .. }
            | Step::CheckWindows
            | Step::ExpireCheckout
            | Step::StartTrial
            | Step::GoUnpaid(_)
            | Step::DeleteKey
            | Step::SkipTo { .. }
            | Step::Resolve
            | Step::CancelAtPeriodEnd
            | Step::GiveUp
            | Step::Repair(_) => None,
        }
    }

    /// The next step and its time, which may be past.
    fn agenda(&self, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Step)> {
        if self.status == Status::NeedsReview {
            return self.review_agenda();
        }
        if self.in_flight.is_some() {
            return Some((self.next_look(), Step::Resolve));
        }
        if let Some(deletion) = &self.key_deletion {
            return Some((deletion.due_at, Step::DeleteKey));
        }
        match self.status {
            Status::Pending => self.pending_agenda(policy),
            Status::Trialing | Status::Active => self.window_first(self.living_agenda(now, policy)),
            Status::PastDue => self.window_first(self.past_due_agenda(now, policy)),
            Status::Paused => self.window_first(self.paused_agenda()),
            Status::Canceled => {
                let kept = self.payment_method.as_ref().is_some_and(|method| !method.deleted);
                let ended_at = self.ended.as_ref().map_or(now, |ended| ended.at);
                (policy.delete_keys && kept).then_some((ended_at, Step::DeleteKey))
            }
            Status::Expired | Status::NeedsReview => None,
        }
    }

    /// While a person is called, what was decided is carried out; else I'mport is asked on for what would end the review, and a
    /// billing key is deleted that the buyer wants deleted.
    fn review_agenda(&self) -> Option<(Timestamp, Step)> {
        if let Some(repair) = &self.repair {
            return Some((repair.due_at, Step::Repair(repair.action)));
        }
        let cause = self.review.as_ref().map_or(ReviewCause::Difference, |review| review.cause);
        match (cause, &self.in_flight, &self.key_deletion) {
            (ReviewCause::Doubt, Some(_), _) => Some((self.next_look(), Step::Resolve)),
            (_, None, Some(deletion)) => Some((deletion.due_at, Step::DeleteKey)),
            (ReviewCause::Difference | ReviewCause::Refund | ReviewCause::KeyDeletion, Some(_), _)
            | (_, None, None) => None,
        }
    }

    /// A window that was opened for a new payment method is looked after, between the other steps.
    fn window_first(&self, next: Option<(Timestamp, Step)>) -> Option<(Timestamp, Step)> {
        let look = self.window_opened_at.map(|opened_at| (after(opened_at, WINDOW_LOOK), Step::CheckWindows));
        match (look, next) {
            (Some(look), Some(next)) if next.0 <= look.0 => Some(next),
            (Some(look), Some(_) | None) => Some(look),
            (None, next) => next,
        }
    }

    /// When a payment window that was opened for a new payment method, and brought none yet, is surely over.
    fn window_closes(&self) -> Option<Timestamp> {
        let opened = self.windows_of_session() > 0 && !self.is_replaced();
        self.checkout.as_ref().filter(|checkout| opened && checkout.replaces.is_some()).map(Checkout::closes_at)
    }

    fn living_agenda(&self, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Step)> {
        let due = self.start_of(self.period)?;
        match (self.cancel_at_period_end, &self.next_plan) {
            (true, _) => Some((due, Step::CancelAtPeriodEnd)),
            (false, Some(_)) => Some((due, Step::SwitchPlan)),
            (false, None) => self.charge_on_schedule(due, now, policy),
        }
    }

    /// While paused, nothing is charged; it can end, though.
    fn paused_agenda(&self) -> Option<(Timestamp, Step)> {
        let paid_until = self.start_of(self.paid_through.saturating_add(1))?;
        self.cancel_at_period_end.then_some((paid_until, Step::CancelAtPeriodEnd))
    }

    fn next_look(&self) -> Timestamp {
        match &self.doubt {
            Some(doubt) => doubt.next_look,
            None => after(self.claimed_at.unwrap_or(self.created_at), LEASE),
        }
    }

    /// A buyer who is there and waits is charged at once, whatever the hour.
    fn pending_agenda(&self, policy: &Policy) -> Option<(Timestamp, Step)> {
        let closes_at = self.checkout.as_ref().map_or(self.created_at, Checkout::closes_at);
        if self.can_be_charged() {
            return match self.plan.terms.trial_days {
                0 => {
                    let at = self.breaker_opens().max(self.created_at);
                    // A breaker that opens only after the session has closed leaves nothing to wait for.
                    match (at < closes_at, self.intent(closes_at, policy)) {
                        (true, Some(intent)) => Some((at, Step::Charge(intent))),
                        (true | false, _) => Some((closes_at, Step::ExpireCheckout)),
                    }
                }
                1.. => Some((self.created_at, Step::StartTrial)),
            };
        }
        match self.window_opened_at {
            Some(opened_at) => Some((after(opened_at, WINDOW_LOOK), Step::CheckWindows)),
            None => Some((closes_at, Step::ExpireCheckout)),
        }
    }

    fn past_due_agenda(&self, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Step)> {
        if self.cancel_at_period_end {
            return Some((self.start_of(self.paid_through.saturating_add(1))?, Step::CancelAtPeriodEnd));
        }
        let dunning = self.dunning.as_ref()?;
        let rules = self.dunning_policy(policy);
        let renewed = self.payment_method.as_ref().is_some_and(|method| !method.broken && dunning.is_untried(method));
        if renewed {
            // The buyer has just brought a new billing key, and waits: no window, no schedule.
            let at = self.held_until().max(dunning.last_decline);
            return Some((at, charge_or_use_credit(self.intent(self.charge_until(policy), policy)?)));
        }
        if let Some(at) = dunning.retry_at.filter(|_| self.can_be_charged()) {
            // The merchant has asked for it, and looks.
            return Some((
                at.max(self.held_until()),
                charge_or_use_credit(self.intent(self.charge_until(policy), policy)?),
            ));
        }
        let retry = dunning.next_retry(rules).filter(|_| self.can_be_charged());
        match (retry, rules.then) {
            (Some(at), AfterDunning::Cancel | AfterDunning::LeaveUnpaid) => self.charge_on_schedule(at, now, policy),
            (None, AfterDunning::Cancel) => {
                let end = dunning.end(rules);
                Some((self.window_closes().map_or(end, |closes_at| closes_at.max(end)), Step::GiveUp))
            }
            (None, AfterDunning::LeaveUnpaid) => None,
        }
    }

    /// A charge that nobody waits for: due at `due`, inside the charge window.
    fn charge_on_schedule(&self, due: Timestamp, now: Timestamp, policy: &Policy) -> Option<(Timestamp, Step)> {
        let intent = self.intent(self.charge_until(policy), policy)?;
        if intent.amount == Won::ZERO {
            // No money moves, so no hour is too late for it.
            return Some((due, Step::UseCredit(intent)));
        }
        if self.payment_method.as_ref().is_some_and(|method| method.deleted) {
            return Some((due, Step::GoUnpaid(intent)));
        }
        let at = policy.charge_window.next_opening(due.max(self.held_until()));
        let at =
            if at <= now && !policy.charge_window.is_open(now) { policy.charge_window.next_opening(now) } else { at };
        Some((at, Step::Charge(intent)))
    }

    /// The next attempt at the current period. `None` where no name is left for one: then a person must look.
    fn intent(&self, until: Timestamp, policy: &Policy) -> Option<Intent> {
        let attempt = self.attempts.saturating_add(1);
        let Parts { amount, credit, carried, left } = self.parts(self.plan.terms.amount, policy);
        (self.period <= LAST_PERIOD && attempt <= LAST_ATTEMPT).then(|| Intent {
            period: self.period,
            attempt,
            merchant_uid: self.charge_name(self.period, attempt),
            amount,
            credit,
            carried,
            left,
            window: self.payment_method.as_ref().map(|method| method.window),
            until,
        })
    }

    /// What of `price` is asked for, and what isn't.
    fn parts(&self, price: Won, policy: &Policy) -> Parts {
        let credit = self.credit.min(price);
        let due = price.saturating_sub(credit) + self.carried;
        match due < policy.least_amount {
            true => Parts { amount: Won::ZERO, credit, carried: Won::ZERO, left: due },
            false => Parts { amount: due, credit, carried: self.carried, left: Won::ZERO },
        }
    }

    /// Until when the current period may be charged.
    fn charge_until(&self, policy: &Policy) -> Timestamp {
        match policy.missed {
            MissedPeriods::Skip => self.start_of(self.period.saturating_add(1)).unwrap_or(FOREVER),
            MissedPeriods::ChargeEach => FOREVER,
        }
    }

    /// The period to charge at `now` where those before it are skipped.
    fn current_period(&self, now: Timestamp, policy: &Policy) -> Option<u32> {
        match policy.missed {
            MissedPeriods::Skip => self.period_at(now),
            MissedPeriods::ChargeEach => None,
        }
    }

    /// When the circuit breaker lets the next claim through: a day after the oldest that it remembers.
    pub(super) fn breaker_opens(&self) -> Timestamp {
        match self.claims[CLAIMS_A_DAY - 1] {
            0 => Timestamp::UNIX_EPOCH,
            oldest => Timestamp::from_millisecond(oldest).map_or(FOREVER, |t| after(t, BREAKER_SPAN)),
        }
    }

    /// Before then nothing is charged, whatever is due: by the breaker, or after a refusal.
    fn held_until(&self) -> Timestamp {
        self.not_before.map_or(self.breaker_opens(), |at| at.max(self.breaker_opens()))
    }

    /// The plan's dunning, or the stack's.
    pub(super) fn dunning_policy<'a>(&'a self, policy: &'a Policy) -> &'a DunningPolicy {
        self.plan.terms.dunning.as_ref().unwrap_or(&policy.dunning)
    }
}

fn charge_or_use_credit(intent: Intent) -> Step {
    match intent.amount {
        Won::ZERO => Step::UseCredit(intent),
        _ => Step::Charge(intent),
    }
}

/// How a price is paid.
struct Parts {
    /// With money.
    amount: Won,
    /// With credit.
    credit: Won,
    /// What of the money is for what was too little before.
    carried: Won,
    /// What is too little now.
    left: Won,
}

pub(super) fn after(t: Timestamp, span: SignedDuration) -> Timestamp {
    t.saturating_add(span).unwrap_or(FOREVER)
}
