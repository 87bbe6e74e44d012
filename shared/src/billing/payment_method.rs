//! A checkout session for a new payment method of a subscription that lives.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Billing;
use super::open_checkout::url;
use crate::subscription::{Checkout, Command, InvalidField};

/// `POST /v1/subscriptions/{id}/payment-method-session`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PaymentMethodRequest {
    /// Where the buyer goes once it worked.
    #[serde(default)]
    pub success_url: Option<String>,
    /// Where the buyer goes who gives up.
    #[serde(default)]
    pub cancel_url: Option<String>,
}

impl Billing {
    /// The command that opens the session, for `life` from now.
    pub fn replace_payment_method(
        &self,
        request: PaymentMethodRequest,
        life: SignedDuration,
    ) -> Result<Command, InvalidField> {
        url("success_url", request.success_url.as_deref())?;
        url("cancel_url", request.cancel_url.as_deref())?;
        let checkout = Checkout {
            expires_at: self.now().saturating_add(life).unwrap_or(Timestamp::MAX),
            success_url: request.success_url,
            cancel_url: request.cancel_url,
            decline: None,
            replaces: None,
        };
        Ok(Command::ReplacePaymentMethod { checkout })
    }
}
