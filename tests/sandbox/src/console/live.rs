//! Live updates: the clock, how far a leap is, and a mark that changes whenever there is something new to show. The page's
//! script then asks for the page again and puts in what is new.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{Stream, unfold};
use maedal::clock::Clock;
use serde_json::{Value, json};

use super::clock;
use super::view::second;
use crate::stack::Parts;

/// How often is looked whether something has changed.
const LOOK: Duration = Duration::from_millis(250);

/// A text that changes with whatever the page shows, the clock apart.
pub(super) fn mark(parts: &Parts) -> String {
    let mut hash = DefaultHasher::new();
    // Every write of the table is metered.
    parts.billing.store.meter().usage().write_units.to_bits().hash(&mut hash);
    parts.iamport().stirrings().hash(&mut hash);
    (parts.queue.len(), parts.queue.dead_letters().len()).hash(&mut hash);
    (parts.time.leap().is_some(), parts.time.problem()).hash(&mut hash);
    format!("{:016x}", hash.finish())
}

fn news(parts: &Parts) -> Value {
    json!({ "clock": second(parts.clock.now()), "mark": mark(parts), "percent": clock::percent(parts) })
}

pub(super) async fn events(State(parts): State<Arc<Parts>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold((parts, Value::Null), |(parts, told)| async move {
        loop {
            let news = news(&parts);
            if news != told {
                let event = Event::default().data(news.to_string());
                return Some((Ok(event), (parts, news)));
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
