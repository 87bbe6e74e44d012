//! The capacity model: from what is due in an hour to what it takes, what it costs, and what gives way first.
//!
//! Quantities are this stack's (the other parts of `cargo measure` count them); quotas are AWS's defaults for Seoul, all of which
//! AWS raises on request. Sources: SQS message quotas, DynamoDB and Lambda quotas, EventBridge quotas, as of 2026. The quota of
//! `PutEvents` was not found for Seoul by name: 600 is what regions without a line of their own have.

use std::fmt::{self, Display, Formatter, Write};

/// What a batch holds (SQS FIFO).
const BATCH: f64 = 10.0;
/// Claim and settlement, seconds.
const TABLE_SECONDS: f64 = 0.03;
/// Write units of a renewal, and those of them that go to the index `due`, where it leaves its place and takes another.
pub(crate) const WRITE_UNITS: f64 = 8.0;
const INDEX_WRITE_UNITS: f64 = 2.0;
/// Of the table's list of events, which `notify` writes.
const EVENT_WRITE_UNITS: f64 = 4.0;
const EVENTS: f64 = 2.0;
/// Read units of dispatch for each thousand due.
const READ_UNITS_PER_1000: f64 = 8.15;
/// What a batch of messages takes to be sent, seconds, and how many shards dispatch sends from side by side.
const SEND_SECONDS: f64 = 0.015;
const SHARDS_ABREAST: f64 = 4.0;
/// Seconds of each minute in which dispatch sends.
const DISPATCH_SECONDS: f64 = 45.0;
/// How full workers are: a batch waits for its slowest call, and batches aren't always whole.
pub(crate) const UTILISATION: f64 = 0.85;

const DUE_SHARDS: f64 = 16.0;
const UNITS_PER_PARTITION: f64 = 1_000.0;
const TABLE_UNITS: f64 = 40_000.0;
const QUEUE_CALLS: f64 = 2_400.0;
const MOST_WORKERS: f64 = 1_000.0;
const PUT_EVENTS: f64 = 600.0;
/// US dollars for a renewal, without the worker's time, and for a worker's second: README.md, What it costs.
const COST: f64 = 13.42e-6;
const WORKER_COST: f64 = 0.25 * 0.000_013_333_4;
/// Changes of the table in one invocation of `notify`, two of them for each renewal.
const NOTIFY_BATCH: f64 = 10.0;

/// What is asked of a stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Demand {
    /// Renewals that fall due within an hour.
    pub(crate) due_per_hour: f64,
    /// What `again` takes, seconds.
    pub(crate) latency: f64,
    /// What I'mport and the gateway behind it take, calls per second; none where nobody has said.
    pub(crate) rate_limit: Option<f64>,
}

/// What may give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// I'mport, or the gateway behind it.
    Gateway,
    /// One tick of dispatch.
    Dispatch,
    /// The queue's calls.
    Queue,
    /// Concurrent workers.
    Workers,
    /// The table's write units.
    Table,
    /// The write units of one shard of the index `due`.
    Index,
    /// The event bus.
    Bus,
}

impl Part {
    /// What to turn.
    fn remedy(self) -> &'static str {
        match self {
            Self::Gateway => "spread the due times, or ask the gateway; ChargeConcurrency keeps below its limit",
            Self::Dispatch => "raise ABREAST in dispatch.rs, or let each shard have a tick of its own",
            Self::Queue => "ask AWS for more calls a second",
            Self::Workers => "raise ChargeConcurrency, up to 1,000, and Lambda's own quota above it",
            Self::Table => "ask AWS for more write units of one table",
            Self::Index => "raise DUE_SHARDS",
            Self::Bus => "ask AWS for more PutEvents a second; until then notify is late, and loses nothing",
        }
    }
}

/// How many renewals an hour each part can take.
pub(crate) fn limits(demand: &Demand) -> Vec<(Part, f64)> {
    let hour = 3_600.0;
    let workers = MOST_WORKERS * BATCH / batch_seconds(demand) * UTILISATION;
    let sent_per_minute = SHARDS_ABREAST * BATCH / SEND_SECONDS * DISPATCH_SECONDS;
    let mut limits = vec![
        (Part::Dispatch, sent_per_minute * 60.0),
        (Part::Queue, QUEUE_CALLS * BATCH * hour),
        (Part::Workers, workers * hour),
        (Part::Table, TABLE_UNITS / (WRITE_UNITS + EVENT_WRITE_UNITS) * hour),
        (Part::Index, UNITS_PER_PARTITION / INDEX_WRITE_UNITS * DUE_SHARDS * hour),
        (Part::Bus, PUT_EVENTS * NOTIFY_BATCH / EVENTS * hour),
    ];
    limits.extend(demand.rate_limit.map(|limit| (Part::Gateway, limit * hour)));
    limits.sort_by(|one, other| one.1.total_cmp(&other.1));
    limits
}

fn batch_seconds(demand: &Demand) -> f64 {
    demand.latency + TABLE_SECONDS
}

/// What a demand takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Capacity {
    demand: Demand,
    /// Renewals a second that are made.
    pub(crate) per_second: f64,
    /// Hours until the last of an hour's renewals is made: 1, or more where a part gives way.
    pub(crate) hours: f64,
    /// `ChargeConcurrency`.
    pub(crate) workers: f64,
    /// Write units a second, those of the list of events included.
    pub(crate) write_units: f64,
    /// Read units a second.
    pub(crate) read_units: f64,
    /// Calls of the queue a second, of each kind.
    pub(crate) queue_calls: f64,
    /// US dollars for all of an hour's renewals.
    pub(crate) cost: f64,
    /// What gives way first, and how many an hour it takes.
    pub(crate) first: (Part, f64),
}

/// What `demand` takes.
pub(crate) fn capacity(demand: Demand) -> Capacity {
    let first = limits(&demand).into_iter().next().unwrap_or((Part::Gateway, f64::INFINITY));
    let per_hour = demand.due_per_hour.min(first.1);
    let per_second = per_hour / 3_600.0;
    Capacity {
        demand,
        per_second,
        hours: demand.due_per_hour / per_hour,
        workers: (per_second * batch_seconds(&demand) / BATCH / UTILISATION).ceil().max(1.0),
        write_units: per_second * (WRITE_UNITS + EVENT_WRITE_UNITS),
        read_units: per_second * READ_UNITS_PER_1000 / 1_000.0,
        queue_calls: per_second / BATCH,
        cost: demand.due_per_hour * (COST + batch_seconds(&demand) / BATCH * WORKER_COST),
        first,
    }
}

impl Display for Capacity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let limit = self.demand.rate_limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0}"));
        write!(
            f,
            "{:>12.0} {:>8.1} {limit:>8} {:>10.1} {:>7.1} {:>8.0} {:>8.0} {:>7.1} {:>7.2}   {:?} at {:.0} an hour",
            self.demand.due_per_hour,
            self.demand.latency,
            self.per_second,
            self.hours,
            self.workers,
            self.write_units,
            self.queue_calls,
            self.cost,
            self.first.0,
            self.first.1,
        )
    }
}

/// The table for people: usual demands, or `asked` alone, with what to turn.
pub(crate) fn table(asked: Option<Demand>) -> String {
    let demand = |due_per_hour, latency, rate_limit| Demand { due_per_hour, latency, rate_limit };
    let usual = [
        demand(1_000.0, 2.0, None),
        demand(100_000.0, 2.0, Some(50.0)),
        demand(1_000_000.0, 2.0, Some(50.0)),
        demand(1_000_000.0, 2.0, None),
        demand(10_000_000.0, 2.0, None),
        demand(10_000_000.0, 5.0, None),
    ];
    let demands = asked.map_or_else(|| usual.to_vec(), |asked| vec![asked]);
    let mut text = format!(
        "{:>12} {:>8} {:>8} {:>10} {:>7} {:>8} {:>8} {:>7} {:>7}   gives way first\n",
        "due an hour", "again, s", "limit/s", "charged/s", "hours", "workers", "WU/s", "queue/s", "USD"
    );
    for demand in demands {
        let capacity = capacity(demand);
        let _ = writeln!(text, "{capacity}");
        let short = capacity.hours > 1.0;
        if short || asked.is_some() {
            let _ = writeln!(text, "{:>12} then: {}", "", capacity.first.0.remedy());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(due_per_hour: f64, latency: f64, rate_limit: Option<f64>) -> Demand {
        Demand { due_per_hour, latency, rate_limit }
    }

    #[test]
    fn a_million_an_hour_needs_sixty_seven_workers_at_two_seconds() {
        let capacity = capacity(demand(1e6, 2.0, None));
        assert_eq!(capacity.hours, 1.0);
        assert_eq!(capacity.workers, 67.0, "278 a second, 2.03 s a batch of ten, 85 % full");
        assert!((capacity.write_units - 3_333.0).abs() < 1.0, "{}", capacity.write_units);
        assert!((capacity.cost - 14.1).abs() < 0.01, "{}", capacity.cost);
    }

    #[test]
    fn a_gateway_that_takes_fifty_a_second_is_what_gives_way_first() {
        let capacity = capacity(demand(1e6, 2.0, Some(50.0)));
        assert_eq!(capacity.first, (Part::Gateway, 180_000.0));
        assert!((capacity.hours - 5.56).abs() < 0.01, "{}", capacity.hours);
        assert_eq!(capacity.workers, 12.0, "no more than keep it busy");
    }

    #[test]
    fn without_one_it_is_dispatch_and_then_the_bus_and_the_workers() {
        let order: Vec<Part> = limits(&demand(1e7, 2.0, None)).into_iter().map(|(part, _)| part).collect();
        assert_eq!(order, [Part::Dispatch, Part::Bus, Part::Table, Part::Workers, Part::Index, Part::Queue]);
        let slow = limits(&demand(1e7, 8.0, None));
        assert_eq!(slow[0].0, Part::Workers, "a slow I'mport needs more workers than Lambda has");
    }

    #[test]
    fn more_demand_never_takes_less() {
        let takes = |due| {
            let c = capacity(demand(due, 2.0, Some(400.0)));
            [c.per_second, c.hours, c.workers, c.write_units, c.read_units, c.queue_calls, c.cost]
        };
        let all: Vec<_> = [1e2, 1e4, 1e6, 1.4e6, 1.5e6, 1e7].map(takes).into();
        for pair in all.windows(2) {
            assert!(pair[0].iter().zip(&pair[1]).all(|(less, more)| less <= more), "{pair:?}");
        }
    }
}
