//! A figure with its budget, and the table that `cargo measure` prints.

use serde::Serialize;

/// What a figure is: only an exact one can fail the command everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A count: the same on every machine.
    Count,
    /// A ratio within this run, or a size.
    Ratio,
    /// A time or a place in memory: of this machine, to be read beside the others of this run.
    Machine,
}

/// Which side of the budget is good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Budget {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// None: it is told, and not judged.
    None,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// How much.
    pub(crate) value: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What it should be.
    pub(crate) budget: Budget,
    /// What it is.
    pub(crate) kind: Kind,
}

impl Figure {
    /// A count with at most `budget`.
    pub(crate) fn count(name: impl Into<String>, value: f64, unit: &'static str, budget: f64) -> Self {
        Self { name: name.into(), value, unit, budget: Budget::AtMost(budget), kind: Kind::Count }
    }

    /// A figure that is told and not judged.
    pub(crate) fn told(name: impl Into<String>, value: f64, unit: &'static str, kind: Kind) -> Self {
        Self { name: name.into(), value, unit, budget: Budget::None, kind }
    }

    /// A figure with a budget.
    pub(crate) fn judged(name: impl Into<String>, value: f64, unit: &'static str, budget: Budget, kind: Kind) -> Self {
        Self { name: name.into(), value, unit, budget, kind }
    }

    /// Whether it keeps its budget.
    pub(crate) fn holds(&self) -> bool {
        match self.budget {
            Budget::AtMost(most) => self.value <= most,
            Budget::AtLeast(least) => self.value >= least,
            Budget::None => true,
        }
    }
}

/// The table for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    use std::fmt::Write;
    let mut text = format!("{:<62} {:>12} {:<12} {:>10} {:>6}\n", "figure", "value", "", "budget", "ratio");
    for figure in figures {
        let (budget, ratio) = match figure.budget {
            Budget::AtMost(most) => (format!("<= {}", number(most)), ratio(figure.value, most)),
            Budget::AtLeast(least) => (format!(">= {}", number(least)), ratio(figure.value, least)),
            Budget::None => (String::new(), String::new()),
        };
        let verdict = if figure.holds() { "" } else { "  OVER BUDGET" };
        let _ = writeln!(
            text,
            "{:<62} {:>12} {:<12} {budget:>10} {ratio:>6}{verdict}",
            figure.name,
            number(figure.value),
            figure.unit
        );
    }
    text
}

/// Nothing is no part of anything.
fn ratio(value: f64, budget: f64) -> String {
    if budget == 0.0 { String::new() } else { format!("{:.2}", value / budget) }
}

/// As few digits as tell it.
fn number(value: f64) -> String {
    match value {
        v if v.fract() == 0.0 => format!("{v:.0}"),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_over_its_budget_is_told_so() {
        let within = Figure::count("calls", 3.0, "calls", 3.0);
        let over = Figure::count("write units", 8.5, "units", 8.0);
        let slow = Figure::judged("throughput", 0.8, "of the limit", Budget::AtLeast(0.85), Kind::Ratio);
        assert!(within.holds() && !over.holds() && !slow.holds());
        let table = table(&[within, over, slow]);
        assert_eq!(table.matches("OVER BUDGET").count(), 2, "{table}");
    }
}
