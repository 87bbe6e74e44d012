//! I'mport's own record of payments, billing keys and schedules. Every endpoint reads or changes it, and tests compare
//! the ledger with it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{billing_key::BillingKey, payment::Payment, schedule::Schedule};

/// What I'mport knows: the truth that a client can only ask about.
#[derive(Debug, Default)]
pub struct Books {
    payments: Vec<Payment>,
    by_imp_uid: BTreeMap<String, usize>,
    by_merchant_uid: BTreeMap<String, Vec<usize>>,
    /// Billing keys by `customer_uid`.
    pub(crate) keys: BTreeMap<String, BillingKey>,
    /// Schedules by `merchant_uid`.
    pub(crate) schedules: BTreeMap<String, Schedule>,
}

/// What was charged, in won. The issuance of a key only shows its amount, so it does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All that was ever paid.
    pub paid: u64,
    /// What went back.
    pub cancelled: u64,
    /// What the merchant has.
    pub net: u64,
}

impl Books {
    /// All payments ever made, oldest first.
    pub fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// The payment with this `imp_uid`.
    pub fn payment(&self, imp_uid: &str) -> Option<&Payment> {
        self.by_imp_uid.get(imp_uid).map(|&index| &self.payments[index])
    }

    /// All payments of an order, oldest first.
    pub fn payments_of(&self, merchant_uid: &str) -> impl DoubleEndedIterator<Item = &Payment> {
        self.by_merchant_uid.get(merchant_uid).into_iter().flatten().map(|&index| &self.payments[index])
    }

    /// The billing keys, by `customer_uid`.
    pub fn keys(&self) -> impl Iterator<Item = &BillingKey> {
        self.keys.values()
    }

    /// The billing key under this `customer_uid`.
    pub fn key(&self, customer_uid: &str) -> Option<&BillingKey> {
        self.keys.get(customer_uid)
    }

    /// Whether an order was ever paid, cancelled since or not.
    pub fn was_paid(&self, merchant_uid: &str) -> bool {
        self.payments_of(merchant_uid).any(Payment::was_paid)
    }

    /// The sums over all charges.
    pub fn totals(&self) -> Totals {
        let charged = || self.payments.iter().filter(|payment| payment.was_charged());
        let paid = charged().map(|payment| payment.order.amount).sum();
        let cancelled = charged().map(Payment::cancel_amount).sum();
        Totals { paid, cancelled, net: paid - cancelled }
    }

    /// All of it, as the control surface shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "payments": self.payments.iter().map(Payment::to_json).collect::<Value>(),
            "cancellations": self.payments.iter().flat_map(|payment| &payment.cancellations).collect::<Vec<_>>(),
            "keys": self.keys().map(BillingKey::to_json).collect::<Value>(),
            "schedules": self.schedules.values().map(|schedule| schedule.to_json(self)).collect::<Value>(),
            "totals": self.totals(),
        })
    }

    pub(crate) fn record(&mut self, payment: Payment) {
        let index = self.payments.len();
        self.by_imp_uid.insert(payment.imp_uid.clone(), index);
        self.by_merchant_uid.entry(payment.order.merchant_uid.clone()).or_default().push(index);
        self.payments.push(payment);
    }

    pub(crate) fn payment_mut(&mut self, imp_uid: &str) -> Option<&mut Payment> {
        self.by_imp_uid.get(imp_uid).map(|&index| &mut self.payments[index])
    }
}
