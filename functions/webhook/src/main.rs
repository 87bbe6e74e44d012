//! Wires `webhook` and runs it as a Lambda.

use std::sync::Arc;

use lambda_http::{Error, Request, run, service_fn};
use maedal::aws::Aws;
use maedal::config;
use maedal::queue::Sqs;
use webhook::{App, Recent, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    let app = App {
        billing: Arc::new(config::billing()?),
        queue: Arc::new(Sqs::new(Aws::from_env()?.sqs(), config::needed(config::variables::QUEUE_URL)?)),
        recent: Recent::default(),
    };
    app.billing.warm_up().await;
    run(service_fn(async |request: Request| Ok::<_, Error>(handle(&app, request).await))).await
}
