use serde_json::json;

use crate::{envelope::Envelope, params::Params, simulator::Simulator};

impl Simulator {
    /// `POST /payments/prepare`: announces the amount of an order before its window opens.
    pub(crate) fn prepare(&mut self, params: &Params) -> Result<Envelope, Envelope> {
        let merchant_uid = params.required_text("merchant_uid", 40)?;
        let amount = params.required_whole("amount")?;
        if self.books.prepared.contains_key(&merchant_uid) {
            let message = "결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다).";
            return Err(Envelope::refused(1, message));
        }
        self.books.prepared.insert(merchant_uid.clone(), amount);
        self.prepared(&merchant_uid)
    }

    /// `GET /payments/prepare/{merchant_uid}`
    pub(crate) fn prepared(&self, merchant_uid: &str) -> Result<Envelope, Envelope> {
        match self.books.prepared.get(merchant_uid) {
            Some(amount) => Ok(Envelope::ok(json!({
                "merchant_uid": merchant_uid,
                "amount": amount,
                "currency": null,
            }))),
            None => Err(Envelope::refused(1, "사전등록된 결제정보를 찾을 수 없습니다.")),
        }
    }
}
