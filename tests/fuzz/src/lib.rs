//! Everything that reads input from outside, as functions of bytes that must neither panic nor believe what it shouldn't.
//!
//! `cargo test` gives each of them its corpus and some thousands of mutations of it, the same on every machine. For as long as one
//! likes, with coverage: [targets](../targets), where every target is one of these functions.

mod iamport_answer;
mod merchant_uid;
pub mod mutate;
mod queue_message;
mod redirect_query;
mod stream_record;
mod webhook_body;

pub use iamport_answer::iamport_answer;
pub use merchant_uid::merchant_uid;
pub use queue_message::queue_message;
pub use redirect_query::redirect_query;
pub use stream_record::stream_record;
pub use webhook_body::webhook_body;

/// One of them.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("iamport_answer", iamport_answer),
    ("merchant_uid", merchant_uid),
    ("queue_message", queue_message),
    ("redirect_query", redirect_query),
    ("stream_record", stream_record),
    ("webhook_body", webhook_body),
];
