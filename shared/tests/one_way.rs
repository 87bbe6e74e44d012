//! Knowledge flows one way: no file imports anything of a room above its own. The rooms stand here from the lowest to the highest.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the crate.
const ROOMS: [&str; 22] = [
    "subscription",
    "clock",
    "digest",
    "ids",
    "rotating",
    "link",
    "import",
    "key",
    "site",
    "aws",
    "metrics",
    "iamport",
    "secret",
    "events",
    "store",
    "queue",
    "bus",
    "billing",
    "pages",
    "config",
    "telemetry",
    "lib",
];
/// The rooms of the domain; its `mod.rs` holds the subscription itself, and what is asked of it stands last.
const DOMAIN: [&str; 19] = [
    "id", "won", "unknown", "period", "window", "name_key", "refund", "refused", "charge", "dunning", "policy", "plan",
    "due", "repair", "finding", "step", "settle", "command", "buyer",
];

fn files(place: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => (),
        }
    }
    found
}

/// What stands behind each `prefix` in the code, comments and its tests left out.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let named = lines.flat_map(|line| line.split(prefix).skip(1));
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    named.map(word).filter(|word| !word.is_empty()).collect()
}

/// Each import of a room that stands higher: file and room.
fn upward(place: &Path, rooms: &[&str], prefix: &str, room_of: impl Fn(&Path) -> String) -> Vec<(String, String)> {
    let height: BTreeMap<&str, usize> = rooms.iter().enumerate().map(|(height, room)| (*room, height)).collect();
    let mut upward = Vec::new();
    for file in files(place) {
        let own = room_of(file.strip_prefix(place).unwrap());
        let Some(own_height) = height.get(own.as_str()) else {
            assert!(own == "mod", "{own} has no place among the rooms: say where it stands");
            continue;
        };
        for other in named(&fs::read_to_string(&file).unwrap(), prefix) {
            if height.get(other.as_str()).is_some_and(|other| other > own_height) {
                upward.push((file.display().to_string(), other));
            }
        }
    }
    upward
}

#[test]
fn no_file_imports_of_a_room_above_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let room = |file: &Path| {
        let first = file.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    assert_eq!(upward(&src, &ROOMS, "crate::", room), []);
}

#[test]
fn no_file_of_the_domain_imports_of_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/subscription");
    let room = |file: &Path| file.file_stem().unwrap().to_string_lossy().into_owned();
    assert_eq!(upward(&src, &DOMAIN, "super::", room), []);
}

#[test]
fn an_import_of_a_higher_room_is_found() {
    let text = "// crate::billing\nuse crate::store::{Key};\nlet a = crate::clock::now() + crate::billing::x;\n#[cfg(test)]\nuse crate::pages;";
    assert_eq!(named(text, "crate::"), ["store", "clock", "billing"]);
}
