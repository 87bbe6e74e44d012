//! Revenue and outcomes by month, as plots that the server draws, and as the table that they are drawn from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use maedal::subscription::period::in_seoul;
use maedal::subscription::{ChargeStatus, Won};
use maud::{Markup, html};

use super::snapshot::Snapshot;
use super::view::View;

/// So many of the latest months are drawn.
const DRAWN: usize = 13;
/// The size of a plot, in its own units.
const WIDTH: usize = 640;
const HEIGHT: usize = 160;
/// What of it is below the bars, for the months' names, and above them, for the greatest.
const FOOT: usize = 24;
const HEAD: usize = 22;

/// What one month brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Month {
    revenue: Won,
    paid: u64,
    declined: u64,
    refunded: u64,
}

/// Month by month, without a gap, the oldest first. A refund counts in the month of its payment.
fn months(snapshot: &Snapshot) -> BTreeMap<Date, Month> {
    let mut months: BTreeMap<Date, Month> = BTreeMap::new();
    for charge in snapshot.accounts.iter().flat_map(|account| &account.ledger.charges) {
        let at = charge.payment().and_then(|payment| payment.paid_at).unwrap_or(charge.settled_at);
        let month = months.entry(first_of_month(at)).or_default();
        match &charge.status {
            ChargeStatus::Paid(_) => {
                month.paid += 1;
                month.revenue = month.revenue + charge.standing();
                month.refunded += u64::from(charge.refunded > Won::ZERO);
            }
            ChargeStatus::Declined { .. } => month.declined += 1,
            ChargeStatus::Credited | ChargeStatus::Imported => (),
        }
    }
    if let (Some((&first, _)), Some((&last, _))) = (months.first_key_value(), months.last_key_value()) {
        let mut month = first;
        while month < last {
            months.entry(month).or_default();
            month = month.saturating_add(jiff::Span::new().months(1));
        }
    }
    months
}

fn first_of_month(at: Timestamp) -> Date {
    in_seoul(at).date().first_of_month()
}

pub(super) fn section(view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    let all = months(snapshot);
    let months: Vec<(Date, Month)> = all.into_iter().rev().take(DRAWN).collect::<Vec<_>>().into_iter().rev().collect();
    let name = |month: Date| month.strftime("%Y-%m").to_string();
    html! {
        section id="months" aria-labelledby="months-title" data-live {
            h2 id="months-title" { (words.months) }
            @if months.is_empty() { p { (words.no_months) } }
            @else {
                (plot("revenue", words.revenue, &(words.revenue_of)(months.len()), &months, |month| vec![("paid", month.revenue.get())],
                    |most| Won::new(most).to_string()))
                (plot("outcomes", words.outcomes, &(words.outcomes_of)(months.len()), &months,
                    |month| vec![("paid", month.paid), ("declined", month.declined), ("refunded", month.refunded)],
                    |most| most.to_string()))
                p.legend aria-hidden="true" {
                    span.paid {} (words.paid) span.declined {} (words.declined) span.refunded {} (words.given_back)
                }
                details id="months-table" {
                    summary { (words.as_table) }
                    div.wide tabindex="0" role="region" aria-labelledby="months-title" { table {
                        thead { tr {
                            th scope="col" { (words.month_word) } th.number scope="col" { (words.revenue) }
                            th.number scope="col" { (words.paid) } th.number scope="col" { (words.declined) }
                            th.number scope="col" { (words.given_back) }
                        } }
                        tbody {
                            @for (month, brought) in months.iter().rev() {
                                tr {
                                    th scope="row" { (name(*month)) } td.number { (brought.revenue) } td.number { (brought.paid) }
                                    td.number { (brought.declined) } td.number { (brought.refunded) }
                                }
                            }
                        }
                    } }
                }
            }
        }
    }
}

/// Bars beside each other for each month; all of a plot to one scale.
fn plot(
    id: &str,
    title: &str,
    description: &str,
    months: &[(Date, Month)],
    bars: impl Fn(&Month) -> Vec<(&'static str, u64)>,
    label: impl Fn(u64) -> String,
) -> Markup {
    let most = months.iter().flat_map(|(_, month)| bars(month)).map(|(_, value)| value).max().unwrap_or(0);
    let slot = WIDTH / DRAWN.max(1);
    let room = HEIGHT - HEAD - FOOT;
    let tall = |value: u64| usize::try_from(u128::from(value) * room as u128 / u128::from(most.max(1))).unwrap_or(room);
    html! {
        svg role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-labelledby={ (id) "-title " (id) "-desc" } {
            title id={ (id) "-title" } { (title) }
            desc id={ (id) "-desc" } { (description) }
            text x="0" y="14" { (title) }
            text.most x=(WIDTH) y="14" { (label(most)) }
            line x1="0" x2=(WIDTH) y1=(HEIGHT - FOOT) y2=(HEIGHT - FOOT) {}
            @for (nth, (month, brought)) in months.iter().enumerate() {
                @let bars = bars(brought);
                @let wide = (slot - 8) / bars.len().max(1);
                @for (place, (class, value)) in bars.iter().enumerate() {
                    rect class=(class) x=(nth * slot + 4 + place * wide) y=(HEIGHT - FOOT - tall(*value)) width=(wide.saturating_sub(1)) height=(tall(*value)) {}
                }
                text.month x=(nth * slot + slot / 2) y=(HEIGHT - 6) { (month.strftime("%y-%m").to_string()) }
            }
        }
    }
}
