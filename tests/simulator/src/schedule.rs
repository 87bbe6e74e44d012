//! Charges that I'mport makes by itself at a given time: `/subscribe/payments/schedule` and `unschedule`. PortOne
//! documents that `unschedule` without `merchant_uid` revokes all of a customer's, and that a webhook follows success
//! and failure alike.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    books::Books,
    envelope::Envelope,
    fault::Call,
    lookup::page,
    order::Order,
    params::{Params, missing},
    payment::{Usage, seconds},
    rule::About,
    simulator::{Happening, Simulator},
};

/// Of schedules one call lists three months at most (PortOne V1 OpenAPI).
const LONGEST_SPAN: i64 = 92 * 24 * 3_600;

/// A charge that I'mport makes by itself at a given time.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) order: Order,
    pub(crate) schedule_at: Timestamp,
    pub(crate) state: State,
}

#[derive(Clone, Debug)]
pub(crate) enum State {
    Scheduled,
    Executed { at: Timestamp, imp_uid: String },
    Revoked { at: Timestamp },
}

impl Schedule {
    pub(crate) fn to_json(&self, books: &Books) -> Value {
        let (word, executed_at, revoked_at, imp_uid) = match &self.state {
            State::Scheduled => ("scheduled", None, None, None),
            State::Executed { at, imp_uid } => ("executed", Some(*at), None, Some(imp_uid)),
            State::Revoked { at } => ("revoked", None, Some(*at), None),
        };
        let payment = imp_uid.and_then(|imp_uid| books.payment(imp_uid));
        let channel = books.key(&self.order.customer_uid).map(|key| &key.channel);
        json!({
            "customer_uid": self.order.customer_uid,
            "merchant_uid": self.order.merchant_uid,
            "imp_uid": imp_uid,
            "pg_provider": channel.map(|channel| &channel.pg_provider),
            "pg_id": channel.map(|channel| &channel.pg_id),
            "customer_id": null,
            "schedule_at": self.schedule_at.as_second(),
            "executed_at": seconds(executed_at),
            "revoked_at": seconds(revoked_at),
            "amount": self.order.amount,
            "currency": self.order.currency,
            "name": self.order.name,
            "buyer_name": self.order.buyer.name,
            "buyer_email": self.order.buyer.email,
            "buyer_tel": self.order.buyer.tel,
            "buyer_addr": self.order.buyer.addr,
            "buyer_postcode": self.order.buyer.postcode,
            "custom_data": self.order.custom_data,
            "schedule_status": word,
            "payment_status": payment.map(|payment| payment.status),
            "fail_reason": payment.and_then(|payment| payment.fail_reason.as_ref()),
        })
    }

    fn waits(&self) -> bool {
        matches!(self.state, State::Scheduled)
    }
}

impl Simulator {
    /// `POST /subscribe/payments/schedule`: all of the list or none of it.
    pub(crate) fn schedule(&mut self, params: &Params, now: Timestamp) -> Result<Envelope, Envelope> {
        let customer_uid = params.required_text("customer_uid", 80)?;
        if !self.books.keys.contains_key(&customer_uid) {
            return Err(Envelope::refused(1, "등록된 고객정보가 없습니다."));
        }
        let mut added: Vec<Schedule> = Vec::new();
        for params in params.objects("schedules") {
            let order = Order::read(&params, customer_uid.clone())?;
            let schedule_at = Timestamp::from_second(params.required_whole("schedule_at")?).unwrap_or(Timestamp::MIN);
            let merchant_uid = &order.merchant_uid;
            let known = self.books.schedules.contains_key(merchant_uid) || self.books.was_paid(merchant_uid);
            if known || added.iter().any(|other| other.order.merchant_uid == *merchant_uid) {
                return Err(Envelope::refused(1, "이미 등록된 merchant_uid입니다."));
            }
            if schedule_at <= now {
                return Err(Envelope::refused(1, "예약시각은 현재 시각 이후여야 합니다."));
            }
            added.push(Schedule { order, schedule_at, state: State::Scheduled });
        }
        if added.is_empty() {
            return Err(missing("schedules"));
        }
        for schedule in &added {
            let merchant_uid = schedule.order.merchant_uid.clone();
            self.plan(schedule.schedule_at, Happening::Schedule(merchant_uid.clone()));
            self.books.schedules.insert(merchant_uid, schedule.clone());
        }
        Ok(Envelope::ok(added.iter().map(|schedule| schedule.to_json(&self.books)).collect()))
    }

    /// A schedule that somebody else has left on a billing key. False: there is one of this name.
    pub fn schedule_elsewhere(&mut self, customer_uid: &str, merchant_uid: &str, amount: u64, at: Timestamp) -> bool {
        if self.books.schedules.contains_key(merchant_uid) {
            return false;
        }
        let order = Order::elsewhere(customer_uid, merchant_uid, amount);
        self.plan(at, Happening::Schedule(merchant_uid.to_owned()));
        let schedule = Schedule { order, schedule_at: at, state: State::Scheduled };
        self.books.schedules.insert(merchant_uid.to_owned(), schedule);
        true
    }

    /// `POST /subscribe/payments/unschedule`: without `merchant_uid`, all of the customer's.
    pub(crate) fn unschedule(&mut self, params: &Params, now: Timestamp) -> Result<Envelope, Envelope> {
        let (customer_uid, merchant_uids) = (params.text("customer_uid"), params.texts("merchant_uid"));
        if customer_uid.is_none() && merchant_uids.is_empty() {
            return Err(missing("customer_uid"));
        }
        let mut revoked = Vec::new();
        for (merchant_uid, schedule) in &mut self.books.schedules {
            let fits = customer_uid.as_ref().is_none_or(|customer_uid| *customer_uid == schedule.order.customer_uid)
                && (merchant_uids.is_empty() || merchant_uids.contains(merchant_uid));
            if fits && schedule.waits() {
                schedule.state = State::Revoked { at: now };
                revoked.push(schedule.clone());
            }
        }
        if revoked.is_empty() {
            return Err(Envelope::refused(1, "취소할 예약결제 기록이 존재하지 않습니다."));
        }
        Ok(Envelope::ok(revoked.iter().map(|schedule| schedule.to_json(&self.books)).collect()))
    }

    /// `GET /subscribe/payments/schedule/{merchant_uid}`
    pub(crate) fn scheduled(&self, merchant_uid: &str) -> Result<Envelope, Envelope> {
        let schedule = self.books.schedules.get(merchant_uid);
        let schedule = schedule
            .ok_or_else(|| Envelope::failed(http::StatusCode::NOT_FOUND, "존재하지 않는 예약결제 정보입니다."))?;
        Ok(Envelope::ok(schedule.to_json(&self.books)))
    }

    /// `GET /subscribe/payments/schedule`: a page, as clients parse it, though the schema has a plain array.
    pub(crate) fn schedules(&self, params: &Params) -> Result<Envelope, Envelope> {
        let from: i64 = params.required_whole("schedule_from")?;
        let to: i64 = params.required_whole("schedule_to")?;
        if from > to || to - from > LONGEST_SPAN {
            return Err(Envelope::bad_request("조회 기간은 최대 3개월입니다."));
        }
        let status = params.text("schedule_status");
        let all =
            self.books.schedules.values().filter(|schedule| (from..to).contains(&schedule.schedule_at.as_second()));
        let mut found: Vec<&Schedule> = all.collect();
        found.sort_by_key(|schedule| schedule.schedule_at);
        if params.text("sorting").as_deref() != Some("scheduled") {
            found.reverse();
        }
        let mut found: Vec<Value> = found.iter().map(|schedule| schedule.to_json(&self.books)).collect();
        found.retain(|schedule| status.as_ref().is_none_or(|status| schedule["schedule_status"] == **status));
        page(params, &found, Value::clone).map(Envelope::ok)
    }

    /// A schedule's time has come. Its webhook tells a success and a failure alike.
    pub(crate) fn run_schedule(&mut self, merchant_uid: &str, now: Timestamp) {
        let Some(schedule) = self.books.schedules.get(merchant_uid).filter(|schedule| schedule.waits()) else {
            return;
        };
        let order = schedule.order.clone();
        let fault = self.faults.strike(Call::ScheduledCharge, &About::order(&order), now).fault;
        let imp_uid = self.charge(order, Usage::Scheduled, fault.as_ref(), now).imp_uid;
        self.notify(&imp_uid, None, now);
        if let Some(schedule) = self.books.schedules.get_mut(merchant_uid) {
            schedule.state = State::Executed { at: now, imp_uid };
        }
    }
}
