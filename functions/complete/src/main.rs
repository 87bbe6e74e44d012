//! Where the payment window sends the buyer back to. Wiring only.

use std::convert::Infallible;
use std::sync::Arc;

use complete::{App, handle};
use lambda_http::service_fn;
use maedal::{config, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let app = &App { billing: Arc::new(config::billing()?), site: config::site()? };
    app.billing.warm_up().await;
    lambda_http::run(service_fn(|request| async move { Ok::<_, Infallible>(handle(app, request).await) })).await
}
