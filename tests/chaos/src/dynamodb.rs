//! DynamoDB as a process: the emulator over a file, so that it can be killed and goes on where it was.

use std::net::Ipv4Addr;
use std::path::Path;

use dynoxide::Database;
use tokio::net::TcpListener;

use crate::Failure;

/// Serves the database in `file` for as long as it is let.
pub(crate) async fn serve(file: &Path, port: u16) -> Result<(), Failure> {
    let database = Database::new(&file.to_string_lossy())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    dynoxide::server::serve_on(listener, database).await;
    Err("DynamoDB ended by itself".into())
}
