//! Before the first event: the connections that it will need.
//!
//! Lambda doesn't count a function's start as the time of an event, and gives it more of a processor. So certificates are
//! read, and TLS to DynamoDB and I'mport is agreed on, then: nobody waits for it. A function whose DynamoDB or I'mport is
//! down starts all the same, and its events say what is wrong.

use std::fmt::Display;
use std::time::Duration;

use tracing::info;

use super::Billing;

/// Longer than any start of a connection that goes well; far below the ten seconds that Lambda gives to a start.
const PATIENCE: Duration = Duration::from_secs(2);

impl Billing {
    /// Opens the connections to the table and, with a token, to I'mport.
    pub async fn warm_up(&self) {
        tokio::join!(self.warm_up_table(), patiently("I'mport", self.iamport.warm_up()));
    }

    /// Opens the connection to the table, for a function that never calls I'mport.
    pub async fn warm_up_table(&self) {
        patiently("the table", self.store.warm_up()).await;
    }
}

async fn patiently<E: Display>(what: &'static str, opening: impl Future<Output = Result<(), E>>) {
    let problem = match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(())) => return,
        Ok(Err(problem)) => problem.to_string(),
        Err(_) => "no answer yet".to_owned(),
    };
    info!(what, problem, outcome = "cold", "started without a connection");
}
