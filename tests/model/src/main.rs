//! `cargo model`: explores the charge protocol whole, and shows what is found.

#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;
use model::explore::{Counterexample, Explored, explore};
use model::protocol::{EXPLORED, Protocol, RIGHT, Size, WRONG};
use serde_json::json;

/// The charge protocol as a state machine, explored whole: every order of the steps of two workers, I'mport, time and people.
#[derive(Debug, Parser)]
#[command(name = "cargo model")]
struct Asked {
    /// All that may happen at once, too: minutes, and two gigabytes of memory.
    #[arg(long)]
    all: bool,
    /// Wrong protocols instead: the counterexample of each, step by step.
    #[arg(long)]
    wrong: bool,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let asked = Asked::parse();
    let since = Instant::now();
    let works: Vec<(&str, Protocol, Size)> = match asked.wrong {
        true => WRONG.iter().map(|wrong| (wrong.does, wrong.protocol, wrong.size)).collect(),
        false => EXPLORED[..EXPLORED.len() - usize::from(!asked.all)]
            .iter()
            .map(|(name, size)| (*name, RIGHT, *size))
            .collect(),
    };
    let explored = side_by_side(&works);
    let seconds = since.elapsed().as_secs_f64();
    let states: usize = explored.iter().map(|(e, _)| e.states).sum();
    let transitions: usize = explored.iter().map(|(e, _)| e.transitions).sum();
    let depth = explored.iter().map(|(e, _)| e.depth).max().unwrap_or(0);
    let broken = explored.iter().filter(|(e, _)| e.found.is_some()).count();
    if asked.json {
        println!(
            "{}",
            json!({ "states": states, "transitions": transitions, "depth": depth, "broken": broken, "seconds": seconds.round() })
        );
    } else {
        for ((name, _, _), (e, seconds)) in works.iter().zip(&explored) {
            println!(
                "{:>10} states  {:>11} transitions  {:>2} deep  {seconds:>5.1} s  {name}",
                grouped(e.states),
                grouped(e.transitions),
                e.depth
            );
            if let Some(found) = &e.found {
                tell(found);
            }
        }
        println!(
            "{} states, {} transitions, {depth} deep, {broken} counterexamples, {seconds:.0} s",
            grouped(states),
            grouped(transitions)
        );
    }
    let expected = if asked.wrong { works.len() } else { 0 };
    if broken == expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Two at a time: each needs a core and its memory.
fn side_by_side(works: &[(&str, Protocol, Size)]) -> Vec<(Explored, f64)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((_, protocol, size)) = works.get(next.fetch_add(1, Ordering::Relaxed)) {
            let since = Instant::now();
            done.push((size, protocol, explore(protocol, size), since.elapsed().as_secs_f64()));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    let place = |size: &Size, protocol: &Protocol| {
        works.iter().position(|(_, p, s)| std::ptr::eq(s, size) && std::ptr::eq(p, protocol))
    };
    done.sort_by_key(|(size, protocol, ..)| place(size, protocol));
    done.into_iter().map(|(_, _, explored, seconds)| (explored, seconds)).collect()
}

fn tell(found: &Counterexample) {
    println!("           {}:", found.rule.words());
    for (step, _) in &found.steps {
        println!("             {step}");
    }
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
