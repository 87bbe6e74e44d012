//! Each target with its corpus, the sample events that fit, and thousands of mutations of both.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fuzz::TARGETS;
use fuzz::mutate::mutated;
use serde_json::Value;

/// So many of each.
const MUTATIONS: u32 = 20_000;

#[test]
fn nothing_from_outside_makes_a_reader_panic() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 4, "{name} has a corpus");
        let mut rng = fastrand::Rng::with_seed(20_261_123);
        let mutations = (0..MUTATIONS).map(|_| mutated(&corpus, &mut rng));
        for input in corpus.iter().cloned().chain(mutations) {
            if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
                panic!("{name} breaks on {:?}; put it into tests/fuzz/corpus/{name}", String::from_utf8_lossy(&input));
            }
        }
    }
}

/// The inputs from which a target starts: those of its own, if it has any, and samples.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let files = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let own = files.into_iter().map(|file| fs::read(file).unwrap());
    own.chain(samples(name)).collect()
}

/// What the functions' sample events hold for it.
fn samples(name: &str) -> Vec<Vec<u8>> {
    let events = |function: &str| -> Vec<Value> {
        let texts: BTreeMap<_, _> = stack::texts(function).unwrap().into_iter().collect();
        texts.values().filter_map(|text| serde_json::from_str(text).ok()).collect()
    };
    let text = |value: &Value| value.as_str().map(|text| text.as_bytes().to_vec());
    let records = |event: &Value| event["Records"].as_array().cloned().unwrap_or_default();
    match name {
        "queue_message" => {
            events("charge").iter().flat_map(records).filter_map(|record| text(&record["body"])).collect()
        }
        "redirect_query" => events("complete").iter().filter_map(|event| text(&event["rawQueryString"])).collect(),
        "stream_record" => events("notify").iter().flat_map(records).map(|r| r.to_string().into_bytes()).collect(),
        "webhook_body" => events("webhook").iter().filter_map(|event| text(&event["body"])).collect(),
        _ => Vec::new(),
    }
}
