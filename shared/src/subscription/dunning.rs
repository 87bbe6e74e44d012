//! Dunning: what follows a declined renewal.
//!
//! A soft decline (no money today) is tried again on a schedule of days, counted from the first decline. A hard one
//! (the billing key is gone) is not: only a new billing key helps, and the buyer is asked for one. I'mport passes the
//! gateways' messages through and has no table of them, so what is hard is data: a list of fragments.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PaymentMethod;
use super::period::days_after;

/// How a merchant wants declines to be handled. A plan may have its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DunningPolicy {
    /// The days, counted from the first decline, on which the charge is tried again. Ascending, from 1.
    pub retry_days: Vec<u16>,
    /// What happens once the last retry is declined.
    pub then: AfterDunning,
}

impl Default for DunningPolicy {
    /// Days 1, 3, 5 and 7, then cancel.
    fn default() -> Self {
        Self { retry_days: vec![1, 3, 5, 7], then: AfterDunning::Cancel }
    }
}

impl DunningPolicy {
    /// What is wrong with it, in words, or nothing.
    pub fn problem(&self) -> Option<&'static str> {
        let ascending = self.retry_days.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = self.retry_days.len() <= 10 && self.retry_days.iter().all(|day| (1..=60).contains(day));
        (!ascending || !in_range).then_some("at most 10 ascending days, each from 1 to 60, such as [1, 3, 5, 7]")
    }
}

/// The end of dunning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterDunning {
    /// The subscription is canceled.
    Cancel,
    /// It stays past due and is charged no more until the buyer brings a new billing key or the merchant retries.
    LeaveUnpaid,
}

/// Where a past-due subscription stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dunning {
    /// The first decline, from which the retry days count.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub since: Timestamp,
    /// The latest decline.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub last_decline: Timestamp,
    /// The window whose billing key was declined then: that of another one is tried at once. Unknown in items of before this
    /// was kept; there a key that is newer than the decline is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// How many declines so far; those of retries that were asked for don't count.
    pub declines: u32,
    /// The merchant asked for a retry, apart from the schedule.
    #[serde(
        default,
        with = "jiff::fmt::serde::timestamp::millisecond::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_at: Option<Timestamp>,
}

impl Dunning {
    /// Begins with a decline at `now` of the billing key that `window` issued.
    pub const fn begin(window: u32, now: Timestamp) -> Self {
        Self { since: now, last_decline: now, window: Some(window), declines: 1, retry_at: None }
    }

    /// Another decline, of the billing key that `window` issued. One that was asked for doesn't use up a retry day.
    pub fn decline(&mut self, window: u32, now: Timestamp, policy: &DunningPolicy) {
        let on_schedule = self.next_retry(policy).is_some_and(|at| at <= now);
        if self.retry_at.take().is_none() || on_schedule {
            self.declines = self.declines.saturating_add(1);
        }
        self.last_decline = now;
        self.window = Some(window);
    }

    /// Whether `method` has not been declined yet, as far as we know: it is another than the one that was declined last.
    pub fn is_untried(&self, method: &PaymentMethod) -> bool {
        match self.window {
            Some(window) => method.window != window,
            None => method.confirmed_at > self.last_decline,
        }
    }

    /// When the next retry is due under `policy`; `None` after the last one.
    pub fn next_retry(&self, policy: &DunningPolicy) -> Option<Timestamp> {
        let done = usize::try_from(self.declines.saturating_sub(1)).unwrap_or(usize::MAX);
        policy.retry_days.get(done).map(|day| days_after(self.since, *day))
    }

    /// When dunning ends if nothing is paid: a day after the last retry, so that a decline that turns into a payment
    /// behind our back is found before the subscription ends.
    pub fn end(&self, policy: &DunningPolicy) -> Timestamp {
        let last_retry = days_after(self.since, policy.retry_days.last().copied().unwrap_or(0));
        days_after(last_retry.max(self.last_decline), 1)
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// It may work another day.
    Soft,
    /// It needs a new billing key.
    Hard,
}

/// I'mport's words for a `customer_uid` without a billing key.
const NO_KEY: &str = "등록되지 않은";

/// The fragments of gateways' messages that mean a hard decline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclineRules {
    hard: Vec<String>,
}

impl Default for DeclineRules {
    /// I'mport's two known texts for a `customer_uid` without a billing key (seen in client libraries' tests), and the
    /// words that gateways use for a key or a card that was closed.
    fn default() -> Self {
        let hard = ["등록되지 않은", "빌링키가 존재하지 않", "삭제된 빌링키", "해지된", "분실", "도난", "유효기간"];
        Self { hard: hard.map(String::from).to_vec() }
    }
}

/// Words without what differs from one refusal to the next: numbers, names of payments, marks.
pub fn alike(words: &str) -> String {
    words.chars().filter(|c| c.is_alphabetic()).collect()
}

impl DeclineRules {
    /// Rules in which a message that contains one of `hard` is a hard decline, and any other a soft one.
    pub fn new(hard: Vec<String>) -> Self {
        Self { hard: hard.into_iter().filter(|fragment| !fragment.trim().is_empty()).collect() }
    }

    /// Whether `message` has the words in which I'mport says that there is no billing key. It says the same of a channel that is
    /// misconfigured (seen), so that only the key's own look-up tells. What a gateway says of a card isn't meant.
    pub fn says_missing(message: &str) -> bool {
        message.contains(NO_KEY) && !message.contains("카드")
    }

    /// What kind of decline `message` speaks of.
    pub fn kind(&self, message: &str) -> DeclineKind {
        match self.hard.iter().any(|fragment| message.contains(fragment.as_str())) {
            true => DeclineKind::Hard,
            false => DeclineKind::Soft,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_follow_the_days_from_the_first_decline() {
        let since: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let policy = DunningPolicy::default();
        let due =
            |declines| Dunning { declines, ..Dunning::begin(1, since) }.next_retry(&policy).map(|t| t.to_string());
        assert_eq!(due(1).as_deref(), Some("2026-11-24T01:00:00Z"));
        assert_eq!(due(2).as_deref(), Some("2026-11-26T01:00:00Z"));
        assert_eq!(due(4).as_deref(), Some("2026-11-30T01:00:00Z"));
        assert_eq!(due(5), None);
    }

    #[test]
    fn a_missing_billing_key_is_hard_in_every_wording() {
        let rules = DeclineRules::default();
        assert_eq!(rules.kind("등록되지 않은 구매자입니다."), DeclineKind::Hard);
        assert_eq!(rules.kind("등록되지 않은 사용자입니다"), DeclineKind::Hard);
        assert_eq!(rules.kind("잔액이 부족합니다."), DeclineKind::Soft);
        assert_eq!(rules.kind(""), DeclineKind::Soft);
    }

    #[test]
    fn days_out_of_order_are_refused() {
        let policy = |days: &[u16]| DunningPolicy { retry_days: days.to_vec(), then: AfterDunning::Cancel };
        assert_eq!(policy(&[]).problem(), None);
        assert_eq!(policy(&[1, 3, 5, 7]).problem(), None);
        assert!(policy(&[3, 1]).problem().is_some());
        assert!(policy(&[3, 3]).problem().is_some());
        assert!(policy(&[0]).problem().is_some());
    }
}
