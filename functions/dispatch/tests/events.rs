//! Every sample event through the handler as Lambda runs it: a rule's tick and a scheduler's ask for the same.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{App, handle};
use jiff::SignedDuration;
use maedal::aws::Aws;
use maedal::billing::{Billing, dispatch};
use maedal::queue::{Message, Queue, QueueError};
use maedal::store::Store;
use maedal::subscription::id::DUE_SHARDS;
use stack::{Error, Sent};

#[tokio::test]
async fn every_sample_event_sends_what_is_due() -> Result<(), Error> {
    let events = stack::texts("dispatch")?;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["rule.json", "scheduler-with-input.json", "scheduler.json"]);
    for (name, event) in &events {
        let billing = stack::billing().await?;
        stack::monthly_plan(&billing, "월간 구독", 14).await?;
        let id = stack::open_session(&billing).await?.id;
        let mut session = billing.store.subscription(id).await?.ok_or("the session that was opened")?;
        let sent = Arc::new(Sent::default());
        let app = App {
            store: billing.store.clone(),
            queue: sent.clone(),
            clock: billing.clock.clone(),
            budget: Duration::from_secs(5),
        };
        let tick = || serde_json::from_str(event);
        // Nothing is due yet.
        assert_eq!(handle(&app, tick()?).await?.sent, 0, "{name}");

        session.checkout = None;
        billing.store.put(&mut session, billing.clock.now(), &billing.policy).await?;
        let dispatched = handle(&app, tick()?).await?;
        assert_eq!((dispatched.sent, dispatched.failed, dispatched.shards_cut_short), (1, 0, 0), "{name}");
        let due = sent.take();
        assert!(matches!(&due[..], [Message::Step(due)] if due.subscription == id), "{name}: {due:?}");
    }
    Ok(())
}

/// `count` sessions that are due, the oldest since an hour.
async fn due(count: i32) -> Result<Arc<Billing>, Error> {
    let billing = stack::billing().await?;
    stack::monthly_plan(&billing, "월간 구독", 14).await?;
    for nth in 0..count {
        let id = stack::open_session(&billing).await?.id;
        let mut session = billing.store.subscription(id).await?.ok_or("the session that was opened")?;
        session.checkout = None;
        session.created_at = billing.clock.now() - SignedDuration::from_mins(20) * (nth + 1);
        billing.store.put(&mut session, billing.clock.now(), &billing.policy).await?;
    }
    Ok(billing)
}

const BUDGET: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_tick_says_how_much_it_sent_and_how_old_the_oldest_is() -> Result<(), Error> {
    let billing = due(3).await?;
    let dispatched = dispatch(&billing.store, &Sent::default(), &*billing.clock, BUDGET).await?;
    assert_eq!((dispatched.sent, dispatched.failed, dispatched.shards_cut_short), (3, 0, 0));
    assert_eq!(dispatched.oldest_ms, 3_600_000);
    Ok(())
}

#[tokio::test]
async fn what_no_time_is_left_for_waits_for_the_next_tick() -> Result<(), Error> {
    let billing = due(3).await?;
    let dispatched = dispatch(&billing.store, &Sent::default(), &*billing.clock, Duration::ZERO).await?;
    assert_eq!((dispatched.sent, dispatched.shards_cut_short), (0, DUE_SHARDS.into()));
    Ok(())
}

/// A queue that takes nothing.
#[derive(Debug)]
struct Full;

impl Queue for Full {
    fn send<'a>(
        &'a self,
        batch: &'a [Message],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<usize>, QueueError>> + Send + 'a>> {
        Box::pin(async { Ok((0..batch.len()).collect()) })
    }
}

#[tokio::test]
async fn what_the_queue_does_not_take_stays_due() -> Result<(), Error> {
    let billing = due(3).await?;
    let dispatched = dispatch(&billing.store, &Full, &*billing.clock, BUDGET).await?;
    assert_eq!((dispatched.sent, dispatched.failed), (0, 3));
    assert_eq!(dispatch(&billing.store, &Sent::default(), &*billing.clock, BUDGET).await?.sent, 3);
    Ok(())
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error() -> Result<(), Error> {
    let billing = due(0).await?;
    let nowhere = Store::new(Aws::local("http://127.0.0.1:9").dynamodb(), "maedal");
    assert!(dispatch(&nowhere, &Sent::default(), &*billing.clock, BUDGET).await.is_err());
    Ok(())
}
