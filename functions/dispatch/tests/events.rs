//! Every sample event through the handler as Lambda runs it: a rule's tick and a scheduler's ask for the same.

use std::sync::Arc;
use std::time::Duration;

use dispatch::{App, handle};
use maedal::queue::Message;
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
