//! How a request reaches I'mport: over reqwest, or, in a proof under virtual time, by a call in the process.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// Sends one request and gets its response.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends `request`. No answer within `timeout` is [`TransportError::Lost`].
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_>;
}

/// A request on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send + 'a>>;

/// Why there is no response. The difference decides whether money may have moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection was made: the request surely never left.
    #[error("could not connect to I'mport: {0}")]
    NotSent(String),
    /// The request may have arrived: a timeout, a cut connection, an answer that broke off.
    #[error("no whole answer from I'mport: {0}")]
    Lost(String),
}

/// No answer of I'mport's comes near this; what does isn't one.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// A connection that takes longer than this is not worth waiting for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The real one. It is made at the first call.
#[derive(Debug, Clone, Default)]
pub struct Https(Arc<OnceLock<reqwest::Client>>);

impl Https {
    /// A client with its own connection pool.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        crate::aws::install_crypto();
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true);
        // Mozilla's are compiled in, and a cold start reads no files for them.
        if std::env::var_os(crate::aws::TRUSTED).is_none() {
            client = client.tls_backend_preconfigured(mozillas());
        }
        let client = client.build()?;
        Ok(self.0.get_or_init(|| client))
    }
}

/// TLS that trusts whom Mozilla trusts.
fn mozillas() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

impl Transport for Https {
    fn send(&self, request: http::Request<Bytes>, timeout: Duration) -> Sending<'_> {
        Box::pin(async move {
            let not_sent = |e: reqwest::Error| TransportError::NotSent(e.without_url().to_string());
            let lost = |e: reqwest::Error| TransportError::Lost(e.without_url().to_string());
            let mut request = reqwest::Request::try_from(request).map_err(not_sent)?;
            *request.timeout_mut() = Some(timeout);
            let mut response =
                self.client().map_err(not_sent)?.execute(request).await.map_err(|e| match e.is_connect() {
                    true => not_sent(e),
                    false => lost(e),
                })?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(lost)? {
                if body.len() + chunk.len() > LONGEST_ANSWER {
                    return Err(TransportError::Lost("the answer is longer than any of I'mport's".to_owned()));
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = http::Response::new(body.freeze());
            *answer.status_mut() = response.status();
            Ok(answer)
        })
    }
}
