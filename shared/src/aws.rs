//! The AWS SDK as this project uses it: Lambda's own credentials, one TLS provider, short timeouts.
//!
//! `aws-config` is left out on purpose. A Lambda's credentials and region are in its environment, and the rest of the
//! chain (SSO, STS, IMDS) is code to load at every cold start that nothing here would use.

use std::sync::LazyLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

/// DynamoDB and SQS answer in milliseconds; one that doesn't is tried anew.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one service. Each SDK crate has types of its own for the same settings.
macro_rules! client {
    ($aws:expr, $sdk:ident, $http_client:expr, $endpoint:literal) => {{
        let mut config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new($aws.region.clone()))
            .credentials_provider($aws.credentials.clone())
            .http_client($http_client)
            .retry_config(RetryConfig::standard())
            // The attempt's timeout ends a stalled stream sooner.
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts());
        config.set_endpoint_url(std::env::var($endpoint).ok().or_else(|| $aws.endpoint.clone()));
        $sdk::Client::from_conf(config.build())
    }};
}

/// Where AWS is and who asks: region, credentials and, for a local stack, an endpoint.
#[derive(Debug, Clone)]
pub struct Aws {
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
    http_client: SharedHttpClient,
}

impl Aws {
    /// From the environment that Lambda gives: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`; and `AWS_ENDPOINT_URL` where a local stack stands in.
    pub fn from_env() -> Result<Self, MissingVariable> {
        let var = |name: &'static str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let needed = |name: &'static str| var(name).ok_or(MissingVariable(name));
        Ok(Self {
            region: needed("AWS_REGION")?,
            credentials: Credentials::new(
                needed("AWS_ACCESS_KEY_ID")?,
                needed("AWS_SECRET_ACCESS_KEY")?,
                var("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            endpoint: var("AWS_ENDPOINT_URL"),
            http_client: HTTP_CLIENT.clone(),
        })
    }

    /// A local stand-in at `endpoint`, with credentials that are worth nothing.
    pub fn local(endpoint: impl Into<String>) -> Self {
        Self {
            region: "ap-northeast-2".to_owned(),
            credentials: Credentials::new("local", "local", None, None, "local"),
            endpoint: Some(endpoint.into()),
            http_client: http_client(),
        }
    }

    /// Where a local stack stands in for AWS, if one does.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// A DynamoDB client. `AWS_ENDPOINT_URL_DYNAMODB` moves it alone.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb_over(self.http_client.clone())
    }

    /// As [`Aws::dynamodb`], over another HTTP client: the seam for proofs.
    pub fn dynamodb_over(&self, http_client: SharedHttpClient) -> aws_sdk_dynamodb::Client {
        client!(self, aws_sdk_dynamodb, http_client, "AWS_ENDPOINT_URL_DYNAMODB")
    }

    /// An SQS client. `AWS_ENDPOINT_URL_SQS` moves it alone.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        client!(self, aws_sdk_sqs, self.http_client.clone(), "AWS_ENDPOINT_URL_SQS")
    }

    /// An EventBridge client. `AWS_ENDPOINT_URL_EVENTBRIDGE` moves it alone.
    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        client!(self, aws_sdk_eventbridge, self.http_client.clone(), "AWS_ENDPOINT_URL_EVENTBRIDGE")
    }

    /// A Secrets Manager client. `AWS_ENDPOINT_URL_SECRETS_MANAGER` moves it alone.
    pub fn secretsmanager(&self) -> aws_sdk_secretsmanager::Client {
        client!(self, aws_sdk_secretsmanager, self.http_client.clone(), "AWS_ENDPOINT_URL_SECRETS_MANAGER")
    }
}

/// A variable that a function can't run without.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set. template.yaml sets it for every function; README.md lists them all")]
pub struct MissingVariable(pub &'static str);

/// Makes ring the TLS provider of the process. Safe to call again.
pub fn install_crypto() {
    // An error says that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// One for all AWS clients of a function.
static HTTP_CLIENT: LazyLock<SharedHttpClient> = LazyLock::new(http_client);

/// The roots of Amazon Trust Services, below which AWS has the certificates of all its services
/// (<https://www.amazontrust.com/repository/>). Reading all that the system trusts is six sevenths of a cold start.
const ROOTS: &[u8] = include_bytes!("aws_roots.pem");

/// Whom the operator trusts, by file, as rustls and OpenSSL know it: a proxy may look into TLS, or a stand-in have TLS of its own.
/// Whoever names one trusts nobody else.
pub const TRUSTED: &str = "SSL_CERT_FILE";

/// An HTTP client for the AWS SDK.
pub fn http_client() -> SharedHttpClient {
    install_crypto();
    let builder = Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    if std::env::var_os(TRUSTED).is_some() {
        return builder.build_https();
    }
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        Err(_) => builder.build_https(),
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    /// A root that isn't Mozilla's, too, is none of Amazon's, or no more.
    #[test]
    fn the_roots_are_amazons() -> Result<(), Box<dyn std::error::Error>> {
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(super::ROOTS) {
            roots.add(root?)?;
        }
        assert_eq!(roots.len(), 5);
        for root in &roots.roots {
            let key = &root.subject_public_key_info;
            assert!(
                webpki_roots::TLS_SERVER_ROOTS.iter().any(|known| known.subject_public_key_info == *key),
                "{root:?}"
            );
            let subject = String::from_utf8_lossy(&root.subject);
            assert!(subject.contains("Amazon") || subject.contains("Starfield Services"), "{subject}");
        }
        Ok(())
    }
}
