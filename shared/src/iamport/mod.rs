//! The client of I'mport's REST API, V1.
//!
//! HTTP 200 is not success. An answer is an envelope `{code, message, response}`: only `code` 0 with a `response` that
//! says `paid` is money. Whatever can't be read as one of the documented answers is [`CallError`], and
//! [`CallError::surely_unsent`] says whether it can have had an effect.

mod answer;
mod brake;
mod calls;
mod payment;
mod schedule;
mod token;
mod transport;
mod vault;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use answer::{Answer, CallError};
pub use brake::Brake;
pub use calls::{Again, BillingKey, Cancel, LISTED, Listed, PaymentPage};
pub use payment::{Cancellation, IamportPayment, PaymentStatus, Usage};
pub use schedule::{SCHEDULES_SPAN, Schedule, SchedulePage, ScheduleStatus};
pub use transport::{Https, Sending, Transport, TransportError};
pub use vault::{Credentials, NoVault, Opening, Vault, VaultError};

use crate::clock::Clock;
use token::TokenCache;

/// Where I'mport's V1 API is.
pub const PRODUCTION_URL: &str = "https://api.iamport.kr";

/// A client: one for the life of a process, shared by all its work.
#[derive(Debug)]
pub struct Iamport {
    base_url: String,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    token: TokenCache,
    calls: AtomicU64,
    brake: Brake,
}

impl Iamport {
    /// A client of the API at `base_url` (no slash at its end), with what `vault` holds.
    pub fn new(
        base_url: impl Into<String>,
        vault: impl Vault,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            base_url: base_url.into().trim_end_matches('/').to_owned(),
            transport,
            clock,
            token: TokenCache::new(vault),
            calls: AtomicU64::new(0),
            brake: Brake::default(),
        }
    }

    /// How this client's calls have gone lately.
    pub fn brake(&self) -> &Brake {
        &self.brake
    }

    /// How many calls were made so far, those for a token left out: for budgets.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
