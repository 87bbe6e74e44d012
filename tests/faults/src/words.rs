//! A history in words, for a person who has to find out what went wrong.

use std::fmt::Write;

use jiff::Timestamp;
use maedal::subscription::ChargeStatus;
use maedal::subscription::period::in_seoul;
use simulator::Simulator;

use crate::history::Outcome;
use crate::table::Copy;

/// Both books, a line each.
pub fn books(copy: &Copy, iamport: &Simulator) -> Vec<String> {
    let mut lines = vec!["our ledger:".to_owned()];
    for (id, account) in &copy.accounts {
        let Some(subscription) = &account.subscription else { continue };
        let in_flight = subscription.in_flight.as_ref().map(|intent| format!(", {} in flight", intent.merchant_uid));
        let review = subscription.review.as_ref().map(|review| format!(", review: {}", review.reason));
        lines.push(format!(
            "  {id} {}, paid through {}{}{}",
            subscription.status.word(),
            subscription.paid_through,
            in_flight.unwrap_or_default(),
            review.unwrap_or_default()
        ));
        for charge in account.charges.values() {
            let what = match &charge.status {
                ChargeStatus::Paid(payment) => format!("paid ({})", payment.imp_uid),
                ChargeStatus::Declined { reason, .. } => format!("declined ({reason})"),
                ChargeStatus::Credited => "settled by credit".to_owned(),
                ChargeStatus::Imported => "paid elsewhere".to_owned(),
            };
            let extra = if charge.duplicate { ", a duplicate" } else { "" };
            let refund = charge.refund.as_ref().map(|refund| format!(", {} to go back", refund.amount));
            lines.push(format!(
                "    {} {what}, {} asked, {} given back{extra}{}",
                charge.merchant_uid,
                charge.amount,
                charge.refunded,
                refund.unwrap_or_default()
            ));
        }
    }
    lines.push("I'mport's books:".to_owned());
    for payment in iamport.books().payments() {
        lines.push(format!(
            "    {} {} {}: {} of which {} went back",
            payment.order.merchant_uid,
            payment.imp_uid,
            payment.status.as_str(),
            payment.order.amount,
            payment.cancel_amount()
        ));
    }
    lines
}

/// A moment, as clocks in Korea show it.
fn clock(at: Timestamp) -> String {
    in_seoul(at).strftime("%m-%d %H:%M:%S%.3f").to_string()
}

/// The whole history.
pub fn tell(outcome: &Outcome) -> String {
    let mut text = String::new();
    for violation in &outcome.violations {
        let _ = writeln!(text, "BROKEN {:?}: {}", violation.rule, violation.what);
    }
    for (at, line) in &outcome.trace {
        let _ = writeln!(text, "{}  {line}", clock(*at));
    }
    for line in &outcome.books {
        let _ = writeln!(text, "{line}");
    }
    text
}
