//! The stack as a merchant deploys it: `template.yaml`, built and deployed by SAM, release binaries as Lambdas, IAM
//! enforced, and I'mport simulated. AWS itself is stood in for by MiniStack, on this machine.
//!
//! What the stand-in lacks, and what is done about it here, is said in [`gaps`]; nothing else differs from a deployment to
//! AWS.

pub mod aws;
pub mod gaps;
pub mod ministack;
pub mod past;
pub mod permissions;
pub mod sam;
pub mod shop;
pub mod stack;
pub mod tools;

/// Any failure: the test ends with it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// What all parts return.
pub type Result<T> = std::result::Result<T, Error>;

/// The region of the stand-in.
pub const REGION: &str = "ap-northeast-2";
/// The stack's name.
pub const STACK: &str = "maedal";
