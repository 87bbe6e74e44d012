//! Exploration of all states, breadth first: the first counterexample is a shortest one. Then backwards: from which states
//! all can still come to rest.
//!
//! `stateright` would do the first half. It keeps fingerprints, where two states with the same one are taken for one; its
//! `eventually` isn't what is asked here (from *every* state *some* way leads to rest: AG EF); and it brings a web server.

use crate::protocol::{Protocol, Size};
use crate::rule::Rule;
use crate::state::State;
use crate::step::{Step, Ways};

/// What was explored, and what was found.
#[derive(Debug)]
pub struct Explored {
    /// How many states.
    pub states: usize,
    /// How many transitions.
    pub transitions: usize,
    /// How many steps away the farthest state is.
    pub depth: usize,
    /// At how many of them all is at rest.
    pub quiet: usize,
    /// The names of the transitions that were taken.
    pub taken: Vec<&'static str>,
    /// What breaks a rule: the shortest way to it.
    pub found: Option<Counterexample>,
}

/// The way to a broken rule.
#[derive(Debug)]
pub struct Counterexample {
    /// Which.
    pub rule: Rule,
    /// Step by step.
    pub steps: Vec<(Step, State)>,
}

/// Open addressing over the packed states.
struct Seen {
    states: Vec<u128>,
    slots: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl Seen {
    fn new() -> Self {
        Self { states: Vec::new(), slots: vec![FREE; 1 << 16] }
    }

    fn slot(&self, packed: u128) -> usize {
        let mask = self.slots.len() - 1;
        let folded = (packed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ ((packed >> 64) as u64);
        let mut slot = (folded.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 20) as usize & mask;
        while self.slots[slot] != FREE && self.states[self.slots[slot] as usize] != packed {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The state's number, and whether it is new.
    fn add(&mut self, packed: u128) -> (u32, bool) {
        let slot = self.slot(packed);
        if self.slots[slot] != FREE {
            return (self.slots[slot], false);
        }
        let number = self.states.len() as u32;
        self.slots[slot] = number;
        self.states.push(packed);
        if self.states.len() * 2 > self.slots.len() {
            self.slots = vec![FREE; self.slots.len() * 2];
            for number in 0..self.states.len() {
                let slot = self.slot(self.states[number]);
                self.slots[slot] = number as u32;
            }
        }
        (number, true)
    }
}

/// Explores `protocol` where so much may happen, until a rule is broken or nothing is left.
pub fn explore(protocol: &Protocol, size: &Size) -> Explored {
    let mut ways = Ways::new(protocol, size);
    let mut seen = Seen::new();
    seen.add(State::first(size).pack());
    let mut parents = vec![FREE];
    // Of state i, the states that follow: next[starts[i]..starts[i + 1]].
    let (mut next, mut starts) = (Vec::<u32>::new(), vec![0_usize]);
    let mut taken: Vec<&'static str> = Vec::new();
    let (mut transitions, mut depth, mut layer_ends) = (0, 0, 1);
    let mut quiet = Vec::new();
    let mut at = 0;
    while at < seen.states.len() {
        if at == layer_ends {
            depth += 1;
            layer_ends = seen.states.len();
        }
        let from = State::unpack(seen.states[at]);
        quiet.push(from.is_quiet());
        for &(step, broken, to) in ways.from(from) {
            transitions += 1;
            if !taken.contains(&step.what) {
                taken.push(step.what);
            }
            if let Some(rule) = broken {
                let mut steps = way_to(&seen, &parents, at, protocol, size);
                let before = steps.last().map_or(from, |(_, state)| *state);
                let again = Ways::new(protocol, size)
                    .from(before)
                    .iter()
                    .find(|(_, b, t)| *b == Some(rule) && t.pack() == to.pack())
                    .copied();
                steps.push(again.map_or((step, to), |(step, _, to)| (step, to)));
                let (states, quiet) = (seen.states.len(), quiet.iter().filter(|q| **q).count());
                let found = Some(Counterexample { rule, steps });
                return Explored { states, transitions, depth: depth + 1, quiet, taken, found };
            }
            let (number, is_new) = seen.add(to.pack());
            if is_new {
                parents.push(at as u32);
            }
            next.push(number);
        }
        // Which of them, and how often, doesn't matter.
        let start = starts[at];
        next[start..].sort_unstable();
        let mut kept = start;
        for i in start..next.len() {
            if i == start || next[i] != next[kept - 1] {
                next[kept] = next[i];
                kept += 1;
            }
        }
        next.truncate(kept);
        starts.push(next.len());
        at += 1;
    }
    let states = seen.states.len();
    let stuck = stuck(&quiet, &next, &starts);
    let found =
        stuck.map(|at| Counterexample { rule: Rule::NeverQuiet, steps: way_to(&seen, &parents, at, protocol, size) });
    Explored { states, transitions, depth, quiet: quiet.iter().filter(|q| **q).count(), taken, found }
}

/// The first state from which no quiet one can be reached.
fn stuck(quiet: &[bool], next: &[u32], starts: &[usize]) -> Option<usize> {
    let mut good = quiet.to_vec();
    loop {
        let mut changed = false;
        for at in (0..good.len()).rev() {
            if !good[at] && next[starts[at]..starts[at + 1]].iter().any(|to| good[*to as usize]) {
                good[at] = true;
                changed = true;
            }
        }
        if !changed {
            return good.iter().position(|good| !good);
        }
    }
}

fn way_to(seen: &Seen, parents: &[u32], to: usize, protocol: &Protocol, size: &Size) -> Vec<(Step, State)> {
    let mut numbers = vec![to];
    while let Some(&parent) = numbers.last().and_then(|number| parents.get(*number)).filter(|parent| **parent != FREE) {
        numbers.push(parent as usize);
    }
    numbers.reverse();
    let mut ways = Ways::new(protocol, size);
    let mut at = State::unpack(seen.states[numbers[0]]);
    let mut steps = Vec::new();
    for number in &numbers[1..] {
        let wanted = seen.states[*number];
        // From the state as it came about, so that each worker keeps its place.
        let way = ways.from(at).iter().find(|(_, _, to)| to.pack() == wanted);
        let Some((step, _, to)) = way else { break };
        steps.push((*step, *to));
        at = *to;
    }
    steps
}
