//! The keys of the one table. Who reads a key here knows where everything is.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | subscription | `SUB#{id}` | `SUB` |
//! | its buyer | `SUB#{id}` | `BUYER` |
//! | charge that paid for its period | `SUB#{id}` | `CHARGE#{period}#PAID`: one for each, by a condition of the table |
//! | any other charge | `SUB#{id}` | `CHARGE#{period}#{attempt}`, and `#{imp_uid}` for a second payment of the same name |
//! | refund | `SUB#{id}` | `REFUND#{imp_uid}#{cancellation_id}` |
//! | finding of a reconciliation | `SUB#{id}` | `FINDING#{imp_uid}` |
//! | command that a restore has lost | `SUB#{id}` | `LOST#{digest}` |
//! | decision of an operator | `SUB#{id}` | `AUDIT#{milliseconds}` |
//! | event that has left | `EVENTS#{id}` | `{seconds}-{version}-{event id}` |
//! | customer_uid -> subscription | `CUSTOMER_UID#{customer_uid}` | `SUB` |
//! | current plans | `PLANS` | `{plan_id}` |
//! | plan version | `PLAN#{plan_id}` | `V#{version}` |
//! | how far reconciling is | `RECONCILE` | `RUN` |
//! | how far the look through the living subscriptions is | `RECONCILE` | `SWEEP` |
//! | the kill switch | `SWITCH` | `CHARGING` |
//! | answer to an Idempotency-Key | `IDEMPOTENCY#{operation}#{key}` | `ANSWER` |
//! | import | `IMPORT#{id}` | `IMPORT` |
//! | rows that came with its request | `IMPORT#{id}` | `ROWS` |
//! | row that it refused | `IMPORT#{id}` | `REFUSED#{line}` |

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::import::ImportId;
use crate::subscription::{Charge, CustomerUid, Due, PlanId, SubscriptionId};

/// An item of the table, or its key.
pub type Item = HashMap<String, AttributeValue>;

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The partition.
    pub pk: String,
    /// The place in it.
    pub sk: String,
}

/// What a subscription's own item is sorted under.
pub const SUB: &str = "SUB";
/// What all charges' sort keys begin with.
pub const CHARGE: &str = "CHARGE#";
/// What the sort key of the charge that paid for a period ends with.
pub const PAID: &str = "PAID";
/// What all decisions' sort keys begin with.
pub const AUDIT: &str = "AUDIT#";
/// What the sort keys of commands that a restore has lost begin with.
pub const LOST: &str = "LOST#";
/// What all findings' sort keys begin with.
pub const FINDING: &str = "FINDING#";
/// What the sort keys of the rows that an import refused begin with.
pub const REFUSED: &str = "REFUSED#";
/// What all refunds' sort keys begin with.
pub const REFUND: &str = "REFUND#";

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// The subscription's own item.
    pub fn subscription(id: SubscriptionId) -> Self {
        Self::new(format!("SUB#{id}"), SUB)
    }

    /// The buyer's data, apart from all else so that it can be erased.
    pub fn buyer(id: SubscriptionId) -> Self {
        Self::new(format!("SUB#{id}"), "BUYER")
    }

    /// What a due step is about: the subscription, or the charge with the refund.
    pub fn due(due: &Due) -> Self {
        let key = Self::subscription(due.subscription);
        match &due.charge {
            Some(sk) => Self { sk: sk.clone(), ..key },
            None => key,
        }
    }

    /// A charge: where it was read from, or where a new one belongs.
    pub fn of(charge: &Charge) -> Self {
        match &charge.place {
            Some(place) => Self::new(format!("SUB#{}", charge.subscription), place.clone()),
            None => Self::new_charge(charge),
        }
    }

    /// Where a charge that enters the ledger belongs. The one that pays for a period has the period's own place, which a
    /// condition gives to one alone; any other has its attempt's, and behind it, for a further payment of the same name, its own.
    pub(crate) fn new_charge(charge: &Charge) -> Self {
        if charge.is_settled() {
            return Self::new(format!("SUB#{}", charge.subscription), format!("{CHARGE}{:05}#{PAID}", charge.period));
        }
        let further = charge.payment().filter(|_| charge.further).map(|payment| format!("#{}", payment.imp_uid));
        let place = format!("{CHARGE}{:05}#{:03}{}", charge.period, charge.attempt, further.unwrap_or_default());
        Self::new(format!("SUB#{}", charge.subscription), place)
    }

    /// A refund.
    pub fn refund(id: SubscriptionId, imp_uid: &str, cancellation_id: &str) -> Self {
        Self::new(format!("SUB#{id}"), format!("{REFUND}{imp_uid}#{cancellation_id}"))
    }

    /// What reconciling found of a payment.
    pub fn finding(id: SubscriptionId, imp_uid: &str) -> Self {
        Self::new(format!("SUB#{id}"), format!("{FINDING}{imp_uid}"))
    }

    /// A command that a restore has lost.
    pub fn lost(id: SubscriptionId, digest: &str) -> Self {
        Self::new(format!("SUB#{id}"), format!("{LOST}{digest}"))
    }

    /// What an operator decided at a moment.
    pub fn audit(id: SubscriptionId, millisecond: i64) -> Self {
        Self::new(format!("SUB#{id}"), format!("{AUDIT}{millisecond:013}"))
    }

    /// How far reconciling is.
    pub fn run() -> Self {
        Self::new("RECONCILE".to_owned(), "RUN")
    }

    /// How far the look through the living subscriptions is.
    pub fn sweep() -> Self {
        Self::new("RECONCILE".to_owned(), "SWEEP")
    }

    /// Whether charging is on.
    pub fn switch() -> Self {
        Self::new("SWITCH".to_owned(), "CHARGING")
    }

    /// An event that has left.
    pub fn event(id: SubscriptionId, place: &str) -> Self {
        Self::new(format!("EVENTS#{id}"), place)
    }

    /// Whose a `customer_uid` is.
    pub fn customer_uid(customer_uid: &CustomerUid) -> Self {
        Self::new(format!("CUSTOMER_UID#{customer_uid}"), SUB)
    }

    /// The version of a plan that is sold now.
    pub fn current_plan(id: &PlanId) -> Self {
        Self::new("PLANS".to_owned(), id.as_str())
    }

    /// A version of a plan.
    pub fn plan_version(id: &PlanId, version: u32) -> Self {
        Self::new(format!("PLAN#{id}"), format!("V#{version:06}"))
    }

    /// The answer that an `Idempotency-Key` got.
    pub fn idempotency(operation: &str, key: &str) -> Self {
        Self::new(format!("IDEMPOTENCY#{operation}#{key}"), "ANSWER")
    }

    /// An import.
    pub fn import(id: ImportId) -> Self {
        Self::new(format!("IMPORT#{id}"), "IMPORT")
    }

    /// The rows that came with an import's request.
    pub fn import_rows(id: ImportId) -> Self {
        Self::new(format!("IMPORT#{id}"), "ROWS")
    }

    /// A row that an import refused.
    pub fn refused_row(id: ImportId, line: u64) -> Self {
        Self::new(format!("IMPORT#{id}"), format!("{REFUSED}{line:012}"))
    }

    /// The subscription that this key belongs to, where it is one's.
    pub fn subscription_id(&self) -> Option<SubscriptionId> {
        self.pk.strip_prefix("SUB#")?.parse().ok()
    }

    pub(crate) fn item(&self) -> Item {
        [("pk", &self.pk), ("sk", &self.sk)]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.clone())))
            .into()
    }
}
