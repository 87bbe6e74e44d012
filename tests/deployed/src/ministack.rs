//! MiniStack: an AWS on this machine, as a child process.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{REGION, Result};

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running MiniStack. It ends with this value.
#[derive(Debug)]
pub struct Ministack {
    child: Child,
    /// Where it listens, on loopback only.
    pub address: SocketAddr,
}

impl Ministack {
    /// Starts one that enforces IAM and records who calls what. What it says goes to `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let log = File::create(folder.join("ministack.log"))?;
        let child = Command::new("ministack")
            .current_dir(folder)
            .env("AUTH", "true")
            .env("CLOUDTRAIL_RECORDING", "1")
            // Its Lambdas would call the real AWS without.
            .env("AWS_ENDPOINT_URL", format!("http://{address}"))
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .env("MINISTACK_REGION", REGION)
            .env("LAMBDA_EXECUTOR", "local")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut started = Self { child, address };
        started.wait()?;
        Ok(started)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("MiniStack has ended with {status}; see ministack.log").into());
            }
            if begun.elapsed() > READY_WITHIN {
                return Err("MiniStack isn't ready; see ministack.log".into());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Ministack {
    /// Asks first, so that it ends its Lambdas, too.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while begun.elapsed() < STOP_WITHIN {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
