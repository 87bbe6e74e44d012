//! `cargo faults`: runs very many histories and says whether any of them broke a rule.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use faults::bugs::{Caught, hunt};
use faults::history::{Plot, Stage};
use faults::proof::{Broken, Proof, Totals, explain};
use faults::words::tell;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The proof that nobody is charged twice and nobody is forgotten, whatever fails, whenever.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many histories; 2,000 where nothing else is said.
    #[arg(long)]
    schedules: Option<u64>,
    /// The first seed; with it alone, just that one history, told in words.
    #[arg(long)]
    seed: Option<u64>,
    /// Only one last line, for machines.
    #[arg(long)]
    json: bool,
    /// Ends with the first history that breaks a rule.
    #[arg(long)]
    first: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every crash point of one subscription's two periods, times every outcome of every call.
    Exhaustive {
        /// How many faults strike one history.
        #[arg(long, default_value_t = 2)]
        faults: usize,
        /// How many calls two of them are apart at most.
        #[arg(long, default_value_t = usize::MAX)]
        apart: usize,
        /// Only one last line, for machines.
        #[arg(long)]
        json: bool,
    },
    /// Puts bugs into a copy of the code, and says in how many histories each is caught.
    Bugs {
        /// Only these: the names of patches in `tests/faults/bugs`. All of them where none is named.
        names: Vec<String>,
        /// In so many histories each may hide.
        #[arg(long, default_value_t = MOST_HIDDEN)]
        most: u64,
    },
}

const HISTORIES: u64 = 2_000;
/// So many broken histories are told; the others are counted.
const MOST_TOLD: usize = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let mut proof = Proof::default();
    proof.most_broken = arguments.first.then_some(1);
    match &arguments.command {
        Some(Command::Exhaustive { faults, apart, .. }) => proof.exhaust(*faults, *apart),
        Some(Command::Bugs { names, most }) => return hunt_bugs(names, *most),
        None => {
            let (first, count) = match (arguments.seed, arguments.schedules) {
                (Some(seed), None) if !arguments.json => return tell_one(seed),
                (Some(seed), schedules) => (seed, schedules.unwrap_or(1)),
                (None, schedules) => (1, schedules.unwrap_or(HISTORIES)),
            };
            proof.run(|nth| (nth < count).then(|| Plot::thrown(first + nth)));
        }
    }
    let (totals, broken) = proof.ended();
    let json = arguments.json || matches!(arguments.command, Some(Command::Exhaustive { json: true, .. }));
    report(&totals, &broken, json, began);
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_one(seed: u64) -> ExitCode {
    let outcome = Stage::telling().run(&Plot::thrown(seed));
    print!("{}", tell(&outcome));
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// So many histories a bug may hide in.
const MOST_HIDDEN: u64 = 10_000;

fn hunt_bugs(names: &[String], most: u64) -> ExitCode {
    let all = hunt(names, most, |Caught { bug, histories, by }| match histories {
        Some(histories) => println!("caught in {histories:>4} histories: {}\n    {}\n    {by}", bug.name, bug.what),
        None => println!("NOT CAUGHT in {most}: {}\n    {}", bug.name, bug.what),
    });
    match all {
        Ok(all) if all.iter().all(|caught| caught.histories.is_some()) => {
            println!("{} bugs, all caught.", all.len());
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn report(totals: &Totals, broken: &[Broken], json: bool, began: Instant) {
    for broken in broken.iter().take(MOST_TOLD) {
        println!("{}", explain(broken));
    }
    if broken.len() > MOST_TOLD {
        let seeds: Vec<String> =
            broken.iter().skip(MOST_TOLD).take(50).map(|b| format!("{} {:?}", b.plot.seed, b.rules)).collect();
        println!("and {} more: {}", broken.len() - MOST_TOLD, seeds.join(", "));
    }
    if !json {
        println!(
            "{} histories, {} of them different, with {} faults at {} calls, in {:.0} s.",
            totals.schedules,
            totals.histories,
            totals.faults,
            totals.crash_points,
            began.elapsed().as_secs_f64()
        );
        println!(
            "{} broke a rule: {} charged twice, {} forgotten, {} stuck.",
            totals.violations, totals.double_charges, totals.forgotten, totals.stuck
        );
    }
    println!("{}", serde_json::to_string(totals).unwrap_or_default());
}
