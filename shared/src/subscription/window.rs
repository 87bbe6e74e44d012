//! The charge window: the hours of a day in which money is moved.
//!
//! Korean banks close their books around midnight, and CHAI debits bank accounts: a charge at 23:55 fails for no fault
//! of the buyer's. A due time outside the window moves to its next opening; the anchor stays.

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan};

use super::period::{SEOUL, in_seoul};

/// From `open` to `close` on every day, Korean time. `close` is after `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeWindow {
    open: Time,
    close: Time,
}

impl Default for ChargeWindow {
    /// 09:00 to 21:00.
    fn default() -> Self {
        Self { open: jiff::civil::time(9, 0, 0, 0), close: jiff::civil::time(21, 0, 0, 0) }
    }
}

impl ChargeWindow {
    /// A window from `open` until `close`; `None` where it would be empty.
    pub fn new(open: Time, close: Time) -> Option<Self> {
        (open < close).then_some(Self { open, close })
    }

    /// The first moment from `t` on that lies in the window: `t` itself, or the next opening.
    pub fn next_opening(&self, t: Timestamp) -> Timestamp {
        let local = in_seoul(t);
        let day = match local.time() {
            time if time < self.open => local.date(),
            time if time < self.close => return t,
            _ => local.date().saturating_add(1.day()),
        };
        day.to_datetime(self.open).to_zoned(SEOUL).map_or(t, |z| z.timestamp())
    }

    /// Whether `t` lies in the window.
    pub fn is_open(&self, t: Timestamp) -> bool {
        self.next_opening(t) == t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seoul(s: &str) -> Timestamp {
        s.parse::<jiff::civil::DateTime>().unwrap().to_zoned(SEOUL).unwrap().timestamp()
    }

    #[test]
    fn inside_it_stays_outside_it_moves_to_the_next_opening() {
        let window = ChargeWindow::default();
        for (due, charged) in [
            ("2026-11-23T09:00", "2026-11-23T09:00"),
            ("2026-11-23T20:59:59", "2026-11-23T20:59:59"),
            ("2026-11-23T21:00", "2026-11-24T09:00"),
            ("2026-11-23T23:59", "2026-11-24T09:00"),
            ("2026-11-24T00:00", "2026-11-24T09:00"),
            ("2026-12-31T22:00", "2027-01-01T09:00"),
        ] {
            assert_eq!(window.next_opening(seoul(due)), seoul(charged), "{due}");
            assert_eq!(window.is_open(seoul(due)), due == charged, "{due}");
        }
    }

    #[test]
    fn a_window_that_never_opens_cannot_be_made() {
        let noon = jiff::civil::time(12, 0, 0, 0);
        assert_eq!(ChargeWindow::new(noon, noon), None);
    }
}
