//! What a whole run of the journeys logs and measures: no line may hold a secret or a buyer's data, and every metric is seen.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use maedal::metrics;

/// What no line may hold: the buyer of every journey, and the simulator's credentials and tokens.
const PRIVATE: [&str; 6] =
    ["김매달", "buyer@shop.example", "010-1234-5678", "simulated_key", "simulated_secret", "Bearer "];

static LEAKED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static MEASURED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Begins to watch, once for all worlds of a process.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        // As `telemetry::start` does it, with another end.
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_writer(|| Watch);
        // A test that has a subscriber of its own isn't watched.
        let _ = subscriber.try_init();
        metrics::start("Maedal/journeys", |line| {
            look(line);
            let names = serde_json::from_str::<serde_json::Value>(line).unwrap_or_default();
            let names = names["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().cloned().unwrap_or_default();
            let mut measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
            measured.extend(names.iter().filter_map(|metric| metric["Name"].as_str()).map(str::to_owned));
        });
    });
}

/// The lines so far that hold what none may.
pub fn leaked() -> Vec<String> {
    LEAKED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The metrics that were written so far.
pub fn measured() -> BTreeSet<String> {
    MEASURED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn look(line: &str) {
    if PRIVATE.iter().any(|private| line.contains(private)) {
        LEAKED.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }
}

struct Watch;

impl Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        look(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
