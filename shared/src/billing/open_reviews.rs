//! How many subscriptions wait for a person, hour by hour: whoever missed the mail about one sees an alarm that lasts as long as it
//! is open.

use tracing::info;

use super::Billing;
use crate::metrics::{self, Metric};
use crate::store::StoreError;
use crate::subscription::Status;

impl Billing {
    /// Counts the open reviews, and tells.
    pub async fn count_reviews(&self) -> Result<u64, StoreError> {
        let open = self.store.count_in(Status::NeedsReview).await?;
        #[allow(clippy::cast_precision_loss)]
        metrics::put(&[(Metric::OpenReviews, open as f64)]);
        info!(open, outcome = "counted", "open reviews");
        Ok(open)
    }
}
