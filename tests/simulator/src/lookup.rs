//! Looking up payments: `/payments/{imp_uid}`, `/payments`, `/payments/find`, `findAll`, `status`, and a customer's
//! payments. PortOne documents that several payments can share a `merchant_uid`, and that `/payments/{imp_uid}` hides
//! test-channel payments since 2026-01-26.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    envelope::Envelope,
    fault::Fault,
    params::Params,
    payment::{Payment, Status},
    route::Route,
    simulator::Simulator,
};

const MOST_IDS: usize = 100;
const LONGEST_RANGE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// A look into the books, which may not show all of them yet.
pub(crate) struct Lookup<'a> {
    simulator: &'a Simulator,
    params: &'a Params,
    now: Timestamp,
    /// Payments younger than this are not found.
    unseen: SignedDuration,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(simulator: &'a Simulator, params: &'a Params, fault: Option<&Fault>, now: Timestamp) -> Self {
        let unseen = match fault {
            Some(Fault::LookupMiss(age)) => *age,
            _ => SignedDuration::ZERO,
        };
        Self { simulator, params, now, unseen }
    }

    pub(crate) fn answer(&self, route: Route<'_>) -> Result<Envelope, Envelope> {
        match route {
            Route::Payment(imp_uid) => self.one(imp_uid),
            Route::Payments => self.several(),
            Route::Find(merchant_uid, status) => self.find(merchant_uid, status),
            Route::FindAll(merchant_uid, status) => self.find_all(merchant_uid, status),
            Route::ByStatus(status) => self.by_status(status),
            Route::CustomerPayments(customer_uid) => self.of_customer(customer_uid),
            _ => Err(Envelope::no_payment()),
        }
    }

    fn seen(&self, payment: &Payment) -> bool {
        self.now.duration_since(payment.started_at) >= self.unseen
    }

    fn by_imp_uid(&self, imp_uid: &str) -> Option<&'a Payment> {
        self.simulator.books.payment(imp_uid).filter(|payment| self.seen(payment))
    }

    /// `GET /payments/{imp_uid}`: since 2026-01-26, test-channel payments only with `include_sandbox`.
    fn one(&self, imp_uid: &str) -> Result<Envelope, Envelope> {
        let shown = |payment: &&Payment| !payment.channel.sandbox || self.params.flag("include_sandbox");
        let payment = self.by_imp_uid(imp_uid).filter(shown).ok_or_else(Envelope::no_payment)?;
        Ok(Envelope::ok(payment.to_json()))
    }

    /// `GET /payments?imp_uid[]=..&merchant_uid[]=..`
    fn several(&self) -> Result<Envelope, Envelope> {
        let (imp_uids, merchant_uids) = (self.params.texts("imp_uid"), self.params.texts("merchant_uid"));
        let asked = imp_uids.len() + merchant_uids.len();
        if asked == 0 || asked > MOST_IDS {
            return Err(Envelope::bad_request("imp_uid, merchant_uid 파라메터는 1개 이상 100개 이하여야 합니다."));
        }
        let by_imp_uid = imp_uids.iter().filter_map(|imp_uid| self.by_imp_uid(imp_uid));
        let by_merchant_uid = merchant_uids.iter().filter_map(|merchant_uid| {
            self.simulator.books.payments_of(merchant_uid).rfind(|payment| self.seen(payment))
        });
        let found: Vec<Value> = by_imp_uid.chain(by_merchant_uid).map(Payment::to_json).collect();
        match found.len() {
            0 => Err(Envelope::no_payment()),
            some if some < asked => Ok(Envelope::partial(found.into())),
            _ => Ok(Envelope::ok(found.into())),
        }
    }

    /// `GET /payments/find/{merchant_uid}/{status}`: the first by `sorting`.
    fn find(&self, merchant_uid: &str, status: Option<&str>) -> Result<Envelope, Envelope> {
        let found = self.of_order(merchant_uid, status)?;
        Ok(Envelope::ok(found[0].to_json()))
    }

    /// `GET /payments/findAll/{merchant_uid}/{status}`
    fn find_all(&self, merchant_uid: &str, status: Option<&str>) -> Result<Envelope, Envelope> {
        let found = self.of_order(merchant_uid, status)?;
        page(self.params, &found, |payment| payment.to_json()).map(Envelope::ok)
    }

    /// Never empty.
    fn of_order(&self, merchant_uid: &str, status: Option<&str>) -> Result<Vec<&'a Payment>, Envelope> {
        let status = status.map(parse_status).transpose()?.flatten();
        let fits = |payment: &&Payment| self.seen(payment) && status.is_none_or(|status| payment.status == status);
        let found: Vec<_> = self.simulator.books.payments_of(merchant_uid).filter(fits).collect();
        if found.is_empty() { Err(Envelope::no_payment()) } else { self.sorted(found) }
    }

    /// `GET /payments/status/{status}`: each payment is found by the time when it came into its status.
    fn by_status(&self, status: &str) -> Result<Envelope, Envelope> {
        let status = parse_status(status)?;
        let to = self.time("to")?.unwrap_or(self.now);
        let from = self.time("from")?.unwrap_or(to.saturating_sub(LONGEST_RANGE).unwrap_or(Timestamp::MIN));
        if from > to || to.duration_since(from) > LONGEST_RANGE {
            return Err(Envelope::bad_request("조회 기간은 최대 90일입니다."));
        }
        // To the second, as from and to are.
        let range = from.as_second()..=to.as_second();
        let fits = |payment: &&Payment| {
            self.seen(payment)
                && status.is_none_or(|status| payment.status == status)
                && range.contains(&payment.status_at().as_second())
        };
        let found = self.sorted(self.simulator.books.payments().iter().filter(fits).collect())?;
        page(self.params, &found, |payment| payment.to_json()).map(Envelope::ok)
    }

    /// `GET /subscribe/customers/{customer_uid}/payments`
    fn of_customer(&self, customer_uid: &str) -> Result<Envelope, Envelope> {
        let fits = |payment: &&Payment| self.seen(payment) && payment.order.customer_uid == customer_uid;
        let found = self.sorted(self.simulator.books.payments().iter().filter(fits).collect())?;
        if found.is_empty() {
            return Err(Envelope::no_payment());
        }
        page(self.params, &found, |payment| payment.to_json()).map(Envelope::ok)
    }

    /// `from` and `to` are unix seconds.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Envelope> {
        let Some(seconds) = self.params.whole(name)? else {
            return Ok(None);
        };
        let time = Timestamp::from_second(seconds);
        time.map(Some).map_err(|_| Envelope::bad_request(format!("{name} 파라메터가 올바르지 않습니다.")))
    }

    fn sorted(&self, mut payments: Vec<&'a Payment>) -> Result<Vec<&'a Payment>, Envelope> {
        let sorting = self.params.text("sorting").unwrap_or_else(|| "-started".into());
        // The sort is stable: of the same time, the later one counts as the newer.
        match sorting.trim_start_matches('-') {
            "started" => payments.sort_by_key(|payment| payment.started_at),
            "paid" => payments.sort_by_key(|payment| payment.paid_at),
            "updated" => payments.sort_by_key(|payment| payment.updated_at),
            _ => {
                return Err(Envelope::bad_request("sorting 파라메터가 올바르지 않습니다."));
            }
        }
        if sorting.starts_with('-') {
            payments.reverse();
        }
        Ok(payments)
    }
}

/// A page of a list: from 1, 20 long by default, and 0 for a page that is not there (PortOne V1 OpenAPI).
pub(crate) fn page<T>(params: &Params, all: &[T], to_json: impl Fn(&T) -> Value) -> Result<Value, Envelope> {
    let page = params.whole::<usize>("page")?.unwrap_or(1);
    let limit = params.whole::<usize>("limit")?.unwrap_or(20);
    let pages = all.len().div_ceil(limit.max(1)).max(1);
    if !(1..=1000).contains(&limit) || !(1..=pages).contains(&page) {
        return Err(Envelope::bad_request("page 또는 limit 파라메터가 올바르지 않습니다."));
    }
    let list: Vec<Value> = all.iter().skip((page - 1) * limit).take(limit).map(to_json).collect();
    let next = if page < pages { page + 1 } else { 0 };
    Ok(json!({"total": all.len(), "previous": page - 1, "next": next, "list": list}))
}

/// `None`: all of them.
fn parse_status(word: &str) -> Result<Option<Status>, Envelope> {
    match (word, Status::parse(word)) {
        ("all", _) => Ok(None),
        (_, Some(status)) => Ok(Some(status)),
        (_, None) => Err(Envelope::bad_request("올바르지 않은 결제상태입니다.")),
    }
}
