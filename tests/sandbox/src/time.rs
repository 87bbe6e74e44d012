//! How time goes by in the sandbox: as it does, or in leaps, in which everything that would have happened happens, in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use maedal::clock::Clock;

use crate::stack::Parts;

/// How often the clock of the running sandbox moves, and webhooks leave.
const STEP: Duration = Duration::from_millis(100);
/// How often its schedule ticks: sooner than a minute, so that nobody waits for it.
const TICK: Duration = Duration::from_secs(2);
/// What is due and stays due comes again a minute later, as with the schedule's ticks.
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Why time stands still: the table or the database can't be read.
pub type Standstill = Box<dyn std::error::Error + Send + Sync>;

/// A leap of the clock that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leap {
    /// Where it began.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
}

/// How time goes by.
#[derive(Debug, Default)]
pub struct Time {
    /// Held by whoever does what is due.
    work: tokio::sync::Mutex<()>,
    leap: Mutex<Option<Leap>>,
    /// The leap is to end where it is.
    stop: AtomicBool,
    /// Why the last leap ended early.
    problem: Mutex<Option<String>>,
}

impl Time {
    /// The leap under way.
    pub fn leap(&self) -> Option<Leap> {
        *lock(&self.leap)
    }

    /// Ends the leap under way where it is.
    pub fn stop(&self) {
        if self.leap().is_some() {
            self.stop.store(true, Ordering::SeqCst);
        }
    }

    /// Why the last leap ended early, if it did.
    pub fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Parts {
    /// Lives until `end`: whatever is due in between is done at its time, in order.
    ///
    /// # Errors
    /// Where the table or the database can't be read.
    pub async fn live_until(&self, end: Timestamp) -> Result<(), Standstill> {
        loop {
            let now = self.clock.now();
            let next = self.next_happening()?.unwrap_or(end);
            if next >= end || now >= end || self.time.stop.load(Ordering::SeqCst) {
                break;
            }
            let next = next.max(now.saturating_add(MINUTE)?);
            self.clock.set(next.min(end));
            self.turn().await?;
        }
        if !self.time.stop.load(Ordering::SeqCst) {
            self.clock.set(end.max(self.clock.now()));
        }
        self.turn().await?;
        Ok(())
    }

    /// Begins a leap to `to`, beside whatever else is done. `false`: there is one under way, or `to` is past.
    pub fn leap_to(self: &Arc<Self>, to: Timestamp) -> bool {
        let from = self.clock.now();
        {
            let mut leap = lock(&self.time.leap);
            if leap.is_some() || to <= from {
                return false;
            }
            *leap = Some(Leap { from, to });
        }
        self.time.stop.store(false, Ordering::SeqCst);
        let parts = self.clone();
        tokio::spawn(async move {
            let lived = {
                let _work = parts.time.work.lock().await;
                parts.live_until(to).await
            };
            *lock(&parts.time.problem) = lived.err().map(|problem| problem.to_string());
            parts.time.stop.store(false, Ordering::SeqCst);
            *lock(&parts.time.leap) = None;
        });
        true
    }

    /// Lets time go by as it does, and does what is due: webhooks, the schedule, the queue. Never ends.
    pub async fn keep_time(&self) {
        let clock = async {
            let mut last = Timestamp::now().as_millisecond();
            loop {
                tokio::time::sleep(STEP).await;
                // In whole milliseconds, as the clock moves, so that nothing is lost between two steps.
                let passed = Timestamp::now().as_millisecond() - last;
                last += passed;
                // During a leap the clock is the leap's. A system clock that goes back holds ours.
                if let (None, Ok(passed)) = (self.time.leap(), u64::try_from(passed)) {
                    self.clock.advance(Duration::from_millis(passed));
                }
            }
        };
        let webhooks = async {
            loop {
                tokio::time::sleep(STEP).await;
                let _work = self.time.work.lock().await;
                self.deliver_webhooks().await;
            }
        };
        let schedule = async {
            loop {
                tokio::time::sleep(TICK).await;
                let _work = self.time.work.lock().await;
                if let Err(problem) = self.tick().await {
                    eprintln!("{problem}");
                }
                while !self.charge_batch().await.is_empty() {}
                while self.import_turn().await {}
                self.events().await;
            }
        };
        tokio::join!(clock, webhooks, schedule);
    }
}
