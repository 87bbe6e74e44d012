//! Rule 6 of the charge protocol: a payment must be the one that was meant. And what a list of payments proves.
//!
//! Whoever knows the merchant's code can pay under any name that he knows. So a payment of our name is only then one for our
//! attempt where the billing key was charged, which takes the merchant's own credentials. Any other has used up the name, and
//! says nothing else: not that the attempt was paid, and not that it wasn't.

use jiff::Timestamp;

use crate::iamport::{IamportPayment, PaymentStatus, Usage};
use crate::subscription::charge::Payment;
use crate::subscription::{CustomerUid, ImpUid, Intent, MerchantUid, Subscription, Won};

/// What I'mport's payments under one name prove.
#[derive(Debug)]
pub(super) enum Evidence {
    /// Money moved, at least once: the first payment that stands (the first of all, where none does), and any others.
    Paid(Box<IamportPayment>, Vec<IamportPayment>),
    /// One is neither paid nor failed.
    Undecided,
    /// This many failed, none is paid. The latest one's words.
    Failed {
        /// How many.
        count: u32,
        /// The gateway's words.
        reason: String,
        /// I'mport's name for the latest.
        imp_uid: Option<ImpUid>,
    },
    /// I'mport knows none.
    Nothing,
}

/// What I'mport's payments under one name come to.
#[derive(Debug)]
pub(super) struct Weighed {
    /// What those by our key prove.
    pub(super) evidence: Evidence,
    /// Those that somebody else has paid, another way.
    pub(super) strangers: Vec<IamportPayment>,
}

/// Weighs all payments under one name, those by our key apart from those of strangers.
pub(super) fn weigh_ours(payments: Vec<IamportPayment>, meant: &Meant<'_>) -> Weighed {
    let (ours, strangers): (Vec<_>, Vec<_>) = payments.into_iter().partition(|payment| meant.is_by_our_key(payment));
    let strangers = strangers.into_iter().filter(IamportPayment::was_paid).collect();
    Weighed { evidence: weigh(ours), strangers }
}

/// Weighs all payments of one maker: not the first only.
pub(super) fn weigh(payments: Vec<IamportPayment>) -> Evidence {
    let (mut paid, others): (Vec<_>, Vec<_>) = payments.into_iter().partition(IamportPayment::was_paid);
    if !paid.is_empty() {
        // The one that stands pays; what somebody has given back already doesn't buy the period while another stands. Where none
        // stands, the period stays paid, as it does where its only payment was given back: who gives money back by hand needn't
        // mean to take the period, and the buyer isn't charged for it once more.
        paid.sort_by_key(|payment| (!payment.stands(), payment.paid_at()));
        let first = paid.remove(0);
        return Evidence::Paid(Box::new(first), paid);
    }
    let failed = |payment: &IamportPayment| match payment.status {
        // A cancelled payment that was never paid is a window that was left.
        PaymentStatus::Failed | PaymentStatus::Cancelled => true,
        PaymentStatus::Ready | PaymentStatus::Paid | PaymentStatus::Other(_) => false,
    };
    match others.last() {
        None => Evidence::Nothing,
        Some(_) if !others.iter().all(failed) => Evidence::Undecided,
        Some(latest) => Evidence::Failed {
            count: u32::try_from(others.len()).unwrap_or(u32::MAX),
            reason: fail_reason(latest),
            imp_uid: latest.imp_uid.parse().ok(),
        },
    }
}

/// The gateway's words, at most 200 characters: they are kept and shown.
pub(super) fn fail_reason(payment: &IamportPayment) -> String {
    payment.fail_reason.as_deref().unwrap_or_default().chars().take(200).collect()
}

/// What was meant to be paid.
pub(super) struct Meant<'a> {
    pub(super) merchant_uid: MerchantUid,
    pub(super) amount: Won,
    pub(super) customer_uid: &'a CustomerUid,
}

impl Meant<'_> {
    /// What `intent` of `subscription` was to charge.
    pub(super) const fn by<'a>(intent: &Intent, subscription: &'a Subscription) -> Meant<'a> {
        Meant { merchant_uid: intent.merchant_uid, amount: intent.amount, customer_uid: &subscription.customer_uid }
    }

    /// Whether our billing key was charged, as far as the payment says; where it says nothing of a key, the amount tells.
    pub(super) fn is_by_our_key(&self, payment: &IamportPayment) -> bool {
        match (&payment.customer_uid_usage, payment.customer_uid.as_deref()) {
            (Some(Usage::Issue), _) => false,
            (_, Some(theirs)) => theirs == self.customer_uid.as_str(),
            // Both are optional in I'mport's answers.
            (None, None) => payment.amount() == Some(self.amount),
            // Kinds of use that are newer than this code are for a person to look at.
            (Some(Usage::Payment | Usage::Scheduled | Usage::Other(_)), None) => true,
        }
    }

    /// The payment, where it is what was meant; else the difference, in words for the operator.
    pub(super) fn verify(&self, paid: &IamportPayment) -> Result<Payment, String> {
        let difference = |what: &str, theirs: &str, ours: &str| {
            Err(format!("{} ({}): {what} is {theirs} at I'mport, {ours} here", self.merchant_uid, paid.imp_uid))
        };
        if paid.merchant_uid != self.merchant_uid.to_string() {
            return difference("merchant_uid", &paid.merchant_uid, &self.merchant_uid.to_string());
        }
        if paid.amount() != Some(self.amount) {
            let theirs = paid.amount().map_or("not whole won".to_owned(), |won| won.to_string());
            return difference("the amount", &theirs, &self.amount.to_string());
        }
        if !paid.currency.is_empty() && paid.currency != "KRW" {
            return difference("the currency", &paid.currency, "KRW");
        }
        // Both are optional in I'mport's answers; what is there must match.
        if paid.customer_uid.as_deref().is_some_and(|theirs| theirs != self.customer_uid.as_str()) {
            return difference("customer_uid", "another", "its own");
        }
        match &paid.customer_uid_usage {
            None | Some(Usage::Payment | Usage::Scheduled) => (),
            Some(usage @ (Usage::Issue | Usage::Other(_))) => {
                return difference("the usage", &format!("{usage:?}"), "Payment");
            }
        }
        let Ok(imp_uid) = paid.imp_uid.parse() else {
            return difference("imp_uid", "longer than I'mport's own limit", "at most 32 characters");
        };
        Ok(Payment { imp_uid, paid_at: paid.paid_at(), receipt_url: receipt(paid) })
    }
}

/// A receipt's address: only one that a page may link to, and not longer than an address is.
fn receipt(paid: &IamportPayment) -> Option<String> {
    paid.receipt_url.clone().filter(|url| url.starts_with("https://") && url.len() <= 300)
}

/// Whether `delay` has passed since `since`.
pub(super) fn passed(since: Timestamp, delay: jiff::SignedDuration, now: Timestamp) -> bool {
    since.saturating_add(delay).is_ok_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn paid(changed: &Value) -> IamportPayment {
        let mut payment = json!({ "imp_uid": "imp_1", "amount": 9_900, "status": "paid" });
        payment.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        serde_json::from_value(payment).unwrap()
    }

    #[test]
    fn a_receipt_is_an_address_that_a_page_may_link_to() {
        let receipt = |url: &str| super::receipt(&paid(&json!({ "receipt_url": url })));
        let long = |length: usize| format!("https://pg.example/{}", "x".repeat(length - 19));
        assert_eq!(receipt("https://pg.example/1").as_deref(), Some("https://pg.example/1"));
        assert_eq!(receipt(&long(300)), Some(long(300)));
        for bad in ["http://pg.example/1", "javascript:alert(1)", "", &long(301)] {
            assert_eq!(receipt(bad), None, "{bad}");
        }
    }

    #[test]
    fn payments_of_a_name_are_weighed_by_what_is_proven() {
        let all = |list: &[Value]| weigh(list.iter().map(paid).collect());
        let [done, failed, ready] = ["paid", "failed", "ready"].map(|status| json!({ "status": status }));
        assert!(matches!(all(&[]), Evidence::Nothing));
        assert!(matches!(all(&[failed.clone(), failed.clone()]), Evidence::Failed { count: 2, .. }));
        assert!(matches!(all(&[failed.clone(), ready.clone()]), Evidence::Undecided));
        assert!(matches!(all(&[failed, done.clone(), ready]), Evidence::Paid(_, others) if others.is_empty()));
        assert!(matches!(all(&[done.clone(), done]), Evidence::Paid(_, others) if others.len() == 1));
    }
}
