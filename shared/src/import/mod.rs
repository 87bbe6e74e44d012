//! Imports: subscriptions that a merchant brings from elsewhere, with the billing keys that I'mport holds for them.
//!
//! Pure, as the domain: what a row is, how a line becomes one, which subscription a good one makes, and how far an import
//! has come. A row is a line, so that an import that was stopped goes on at a byte and a line number.

mod line;
mod row;
mod subscription;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub use line::{Columns, Line, Parsed, lines, parse};
pub use row::{Code, NextCharge, Read, Refusal, Row};

use crate::subscription::InvalidId;

/// An import's id: a ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImportId(Ulid);

impl ImportId {
    /// Wraps a fresh ULID.
    pub const fn new(ulid: Ulid) -> Self {
        Self(ulid)
    }
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ImportId {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        match Ulid::from_string(s) {
            Ok(ulid) if ulid.to_string() == s => Ok(Self(ulid)),
            Ok(_) | Err(_) => Err(InvalidId("an import's id is a ULID: 26 capital letters and digits")),
        }
    }
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated, UTF-8, the first line names the columns.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

impl Format {
    /// What a file's name ends with says how it is written.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// They came with the request, and are in the table until the import is over.
    Request,
    /// A file in the import bucket, by its key.
    File(String),
}

/// Where an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Nobody has begun.
    Waiting,
    /// Some rows are done.
    Running,
    /// All rows are done: accepted, or refused with a reason.
    Done,
    /// It can't go on, and says why. What was accepted stays.
    Failed,
}

/// What became of the rows so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Subscriptions that this import has made.
    pub accepted: u64,
    /// Rows whose subscription another line or another import had made.
    pub known: u64,
    /// Lines of an export about subscriptions that are over.
    pub skipped: u64,
    /// Rows that were not taken, each with a reason.
    pub refused: u64,
}

/// An import, as the table keeps it. Its place in the file and its counts are written together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// Goes up with every write.
    pub version: u64,
    /// Where it stands. (The table's `status` is a subscription's, and has an index.)
    #[serde(rename = "state")]
    pub status: ImportStatus,
    /// Where the rows are.
    pub source: Source,
    /// How they are written.
    pub format: Format,
    /// Whether charges that I'mport has scheduled for the rows' billing keys are withdrawn there. Else such a row is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unschedule: bool,
    /// The columns, once the first line was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// The file's length in bytes, once it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Which version of the file is read: it must not change meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Where the next line begins.
    pub offset: u64,
    /// How many lines are done.
    pub line: u64,
    /// What became of them.
    pub counts: Counts,
    /// When it was asked for.
    #[serde(with = "millisecond::required")]
    pub created_at: Timestamp,
    /// When somebody began.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, with = "millisecond::optional", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Why it can't go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Import {
    /// An import that nobody has begun.
    pub fn new(id: ImportId, source: Source, format: Format, now: Timestamp) -> Self {
        Self {
            id,
            version: 1,
            status: ImportStatus::Waiting,
            source,
            format,
            unschedule: false,
            columns: None,
            size: None,
            etag: None,
            offset: 0,
            line: 0,
            counts: Counts::default(),
            created_at: now,
            started_at: None,
            finished_at: None,
            failure: None,
        }
    }

    /// Whether nothing is left to do.
    pub const fn is_over(&self) -> bool {
        match self.status {
            ImportStatus::Waiting | ImportStatus::Running => false,
            ImportStatus::Done | ImportStatus::Failed => true,
        }
    }

    /// The file was found.
    pub fn begin(&mut self, size: u64, etag: Option<String>, now: Timestamp) {
        self.status = ImportStatus::Running;
        self.size = Some(size);
        self.etag = etag;
        self.started_at = Some(now);
    }

    /// All lines are done.
    pub fn finish(&mut self, now: Timestamp) {
        self.status = ImportStatus::Done;
        self.finished_at = Some(now);
    }

    /// It can't go on.
    pub fn fail(&mut self, why: String, now: Timestamp) {
        self.status = ImportStatus::Failed;
        self.failure = Some(why);
        self.finished_at = Some(now);
    }

    /// Counts what became of a row.
    pub fn count(&mut self, outcome: &Outcome) {
        let counts = &mut self.counts;
        match outcome {
            Outcome::Accepted => counts.accepted += 1,
            Outcome::Known => counts.known += 1,
            Outcome::Skipped => counts.skipped += 1,
            Outcome::Refused(_) => counts.refused += 1,
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its subscription is there, by this line.
    Accepted,
    /// Its subscription is there, by another line or another import with the same row.
    Known,
    /// An export's line about a subscription that is over.
    Skipped,
    /// It was not taken.
    Refused(RefusedRow),
}

/// A row that was not taken, as the report has it. Nothing of the buyer's is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// The line, from 1; a CSV file's first line names the columns.
    pub line: u64,
    /// Whose key, where that could be read.
    pub customer_uid: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub refusal: Refusal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        let id: ImportId = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7".parse().unwrap();
        assert_eq!(id.to_string(), "01KB3Q0QZ8W3V5T7Y9A1C3E5G7");
        for other in ["01kb3q0qz8w3v5t7y9a1c3e5g7", "01KB3Q0QZ8W3V5T7Y9A1C3E5GO", "", "01KB3Q0QZ8"] {
            assert!(other.parse::<ImportId>().is_err(), "{other}");
        }
    }

    #[test]
    fn each_outcome_has_its_own_count() {
        let mut import = Import::new(ImportId::new(Ulid::nil()), Source::Request, Format::Csv, Timestamp::UNIX_EPOCH);
        let refused =
            RefusedRow { line: 1, customer_uid: None, refusal: Refusal::new(Code::Past, "it is before today") };
        for (outcome, times) in
            [(Outcome::Accepted, 1), (Outcome::Known, 2), (Outcome::Skipped, 3), (Outcome::Refused(refused), 4)]
        {
            (0..times).for_each(|_| import.count(&outcome));
        }
        assert_eq!(import.counts, Counts { accepted: 1, known: 2, skipped: 3, refused: 4 });
    }
}
