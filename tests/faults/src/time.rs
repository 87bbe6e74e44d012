//! Virtual time: tokio's, paused. It jumps to the next thing that anybody waits for. Each worker's clock shows it with an
//! error of its own.

use jiff::{SignedDuration, Timestamp};
use maedal::clock::Clock;
use tokio::time::Instant;

/// The time of one history, as nobody in it knows it.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    began: Instant,
    epoch: Timestamp,
}

impl Time {
    /// Time that begins now, and shows `epoch`.
    pub fn from(epoch: Timestamp) -> Self {
        Self { began: Instant::now(), epoch }
    }

    /// The true present, in whole milliseconds.
    pub fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(self.epoch.as_millisecond().saturating_add(passed)).unwrap_or(Timestamp::MAX)
    }

    /// Waits until `moment`.
    pub async fn until(&self, moment: Timestamp) {
        let wait = moment.duration_since(self.now());
        if wait > SignedDuration::ZERO {
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
    }

    /// A worker's clock, `off` by a few minutes.
    pub fn clock(&self, off: SignedDuration) -> WorkerClock {
        WorkerClock { time: *self, off }
    }
}

/// What a worker takes for the present.
#[derive(Debug, Clone, Copy)]
pub struct WorkerClock {
    time: Time,
    off: SignedDuration,
}

impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        self.time.now().saturating_add(self.off).unwrap_or(Timestamp::MAX)
    }
}
