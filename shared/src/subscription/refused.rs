//! Why a command or a decision is refused.

/// Why a command was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// For a machine.
    pub reason: Reason,
    /// For a person: what stands in the way, and the way out.
    pub detail: String,
}

/// The reasons why a state and a command don't go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A charge is in flight or in doubt, or a person has to look.
    InDoubt,
    /// The checkout session is open still.
    NotStarted,
    /// It is over.
    Ended,
    /// It is past due.
    PastDue,
    /// It isn't past due.
    NotPastDue,
    /// It is paused.
    Paused,
    /// It is to end with the paid period.
    CancelPlanned,
    /// It is neither paused nor to end.
    NothingToResume,
    /// It has this plan, or will have it.
    SamePlan,
    /// There is no billing key that could be charged or deleted.
    NoBillingKey,
    /// The billing key is being deleted.
    DeletingBillingKey,
    /// As many attempts as a day may have.
    TooManyAttempts,
    /// A refund of the payment is under way.
    RefundUnderWay,
    /// No money of this charge can go back.
    NothingToRefund,
    /// It doesn't wait for a person.
    NothingToRepair,
    /// A person has decided, and it is being carried out.
    RepairUnderWay,
}

impl Reason {
    /// The word that the API uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InDoubt => "in_doubt",
            Self::NotStarted => "not_started",
            Self::Ended => "ended",
            Self::PastDue => "past_due",
            Self::NotPastDue => "not_past_due",
            Self::Paused => "paused",
            Self::CancelPlanned => "cancel_planned",
            Self::NothingToResume => "nothing_to_resume",
            Self::SamePlan => "same_plan",
            Self::NoBillingKey => "no_billing_key",
            Self::DeletingBillingKey => "deleting_billing_key",
            Self::TooManyAttempts => "too_many_attempts",
            Self::RefundUnderWay => "refund_under_way",
            Self::NothingToRefund => "nothing_to_refund",
            Self::NothingToRepair => "nothing_to_repair",
            Self::RepairUnderWay => "repair_under_way",
        }
    }

    /// The reason with a text for a person.
    pub(crate) fn because(self, detail: impl Into<String>) -> Refused {
        Refused { reason: self, detail: detail.into() }
    }
}
