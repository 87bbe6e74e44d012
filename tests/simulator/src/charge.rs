//! Charges of a billing key: `POST /subscribe/payments/again`. PortOne documents no idempotency key, and a decline that
//! is HTTP 200, `code` 0 and a payment with `status` `failed`. That a decline sends no webhook is inferred.

use jiff::Timestamp;

use crate::{
    channel::Channel,
    envelope::Envelope,
    fault::Fault,
    order::Order,
    params::Params,
    payment::{Payment, Status, Usage},
    simulator::{Happening, Simulator},
};

impl Simulator {
    /// `POST /subscribe/payments/again`
    pub(crate) fn again(
        &mut self,
        params: &Params,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Envelope, Envelope> {
        let customer_uid = params.required_text("customer_uid", 80)?;
        let order = Order::read(params, customer_uid)?;
        if !self.books.keys.contains_key(&order.customer_uid) {
            return Err(Envelope::refused(1, "등록되지 않은 구매자입니다."));
        }
        if order.amount == 0 {
            return Err(Envelope::refused(-1, "결제금액은 0원보다 커야 합니다."));
        }
        if order.amount < self.config.least_amount {
            let least = self.config.least_amount;
            return Err(Envelope::refused(1, format!("결제금액은 {least}원 이상이어야 합니다.")));
        }
        if self.books.was_paid(&order.merchant_uid) && !self.config.pays_again {
            return Err(Envelope::refused(1, "이미 결제가 이루어진 merchant_uid입니다."));
        }
        let payment = self.charge(order, Usage::Payment, fault, now);
        let answer = Envelope::ok(payment.to_json());
        // A declined `again` is not told by webhook.
        if payment.status == Status::Paid {
            self.notify(&payment.imp_uid, None, now);
        }
        Ok(answer)
    }

    /// Somebody else with the same credentials charges a billing key: an old shop, a hand in the console. `None`: no such key.
    pub fn charge_elsewhere(
        &mut self,
        customer_uid: &str,
        merchant_uid: &str,
        amount: u64,
        now: Timestamp,
    ) -> Option<String> {
        self.tick(now);
        self.books.keys.get(customer_uid)?;
        let payment = self.charge(Order::elsewhere(customer_uid, merchant_uid, amount), Usage::Payment, None, now);
        if payment.status == Status::Paid {
            self.notify(&payment.imp_uid, None, now);
        }
        Some(payment.imp_uid)
    }

    /// Whether `again` charges a name once more that is paid already, from now on.
    pub fn set_pays_again(&mut self, pays_again: bool) {
        self.config.pays_again = pays_again;
    }

    /// Charges a billing key; the payment is in the books afterwards, paid or failed.
    pub(crate) fn charge(&mut self, order: Order, usage: Usage, fault: Option<&Fault>, now: Timestamp) -> Payment {
        let key = self.books.keys.get(&order.customer_uid);
        let fail_reason = match (key, fault) {
            (None, _) => Some("등록되지 않은 구매자입니다.".to_owned()),
            (Some(key), _) if key.ended_at_gateway => Some("해지된 정기결제입니다.".to_owned()),
            (_, Some(Fault::Decline { message })) => Some(message.clone()),
            (_, Some(Fault::LatePaid(_))) => Some("(PG사 결제 장애) Internal error".to_owned()),
            _ => None,
        };
        let mut channel = match key {
            Some(key) => key.channel.clone(),
            None => self.channel(None, "trans"),
        };
        channel.medium = "api";
        let mut payment = self.start(order, usage, channel, now);
        match fail_reason {
            None => payment.pay(now),
            Some(reason) => {
                payment.fail(reason, now);
                if let Some(Fault::LatePaid(after)) = fault {
                    self.plan(now + *after, Happening::LatePayment(payment.imp_uid.clone()));
                }
            }
        }
        self.books.record(payment.clone());
        payment
    }

    /// A payment that has just begun. It is not in the books yet.
    pub(crate) fn start(&mut self, order: Order, usage: Usage, channel: Channel, now: Timestamp) -> Payment {
        let mut imp_uid = self.ids.imp_uid();
        while self.books.payment(&imp_uid).is_some() {
            imp_uid = self.ids.imp_uid();
        }
        Payment {
            imp_uid,
            order,
            usage,
            status: Status::Ready,
            channel,
            pg_tid: self.ids.hex(20),
            started_at: now,
            paid_at: None,
            failed_at: None,
            updated_at: now,
            fail_reason: None,
            cancellations: Vec::new(),
        }
    }

    /// The gateway has taken the money after all.
    pub(crate) fn pay_late(&mut self, imp_uid: &str, now: Timestamp) {
        if let Some(payment) = self.books.payment_mut(imp_uid) {
            payment.pay(now);
            self.notify(imp_uid, None, now);
        }
    }
}

impl Payment {
    pub(crate) fn pay(&mut self, now: Timestamp) {
        self.status = Status::Paid;
        self.paid_at = Some(now);
        self.failed_at = None;
        self.fail_reason = None;
        self.updated_at = now;
    }

    pub(crate) fn fail(&mut self, reason: String, now: Timestamp) {
        self.status = Status::Failed;
        self.failed_at = Some(now);
        self.fail_reason = Some(reason);
        self.updated_at = now;
    }
}
