//! The use cases: the only place where the domain, I'mport and the table meet. One file per verb.
//!
//! A redirect, a webhook, a queue message, a schedule tick: each is a hint that something may have happened, may come
//! twice, late, early, forged or never. All of them end here, so any order gives the same ledger.

mod charge;
mod checkout_state;
mod command;
mod confirm;
mod delete_key;
mod dispatch;
mod erase;
mod hear;
mod import;
mod incident;
mod lost;
mod my_page;
mod open_checkout;
mod open_reviews;
mod open_window;
mod payment_method;
mod put_plan;
mod reconcile;
mod record;
mod refund;
mod refund_charge;
mod repair;
mod resolve;
mod sweep;
mod verify;
mod warm_up;
mod work;

use std::sync::Arc;

use jiff::Timestamp;

pub use charge::{Charged, SEND_WITHIN};
pub use checkout_state::CheckoutState;
pub use command::{CommandError, CommandRequest, Done};
pub use confirm::{Confirmation, Refusal, WINDOW_AMOUNT};
pub use dispatch::{Dispatched, dispatch};
pub use erase::Erased;
pub use hear::{HearError, Heard};
pub use import::{
    BeginError, ImportError, ImportRequest, Importing, LONGEST_REQUEST, Numbered, Pace, RowsFrom, Schedules,
};
pub use lost::{Lost, LostCommand};
pub use my_page::Pressed;
pub use open_checkout::{CheckoutRequest, OpenError, Opened, Session};
pub use open_window::{Window, WindowError, WindowRequest};
pub use payment_method::PaymentMethodRequest;
pub use put_plan::{PlanRequest, PutPlanError};
pub use reconcile::{Reconciled, Span};
pub use record::Recorded;
pub use refund_charge::{RefundError, RefundRequest};
pub use repair::RepairRequest;
pub use resolve::SETTLE_DELAY;
pub use sweep::Swept;
pub use work::Worked;

use crate::clock::Clock;
use crate::iamport::Iamport;
use crate::ids::Ids;
use crate::store::Store;
use crate::subscription::Policy;

/// What every use case works with.
#[derive(Debug)]
pub struct Billing {
    /// The table.
    pub store: Store,
    /// I'mport.
    pub iamport: Iamport,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// What the merchant has set.
    pub policy: Policy,
    /// New ids.
    pub ids: Ids,
}

/// How often a write that somebody else overtook is decided anew, before the message goes back to the queue.
const TRIES: usize = 6;

impl Billing {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
