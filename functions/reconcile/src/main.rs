//! Wires `reconcile` and runs it as a Lambda.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use reconcile::{App, handle};

/// Below the function's timeout of a quarter of an hour: a part of a day that has begun is compared to its end.
const BUDGET: Duration = Duration::from_secs(8 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    let app = App { billing: Arc::new(maedal::config::billing()?), budget: BUDGET };
    run(service_fn(async |event: LambdaEvent<_>| handle(&app, event.payload).await.map_err(Error::from))).await
}
