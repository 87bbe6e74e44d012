//! Counts what a worker sends: below the clients, so that retries and calls for a token count, too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use maedal::iamport::{Sending, Transport};

/// What was sent.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    calls: AtomicU64,
    bytes: AtomicU64,
    slowest: Mutex<Duration>,
}

impl Tally {
    /// Network calls.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Bytes of bodies sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The slowest call to I'mport since the last time it was asked.
    pub(crate) fn take_slowest(&self) -> Duration {
        std::mem::take(&mut self.slowest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, bytes: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// I'mport's transport, counted.
#[derive(Debug)]
pub(crate) struct CountedTransport<T> {
    /// The real one.
    pub(crate) inner: T,
    /// Where it counts.
    pub(crate) tally: Arc<Tally>,
}

impl<T: Transport> Transport for CountedTransport<T> {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        self.tally.count(request.body().len());
        Box::pin(async move {
            let started = Instant::now();
            let answer = self.inner.send(request, timeout).await;
            let mut slowest = self.tally.slowest.lock().unwrap_or_else(PoisonError::into_inner);
            *slowest = started.elapsed().max(*slowest);
            answer
        })
    }
}

/// The AWS SDK's HTTP client, counted.
#[derive(Debug, Clone)]
pub(crate) struct CountedHttp {
    inner: SharedHttpClient,
    tally: Arc<Tally>,
}

impl CountedHttp {
    /// `inner`, counted in `tally`.
    pub(crate) fn over(inner: SharedHttpClient, tally: Arc<Tally>) -> SharedHttpClient {
        SharedHttpClient::new(Self { inner, tally })
    }
}

impl HttpClient for CountedHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CountedConnector { inner, tally: self.tally.clone() })
    }
}

#[derive(Debug, Clone)]
struct CountedConnector {
    inner: SharedHttpConnector,
    tally: Arc<Tally>,
}

impl HttpConnector for CountedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.tally.count(request.body().bytes().map_or(0, <[u8]>::len));
        self.inner.call(request)
    }
}
