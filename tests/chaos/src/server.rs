//! DynamoDB and I'mport: processes that are killed, and started again on what they had kept, at the same address.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Notify;

use crate::Failure;
use crate::tally::Tally;

/// How long one is away, in milliseconds: from hardly to longer than a client tries.
const AWAY: std::ops::Range<u64> = 100..4_000;
/// How long one may take to listen.
const START: Duration = Duration::from_secs(20);

/// A port that nobody listens to.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A server and where it is.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    name: &'static str,
    binary: PathBuf,
    arguments: Vec<String>,
    port: u16,
    kill: Notify,
    up: AtomicBool,
}

impl Server {
    /// One that isn't started yet: [`Server::keep`] does.
    pub(crate) fn start(name: &'static str, binary: PathBuf, arguments: Vec<String>, port: u16) -> Arc<Self> {
        let url = format!("http://127.0.0.1:{port}");
        Arc::new(Self { url, name, binary, arguments, port, kill: Notify::new(), up: AtomicBool::new(false) })
    }

    /// Whether it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits until it listens.
    pub(crate) async fn ready(&self) -> Result<(), Failure> {
        let listens = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START, listens).await.map_err(|_| format!("{} doesn't start", self.name).into())
    }

    /// Keeps it alive, until it is killed, and then again after a while.
    pub(crate) async fn keep(self: Arc<Self>, seed: u64, tally: Arc<Tally>) {
        let mut dice = StdRng::seed_from_u64(seed ^ u64::from(self.name.as_bytes()[0]));
        loop {
            let mut command = Command::new(&self.binary);
            command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
            match command.spawn() {
                Ok(mut child) => {
                    self.up.store(true, Ordering::SeqCst);
                    tokio::select! {
                        _ = child.wait() => tally.count(|counts| &mut counts.ended_by_themselves, self.name),
                        () = self.kill.notified() => {
                            let _ = child.kill().await;
                            tally.count(|counts| &mut counts.servers_killed, self.name);
                        }
                    }
                    self.up.store(false, Ordering::SeqCst);
                }
                Err(problem) => eprintln!("        {}: {problem}", self.name),
            }
            tokio::time::sleep(Duration::from_millis(dice.random_range(AWAY))).await;
        }
    }
}
