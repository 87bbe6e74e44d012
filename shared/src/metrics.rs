//! Metrics, in CloudWatch's embedded format: one JSON line on standard output, which CloudWatch reads out of the log. No call,
//! no agent; a line that is lost is a data point that is.
//!
//! Names are listed once, here. `template.yaml` watches them; a test keeps the two alike, and another sees each one written.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $unit:literal,)*) => {
        /// What is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $($(#[$doc])* $name,)* }

        impl Metric {
            /// All of them.
            pub const ALL: &[Metric] = &[$(Metric::$name,)*];

            /// The name in CloudWatch.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$name => stringify!($name),)* }
            }

            /// CloudWatch's unit.
            pub const fn unit(self) -> &'static str {
                match self { $(Metric::$name => $unit,)* }
            }
        }
    };
}

metrics! {
    /// Charges that were paid.
    ChargesPaid: "Count",
    /// Charges that were declined.
    ChargesDeclined: "Count",
    /// Attempts that came into doubt.
    InDoubt: "Count",
    /// Subscriptions that were handed to a person.
    NeedsReview: "Count",
    /// Subscriptions that wait for a person, hour by hour.
    OpenReviews: "Count",
    /// Findings of a reconciliation.
    BooksDiffer: "Count",
    /// Won that buyers were charged.
    WonCharged: "None",
    /// Won that went back.
    WonRefunded: "None",
    /// The age of the oldest step that is due.
    OldestDue: "Milliseconds",
    /// Steps that were put on the queue.
    StepsSent: "Count",
    /// How long I'mport took for a call.
    IamportLatency: "Milliseconds",
    /// Calls without a documented answer.
    IamportErrors: "Count",
    /// Many are refused alike: 1 while it goes on, 0 once a charge is paid again.
    Incident: "Count",
    /// Payments that only the ledger has, too many to be believed: once for each day that is compared to its end.
    Implausible: "Count",
    /// Living subscriptions that the index of what is due had lost: once for each look through all of them.
    Unlisted: "Count",
}

struct Sink {
    namespace: String,
    write: Box<dyn Fn(&str) + Send + Sync>,
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// From here on, metrics are written as lines to `write`, under `namespace`. The first call counts; before it, nothing is.
pub fn start(namespace: impl Into<String>, write: impl Fn(&str) + Send + Sync + 'static) {
    // An error says that it was started already.
    let _ = SINK.set(Sink { namespace: namespace.into(), write: Box::new(write) });
}

/// Writes what was measured at once, as one line.
pub fn put(measured: &[(Metric, f64)]) {
    if let Some(sink) = SINK.get()
        && !measured.is_empty()
    {
        (sink.write)(&line(&sink.namespace, measured, Timestamp::now()));
    }
}

fn line(namespace: &str, measured: &[(Metric, f64)], now: Timestamp) -> String {
    let metrics: Vec<Value> =
        measured.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    // Of the whole stack: no dimensions.
    let directive = json!({ "Namespace": namespace, "Dimensions": [[]], "Metrics": metrics });
    let mut line = Map::new();
    line.insert("_aws".to_owned(), json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] }));
    line.extend(measured.iter().map(|(metric, value)| (metric.name().to_owned(), json!(value))));
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_cloudwatch_reads_it() {
        let now = Timestamp::from_millisecond(1_795_402_800_123).unwrap();
        let line = line("Maedal/shop", &[(Metric::ChargesPaid, 2.0), (Metric::WonCharged, 19_800.0)], now);
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "_aws": {
                    "Timestamp": 1_795_402_800_123_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Maedal/shop",
                        "Dimensions": [[]],
                        "Metrics": [
                            { "Name": "ChargesPaid", "Unit": "Count" },
                            { "Name": "WonCharged", "Unit": "None" },
                        ],
                    }],
                },
                "ChargesPaid": 2.0,
                "WonCharged": 19_800.0,
            })
        );
    }
}
