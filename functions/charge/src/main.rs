//! Wires `charge` and runs it as a Lambda.

use std::sync::Arc;
use std::time::SystemTime;

use charge::{App, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    let app = App { billing: Arc::new(maedal::config::billing()?) };
    app.billing.warm_up().await;
    run(service_fn(async |event: LambdaEvent<_>| {
        let time = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, Error>(handle(&app, event.payload, time).await)
    }))
    .await
}
