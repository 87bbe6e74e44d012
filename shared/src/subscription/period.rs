//! Periods: what a charge pays for, counted from 1, in Korea's calendar, from an anchor that never moves.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// Korea's time zone, compiled in: a Lambda has no time zone database.
pub const SEOUL: TimeZone = jiff::tz::get!("Asia/Seoul");

/// Never, as a moment: the table keeps milliseconds, and the calendar's own end has none that read back.
pub const FOREVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

/// The moment as clocks in Korea show it.
pub fn in_seoul(t: Timestamp) -> Zoned {
    t.to_zoned(SEOUL)
}

/// How long a period is: `count` of `unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The calendar unit.
    pub unit: Unit,
    /// How many of it, from 1.
    pub count: u16,
}

/// A calendar unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A calendar day in Korea.
    Day,
    /// Seven days.
    Week,
    /// A calendar month: the 31st renews on the 31st, else on the last day there is.
    Month,
    /// A calendar year: the 29th of February renews on the 28th where there is no 29th.
    Year,
}

impl Interval {
    /// Every month: what most plans are.
    pub const MONTHLY: Interval = Interval { unit: Unit::Month, count: 1 };

    /// The most that `count` may be: about five years.
    pub const fn most(unit: Unit) -> u16 {
        match unit {
            Unit::Day => 1_826,
            Unit::Week => 260,
            Unit::Month => 60,
            Unit::Year => 5,
        }
    }

    /// When period `period` starts. Always counted from the anchor, so that nothing drifts: the 31st of January is
    /// followed by the 28th of February and the 31st of March.
    ///
    /// Past the end of the calendar it is [`FOREVER`].
    pub fn start_of(self, period: u32, anchor: Timestamp) -> Timestamp {
        let n = i64::from(period.saturating_sub(1)) * i64::from(self.count);
        let elapsed = match self.unit {
            Unit::Day => Span::new().try_days(n),
            Unit::Week => Span::new().try_weeks(n),
            Unit::Month => Span::new().try_months(n),
            Unit::Year => Span::new().try_years(n),
        };
        elapsed
            .and_then(|elapsed| in_seoul(anchor).checked_add(elapsed))
            .map_or(FOREVER, |z| z.timestamp().min(FOREVER))
    }

    /// When period `period` ends: when the next one starts.
    pub fn end_of(self, period: u32, anchor: Timestamp) -> Timestamp {
        self.start_of(period.saturating_add(1), anchor)
    }

    /// The period that `now` lies in; 1 where the anchor is still to come.
    pub fn period_at(self, now: Timestamp, anchor: Timestamp) -> u32 {
        let (mut lowest, mut beyond) = (1, super::id::LAST_PERIOD);
        while beyond - lowest > 1 {
            let middle = lowest + (beyond - lowest) / 2;
            match self.start_of(middle, anchor) <= now {
                true => lowest = middle,
                false => beyond = middle,
            }
        }
        lowest
    }
}

/// `days` calendar days after `t`, at the same time of day in Korea.
pub fn days_after(t: Timestamp, days: u16) -> Timestamp {
    in_seoul(t).checked_add(i64::from(days).days()).map_or(FOREVER, |z| z.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seoul(s: &str) -> Timestamp {
        s.parse::<jiff::civil::DateTime>().unwrap().to_zoned(SEOUL).unwrap().timestamp()
    }

    fn days(interval: Interval, anchor: &str, periods: std::ops::RangeInclusive<u32>) -> Vec<String> {
        periods.map(|n| in_seoul(interval.start_of(n, seoul(anchor))).date().to_string()).collect()
    }

    #[test]
    fn the_31st_renews_on_the_last_day_that_a_month_has() {
        assert_eq!(
            days(Interval::MONTHLY, "2027-01-31T10:00", 1..=5),
            ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
        );
    }

    #[test]
    fn a_leap_day_comes_back_in_leap_years() {
        let yearly = Interval { unit: Unit::Year, count: 1 };
        assert_eq!(
            days(yearly, "2028-02-29T10:00", 1..=5),
            ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]
        );
    }

    #[test]
    fn weeks_and_several_months_count_as_one_period() {
        let fortnight = Interval { unit: Unit::Week, count: 2 };
        assert_eq!(days(fortnight, "2026-12-24T10:00", 1..=3), ["2026-12-24", "2027-01-07", "2027-01-21"]);
        let quarter = Interval { unit: Unit::Month, count: 3 };
        assert_eq!(days(quarter, "2026-11-30T10:00", 1..=3), ["2026-11-30", "2027-02-28", "2027-05-30"]);
    }

    #[test]
    fn the_time_of_day_in_korea_stays() {
        let anchor = seoul("2026-11-30T23:59:59");
        assert_eq!(Interval::MONTHLY.start_of(4, anchor), seoul("2027-02-28T23:59:59"));
    }

    fn interval() -> impl Strategy<Value = Interval> {
        prop_oneof![
            (1..400u16).prop_map(|count| Interval { unit: Unit::Day, count }),
            (1..60u16).prop_map(|count| Interval { unit: Unit::Week, count }),
            (1..60u16).prop_map(|count| Interval { unit: Unit::Month, count }),
            (1..=5u16).prop_map(|count| Interval { unit: Unit::Year, count }),
        ]
    }

    /// From 2000 to 2100, in seconds.
    fn moment() -> impl Strategy<Value = Timestamp> {
        (946_684_800..4_102_444_800_i64).prop_map(|s| Timestamp::from_second(s).unwrap())
    }

    proptest! {
        #[test]
        fn periods_follow_each_other_without_gap_or_overlap(interval in interval(), anchor in moment(), n in 1..600u32) {
            prop_assert_eq!(interval.end_of(n, anchor), interval.start_of(n + 1, anchor));
            prop_assert!(interval.start_of(n, anchor) < interval.start_of(n + 1, anchor));
        }

        #[test]
        fn every_moment_lies_in_the_period_that_is_found_for_it(interval in interval(), anchor in moment(), now in moment()) {
            let period = interval.period_at(now, anchor);
            prop_assert!(period == 1 || interval.start_of(period, anchor) <= now);
            prop_assert!(now < interval.end_of(period, anchor));
        }

        #[test]
        fn an_anchor_never_drifts(anchor in moment(), n in 1..600u32) {
            let (from, to) = (in_seoul(anchor), in_seoul(Interval::MONTHLY.start_of(n, anchor)));
            prop_assert_eq!(from.time(), to.time());
            prop_assert_eq!(to.day(), from.day().min(to.days_in_month()));
        }

        #[test]
        fn the_far_future_is_an_end_not_a_panic(interval in interval(), anchor in moment(), n in any::<u32>()) {
            prop_assert!(interval.start_of(n, anchor) >= anchor);
        }
    }
}
