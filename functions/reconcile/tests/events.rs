//! Every sample event through the handler as Lambda runs it, while I'mport can't be asked.

use std::time::Duration;

use reconcile::{App, Asked, RunError, handle};
use stack::Error;

#[tokio::test]
async fn every_sample_event_begins_a_run_that_is_begun_again() -> Result<(), Error> {
    let events = stack::texts("reconcile")?;
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a-week.json", "lost.json", "rule.json", "scheduler.json"]);
    for (name, event) in &events {
        let app = App { billing: stack::billing().await?, budget: Duration::from_secs(5) };
        let asked: Asked = serde_json::from_str(event)?;
        let needs_iamport = asked.lost.is_none();
        let failed = handle(&app, asked).await;
        if !needs_iamport {
            // Its subscription isn't there.
            assert_eq!(failed?.lost.map(|lost| lost.unknown), Some(1), "{name}");
            continue;
        }
        assert!(matches!(failed, Err(RunError::Compare(_))), "{name}: {failed:?}");
        assert_eq!(app.billing.store.run().await?, None, "{name}: nothing was compared");
    }
    Ok(())
}

#[tokio::test]
async fn a_span_that_is_none_is_refused() -> Result<(), Error> {
    let app = App { billing: stack::billing().await?, budget: Duration::from_secs(5) };
    for asked in [
        r#"{"from":"2026-11-23T00:00:00Z","to":"2026-11-22T00:00:00Z"}"#,
        r#"{"from":"2026-08-01T00:00:00Z"}"#,
        r#"{"to":"2026-11-22T00:00:00Z"}"#,
        r#"{"days":0}"#,
        r#"{"days":91}"#,
        r#"{"days":7,"from":"2026-11-22T00:00:00Z"}"#,
        r#"{"days":7,"lost":[]}"#,
    ] {
        let refused = handle(&app, serde_json::from_str(asked)?).await;
        assert!(matches!(refused, Err(RunError::Span)), "{asked}: {refused:?}");
    }
    Ok(())
}
