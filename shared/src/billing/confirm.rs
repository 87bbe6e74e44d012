//! Confirming a billing key: whatever brought us here (redirect, webhook, our own look) is a hint; I'mport is asked.
//!
//! *Crash before the write*: nothing happened; the window is looked up ten minutes after it opened, and a key that comes later
//! still is heard of as the books are compared. *Crash after*: the billing key is recorded, and the same write lists what is
//! next: for a session the look for its window, which finds the first charge or trial due; for a subscription that lives its
//! next step, at once where it is past due.

use jiff::Timestamp;
use tracing::{info, warn};

use super::resolve::SETTLE_DELAY;
use super::{Billing, TRIES};
use crate::iamport::{CallError, IamportPayment, PaymentStatus, Usage};
use crate::store::{StoreError, Taken};
use crate::subscription::period::FOREVER;
use crate::subscription::{ImpUid, MerchantUid, PaymentMethod, Purpose, Status, Subscription, Won};

/// What a payment window shows: nothing is charged while a billing key is issued. (CHAI would only display it; some
/// gateways would charge it.)
pub const WINDOW_AMOUNT: Won = Won::ZERO;

/// What came of a hint that a billing key was issued.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmation {
    /// It was, and the subscription is as it is now: its status tells the rest.
    Confirmed(Box<Subscription>),
    /// I'mport can't be asked, or knows nothing yet, or hasn't decided: ask again.
    NotYet,
    /// It was not. Nothing was changed.
    Refused(Refusal),
}

/// Why a hint changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The name isn't one of ours, or no session has it.
    UnknownSession,
    /// The session closed before the billing key came.
    SessionExpired,
    /// The payment is another one: another name, customer_uid, usage or amount.
    Mismatch,
    /// We hear of it late: I'mport has had this billing key since before the charge that was declined last.
    DeclinedSince,
    /// The buyer left the window, or the gateway refused.
    WindowFailed {
        /// The gateway's words.
        reason: String,
    },
}

impl Billing {
    /// Confirms the billing key that the window `name` issued as payment `imp_uid`, and does what follows at once.
    pub async fn confirm(&self, name: MerchantUid, imp_uid: &ImpUid) -> Result<Confirmation, StoreError> {
        let Purpose::Window { .. } = name.purpose else { return Ok(Confirmation::Refused(Refusal::UnknownSession)) };
        // A name that we haven't made is asked about nowhere.
        let session = self.store.session(name.subscription, self.now()).await?;
        if !session.is_some_and(|session| session.is_its_name(name)) {
            return Ok(Confirmation::Refused(Refusal::UnknownSession));
        }
        match self.iamport.payment(imp_uid).await {
            Ok(Some(payment)) => match self.record_billing_key(name, &payment).await? {
                Confirmation::Confirmed(subscription) => {
                    Ok(Confirmation::Confirmed(Box::new(self.go_on(*subscription).await?)))
                }
                other @ (Confirmation::NotYet | Confirmation::Refused(_)) => Ok(other),
            },
            Ok(None) => Ok(Confirmation::NotYet),
            Err(error) => {
                warn!(merchant_uid = %name, %imp_uid, %error, outcome = "not yet", "I'mport could not be asked");
                Ok(Confirmation::NotYet)
            }
        }
    }

    /// Records the billing key that `payment` issued, once, if it is the session's own. What follows is left to the caller.
    pub(super) async fn record_billing_key(
        &self,
        name: MerchantUid,
        payment: &IamportPayment,
    ) -> Result<Confirmation, StoreError> {
        let Purpose::Window { number } = name.purpose else {
            return Ok(Confirmation::Refused(Refusal::UnknownSession));
        };
        let mismatch = Ok(Confirmation::Refused(Refusal::Mismatch));
        let (Ok(imp_uid), Some(Ok(customer_uid))) =
            (payment.imp_uid.parse::<ImpUid>(), payment.customer_uid.as_ref().map(|uid| uid.parse()))
        else {
            return mismatch;
        };
        if payment.merchant_uid != name.to_string() || payment.customer_uid_usage != Some(Usage::Issue) {
            return mismatch;
        }
        match &payment.status {
            PaymentStatus::Paid => (),
            PaymentStatus::Ready | PaymentStatus::Other(_) => return Ok(Confirmation::NotYet),
            PaymentStatus::Failed | PaymentStatus::Cancelled => {
                let reason = super::verify::fail_reason(payment);
                return Ok(Confirmation::Refused(Refusal::WindowFailed { reason }));
            }
        }
        if payment.amount() != Some(WINDOW_AMOUNT) {
            warn!(merchant_uid = %name, %imp_uid, outcome = "mismatch", "a window that should only issue a billing key has an amount");
            return mismatch;
        }
        let now = self.now();
        // Clocks differ, and a charge may be on its way: from then on it surely is this key that is charged.
        let charged_from = payment.paid_at().and_then(|at| at.saturating_add(SETTLE_DELAY).ok()).unwrap_or(FOREVER);
        let method = PaymentMethod {
            window: number,
            imp_uid: Some(imp_uid),
            provider: payment.pg_provider.clone().filter(|provider| provider.len() <= 40),
            confirmed_at: now,
            broken: false,
            deleted: false,
        };
        let mut seen = match self.store.confirm(name.subscription, &customer_uid, &method, now).await {
            Ok(subscription) => return Ok(recorded(name, subscription)),
            Err(Taken::Store(error)) => return Err(error),
            Err(Taken::Found(None)) => return Ok(Confirmation::Refused(Refusal::UnknownSession)),
            Err(Taken::Found(Some(seen))) => *seen,
        };
        for _ in 0..TRIES {
            if seen.customer_uid != customer_uid {
                return mismatch;
            }
            if !seen.replace_key(method.clone(), charged_from) {
                return Ok(not_recorded(seen, number, charged_from));
            }
            match self.store.put(&mut seen, now, &self.policy).await {
                Ok(()) => {
                    seen.listed_at = seen.due_at(now, &self.policy);
                    return Ok(recorded(name, seen));
                }
                Err(StoreError::Conflict { .. }) => match self.store.subscription(seen.id).await? {
                    Some(current) => seen = current,
                    None => return Ok(Confirmation::Refused(Refusal::UnknownSession)),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error),
            }
        }
        Err(StoreError::Conflict { task: "record a billing key" })
    }

    /// Does what is due now that the billing key is there: the first charge, or the start of the trial.
    async fn go_on(&self, subscription: Subscription) -> Result<Subscription, StoreError> {
        match self.store.charging_is_on(self.now()).await {
            Ok(true) => (),
            Ok(false) => {
                info!(subscription = %subscription.id, outcome = "left to the schedule", "charging is off");
                return Ok(subscription);
            }
            Err(error) => {
                warn!(subscription = %subscription.id, %error, outcome = "left to the schedule", "could not go on");
                return Ok(subscription);
            }
        }
        let before = subscription.clone();
        match Box::pin(self.advance(subscription)).await {
            Ok(worked) => Ok(worked.into_subscription().unwrap_or(before)),
            // The billing key is recorded and the next step is due: the schedule does it if we can't.
            Err(error) => {
                warn!(subscription = %before.id, %error, outcome = "left to the schedule", "could not go on");
                Ok(self.store.subscription(before.id).await.ok().flatten().unwrap_or(before))
            }
        }
    }

    /// Asks I'mport about every window of a session that was opened. `Ok(None)`: no billing key was issued.
    pub(super) async fn find_billing_key(
        &self,
        seen: &Subscription,
    ) -> Result<Option<(MerchantUid, IamportPayment)>, CallError> {
        let known = seen.payment_method.as_ref().map_or(0, |method| method.window);
        for number in (known + 1..=seen.windows).rev() {
            let name = seen.window_name(number);
            let issued = self.iamport.payments_of(name).await?.into_iter().find(|payment| {
                payment.status == PaymentStatus::Paid
                    && payment.customer_uid.as_deref() == Some(seen.customer_uid.as_str())
            });
            if let Some(payment) = issued {
                return Ok(Some((name, payment)));
            }
        }
        Ok(None)
    }
}

fn recorded(name: MerchantUid, subscription: Subscription) -> Confirmation {
    let imp_uid = subscription.payment_method.as_ref().and_then(|method| method.imp_uid.as_ref()).map(ImpUid::as_str);
    info!(merchant_uid = %name, imp_uid, outcome = "billing key", "billing key recorded");
    Confirmation::Confirmed(Box::new(subscription))
}

/// Why the billing key of window `number` changes nothing for `seen`.
fn not_recorded(seen: Subscription, number: u32, charged_from: Timestamp) -> Confirmation {
    let known = seen.payment_method.as_ref().is_some_and(|known| known.window >= number);
    match (known, seen.status) {
        (false, _) if seen.was_declined_since(charged_from) => Confirmation::Refused(Refusal::DeclinedSince),
        // A reload, a second tab, a webhook that came first.
        (true, _) => Confirmation::Confirmed(Box::new(seen)),
        (false, Status::Pending | Status::Expired) => Confirmation::Refused(Refusal::SessionExpired),
        (
            false,
            Status::Trialing
            | Status::Active
            | Status::PastDue
            | Status::Paused
            | Status::Canceled
            | Status::NeedsReview,
        ) => Confirmation::Confirmed(Box::new(seen)),
    }
}
