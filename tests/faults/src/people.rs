//! What people do in a history: who subscribes to what, and when which merchant asks for which command. Thrown by the dice;
//! each can be left out, and keeps its number.

use jiff::SignedDuration;
use maedal::subscription::{AfterDunning, DunningPolicy, Interval, MissedPeriods, Policy, Unit};

use crate::dice::Dice;

/// How long histories are, and how wild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// What is sold: its period.
    pub interval: Interval,
    /// Days before the first charge.
    pub trial_days: u16,
    /// What the merchant has set.
    pub policy: Policy,
    /// When things stop going wrong.
    pub ends_after: SignedDuration,
    /// Faults in a thousand calls.
    pub per_mille: u64,
    /// Whether the queue, webhooks and ticks misbehave.
    pub rough: bool,
    /// Whether the merchant switches charging off, and has the books compared.
    pub operated: bool,
    /// What people do: its number, when, and what.
    pub deeds: Vec<(usize, SignedDuration, Deed)>,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The shop opens a session for buyer `who`, who goes through the window.
    Subscribe {
        /// Which buyer, from 0.
        who: usize,
        /// What happens in the window and on the way back.
        way: Way,
    },
    /// The buyer opens the window of the session again, if it still needs one, and approves.
    TryAgain {
        /// Which buyer.
        who: usize,
    },
    /// The buyer ends the agreement at the gateway. I'mport isn't told.
    EndKey {
        /// Which buyer.
        who: usize,
    },
    /// The merchant asks for something.
    Ask {
        /// Whose subscription.
        who: usize,
        /// For what.
        command: Ask,
    },
    /// I'mport can't be reached for so many minutes.
    IamportDown {
        /// So many.
        minutes: i64,
    },
    /// The merchant switches charging off, and on again so many minutes later.
    SwitchOff {
        /// So many.
        minutes: u64,
    },
    /// The books are compared: by the schedule, or these last days because the merchant wants it.
    Compare {
        /// Which.
        days: Option<u8>,
    },
}

/// What happens in the window and on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Approved, and back at once.
    Back,
    /// Approved, and the browser dies: nobody comes back.
    Lost,
    /// Approved, and back in two tabs at once.
    TwoTabs,
    /// Approved, and back half an hour later.
    Late,
    /// Refused in the window; then approved in another.
    RefusedFirst,
    /// Left.
    Closed,
}

/// The merchant's commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Ask {
    CancelNow,
    CancelNowUnused,
    CancelNowAll,
    CancelAtPeriodEnd,
    Pause,
    Resume,
    ChangePlanNow,
    ChangePlanLater,
    Retry,
    RefundPart,
    RefundAll,
    NewPaymentMethod,
    DeleteKey,
}

const ASKS: [Ask; 18] = [
    Ask::CancelNow,
    Ask::CancelNowUnused,
    Ask::CancelNowAll,
    Ask::CancelAtPeriodEnd,
    Ask::Pause,
    Ask::Resume,
    Ask::Resume,
    Ask::ChangePlanNow,
    Ask::ChangePlanLater,
    Ask::Retry,
    Ask::Retry,
    Ask::Retry,
    Ask::RefundPart,
    Ask::RefundPart,
    Ask::RefundAll,
    Ask::NewPaymentMethod,
    Ask::NewPaymentMethod,
    Ask::DeleteKey,
];

/// Of a thousand rough lives so many are operated.
const OPERATED: u64 = 60;

impl Life {
    /// The life that `dice` throw.
    pub fn thrown(dice: Dice) -> Self {
        let (unit, days) = dice.one_of("unit", &[(Unit::Day, 1), (Unit::Day, 1), (Unit::Week, 7), (Unit::Month, 30)]);
        let interval = Interval { unit, count: 1 };
        let periods = dice.one_of("periods", &[1, 1, 2, 2, 2, 3, 3, 6]);
        let trial_days = if dice.happens("trial", 150) { 2 } else { 0 };
        let ends_after = SignedDuration::from_hours(24 * (days * periods + i64::from(trial_days)) + 12);
        let (per_mille, rough) = match dice.below("weather", 100) {
            0..8 => (0, false),
            8..45 => (15, true),
            45..85 => (50, true),
            _ => (130, true),
        };
        let policy = Policy {
            missed: if dice.happens("missed", 300) { MissedPeriods::ChargeEach } else { MissedPeriods::Skip },
            dunning: DunningPolicy {
                retry_days: vec![1, 3],
                then: if dice.happens("then", 250) { AfterDunning::LeaveUnpaid } else { AfterDunning::Cancel },
            },
            delete_keys: dice.happens("delete keys", 150),
            ..Policy::default()
        };
        let operated = rough && dice.happens("operated", OPERATED);
        let mut life = Self { interval, trial_days, policy, ends_after, per_mille, rough, operated, deeds: Vec::new() };
        let deeds = life.throw_deeds(dice).into_iter().enumerate();
        life.deeds = deeds.map(|(nth, (at, deed))| (nth, at, deed)).collect();
        life.deeds.sort_by_key(|(_, at, _)| *at);
        life
    }

    fn throw_deeds(&self, dice: Dice) -> Vec<(SignedDuration, Deed)> {
        use Way::*;
        let mut deeds = Vec::new();
        let span = u64::try_from(self.ends_after.as_secs()).unwrap_or(1);
        let seconds = |s: u64| SignedDuration::from_secs(i64::try_from(s).unwrap_or(0));
        for who in 0..1 + usize::from(dice.happens("second buyer", 250)) {
            let at = dice.below(&format!("arrival {who}"), 36_000);
            let ways = [Back, Back, Back, Back, Lost, TwoTabs, TwoTabs, Late, RefusedFirst, Closed];
            let ways = if self.rough { &ways[..] } else { &ways[..1] };
            deeds.push((seconds(at), Deed::Subscribe { who, way: dice.one_of(&format!("way {who}"), ways) }));
            for (nth, later) in [240, 1_500].into_iter().enumerate() {
                let later = later + dice.below(&format!("again {who} {nth}"), 600);
                deeds.push((seconds(at + later), Deed::TryAgain { who }));
            }
            if !self.rough {
                continue;
            }
            if dice.happens(&format!("end key {who}"), 80) {
                deeds.push((seconds(dice.below(&format!("end key at {who}"), span)), Deed::EndKey { who }));
            }
            for nth in 0..dice.below(&format!("commands {who}"), 5) {
                let about = format!("command {who} {nth}");
                let at = seconds(at + 60 + dice.below(&format!("{about} at"), span));
                deeds.push((at, Deed::Ask { who, command: dice.one_of(&about, &ASKS) }));
            }
        }
        if self.rough && dice.happens("down", 150) {
            let minutes = dice.one_of("down for", &[3, 12, 45, 180, 1_500]);
            deeds.push((seconds(dice.below("down at", span)), Deed::IamportDown { minutes }));
        }
        if self.operated {
            for nth in 0..1 + dice.below("switched off", 2) {
                let minutes = dice.one_of(&format!("off for {nth}"), &[3, 60, 300, 1_500]);
                deeds.push((seconds(dice.below(&format!("off at {nth}"), span)), Deed::SwitchOff { minutes }));
            }
            // Seldom in long lives: a day's comparison is many calls.
            for nth in 0..1 + dice.below("compared", 3) {
                let days = match self.interval.unit {
                    Unit::Day => dice.one_of(&format!("days {nth}"), &[None, None, Some(1), Some(3)]),
                    Unit::Week | Unit::Month | Unit::Year => Some(1),
                };
                deeds.push((seconds(dice.below(&format!("compared at {nth}"), span)), Deed::Compare { days }));
            }
        }
        deeds
    }
}
