//! The price oracle: what should have been asked of whom, how much, and from when on. It knows the published prices, what people
//! did (the [`Log`]) and the calendar, and nothing of the code under test: no plan, no step, no settlement of `maedal`'s is asked.
//! What it says is compared with I'mport's books, once all is quiet.
//!
//! It is exact where what people did decides everything: trials, renewals, cancellations, changes of plan now and later, credit by
//! time, refunds, what is too little to be charged. A change of plan is made by a worker's clock, so its credit is known but for what
//! that clock may be wrong. Where money was moved late, or a person or a pause came in between, it has bounds: never more than the
//! dearest price that was agreed to, never before the time, never more often than there were periods.

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, tz::TimeZone};
use maedal::subscription::{Interval, MerchantUid, MissedPeriods, Purpose, SubscriptionId, Unit};
use simulator::{Payment, Simulator};

use crate::fault::MOST_OFF;
use crate::history::EPOCH;
use crate::log::{Did, Log};
use crate::people::{Ask, Deed, Life};

/// What no gateway takes: it is owed until the next charge.
const LEAST: i64 = 100;
/// The first period begins when its charge is claimed, and I'mport hears of that so much later at most; and clocks differ.
const ROUGHLY: SignedDuration = SignedDuration::from_mins(15);
/// A charge that is due waits for the morning, and for a tick.
const BY: SignedDuration = SignedDuration::from_hours(24);

/// What is published of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// So many won a period.
    pub won: i64,
    /// So long is a period.
    pub interval: Interval,
}

/// The shop's prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// What everybody begins with.
    pub basic: Price,
    /// Days before the first charge.
    pub trial_days: i64,
    /// What a change of plan leads to.
    pub plus: Price,
}

impl Prices {
    /// The prices in `life`.
    pub fn of(life: &Life) -> Self {
        let unit = if life.interval.unit == Unit::Day { Unit::Week } else { Unit::Month };
        Self {
            basic: Price { won: 9_900, interval: life.interval },
            trial_days: life.trial_days.into(),
            plus: Price { won: 14_900, interval: Interval { unit, count: 1 } },
        }
    }
}

/// What isn't as it should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub String);

/// What else must be known of a subscription: what came in between, without anybody's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Between {
    /// A charge was refused or never arrived: what follows isn't the plan's any more.
    pub refused: bool,
    /// I'mport was slow.
    pub slow: bool,
    /// A wrong amount was taken.
    pub wrong_amount: bool,
    /// The merchant has deployed other settings.
    pub deployed: bool,
}

/// What people's deeds and the prices say of one subscription.
struct Oracle {
    prices: Prices,
    missed: MissedPeriods,
    price: Price,
    next: Option<Price>,
    /// The first period's start, and how many periods of this anchor are paid.
    anchor: Option<Timestamp>,
    paid: i64,
    /// What the next charges are less by; what is owed, where it is negative.
    credit: i64,
    /// How wrong that may be.
    slack: i64,
    /// The latest paid period: from, to, and its worth.
    latest: Option<(Timestamp, Timestamp, i64)>,
    trial_from: Option<Timestamp>,
}

fn seoul(at: Timestamp) -> Zoned {
    // Korea has had no summer time since 1988.
    at.to_zoned(TimeZone::fixed(jiff::tz::offset(9)))
}

/// The start of the period number `nth`, from 0.
fn start(anchor: Timestamp, interval: Interval, nth: i64) -> Timestamp {
    let n = nth * i64::from(interval.count);
    let span = match interval.unit {
        Unit::Day => n.days(),
        Unit::Week => (7 * n).days(),
        Unit::Month => n.months(),
        Unit::Year => n.years(),
    };
    seoul(anchor).checked_add(span).map_or(Timestamp::MAX, |start| start.timestamp())
}

impl Oracle {
    fn due(&self) -> Option<Timestamp> {
        Some(start(self.anchor?, self.price.interval, self.paid))
    }

    /// What was agreed to for the next period begins with it.
    fn turn(&mut self) {
        let Some(next) = self.next.take() else { return };
        if let Some(due) = self.due().filter(|_| next.interval != self.price.interval) {
            (self.anchor, self.paid) = (Some(due), 0);
        }
        self.price = next;
    }

    /// It comes from the old place, paid until `next`, at the plan's price.
    fn comes(&mut self, next: Timestamp) {
        self.anchor = Some(next);
        self.latest = Some((start(next, self.price.interval, -1), next, self.price.won));
    }

    /// The period that is due, or runs, is paid. False where it can't be told which one that is.
    fn pays(&mut self, asked_at: Timestamp) -> bool {
        let from = match (self.prices.trial_days, self.trial_from) {
            (1.., Some(from)) => seoul(from).saturating_add(self.prices.trial_days.days()).timestamp(),
            _ => asked_at,
        };
        if self.anchor.is_none() && asked_at.duration_since(from) > ROUGHLY {
            return false;
        }
        let anchor = *self.anchor.get_or_insert(from);
        if start(anchor, self.price.interval, self.paid + 1).duration_since(asked_at).abs() < ROUGHLY {
            return false;
        }
        if self.missed == MissedPeriods::Skip {
            // What went by is skipped: the charge is for the period that runs.
            while start(anchor, self.price.interval, self.paid + 1) <= asked_at {
                self.paid += 1;
            }
        }
        let from = start(anchor, self.price.interval, self.paid);
        self.paid += 1;
        self.latest = Some((from, start(anchor, self.price.interval, self.paid), self.price.won));
        true
    }

    /// Periods that begin before `now` and that the credit pays for, or all but so little that no gateway takes it. False where
    /// it can't be told whether there is one.
    fn use_credit(&mut self, now: Timestamp) -> bool {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            let left = self.asks();
            if self.slack > 0 && (left - LEAST).abs() <= self.slack {
                return false;
            }
            if left >= LEAST {
                return true;
            }
            self.turn();
            self.credit -= self.price.won;
            if !self.pays(due) {
                return false;
            }
        }
        true
    }

    /// A change of plan, now: what isn't used becomes credit, and a period of the new plan begins.
    fn changes_now(&mut self, asked_at: Timestamp, at: Timestamp) {
        self.next = None;
        let Some(_) = self.anchor else {
            self.price = self.prices.plus;
            return;
        };
        if let Some((from, to, worth)) = self.latest {
            let millis = |span: SignedDuration| i64::try_from(span.as_millis()).unwrap_or(0).max(0);
            let all = millis(to.duration_since(from)).max(1);
            let unused = millis(to.duration_since(at.max(from)));
            self.credit += worth * unused / all;
            // It was made somewhere between the question and the answer, and by another clock; and the period began about then.
            self.slack += worth * millis(at.duration_since(asked_at) + MOST_OFF * 2 + ROUGHLY) / all + 2;
        }
        self.price = self.prices.plus;
        (self.anchor, self.paid) = (Some(at), 0);
    }

    /// What should go back of `payment`, the latest, where it is canceled now: all of it, or what isn't used.
    fn goes_back(&self, payment: &Payment, all: bool, (asked_at, at): (Timestamp, Timestamp)) -> Option<Wrong> {
        let (from, to, worth) = self.latest?;
        let won = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        let (is, amount) = (won(payment.cancel_amount()), won(payment.order.amount));
        let millis = |span: SignedDuration| i64::try_from(span.as_millis()).unwrap_or(0).max(0);
        let length = millis(to.duration_since(from)).max(1);
        let unused = amount.min(worth) * millis(to.duration_since(at.max(from))).min(length) / length;
        let slack = worth * millis(at.duration_since(asked_at) + MOST_OFF * 2 + ROUGHLY) / length + 2;
        let (should, slack) = if all { (amount, 0) } else { (unused, slack) };
        let name = &payment.order.merchant_uid;
        ((is - should).abs() > slack)
            .then(|| Wrong(format!("{name}: {is} won went back, and {should} should (within {slack})")))
    }

    /// What the next period's charge is for.
    fn asks(&self) -> i64 {
        self.next.unwrap_or(self.price).won - self.credit
    }
}

/// What happens, in time.
enum Event<'a> {
    Did(Did),
    Paid(&'a Payment),
}

/// What I'mport's books have of `id` that shouldn't be so, or haven't that should.
pub fn compare(
    id: SubscriptionId,
    customer_uid: &str,
    life: &Life,
    log: &Log,
    iamport: &Simulator,
    between: Between,
    now: Timestamp,
) -> Vec<Wrong> {
    let prices = Prices::of(life);
    let own = |payment: &&Payment| {
        payment.was_charged()
            && payment.order.merchant_uid.strip_prefix(&id.to_string()).is_some_and(|rest| rest.starts_with('C'))
    };
    let paid: Vec<&Payment> = iamport.books().payments().iter().filter(own).collect();
    let asked = |what: &[Ask]| log.of(id).iter().any(|(_, did)| matches!(did, Did::Asked(ask) if what.contains(ask)));
    if between.wrong_amount {
        return Vec::new();
    }
    let began = log.of(id).iter().find_map(|(at, did)| match did {
        Did::Approved => Some(*at),
        Did::Imported(next) => Some(*next),
        _ => None,
    });
    let mut wrong = bounds(id, prices, &paid, began, asked(&[Ask::ChangePlanNow, Ask::ChangePlanLater]));
    let unclear = |(_, did): &(Timestamp, Did)| match did {
        Did::Unanswered(ask) => !matches!(ask, Ask::Retry | Ask::NewPaymentMethod),
        Did::Repaired | Did::CanceledByHand => true,
        Did::Approved | Did::Imported(_) | Did::Asked(_) | Did::Accepted(_) | Did::Refused(_) | Did::EndedKey => false,
    };
    let refunds = [Ask::RefundPart, Ask::RefundAll, Ask::CancelNowUnused, Ask::CancelNowAll];
    // Of two payments of a period, it isn't known which one a refund was meant for.
    let mixed = asked(&refunds) && is_paid_twice(&paid);
    let late = paid.iter().any(|payment| payment.paid_at != Some(payment.started_at));
    // A charge between a question and its answer may have seen what was asked for, or not.
    let mut asked_since = None;
    let between_both = log.of(id).iter().any(|(at, did)| match did {
        Did::Asked(_) => {
            asked_since = Some(*at);
            false
        }
        Did::Accepted(_) => asked_since
            .take()
            .is_some_and(|since| paid.iter().any(|payment| payment.started_at >= since && payment.started_at <= *at)),
        _ => false,
    });
    let left = between_both || log.of(id).iter().any(unclear) || between.deployed || asked(&[Ask::Pause, Ask::Resume]);
    if left || mixed || late {
        return wrong;
    }
    // What went back without anybody's asking bought nothing.
    let stands = |payment: &&&Payment| payment.balance() > 0 || asked(&refunds);
    let bought = paid.iter().filter(stands).map(|p| (p.started_at, Event::Paid(p)));
    let mut events: Vec<(Timestamp, Event<'_>)> =
        log.of(id).iter().map(|(at, did)| (*at, Event::Did(*did))).chain(bought).collect();
    events.sort_by_key(|(at, _)| *at);
    let mut oracle = Oracle {
        prices,
        missed: life.policy.missed,
        price: prices.basic,
        next: None,
        anchor: None,
        paid: 0,
        credit: 0,
        slack: 0,
        latest: None,
        trial_from: None,
    };
    let (mut lives, mut refunded, mut asked_at) = (true, false, now);
    let mut latest: Option<&Payment> = None;
    for (at, event) in events {
        match event {
            Event::Did(Did::Approved) => {
                oracle.trial_from.get_or_insert(at);
            }
            Event::Did(Did::Accepted(ask)) => {
                if !oracle.use_credit(at) {
                    return wrong;
                }
                match ask {
                    // How much of the credit went back is in no price.
                    Ask::ChangePlanNow if refunded => return wrong,
                    Ask::ChangePlanNow => oracle.changes_now(asked_at, at),
                    Ask::ChangePlanLater => oracle.next = (oracle.price != prices.plus).then_some(prices.plus),
                    Ask::CancelNow | Ask::CancelAtPeriodEnd => {
                        lives = false;
                        oracle.next = None;
                    }
                    Ask::DeleteKey => lives = false,
                    Ask::CancelNowUnused | Ask::CancelNowAll => {
                        lives = false;
                        oracle.next = None;
                        // Where it is all that was ever given back, and the whole price was paid.
                        let apart = asked(&[Ask::RefundPart, Ask::RefundAll]);
                        if let Some(payment) = latest.filter(|_| !apart && oracle.slack == 0) {
                            let all = ask == Ask::CancelNowAll;
                            wrong.extend(oracle.goes_back(payment, all, (asked_at, at)));
                        }
                    }
                    Ask::RefundPart | Ask::RefundAll => refunded = true,
                    Ask::Pause | Ask::Resume | Ask::Retry | Ask::NewPaymentMethod => (),
                }
            }
            Event::Did(Did::Imported(next)) => oracle.comes(next),
            Event::Did(Did::EndedKey) => lives = false,
            Event::Did(Did::Asked(Ask::ChangePlanNow | Ask::CancelNowUnused | Ask::CancelNowAll)) => asked_at = at,
            Event::Did(Did::Asked(_) | Did::Refused(_)) => (),
            Event::Did(Did::Unanswered(_) | Did::Repaired | Did::CanceledByHand) => (),
            Event::Paid(payment) => {
                if !oracle.use_credit(at) {
                    return wrong;
                }
                let name = &payment.order.merchant_uid;
                let due = match (oracle.due(), oracle.trial_from) {
                    (Some(due), _) => due,
                    (None, Some(from)) => seoul(from).saturating_add(prices.trial_days.days()).timestamp(),
                    (None, None) => {
                        wrong.push(Wrong(format!("{name} was paid before anybody had agreed to anything")));
                        continue;
                    }
                };
                if at < due - ROUGHLY && !between.slow {
                    wrong.push(Wrong(format!("{name} was asked for at {at}, before it was due: {due}")));
                }
                let (should, is) = (oracle.asks(), i64::try_from(payment.order.amount).unwrap_or(i64::MAX));
                if (is - should).abs() > oracle.slack {
                    wrong.push(Wrong(format!(
                        "{name}: {is} won were asked for, and {should} are the price (within {})",
                        oracle.slack
                    )));
                    return wrong;
                }
                oracle.turn();
                oracle.credit = 0;
                latest = Some(payment);
                if !oracle.pays(at) {
                    return wrong;
                }
            }
        }
    }
    if !oracle.use_credit(now) {
        return wrong;
    }
    let declined = iamport
        .books()
        .payments()
        .iter()
        .any(|payment| payment.failed_at.is_some() && payment.order.customer_uid == customer_uid);
    // While I'mport was down, nobody could be charged.
    let down = life.deeds.iter().any(|(_, _, deed)| matches!(deed, Deed::IamportDown { .. }));
    let reached = if down { EPOCH.saturating_add(life.ends_after).unwrap_or(now) } else { EPOCH };
    let behind = oracle.due().filter(|due| now.duration_since(*due.max(&reached)) > BY);
    if let Some(due) = behind.filter(|_| lives && !declined && !between.refused && oracle.slack == 0) {
        wrong.push(Wrong(format!("{id} should have paid for what began at {due}, was never declined, and has not")));
    }
    wrong
}

/// Whether two payments are of one period: all but what the names of attempts differ in.
fn is_paid_twice(paid: &[&Payment]) -> bool {
    let period = |payment: &Payment| match payment.order.merchant_uid.parse::<MerchantUid>().ok()?.purpose {
        Purpose::Charge { period, .. } => Some(period),
        _ => None,
    };
    let periods: Vec<_> = paid.iter().map(|payment| period(payment)).collect();
    (1..periods.len()).any(|nth| periods[..nth].contains(&periods[nth]))
}

/// What holds whatever happened: no charge above what was agreed to, and no more of them than there were periods.
fn bounds(
    id: SubscriptionId,
    prices: Prices,
    paid: &[&Payment],
    began: Option<Timestamp>,
    changed: bool,
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let most = if changed { prices.plus.won.max(prices.basic.won) } else { prices.basic.won }
        + if changed { LEAST } else { 0 };
    for payment in paid {
        let is = i64::try_from(payment.order.amount).unwrap_or(i64::MAX);
        if is > most {
            wrong.push(Wrong(format!(
                "{}: {is} won were asked for, and at most {most} were agreed to",
                payment.order.merchant_uid
            )));
        }
    }
    let standing: Vec<&&Payment> = paid.iter().filter(|payment| payment.balance() > 0).collect();
    if let (Some(began), Some(last)) = (began, standing.last()) {
        let mut periods = 1;
        while start(began, prices.basic.interval, periods) <= last.started_at + ROUGHLY {
            periods += 1;
        }
        // A change of plan begins one more.
        let most = usize::try_from(periods).unwrap_or(usize::MAX) + usize::from(changed);
        if standing.len() > most {
            wrong.push(Wrong(format!("{id}: {} payments stand, in {most} periods", standing.len())));
        }
    }
    wrong
}
