//! The merchant's API. Wiring only.

use std::convert::Infallible;
use std::sync::Arc;

use lambda_http::service_fn;
use maedal::aws::Aws;
use maedal::queue::Sqs;
use maedal::{config, telemetry};
use manage::{ApiToken, App, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::start();
    let app = &App {
        billing: Arc::new(config::billing_without_iamport()?),
        site: config::site()?,
        links: Arc::new(config::links()?),
        imports: Arc::new(Sqs::new(Aws::from_env()?.sqs(), config::needed(config::variables::IMPORT_QUEUE_URL)?)),
        token: config::api_token()?.map(|token| Arc::new(ApiToken::new(token))),
    };
    app.billing.warm_up_table().await;
    lambda_http::run(service_fn(|request| async move { Ok::<_, Infallible>(handle(app, request).await) })).await
}
