//! Refunds: `POST /payments/cancel`, and the cancel button of I'mport's console. As PortOne documents it, an `imp_uid`
//! counts before a `merchant_uid`, a `checksum` other than the balance is refused, and only the console's cancellation
//! sends a webhook by itself.

use jiff::Timestamp;

use crate::{
    envelope::Envelope,
    fault::Fault,
    params::Params,
    payment::{Cancellation, Payment, Status},
    simulator::Simulator,
};

impl Simulator {
    /// `POST /payments/cancel`
    pub(crate) fn cancel(
        &mut self,
        params: &Params,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Result<Envelope, Envelope> {
        let imp_uid = match (params.text("imp_uid"), params.text("merchant_uid")) {
            (Some(imp_uid), _) => imp_uid,
            (None, Some(merchant_uid)) => self.cancellable(&merchant_uid).ok_or_else(nothing_to_cancel)?,
            (None, None) => {
                return Err(Envelope::bad_request("imp_uid, merchant_uid 중 하나는 필수입니다."));
            }
        };
        let (amount, checksum) = (params.whole("amount")?, params.whole::<u64>("checksum")?);
        let payment = self.books.payment(&imp_uid).ok_or_else(nothing_to_cancel)?;
        if payment.was_paid() && checksum.is_some_and(|checksum| checksum != payment.balance()) {
            return Err(Envelope::refused(1, "취소 가능한 잔액이 checksum과 일치하지 않습니다."));
        }
        if let Some(Fault::Decline { message }) = fault {
            return Err(Envelope::refused(-1, message));
        }
        let cancellation_id = self.take_back(&imp_uid, amount, params.text("reason"), now)?;
        if params.flag("enable_webhook") {
            self.notify(&imp_uid, Some(&cancellation_id), now);
        }
        let payment = self.books.payment(&imp_uid).ok_or_else(nothing_to_cancel)?;
        Ok(Envelope::ok(payment.to_json()))
    }

    /// Cancels in the console, as an operator of the merchant does: with a webhook. `amount` in won, `None` for all of
    /// it. The error is what the console would say.
    pub fn cancel_in_console(&mut self, imp_uid: &str, amount: Option<u64>, now: Timestamp) -> Result<(), String> {
        self.tick(now);
        match self.take_back(imp_uid, amount, Some("관리자 콘솔 취소".into()), now) {
            Ok(cancellation_id) => {
                self.notify(imp_uid, Some(&cancellation_id), now);
                Ok(())
            }
            Err(refusal) => Err(refusal.message().to_owned()),
        }
    }

    /// The newest payment of an order that has money to give back, else the newest that was paid at all.
    fn cancellable(&self, merchant_uid: &str) -> Option<String> {
        let paid = || self.books.payments_of(merchant_uid).filter(|payment| payment.was_paid()).rev();
        let payment = paid().find(|payment| payment.balance() > 0).or_else(|| paid().next())?;
        Some(payment.imp_uid.clone())
    }

    /// Takes `amount` back, or all that is left for none or 0. Returns the `cancellation_id`.
    fn take_back(
        &mut self,
        imp_uid: &str,
        amount: Option<u64>,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<String, Envelope> {
        let payment = self.books.payment(imp_uid).filter(|payment| payment.was_paid()).ok_or_else(nothing_to_cancel)?;
        let balance = payment.balance();
        if balance == 0 {
            return Err(Envelope::refused(1, "이미 전액취소된 주문입니다."));
        }
        let amount = amount.filter(|&amount| amount > 0).unwrap_or(balance);
        if amount > balance {
            return Err(Envelope::refused(1, "취소요청금액이 취소 가능한 잔액보다 큽니다."));
        }
        let cancellation = Cancellation {
            cancellation_id: format!("cancellation_{}", self.ids.hex(20)),
            pg_tid: self.ids.hex(20),
            amount,
            reason,
            cancelled_at: now,
        };
        let cancellation_id = cancellation.cancellation_id.clone();
        if let Some(payment) = self.books.payment_mut(imp_uid) {
            payment.give_back(cancellation, now);
        }
        Ok(cancellation_id)
    }
}

impl Payment {
    fn give_back(&mut self, cancellation: Cancellation, now: Timestamp) {
        self.cancellations.push(cancellation);
        self.status = Status::Cancelled;
        self.updated_at = now;
    }
}

/// As clients have seen it.
fn nothing_to_cancel() -> Envelope {
    Envelope::refused(1, "취소할 결제건이 존재하지 않습니다.")
}
