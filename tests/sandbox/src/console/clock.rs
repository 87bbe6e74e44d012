//! The clock, and the buttons that move it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form, State};
use axum::response::Response;
use http::HeaderMap;
use jiff::{Timestamp, ToSpan};
use maedal::clock::Clock;
use maedal::subscription::period::in_seoul;
use maud::{Markup, html};
use serde::Deserialize;

use super::actions::{back, back_to, foreign, is_ours};
use super::snapshot::Snapshot;
use super::view::{View, minute, second};
use crate::stack::Parts;

/// A short leap has ended before the answer leaves, so that the page that comes shows its end.
const SHORT_LEAP: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How far the clock leaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Span {
    Hour,
    Day,
    Charge,
    Month,
    Year,
    /// It ends where it is.
    Stop,
}

#[derive(Deserialize)]
pub(super) struct Moved {
    span: Span,
    /// When the next charge is, as the page said.
    #[serde(default)]
    charge_at: Option<i64>,
    back: String,
}

pub(super) fn section(parts: &Parts, view: &View, snapshot: &Snapshot) -> Markup {
    let words = view.words();
    let now = parts.clock.now();
    let next = next_charge(parts, view, snapshot, now);
    let button = |span: &str, text: &str| {
        html! { button id={ "clock-" (span) } name="span" value=(span) type="submit" { (text) } }
    };
    html! {
        section id="clock" aria-labelledby="clock-title" data-live {
            h2 id="clock-title" { (words.clock) }
            p.time { time id="now" datetime=(now) { (second(now)) } " KST" }
            form method="post" action="/console/clock" {
                (back(view))
                @if let Some(percent) = percent(parts) {
                    label for="leap" { (words.leaping) }
                    progress id="leap" max="100" value=(percent) { (percent) " %" }
                    (button("stop", words.stop))
                } @else {
                    (button("hour", words.hour))
                    (button("day", words.day))
                    @if let Some(next) = next {
                        input type="hidden" name="charge_at" value=(next.as_millisecond());
                        button id="clock-charge" name="span" value="charge" type="submit" {
                            (words.to_next_charge) " " small { (minute(next)) }
                        }
                    }
                    (button("month", words.month))
                    (button("year", words.year))
                }
            }
            @if let Some(problem) = parts.time.problem() { p.bad role="alert" { (words.leap_failed) " " (problem) } }
        }
    }
}

/// How far a leap is.
pub(super) fn percent(parts: &Parts) -> Option<i64> {
    let leap = parts.time.leap()?;
    let (gone, whole) = (parts.clock.now().duration_since(leap.from), leap.to.duration_since(leap.from));
    Some((gone.as_secs() * 100 / whole.as_secs().max(1)).clamp(0, 100))
}

/// When the next charge is planned: of the subscription that is looked at, or of any.
fn next_charge(parts: &Parts, view: &View, snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
    let chosen = |id| view.subscription.is_none_or(|chosen| chosen == id);
    let subscriptions = snapshot.accounts.iter().map(|account| &account.subscription);
    let planned = subscriptions
        .filter(|subscription| chosen(subscription.id) && subscription.can_be_charged())
        .filter_map(|subscription| subscription.planned_charge(now, &parts.billing.policy));
    planned.map(|(at, _)| at).filter(|at| *at > now).min()
}

pub(super) async fn moved(State(parts): State<Arc<Parts>>, headers: HeaderMap, Form(form): Form<Moved>) -> Response {
    if !is_ours(&headers) {
        return foreign();
    }
    let now = in_seoul(parts.clock.now());
    let to = match form.span {
        Span::Hour => now.checked_add(1.hour()).ok(),
        Span::Day => now.checked_add(1.day()).ok(),
        Span::Month => now.checked_add(1.month()).ok(),
        Span::Year => now.checked_add(1.year()).ok(),
        Span::Charge => form.charge_at.and_then(|at| Timestamp::from_millisecond(at).ok()).map(in_seoul),
        Span::Stop => {
            parts.time.stop();
            None
        }
    };
    if let Some(to) = to {
        parts.leap_to(to.timestamp());
    }
    let _ = tokio::time::timeout(SHORT_LEAP, async {
        while parts.time.leap().is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    back_to(&form.back)
}
