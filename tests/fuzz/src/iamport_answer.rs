use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use maedal::clock::TestClock;
use maedal::iamport::{Again, Answer, Credentials, Iamport, PaymentStatus, Sending, Transport};
use maedal::subscription::{CustomerUid, ImpUid, MerchantUid, Won};

/// I'mport, which answers everything but the token with the same bytes.
#[derive(Debug)]
struct Says {
    status: StatusCode,
    body: Bytes,
}

impl Transport for Says {
    fn send(&self, request: Request<Bytes>, _: Duration) -> Sending<'_> {
        let token = br#"{"code":0,"message":null,"response":{"access_token":"t","now":1,"expired_at":1801}}"#;
        let (status, body) = match request.uri().path() {
            "/users/getToken" => (StatusCode::OK, Bytes::from_static(token)),
            _ => (self.status, self.body.clone()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// I'mport's answer to each call, under each status that its first byte may choose.
///
/// # Panics
/// Where something is money that doesn't say so, or an error repeats what may be a buyer's data.
pub fn iamport_answer(input: &[u8]) {
    const STATUSES: [u16; 8] = [200, 200, 200, 207, 400, 401, 404, 503];
    let Some((first, body)) = input.split_first() else { return };
    let status = StatusCode::from_u16(STATUSES[usize::from(first % 8)]).unwrap_or_default();
    let (Ok(customer_uid), Ok(imp_uid)) = ("customer-1".parse::<CustomerUid>(), "imp_1".parse::<ImpUid>()) else {
        return;
    };
    let Ok(merchant_uid) = "01KB3Q0QZ8W3V5T7Y9A1C3E5G7C00001001".parse::<MerchantUid>() else { return };
    let says = Says { status, body: Bytes::copy_from_slice(body) };
    let credentials = Credentials { key: "k".to_owned(), secret: "s".to_owned() };
    let clock = TestClock::at(Timestamp::UNIX_EPOCH);
    let iamport = Iamport::new("http://iamport", credentials, Arc::new(says), Arc::new(clock));
    block_on(async {
        let again = Again {
            customer_uid: &customer_uid,
            merchant_uid,
            amount: Won::new(9_900),
            name: "매달 커피",
            tax_free: None,
        };
        let errors = [
            match iamport.again(&again, jiff::Timestamp::MAX).await {
                Ok(Answer::Done(payment)) => {
                    let paid = payment.status == PaymentStatus::Paid;
                    assert!(!paid || status.is_success() && String::from_utf8_lossy(body).contains("paid"));
                    None
                }
                Ok(Answer::Refused { .. } | Answer::NotFound { .. }) => None,
                Err(error) => Some(error),
            },
            iamport.payments_of(merchant_uid).await.err(),
            iamport.payment(&imp_uid).await.err(),
            iamport.billing_key(&customer_uid).await.err(),
            iamport.delete_billing_key(&customer_uid, "ended").await.err(),
        ];
        for error in errors.into_iter().flatten() {
            let error = error.to_string();
            assert!(error.len() <= 200, "{error}");
        }
    });
}
