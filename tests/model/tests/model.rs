//! The protocol holds where it is explored whole in seconds, and each wrong one is found out.

#![allow(clippy::print_stdout)]

use std::collections::HashSet;

use model::explore::{Explored, explore};
use model::protocol::{DOUBLED, RIGHT, SMALL, SPARED, Size, TURNED, WRONG};
use model::rule::Rule;
use model::state::State;
use model::step::Ways;

fn holds(size: &Size) -> Explored {
    let explored = explore(&RIGHT, size);
    println!("{} states, {} transitions, {} deep", explored.states, explored.transitions, explored.depth);
    if let Some(found) = &explored.found {
        let steps: Vec<String> = found.steps.iter().map(|(step, _)| step.to_string()).collect();
        panic!("{}:\n{}", found.rule.words(), steps.join("\n"));
    }
    explored
}

#[test]
fn the_protocol_holds_where_everything_fails() {
    let explored = holds(&SMALL);
    assert!(explored.states > 300_000, "{}", explored.states);
    assert!(explored.quiet > 50, "{}", explored.quiet);
}

#[test]
fn the_protocol_holds_over_two_periods() {
    holds(&Size { periods: 2, sends: 1, ..SMALL });
}

#[test]
fn the_protocol_holds_where_people_interfere() {
    holds(&Size { sends: 1, turns: 1, commands: 2, findings: 1, ..SMALL });
}

#[test]
fn each_wrong_protocol_is_found_out_where_the_right_one_holds() {
    let mut held: Vec<Size> = Vec::new();
    for wrong in WRONG {
        let explored = explore(&wrong.protocol, &wrong.size);
        let found = explored.found.unwrap_or_else(|| panic!("nothing is wrong with one that {}", wrong.does));
        let (states, steps) = (explored.states, found.steps.len());
        println!("{states:>8} states, {steps:>2} steps: {}: {}", wrong.does, found.rule.words());
        if !held.contains(&wrong.size) {
            holds(&wrong.size);
            held.push(wrong.size);
        }
    }
}

#[test]
fn a_second_guard_is_one() {
    for spared in SPARED {
        assert!(
            explore(&spared.protocol, &spared.size).found.is_none(),
            "{}: it has a counterexample now",
            spared.does
        );
    }
}

#[test]
fn a_wrong_protocol_breaks_the_rule_that_it_is_about() {
    let broken = |does: &str| {
        let wrong = WRONG.iter().find(|wrong| wrong.does == does).unwrap();
        explore(&wrong.protocol, &wrong.size).found.map(|found| found.rule)
    };
    assert_eq!(broken("sends without a claim"), Some(Rule::SentWithoutIntent));
    assert_eq!(broken("knows no settle delay"), Some(Rule::SentWhilePayable));
    assert_eq!(broken("takes commands while something is in flight"), Some(Rule::ClaimedAfterStop));
    assert_eq!(broken("settles without the period's key"), Some(Rule::SettledTwice));
    assert_eq!(broken("keeps what was paid twice"), Some(Rule::NeverQuiet));
    assert_eq!(broken("ignores a late payment"), Some(Rule::NeverQuiet));
    assert_eq!(broken("doesn't look up the earlier attempts"), Some(Rule::SentThoughPaid));
    assert_eq!(broken("uses an attempt's number again"), Some(Rule::AskedAgain));
}

/// Rows of the table in the crate's head: a transition, and what it stands for.
fn table() -> Vec<(String, String)> {
    let rows = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let cells = rows.filter_map(|row| row.trim_end_matches(" |").split_once(" | "));
    cells.skip(1).map(|(what, code)| (what.to_owned(), code.to_owned())).collect()
}

#[test]
fn each_transition_stands_for_code_that_is_there() {
    let table = table();
    for (what, code) in &table {
        for place in code.split('`').skip(1).step_by(2) {
            let (file, function) = place.split_once(": ").unwrap();
            let path = format!("{}/../../shared/src/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{what}: {file}: {e}"));
            let is_there = ["(", "<"].iter().any(|open| text.contains(&format!("fn {function}{open}")));
            assert!(is_there, "{what}: {place} isn't there any more");
        }
    }
    let size = Size { periods: 2, sends: 2, turns: 1, foreigners: 1, commands: 1, findings: 1, ..SMALL };
    let mut taken: Vec<&str> = Vec::new();
    let (mut ahead, mut seen) = (vec![State::first(&size)], HashSet::new());
    let mut ways = Ways::new(&RIGHT, &size);
    while let Some(state) = ahead.pop().filter(|_| seen.len() < 400_000) {
        for (step, _, to) in ways.from(state) {
            if !taken.contains(&step.what) {
                taken.push(step.what);
            }
            if seen.insert(to.pack()) {
                ahead.push(*to);
            }
        }
    }
    let mut listed: Vec<&str> = table.iter().map(|(what, _)| what.as_str()).collect();
    listed.sort_unstable();
    taken.sort_unstable();
    assert_eq!(taken, listed);
}

#[test]
fn a_state_is_packed_without_loss() {
    let size = Size { periods: 2, turns: 1, foreigners: 1, commands: 3, findings: 1, ..DOUBLED };
    let mut ways = Ways::new(&RIGHT, &size);
    let mut state = State::first(&size);
    for i in 0..20_000_usize {
        let from = ways.from(state);
        if from.is_empty() {
            break;
        }
        state = from[i * 7 % from.len()].2;
        let again = State::unpack(state.pack());
        assert_eq!(again.pack(), state.pack());
        let mut turned = again;
        turned.workers.swap(0, 1);
        assert!(again == state || turned == state, "{state:?}\n{again:?}");
    }
    assert!(explore(&RIGHT, &Size { sends: 1, ..TURNED }).found.is_none());
}
