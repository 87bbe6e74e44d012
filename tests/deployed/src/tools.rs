//! The tools of a deployment: SAM, cargo-lambda and MiniStack, from PyPI.

use std::process::{Command, Stdio};

/// Whether there is to be a deployment: it takes minutes and its tools, so it has to be asked for.
pub const VARIABLE: &str = "MAEDAL_DEPLOY";
const TOOLS: [&str; 3] = ["sam", "cargo-lambda", "ministack"];

/// Why there is no deployment now; none where there is to be one.
///
/// # Panics
/// Where one is required and a tool is missing.
#[allow(clippy::panic)]
pub fn missing() -> Option<String> {
    if std::env::var(VARIABLE).as_deref() != Ok("required") {
        return Some(format!("a deployment takes minutes and {}: set {VARIABLE}=required", TOOLS.join(", ")));
    }
    let absent: Vec<&str> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
    assert!(
        absent.is_empty(),
        "{} not on PATH: pip install aws-sam-cli cargo-lambda 'ministack[full]'",
        absent.join(", ")
    );
    None
}

/// `ministack` has no `--version`, and would start.
fn is_there(tool: &str) -> bool {
    let mut look = Command::new("sh");
    look.args(["-c", r#"command -v "$1""#, "sh", tool]).stdout(Stdio::null()).stderr(Stdio::null());
    look.status().is_ok_and(|status| status.success())
}
