//! What the table was asked for and what it cost: for budgets, and for the metric.

use std::sync::Mutex;
use std::sync::PoisonError;

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Counters of one store.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Usage>);

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// Network calls.
    pub calls: u64,
    /// Write units, indexes included.
    pub write_units: f64,
    /// Read units.
    pub read_units: f64,
}

impl Meter {
    /// What was used so far.
    pub fn usage(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wrote<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        let units: f64 = capacity.into_iter().filter_map(|c| c.capacity_units).sum();
        self.count(units, 0.0);
    }

    pub(super) fn read<'a>(&self, capacity: impl IntoIterator<Item = &'a ConsumedCapacity>) {
        let units: f64 = capacity.into_iter().filter_map(|c| c.capacity_units).sum();
        self.count(0.0, units);
    }

    pub(super) fn failed(&self) {
        self.count(0.0, 0.0);
    }

    fn count(&self, write_units: f64, read_units: f64) {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        usage.calls += 1;
        usage.write_units += write_units;
        usage.read_units += read_units;
    }
}

impl std::ops::Sub for Usage {
    type Output = Usage;
    fn sub(self, before: Usage) -> Usage {
        Usage {
            calls: self.calls - before.calls,
            write_units: self.write_units - before.write_units,
            read_units: self.read_units - before.read_units,
        }
    }
}
