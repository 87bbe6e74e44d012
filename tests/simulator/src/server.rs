//! The simulator behind a socket: answers requests by HTTP/1.1, and sends due webhooks with the time limits that
//! PortOne documents.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{log::Log, reply::Outcome, simulator::Simulator, webhook::Webhook};

/// What time it is for the simulator.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long the background waits before it looks for webhooks to send again.
const SHORT_WHILE: Duration = Duration::from_millis(20);
/// I'mport's own limits for a webhook (PortOne V1 webhook guide).
const WEBHOOK_CONNECT: Duration = Duration::from_secs(10);
const WEBHOOK_READ: Duration = Duration::from_secs(30);

/// Serves the simulator until `shutdown`, and sends its webhooks in the background.
pub async fn serve(
    listener: TcpListener,
    simulator: Arc<Mutex<Simulator>>,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    tokio::select! {
        never = send_webhooks(&simulator, None, &clock) => match never {},
        served = answer_all(listener, simulator.clone(), None, clock.clone(), shutdown) => served,
    }
}

/// As [`serve`], and keeps what is asked in `log`, from which the next start goes on.
pub async fn serve_logged(
    listener: TcpListener,
    simulator: Arc<Mutex<Simulator>>,
    log: Log,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let log = Arc::new(log);
    tokio::select! {
        never = send_webhooks(&simulator, Some(&log), &clock) => match never {},
        served = answer_all(listener, simulator.clone(), Some(log.clone()), clock.clone(), shutdown) => served,
    }
}

/// Serves the simulator until `shutdown`. Webhooks wait for [`deliver_due`], so that a test has them in its hands.
pub async fn serve_without_webhooks(
    listener: TcpListener,
    simulator: Arc<Mutex<Simulator>>,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    answer_all(listener, simulator, None, clock, shutdown).await
}

async fn answer_all(
    listener: TcpListener,
    simulator: Arc<Mutex<Simulator>>,
    log: Option<Arc<Log>>,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, say. Some will be free soon.
                    tokio::time::sleep(SHORT_WHILE).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let (simulator, log, clock) = (simulator.clone(), log.clone(), clock.clone());
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, &simulator, log.as_deref(), &clock));
                    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                    // An error here is a client that went away, or a cut on purpose.
                    let _ = connection.await;
                });
            }
        }
    }
}

/// Sends the webhooks that are due, one after the other in their order, and returns how many.
pub async fn deliver_due(client: &WebhookClient, simulator: &Mutex<Simulator>, clock: &Clock) -> usize {
    let due = lock(simulator).take_due_webhooks(clock());
    for webhook in &due {
        let answer = client.post(webhook).await;
        lock(simulator).webhook_answered(webhook.id, answer, clock());
    }
    due.len()
}

async fn send_webhooks(simulator: &Arc<Mutex<Simulator>>, log: Option<&Arc<Log>>, clock: &Clock) -> Infallible {
    let client = WebhookClient::new();
    let mut sending = JoinSet::new();
    loop {
        tokio::time::sleep(SHORT_WHILE).await;
        while sending.try_join_next().is_some() {}
        for webhook in lock(simulator).take_due_webhooks(clock()) {
            let (client, simulator, log, clock) = (client.clone(), simulator.clone(), log.cloned(), clock.clone());
            sending.spawn(async move {
                let answer = client.post(&webhook).await;
                let mut simulator = lock(&simulator);
                let now = clock();
                simulator.webhook_answered(webhook.id, answer, now);
                if let Some(log) = log {
                    // Where it can't be written, the webhook comes again after the next start.
                    let _ = log.webhook(webhook.id, answer, now);
                }
            });
        }
    }
}

/// An error closes the connection without an answer: hyper writes nothing for it.
async fn answer(
    request: Request<Incoming>,
    simulator: &Mutex<Simulator>,
    log: Option<&Log>,
    clock: &Clock,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let reply = {
        let request = Request::from_parts(head, body);
        // The log has the order in which requests are handled.
        let mut simulator = lock(simulator);
        let now = clock();
        if let Some(log) = log {
            log.request(&request, now)?;
        }
        simulator.handle(&request, now)
    };
    tokio::time::sleep(reply.delay).await;
    match reply.outcome {
        Outcome::Answer(response) => Ok(response.map(Full::new)),
        Outcome::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// What posts webhooks. Making one reads all of the system's certificates.
#[derive(Debug, Clone)]
pub struct WebhookClient(reqwest::Client);

impl Default for WebhookClient {
    fn default() -> Self {
        Self::new()
    }
}

impl WebhookClient {
    /// A client with a connection pool of its own.
    ///
    /// # Panics
    /// Where the system has no certificates at all.
    pub fn new() -> Self {
        // Fails where a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(WEBHOOK_CONNECT)
            .read_timeout(WEBHOOK_READ)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without certificates of its own can be built");
        Self(client)
    }

    /// `None`: not reached, or no answer in time.
    async fn post(&self, webhook: &Webhook) -> Option<u16> {
        let request = self.0.post(&webhook.url).header("content-type", webhook.content_type).body(webhook.body.clone());
        let response = request.send().await.ok()?;
        Some(response.status().as_u16())
    }
}

/// A panic in another test's thread does not make the books unreadable.
fn lock(simulator: &Mutex<Simulator>) -> MutexGuard<'_, Simulator> {
    simulator.lock().unwrap_or_else(PoisonError::into_inner)
}
