//! SAM, as a merchant runs it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::aws::Aws;
use crate::{REGION, Result, STACK};

/// A change set of one resource is made, or carried out, within this time.
const SETTLED: Duration = Duration::from_secs(3);

/// SAM for one account.
#[derive(Debug, Clone)]
pub struct Sam {
    endpoint: SocketAddr,
    template: PathBuf,
    built: PathBuf,
}

impl Sam {
    /// SAM for `template`, which is built into `folder`, and the account at `endpoint`.
    pub fn new(endpoint: SocketAddr, template: PathBuf, folder: &Path) -> Self {
        Self { endpoint, template, built: folder.join("build") }
    }

    /// `sam build`: a release binary for each function.
    pub fn build(&self, binaries: &[&str]) -> Result<()> {
        // All at once: SAM makes one after the other, and finds these.
        let mut arguments = vec!["lambda", "build", "--release"];
        if cfg!(target_arch = "aarch64") {
            arguments.push("--arm64");
        }
        arguments.extend(binaries.iter().flat_map(|binary| ["--bin", binary]));
        self.command("cargo", &arguments)?;
        self.build_template()
    }

    fn build_template(&self) -> Result<()> {
        let (template, built) = (self.template.to_string_lossy(), self.built.to_string_lossy());
        // Paths in the template are the workspace's, wherever the template is.
        let base = template::workspace();
        let base = base.to_string_lossy();
        let arguments = ["build", "--template", &template, "--base-dir", &base, "--build-dir", &built];
        self.run(&[arguments.as_slice(), &["--parameter-overrides", ARCHITECTURE]].concat())?;
        Ok(())
    }

    /// SAM for the template before its last change, built with the binaries that are there; none where the history doesn't
    /// go back so far.
    pub fn before_last_change(&self) -> Result<Option<Self>> {
        let changes = self.command("git", &["rev-list", "--max-count=2", "HEAD", "--", "template.yaml"])?;
        let Some(before) = changes.lines().nth(1) else { return Ok(None) };
        let folder = self.built.with_file_name("before");
        std::fs::create_dir_all(&folder)?;
        let template = folder.join("template.yaml");
        std::fs::write(&template, self.command("git", &["show", &format!("{before}:template.yaml")])?)?;
        let sam = Self::new(self.endpoint, template, &folder);
        sam.build_template()?;
        Ok(Some(sam))
    }

    /// `sam deploy` with these parameters.
    pub fn deploy(&self, parameters: &[(&str, &str)]) -> Result<()> {
        let template = self.built.join("template.yaml");
        let template = template.to_string_lossy();
        let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec!["deploy", "--template-file", &template, "--stack-name", STACK, "--resolve-s3"];
        arguments.extend(["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar"]);
        arguments.extend(["--no-fail-on-empty-changeset", "--parameter-overrides", ARCHITECTURE]);
        arguments.extend(parameters.iter().map(String::as_str));
        self.run(&arguments)?;
        Ok(())
    }

    /// `sam delete`.
    pub fn delete(&self) -> Result<()> {
        self.run(&["delete", "--stack-name", STACK, "--no-prompts"])?;
        Ok(())
    }

    /// A new stack of a table that is there already, which SAM has no word for: `aws cloudformation create-change-set
    /// --change-set-type IMPORT`, then `execute-change-set`.
    pub async fn import_table(&self, aws: &Aws, template: &Value, table: &str) -> Result<()> {
        let body = template.to_string();
        let set = [("StackName", STACK), ("ChangeSetName", "take-over")];
        let import = [
            ("Action", "CreateChangeSet"),
            ("ChangeSetType", "IMPORT"),
            ("TemplateBody", &body),
            ("ResourcesToImport.member.1.ResourceType", "AWS::DynamoDB::Table"),
            ("ResourcesToImport.member.1.LogicalResourceId", "Table"),
            ("ResourcesToImport.member.1.ResourceIdentifier.entry.1.key", "TableName"),
            ("ResourcesToImport.member.1.ResourceIdentifier.entry.1.value", table),
        ];
        aws.query("cloudformation", &[import.as_slice(), &set].concat()).await?;
        // Both go on by themselves after the answer.
        tokio::time::sleep(SETTLED).await;
        aws.query("cloudformation", &[[("Action", "ExecuteChangeSet")].as_slice(), &set].concat()).await?;
        tokio::time::sleep(SETTLED).await;
        Ok(())
    }

    /// The outputs of the stack.
    pub fn outputs(&self) -> Result<BTreeMap<String, String>> {
        self.list("stack-outputs", "OutputKey", "OutputValue")
    }

    /// The stack's resources: logical id -> physical id.
    pub fn resources(&self) -> Result<BTreeMap<String, String>> {
        self.list("resources", "LogicalResourceId", "PhysicalResourceId")
    }

    fn list(&self, what: &str, name: &str, value: &str) -> Result<BTreeMap<String, String>> {
        let listed: Value =
            serde_json::from_str(&self.run(&["list", what, "--stack-name", STACK, "--output", "json"])?)?;
        let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
        let entries = listed.as_array().into_iter().flatten();
        Ok(entries.filter_map(|entry| Some((text(entry, name)?, text(entry, value)?))).collect())
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        self.command("sam", &[arguments, &["--region", REGION]].concat())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        // What cargo tells a test of its package would make build scripts run anew, and all that hangs on them.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
        let output = command
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_MANIFEST_PATH")
            .env_remove("CARGO_CRATE_NAME")
            .args(arguments)
            .current_dir(template::workspace())
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.endpoint))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            // No profile of whoever runs this.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env("SAM_CLI_TELEMETRY", "0")
            // The machine's own compiler, where this is no cross-compilation: no zig is needed.
            .env("CARGO_LAMBDA_COMPILER", "cargo")
            .output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => {
                let said = [output.stdout, output.stderr].concat();
                Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&said)).into())
            }
        }
    }
}

/// This machine's.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "Architecture=arm64" } else { "Architecture=x86_64" };
