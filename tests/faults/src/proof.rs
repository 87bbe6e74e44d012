//! Many histories, on all processors, and what they came to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{available_parallelism, scope};

use serde::Serialize;

use crate::history::{Outcome, Plot, Stage};
use crate::rules::Rule;
use crate::script::Strikes;
use crate::shrink::shrink;
use crate::words::tell;

/// What many histories came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many were run.
    pub schedules: u64,
    /// How many of them broke a rule.
    pub violations: u64,
    /// In how many a period was paid two times.
    pub double_charges: u64,
    /// In how many somebody was forgotten.
    pub forgotten: u64,
    /// In how many something never came to rest.
    pub stuck: u64,
    /// Network calls at which a worker could have died, or anything else could have gone wrong.
    pub crash_points: u64,
    /// At how many of them something did.
    pub faults: u64,
    /// How many of the histories are different ones.
    pub histories: u64,
}

/// A history that broke a rule.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Where it came from.
    pub plot: Plot,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// The runs of many histories.
#[derive(Debug, Default)]
pub struct Proof {
    totals: Mutex<(Totals, BTreeSet<u64>, Vec<Broken>)>,
    enough: AtomicBool,
    /// Ends after so many histories that broke a rule; never where there is none.
    pub most_broken: Option<usize>,
}

impl Proof {
    /// Runs the plots that `next` gives, by number, until it gives none.
    pub fn run(&self, next: impl Fn(u64) -> Option<Plot> + Sync) {
        let number = AtomicU64::new(0);
        scope(|threads| {
            for _ in 0..available_parallelism().map_or(1, usize::from) {
                threads.spawn(|| {
                    let stage = Stage::default();
                    while !self.enough.load(Ordering::Relaxed) {
                        let Some(plot) = next(number.fetch_add(1, Ordering::Relaxed)) else { return };
                        self.note(&plot, &stage.run(&plot));
                    }
                });
            }
        });
    }

    /// Every way in which at most `most` faults strike the plain history, two of them no further apart than `apart` calls.
    pub fn exhaust(&self, most: usize, apart: usize) {
        let stack: Mutex<(Vec<(Strikes, usize)>, usize)> = Mutex::new((vec![(Strikes::new(), 0)], 0));
        scope(|threads| {
            for _ in 0..available_parallelism().map_or(1, usize::from) {
                threads.spawn(|| {
                    let stage = Stage::default();
                    loop {
                        let taken = {
                            let mut stack = stack.lock().unwrap_or_else(PoisonError::into_inner);
                            let taken = stack.0.pop();
                            stack.1 += usize::from(taken.is_some());
                            if taken.is_none() && stack.1 == 0 {
                                return;
                            }
                            taken
                        };
                        let Some((strikes, from)) = taken else {
                            std::thread::yield_now();
                            continue;
                        };
                        let plot = Plot::plain(strikes.clone());
                        let outcome = stage.run(&plot);
                        self.note(&plot, &outcome);
                        let mut stack = stack.lock().unwrap_or_else(PoisonError::into_inner);
                        stack.1 -= 1;
                        if strikes.len() == most || self.enough.load(Ordering::Relaxed) {
                            continue;
                        }
                        // Only calls behind the last fault: each set of faults is run once.
                        let to = if strikes.is_empty() { outcome.places.len() } else { from + apart };
                        for (nth, (place, kind)) in outcome.places.iter().enumerate().take(to).skip(from) {
                            for fault in kind.faults() {
                                let mut strikes = strikes.clone();
                                strikes.insert(place.clone(), *fault);
                                stack.0.push((strikes, nth + 1));
                            }
                        }
                    }
                });
            }
        });
    }

    fn note(&self, plot: &Plot, outcome: &Outcome) {
        let mut noted = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, histories, broken) = &mut *noted;
        totals.schedules += 1;
        totals.crash_points += outcome.places.len() as u64;
        totals.faults += outcome.struck.len() as u64;
        histories.insert(outcome.footprint);
        totals.histories = histories.len() as u64;
        let rules: BTreeSet<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
        if rules.is_empty() {
            return;
        }
        totals.violations += 1;
        totals.double_charges += u64::from(rules.contains(&Rule::DoubleCharge));
        totals.forgotten += u64::from(rules.contains(&Rule::Forgotten));
        totals.stuck += u64::from(rules.contains(&Rule::Stuck));
        broken.push(Broken { plot: plot.clone(), rules: rules.into_iter().collect() });
        if self.most_broken.is_some_and(|most| broken.len() >= most) {
            self.enough.store(true, Ordering::Relaxed);
        }
    }

    /// What it came to.
    pub fn ended(self) -> (Totals, Vec<Broken>) {
        let (totals, _, broken) = self.totals.into_inner().unwrap_or_else(PoisonError::into_inner);
        (totals, broken)
    }
}

/// A broken history, shrunk and in words.
pub fn explain(broken: &Broken) -> String {
    let stage = Stage::default();
    let plot = shrink(&stage, &broken.plot, stage.run(&broken.plot));
    let outcome = Stage::telling().run(&plot);
    let mut text =
        format!("seed {}, shrunk to {} faults and {} deeds:\n", plot.seed, outcome.struck.len(), plot.life.deeds.len());
    for (_, at, deed) in &plot.life.deeds {
        text.push_str(&format!("  after {} s: {deed:?}\n", at.as_secs()));
    }
    for (place, fault) in &outcome.struck {
        text.push_str(&format!("  {} call {}: {}\n", place.actor, place.call, fault.words()));
    }
    text + &tell(&outcome)
}
