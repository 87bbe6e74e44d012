//! Repair: what an operator decides of a subscription that waits for a person. The decision is written first, with who and why,
//! and carried out as a step like any other: by whoever may speak to I'mport.

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use super::id::SubscriptionId;
use super::refused::{Reason, Refused};
use super::{Review, ReviewCause, Status, Subscription};

/// What becomes of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairAction {
    /// I'mport's side counts: what it shows as paid is paid, whatever the amount; what it doesn't have isn't.
    Accept,
    /// What I'mport shows as paid goes back, and pays for nothing.
    Refund,
    /// The same again: looked up for seven days more, asked for eight times more.
    Retry,
    /// Nothing more is done about it: an attempt counts as declined, and our books stay as they are.
    WriteOff,
}

impl RepairAction {
    /// The word that the API and the log use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refund => "refund",
            Self::Retry => "retry",
            Self::WriteOff => "write_off",
        }
    }
}

/// A decision that isn't carried out yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// What was decided.
    pub action: RepairAction,
    /// When it is carried out, or tried again.
    #[serde(with = "millisecond::required")]
    pub due_at: Timestamp,
}

/// A decision in the ledger, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Whose.
    pub subscription: SubscriptionId,
    /// When it was decided.
    #[serde(with = "millisecond::required")]
    pub at: Timestamp,
    /// What.
    pub action: RepairAction,
    /// By whom: an ARN, or that it came with the API token.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// What it was about, in ours.
    pub review: String,
}

impl Subscription {
    /// Decides what becomes of it. Returns what enters the ledger with the decision.
    pub(crate) fn decide(
        &mut self,
        action: RepairAction,
        by: String,
        reason: String,
        now: Timestamp,
    ) -> Result<Audit, Refused> {
        let Some(review) = self.review.as_ref().filter(|_| self.status == Status::NeedsReview) else {
            return Err(Reason::NothingToRepair.because("it doesn't wait for a person"));
        };
        if self.repair.is_some() {
            return Err(Reason::RepairUnderWay.because("a decision is being carried out. Try again in a minute"));
        }
        let audit = Audit { subscription: self.id, at: now, action, by, reason, review: review.reason.clone() };
        self.repair = Some(Repair { action, due_at: now });
        Ok(audit)
    }

    /// What was asked of it was lost with a restore: `what`, in words. Nothing is charged until a person has looked, whatever
    /// else it may wait for, or has been decided.
    pub(crate) fn lose(&mut self, what: &str, now: Timestamp) {
        let lost = format!("lost with a restore: {what}");
        match &mut self.review {
            Some(review) => review.reason = format!("{}; {lost}", review.reason),
            None => self.needs_review(lost, now),
        }
        if let Some(review) = &mut self.review {
            (review.cause, review.lost) = (ReviewCause::Difference, true);
        }
        self.repair = None;
    }

    /// The charge in flight is decided of, and the commands that a restore has lost can be given again, which they couldn't before:
    /// nothing is charged until a person has seen to that, too.
    pub(crate) fn wait_for_lost_commands(&mut self, review: &Review, now: Timestamp) {
        if self.is_over() {
            return;
        }
        self.needs_review(
            format!("{}; its charge in flight is settled: give these commands again, then accept", review.reason),
            now,
        );
        if let Some(review) = &mut self.review {
            review.lost = true;
        }
    }

    /// A person has looked: it stands where it stood.
    pub(crate) fn end_review(&mut self) {
        if let Some(review) = self.review.take() {
            self.status = review.was;
        }
        self.repair = None;
    }
}
