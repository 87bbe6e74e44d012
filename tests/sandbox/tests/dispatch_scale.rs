//! Dispatch reads what is due, however many subscribe.
//!
//! `MAEDAL_SUBSCRIBERS` says how many others there are: 50,000 without it. `cargo measure` does it among a million.

#![allow(clippy::unwrap_used)]

use sandbox::crowd::tick_among;

const DUE: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_the_same_among_ten_thousand_subscribers_and_among_very_many() {
    let very_many = std::env::var("MAEDAL_SUBSCRIBERS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    let (few, many) = (tick_among(DUE, 0).await.unwrap(), tick_among(DUE, very_many).await.unwrap());
    assert_eq!((few.sent, many.sent), (DUE, DUE));
    let (few, many) = (few.read_units, many.read_units);
    println!("{DUE} due: {few} read units of {DUE} subscribers, {many} of {}", DUE + very_many);
    assert!((many - few).abs() <= few * 0.05, "{few} and {many}");
}
