//! It can fail: bugs, one for each rule and more, put into a copy of the code. Each must be caught.
//!
//! The code itself has no switch for them. A bug is a patch file in `tests/faults/bugs`, which begins with what is wrong and which
//! rule that breaks. All of them are applied, one after the other, to a copy of the workspace under the target directory, where
//! each hangs on a variable of the environment: `crate::bugs::on("its-name")`, its name being the file's. So one build has them all.
//!
//! To write one, or to mend one that doesn't apply any more: make the change in the code, keep `git diff -U1` as the patch, and
//! take the change back. A patch that touches the lines of another is made on top of those that come before it by name.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use serde_json::Value;

/// Where the patches are, from the workspace's root.
const PATCHES: &str = "tests/faults/bugs";
/// Where the copy's crates are.
const DEEPER: &str = "bugs";

/// How a bug is switched on in the copy.
const SWITCH: &str = r#"//! Whether a bug is on.

use std::sync::LazyLock;

static ON: LazyLock<String> = LazyLock::new(|| std::env::var("MAEDAL_BUG").unwrap_or_default());

/// Whether it is this one.
pub fn on(name: &str) -> bool {
    *ON == name
}
"#;

/// A bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bug {
    /// The patch file's, without its extension.
    pub name: String,
    /// What is wrong, and which rule that breaks.
    pub what: String,
    /// The patch, by file.
    patch: String,
}

/// What came of one.
#[derive(Debug)]
pub struct Caught {
    /// The bug.
    pub bug: Bug,
    /// In how many histories; `None`: in none of them.
    pub histories: Option<u64>,
    /// By what, in words.
    pub by: String,
}

/// The files of the workspace that bugs change, by their paths from its root, with all bugs in them.
type Changed = BTreeMap<String, String>;

impl Bug {
    /// Reads a patch: the head, then a unified diff.
    fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let begins = |line: &str| line.starts_with("--- ") || line.starts_with("diff ");
        let head: Vec<&str> = text.lines().take_while(|line| !begins(line)).map(str::trim).collect();
        let what = head.join(" ").trim().to_owned();
        let patch = text.lines().skip(head.len()).map(|line| format!("{line}\n")).collect();
        Ok(Self { name, what, patch })
    }

    /// Puts it into `changed`.
    fn put_into(&self, root: &Path, changed: &mut Changed) -> io::Result<()> {
        let problem = |what: &str| io::Error::other(format!("{PATCHES}/{}.patch: {what}", self.name));
        for file in PatchSet::parse(&self.patch, ParseOptions::unidiff()) {
            let file = file.map_err(|error| problem(&error.to_string()))?;
            let operation = file.operation().strip_prefix(1);
            let FileOperation::Modify { modified: path, .. } = operation else {
                return Err(problem("it may change files only"));
            };
            let text = text_of(root, &path, changed)?;
            let Some(patch) = file.patch().as_text() else { return Err(problem("it isn't text")) };
            let text = diffy::apply(&text, patch).map_err(|error| problem(&format!("{path}: {error}")))?;
            changed.insert(path.into_owned(), text);
        }
        Ok(())
    }
}

/// All bugs, by name.
///
/// # Errors
/// Where a patch can't be read.
pub fn bugs() -> io::Result<Vec<Bug>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root()?.join(PATCHES))? {
        all.push(Bug::read(&entry?.path())?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Those of `all` that `names` names; all where it names none.
///
/// # Errors
/// Where there is no such bug.
pub fn named(all: &[Bug], names: &[String]) -> io::Result<Vec<Bug>> {
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|bug| bug.name != **name)) {
        return Err(io::Error::other(format!("there is no bug {unknown}: see {PATCHES}")));
    }
    Ok(all.iter().filter(|bug| names.is_empty() || names.contains(&bug.name)).cloned().collect())
}

fn root() -> io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()
}

/// Puts all bugs into a copy, builds it, and runs at most `most` histories with each that `names` names; with each, where it names
/// none.
///
/// # Errors
/// Where the copy can't be made, a patch doesn't apply, or the copy doesn't build.
pub fn hunt(names: &[String], most: u64, mut told: impl FnMut(&Caught)) -> io::Result<Vec<Caught>> {
    let root = root()?;
    let bugs = bugs()?;
    let wanted = named(&bugs, names)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("with-bugs");
    copy_workspace(&root, &copy, with_all(&root, &bugs)?)?;
    let binary = build(&copy, &target)?;
    let mut all = Vec::new();
    for bug in wanted {
        let output = Command::new(&binary)
            .args(["--schedules", &most.to_string(), "--first", "--json"])
            .env("MAEDAL_BUG", &bug.name)
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
        let caught = Caught { bug, histories, by };
        told(&caught);
        all.push(caught);
    }
    Ok(all)
}

/// What `bugs`, one after the other, make of the files that they change.
fn with_all(root: &Path, bugs: &[Bug]) -> io::Result<Changed> {
    let mut changed = Changed::new();
    for bug in bugs {
        bug.put_into(root, &mut changed)?;
    }
    Ok(changed)
}

/// The copy's crates lie a directory deeper than the workspace's own: to cargo they are other packages, so that the two share
/// what they depend on, and nothing else.
fn copy_workspace(root: &Path, copy: &Path, mut changed: Changed) -> io::Result<()> {
    let deeper = copy.join(DEEPER);
    for (name, more) in [
        ("shared/src/lib.rs", "\npub mod bugs;\n"),
        ("tests/faults/Cargo.toml", "\n[[bin]]\nname = \"faults-with-bugs\"\npath = \"src/main.rs\"\n"),
    ] {
        let text = text_of(root, name, &changed)?;
        changed.insert(name.to_owned(), text + more);
    }
    for name in ["events", "functions", "shared", "tests", "template.yaml"] {
        copy_all(root, &deeper, Path::new(name), &changed)?;
    }
    write(&deeper.join("shared/src/bugs.rs"), SWITCH)?;
    let mut workspace = fs::read_to_string(root.join("Cargo.toml"))?;
    for place in ["shared\"", "functions/", "tests/"] {
        workspace = workspace.replace(&format!("\"{place}"), &format!("\"{DEEPER}/{place}"));
    }
    write(&copy.join("Cargo.toml"), &workspace)?;
    write(&copy.join("Cargo.lock"), &fs::read_to_string(root.join("Cargo.lock"))?)
}

/// The files under `path`, as they are changed.
fn copy_all(root: &Path, copy: &Path, path: &Path, changed: &Changed) -> io::Result<()> {
    let from = root.join(path);
    if from.is_dir() {
        for entry in fs::read_dir(&from)? {
            copy_all(root, copy, &path.join(entry?.file_name()), changed)?;
        }
        return Ok(());
    }
    if let Some(parent) = copy.join(path).parent() {
        fs::create_dir_all(parent)?;
    }
    match text_of(root, &path.to_string_lossy(), changed) {
        Ok(text) => write(&copy.join(path), &text),
        Err(_) => fs::copy(&from, copy.join(path)).map(drop),
    }
}

/// The text of a file as it is changed so far.
fn text_of(root: &Path, name: &str, changed: &Changed) -> io::Result<String> {
    match changed.get(name) {
        Some(text) => Ok(text.clone()),
        None => fs::read_to_string(root.join(name)),
    }
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
    fn every_bug_still_applies_on_top_of_those_before_it() {
        with_all(&root().unwrap(), &bugs().unwrap()).unwrap();
    }

    #[test]
    fn every_bug_says_what_is_wrong_and_hangs_on_its_own_name() {
        for bug in bugs().unwrap() {
            assert!(bug.what.ends_with('.') && bug.what.contains("breaks"), "{}: {}", bug.name, bug.what);
            let switches: Vec<&str> =
                bug.patch.split("crate::bugs::on(").skip(1).filter_map(|rest| rest.split('"').nth(1)).collect();
            assert!(
                !switches.is_empty() && switches.iter().all(|name| *name == bug.name),
                "{}: {switches:?}",
                bug.name
            );
        }
    }

    #[test]
    fn a_patch_that_does_not_apply_is_named_with_its_file() {
        let patch = "diff --git a/shared/src/lib.rs b/shared/src/lib.rs\nindex 1111111..2222222 100644\n\
            --- a/shared/src/lib.rs\n+++ b/shared/src/lib.rs\n@@ -1 +1 @@\n-not there\n+nor here\n";
        let bug = Bug { name: "stale".to_owned(), what: String::new(), patch: patch.to_owned() };
        let error = with_all(&root().unwrap(), &[bug]).unwrap_err().to_string();
        assert!(error.starts_with("tests/faults/bugs/stale.patch: shared/src/lib.rs: "), "{error}");
    }

    #[test]
    fn only_the_bugs_that_are_named_are_hunted() {
        let all = bugs().unwrap();
        let names = ["no-settle-delay".to_owned()];
        assert_eq!(named(&all, &[]).unwrap().len(), all.len());
        assert!(named(&all, &names).unwrap().iter().map(|bug| &bug.name).eq(&names));
        assert!(named(&all, &["no-such-bug".to_owned()]).is_err());
    }
}
