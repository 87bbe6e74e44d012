//! Commands: what the merchant or the buyer asks of a subscription. Each is a pure transition, or is refused with a reason.
//!
//! A command never asks I'mport for anything: it changes what is next, and the steps do the rest. Written with the version
//! that was read, it replaces the next charge and its time together; so no worker, not even one that claims without
//! reading, charges a subscription that was canceled or paused meanwhile, or an amount that is no longer right.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::charge::{Charge, ChargeStatus};
use super::plan::Plan;
use super::policy::Policy;
use super::refused::{Reason, Refused};
use super::won::Won;
use super::{Checkout, EndReason, KeyDeletion, Review, Status, Subscription};

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// No further period.
    Cancel {
        /// When it ends.
        when: When,
        /// What of the latest paid period goes back. Only where it ends now.
        refund: RefundPart,
    },
    /// Charge nothing until it is resumed.
    Pause,
    /// Undo a pause, a planned cancellation, or both. Periods that went by are skipped, the anchor is kept; the period
    /// that is running, if it is unpaid, is charged at once.
    Resume,
    /// Another plan.
    ChangePlan {
        /// The plan.
        plan: Box<Plan>,
        /// Now: the unused part of the paid period becomes credit, and a period of the new plan begins.
        when: When,
    },
    /// Open the payment window again; a new billing key replaces the payment method.
    ReplacePaymentMethod {
        /// The way through the window. `replaces` is set here.
        checkout: Checkout,
    },
    /// Charge what is past due, apart from the retry days.
    Retry,
    /// Delete the billing key at I'mport.
    DeleteKey,
}

/// When a command takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once.
    Now,
    /// When the paid period, or the trial, ends.
    PeriodEnd,
}

/// What goes back where a subscription is canceled now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundPart {
    /// Nothing.
    None,
    /// The unused part of the latest paid period, in whole won, rounded down.
    Unused,
    /// All that was paid for the latest paid period.
    All,
}

/// What a transition goes by.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The present.
    pub now: Timestamp,
    /// What the merchant has set.
    pub policy: &'a Policy,
    /// The charge that settled the latest paid period, where the command needs it ([`Command::needs_charge`]).
    pub paid: Option<&'a Charge>,
}

impl Command {
    /// The name that the API and the log use.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::ChangePlan { .. } => "change-plan",
            Self::ReplacePaymentMethod { .. } => "payment-method-session",
            Self::Retry => "retry",
            Self::DeleteKey => "delete-billing-key",
        }
    }

    /// Whether it may be given while a subscription waits for a person because it was lost with a restore.
    const fn can_be_given_again(&self) -> bool {
        match self {
            Self::Cancel { .. } | Self::Pause | Self::Resume | Self::ChangePlan { .. } | Self::DeleteKey => true,
            Self::ReplacePaymentMethod { .. } | Self::Retry => false,
        }
    }

    /// Whether [`Facts::paid`] must be read for it.
    pub const fn needs_charge(&self) -> bool {
        match self {
            Self::Cancel { when: When::Now, refund: RefundPart::Unused | RefundPart::All }
            | Self::ChangePlan { when: When::Now, .. } => true,
            Self::Cancel { when: When::Now, refund: RefundPart::None }
            | Self::Cancel { when: When::PeriodEnd, .. }
            | Self::ChangePlan { when: When::PeriodEnd, .. }
            | Self::Pause
            | Self::Resume
            | Self::ReplacePaymentMethod { .. }
            | Self::Retry
            | Self::DeleteKey => false,
        }
    }
}

impl Subscription {
    /// Nothing goes ahead while the outcome of a charge isn't known, or while a person looks.
    pub fn beyond_doubt(&self) -> Result<(), Refused> {
        if self.status == Status::NeedsReview {
            return Err(Reason::InDoubt.because("an operator has to look at this subscription first: see its review"));
        }
        match &self.in_flight {
            Some(intent) => Err(Reason::InDoubt.because(format!(
                "what became of the charge {} isn't known yet. Nothing was changed: try again once it is settled",
                intent.merchant_uid
            ))),
            None => Ok(()),
        }
    }

    /// Does what `command` asks for. Returns the charge of the latest paid period where that changes with it: both are
    /// written together.
    pub fn command(&mut self, command: &Command, facts: &Facts<'_>) -> Result<Option<Charge>, Refused> {
        // What was lost is given again while the subscription waits: so nothing is charged in between.
        let waits = self.status == Status::NeedsReview && self.in_flight.is_none() && self.repair.is_none();
        let again = waits && command.can_be_given_again();
        if let Some(review) = self.review.take_if(|review| review.lost && again) {
            self.status = review.was;
            let done = self.command(command, facts);
            // Who has ended waits for nobody.
            if done.is_err() || !self.status.is_over() {
                let was = std::mem::replace(&mut self.status, Status::NeedsReview);
                self.review = Some(Review { was, ..review });
            }
            return done;
        }
        self.beyond_doubt()?;
        match self.status {
            Status::Pending => {
                return Err(Reason::NotStarted.because(
                    "the checkout session is open: there is no subscription yet, and none if the session runs out",
                ));
            }
            Status::Expired => return Err(Reason::Ended.because("the checkout session ended without a subscription")),
            Status::Canceled if *command != Command::DeleteKey => {
                return Err(Reason::Ended.because("the subscription has ended. Open a checkout session for a new one"));
            }
            Status::Canceled
            | Status::Trialing
            | Status::Active
            | Status::PastDue
            | Status::Paused
            | Status::NeedsReview => (),
        }
        match command {
            Command::Cancel { when: When::Now, refund } => self.cancel_now(*refund, facts),
            Command::Cancel { when: When::PeriodEnd, .. } => self.cancel_later().map(|()| None),
            Command::Pause => self.pause().map(|()| None),
            Command::Resume => self.resume(facts).map(|()| None),
            Command::ChangePlan { plan, when } => self.change_plan(plan, *when, facts),
            Command::ReplacePaymentMethod { checkout } => self.replace_payment_method(checkout).map(|()| None),
            Command::Retry => self.retry(facts).map(|()| None),
            Command::DeleteKey => self.delete_key(facts.now).map(|()| None),
        }
    }

    fn cancel_now(&mut self, refund: RefundPart, facts: &Facts<'_>) -> Result<Option<Charge>, Refused> {
        let part = |charge: &Charge| match refund {
            RefundPart::None => Won::ZERO,
            RefundPart::Unused => self.unused(charge, facts.now).min(charge.refundable()),
            RefundPart::All => charge.refundable(),
        };
        let elsewhere = |charge: &Charge| match (&charge.status, refund) {
            (ChargeStatus::Imported, RefundPart::Unused) => self.unused(charge, facts.now),
            (ChargeStatus::Imported, RefundPart::All) => charge.worth(),
            (ChargeStatus::Imported, RefundPart::None)
            | (ChargeStatus::Paid(_) | ChargeStatus::Declined { .. } | ChargeStatus::Credited, _) => Won::ZERO,
        };
        let changed = match facts.paid.map(|charge| (charge, part(charge), elsewhere(charge))) {
            // What was paid elsewhere can't go back from here: the balance says what the merchant owes.
            Some((charge, _, credit)) if credit > Won::ZERO => {
                self.credit = self.credit + credit;
                Some(Charge { credited: charge.credited + credit, ..charge.clone() })
            }
            Some((charge, amount, _)) if amount > Won::ZERO => {
                no_refund_under_way(charge)?;
                let mut changed = charge.clone();
                changed.give_back(amount, "canceled", facts.now);
                Some(changed)
            }
            Some(_) | None => None,
        };
        self.cancel_at_period_end = false;
        self.checkout = None;
        self.end(EndReason::Requested, facts.now);
        Ok(changed)
    }

    fn cancel_later(&mut self) -> Result<(), Refused> {
        if self.status == Status::PastDue {
            return Err(Reason::PastDue.because("the paid period is over already. Cancel it now instead"));
        }
        if self.cancel_at_period_end {
            return Err(Reason::CancelPlanned.because("it is to end with the paid period already"));
        }
        self.cancel_at_period_end = true;
        self.next_plan = None;
        Ok(())
    }

    fn pause(&mut self) -> Result<(), Refused> {
        match self.status {
            Status::PastDue => Err(Reason::PastDue.because("a period is unpaid. Retry the charge, or cancel")),
            Status::Paused => Err(Reason::Paused.because("it is paused already")),
            _ if self.cancel_at_period_end => {
                Err(Reason::CancelPlanned.because("it is to end with the paid period. Resume it first"))
            }
            Status::Pending
            | Status::Expired
            | Status::Trialing
            | Status::Active
            | Status::Canceled
            | Status::NeedsReview => {
                self.status = Status::Paused;
                Ok(())
            }
        }
    }

    fn resume(&mut self, facts: &Facts<'_>) -> Result<(), Refused> {
        let paused = self.status == Status::Paused;
        if !paused && !self.cancel_at_period_end {
            return Err(Reason::NothingToResume.because("it is neither paused nor to end with the paid period"));
        }
        self.cancel_at_period_end = false;
        if paused {
            self.status = if self.paid_through == 0 { Status::Trialing } else { Status::Active };
            if let Some(running) = self.period_at(facts.now).filter(|running| *running > self.period) {
                self.skip_to(running);
            }
        }
        Ok(())
    }

    fn change_plan(&mut self, plan: &Plan, when: When, facts: &Facts<'_>) -> Result<Option<Charge>, Refused> {
        if self.status == Status::PastDue {
            return Err(Reason::PastDue.because("a period of the present plan is unpaid. Retry the charge, or cancel"));
        }
        if self.cancel_at_period_end {
            return Err(Reason::CancelPlanned.because("it is to end with the paid period. Resume it first"));
        }
        if when == When::Now && self.status == Status::Paused {
            return Err(Reason::Paused.because("it is paused. Resume it first, or change the plan at the period's end"));
        }
        let planned = self.next_plan.as_ref().unwrap_or(&self.plan);
        if planned == plan && (when == When::PeriodEnd || self.next_plan.is_none()) {
            return Err(Reason::SamePlan.because("it has this version of the plan, or will have it"));
        }
        match when {
            When::PeriodEnd => {
                // Going back to the present plan is to change nothing.
                self.next_plan = (*plan != self.plan).then(|| plan.clone());
                Ok(None)
            }
            When::Now => {
                let changed = match facts.paid.map(|charge| (charge, self.unused(charge, facts.now))) {
                    Some((charge, unused)) if unused > Won::ZERO => {
                        no_refund_under_way(charge)?;
                        self.credit = self.credit + unused;
                        Some(Charge { credited: charge.credited + unused, ..charge.clone() })
                    }
                    Some(_) | None => None,
                };
                self.next_plan = None;
                self.plan = plan.clone();
                // A trial goes on until its end. The period keeps its number, and so its attempts: no name is used twice.
                if self.status == Status::Active {
                    self.anchor = Some(facts.now);
                    self.anchor_period = self.period;
                }
                Ok(changed)
            }
        }
    }

    fn replace_payment_method(&mut self, checkout: &Checkout) -> Result<(), Refused> {
        self.key_is_kept()?;
        self.checkout = Some(Checkout { replaces: Some(self.windows), ..checkout.clone() });
        Ok(())
    }

    fn retry(&mut self, facts: &Facts<'_>) -> Result<(), Refused> {
        self.key_is_kept()?;
        let opens = self.breaker_opens();
        let chargeable = self.can_be_charged();
        let dunning = match (self.status, &mut self.dunning) {
            (Status::PastDue, Some(dunning)) => dunning,
            (_, Some(_) | None) => {
                return Err(Reason::NotPastDue.because("nothing is past due. Charges are made on schedule"));
            }
        };
        if !chargeable {
            return Err(Reason::NoBillingKey.because(
                "the billing key can't be charged any more. Ask the buyer for a new one: POST payment-method-session",
            ));
        }
        if opens > facts.now {
            return Err(
                Reason::TooManyAttempts.because(format!("so many attempts were made that none is left until {opens}"))
            );
        }
        dunning.retry_at = Some(facts.now);
        Ok(())
    }

    fn delete_key(&mut self, now: Timestamp) -> Result<(), Refused> {
        self.key_is_kept()?;
        if self.payment_method.as_ref().is_none_or(|method| method.deleted) {
            return Err(Reason::NoBillingKey.because("there is no billing key, or it was deleted"));
        }
        // No window may issue a key that this would delete, too.
        self.checkout = None;
        self.window_opened_at = None;
        self.key_deletion = Some(KeyDeletion { due_at: now, tries: 0 });
        Ok(())
    }

    fn key_is_kept(&self) -> Result<(), Refused> {
        match &self.key_deletion {
            Some(_) => Err(Reason::DeletingBillingKey.because("the billing key is being deleted at I'mport")),
            None => Ok(()),
        }
    }

    /// What of the latest paid period's worth isn't used up at `now`: by time, in whole won, rounded down.
    fn unused(&self, charge: &Charge, now: Timestamp) -> Won {
        // Before its first period here, the row says when it began.
        let brought = charge.bill.as_ref().and_then(|bill| bill.starts_at);
        let start = match &charge.status {
            ChargeStatus::Imported => brought.or_else(|| self.start_of(charge.period)),
            ChargeStatus::Paid(_) | ChargeStatus::Declined { .. } | ChargeStatus::Credited => {
                self.start_of(charge.period)
            }
        };
        let (Some(start), Some(end)) = (start, self.start_of(charge.period.saturating_add(1))) else {
            return Won::ZERO;
        };
        let millis = |from: Timestamp, to: Timestamp| u128::try_from(to.duration_since(from).as_millis()).unwrap_or(0);
        charge.worth().part(millis(now.max(start), end), millis(start, end))
    }

    /// The billing key is gone at I'mport.
    pub fn key_deleted(&mut self) {
        self.key_deletion = None;
        if let Some(method) = &mut self.payment_method {
            method.broken = true;
            method.deleted = true;
        }
    }
}

fn no_refund_under_way(charge: &Charge) -> Result<(), Refused> {
    match &charge.refund {
        Some(_) => {
            Err(Reason::RefundUnderWay
                .because("a refund of the latest payment is under way. Try again once it is settled"))
        }
        None => Ok(()),
    }
}
