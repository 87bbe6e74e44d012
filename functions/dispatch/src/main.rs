//! Wires `dispatch` and runs it as a Lambda.

use std::sync::Arc;
use std::time::Duration;

use dispatch::{App, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use maedal::aws::Aws;
use maedal::clock::SystemClock;
use maedal::config;
use maedal::queue::Sqs;

/// Below the function's timeout of a minute, so that a tick ends by itself and before the next.
const BUDGET: Duration = Duration::from_secs(45);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    let app = App {
        store: config::store()?,
        queue: Arc::new(Sqs::new(Aws::from_env()?.sqs(), config::needed(config::variables::QUEUE_URL)?)),
        clock: Arc::new(SystemClock),
        budget: BUDGET,
    };
    run(service_fn(async |event: LambdaEvent<serde_json::Value>| {
        handle(&app, event.payload).await.map_err(Error::from)
    }))
    .await
}
