//! What may befall a worker at each of its network calls: it dies before the call or after, the answer is lost, the table
//! throttles. Below the clients, so that their own code runs.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use maedal::iamport::{Sending, Transport, TransportError};
use tokio::sync::Notify;

/// What befalls one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The worker dies, and the call was not made.
    DieBefore,
    /// The call had its effect, and the worker dies before it hears.
    DieAfter,
    /// The call had its effect, and the answer is lost.
    LoseAnswer,
    /// The table says that it is asked too much. (I'mport: the connection can't be made.)
    Throttle,
    /// A transaction meets another one.
    Conflict,
}

/// Counts a worker's network calls, those for a token included, and strikes at some of them.
#[derive(Debug, Default)]
pub struct Fate {
    calls: AtomicUsize,
    blows: Mutex<BTreeMap<usize, Blow>>,
    died: Notify,
}

impl Fate {
    /// Strikes with `blow` at the `nth` call from here on, from 1.
    pub fn strike(&self, nth: usize, blow: Blow) {
        let place = self.calls() + nth;
        self.blows.lock().unwrap_or_else(PoisonError::into_inner).insert(place, blow);
    }

    /// Strikes no more.
    pub fn relent(&self) {
        self.blows.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Runs `work` until it ends or the worker dies. `None`: it died.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.died.notified() => None,
        }
    }

    fn next(&self) -> Option<Blow> {
        let place = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.blows.lock().unwrap_or_else(PoisonError::into_inner).remove(&place)
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        pending().await
    }
}

/// I'mport's transport, as fate has it.
#[derive(Debug)]
pub struct FatedTransport<T> {
    /// The real one.
    pub inner: T,
    /// What befalls it.
    pub fate: Arc<Fate>,
}

impl<T: Transport> Transport for FatedTransport<T> {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        Box::pin(async move {
            match self.fate.next() {
                None => self.inner.send(request, timeout).await,
                Some(Blow::DieBefore) => self.fate.die().await,
                Some(Blow::DieAfter) => {
                    let _ = self.inner.send(request, timeout).await;
                    self.fate.die().await
                }
                Some(Blow::LoseAnswer) => {
                    let _ = self.inner.send(request, timeout).await;
                    Err(TransportError::Lost("the answer was lost".to_owned()))
                }
                Some(Blow::Throttle | Blow::Conflict) => Err(TransportError::NotSent("no connection".to_owned())),
            }
        })
    }
}

/// The AWS SDK's HTTP client, as fate has it.
#[derive(Debug, Clone)]
pub struct FatedHttp {
    inner: SharedHttpClient,
    fate: Arc<Fate>,
}

impl FatedHttp {
    /// `inner`, as `fate` has it.
    pub fn over(inner: SharedHttpClient, fate: Arc<Fate>) -> SharedHttpClient {
        SharedHttpClient::new(Self { inner, fate })
    }
}

impl HttpClient for FatedHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FatedConnector { inner, fate: self.fate.clone() })
    }
}

#[derive(Debug, Clone)]
struct FatedConnector {
    inner: SharedHttpConnector,
    fate: Arc<Fate>,
}

impl HttpConnector for FatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { inner, fate } = self.clone();
        HttpConnectorFuture::new(async move {
            match fate.next() {
                None => inner.call(request).await,
                Some(Blow::DieBefore) => fate.die().await,
                Some(Blow::DieAfter) => {
                    let _ = inner.call(request).await;
                    fate.die().await
                }
                Some(Blow::LoseAnswer) => {
                    let _ = inner.call(request).await;
                    Err(ConnectorError::io("the answer was lost".into()))
                }
                Some(Blow::Throttle) => Ok(error(
                    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#,
                )),
                Some(Blow::Conflict) => Ok(error(
                    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"canceled","CancellationReasons":[{"Code":"TransactionConflict","Message":"conflict"},{"Code":"None"}]}"#,
                )),
            }
        })
    }
}

fn error(body: &'static str) -> HttpResponse {
    let mut response = HttpResponse::new(http::StatusCode::BAD_REQUEST.into(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
