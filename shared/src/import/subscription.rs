//! From a row to the subscription that it makes.

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use super::row::{Code, Refusal, Row};
use crate::subscription::id::LAST_PERIOD;
use crate::subscription::period::{SEOUL, in_seoul};
use crate::subscription::{
    Bill, Charge, ChargeStatus, CustomerId, Intent, Interval, MerchantUid, PaymentMethod, Plan, Status, Subscription,
    SubscriptionId, Unit, Won,
};

/// The next charge is at most so far off: the longest period.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);
/// How far back the day of the month is looked for, in periods.
const MOST_BACK: u32 = 60;

impl Row {
    /// What tells this row from another about the same billing key; the buyer's data are no part of it.
    pub fn digest(&self) -> String {
        let told = (
            (&self.customer_uid, &self.customer_id, &self.plan, self.plan_version, self.next_charge),
            (self.anchor_day, self.period, self.credit, self.paused, self.cancel_at_period_end),
        );
        let told = serde_json::to_string(&told).unwrap_or_default();
        // Rows were told apart before there was this field.
        let paid = self.paid.map(|paid| format!(" paid {}", paid.get())).unwrap_or_default();
        crate::digest::digest(&format!("{told}{paid}"))
    }

    /// The subscription: as if its periods so far had been paid here, and the next charge prepared.
    pub fn subscription(&self, id: SubscriptionId, plan: Plan, now: Timestamp) -> Result<Subscription, Refusal> {
        self.buyer.check()?;
        if self.credit > Won::MOST {
            return Err(Refusal::field("credit", format!("at most {}", Won::MOST.get())));
        }
        if self.paid.is_some_and(|paid| paid > Won::MOST) {
            return Err(Refusal::field("paid", format!("at most {}", Won::MOST.get())));
        }
        let Some(next) = self.next_charge.map(|next| next.moment()) else {
            return Err(Refusal::field("next_charge", "a day in Korea such as 2026-12-23"));
        };
        // Whoever is paused isn't charged: a resume skips what went by.
        if !self.paused && in_seoul(next).date() < in_seoul(now).date() {
            return Err(Refusal {
                field: Some("next_charge".to_owned()),
                ..Refusal::new(Code::Past, "next_charge: it is before today. Charge or skip that period first")
            });
        }
        if next.duration_since(now) > FARTHEST {
            return Err(Refusal::field("next_charge", "within five years"));
        }
        let (anchor, back) = self.anchor(next, plan.terms.interval)?;
        let period = self.period.unwrap_or((back + 1).max(2));
        if !(back + 1..LAST_PERIOD).contains(&period) {
            let rule = format!("from {} to {}: its day is that of an earlier period", back + 1, LAST_PERIOD - 1);
            return Err(Refusal::field("period", rule));
        }
        let customer_id = match &self.customer_id {
            Some(customer_id) => customer_id.clone(),
            None => CustomerId::try_from(self.customer_uid.as_str().to_owned())
                .map_err(|rule| Refusal::field("customer_uid", rule.to_string()))?,
        };
        let mut subscription = Subscription::blank(id, customer_id, self.customer_uid.clone(), plan, now);
        subscription.anchor = Some(anchor);
        subscription.anchor_period = period - back;
        subscription.period = period;
        subscription.paid_through = period - 1;
        subscription.status = match (self.paused, period) {
            (true, _) => Status::Paused,
            (false, 1) => Status::Trialing,
            (false, _) => Status::Active,
        };
        subscription.credit = self.credit;
        subscription.cancel_at_period_end = self.cancel_at_period_end;
        let confirmed_at = now;
        subscription.payment_method = Some(PaymentMethod {
            window: 0,
            imp_uid: None,
            provider: None,
            confirmed_at,
            broken: false,
            deleted: false,
        });
        Ok(subscription)
    }

    /// What the buyer has paid in the old place for the period that runs until the next charge, as an entry of the ledger.
    /// `subscription` is what the row makes. None where nothing was paid yet.
    pub fn paid_elsewhere(&self, subscription: &Subscription, now: Timestamp) -> Option<Charge> {
        let period = subscription.paid_through;
        let ends_at = subscription.start_of(subscription.period).filter(|_| period > 0)?;
        let starts_at = match period >= subscription.anchor_period {
            true => subscription.start_of(period)?,
            false => period_before(ends_at, subscription.plan.terms.interval)?,
        };
        let intent = Intent {
            period,
            attempt: 1,
            merchant_uid: MerchantUid::charge(subscription.id, period, 1),
            amount: self.paid.unwrap_or(subscription.plan.terms.amount),
            credit: Won::ZERO,
            carried: Won::ZERO,
            left: Won::ZERO,
            window: Some(0),
            until: ends_at,
        };
        let bill = Bill { starts_at: Some(starts_at), ends_at: Some(ends_at), ..Bill::of(subscription, period) };
        Some(Charge { bill: Some(bill), ..Charge::of(subscription.id, &intent, ChargeStatus::Imported, now) })
    }

    /// From where the periods count, and how many periods that is before the next charge: the latest period, if the row's
    /// number leaves room for one, that began on the day of the month that the row has.
    fn anchor(&self, next: Timestamp, interval: Interval) -> Result<(Timestamp, u32), Refusal> {
        let local = in_seoul(next);
        let day = self.anchor_day.unwrap_or(local.day());
        let moved = day != local.day();
        if moved {
            let by_month = match interval.unit {
                Unit::Month | Unit::Year => true,
                Unit::Day | Unit::Week => false,
            };
            if !by_month {
                return Err(Refusal::field("anchor_day", "only where a period is of months or years"));
            }
            let last = local.days_in_month();
            if local.day() != last || day < last {
                let rule = format!("next_charge is on day {} of its month, so it can be no other", local.day());
                return Err(Refusal::field("anchor_day", rule));
            }
        }
        let most = if moved { MOST_BACK } else { self.period.unwrap_or(2).saturating_sub(1).min(MOST_BACK) };
        for back in 1..=most {
            let start =
                earlier(&local, interval, back, day).filter(|start| interval.start_of(back + 1, *start) == next);
            if let Some(start) = start {
                return Ok((start, back));
            }
        }
        match moved {
            true => Err(Refusal::field("anchor_day", "no earlier period began on such a day")),
            false => Ok((next, 0)),
        }
    }
}

/// When the period began that ends at `end`; in a month that is too short, on its last day.
fn period_before(end: Timestamp, interval: Interval) -> Option<Timestamp> {
    let n = i64::from(interval.count);
    let span = match interval.unit {
        Unit::Day => n.days(),
        Unit::Week => n.weeks(),
        Unit::Month => n.months(),
        Unit::Year => n.years(),
    };
    in_seoul(end).checked_sub(span).ok().map(|start| start.timestamp())
}

/// `back` periods before `local`, on this day of the month; `None` where the month has no such day.
fn earlier(local: &Zoned, interval: Interval, back: u32, day: i8) -> Option<Timestamp> {
    let n = i64::from(back) * i64::from(interval.count);
    let months = match interval.unit {
        Unit::Day => return local.checked_sub(n.days()).ok().map(|start| start.timestamp()),
        Unit::Week => return local.checked_sub(n.weeks()).ok().map(|start| start.timestamp()),
        Unit::Month => n.months(),
        Unit::Year => n.years(),
    };
    let start = local.date().first_of_month().checked_sub(months).ok()?.with().day(day).build().ok()?;
    Some(start.to_datetime(local.time()).to_zoned(SEOUL).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::import::Format;
    use crate::import::{Parsed, Read, parse};
    use crate::subscription::Policy;
    use crate::subscription::{Step, Terms};

    fn seoul(text: &str) -> Timestamp {
        text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(SEOUL).unwrap().timestamp()
    }

    fn plan(unit: Unit, count: u16) -> Plan {
        let terms = Terms {
            name: "커피".into(),
            amount: Won::new(9_900),
            tax_free: Won::ZERO,
            interval: Interval { unit, count },
            trial_days: 14,
            dunning: None,
        };
        Plan { id: "coffee".parse().unwrap(), version: 3, terms }
    }

    fn made(row: Value, plan: Plan) -> Result<Subscription, Refusal> {
        let parsed = parse(row.to_string().as_bytes(), Format::Jsonl, None);
        let Some(Parsed { read: Ok(Read::Row(row)), .. }) = parsed else { panic!("{parsed:?}") };
        let id = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
        row.subscription(id, plan, seoul("2026-11-23T10:00"))
    }

    fn row(next: &str, more: Value) -> Value {
        let mut row = json!({ "customer_uid": "a", "plan": "coffee", "next_charge": next });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    #[test]
    fn the_next_charge_is_prepared_inside_the_charge_window_and_nothing_before() {
        let (now, policy) = (seoul("2026-11-23T10:00"), Policy::default());
        for (next, due, period) in [
            ("2026-12-23", "2026-12-23T09:00", 2),
            ("2026-12-23T15:30:00+09:00", "2026-12-23T15:30", 2),
            ("2026-12-23T22:00:00+09:00", "2026-12-24T09:00", 2),
            // Today, at once: the window is open.
            ("2026-11-23", "2026-11-23T00:00", 2),
        ] {
            let s = made(row(next, json!({})), plan(Unit::Month, 1)).unwrap();
            assert_eq!((s.status, s.period, s.paid_through, s.attempts), (Status::Active, period, period - 1, 0));
            let due_at = s.due_at(now, &policy).unwrap();
            assert_eq!(due_at.max(now), seoul(due).max(now), "{next}");
            let charge = s.next_charge(now, &policy).unwrap();
            assert_eq!((charge.period, charge.attempt, charge.amount), (period, 1, Won::new(9_900)));
            if due_at > now {
                assert_eq!(s.next_step(now, &policy), Step::Nothing { until: Some(due_at) });
            }
        }
    }

    #[test]
    fn a_row_that_was_never_charged_is_in_its_trial() {
        let s = made(row("2026-12-07", json!({ "period": 1 })), plan(Unit::Month, 1)).unwrap();
        assert_eq!((s.status, s.period, s.paid_through), (Status::Trialing, 1, 0));
    }

    #[test]
    fn what_was_paid_elsewhere_is_an_entry_of_the_period_that_runs_until_the_next_charge() {
        let now = seoul("2026-11-23T10:00");
        let entry = |next: &str, more: Value, unit: Unit| {
            let text = row(next, more).to_string();
            let parsed = parse(text.as_bytes(), Format::Jsonl, None);
            let Some(Parsed { read: Ok(Read::Row(row)), .. }) = parsed else { panic!("{parsed:?}") };
            let id = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
            let subscription = row.subscription(id, plan(unit, 1), now).unwrap();
            let charge = row.paid_elsewhere(&subscription, now)?;
            let bill = charge.bill.as_ref().unwrap();
            let day = |t: Option<Timestamp>| in_seoul(t.unwrap()).date().to_string();
            let (from, to) = (day(bill.starts_at), day(bill.ends_at));
            assert_eq!(
                (charge.status.word(), charge.standing(), charge.refundable()),
                ("imported", Won::ZERO, Won::ZERO)
            );
            assert_eq!((charge.is_settled(), charge.worth(), charge.payment()), (true, charge.amount, None));
            Some((charge.period, charge.amount.get(), from, to))
        };
        let is = |period, amount, from: &str, to: &str| Some((period, amount, from.to_owned(), to.to_owned()));
        assert_eq!(entry("2026-12-23", json!({}), Unit::Month), is(1, 9_900, "2026-11-23", "2026-12-23"));
        assert_eq!(
            entry("2026-12-23", json!({ "period": 7, "paid": 0 }), Unit::Month),
            is(6, 0, "2026-11-23", "2026-12-23")
        );
        assert_eq!(entry("2026-12-01", json!({ "paid": 5_000 }), Unit::Week), is(1, 5_000, "2026-11-24", "2026-12-01"));
        // November has no 31st: its period began on the 30th.
        assert_eq!(entry("2026-12-31", json!({}), Unit::Month), is(1, 9_900, "2026-11-30", "2026-12-31"));
        assert_eq!(entry("2026-12-23", json!({ "period": 1 }), Unit::Month), None, "it is in its trial");
    }

    #[test]
    fn the_31st_comes_back_after_a_short_month() {
        let starts = |s: &Subscription, periods: std::ops::Range<u32>| -> Vec<String> {
            periods.map(|n| in_seoul(s.start_of(n).unwrap()).date().to_string()).collect()
        };
        let s = made(row("2027-02-28", json!({ "anchor_day": 31, "period": 7 })), plan(Unit::Month, 1)).unwrap();
        assert_eq!(starts(&s, 6..10), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]);
        let s = made(row("2027-02-28", json!({ "anchor_day": 31 })), plan(Unit::Month, 3)).unwrap();
        assert_eq!((s.period, starts(&s, 3..5)), (3, vec!["2027-02-28".to_owned(), "2027-05-31".to_owned()]));
        let s = made(row("2027-02-28", json!({ "anchor_day": 29 })), plan(Unit::Year, 1)).unwrap();
        assert_eq!((s.period, starts(&s, 4..6)), (4, vec!["2027-02-28".to_owned(), "2028-02-29".to_owned()]));
    }

    #[test]
    fn a_row_that_cannot_be_is_refused_by_its_field() {
        let field = |next: &str, more: Value, unit: Unit| {
            let refusal = made(row(next, more), plan(unit, 1)).unwrap_err();
            (refusal.code, refusal.field.unwrap_or_default())
        };
        let invalid = |name: &str| (Code::InvalidField, name.to_owned());
        assert_eq!(field("2026-11-22", json!({}), Unit::Month), (Code::Past, "next_charge".to_owned()));
        assert_eq!(field("2032-12-01", json!({}), Unit::Month), invalid("next_charge"));
        assert_eq!(field("2027-02-27", json!({ "anchor_day": 31 }), Unit::Month), invalid("anchor_day"));
        assert_eq!(field("2027-02-28", json!({ "anchor_day": 27 }), Unit::Month), invalid("anchor_day"));
        assert_eq!(field("2027-02-28", json!({ "anchor_day": 32 }), Unit::Month), invalid("anchor_day"));
        assert_eq!(field("2027-02-28", json!({ "anchor_day": 31 }), Unit::Week), invalid("anchor_day"));
        assert_eq!(field("2027-02-28", json!({ "anchor_day": 31, "period": 1 }), Unit::Month), invalid("period"));
        assert_eq!(field("2027-02-28", json!({ "period": 0 }), Unit::Month), invalid("period"));
        assert_eq!(field("2027-02-28", json!({ "period": 99_999 }), Unit::Month), invalid("period"));
        assert_eq!(field("2027-02-28", json!({ "credit": 2_000_000_000 }), Unit::Month), invalid("credit"));
        assert_eq!(field("2027-02-28", json!({ "paid": 2_000_000_000 }), Unit::Month), invalid("paid"));
        for most in [json!({ "credit": 1_000_000_000 }), json!({ "anchor_day": 31 }), json!({ "anchor_day": 28 })] {
            assert!(made(row("2027-02-28", most.clone()), plan(Unit::Month, 1)).is_ok(), "{most}");
        }
        let long = json!({ "buyer": { "name": "가".repeat(17) } });
        assert_eq!(field("2027-02-28", long, Unit::Month), invalid("buyer.name"));
    }

    #[test]
    fn whoever_is_paused_may_have_been_so_for_long_and_another_buyer_makes_no_other_row() {
        let s = made(row("2026-01-31", json!({ "paused": true })), plan(Unit::Month, 1)).unwrap();
        assert_eq!((s.status, s.due_at(seoul("2026-11-23T10:00"), &Policy::default())), (Status::Paused, None));
        let digest = |more: Value| {
            let parsed = parse(row("2027-01-31", more).to_string().as_bytes(), Format::Jsonl, None);
            let Some(Parsed { read: Ok(Read::Row(row)), .. }) = parsed else { panic!("{parsed:?}") };
            row.digest()
        };
        assert_eq!(digest(json!({})), digest(json!({ "buyer": { "name": "홍길동" } })));
        assert_ne!(digest(json!({})), digest(json!({ "period": 3 })));
        assert_ne!(digest(json!({})), digest(json!({ "paid": 3 })));
    }
}
