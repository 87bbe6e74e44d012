//! The faults that a rule can inject, and the calls that each of them can strike.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The effect happens at once, the answer comes late.
    Slow(SignedDuration),
    /// The connection is cut and nothing happened.
    CutBeforeEffect,
    /// It happened, and then the connection is cut.
    CutAfterEffect,
    /// The connection of an `again` is cut, and I'mport gets to it this much later. A lookup before then finds nothing.
    CutThenEffect(SignedDuration),
    /// This HTTP status, with an HTML body, and nothing happened.
    ErrorBeforeEffect(u16),
    /// It happened, and the answer is this HTTP status with an HTML body.
    ErrorAfterEffect(u16),
    /// It happened, and the answer is 200 with a body that can't be read.
    Nonsense(Nonsense),
    /// The gateway says no: `again` and schedules get `failed` with this `fail_reason`, `cancel` gets code -1.
    Decline {
        /// The gateway's words.
        message: String,
    },
    /// HTTP 200 with this code and message, `response` null, and nothing happened.
    Refuse {
        /// Not 0.
        code: i64,
        /// I'mport's words.
        message: String,
    },
    /// A charge answers `failed`, and after this long the very same payment is `paid`.
    LatePaid(SignedDuration),
    /// Lookups don't find a payment that is younger than this.
    LookupMiss(SignedDuration),
    /// 401, though the token is good.
    ExpiredToken,
    /// Every call is cut before its effect, from this call on and for this long.
    Down(SignedDuration),
    /// The webhook is never sent.
    WebhookLost,
    /// The webhook is sent two times.
    WebhookTwice,
    /// The webhook is sent, and the answer or redirect that it belongs to comes a second later.
    WebhookEarly,
    /// The webhook is sent this much later.
    WebhookLate(SignedDuration),
}

/// A 200 that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonsense {
    /// An HTML page.
    Html,
    /// The first half of the JSON.
    Truncated,
    /// No body.
    Empty,
}

/// The calls that a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// `POST /users/getToken`
    Token,
    /// `POST /subscribe/payments/again`
    Again,
    /// Every `GET` of payments.
    Lookup,
    /// `POST /payments/cancel`
    Cancel,
    /// `/subscribe/customers`
    Customer,
    /// `/subscribe/payments/schedule` and `unschedule`
    Schedule,
    /// The payment window: opening it, and its buttons.
    Window,
    /// A charge that a schedule makes. It is nobody's call: only [`Fault::Decline`] and [`Fault::LatePaid`] strike.
    ScheduledCharge,
    /// The sending of a webhook. Only the webhook faults strike.
    Webhook,
}

impl Fault {
    /// Whether this can happen to such a call.
    pub(crate) fn fits(&self, call: Call) -> bool {
        match self {
            Self::Decline { .. } => {
                matches!(call, Call::Again | Call::ScheduledCharge | Call::Cancel)
            }
            Self::CutThenEffect(_) => call == Call::Again,
            Self::LatePaid(_) => matches!(call, Call::Again | Call::ScheduledCharge),
            Self::LookupMiss(_) => call == Call::Lookup,
            Self::ExpiredToken => !matches!(call, Call::Token | Call::Window | Call::ScheduledCharge | Call::Webhook),
            Self::Refuse { .. } => !matches!(call, Call::Window | Call::ScheduledCharge | Call::Webhook),
            Self::WebhookLost | Self::WebhookTwice | Self::WebhookEarly | Self::WebhookLate(_) => call == Call::Webhook,
            Self::Slow(_)
            | Self::CutBeforeEffect
            | Self::CutAfterEffect
            | Self::ErrorBeforeEffect(_)
            | Self::ErrorAfterEffect(_)
            | Self::Nonsense(_)
            | Self::Down(_) => !matches!(call, Call::ScheduledCharge | Call::Webhook),
        }
    }
}
