//! What was killed, and what came of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The counts of a run, while it runs.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

/// By the name of what was killed.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Counts {
    /// Killed in the middle of an event.
    pub(crate) killed_at_work: BTreeMap<&'static str, u64>,
    /// Killed between two events, or before the first.
    pub(crate) killed_idle: BTreeMap<&'static str, u64>,
    /// Killed, and started again on what it had kept.
    pub(crate) servers_killed: BTreeMap<&'static str, u64>,
    /// Events that a function said it could not handle.
    pub(crate) failed: BTreeMap<&'static str, u64>,
    /// Processes that ended though nobody killed them, and functions that did not answer in time.
    pub(crate) ended_by_themselves: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// All that was killed.
    pub(crate) fn kills(&self) -> u64 {
        let servers = self.servers_killed.values().sum::<u64>();
        self.cut() + self.killed_idle.values().sum::<u64>() + servers
    }

    /// Functions that were killed at work.
    pub(crate) fn cut(&self) -> u64 {
        self.killed_at_work.values().sum()
    }
}

impl Tally {
    /// Counts one more.
    pub(crate) fn count(
        &self,
        which: impl FnOnce(&mut Counts) -> &mut BTreeMap<&'static str, u64>,
        name: &'static str,
    ) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *which(&mut counts).entry(name).or_default() += 1;
    }

    /// So far.
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
