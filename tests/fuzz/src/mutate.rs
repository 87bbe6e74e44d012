//! Mutations of a corpus, the same for the same seed.

use fastrand::Rng;

/// What breaks parsers: limits, quotes, ends, and letters of several bytes.
const TOKENS: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"",
    "\\u0000",
    "\\ud800",
    "-1",
    "0",
    "9007199254740993",
    "1e309",
    "0.1",
    "paid",
    "failed",
    "cancelled",
    "&",
    "=",
    "%",
    "%00",
    "%EA%B0",
    "가",
    "\u{0}",
    "\r\n",
    "merchant_uid=",
];
const LONGEST: usize = 32 * 1024;

/// One of `corpus`, changed in one to eight places.
pub fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..=8) {
        let (from, to) = range(bytes.len(), rng);
        match rng.u8(..7) {
            0 if !bytes.is_empty() => {
                let at = rng.usize(..bytes.len());
                bytes[at] ^= 1 << rng.u8(..8);
            }
            0 | 1 => bytes.insert(from, rng.u8(..)),
            2 => drop(bytes.drain(from..to)),
            3 => {
                let twice = bytes[from..to].to_vec();
                drop(bytes.splice(to..to, twice));
            }
            4 | 5 => drop(bytes.splice(from..to, TOKENS[rng.usize(..TOKENS.len())].bytes())),
            _ => {
                let other = &corpus[rng.usize(..corpus.len())];
                let (start, end) = range(other.len(), rng);
                drop(bytes.splice(from..to, other[start..end].iter().copied()));
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// A part of `length` bytes, most often a short one.
fn range(length: usize, rng: &mut Rng) -> (usize, usize) {
    let from = rng.usize(..=length);
    let most = if rng.u8(..4) == 0 { length - from } else { (length - from).min(12) };
    (from, from + rng.usize(..=most))
}
