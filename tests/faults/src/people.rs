//! What people do in a history: who subscribes to what, and when which merchant asks for which command. Thrown by the dice;
//! each can be left out, and keeps its number.

use jiff::SignedDuration;
use maedal::subscription::{AfterDunning, ChargeWindow, DunningPolicy, Interval, MissedPeriods, Policy, Unit};

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
    /// How bad the gateway is, all the time.
    pub gateway: Gateway,
    /// Whether a query may show what one transaction has just changed as it was before, item by item: DynamoDB's queries are
    /// read-committed, not serializable.
    pub lagging: bool,
    /// What people do: its number, when, and what.
    pub deeds: Vec<(usize, SignedDuration, Deed)>,
}

/// How bad a gateway is, all the time: what PortOne doesn't say, or says that some gateways do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gateway {
    /// It charges a name once more that is paid.
    pub pays_again: bool,
    /// It refuses less than so many won.
    pub least_amount: u64,
    /// It delays what it does, and what it shows, for hours at times: beyond all that the protocol waits for. What follows is
    /// healed by comparing the books, within a day.
    pub slow: bool,
    /// It deletes no billing key, as long as things go wrong.
    pub keeps_keys: bool,
}

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// For so many minutes the channel is misconfigured: each charge is refused in the words of a missing billing key.
    Misconfigured {
        /// So many.
        minutes: i64,
    },
    /// A buyer with a billing key comes from the old place, with their first charge so many hours ahead.
    Import {
        /// Which buyer.
        who: usize,
        /// So many.
        hours: i64,
    },
    /// Whoever knows the merchant's code opens a window of 0 won under a name of this subscription's, as if it had been guessed.
    Squat {
        /// Whose subscription.
        who: usize,
        /// Under which of its names.
        name: Taken,
        /// For the subscription's own `customer_uid`, and not for another one.
        own: bool,
    },
    /// A newer version of the code writes what the one that runs doesn't know into a subscription; for `minutes`, by a schema that it
    /// must leave alone.
    Newer {
        /// Whose subscription.
        who: usize,
        /// So many; 0 where the schema stays.
        minutes: i64,
    },
    /// Somebody cancels the buyer's latest payment in I'mport's console, all of it.
    CancelByHand {
        /// Whose.
        who: usize,
    },
    /// The table is copied, to be restored later.
    Backup {
        /// Of the transaction that comes next, the copy has a part.
        torn: bool,
    },
    /// The table is lost, and the copy is restored as the runbook says.
    Restore,
    /// Somebody else with the same credentials charges the buyer's key: now, or by a schedule an hour later.
    Elsewhere {
        /// Whose key.
        who: usize,
        /// By a schedule of I'mport's.
        scheduled: bool,
    },
    /// An operator decides of all that waits for a person, while things go wrong.
    Repair,
    /// The merchant deploys other settings.
    Deploy(Settings),
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

/// Settings that a merchant deploys in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settings {
    /// Other retry days, and the other end of dunning.
    Dunning,
    /// The other rule for missed periods.
    Missed,
    /// Charges in the night, too.
    Window,
}

impl Settings {
    /// The policy with these settings.
    pub fn of(self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        match self {
            Self::Dunning => {
                policy.dunning.retry_days = vec![2];
                policy.dunning.then = match policy.dunning.then {
                    AfterDunning::Cancel => AfterDunning::LeaveUnpaid,
                    AfterDunning::LeaveUnpaid => AfterDunning::Cancel,
                };
            }
            Self::Missed => {
                policy.missed = match policy.missed {
                    MissedPeriods::Skip => MissedPeriods::ChargeEach,
                    MissedPeriods::ChargeEach => MissedPeriods::Skip,
                };
            }
            Self::Window => {
                let (open, close) = (jiff::civil::time(0, 0, 0, 0), jiff::civil::time(23, 59, 0, 0));
                policy.charge_window = ChargeWindow::new(open, close).unwrap_or_default();
            }
        }
        policy
    }
}

/// A name that somebody takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The one that the next charge will have.
    Next,
    /// That of the charge in flight; the next one's, where there is none.
    InFlight,
    /// That of the latest declined attempt.
    Declined,
    /// That of the next opening of the window.
    Window,
    /// As it can be guessed from the subscription's id: a paid charge's, without the characters that nobody knows.
    Guessed,
    /// That of the next charge whose request is on its way to I'mport, and doesn't arrive.
    OnTheWay,
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

/// Of a thousand changes of mind so many fall into the minutes around a charge.
const AROUND_CHARGES: u64 = 500;
/// Of a thousand rough lives so many see their channel misconfigured.
const MISCONFIGURED: u64 = 40;
/// Of a thousand rough buyers so many come by an import.
const IMPORTED: u64 = 100;
/// Of a thousand rough buyers so many have a name taken.
const SQUATTED: u64 = 60;
/// Of a thousand rough buyers so many have a payment canceled by hand.
const BY_HAND: u64 = 40;
/// Of a thousand rough buyers so many see a newer version at work.
const NEWER: u64 = 60;
/// Of a thousand rough lives so many lose their table. It costs as many calls as there are days.
const RESTORED: u64 = 30;
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
        let gateway = Gateway {
            pays_again: rough && dice.happens("pays again", 200),
            least_amount: if rough && dice.happens("least amount", 200) { 100 } else { 0 },
            slow: rough && dice.happens("slow", 60),
            keeps_keys: rough && dice.happens("keeps keys", 100),
        };
        let lagging = rough && dice.happens("lagging", 200);
        let mut life = Self {
            interval,
            trial_days,
            policy,
            ends_after,
            per_mille,
            rough,
            operated,
            gateway,
            lagging,
            deeds: Vec::new(),
        };
        let deeds = life.throw_deeds(dice).into_iter().enumerate();
        life.deeds = deeds.map(|(nth, (at, deed))| (nth, at, deed)).collect();
        life.deeds.sort_by_key(|(_, at, _)| *at);
        life
    }

    /// Some minutes before or after a charge of the buyer who arrived so many seconds after the beginning, be it a renewal or a
    /// retry: whatever its period, it is at the same time of a day.
    fn around_a_charge(&self, dice: Dice, about: &str, arrived: u64) -> SignedDuration {
        let days = self.ends_after.as_hours() / 24;
        // Histories begin in November.
        let starts = match self.interval.unit {
            Unit::Day => [1, 2, 3],
            Unit::Week => [7, 14, 21],
            Unit::Month => [30, 61, 92],
            Unit::Year => [365, 730, 1_095],
        };
        let later = dice.one_of(&format!("{about} later"), &[0, 0, 0, 1, 3]);
        let start = dice.one_of(&format!("{about} nth"), &starts);
        let day = (start + later + i64::from(self.trial_days)).min(days.max(1));
        let from_arrival = 40 + i64::try_from(dice.below(&format!("{about} minutes"), 1_500)).unwrap_or(0) - 400;
        let arrived = SignedDuration::from_secs(i64::try_from(arrived).unwrap_or(0));
        arrived + SignedDuration::from_hours(24 * day) + SignedDuration::from_secs(from_arrival)
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
            let imported = self.rough && dice.happens(&format!("imported {who}"), IMPORTED);
            deeds.push(match imported {
                true => {
                    let hours = dice.one_of(&format!("imported for {who}"), &[1, 5, 20]);
                    (seconds(at), Deed::Import { who, hours })
                }
                false => (seconds(at), Deed::Subscribe { who, way: dice.one_of(&format!("way {who}"), ways) }),
            });
            for (nth, later) in [240, 1_500].into_iter().enumerate() {
                let later = later + dice.below(&format!("again {who} {nth}"), 600);
                deeds.push((seconds(at + later), Deed::TryAgain { who }));
            }
            if !self.rough {
                continue;
            }
            let begins = at;
            let sometime = |about: &str| match dice.happens(&format!("{about} near"), AROUND_CHARGES) {
                true => self.around_a_charge(dice, about, begins),
                false => seconds(begins + 60 + dice.below(&format!("{about} at"), span)),
            };
            if dice.happens(&format!("end key {who}"), 80) {
                deeds.push((sometime(&format!("end key {who}")), Deed::EndKey { who }));
            }
            for nth in 0..dice.below(&format!("commands {who}"), 5) {
                let about = format!("command {who} {nth}");
                deeds.push((sometime(&about), Deed::Ask { who, command: dice.one_of(&about, &ASKS) }));
            }
            if dice.happens(&format!("squatted {who}"), SQUATTED) {
                let names = [
                    Taken::Next,
                    Taken::InFlight,
                    Taken::Declined,
                    Taken::Window,
                    Taken::Guessed,
                    Taken::OnTheWay,
                    Taken::OnTheWay,
                ];
                let name = dice.one_of(&format!("squatted name {who}"), &names);
                let own = dice.happens(&format!("squatted own {who}"), 400);
                deeds.push((sometime(&format!("squatted at {who}")), Deed::Squat { who, name, own }));
            }
            if dice.happens(&format!("by hand {who}"), BY_HAND) {
                deeds.push((sometime(&format!("by hand at {who}")), Deed::CancelByHand { who }));
            }
            if dice.happens(&format!("newer {who}"), NEWER) {
                let minutes = dice.one_of(&format!("newer for {who}"), &[0, 0, 5, 60]);
                deeds.push((sometime(&format!("newer at {who}")), Deed::Newer { who, minutes }));
            }
            if dice.happens(&format!("elsewhere {who}"), 30) {
                let scheduled = dice.happens(&format!("scheduled {who}"), 500);
                deeds.push((sometime(&format!("elsewhere at {who}")), Deed::Elsewhere { who, scheduled }));
            }
        }
        if self.rough && dice.happens("down", 150) {
            let minutes = dice.one_of("down for", &[3, 12, 45, 180, 1_500, 1_500, 12_000]);
            deeds.push((seconds(dice.below("down at", span)), Deed::IamportDown { minutes }));
        }
        if self.rough && dice.happens("misconfigured", MISCONFIGURED) {
            let minutes = dice.one_of("misconfigured for", &[15, 120, 600]);
            let at = self.around_a_charge(dice, "misconfigured", dice.below("arrival 0", 36_000));
            deeds.push((at - SignedDuration::from_mins(minutes / 2), Deed::Misconfigured { minutes }));
        }
        if self.rough && dice.happens("repairs", 250) {
            for nth in 0..3 {
                deeds.push((seconds(dice.below(&format!("repair at {nth}"), span)), Deed::Repair));
            }
        }
        if self.rough && dice.happens("deploys", 60) {
            let settings = dice.one_of("deploy", &[Settings::Dunning, Settings::Missed, Settings::Window]);
            deeds.push((seconds(dice.below("deploy at", span)), Deed::Deploy(settings)));
        }
        let restored = self.rough && !self.operated && dice.happens("restored", RESTORED);
        if restored {
            let at = seconds(dice.below("restored at", span));
            let from = at - SignedDuration::from_hours(dice.one_of("restored from", &[1, 6, 30, 80]));
            deeds.push((from.max(SignedDuration::ZERO), Deed::Backup { torn: dice.happens("torn", 600) }));
            deeds.push((at, Deed::Restore));
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
