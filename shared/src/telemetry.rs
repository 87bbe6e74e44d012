//! Logs: one JSON line per decision, on standard output, where CloudWatch finds them; and metrics, which it reads out of them.
//!
//! A line names things (`customer_uid`, `merchant_uid`, `imp_uid`) and outcomes. Buyers' data and secrets are never
//! given to it.

use tracing_subscriber::EnvFilter;

/// Starts logging, at the level that `RUST_LOG` says, else `info`; and metrics, where they have a namespace.
pub fn start() {
    if let Some(namespace) = crate::config::metrics_namespace() {
        crate::metrics::start(namespace, |line| println!("{line}"));
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error says that logging has been started already.
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_target(false).with_env_filter(filter).try_init();
}
