//! The brake: what a worker may ask of I'mport while I'mport is slow or refuses.
//!
//! Each process watches its own calls. One that goes unanswered, or takes long, halves how many steps are begun side by side;
//! a batch in which all went well doubles it. After [`FAILURES`] unanswered ones in a row nothing is begun for a while: twice as
//! long each time, up to [`LONGEST`], with jitter, so that the workers of a stack don't come back all at once. Then one step
//! alone tries. Nothing is lost by waiting: a step that isn't begun stays due, and its attempt isn't claimed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::subscription::SubscriptionId;
use crate::subscription::dunning::alike;

/// As many steps side by side as a batch of the queue has messages.
const MOST_ABREAST: usize = 10;
/// A call that takes longer is a sign that I'mport has more to do than it can.
const SLOW: SignedDuration = SignedDuration::from_secs(10);
/// After so many unanswered calls in a row nothing is begun for a while.
const FAILURES: u32 = 5;
const SHORTEST: SignedDuration = SignedDuration::from_secs(2);
const LONGEST: SignedDuration = SignedDuration::from_mins(2);

/// So many of the latest first attempts are compared with each other,
const COMPARED: usize = 12;
/// and where so many of them, of different subscriptions, were refused alike, it is an incident. Of renewals that are tried for
/// the first time more than four fifths are paid, so that this isn't what buyers' accounts come to by chance.
const ALIKE: usize = 10;
/// Others may have met it before this process did.
const SEEN_LATE: SignedDuration = SignedDuration::from_mins(15);
/// While an incident goes on, a process tries so often whether it is over.
const PROBES: SignedDuration = SignedDuration::from_mins(1);

/// How one process's calls to I'mport go.
#[derive(Debug)]
pub struct Brake(Mutex<State>);

#[derive(Debug)]
struct State {
    abreast: usize,
    /// Unanswered calls since the last answer.
    failures: u32,
    /// No step is begun before.
    closed_until: Timestamp,
    /// How the calls went since [`Brake::abreast`] was last asked; nothing where there were none.
    all_well: Option<bool>,
    /// What the latest first attempts came to: whose, when, and the words of a refusal.
    heard: VecDeque<(SubscriptionId, Timestamp, Option<String>)>,
    /// When it was tried last whether an incident is over.
    probed_at: Timestamp,
}

impl Default for Brake {
    fn default() -> Self {
        let state = State {
            abreast: MOST_ABREAST,
            failures: 0,
            closed_until: Timestamp::MIN,
            all_well: None,
            heard: VecDeque::new(),
            probed_at: Timestamp::MIN,
        };
        Self(Mutex::new(state))
    }
}

impl Brake {
    /// How many steps of a new batch may be under way at once: 1 to 10.
    pub fn abreast(&self) -> usize {
        let mut state = self.state();
        if state.all_well.take() == Some(true) {
            state.abreast = (state.abreast * 2).min(MOST_ABREAST);
        }
        state.abreast
    }

    /// Whether nothing may be begun at `now`.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        now < self.state().closed_until
    }

    /// The first attempt to charge `who` was paid, or refused in these words. Where so many were refused alike that it is an
    /// incident: its words, and since when.
    pub fn hear(&self, who: SubscriptionId, words: Option<&str>, now: Timestamp) -> Option<(String, Timestamp)> {
        let mut state = self.state();
        state.heard.retain(|(known, _, _)| *known != who);
        state.heard.push_back((who, now, words.map(str::to_owned)));
        if state.heard.len() > COMPARED {
            state.heard.pop_front();
        }
        let words = words?;
        let same = |heard: &&(SubscriptionId, Timestamp, Option<String>)| {
            heard.2.as_deref().is_some_and(|other| alike(other) == alike(words))
        };
        let count = state.heard.iter().filter(same).count();
        let since = state.heard.iter().find(same).map(|(_, at, _)| *at)?;
        let began = since.saturating_sub(SEEN_LATE).unwrap_or(since);
        (count >= ALIKE).then(|| (words.to_owned(), began))
    }

    /// Whether it is time to try whether an incident is over. Then it is this caller's turn, and nobody else's for a while.
    pub fn may_probe(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        let due = state.probed_at.saturating_add(PROBES).is_ok_and(|at| at <= now);
        if due {
            state.probed_at = now;
        }
        due
    }

    /// The turn came to no charge: it is the next one's.
    pub fn probe_again(&self) {
        self.state().probed_at = Timestamp::MIN;
    }

    /// A call has ended at `now`, after `took`.
    pub(super) fn note(&self, answered: bool, took: SignedDuration, now: Timestamp) {
        let mut state = self.state();
        if answered && took < SLOW {
            state.failures = 0;
            state.all_well.get_or_insert(true);
            return;
        }
        state.all_well = Some(false);
        state.abreast = (state.abreast / 2).max(1);
        if answered {
            state.failures = 0;
            return;
        }
        state.failures += 1;
        let Some(doubled) = state.failures.checked_sub(FAILURES) else { return };
        let wait = SHORTEST.saturating_mul(1 << doubled.min(16)).min(LONGEST);
        let jittered = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
        state.closed_until = now.saturating_add(jittered).unwrap_or(Timestamp::MAX);
        state.abreast = 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: SignedDuration = SignedDuration::from_millis(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_slow_answer_halves_what_runs_abreast_and_a_good_batch_doubles_it() {
        let brake = Brake::default();
        assert_eq!(brake.abreast(), 10);
        brake.note(true, SLOW, at(0));
        brake.note(true, SLOW, at(0));
        let good_batch = || {
            brake.note(true, QUICK, at(0));
            brake.abreast()
        };
        assert_eq!((brake.abreast(), good_batch(), good_batch(), good_batch()), (2, 4, 8, 10));
        assert!(!brake.is_closed(at(0)), "slow, and answered");
        for _ in 0..20 {
            brake.note(true, SLOW, at(0));
        }
        assert_eq!(brake.abreast(), 1, "never none");
    }

    #[test]
    fn unanswered_calls_close_it_for_longer_and_longer_and_an_answer_opens_it() {
        let brake = Brake::default();
        for _ in 1..FAILURES {
            brake.note(false, QUICK, at(0));
            assert!(!brake.is_closed(at(0)));
        }
        for (half, whole) in [(1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (60, 120), (60, 120)] {
            brake.note(false, QUICK, at(0));
            assert!(brake.is_closed(at(half - 1)) && !brake.is_closed(at(whole)), "{half} to {whole} s");
        }
        assert_eq!((brake.abreast(), brake.abreast()), (1, 1), "one alone tries, however often nothing was begun");
        brake.note(true, QUICK, at(200));
        brake.note(false, QUICK, at(201));
        assert!(!brake.is_closed(at(201)), "counted anew");
    }

    #[test]
    fn workers_do_not_come_back_all_at_once() {
        let open_at_ninety = (0..200).filter(|_| {
            let brake = Brake::default();
            (0..FAILURES + 10).for_each(|_| brake.note(false, QUICK, at(0)));
            !brake.is_closed(at(90))
        });
        assert!((50..150).contains(&open_at_ninety.count()));
    }
}
