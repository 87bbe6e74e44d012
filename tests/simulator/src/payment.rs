//! Payments, as the Payment object of PortOne's V1 OpenAPI shows them: `ready`, `paid`, `cancelled` or `failed`, with
//! times of 0 where nothing happened yet.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{channel::Channel, order::Order};

/// One payment in I'mport's books. It is never removed.
#[derive(Clone, Debug)]
pub struct Payment {
    /// I'mport's id, `imp_` and 12 digits.
    pub imp_uid: String,
    /// What is paid for.
    pub order: Order,
    /// How the billing key was used.
    pub usage: Usage,
    /// Where it stands.
    pub status: Status,
    /// The channel that it went through.
    pub channel: Channel,
    /// The payment gateway's id of the transaction.
    pub pg_tid: String,
    /// When the window opened or the charge came in.
    pub started_at: Timestamp,
    /// When it was paid, also where it was cancelled later.
    pub paid_at: Option<Timestamp>,
    /// When it failed, unless it was paid after all.
    pub failed_at: Option<Timestamp>,
    /// When its status changed last.
    pub updated_at: Timestamp,
    /// Why it failed.
    pub fail_reason: Option<String>,
    /// Whole and partial cancellations, oldest first.
    pub cancellations: Vec<Cancellation>,
}

/// A payment's status. A partial cancellation is `cancelled`, too: compare the amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Status {
    Ready,
    Paid,
    Cancelled,
    Failed,
}

/// `customer_uid_usage`: what a billing key was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Usage {
    /// Issued in a window. The amount was shown, not charged.
    #[serde(rename = "issue")]
    Issue,
    /// Charged by `again`.
    #[serde(rename = "payment")]
    Payment,
    /// Charged by a schedule.
    #[serde(rename = "payment.scheduled")]
    Scheduled,
}

/// Money that went back.
#[derive(Clone, Debug, Serialize)]
pub struct Cancellation {
    /// I'mport's id of the cancellation; a webhook carries it.
    pub cancellation_id: String,
    /// The gateway's id of the cancellation.
    pub pg_tid: String,
    /// Won.
    pub amount: u64,
    /// The merchant's words.
    pub reason: Option<String>,
    /// When.
    pub cancelled_at: Timestamp,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Reads the word on the wire.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Ready, Self::Paid, Self::Cancelled, Self::Failed].into_iter().find(|status| status.as_str() == word)
    }
}

impl Payment {
    /// Won that went back so far.
    pub fn cancel_amount(&self) -> u64 {
        self.cancellations.iter().map(|cancellation| cancellation.amount).sum()
    }

    /// Won that can still go back: I'mport's `checksum`.
    pub fn balance(&self) -> u64 {
        if self.was_paid() { self.order.amount - self.cancel_amount() } else { 0 }
    }

    /// Paid at some time, whatever was cancelled since.
    pub fn was_paid(&self) -> bool {
        self.paid_at.is_some()
    }

    /// Money moved: paid, and not only shown in the window of a key's issuance.
    pub fn was_charged(&self) -> bool {
        self.was_paid() && self.usage != Usage::Issue
    }

    /// When it came into its present status.
    pub(crate) fn status_at(&self) -> Timestamp {
        match self.status {
            Status::Ready => Some(self.started_at),
            Status::Paid => self.paid_at,
            Status::Cancelled => self.cancelled_at(),
            Status::Failed => self.failed_at,
        }
        .unwrap_or(self.updated_at)
    }

    fn cancelled_at(&self) -> Option<Timestamp> {
        self.cancellations.last().map(|cancellation| cancellation.cancelled_at)
    }

    /// The Payment object of the REST API: times in unix seconds and 0 where they don't apply, all fields present.
    pub fn to_json(&self) -> Value {
        let Order { merchant_uid, customer_uid, name, amount, currency, buyer, custom_data, .. } = &self.order;
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
        for not_for_transfers in NOT_FOR_TRANSFERS {
            put(not_for_transfers, Value::Null);
        }
        put("imp_uid", json!(self.imp_uid));
        put("merchant_uid", json!(merchant_uid));
        put("customer_uid", json!(customer_uid));
        put("customer_uid_usage", json!(self.usage));
        put("status", json!(self.status));
        put("name", json!(name));
        put("amount", json!(amount));
        put("cancel_amount", json!(self.cancel_amount()));
        put("currency", json!(currency));
        put("custom_data", json!(custom_data));
        put("buyer_name", json!(buyer.name));
        put("buyer_email", json!(buyer.email));
        put("buyer_tel", json!(buyer.tel));
        put("buyer_addr", json!(buyer.addr));
        put("buyer_postcode", json!(buyer.postcode));
        put("pay_method", json!(self.channel.pay_method));
        put("channel", json!(self.channel.medium));
        put("pg_provider", json!(self.channel.pg_provider));
        put("pg_id", json!(self.channel.pg_id));
        put("pg_tid", json!(self.pg_tid));
        put("sandbox", json!(self.channel.sandbox));
        put("escrow", json!(false));
        put("cash_receipt_issued", json!(false));
        put("card_quota", json!(0));
        put("vbank_date", json!(0));
        put("vbank_issued_at", json!(0));
        put("user_agent", json!("simulator"));
        put("started_at", json!(self.started_at.as_second()));
        put("paid_at", seconds(self.paid_at));
        put("failed_at", seconds(self.failed_at));
        put("cancelled_at", seconds(self.cancelled_at()));
        put("fail_reason", json!(self.fail_reason));
        put("cancel_reason", json!(self.cancellations.last().and_then(|last| last.reason.clone())));
        put("cancel_history", self.cancellations.iter().map(Cancellation::to_json).collect());
        put("cancel_receipt_urls", json!([]));
        put("deposit_history", json!([]));
        fields.into()
    }
}

/// Fields of cards, virtual accounts and promotions: there, but null.
const NOT_FOR_TRANSFERS: [&str; 18] = [
    "apply_num",
    "bank_code",
    "bank_name",
    "card_code",
    "card_issuer_code",
    "card_issuer_name",
    "card_name",
    "card_number",
    "card_publisher_code",
    "card_publisher_name",
    "card_type",
    "emb_pg_provider",
    "promotion",
    "receipt_url",
    "vbank_code",
    "vbank_holder",
    "vbank_name",
    "vbank_num",
];

impl Cancellation {
    fn to_json(&self) -> Value {
        json!({
            "cancellation_id": self.cancellation_id,
            "pg_tid": self.pg_tid,
            "amount": self.amount,
            "reason": self.reason.as_deref().unwrap_or_default(),
            "cancelled_at": self.cancelled_at.as_second(),
            "receipt_url": null,
        })
    }
}

/// Unix seconds, 0 for a time that does not apply.
pub(crate) fn seconds(time: Option<Timestamp>) -> Value {
    json!(time.map_or(0, Timestamp::as_second))
}
