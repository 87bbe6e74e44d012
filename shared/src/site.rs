//! Where the buyer's pages are, and what the payment window needs.

use serde::Serialize;

/// The payment window that issues billing keys: which gateway, by which method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Channel {
    /// I'mport's newer way to name a channel.
    Key {
        /// From I'mport's console.
        #[serde(rename = "channelKey")]
        channel_key: String,
        /// How the buyer pays: `trans`, `card`, ...
        pay_method: String,
    },
    /// The gateway's code, or `code.merchant id` where the merchant has several.
    Gateway {
        /// `chai`, or `chai.{public_key}`.
        pg: String,
        /// CHAI takes `trans` only: it debits bank accounts.
        pay_method: String,
    },
}

impl Default for Channel {
    fn default() -> Self {
        Self::Gateway { pg: "chai".to_owned(), pay_method: "trans".to_owned() }
    }
}

/// What the buyer's pages and links need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where the functions are reached from outside, without a slash at the end.
    pub public_url: String,
    /// Where I'mport's JavaScript SDK is loaded from.
    pub sdk_url: String,
    /// The merchant's code for `IMP.init`.
    pub user_code: String,
    /// The payment window.
    pub channel: Channel,
    /// How long a checkout session stays open.
    pub session: jiff::SignedDuration,
    /// The merchant's name on the pages.
    pub merchant_name: String,
}

impl Site {
    /// Where the functions are reached from outside: as configured, else by the name that the request came to. (API
    /// Gateway lets no request through for a name that isn't its own or the merchant's.)
    pub fn base_url(&self, host: Option<&str>) -> String {
        match host {
            Some(host) if self.public_url.is_empty() => format!("https://{host}"),
            Some(_) | None => self.public_url.clone(),
        }
    }
}

/// I'mport's current SDK, which needs no jQuery.
pub const SDK_URL: &str = "https://cdn.iamport.kr/v1/iamport.js";
