//! The domain: what a subscription is and what happens to it next. Pure: no I/O, no clock, no async.
//!
//! ```text
//! pending ──> expired
//!    │ first charge paid            declined                 last retry declined
//!    ├────────────────────> active <──────────> past_due ──────────────────────────> canceled
//!    │ trial                  ^   \   paid                                               ^
//!    └──> trialing ───────────┘    \─────────────────── cancel at period end ────────────┘
//!
//! any of them ──> needs_review: a person must look; where only an answer of I'mport's was missing, that ends it, too
//! ```
//!
//! One function says what is next, [`Subscription::next_step`]. Everything else executes steps.

pub mod buyer;
pub mod charge;
pub mod command;
pub mod due;
pub mod dunning;
pub mod finding;
pub mod id;
pub mod name_key;
pub mod period;
pub mod plan;
pub mod policy;
pub mod refund;
pub mod refused;
pub mod repair;
pub mod settle;
pub mod step;
pub mod unknown;
pub mod window;
pub mod won;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use period::FOREVER;
use serde::{Deserialize, Serialize};

pub use buyer::{Buyer, BuyerAction};
pub use charge::{Bill, Charge, ChargeStatus, Intent};
pub use command::{Command, Facts, RefundPart, When};
pub use due::Due;
pub use dunning::{AfterDunning, DeclineKind, DeclineRules, Dunning, DunningPolicy};
pub use finding::{Finding, FindingKind, PaymentName, Side};
pub use id::{CustomerId, CustomerUid, ImpUid, InvalidId, MerchantUid, PlanId, Purpose, SubscriptionId, Tag};
pub use name_key::NameKey;
pub use period::{Interval, Unit};
pub use plan::{InvalidField, Plan, Terms};
pub use policy::{LEAST_AMOUNT, MissedPeriods, Policy};
pub use refund::{Refund, RefundIntent};
pub use refused::{Reason, Refused};
pub use repair::{Audit, Repair, RepairAction};
pub use step::Step;
pub use window::ChargeWindow;
pub use won::Won;

/// Claims that the breaker remembers: so many attempts may be made in any 24 hours.
pub const CLAIMS_A_DAY: usize = 4;

/// A subscription, as the table keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id, and its checkout session's.
    pub id: SubscriptionId,
    /// Goes up with every write. A write that saw an older version is refused.
    pub version: u64,
    /// Where it stands.
    pub status: Status,
    /// The merchant's name for the buyer.
    pub customer_id: CustomerId,
    /// What I'mport keeps the billing key under.
    pub customer_uid: CustomerUid,
    /// What its names for payments and windows can't be guessed without; none in older ones, whose names have no tag. It is
    /// drawn once, and nobody is told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_key: Option<NameKey>,
    /// The plan's version that it was opened with.
    pub plan: Plan,
    /// When the checkout session was opened.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// The way through the payment window; gone once the first renewal settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Checkout>,
    /// How often the payment window was opened.
    #[serde(default)]
    pub windows: u32,
    /// When it was opened last, until somebody looked at what came of it.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub window_opened_at: Option<Timestamp>,
    /// The billing key, as far as we know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<PaymentMethod>,
    /// The start of [`Subscription::anchor_period`], from which all periods count.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Timestamp>,
    /// The period that starts at the anchor: 1, until a change of plan moves both.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub anchor_period: u32,
    /// The period that the next charge pays for.
    pub period: u32,
    /// How many attempts at it have been settled. It never goes back within a period: each attempt has a name of its own.
    pub attempts: u32,
    /// The last period that was paid; 0 before the first.
    pub paid_through: u32,
    /// Present while past due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dunning: Option<Dunning>,
    /// What was refused for no fault of the buyer's isn't tried again before.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The attempt that was claimed and isn't settled. While there is one, no other is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<Intent>,
    /// When it was last claimed, to be sent.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// How often it was claimed to be sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sends: u32,
    /// What is known of an attempt in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// The latest claims, newest first, in Unix milliseconds: the circuit breaker's memory.
    pub claims: [i64; CLAIMS_A_DAY],
    /// The buyer or the merchant wants no further period.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_at_period_end: bool,
    /// The plan from the next period on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_plan: Option<Plan>,
    /// What the next charges are less by: the unused part of a period whose plan was changed.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub credit: Won,
    /// What was too little to be charged so far ([`Policy::least_amount`]): the next charge is more by it.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub carried: Won,
    /// The billing key is to be deleted at I'mport. Until it is, nothing is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_deletion: Option<KeyDeletion>,
    /// Why it needs a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// What that person has decided, until it is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// When and why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When the `due` index lists it, as it was read. Every write lists it anew, from [`Subscription::due_at`].
    #[serde(default, rename = "due_at", with = "millisecond::optional", skip_serializing)]
    pub listed_at: Option<Timestamp>,
    /// What a newer version has written into it.
    #[serde(skip)]
    pub unknown: unknown::Unknown,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

const fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_first(n: &u32) -> bool {
    *n == 1
}

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The checkout session is open; nothing was paid yet.
    Pending,
    /// The session ended without a subscription.
    Expired,
    /// The first charge is still to come.
    Trialing,
    /// Paid.
    Active,
    /// A renewal was declined.
    PastDue,
    /// Held by the merchant; nothing is charged.
    Paused,
    /// Over.
    Canceled,
    /// The books disagree, which only an operator ends; or I'mport could not say or do something for too long: see
    /// [`ReviewCause`].
    NeedsReview,
}

impl Status {
    /// Whether it is over for good.
    pub const fn is_over(self) -> bool {
        matches!(self, Status::Expired | Status::Canceled)
    }

    /// The word that the API and the table use.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Expired => "expired",
            Status::Trialing => "trialing",
            Status::Active => "active",
            Status::PastDue => "past_due",
            Status::Paused => "paused",
            Status::Canceled => "canceled",
            Status::NeedsReview => "needs_review",
        }
    }
}

/// The way through the payment window and back to the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Until when the window can be opened.
    #[serde(with = "millisecond::required")]
    pub expires_at: Timestamp,
    /// Where the buyer goes once it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    /// Where the buyer goes who gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
    /// What the last decline said, for the buyer to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline: Option<String>,
    /// The session is for a new payment method of a subscription that lives: how often the window had been opened before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u32>,
}

/// How long after the session's end we close it: a buyer who is in the window then may still come back.
pub const CHECKOUT_GRACE: jiff::SignedDuration = jiff::SignedDuration::from_mins(30);
/// How long after the session's end a billing key is still accepted: longer, since closing begins with a last look.
pub const CONFIRM_GRACE: jiff::SignedDuration = jiff::SignedDuration::from_hours(2);

impl Checkout {
    /// When the session closes for good.
    pub fn closes_at(&self) -> Timestamp {
        self.expires_at.saturating_add(CHECKOUT_GRACE).unwrap_or(FOREVER)
    }
}

/// A billing key that I'mport holds. The key itself never leaves I'mport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// The opening of the window that issued it.
    pub window: u32,
    /// I'mport's name for the issuance; none where the key was issued elsewhere, and imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imp_uid: Option<ImpUid>,
    /// The gateway behind it, in I'mport's words (`chai`, `kakaopay`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// When we learned of it.
    #[serde(with = "millisecond::required")]
    pub confirmed_at: Timestamp,
    /// A hard decline said that it can't be charged any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
    /// It was deleted at I'mport, as asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A billing key that is to be deleted at I'mport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDeletion {
    /// When I'mport is asked next.
    #[serde(with = "millisecond::required")]
    pub due_at: Timestamp,
    /// How often it was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
}

/// What is known of an attempt whose outcome isn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The attempt's first claim: seven days on, it goes to a person.
    #[serde(with = "millisecond::required")]
    pub since: Timestamp,
    /// How often we have looked.
    pub looks: u32,
    /// When we look next.
    #[serde(with = "millisecond::required")]
    pub next_look: Timestamp,
    /// The last send surely never left this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
    /// I'mport refused the last send with these words, but could not be asked what it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Why a subscription waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Since when.
    #[serde(with = "millisecond::required")]
    pub since: Timestamp,
    /// In words for the operator: what we hold and what I'mport says.
    pub reason: String,
    /// Where it stood before; and where it stands, if late truth has moved it on meanwhile.
    pub was: Status,
    /// What would end it.
    #[serde(default, skip_serializing_if = "ReviewCause::is_difference")]
    pub cause: ReviewCause,
    /// Commands of it were lost with a restore. They may be given again before the review ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// Why a person was called, and so what proof ends the review by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewCause {
    /// The books disagree: only a person can tell what is right.
    #[default]
    Difference,
    /// I'mport could not say for too long what became of an attempt. The looks go on, and its answer ends the review.
    Doubt,
    /// A refund was refused too often. It goes on being asked for, and ends the review once it is settled.
    Refund,
    /// A billing key could not be deleted. The deletion goes on, and ends the review once the key is gone.
    KeyDeletion,
}

impl ReviewCause {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_difference(&self) -> bool {
        *self == Self::Difference
    }
}

/// How a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    #[serde(with = "millisecond::required")]
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Nobody subscribed before the session closed.
    CheckoutExpired,
    /// As asked, at once or at the end of the paid period.
    Requested,
    /// The last retry was declined, or no new billing key came.
    Unpaid,
}

impl Subscription {
    /// Opens a checkout session.
    pub fn open(
        id: SubscriptionId,
        customer_id: CustomerId,
        customer_uid: CustomerUid,
        plan: Plan,
        checkout: Checkout,
        now: Timestamp,
    ) -> Self {
        Self { checkout: Some(checkout), ..Self::blank(id, customer_id, customer_uid, plan, now) }
    }

    /// One that nothing has happened to yet, and without a way to the payment window.
    pub(crate) fn blank(
        id: SubscriptionId,
        customer_id: CustomerId,
        customer_uid: CustomerUid,
        plan: Plan,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            version: 1,
            status: Status::Pending,
            customer_id,
            customer_uid,
            name_key: None,
            plan,
            created_at: now,
            checkout: None,
            windows: 0,
            window_opened_at: None,
            payment_method: None,
            anchor: None,
            anchor_period: first(),
            period: 1,
            attempts: 0,
            paid_through: 0,
            dunning: None,
            not_before: None,
            in_flight: None,
            claimed_at: None,
            sends: 0,
            doubt: None,
            claims: [0; CLAIMS_A_DAY],
            cancel_at_period_end: false,
            next_plan: None,
            credit: Won::ZERO,
            carried: Won::ZERO,
            key_deletion: None,
            review: None,
            repair: None,
            ended: None,
            listed_at: None,
            unknown: unknown::Unknown::default(),
        }
    }

    /// The name of an attempt to charge a period: the same whenever it is asked for.
    pub fn charge_name(&self, period: u32, attempt: u32) -> MerchantUid {
        self.tagged(MerchantUid::charge(self.id, period, attempt))
    }

    /// The name of an opening of the payment window: the same whenever it is asked for.
    pub fn window_name(&self, number: u32) -> MerchantUid {
        self.tagged(MerchantUid::window(self.id, number))
    }

    /// Whether `name`, which anybody may have sent, is what this subscription calls the attempt or the window that it names.
    pub fn is_its_name(&self, name: MerchantUid) -> bool {
        let in_flight = self.in_flight.as_ref().is_some_and(|intent| intent.merchant_uid == name);
        in_flight || name.subscription == self.id && name == self.tagged(name)
    }

    fn tagged(&self, name: MerchantUid) -> MerchantUid {
        let plain = MerchantUid { tag: None, ..name };
        self.name_key.map_or(plain, |key| key.tagged(plain))
    }

    /// Where it stands: while a person looks, where it would stand otherwise.
    pub fn standing(&self) -> Status {
        self.review.as_ref().map_or(self.status, |review| review.was)
    }

    /// When period `period` starts; `None` before the anchor is known.
    pub fn start_of(&self, period: u32) -> Option<Timestamp> {
        let nth = period.saturating_add(1).saturating_sub(self.anchor_period);
        self.anchor.map(|anchor| self.plan.terms.interval.start_of(nth, anchor))
    }

    /// The period that `now` lies in; the anchor's where that is still to come, `None` before the anchor is known.
    pub fn period_at(&self, now: Timestamp) -> Option<u32> {
        let nth = self.anchor.map(|anchor| self.plan.terms.interval.period_at(now, anchor))?;
        Some(nth.saturating_sub(1).saturating_add(self.anchor_period))
    }

    /// Whether the payment window may be opened for a new payment method now: the merchant asked for it, its time isn't
    /// over, and no new key has come yet.
    pub fn is_replacing(&self, now: Timestamp) -> bool {
        let lives = matches!(self.status, Status::Trialing | Status::Active | Status::PastDue | Status::Paused);
        let open = |checkout: &Checkout| checkout.replaces.is_some() && checkout.expires_at > now;
        let asked = self.checkout.as_ref().is_some_and(open);
        lives && asked && self.in_flight.is_none() && !self.is_replaced()
    }

    /// How often the window was opened in the present checkout session.
    pub fn windows_of_session(&self) -> u32 {
        let before = self.checkout.as_ref().and_then(|checkout| checkout.replaces).unwrap_or(0);
        self.windows.saturating_sub(before)
    }

    /// Whether a new billing key has come of the checkout session that was opened for one.
    pub fn is_replaced(&self) -> bool {
        let before = self.checkout.as_ref().and_then(|checkout| checkout.replaces);
        before.zip(self.payment_method.as_ref()).is_some_and(|(before, method)| method.window > before)
    }

    /// Whether the billing key can be charged, as far as we know.
    pub fn can_be_charged(&self) -> bool {
        self.payment_method.as_ref().is_some_and(|method| !method.broken)
    }

    /// Ends it.
    pub fn end(&mut self, reason: EndReason, now: Timestamp) {
        self.status = match reason {
            EndReason::CheckoutExpired => Status::Expired,
            EndReason::Requested | EndReason::Unpaid => Status::Canceled,
        };
        self.dunning = None;
        self.next_plan = None;
        // Whatever a window issues now is of no use.
        self.window_opened_at = None;
        self.ended = Some(Ended { at: now, reason });
    }

    /// Hands it to a person, who alone can tell what is right.
    pub fn needs_review(&mut self, reason: String, now: Timestamp) {
        self.needs_review_for(ReviewCause::Difference, reason, now);
    }

    /// Hands it to a person. A difference takes the place of a cause that proof would end; nothing else does.
    pub fn needs_review_for(&mut self, cause: ReviewCause, reason: String, now: Timestamp) {
        match &mut self.review {
            Some(review) if cause == ReviewCause::Difference && review.cause != cause => {
                (review.cause, review.reason) = (cause, reason);
            }
            Some(_) => (),
            None => {
                self.review = Some(Review { since: now, reason, was: self.status, cause, lost: false });
                self.status = Status::NeedsReview;
            }
        }
    }

    /// Proof has answered what a person was called for: it stands where it stood, unless that person has decided. Whether that
    /// was so.
    pub fn end_review_of(&mut self, cause: ReviewCause) -> bool {
        let ends = self.repair.is_none() && self.review.as_ref().is_some_and(|review| review.cause == cause);
        if ends {
            self.end_review();
        }
        ends
    }
}
