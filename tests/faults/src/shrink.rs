//! Shrinking: from a history that breaks a rule, everything is left out that it doesn't need for that.

use crate::history::{Outcome, Plot, Stage};
use crate::rules::Rule;
use crate::script::Script;

/// Histories are tried until they have made so many network calls together: one that goes in circles makes very many.
const MOST_CALLS: usize = 40_000;

/// The smallest plot found that breaks the same rule as `plot`, of which `outcome` came.
pub fn shrink(stage: &Stage, plot: &Plot, outcome: Outcome) -> Plot {
    let Some(rule) = outcome.violations.first().map(|violation| violation.rule) else { return plot.clone() };
    let given = Plot { script: Script::Given(outcome.struck.clone()), ..plot.clone() };
    let calls = outcome.places.len();
    let mut smallest = Smallest { stage, rule, plot: plot.clone(), outcome, calls };
    smallest.attempt(given);
    let mut calm = smallest.plot.clone();
    calm.life.rough = false;
    smallest.attempt(calm);
    loop {
        let before = smallest.size();
        smallest.leave_out_deeds();
        smallest.leave_out_strikes();
        if smallest.size() == before || smallest.calls >= MOST_CALLS {
            return smallest.plot;
        }
    }
}

struct Smallest<'a> {
    stage: &'a Stage,
    rule: Rule,
    plot: Plot,
    outcome: Outcome,
    calls: usize,
}

impl Smallest<'_> {
    fn size(&self) -> usize {
        self.plot.life.deeds.len() + self.strikes()
    }

    fn strikes(&self) -> usize {
        match &self.plot.script {
            Script::Given(strikes) => strikes.len(),
            Script::Dice { .. } => 0,
        }
    }

    /// Takes `plot` where it breaks the same rule.
    fn attempt(&mut self, plot: Plot) -> bool {
        if self.calls >= MOST_CALLS {
            return false;
        }
        let outcome = self.stage.run(&plot);
        self.calls += outcome.places.len();
        let same = outcome.violations.iter().any(|violation| violation.rule == self.rule);
        if same {
            (self.plot, self.outcome) = (plot, outcome);
        }
        same
    }

    /// Halves first, then quarters, then one by one.
    fn leave_out_deeds(&mut self) {
        let mut size = self.plot.life.deeds.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.plot.life.deeds.len() {
                let mut plot = self.plot.clone();
                let to = (from + size).min(plot.life.deeds.len());
                plot.life.deeds.drain(from..to);
                if !self.attempt(plot) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    fn leave_out_strikes(&mut self) {
        let mut size = self.strikes().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.strikes() {
                let mut plot = self.plot.clone();
                let Script::Given(strikes) = &mut plot.script else { return };
                let out: Vec<_> = strikes.keys().skip(from).take(size).cloned().collect();
                strikes.retain(|place, _| !out.contains(place));
                if !self.attempt(plot) {
                    from += size;
                }
            }
            size /= 2;
        }
    }
}
