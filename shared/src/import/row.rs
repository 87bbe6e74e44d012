//! A row: what a merchant says of a subscription that it brings, and the ways in which it can't be taken.

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::subscription::period::SEOUL;
use crate::subscription::{Buyer, CustomerId, CustomerUid, InvalidField, PlanId, Status, Won};

/// A subscription from elsewhere. An export's line is one, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What I'mport keeps the billing key under.
    pub customer_uid: CustomerUid,
    /// The merchant's name for the buyer; the `customer_uid` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The plan.
    pub plan: PlanId,
    /// Its version; the current one where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_version: Option<u32>,
    /// When the period begins that is charged next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_charge: Option<NextCharge>,
    /// The day of the month that it renews on, where the month of the next charge is too short for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_day: Option<i8>,
    /// The number of the period that is charged next: 1 where none was paid yet, else 2 and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// The gateway that the billing key must be of, in I'mport's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pg: Option<String>,
    /// What was paid, in the old place, for the period that ends with the next charge; the plan's price where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<Won>,
    /// What the next charges are less by.
    #[serde(default, skip_serializing_if = "Won::is_zero")]
    pub credit: Won,
    /// Nothing is charged until it is resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// It ends where the next charge would be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_at_period_end: bool,
    /// The buyer.
    #[serde(default)]
    pub buyer: Buyer,
    /// What an export tells beyond a row.
    #[serde(default, skip_serializing)]
    pub exported: Option<Exported>,
}

/// What counts of that. The rest is for people and for other systems.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Exported {
    /// Where it stood.
    pub status: Status,
    /// The outcome of a charge wasn't known.
    #[serde(default)]
    pub in_doubt: bool,
}

/// When a period begins: a day in Korea (`2026-12-23`), or a moment (`2026-12-23T10:00:00+09:00`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NextCharge(Timestamp);

impl NextCharge {
    /// The period begins at `t`.
    pub const fn at(t: Timestamp) -> Self {
        Self(t)
    }

    /// The moment.
    pub const fn moment(self) -> Timestamp {
        self.0
    }
}

impl TryFrom<String> for NextCharge {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = |text: &str| text.parse::<Date>().ok()?.to_zoned(SEOUL).ok().map(|day| day.timestamp());
        let moment = match text.len() {
            10 => day(&text),
            _ => text.parse::<Timestamp>().ok(),
        };
        moment
            .and_then(|moment| Timestamp::from_millisecond(moment.as_millisecond()).ok())
            .map(Self)
            .ok_or("a day in Korea such as 2026-12-23, or a moment such as 2026-12-23T10:00:00+09:00")
    }
}

impl From<NextCharge> for String {
    fn from(NextCharge(moment): NextCharge) -> String {
        let local = moment.to_zoned(SEOUL);
        match local.time() == jiff::civil::Time::midnight() {
            true => local.date().to_string(),
            false => moment.display_with_offset(TimeZone::to_offset(&SEOUL, moment)).to_string(),
        }
    }
}

/// A line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// A row.
    Row(Box<Row>),
    /// An export's line about a subscription that is over, or that never began: there is nothing to bring.
    Over,
}

impl Read {
    /// Reads a line's fields.
    pub(super) fn of(object: Value) -> Result<Self, Refusal> {
        if !object.is_object() {
            return Err(Refusal::new(Code::Malformed, "not a JSON object on one line"));
        }
        let row: Row = serde_path_to_error::deserialize(object).map_err(|e| explain(&e))?;
        let exported = row.exported.as_ref().filter(|_| row.next_charge.is_none());
        match exported.map(|exported| (exported.status, exported.in_doubt)) {
            Some((Status::Pending | Status::Expired | Status::Canceled, false)) => Ok(Self::Over),
            Some((Status::PastDue | Status::NeedsReview, _) | (_, true)) => Err(Refusal::new(
                Code::Unsettled,
                "it was past due, in doubt or in review when it was exported. Settle it there, or say here when it is \
                 charged next",
            )),
            Some((Status::Trialing | Status::Active | Status::Paused, false)) | None => Ok(Self::Row(Box::new(row))),
        }
    }
}

/// Why a row isn't taken, for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The line can't be read.
    Malformed,
    /// A field can't be as it is.
    InvalidField,
    /// There is no such plan, or no such version of it.
    UnknownPlan,
    /// The next charge would be before today.
    Past,
    /// I'mport has no billing key of this name.
    NoBillingKey,
    /// The billing key is of another gateway.
    OtherGateway,
    /// I'mport is going to charge the billing key by itself.
    Scheduled,
    /// Another subscription has this `customer_uid`.
    CustomerUidTaken,
    /// It was past due, in doubt or in review where it comes from.
    Unsettled,
}

/// Why a row isn't taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For machines.
    pub code: Code,
    /// The field, where one is wrong.
    #[serde(default)]
    pub field: Option<String>,
    /// For people: what is wrong, and what it must be.
    pub detail: String,
}

impl Refusal {
    /// `detail` says what is wrong, and never what the buyer's data are.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, field: None, detail: detail.into() }
    }

    /// `field` must be as `rule` says.
    pub(super) fn field(field: &str, rule: impl AsRef<str>) -> Self {
        Self { code: Code::InvalidField, field: Some(field.to_owned()), detail: format!("{field}: {}", rule.as_ref()) }
    }
}

impl From<InvalidField> for Refusal {
    fn from(invalid: InvalidField) -> Self {
        Self::field(invalid.field, invalid.rule)
    }
}

/// serde's words without the value that was found, which may be a buyer's.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let text = error.inner().to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let path = error.path().to_string();
    let field = match (path.as_str(), missing) {
        (".", Some(missing)) => missing.to_owned(),
        (path, _) => path.to_owned(),
    };
    let rule = match (text.starts_with("invalid"), text.rsplit_once(", expected ")) {
        (true, Some((_, expected))) => format!("it must be {expected}"),
        (true, None) => "it can't be as it is".to_owned(),
        (false, _) => text.clone(),
    };
    Refusal::field(&field, rule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({ "customer_uid": "a", "plan": "coffee", "next_charge": "2027-01-31" })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut row = row();
        row[field] = value;
        row
    }

    #[test]
    fn a_field_that_cannot_be_is_named_and_its_value_is_not_repeated() {
        for (object, field) in [
            (with("customer_uid", json!("x".repeat(81))), "customer_uid"),
            (with("customer_uid", json!(7)), "customer_uid"),
            (json!({ "customer_uid": "a", "next_charge": "2027-01-31" }), "plan"),
            (with("next_charge", json!("2027-02-30")), "next_charge"),
            (with("next_charge", json!("31.01.2027")), "next_charge"),
            (with("next_charge", json!("2027-01-31T10:00")), "next_charge"),
            (with("anchor_day", json!("secret")), "anchor_day"),
            (with("period", json!(-1)), "period"),
            (with("buyer", json!("secret")), "buyer"),
            (with("buyer", json!({ "name": ["secret"] })), "buyer.name"),
            (with("buyer", json!({ "age": "secret" })), "buyer.age"),
            (with("next_chrage", json!("secret")), "next_chrage"),
            (with("credit", json!(0.5)), "credit"),
        ] {
            let refusal = Read::of(object.clone()).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (Code::InvalidField, Some(field)), "{object}");
            assert!(refusal.detail.starts_with(field) && !refusal.detail.contains("secret"), "{}", refusal.detail);
        }
    }

    #[test]
    fn a_day_is_one_in_korea_and_is_written_as_it_was_read() {
        for (text, utc) in
            [("2027-01-31", "2027-01-30T15:00:00Z"), ("2027-01-31T10:00:00+09:00", "2027-01-31T01:00:00Z")]
        {
            let next = NextCharge::try_from(text.to_owned()).unwrap();
            assert_eq!(next.moment().to_string(), utc);
            assert_eq!(String::from(next), text);
        }
    }

    #[test]
    fn an_export_that_is_over_is_nothing_and_one_that_is_unsettled_is_refused() {
        let line = |status: &str, in_doubt: bool| {
            let exported = json!({ "status": status, "in_doubt": in_doubt, "charges": [] });
            Read::of(json!({ "customer_uid": "a", "plan": "coffee", "exported": exported }))
        };
        for over in ["pending", "expired", "canceled"] {
            assert_eq!(line(over, false), Ok(Read::Over));
        }
        for unsettled in [line("past_due", false), line("needs_review", false), line("active", true)] {
            assert_eq!(unsettled.unwrap_err().code, Code::Unsettled);
        }
        assert!(matches!(line("active", false), Ok(Read::Row(_))), "and its next charge is missing");
    }
}
