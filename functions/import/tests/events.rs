//! What SQS sends, through the handler as Lambda runs it.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use import::{App, handle};
use maedal::billing::{ImportRequest, Pace, RowsFrom, Schedules};
use maedal::import::{Format, Import, ImportId, ImportStatus, Source};
use maedal::queue::{Message, Turn};
use object_store::local::LocalFileSystem;
use serde_json::{Value, json};
use stack::{Error, Sent};

/// The import that the samples are about.
const SAMPLE: &str = "01KB3Q0QZ8W3V5T7Y9A1C3E5G8";

async fn app(queue: Arc<Sent>, folder: &str) -> Result<App, Error> {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("rows.csv"), "customer_uid,plan,next_charge\na,none,2026-12-01\n")?;
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
    let billing = stack::billing().await?;
    Ok(App {
        billing,
        bucket,
        queue,
        pace: Pace::a_second(0),
        schedules: Schedules::default(),
        budget: Duration::from_secs(60),
    })
}

fn message(import: &Import) -> Value {
    let body = json!({ "import": { "id": import.id, "version": import.version } });
    json!({ "Records": [{ "messageId": "1", "body": body.to_string(), "attributes": { "MessageGroupId": "imports" } }] })
}

#[tokio::test]
async fn every_sample_event_is_done_with() -> Result<(), Error> {
    let app = app(Arc::default(), "samples").await?;
    let import = Import::new(
        SAMPLE.parse::<ImportId>()?,
        Source::File("rows.csv".to_owned()),
        Format::Csv,
        app.billing.clock.now(),
    );
    app.billing.store.create_import(&import, None, None).await?;
    for (name, text) in stack::texts("import")? {
        let response = handle(&app, serde_json::from_str(&text)?).await;
        assert!(response.batch_item_failures.is_empty(), "{name}");
    }
    let done = app.billing.store.import(import.id).await?.unwrap();
    assert_eq!((done.status, done.line, done.counts.refused), (ImportStatus::Done, 2, 1));
    Ok(())
}

#[tokio::test]
async fn a_turn_without_time_writes_its_place_and_asks_for_the_next() -> Result<(), Error> {
    let queue = Arc::new(Sent::default());
    let app = App { budget: Duration::ZERO, ..app(queue.clone(), "turns").await? };
    let text = "{\"customer_uid\":\"a\"}\n".repeat(100);
    let request = ImportRequest { rows: RowsFrom::Request { format: Format::Jsonl, text }, unschedule: false };
    let mut import = app.billing.begin_import(request, None).await?;
    let mut places = Vec::new();
    while !import.is_over() {
        assert!(handle(&app, serde_json::from_value(message(&import))?).await.batch_item_failures.is_empty());
        let before = import.version;
        import = app.billing.store.import(import.id).await?.unwrap();
        assert!(import.version > before);
        places.push(import.line);
        let next = Message::Import(Turn { id: import.id, version: import.version });
        assert_eq!(queue.take(), if import.is_over() { vec![] } else { vec![next] });
    }
    assert_eq!((places, import.counts.refused), (vec![0, 90, 100, 100], 100));
    Ok(())
}

/// I'mport is out of reach: the message must come again, and nothing is refused.
#[tokio::test]
async fn a_turn_that_fails_comes_again() -> Result<(), Error> {
    let app = app(Arc::default(), "failures").await?;
    stack::monthly_plan(&app.billing, "월간 구독", 0).await?;
    let text = json!({ "customer_uid": "a", "plan": "monthly", "next_charge": "2026-12-01" }).to_string();
    let request = ImportRequest { rows: RowsFrom::Request { format: Format::Jsonl, text }, unschedule: false };
    let import = app.billing.begin_import(request, None).await?;
    let response = handle(&app, serde_json::from_value(message(&import))?).await;
    assert_eq!(response.batch_item_failures[0].item_identifier, "1");
    let running = app.billing.store.import(import.id).await?.unwrap();
    assert_eq!((running.status, running.line, running.counts.refused), (ImportStatus::Running, 0, 0));
    Ok(())
}
