//! What a merchant sets up in I'mport's console (credentials, the webhook's URL and format, a test channel), and the
//! simulator's seed.

use serde::{Deserialize, Serialize};

/// What one merchant has set up in I'mport's console, and the seed of this simulator's history.
#[derive(Clone, Debug)]
pub struct Config {
    /// The merchant's code for `IMP.init`, e.g. `imp00000000`.
    pub user_code: String,
    /// The REST API key.
    pub imp_key: String,
    /// The REST API secret.
    pub imp_secret: String,
    /// The shop's name, shown in the payment window.
    pub merchant_name: String,
    /// Where webhooks go if a request names no `notice_url`. `None`: nowhere.
    pub webhook_url: Option<String>,
    /// How webhook bodies are written.
    pub webhook_format: WebhookFormat,
    /// Whether a webhook that met a network error or a 5xx is sent again (opt-in at I'mport).
    pub webhook_resends: bool,
    /// Whether the channel is a test channel, whose payments a lookup by `imp_uid` hides by default.
    pub sandbox: bool,
    /// Whether `again` charges a name once more that is paid already. PortOne doesn't say what becomes of such a request.
    pub pays_again: bool,
    /// What the gateway takes at least, in won: `again` for less is refused. 0: it takes anything.
    pub least_amount: u64,
    /// Ids and random faults follow from it: one seed and the same requests give one history.
    pub seed: u64,
}

/// The two body formats that I'mport's console offers for webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// `application/json`.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

impl Default for Config {
    /// Made-up credentials, no webhook URL, a gateway as it should be, seed 0.
    fn default() -> Self {
        Self {
            user_code: "imp00000000".into(),
            imp_key: "simulated_key".into(),
            imp_secret: "simulated_secret".into(),
            merchant_name: "매달 상점".into(),
            webhook_url: None,
            webhook_format: WebhookFormat::Json,
            webhook_resends: false,
            sandbox: false,
            pays_again: false,
            least_amount: 0,
            seed: 0,
        }
    }
}
