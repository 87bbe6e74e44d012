//! Opening the payment window: counted before it opens, so that no billing key is issued that we would not look for.

use serde::Serialize;

use super::Billing;
use super::TRIES;
use super::confirm::WINDOW_AMOUNT;
use crate::site::{Channel, Site};
use crate::store::MOST_WINDOWS;
use crate::store::{StoreError, Taken};
use crate::subscription::{CustomerUid, MerchantUid, Status, Subscription, SubscriptionId, Won};

/// What the page gives to `IMP.init` and `IMP.request_pay`. All of it comes from here, nothing from the browser.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// For `IMP.init`.
    pub user_code: String,
    /// For `IMP.request_pay`.
    pub request: WindowRequest,
}

/// The parameters of `IMP.request_pay`, as I'mport's guide to CHAI billing keys has them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowRequest {
    /// `pg` and `pay_method`, or `channelKey` and `pay_method`.
    #[serde(flatten)]
    pub channel: Channel,
    /// New for each opening.
    pub merchant_uid: MerchantUid,
    /// What is sold.
    pub name: String,
    /// Nothing is charged in the window.
    pub amount: Won,
    /// What the billing key will be kept under.
    pub customer_uid: CustomerUid,
    /// The buyer, as far as the merchant told us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_email: Option<String>,
    /// The buyer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_name: Option<String>,
    /// The buyer's telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_tel: Option<String>,
    /// The buyer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_addr: Option<String>,
    /// The buyer's postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_postcode: Option<String>,
    /// Where the browser comes back to.
    pub m_redirect_url: String,
}

/// A window that can't be opened.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// No such session.
    #[error("there is no such checkout session")]
    UnknownSession,
    /// It has ended, or was opened too often.
    #[error("this checkout session is over. Ask the shop for a new one")]
    Over(Box<Subscription>),
    /// It needs no window now: a charge is being confirmed, or the subscription has begun.
    #[error("this checkout session needs no payment window now")]
    NotNeeded(Box<Subscription>),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Billing {
    /// Counts an opening of the window for session `id` and returns what the page needs to open it.
    pub async fn open_window(&self, id: SubscriptionId, site: &Site, public_url: &str) -> Result<Window, WindowError> {
        let now = self.now();
        let session = match self.store.open_window(id, now).await {
            Ok(session) => session,
            Err(Taken::Store(error)) => return Err(error.into()),
            Err(Taken::Found(None)) => return Err(WindowError::UnknownSession),
            Err(Taken::Found(Some(seen)))
                if seen.status == Status::Pending && (seen.in_flight.is_some() || seen.can_be_charged()) =>
            {
                return Err(WindowError::NotNeeded(seen));
            }
            Err(Taken::Found(Some(seen))) if seen.checkout.as_ref().is_some_and(|c| c.replaces.is_some()) => {
                self.open_window_again(*seen).await?
            }
            Err(Taken::Found(Some(seen))) => {
                return Err(match seen.status {
                    Status::Pending | Status::Expired | Status::Canceled => WindowError::Over(seen),
                    Status::Trialing | Status::Active | Status::PastDue | Status::Paused | Status::NeedsReview => {
                        WindowError::NotNeeded(seen)
                    }
                });
            }
        };
        self.window(session, site, public_url).await
    }

    /// Counts an opening of the window for a new payment method. What else is due stays due.
    async fn open_window_again(&self, mut seen: Subscription) -> Result<Subscription, WindowError> {
        for _ in 0..TRIES {
            let now = self.now();
            if !seen.is_replacing(now) {
                return Err(match seen.status {
                    Status::Pending | Status::Expired | Status::Canceled => WindowError::Over(Box::new(seen)),
                    Status::Trialing | Status::Active | Status::PastDue | Status::Paused | Status::NeedsReview => {
                        WindowError::NotNeeded(Box::new(seen))
                    }
                });
            }
            if seen.windows_of_session() >= MOST_WINDOWS {
                return Err(WindowError::Over(Box::new(seen)));
            }
            seen.windows += 1;
            seen.window_opened_at = Some(now);
            match self.store.put(&mut seen, now, &self.policy).await {
                Ok(()) => return Ok(seen),
                Err(StoreError::Conflict { .. }) => match self.store.subscription(seen.id).await? {
                    Some(current) => seen = current,
                    None => return Err(WindowError::UnknownSession),
                },
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "open a payment window" }.into())
    }

    async fn window(&self, session: Subscription, site: &Site, public_url: &str) -> Result<Window, WindowError> {
        let id = session.id;
        let buyer = self.store.buyer(id).await?;
        Ok(Window {
            user_code: site.user_code.clone(),
            request: WindowRequest {
                channel: site.channel.clone(),
                merchant_uid: session.window_name(session.windows),
                name: session.plan.terms.name,
                amount: WINDOW_AMOUNT,
                customer_uid: session.customer_uid,
                buyer_email: buyer.email,
                buyer_name: buyer.name,
                buyer_tel: buyer.tel,
                buyer_addr: buyer.addr,
                buyer_postcode: buyer.postcode,
                m_redirect_url: format!("{public_url}/payments/complete"),
            },
        })
    }
}
