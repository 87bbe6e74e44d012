//! What goes wrong, and when. A rule says which call it is about and what happens to it.
//!
//! Rules are looked at in their order. Of those that fit a call, the first that is not [`Fault::Slow`] strikes, and
//! every `Slow` adds its delay: so two rules for one `again` each are two bad calls in a row.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    fault::{Call, Fault, Nonsense},
    rule::{About, Rule},
};

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
    stirrings: usize,
}

impl FaultPlan {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), down_until: None, dice: StdRng::seed_from_u64(seed), stirrings: 0 }
    }

    /// Adds a rule behind those that are there.
    pub fn add(&mut self, rule: Rule) -> &mut Self {
        self.rules.push(rule);
        self.stirrings += 1;
        self
    }

    /// No call is answered until then; `None`: they are again.
    pub fn set_down(&mut self, until: Option<Timestamp>) {
        self.down_until = until;
        self.stirrings += 1;
    }

    /// Until when no call is answered.
    pub fn down_until(&self) -> Option<Timestamp> {
        self.down_until
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
        self.stirrings += 1;
    }

    /// The rules, those with no strikes left too.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub(crate) fn stirrings(&self) -> usize {
        self.stirrings
    }

    pub(crate) fn strike(&mut self, call: Call, about: &About, now: Timestamp) -> Strike {
        let mut strike = Strike::default();
        if !matches!(call, Call::ScheduledCharge | Call::Webhook) && self.down_until.is_some_and(|end| now < end) {
            strike.fault = Some(Fault::CutBeforeEffect);
            return strike;
        }
        for rule in &mut self.rules {
            let slow = matches!(rule.fault, Fault::Slow(_));
            if !slow && strike.fault.is_some() || !rule.fits(call, about, now) {
                continue;
            }
            if rule.chance.is_some_and(|chance| !self.dice.random_bool(chance.clamp(0.0, 1.0))) {
                continue;
            }
            rule.times = rule.times.map(|times| times - 1);
            self.stirrings += 1;
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
        Fault::CutThenEffect(SignedDuration::from_mins(1)),
        Fault::ErrorBeforeEffect(503),
        Fault::ErrorAfterEffect(502),
        Fault::Nonsense(Nonsense::Html),
        Fault::Nonsense(Nonsense::Truncated),
        Fault::Nonsense(Nonsense::Empty),
        Fault::Decline { message: "잔액이 부족합니다.".into() },
        Fault::Refuse { code: -1, message: "PG사와의 통신에 실패하였습니다.".into() },
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
