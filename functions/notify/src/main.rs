//! Wires `notify` and runs it as a Lambda.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use maedal::aws::Aws;
use maedal::bus::EventBridge;
use maedal::config;
use notify::{App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    let bus = EventBridge::new(Aws::from_env()?.eventbridge(), config::needed(config::variables::EVENT_BUS_NAME)?);
    let app = App { bus: Arc::new(bus), store: config::store()? };
    run(service_fn(async |event: LambdaEvent<_>| Ok::<_, Error>(handle(&app, event.payload).await))).await
}
