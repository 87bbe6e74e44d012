//! `reconcile`: an EventBridge schedule says that an hour has passed. The first tick of a day compares yesterday with I'mport's
//! books; those that follow go on where one ended or died, or find nothing left to do.
//!
//! It also looks through all living subscriptions, once a day: each must be listed where it is due. And it counts, each hour,
//! those that wait for a person.
//!
//! An operator may have any days of the last 90 compared: `{"days": 7}`, or `{"from": "2026-11-16T00:00:00Z", "to":
//! "2026-11-23T00:00:00Z"}`. Where the time wasn't enough, the answer's `next` is the `from` to go on with.
//!
//! After a restore, commands of the lost days are fed to it: `{"lost": [{"subscription": "…", "version": 7, "what": "cancel",
//! "at": "2026-11-22 01:00:00.000"}]}`. Whoever the table has before that waits for a person.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use maedal::billing::{Billing, HearError, Lost, LostCommand, Reconciled, Span, Swept};
use maedal::store::StoreError;
use serde::{Deserialize, Serialize};

/// I'mport lists no more.
const MOST: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// How long it may take; the next tick goes on.
    pub budget: Duration,
}

/// What is asked for: a span, or, in whatever a schedule sends, the day's turn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Asked {
    /// The last days, up to now.
    #[serde(default)]
    pub days: Option<u8>,
    /// The first moment.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// The first moment after it; now where it isn't there.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// Commands that a restore has lost.
    #[serde(default)]
    pub lost: Option<Vec<LostCommand>>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Ran {
    /// The books that were compared.
    #[serde(flatten)]
    pub reconciled: Reconciled,
    /// The living subscriptions that were looked at.
    #[serde(flatten)]
    pub swept: Swept,
    /// How many subscriptions wait for a person.
    pub open_reviews: u64,
    /// What became of the commands that were fed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// A run that could not be made, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The span isn't one.
    #[error(
        "either lost, or a span: days is from 1 to 90; or from is before to, and within the last 90 days: I'mport lists no more"
    )]
    Span,
    /// The table or I'mport. What was compared is; the next tick goes on.
    #[error(transparent)]
    Compare(#[from] HearError),
    /// The table.
    #[error(transparent)]
    Table(#[from] StoreError),
}

/// Handles a tick, or an operator's wish.
///
/// # Errors
/// Where a day could not be compared: Lambda counts it, and the next tick begins with that day.
pub async fn handle(app: &App, asked: Asked) -> Result<Ran, RunError> {
    let now = app.billing.clock.now();
    let days = |days: u8| now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(now);
    let span = match (asked.days, asked.from, asked.to) {
        (None, None, None) => None,
        (Some(n), None, None) => Some(Span { from: days(n), to: now }),
        (None, Some(from), to) => Some(Span { from, to: to.unwrap_or(now) }),
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) | (None, None, Some(_)) => return Err(RunError::Span),
    };
    let ran = match (span, asked.lost) {
        (Some(_), Some(_)) => return Err(RunError::Span),
        (None, Some(commands)) => {
            let lost = app.billing.lose(commands, app.budget).await;
            lost.map(|lost| Ran { lost: Some(lost), ..Ran::default() }).map_err(RunError::from)
        }
        (None, None) => by_the_hour(app).await,
        (Some(Span { from, to }), None) if from >= to || now.duration_since(from) > MOST => return Err(RunError::Span),
        (Some(span), None) => {
            let compared = Box::pin(app.billing.reconcile(span, app.budget)).await;
            compared.map(|reconciled| Ran { reconciled, ..Ran::default() }).map_err(RunError::from)
        }
    };
    ran.inspect_err(|error| tracing::error!(%error, outcome = "again", "not done to the end"))
}

/// The look through the living subscriptions needs no I'mport, so it comes first; the books get the time that is left, and
/// three quarters of it at least.
async fn by_the_hour(app: &App) -> Result<Ran, RunError> {
    let started = tokio::time::Instant::now();
    let reviews = app.billing.count_reviews().await;
    let swept = app.billing.sweep_daily(app.budget / 4).await;
    let reconciled = Box::pin(app.billing.reconcile_daily(app.budget.saturating_sub(started.elapsed()))).await?;
    Ok(Ran { reconciled, swept: swept?, open_reviews: reviews?, lost: None })
}
