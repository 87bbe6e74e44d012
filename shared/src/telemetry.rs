//! Logs: one JSON line per decision, on standard output, where CloudWatch finds them.
//!
//! A line names things (`customer_uid`, `merchant_uid`, `imp_uid`) and outcomes. Buyers' data and secrets are never
//! given to it.

use tracing_subscriber::EnvFilter;

/// Starts logging, at the level that `RUST_LOG` says, else `info`.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error says that logging has been started already.
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter).try_init();
}
