//! Where the REST key and secret come from: the environment on a developer's machine, Secrets Manager when deployed.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;

/// The merchant's REST key and secret. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `imp_key`.
    pub key: String,
    /// `imp_secret`.
    pub secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Keeps the credentials. It is opened once, and again when I'mport doesn't know them any more: so a secret is rotated
/// without a deploy.
pub trait Vault: Debug + Send + Sync + 'static {
    /// The credentials as they are now.
    fn open(&self) -> Opening<'_>;
}

/// Credentials on their way.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Credentials, VaultError>> + Send + 'a>>;

/// A vault that doesn't open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not read imp_key and imp_secret: {0}")]
pub struct VaultError(pub String);

/// Credentials that never change.
impl Vault for Credentials {
    fn open(&self) -> Opening<'_> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}

/// For a function that has no business with I'mport.
#[derive(Debug, Clone, Copy)]
pub struct NoVault;

impl Vault for NoVault {
    fn open(&self) -> Opening<'_> {
        Box::pin(std::future::ready(Err(VaultError("this function has none, and must not call I'mport".to_owned()))))
    }
}
