//! x
use faults::history::{Plot, Stage};
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let stage = Stage::default();
    let began = std::time::Instant::now();
    let (mut bad, mut calls, mut faults) = (0, 0, 0);
    for seed in args[0]..args[1] {
        let outcome = stage.run(&Plot::thrown(seed));
        calls += outcome.places.len();
        faults += outcome.struck.len();
        if !outcome.violations.is_empty() {
            bad += 1;
            println!("seed {seed}: {:?}", outcome.violations.iter().map(|v| format!("{:?} {}", v.rule, v.what)).collect::<Vec<_>>());
        }
        if args.len() > 2 { println!("{}", faults::words::tell(&outcome)); }
    }
    println!("{bad} bad, {calls} calls, {faults} faults, {:?}", began.elapsed());
}
