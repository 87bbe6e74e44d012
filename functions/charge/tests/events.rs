//! Every sample event through the handler as Lambda runs it, while I'mport can't be asked.

use std::collections::BTreeMap;
use std::time::Duration;

use charge::{App, handle};
use maedal::subscription::{Subscription, SubscriptionId};
use stack::Error;

/// Whom the sample events are about: the first session of a stack.
const SAMPLE: &str = "01M835H6W031GV1X6H4Q60TTAA";

/// A session with a billing key, whose first charge is due.
async fn app() -> Result<(App, SubscriptionId), Error> {
    let billing = stack::billing().await?;
    stack::monthly_plan(&billing, "월간 구독", 0).await?;
    let id = stack::open_session(&billing).await?.id;
    assert_eq!(id.to_string(), SAMPLE);
    for _ in 0..2 {
        billing.open_window(id, &stack::site(), "https://pay.example").await?;
    }
    stack::confirm(&billing, id).await?;
    Ok((App { billing }, id))
}

/// What must come again, and how often the attempt was claimed.
async fn run(event: &str) -> Result<(Vec<String>, usize, Subscription), Error> {
    let (app, id) = app().await?;
    let response = handle(&app, serde_json::from_str(event)?, Duration::from_secs(120)).await;
    let again = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    let subscription = app.billing.store.subscription(id).await?.ok_or("the session that was opened")?;
    let claims = subscription.claims.iter().filter(|claim| **claim > 0).count();
    Ok((again, claims, subscription))
}

#[tokio::test]
async fn every_sample_event_is_handled_message_by_message() -> Result<(), Error> {
    let mut handled = BTreeMap::new();
    for (name, event) in stack::texts("charge")? {
        let (again, claims, subscription) = run(&event).await?;
        // I'mport can't be reached: an attempt that was claimed is in flight, and surely wasn't sent.
        assert_eq!(subscription.in_flight.is_some(), claims > 0, "{name}");
        assert!(subscription.doubt.is_none_or(|doubt| doubt.unsent), "{name}");
        handled.insert(name, (again, claims));
    }
    const HINT: &str = "5d2a0f3e-7c41-4f0b-9a57-0e6d1c2b3a03";
    let expected = [
        ("duplicate.json", vec![], 1),
        // The hint waits for I'mport and comes again.
        ("hint.json", vec![HINT.to_owned()], 0),
        ("not-json.json", vec![], 1),
        ("several-groups.json", vec![HINT.to_owned()], 1),
        ("step.json", vec![], 1),
    ];
    assert_eq!(handled, expected.map(|(name, again, claims)| (name.to_owned(), (again, claims))).into());
    Ok(())
}
