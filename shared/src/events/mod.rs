//! Domain events: what a write of the table means to the merchant.
//!
//! The table's stream is the outbox. A change of an item, old image and new, becomes events by one pure function,
//! [`events`]: no second write that could fail, and the same change gives the same events with the same ids however often
//! it is read. A buyer's data is in an item of its own, which is never looked at.
//!
//! An event carries the subscription's version, so that a consumer can restore the order that EventBridge doesn't keep,
//! and all that is needed so as not to call back. `charge.*` are facts that stand for themselves; a refund leaves the
//! subscription as it is, so it carries the version that its charge was settled by.

mod charge;
mod finding;
mod image;
mod subscription;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub use charge::ChargeFacts;
pub use finding::FindingFacts;
pub use image::{Image, Unreadable};
pub use subscription::{NextCharge, PaymentMethodFacts, Period, PlanFacts, SubscriptionFacts};

use crate::subscription::Won;

/// What all events name as their source.
pub const SOURCE: &str = "maedal";

/// Something that happened, as it leaves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainEvent {
    /// The same for every copy of this event, and no other's.
    pub id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The subscription's version by the write that it tells of.
    pub version: u64,
    /// When the table was written, to the second.
    pub occurred_at: Timestamp,
    /// Whose.
    pub subscription: SubscriptionFacts,
    /// The charge that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge: Option<ChargeFacts>,
    /// How much went back by this refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<Won>,
    /// What reconciling found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingFacts>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$name,)*];

            /// The word that consumers match: EventBridge's `detail-type`.
            pub const fn word(self) -> &'static str {
                match self { $(Kind::$name => $word,)* }
            }
        }
    };
}

kinds! {
    /// A checkout session was opened.
    Created = "subscription.created",
    /// The first charge is still to come; the buyer may use what was bought.
    TrialStarted = "subscription.trial_started",
    /// The first period was paid.
    Activated = "subscription.activated",
    /// A further period was paid.
    Renewed = "subscription.renewed",
    /// A renewal was declined; dunning has begun.
    PastDue = "subscription.past_due",
    /// Held by the merchant.
    Paused = "subscription.paused",
    /// No longer held.
    Resumed = "subscription.resumed",
    /// It ends with the paid period.
    CancelScheduled = "subscription.cancel_scheduled",
    /// It goes on after all.
    CancelWithdrawn = "subscription.cancel_withdrawn",
    /// Over.
    Canceled = "subscription.canceled",
    /// The checkout session ended without a subscription.
    Expired = "subscription.expired",
    /// A person must look.
    NeedsReview = "subscription.needs_review",
    /// A person has looked.
    ReviewEnded = "subscription.review_ended",
    /// Another plan, or another version of it.
    PlanChanged = "subscription.plan_changed",
    /// A billing key was issued: the first, or one in place of another.
    PaymentMethodChanged = "subscription.payment_method_changed",
    /// The billing key can't be charged any more: only a new one helps.
    PaymentMethodBroken = "subscription.payment_method_broken",
    /// The billing key was deleted.
    PaymentMethodRemoved = "subscription.payment_method_removed",
    /// The money moved.
    ChargePaid = "charge.paid",
    /// It did not.
    ChargeDeclined = "charge.declined",
    /// A period was paid by the credit balance alone.
    ChargeCredited = "charge.credited",
    /// Nobody knows yet; `charge.paid` or `charge.declined` follows.
    ChargeInDoubt = "charge.in_doubt",
    /// The payment bought nothing (paid twice, or after the end), and goes back: `charge.refunded` follows.
    ChargeDuplicate = "charge.duplicate",
    /// All of a payment or a part went back.
    ChargeRefunded = "charge.refunded",
    /// I'mport's books and ours differ in a payment, and no step can settle it.
    BooksDiffer = "books.differ",
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// What the change from `old` to `new` means, in the order in which it is to be read. An item that was deleted, or that
/// isn't a subscription or a charge, means nothing.
///
/// # Errors
/// Where a subscription or a charge doesn't read as one: a defect that must not go unseen.
pub fn events(
    old: Option<serde_dynamo::Item>,
    new: Option<serde_dynamo::Item>,
    written_at: Timestamp,
) -> Result<Vec<DomainEvent>, Unreadable> {
    let Some(new) = new else { return Ok(Vec::new()) };
    let old = old.map(Image::read).transpose()?;
    Ok(match Image::read(new)? {
        Image::Subscription { subscription, next_charge } => {
            let old = match &old {
                Some(Image::Subscription { subscription, .. }) => Some(subscription.as_ref()),
                Some(Image::Charge(_) | Image::Finding(_) | Image::Other) | None => None,
            };
            subscription::events(old, &subscription, next_charge.as_ref(), written_at)
        }
        Image::Charge(new) => {
            let old = match &old {
                Some(Image::Charge(charge)) => Some(charge.as_ref()),
                Some(Image::Subscription { .. } | Image::Finding(_) | Image::Other) | None => None,
            };
            charge::events(old, &new, written_at)
        }
        Image::Finding(finding) if old.is_none() => vec![finding::event(&finding, written_at)],
        Image::Finding(_) => Vec::new(),
        Image::Other => Vec::new(),
    })
}
