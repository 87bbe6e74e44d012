//! What a merchant asks to be paid for: the parameters that the payment window, `again` and schedules have in common.

use serde::Serialize;
use serde_json::Value;

use crate::{envelope::Envelope, params::Params};

/// What a merchant asks to be paid for, in whichever way: window, `again` or schedule.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The merchant's id of the order, at most 40 characters.
    pub merchant_uid: String,
    /// The billing key's name, at most 80 characters.
    pub customer_uid: String,
    /// The product's name, at most 40 characters.
    pub name: String,
    /// Won.
    pub amount: u64,
    /// `KRW` unless the merchant says otherwise.
    pub currency: String,
    /// Who pays.
    pub buyer: Buyer,
    /// The merchant's own data, kept with the payment.
    pub custom_data: Option<String>,
    /// Where webhooks of this order go, instead of the console's URL.
    pub notice_urls: Vec<String>,
}

/// The buyer, as far as the merchant tells.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Buyer {
    pub name: Option<String>,
    pub email: Option<String>,
    pub tel: Option<String>,
    pub addr: Option<String>,
    pub postcode: Option<String>,
}

impl Order {
    /// What somebody else has made with the same credentials.
    pub(crate) fn elsewhere(customer_uid: &str, merchant_uid: &str, amount: u64) -> Self {
        Self {
            merchant_uid: merchant_uid.to_owned(),
            customer_uid: customer_uid.to_owned(),
            name: "다른 상점".to_owned(),
            amount,
            currency: "KRW".to_owned(),
            buyer: Buyer::default(),
            custom_data: None,
            notice_urls: Vec::new(),
        }
    }

    /// Reads an order of `customer_uid`; lengths from the PortOne V1 OpenAPI.
    pub(crate) fn read(params: &Params, customer_uid: String) -> Result<Self, Envelope> {
        Ok(Self {
            merchant_uid: params.required_text("merchant_uid", 40)?,
            customer_uid,
            name: params.required_text("name", 40)?,
            amount: params.required_whole("amount")?,
            currency: params.text("currency").unwrap_or_else(|| "KRW".into()),
            buyer: Buyer {
                name: params.short_text("buyer_name", 16)?,
                email: params.short_text("buyer_email", 64)?,
                tel: params.short_text("buyer_tel", 16)?,
                addr: params.short_text("buyer_addr", 128)?,
                postcode: params.short_text("buyer_postcode", 8)?,
            },
            custom_data: params.raw("custom_data").map(|data| match data {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }),
            notice_urls: params.texts("notice_url"),
        })
    }
}
