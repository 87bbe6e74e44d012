//! Wires `import` and runs it as a Lambda.

use std::sync::Arc;
use std::time::Duration;

use import::App;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use maedal::aws::{Aws, install_crypto};
use maedal::billing::{Pace, Schedules};
use maedal::config;
use maedal::queue::Sqs;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;

/// Below the function's timeout of two minutes, so that a turn ends by itself.
const BUDGET: Duration = Duration::from_secs(90);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    maedal::telemetry::start();
    install_crypto();
    let aws = Aws::from_env()?;
    let app = App {
        billing: Arc::new(config::billing()?),
        bucket: bucket(&aws)?,
        queue: Arc::new(Sqs::new(aws.sqs(), config::needed(config::variables::IMPORT_QUEUE_URL)?)),
        pace: Pace::a_second(config::import_rate()?),
        schedules: Schedules::default(),
        budget: BUDGET,
    };
    app.billing.warm_up().await;
    run(service_fn(async |event: LambdaEvent<_>| Ok::<_, Error>(import::handle(&app, event.payload).await))).await
}

/// The bucket `IMPORT_BUCKET`, with the credentials that Lambda gives; on a developer's machine the folder `IMPORT_FOLDER`.
fn bucket(aws: &Aws) -> Result<Arc<dyn ObjectStore>, Error> {
    if let Ok(folder) = config::needed(config::variables::IMPORT_FOLDER) {
        return Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?));
    }
    let local = aws.endpoint().is_some_and(|url| url.starts_with("http://"));
    let bucket = AmazonS3Builder::from_env()
        .with_bucket_name(config::needed(config::variables::IMPORT_BUCKET)?)
        .with_allow_http(local);
    Ok(Arc::new(bucket.build()?))
}
