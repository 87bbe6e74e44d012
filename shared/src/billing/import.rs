//! Importing: rows become subscriptions, if I'mport holds their billing keys, and won't charge them by itself.
//!
//! Each row is taken in by one transaction whose condition is that nobody has its `customer_uid`. So a row that comes
//! again, after a crash, in another import or twice in a file, finds what it made: nothing is ever made twice.
//!
//! What I'mport has scheduled for a key is withdrawn, where that was asked for, before its row is taken in. *Crash in between*:
//! nobody charges the key until the row comes again; the other way round, both would.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::info;

use super::open_checkout::{answer, digest_of};
use super::{Billing, TRIES};
use crate::iamport::{BillingKey, CallError, SCHEDULES_SPAN, ScheduleStatus};
use crate::import::{Code, Format, Import, ImportId, Outcome, Parsed, Read, Refusal, RefusedRow, Row, Source};
use crate::store::{ImportCreated, Origin, StoreError, Taking};
use crate::subscription::{CustomerUid, InvalidField, Plan, PlanId, Subscription, SubscriptionId};

/// The rows that come with a request are one item of the table, which holds 400 kB. More belong in a file.
pub const LONGEST_REQUEST: usize = 256 * 1024;
/// A key of S3 is no longer.
const LONGEST_FILE: usize = 1_024;
/// So many billing keys are asked for in one call, and an address has at most so many bytes of names.
const KEYS_A_CALL: usize = 50;
const NAMES_A_CALL: usize = 6_000;
/// Rows that are taken in side by side.
const ABREAST: usize = 16;
/// How many spans of [`SCHEDULES_SPAN`] ahead pending schedules are looked for: 14 months.
const SPANS: i32 = 5;
/// More pending schedules aren't held: with 1,000 in a call, this many are 200 calls.
const MOST_SCHEDULES: usize = 200_000;
/// How late I'mport may carry one out.
const SCHEDULES_LATE: SignedDuration = SignedDuration::from_hours(24);
/// After so long they are listed anew.
const SCHEDULES_KEPT: SignedDuration = SignedDuration::from_mins(10);
/// So many are named in one call, or in one sentence.
const NAMES_AT_ONCE: usize = 100;
const NAMES_SHOWN: usize = 3;
/// The operation that its `Idempotency-Key`s belong to.
const OPERATION: &str = "import";

/// A line with its number.
pub type Numbered = (u64, Parsed);

/// `POST /v1/imports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// Where the rows are.
    pub rows: RowsFrom,
    /// Whether what I'mport has scheduled for their billing keys is withdrawn.
    pub unschedule: bool,
}

/// Where the rows of an import are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsFrom {
    /// They came with the request.
    Request {
        /// How they are written.
        format: Format,
        /// The rows.
        text: String,
    },
    /// A file in the import bucket.
    File {
        /// Its key.
        key: String,
        /// How it is written; what its name ends with says so where this doesn't.
        format: Option<Format>,
    },
}

/// An import that wasn't begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// A field can't be as it is.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The `Idempotency-Key` came with another request before.
    #[error("this Idempotency-Key was used for another request. Use a new key for a new request")]
    KeyReused,
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows that could not be looked at now: they come again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// I'mport.
    #[error(transparent)]
    Iamport(#[from] CallError),
    /// I'mport is going to charge too many keys by itself for us to hold: another try finds the same.
    #[error(
        "I'mport has more than {MOST_SCHEDULES} charges scheduled. Withdraw them in the old place (POST \
         /subscribe/payments/unschedule), then import again"
    )]
    TooManySchedules,
}

/// A bound on the calls to I'mport: so many a second, evenly.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// `calls` a second; as fast as they go where it is 0.
    pub fn a_second(calls: u32) -> Self {
        let gap = Duration::from_secs(1).checked_div(calls).unwrap_or_default();
        Self { gap, next: Mutex::default() }
    }

    /// Waits for a call's turn.
    async fn turn(&self) {
        tokio::time::sleep_until(self.take_turn(Instant::now())).await;
    }

    /// When the next call's turn is. It is taken.
    fn take_turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.unwrap_or(now).max(now);
        *next = Some(at + self.gap);
        at
    }
}

/// What I'mport is going to charge by itself, `customer_uid` -> names, as it was listed for an import a while ago.
#[derive(Debug, Default)]
pub struct Schedules(tokio::sync::Mutex<Option<Listed>>);

#[derive(Debug)]
struct Listed {
    import: ImportId,
    at: Timestamp,
    names: Arc<HashMap<String, Vec<String>>>,
}

/// With what rows are taken in.
#[derive(Debug, Clone, Copy)]
pub struct Importing<'a> {
    /// The import.
    pub import: ImportId,
    /// Whether it withdraws what I'mport has scheduled.
    pub unschedule: bool,
    /// The bound on calls to I'mport.
    pub pace: &'a Pace,
    /// What I'mport has scheduled.
    pub schedules: &'a Schedules,
}

/// A row that is as it must be, as far as we know it.
struct Candidate {
    line: u64,
    row: Row,
    subscription: Subscription,
}

impl Candidate {
    fn refused(&self, refusal: Refusal) -> (u64, Outcome) {
        refused(self.line, Some(self.row.customer_uid.to_string()), refusal)
    }
}

fn refused(line: u64, customer_uid: Option<String>, refusal: Refusal) -> (u64, Outcome) {
    (line, Outcome::Refused(RefusedRow { line, customer_uid, refusal }))
}

/// The plans that rows of a chunk have named: each is read once.
type Plans = HashMap<(PlanId, Option<u32>), Option<Plan>>;

impl Billing {
    /// Writes down an import, once for each `Idempotency-Key`. Whoever works on it is told by the caller.
    pub async fn begin_import(&self, request: ImportRequest, key: Option<&str>) -> Result<Import, BeginError> {
        let now = self.now();
        let ImportRequest { rows, unschedule } = request;
        let (digest, source, format, rows) = match rows {
            RowsFrom::Request { format, text } => {
                if text.len() > LONGEST_REQUEST {
                    let rule = format!("at most {LONGEST_REQUEST} bytes. Put a file into the import bucket instead");
                    return Err(InvalidField::new("rows", rule).into());
                }
                if text.trim().is_empty() {
                    return Err(InvalidField::new("rows", "one row at least").into());
                }
                (digest_of(&(format, &text)), Source::Request, format, Some(text))
            }
            RowsFrom::File { key, format } => {
                let plain = !key.is_empty() && key.len() <= LONGEST_FILE && !key.chars().any(char::is_control);
                let inside = key.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
                if !plain || !inside {
                    return Err(InvalidField::new("file", "the key of a file in the import bucket").into());
                }
                let Some(written) = format.or_else(|| Format::of_name(&key)) else {
                    return Err(
                        InvalidField::new("format", "csv or jsonl, where the file's name doesn't say it").into()
                    );
                };
                (digest_of(&(&key, format)), Source::File(key), written, None)
            }
        };
        let digest = if unschedule { digest_of(&(digest, "unschedule")) } else { digest };
        if let Some(key) = key
            && let Some(first) = self.store.idempotency(OPERATION, key, now).await?
        {
            return self.begun(&first.answer, &first.digest, &digest).await;
        }
        let import = Import { unschedule, ..Import::new(ImportId::new(self.ids.next(now)), source, format, now) };
        let record = key.map(|key| answer(OPERATION, key, &digest, &import.id, now));
        match self.store.create_import(&import, rows.as_deref(), record.as_ref()).await? {
            ImportCreated::New => {
                info!(import = %import.id, outcome = "begun", "import");
                Ok(import)
            }
            ImportCreated::Repeat(first) => self.begun(&first.answer, &first.digest, &digest).await,
        }
    }

    /// The import that an earlier copy of the request began, as it stands.
    async fn begun(&self, first: &str, of: &str, digest: &str) -> Result<Import, BeginError> {
        const TASK: &str = "read the answer to a repeat";
        if of != digest {
            return Err(BeginError::KeyReused);
        }
        let defect = |reason: String| StoreError::Defect { task: TASK, reason };
        let id: ImportId = serde_json::from_str(first).map_err(|e| defect(e.to_string()))?;
        Ok(self.store.import(id).await?.ok_or_else(|| defect("the import isn't there".to_owned()))?)
    }

    /// Takes in up to a hundred rows, or says why not, in the order of their lines. Safe to repeat: a row that was taken in
    /// by this line is so again.
    pub async fn import_rows(
        &self,
        importing: Importing<'_>,
        rows: Vec<Numbered>,
    ) -> Result<Vec<(u64, Outcome)>, ImportError> {
        let Importing { import, pace, .. } = importing;
        let (candidates, mut outcomes) = self.candidates(rows).await?;

        // Whoever has a row's customer_uid has it, whatever became of the key since.
        let uids: BTreeSet<&CustomerUid> = candidates.iter().map(|candidate| &candidate.row.customer_uid).collect();
        let taken: HashMap<_, _> = self.store.origins(&Vec::from_iter(uids)).await?.into_iter().collect();
        let (mut new, mut again) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for candidate in candidates {
            match taken.get(&candidate.row.customer_uid) {
                Some(origin) => outcomes.push(whose(import, &candidate, origin.as_ref())),
                // Of two lines with one customer_uid, the first is the one.
                None if seen.insert(candidate.row.customer_uid.clone()) => new.push(candidate),
                None => again.push(candidate),
            }
        }
        let keys = self.keys_of(&new, pace).await?;
        let scheduled = if keys.is_empty() { Arc::default() } else { self.scheduled(importing).await? };
        let none = Vec::new();
        let names = |candidate: &Candidate| scheduled.get(candidate.row.customer_uid.as_str()).unwrap_or(&none);
        let taking = new.into_iter().map(|candidate| {
            let (key, names) = (keys.get(&candidate.row.customer_uid), names(&candidate));
            self.take_in(importing, candidate, key, names)
        });
        outcomes.extend(stream::iter(taking).buffer_unordered(ABREAST).try_collect::<Vec<_>>().await?);
        for candidate in again {
            let (key, names) = (keys.get(&candidate.row.customer_uid), names(&candidate));
            outcomes.push(self.take_in(importing, candidate, key, names).await?);
        }
        outcomes.sort_by_key(|(line, _)| *line);
        Ok(outcomes)
    }

    /// The rows that can be subscriptions, and what is known already of the others.
    async fn candidates(&self, rows: Vec<Numbered>) -> Result<(Vec<Candidate>, Vec<(u64, Outcome)>), StoreError> {
        let now = self.now();
        let (mut plans, mut candidates, mut outcomes) = (Plans::new(), Vec::new(), Vec::new());
        for (line, Parsed { customer_uid, read }) in rows {
            let row = match read {
                Ok(Read::Row(row)) => *row,
                Ok(Read::Over) => {
                    outcomes.push((line, Outcome::Skipped));
                    continue;
                }
                Err(refusal) => {
                    outcomes.push(refused(line, customer_uid, refusal));
                    continue;
                }
            };
            let Some(plan) = self.plan_of(&row, &mut plans).await? else {
                let refusal = Refusal {
                    field: Some("plan".to_owned()),
                    ..Refusal::new(Code::UnknownPlan, "plan: there is no such plan, or no such version. PUT it first")
                };
                outcomes.push(refused(line, customer_uid, refusal));
                continue;
            };
            match row.subscription(SubscriptionId::new(self.ids.next(now)), plan, now) {
                Ok(mut subscription) => {
                    subscription.name_key = Some(self.ids.name_key());
                    candidates.push(Candidate { line, row, subscription });
                }
                Err(refusal) => outcomes.push(refused(line, customer_uid, refusal)),
            }
        }
        Ok((candidates, outcomes))
    }

    async fn plan_of(&self, row: &Row, plans: &mut Plans) -> Result<Option<Plan>, StoreError> {
        let named = (row.plan.clone(), row.plan_version);
        if let Some(plan) = plans.get(&named) {
            return Ok(plan.clone());
        }
        let plan = match row.plan_version {
            Some(version) => self.store.plan_version(&row.plan, version).await?,
            None => self.store.plan(&row.plan).await?,
        };
        plans.insert(named, plan.clone());
        Ok(plan)
    }

    /// The billing keys that I'mport holds for these rows. One that isn't in a list is asked for by itself, so that no row is
    /// refused because of what a list left out.
    async fn keys_of(
        &self,
        candidates: &[Candidate],
        pace: &Pace,
    ) -> Result<HashMap<CustomerUid, BillingKey>, CallError> {
        let uids: Vec<&CustomerUid> = candidates.iter().map(|candidate| &candidate.row.customer_uid).collect();
        let mut keys = HashMap::new();
        for asked in calls(&uids) {
            pace.turn().await;
            let shown = self.iamport.billing_keys(asked).await?;
            let mut shown: HashMap<String, BillingKey> =
                shown.into_iter().map(|key| (key.customer_uid.clone(), key)).collect();
            for uid in asked {
                let key = match shown.remove(uid.as_str()) {
                    Some(key) => Some(key),
                    None => {
                        pace.turn().await;
                        self.iamport.billing_key(uid).await?
                    }
                };
                keys.extend(key.map(|key| ((*uid).clone(), key)));
            }
        }
        Ok(keys)
    }

    /// What I'mport is going to charge by itself. Listed once for many rows, and anew for each import.
    async fn scheduled(
        &self,
        Importing { import, pace, schedules: Schedules(kept), .. }: Importing<'_>,
    ) -> Result<Arc<HashMap<String, Vec<String>>>, ImportError> {
        let now = self.now();
        let mut kept = kept.lock().await;
        let fresh = |listed: &&Listed| listed.import == import && now.duration_since(listed.at) < SCHEDULES_KEPT;
        if let Some(listed) = kept.as_ref().filter(fresh) {
            return Ok(listed.names.clone());
        }
        let (mut names, mut count) = (HashMap::<String, Vec<String>>::new(), 0);
        for span in 0..SPANS {
            let from = now.saturating_add(SCHEDULES_SPAN * span).unwrap_or(now);
            let to = from.saturating_add(SCHEDULES_SPAN).unwrap_or(from);
            // What is late by a while waits still.
            let from = if span == 0 { from.saturating_sub(SCHEDULES_LATE).unwrap_or(from) } else { from };
            for page in 1.. {
                pace.turn().await;
                let listed = self.iamport.pending_schedules((from, to), page).await?;
                count += listed.schedules.len();
                if count > MOST_SCHEDULES {
                    return Err(ImportError::TooManySchedules);
                }
                for schedule in listed.schedules {
                    if let Some(uid) = schedule.customer_uid {
                        names.entry(uid).or_default().push(schedule.merchant_uid);
                    }
                }
                if !listed.more {
                    break;
                }
            }
        }
        let names = Arc::new(names);
        *kept = Some(Listed { import, at: now, names: names.clone() });
        Ok(names)
    }

    /// Sees to it that I'mport charges a key no more by itself, or says why the row is refused. `names` are the charges that it
    /// had scheduled a while ago.
    async fn end_schedules(
        &self,
        Importing { unschedule, pace, .. }: Importing<'_>,
        uid: &CustomerUid,
        names: &[String],
    ) -> Result<Option<Refusal>, CallError> {
        let mut left: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if unschedule {
            for some in names.chunks(NAMES_AT_ONCE) {
                pace.turn().await;
                for revoked in self.iamport.unschedule(uid, some).await? {
                    if revoked.schedule_status == Some(ScheduleStatus::Revoked) {
                        left.remove(revoked.merchant_uid.as_str());
                    }
                }
            }
        }
        // It may have been withdrawn before, or carried out meanwhile: each says so itself.
        let (mut waiting, mut charged) = (Vec::new(), Vec::new());
        for name in left {
            pace.turn().await;
            match self.iamport.schedule(name).await?.map(|schedule| schedule.schedule_status) {
                None | Some(Some(ScheduleStatus::Revoked)) => (),
                Some(Some(ScheduleStatus::Executed)) => charged.push(name),
                Some(Some(ScheduleStatus::Scheduled | ScheduleStatus::Other) | None) => waiting.push(name),
            }
        }
        let detail = match (waiting.is_empty(), charged.is_empty()) {
            (true, true) => return Ok(None),
            (false, _) => format!(
                "I'mport is going to charge this billing key by itself: {}. Withdraw that in the old place, or import with \
                 \"unschedule\": true",
                shown(&waiting)
            ),
            (true, false) => format!(
                "I'mport has just charged this billing key by itself: {}. See that next_charge is right still, and import \
                 the row again",
                shown(&charged)
            ),
        };
        Ok(Some(Refusal { field: Some("customer_uid".to_owned()), ..Refusal::new(Code::Scheduled, detail) }))
    }

    async fn take_in(
        &self,
        importing: Importing<'_>,
        mut candidate: Candidate,
        key: Option<&BillingKey>,
        scheduled: &[String],
    ) -> Result<(u64, Outcome), ImportError> {
        let import = importing.import;
        let Some(key) = key else {
            let refusal = Refusal::new(Code::NoBillingKey, "I'mport has no billing key for this customer_uid");
            return Ok(candidate.refused(refusal));
        };
        let provider = key.pg_provider.clone().filter(|provider| provider.len() <= 40);
        if candidate.row.pg.is_some() && candidate.row.pg != provider {
            let has = provider.unwrap_or_else(|| "none that is known".to_owned());
            let refusal = Refusal {
                field: Some("pg".to_owned()),
                ..Refusal::new(Code::OtherGateway, format!("pg: the billing key's gateway is {has}"))
            };
            return Ok(candidate.refused(refusal));
        }
        if let Some(method) = &mut candidate.subscription.payment_method {
            method.provider = provider;
        }
        if let Some(refusal) = self.end_schedules(importing, &candidate.row.customer_uid, scheduled).await? {
            return Ok(candidate.refused(refusal));
        }
        let origin = Origin { import, line: candidate.line, row: candidate.row.digest() };
        for _ in 0..TRIES {
            let Candidate { row, subscription, .. } = &candidate;
            let paid = row.paid_elsewhere(subscription, subscription.created_at);
            let taking = self.store.take_in(subscription, paid, &row.buyer, &origin, &self.policy).await;
            match taking {
                Ok(Taking::New) => return Ok((candidate.line, Outcome::Accepted)),
                Ok(Taking::Taken(found)) => return Ok(whose(import, &candidate, found.as_ref())),
                Err(StoreError::Conflict { .. }) => (),
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Defect { .. })) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { task: "take in a subscription" }.into())
    }
}

/// What a row comes to whose `customer_uid` has a subscription already.
fn whose(import: ImportId, candidate: &Candidate, origin: Option<&Origin>) -> (u64, Outcome) {
    match origin.filter(|origin| origin.row == candidate.row.digest()) {
        Some(origin) if (origin.import, origin.line) == (import, candidate.line) => (candidate.line, Outcome::Accepted),
        Some(_) => (candidate.line, Outcome::Known),
        None => candidate.refused(Refusal {
            field: Some("customer_uid".to_owned()),
            ..Refusal::new(Code::CustomerUidTaken, "customer_uid: another subscription has it")
        }),
    }
}

/// Some names, and how many more there are.
fn shown(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let some = names.iter().take(NAMES_SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { some } else { format!("{some} and {more} more") }
}

/// As many at a time as one call may ask for.
fn calls<'a, 'u>(uids: &'a [&'u CustomerUid]) -> impl Iterator<Item = &'a [&'u CustomerUid]> {
    let mut left = uids;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = left.iter().take(KEYS_A_CALL).take_while(|uid| {
            // Percent-encoded, a byte takes three at most.
            bytes += 3 * uid.as_str().len() + 20;
            bytes <= NAMES_A_CALL
        });
        let (asked, rest) = left.split_at(fit.count());
        left = rest;
        (!asked.is_empty()).then_some(asked)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are asked for in each call.
    fn cut(uids: &[CustomerUid]) -> Vec<usize> {
        calls(&Vec::from_iter(uids)).map(<[_]>::len).collect()
    }

    #[test]
    fn one_call_asks_for_as_many_as_its_address_holds() {
        let uids = |letter: &str, length: usize, many: usize| -> Vec<CustomerUid> {
            let uid = |nth| format!("{nth:03}{}", letter.repeat(length - 3)).parse();
            (0..many).map(|nth| uid(nth).unwrap()).collect()
        };
        assert_eq!(cut(&[]), [0_usize; 0]);
        assert_eq!(cut(&uids("a", 20, 120)), [50, 50, 20]);
        // 3 * 40 + 20 bytes each: 42 are 5,880, and 43 were 6,020.
        assert_eq!(cut(&uids("a", 40, 100)), [42, 42, 16]);
        // 3 * 60 + 20 bytes each: 30 are exactly what one call holds.
        assert_eq!(cut(&uids("a", 60, 61)), [30, 30, 1]);
    }

    #[test]
    fn calls_are_spread_over_the_second() {
        let (pace, begun) = (Pace::a_second(50), Instant::now());
        let turn = |ms| (pace.take_turn(begun + Duration::from_millis(ms)) - begun).as_millis();
        // The first waits for nothing; nor does who comes late, and nothing is made up for.
        assert_eq!([turn(0), turn(0), turn(1), turn(100), turn(100)], [0, 20, 40, 100, 120]);
        let unbound = Pace::a_second(0);
        assert_eq!([unbound.take_turn(begun), unbound.take_turn(begun)], [begun, begun]);
    }
}
