//! What may go wrong, and when. A rule says which call it is about and what happens to it.
//!
//! Rules are looked at in their order. Of those that fit a call, the first that is not [`Fault::Slow`] strikes, and
//! every `Slow` adds its delay: so two rules for one `again` each are two bad calls in a row.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use crate::order::Order;

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
    /// `/payments/prepare`
    Prepare,
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

/// When a fault strikes. What is left out does not matter; an empty rule strikes every call that its fault fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// This call only.
    #[serde(default)]
    pub call: Option<Call>,
    /// Only where the `merchant_uid` contains this.
    #[serde(default)]
    pub merchant_uid: Option<String>,
    /// Only where the `customer_uid` contains this.
    #[serde(default)]
    pub customer_uid: Option<String>,
    /// So many times, then never again.
    #[serde(default)]
    pub times: Option<u32>,
    /// With this probability, 0 to 1, drawn from the seed.
    #[serde(default)]
    pub chance: Option<f64>,
    /// Not before.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Not at or after.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Rule {
    /// Strikes every call that the fault fits. Narrow it with the methods below.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            merchant_uid: None,
            customer_uid: None,
            times: None,
            chance: None,
            from: None,
            until: None,
        }
    }

    /// Strikes the next fitting call, once.
    pub fn once(call: Call, fault: Fault) -> Self {
        Self {
            call: Some(call),
            times: Some(1),
            ..Self::always(fault)
        }
    }

    /// Only this call.
    pub fn on(self, call: Call) -> Self {
        Self {
            call: Some(call),
            ..self
        }
    }

    /// Only so many times.
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Only where the `merchant_uid` contains this.
    pub fn merchant_uid(self, part: impl Into<String>) -> Self {
        Self {
            merchant_uid: Some(part.into()),
            ..self
        }
    }

    /// Only where the `customer_uid` contains this.
    pub fn customer_uid(self, part: impl Into<String>) -> Self {
        Self {
            customer_uid: Some(part.into()),
            ..self
        }
    }

    /// Only with this probability, 0 to 1.
    pub fn chance(self, chance: f64) -> Self {
        Self {
            chance: Some(chance),
            ..self
        }
    }

    /// Only in this span.
    pub fn between(self, from: Timestamp, until: Timestamp) -> Self {
        Self {
            from: Some(from),
            until: Some(until),
            ..self
        }
    }

    fn fits(&self, call: Call, about: &About, now: Timestamp) -> bool {
        let contains = |part: &Option<String>, whole: Option<&str>| {
            part.as_deref()
                .is_none_or(|part| whole.is_some_and(|whole| whole.contains(part)))
        };
        self.fault.fits(call)
            && self.call.is_none_or(|only| only == call)
            && contains(&self.merchant_uid, about.merchant_uid.as_deref())
            && contains(&self.customer_uid, about.customer_uid.as_deref())
            && self.times != Some(0)
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
    }
}

impl Fault {
    fn fits(&self, call: Call) -> bool {
        match self {
            Self::Decline { .. } => {
                matches!(call, Call::Again | Call::ScheduledCharge | Call::Cancel)
            }
            Self::LatePaid(_) => matches!(call, Call::Again | Call::ScheduledCharge),
            Self::LookupMiss(_) => call == Call::Lookup,
            Self::ExpiredToken => !matches!(
                call,
                Call::Token | Call::Window | Call::ScheduledCharge | Call::Webhook
            ),
            Self::Refuse { .. } => {
                !matches!(call, Call::Window | Call::ScheduledCharge | Call::Webhook)
            }
            Self::WebhookLost | Self::WebhookTwice | Self::WebhookEarly | Self::WebhookLate(_) => {
                call == Call::Webhook
            }
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

/// Whom a call is about, as far as it is known before its effect.
#[derive(Debug, Default)]
pub(crate) struct About {
    pub(crate) merchant_uid: Option<String>,
    pub(crate) customer_uid: Option<String>,
}

impl About {
    pub(crate) fn order(order: &Order) -> Self {
        Self {
            merchant_uid: Some(order.merchant_uid.clone()),
            customer_uid: Some(order.customer_uid.clone()),
        }
    }
}

/// What hits one call.
#[derive(Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

/// All rules in force.
#[derive(Debug)]
pub struct FaultPlan {
    rules: Vec<Rule>,
    down_until: Option<Timestamp>,
    dice: StdRng,
}

impl FaultPlan {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            down_until: None,
            dice: StdRng::seed_from_u64(seed),
        }
    }

    /// Adds a rule behind those that are there.
    pub fn add(&mut self, rule: Rule) -> &mut Self {
        self.rules.push(rule);
        self
    }

    /// Everything goes wrong at times, each fault with about this probability, 0 to 1.
    pub fn add_storm(&mut self, chance: f64) -> &mut Self {
        for fault in storm() {
            self.add(Rule::always(fault).chance(chance));
        }
        // An outage hits all calls of its span, so that it begins more rarely.
        self.add(Rule::always(Fault::Down(SignedDuration::from_mins(10))).chance(chance / 20.0))
    }

    /// Nothing goes wrong any more; an outage is over. Late payments and webhooks that are on their way still come.
    pub fn clear(&mut self) {
        self.rules.clear();
        self.down_until = None;
    }

    /// The rules, those with no strikes left too.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn strike(&mut self, call: Call, about: &About, now: Timestamp) -> Strike {
        let mut strike = Strike::default();
        if !matches!(call, Call::ScheduledCharge | Call::Webhook)
            && self.down_until.is_some_and(|end| now < end)
        {
            strike.fault = Some(Fault::CutBeforeEffect);
            return strike;
        }
        for rule in &mut self.rules {
            let slow = matches!(rule.fault, Fault::Slow(_));
            if !slow && strike.fault.is_some() || !rule.fits(call, about, now) {
                continue;
            }
            if rule
                .chance
                .is_some_and(|chance| !self.dice.random_bool(chance.clamp(0.0, 1.0)))
            {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            match rule.fault {
                Fault::Slow(delay) => strike.delay += delay.unsigned_abs(),
                Fault::Down(span) => {
                    self.down_until = Some(now + span);
                    strike.fault = Some(Fault::CutBeforeEffect);
                }
                _ => strike.fault = Some(rule.fault.clone()),
            }
        }
        strike
    }
}

/// One of each, with times that cross the thresholds a client may have: half a minute, ten minutes, an hour.
fn storm() -> Vec<Fault> {
    vec![
        Fault::Slow(SignedDuration::from_secs(3)),
        Fault::Slow(SignedDuration::from_secs(40)),
        Fault::CutBeforeEffect,
        Fault::CutAfterEffect,
        Fault::ErrorBeforeEffect(503),
        Fault::ErrorAfterEffect(502),
        Fault::Nonsense(Nonsense::Html),
        Fault::Nonsense(Nonsense::Truncated),
        Fault::Nonsense(Nonsense::Empty),
        Fault::Decline {
            message: "잔액이 부족합니다.".into(),
        },
        Fault::Refuse {
            code: -1,
            message: "PG사와의 통신에 실패하였습니다.".into(),
        },
        Fault::LatePaid(SignedDuration::from_secs(30)),
        Fault::LatePaid(SignedDuration::from_mins(40)),
        Fault::LookupMiss(SignedDuration::from_secs(20)),
        Fault::LookupMiss(SignedDuration::from_mins(5)),
        Fault::ExpiredToken,
        Fault::WebhookLost,
        Fault::WebhookTwice,
        Fault::WebhookEarly,
        Fault::WebhookLate(SignedDuration::from_mins(2)),
        Fault::WebhookLate(SignedDuration::from_hours(3)),
    ]
}
