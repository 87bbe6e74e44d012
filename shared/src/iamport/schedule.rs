//! Schedules: charges that I'mport makes by itself at a given time. Maedal makes none; who comes from elsewhere may have left
//! some, and they would charge the same billing key beside us.
//!
//! Pending ones can't be asked for by `customer_uid`: there is a list of the whole account by their time, at most three months
//! of it in a call, and each by its name (PortOne V1 OpenAPI).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Iamport;
use super::answer::{Answer, CallError};
use super::calls::{encode, found};
use crate::subscription::CustomerUid;

/// The longest span of one list: less than any three months.
pub const SCHEDULES_SPAN: SignedDuration = SignedDuration::from_hours(24 * 88);
/// A page of the list; I'mport gives no more.
const PAGE: usize = 1_000;

/// A scheduled charge, as far as a decision hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Schedule {
    /// Whose billing key is charged.
    #[serde(default)]
    pub customer_uid: Option<String>,
    /// The name of the charge.
    pub merchant_uid: String,
    /// Where it stands.
    #[serde(default)]
    pub schedule_status: Option<ScheduleStatus>,
}

/// Where a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleStatus {
    /// It will charge.
    Scheduled,
    /// It has charged, or tried to.
    Executed,
    /// It was withdrawn.
    Revoked,
    /// A value that is newer than this code.
    #[serde(other)]
    Other,
}

/// A page of pending schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePage {
    /// Those of this page.
    pub schedules: Vec<Schedule>,
    /// Whether there is another page.
    pub more: bool,
}

/// The schema has a plain list, and clients read a page.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Page { list: Vec<Schedule> },
    List(Vec<Schedule>),
}

#[derive(Serialize)]
struct Unschedule<'a> {
    customer_uid: &'a CustomerUid,
    merchant_uid: &'a [String],
}

impl Iamport {
    /// The whole account's schedules that wait for a time from `from` until before `to`: one page, counted from 1. The latest
    /// come first: what is charged meanwhile leaves the list at its end, and hides no other.
    pub async fn pending_schedules(
        &self,
        (from, to): (Timestamp, Timestamp),
        page: usize,
    ) -> Result<SchedulePage, CallError> {
        let (from, to) = (from.as_second(), to.as_second());
        let path = format!(
            "/subscribe/payments/schedule?schedule_from={from}&schedule_to={to}&schedule_status=scheduled&page={page}&limit={PAGE}"
        );
        let schedules = match found::<Listed>(self.list(&path).await?)? {
            Some(Listed::Page { list } | Listed::List(list)) => list,
            None => Vec::new(),
        };
        Ok(SchedulePage { more: schedules.len() >= PAGE, schedules })
    }

    /// A schedule by its name; `None` where there is none.
    pub async fn schedule(&self, merchant_uid: &str) -> Result<Option<Schedule>, CallError> {
        found(self.get(&format!("/subscribe/payments/schedule/{}", encode(merchant_uid))).await?)
    }

    /// Withdraws the named schedules of a billing key, and returns those that were. Without a name I'mport would withdraw
    /// all of the key's, so nothing is asked then. Safe to repeat.
    pub async fn unschedule(
        &self,
        customer_uid: &CustomerUid,
        merchant_uids: &[String],
    ) -> Result<Vec<Schedule>, CallError> {
        if merchant_uids.is_empty() {
            return Ok(Vec::new());
        }
        let named = Unschedule { customer_uid, merchant_uid: merchant_uids };
        Ok(match self.post("/subscribe/payments/unschedule", &named, Timestamp::MAX).await? {
            Answer::Done(revoked) => revoked,
            Answer::Refused { .. } | Answer::NotFound { .. } => Vec::new(),
        })
    }
}
