//! It can fail: bugs, one for each rule and more, put into a copy of the code. Each must be caught.
//!
//! The code itself has no switch for them. A bug is a few replacements of source text, made in a copy of the workspace under the
//! target directory; where the text isn't found exactly once, that is an error. In the copy the bugs hang on a variable of the
//! environment, so that one build has them all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A bug.
#[derive(Debug)]
pub struct Bug {
    /// What is wrong.
    pub name: &'static str,
    /// What is replaced: the file, what stands there, what stands there instead. `BUG` is whether this bug is on.
    pub edits: &'static [(&'static str, &'static str, &'static str)],
}

/// How a bug is switched on in the copy.
const SWITCH: &str = r#"//! Whether a bug is on.

use std::sync::LazyLock;

static ON: LazyLock<String> = LazyLock::new(|| std::env::var("MAEDAL_BUG").unwrap_or_default());

/// Whether it is this one.
pub fn on(name: &str) -> bool {
    *ON == name
}

/// For a field that isn't sent.
pub fn no_checksum(_: &crate::subscription::Won) -> bool {
    on("a refund without checksum")
}
"#;

/// Where the copy's crates are.
const DEEPER: &str = "bugs";

const CHARGE: &str = "shared/src/billing/charge.rs";
const RESOLVE: &str = "shared/src/billing/resolve.rs";
const RECORD: &str = "shared/src/billing/record.rs";
const VERIFY: &str = "shared/src/billing/verify.rs";
const SUBSCRIPTIONS: &str = "shared/src/store/subscriptions.rs";
const WORK: &str = "shared/src/billing/work.rs";
const STEP: &str = "shared/src/subscription/step.rs";
const COMMAND: &str = "shared/src/subscription/command.rs";
const SETTLE: &str = "shared/src/subscription/settle.rs";

/// The bugs.
pub const BUGS: &[Bug] = &[
    Bug {
        name: "a lost answer is a payment",
        edits: &[(
            CHARGE,
            "            Err(error) => {\n                let unsent",
            "            Err(_) if BUG => {
                let payment = crate::subscription::charge::Payment {
                    imp_uid: \"imp_0\".to_owned().try_into().map_err(|_| StoreError::Conflict { task: \"bug\" })?,
                    paid_at: None,
                    receipt_url: None,
                };
                self.settle(claimed, intent.merchant_uid, Proof::Paid(payment)).await
            }
            Err(error) => {\n                let unsent",
        )],
    },
    Bug {
        name: "a lost answer is a decline, and the next attempt has another name",
        edits: &[(
            CHARGE,
            "                let unsent = error.surely_unsent();\n",
            "                if BUG {
                    let proof = Proof::Declined { reason: error.to_string(), imp_uid: None };
                    return self.settle(claimed, intent.merchant_uid, proof).await;
                }
                let unsent = error.surely_unsent();\n",
        )],
    },
    Bug {
        name: "HTTP 200 is a payment",
        edits: &[(
            CHARGE,
            "            PaymentStatus::Failed => {\n                let proof",
            "            PaymentStatus::Failed if BUG => self.settle_paid(claimed, intent, payment).await,
            PaymentStatus::Failed => {\n                let proof",
        )],
    },
    Bug {
        name: "a refusal without a trace is a decline at once",
        edits: &[(
            CHARGE,
            "            // Perhaps refused because the name is taken,",
            "            Ok(Evidence::Nothing) if BUG => {
                self.settle(claimed, intent.merchant_uid, Proof::Declined { reason: message, imp_uid: None }).await
            }
            // Perhaps refused because the name is taken,",
        )],
    },
    Bug {
        name: "an earlier attempt isn't looked up before the next one",
        edits: &[(
            CHARGE,
            "intent.period, intent.attempt - 1)",
            "intent.period, if BUG { 0 } else { intent.attempt - 1 })",
        )],
    },
    Bug { name: "no settle delay", edits: &[(RESOLVE, "let settled = passed(", "let settled = BUG || passed(")] },
    Bug {
        name: "a look-up that fails is a decline",
        edits: &[(
            RESOLVE,
            "            Err(error) => return self.doubt(seen, unsent, refusal, &error.to_string()).await,\n",
            "            Err(error) if BUG => {
                let proof = Proof::Declined { reason: error.to_string(), imp_uid: None };
                return self.settle(seen, intent.merchant_uid, proof).await;
            }
            Err(error) => return self.doubt(seen, unsent, refusal, &error.to_string()).await,\n",
        )],
    },
    Bug {
        name: "what left no trace is a decline at once",
        edits: &[(
            RESOLVE,
            "                None => self.doubt(seen, unsent, None, \"no trace",
            "                None if BUG => {
                    let proof = Proof::Declined { reason: String::new(), imp_uid: None };
                    self.settle(seen, intent.merchant_uid, proof).await
                }
                None => self.doubt(seen, unsent, None, \"no trace",
        )],
    },
    Bug {
        name: "a late payment is ignored",
        edits: &[(
            RECORD,
            "        let Purpose::Charge { period, attempt } = name.purpose else { return Ok(()) };\n",
            "        let Purpose::Charge { period, attempt } = name.purpose else { return Ok(()) };
        if BUG {
            return Ok(());
        }\n",
        )],
    },
    Bug {
        name: "a payment for a period that was paid counts as another one",
        edits: &[(
            SETTLE,
            "        match paid_before || self.is_over() {",
            "        match !BUG && (paid_before || self.is_over()) {",
        )],
    },
    Bug {
        name: "a duplicate is kept",
        edits: &[(
            SETTLE,
            "        self.give_back(self.amount, \"paid twice, or after the end\", now);",
            "        if !BUG {
            self.give_back(self.amount, \"paid twice, or after the end\", now);
        }",
        )],
    },
    Bug {
        name: "the amount isn't compared",
        edits: &[(
            VERIFY,
            "        if paid.amount() != Some(self.amount) {",
            "        if !BUG && paid.amount() != Some(self.amount) {",
        )],
    },
    Bug {
        name: "a claim doesn't ask whether another one is in flight",
        edits: &[
            (
                SUBSCRIPTIONS,
                "        let breaker = breaker_condition();\n",
                "        let breaker = breaker_condition();
        let free = if BUG { \"attribute_exists(pk)\" } else { \"attribute_not_exists(in_flight)\" };\n",
            ),
            (
                SUBSCRIPTIONS,
                "                     AND attribute_not_exists(in_flight) AND paid_through < next_charge.period \\\n",
                "                     AND {free} AND paid_through < next_charge.period \\\n",
            ),
            (
                SUBSCRIPTIONS,
                "\"#version = :version AND attribute_not_exists(in_flight) AND paid_through",
                "\"#version = :version AND {free} AND paid_through",
            ),
        ],
    },
    Bug {
        name: "no circuit breaker",
        edits: &[
            (
                SUBSCRIPTIONS,
                "    format!(\"claims[{}] <= :yesterday\", CLAIMS_A_DAY - 1)",
                "    if BUG {
        return \"(claims[0] <= :yesterday OR attribute_exists(pk))\".to_owned();
    }
    format!(\"claims[{}] <= :yesterday\", CLAIMS_A_DAY - 1)",
            ),
            (
                "shared/src/subscription/step.rs",
                "        match self.claims[CLAIMS_A_DAY - 1] {\n            0 =>",
                "        match self.claims[CLAIMS_A_DAY - 1] {
            _ if BUG => Timestamp::UNIX_EPOCH,\n            0 =>",
            ),
        ],
    },
    Bug {
        name: "subscription and ledger are written one after the other",
        edits: &[(
            "shared/src/store/ledger.rs",
            "        let Err(in_the_way) = self.transact(writes, SETTLE).await? else {\n",
            "        if BUG {
            let billed: Vec<Entry> = entries.iter().map(|entry| entry.billed(&next)).collect();
            self.put(subscription, now, policy).await?;
            self.write(&billed).await?;
            return Ok(Settled::Written);
        }
        let Err(in_the_way) = self.transact(writes, SETTLE).await? else {\n",
        )],
    },
    Bug {
        name: "a refund without checksum",
        edits: &[(
            "shared/src/iamport/calls.rs",
            "    pub checksum: Won,\n",
            "    #[serde(skip_serializing_if = \"crate::bugs::no_checksum\")]
    pub checksum: Won,\n",
        )],
    },
    Bug {
        name: "commands don't wait for an attempt in doubt",
        edits: &[(
            "shared/src/subscription/command.rs",
            "        match &self.in_flight {\n            Some(intent) =>",
            "        match &self.in_flight {
            Some(_) if BUG => Ok(()),\n            Some(intent) =>",
        )],
    },
    Bug {
        name: "the index forgets an attempt in doubt",
        edits: &[(
            SUBSCRIPTIONS,
            "    if let Some(due_at) = subscription.due_at(now, policy) {",
            "    if let Some(due_at) = subscription.due_at(now, policy).filter(|_| !BUG || subscription.doubt.is_none()) {",
        )],
    },
    Bug {
        name: "the next attempt doesn't wait for what an operator has go back",
        edits: &[(
            CHARGE,
            "Some(RepairAction::Refund) if paid.stands() =>",
            "Some(RepairAction::Refund) if !BUG && paid.stands() =>",
        )],
    },
    Bug {
        name: "a payment that I'mport doesn't show yet is none of ours",
        edits: &[(
            "shared/src/billing/hear.rs",
            "        let payment = self.iamport.payment(imp_uid).await?.ok_or(HearError::NotShown)?;\n",
            "        let payment = self.iamport.payment(imp_uid).await?;
        if BUG && payment.is_none() {
            return Ok(None);
        }
        let payment = payment.ok_or(HearError::NotShown)?;\n",
        )],
    },
    Bug {
        name: "nobody asks whether charging is on",
        edits: &[(
            "shared/src/store/switch.rs",
            "            return Ok(charging.on);\n        }\n        let charging = self.charging().await?;\n        let on = charging.on;\n",
            "            return Ok(charging.on || BUG);
        }
        let charging = self.charging().await?;
        let on = charging.on || BUG;\n",
        )],
    },
    Bug {
        name: "a renewal reads before it claims",
        edits: &[(
            CHARGE,
            "        match self.store.claim(id, guard, self.now()).await {\n",
            "        if BUG {
            self.store.subscription(id).await?;
        }
        match self.store.claim(id, guard, self.now()).await {\n",
        )],
    },
    Bug {
        name: "a decline breaks whatever billing key is there",
        edits: &[(
            SETTLE,
            "self.payment_method.as_mut().filter(|method| method.window == window);",
            "self.payment_method.as_mut().filter(|method| BUG || method.window == window);",
        )],
    },
    Bug {
        name: "who is given up is not asked for a new billing key's window",
        edits: &[(
            WORK,
            "                Step::GiveUp => match self.look_for_billing_key(&mut seen).await? {\n",
            "                Step::GiveUp => match if BUG { Look::Nothing } else { self.look_for_billing_key(&mut seen).await? } {\n",
        )],
    },
    Bug {
        name: "a change of plan gives no credit",
        edits: &[(
            COMMAND,
            "self.credit = self.credit + unused;",
            "self.credit = if BUG { self.credit } else { self.credit + unused };",
        )],
    },
    Bug {
        name: "a change of plan at the period's end has the old price",
        edits: &[(
            SETTLE,
            "let Some(plan) = self.next_plan.take() else { return };",
            "let Some(plan) = self.next_plan.take().filter(|_| !BUG) else { return };",
        )],
    },
    Bug {
        name: "nobody heeds a cancellation at the period's end",
        edits: &[(
            STEP,
            "match (self.cancel_at_period_end, &self.next_plan) {",
            "match (self.cancel_at_period_end && !BUG, &self.next_plan) {",
        )],
    },
    Bug {
        name: "a billing key is charged while its deletion is pending",
        edits: &[(
            STEP,
            "        if let Some(deletion) = &self.key_deletion {\n            return Some((deletion.due_at, Step::DeleteKey));",
            "        if let Some(deletion) = self.key_deletion.as_ref().filter(|_| !BUG) {\n            return Some((deletion.due_at, Step::DeleteKey));",
        )],
    },
    Bug {
        name: "a declined attempt's name is used again",
        edits: &[(
            SETTLE,
            "        self.attempts = self.attempts.max(intent.attempt);\n        let hard",
            "        if !BUG {
            self.attempts = self.attempts.max(intent.attempt);
        }\n        let hard",
        )],
    },
    Bug {
        name: "comparing the books leaves out what nobody told of",
        edits: &[(
            "shared/src/billing/reconcile.rs",
            "        let recorded = match in_flight {\n",
            "        if BUG && !in_flight {
            return Ok(Followed::Agrees);
        }
        let recorded = match in_flight {\n",
        )],
    },
    Bug {
        name: "nobody lists who is past due",
        edits: &[(
            STEP,
            "        self.agenda(now, policy).map(|(at, _)| at)\n",
            "        self.agenda(now, policy).map(|(at, _)| at).filter(|_| !BUG || self.status != Status::PastDue)\n",
        )],
    },
    Bug {
        name: "an answer of I'mport's doesn't end the review that waits for it",
        edits: &[(
            SETTLE,
            "        self.end_review_of(ReviewCause::Doubt);\n",
            "        if !BUG {
            self.end_review_of(ReviewCause::Doubt);
        }\n",
        )],
    },
];

/// What came of one.
#[derive(Debug)]
pub struct Caught {
    /// The bug.
    pub name: &'static str,
    /// In how many histories; `None`: in none of them.
    pub histories: Option<u64>,
    /// By what, in words.
    pub by: String,
}

/// Puts all bugs into a copy, builds it, and runs at most `most` histories with each.
///
/// # Errors
/// Where the copy can't be made, a text isn't found exactly once, or the copy doesn't build.
pub fn hunt(most: u64, mut told: impl FnMut(&Caught)) -> io::Result<Vec<Caught>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("with-bugs");
    copy_workspace(&root, &copy)?;
    let binary = build(&copy, &target)?;
    let mut all = Vec::new();
    for bug in BUGS {
        let output = Command::new(&binary)
            .args(["--schedules", &most.to_string(), "--first", "--json"])
            .env("MAEDAL_BUG", bug.name)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        // What breaks without any bug proves nothing of this one.
        let seed = text.lines().find_map(|line| line.strip_prefix("seed ")?.split(',').next());
        if let Some(seed) = seed
            && !Command::new(&binary).args(["--schedules", "1", "--seed", seed]).output()?.status.success()
        {
            return Err(io::Error::other(format!("seed {seed} breaks a rule without any bug")));
        }
        let last: Value = text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let by = text.lines().find_map(|line| line.strip_prefix("BROKEN ")).unwrap_or_default().to_owned();
        let histories = last["schedules"].as_u64().filter(|_| last["violations"].as_u64() > Some(0));
        let caught = Caught { name: bug.name, histories, by };
        told(&caught);
        all.push(caught);
    }
    Ok(all)
}

/// The copy's crates lie a directory deeper than the workspace's own: to cargo they are other packages, so that the two share
/// what they depend on, and nothing else.
fn copy_workspace(root: &Path, copy: &Path) -> io::Result<()> {
    let deeper = copy.join(DEEPER);
    for name in ["events", "functions", "shared", "tests", "template.yaml"] {
        copy_all(root, &deeper, Path::new(name))?;
    }
    let mut workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    for place in ["shared\"", "functions/", "tests/"] {
        workspace = workspace.replace(&format!("\"{place}"), &format!("\"{DEEPER}/{place}"));
    }
    write(&copy.join("Cargo.toml"), &workspace)?;
    write(&copy.join("Cargo.lock"), &fs::read_to_string(root.join("Cargo.lock"))?)?;
    let text = fs::read_to_string(root.join("shared/src/lib.rs"))?;
    write(&deeper.join("shared/src/lib.rs"), &format!("{text}\npub mod bugs;\n"))?;
    write(&deeper.join("shared/src/bugs.rs"), SWITCH)?;
    let manifest = fs::read_to_string(root.join("tests/faults/Cargo.toml"))?;
    let binary = "\n[[bin]]\nname = \"faults-with-bugs\"\npath = \"src/main.rs\"\n";
    write(&deeper.join("tests/faults/Cargo.toml"), &(manifest + binary))
}

/// The files under `path`, with the bugs that belong there.
fn copy_all(root: &Path, copy: &Path, path: &Path) -> io::Result<()> {
    let from = root.join(path);
    if from.is_dir() {
        for entry in fs::read_dir(&from)? {
            copy_all(root, copy, &path.join(entry?.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = copy.join(path).parent() {
        fs::create_dir_all(parent)?;
    }
    let special = ["shared/src/lib.rs", "tests/faults/Cargo.toml"];
    let name = path.to_string_lossy().into_owned();
    if special.contains(&name.as_str()) {
        return Ok(());
    }
    match fs::read_to_string(&from) {
        Ok(text) => write(&copy.join(path), &with_bugs(&name, text)?),
        Err(_) => fs::copy(&from, copy.join(path)).map(drop),
    }
}

/// The text of the file `name`, with all its bugs.
fn with_bugs(name: &str, mut text: String) -> io::Result<String> {
    for bug in BUGS {
        for (_, from, to) in bug.edits.iter().filter(|(file, _, _)| *file == name) {
            let found = text.matches(from).count();
            if found != 1 {
                let problem = format!("{name} has the place of the bug \"{}\" {found} times: {from}", bug.name);
                return Err(io::Error::other(problem));
            }
            text = text.replace(from, &to.replace("BUG", &format!("crate::bugs::on({:?})", bug.name)));
        }
    }
    Ok(text)
}

/// Writes what differs, so that only that is compiled anew.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    fs::write(path, text)
}

fn build(copy: &Path, target: &Path) -> io::Result<PathBuf> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            "proof",
            "--package",
            "faults",
            "--bin",
            "faults-with-bugs",
        ])
        .arg("--manifest-path")
        .arg(copy.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    match status.success() {
        true => Ok(target.join("proof/faults-with-bugs")),
        false => Err(io::Error::other("the copy with the bugs doesn't build")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_still_has_its_place_in_the_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files: Vec<&str> = BUGS.iter().flat_map(|bug| bug.edits.iter().map(|(file, _, _)| *file)).collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            let text = fs::read_to_string(root.join(file)).unwrap();
            with_bugs(file, text).unwrap();
        }
    }
}
