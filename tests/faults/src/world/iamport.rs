//! The way to I'mport: a call in the process, and what may befall it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::SignedDuration;
use maedal::iamport::{Sending, Transport, TransportError};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{World, later};
use crate::actor::Actor;
use crate::fault::{Fault, Kind, LONGEST_BLIND};
use crate::script::Place;

/// I'mport's transport in a world: whoever calls is known by the task that it runs in.
#[derive(Debug, Clone, Copy)]
pub struct ToIamport;

impl Transport for ToIamport {
    fn send(&self, request: Request<Bytes>, timeout: Duration) -> Sending<'_> {
        Box::pin(async move {
            match Actor::me() {
                Some(me) => ask(&me, request, timeout).await,
                None => Err(TransportError::NotSent("nobody asks".to_owned())),
            }
        })
    }
}

fn lost() -> TransportError {
    TransportError::Lost("the connection was cut".to_owned())
}

fn kind_of(request: &Request<Bytes>) -> Kind {
    match (request.method(), request.uri().path()) {
        (_, "/users/getToken") => Kind::Token,
        (_, "/subscribe/payments/again") => Kind::Again,
        (_, "/payments/cancel") => Kind::Cancel,
        (&Method::DELETE, _) => Kind::DeleteKey,
        _ => Kind::Lookup,
    }
}

/// What is asked, in words.
fn words(kind: Kind, request: &Request<Bytes>, body: &Value) -> String {
    let path = request.uri().path();
    match kind {
        Kind::Token => "asks I'mport for a token".to_owned(),
        Kind::Again => format!("asks I'mport to charge {} of {}", body["amount"], uid(body)),
        Kind::Cancel => format!(
            "asks I'mport to give back {} of {}, of which {} stand",
            body["amount"],
            body["imp_uid"].as_str().unwrap_or_default(),
            body["checksum"]
        ),
        Kind::DeleteKey => format!("asks I'mport to delete {path}"),
        Kind::Lookup | Kind::Read | Kind::Write | Kind::Transaction => format!("looks up {path}"),
    }
}

fn uid(body: &Value) -> &str {
    body["merchant_uid"].as_str().unwrap_or_default()
}

async fn ask(me: &Actor, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, TransportError> {
    let world = me.world.clone();
    let kind = kind_of(&request);
    let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let words = || words(kind, &request, &body);
    let (place, strike) = world.strike(me, kind);
    if world.is_down() {
        me.strike();
        world.tread(&place, 0);
        world.say(|| format!("{} {}: I'mport is down", me.name, words()));
        return Err(TransportError::NotSent("I'mport is down".to_owned()));
    }
    if kind == Kind::Again {
        let now = world.time.now();
        let mut inner = world.inner();
        inner.asked_at.entry(uid(&body).to_owned()).or_insert(now);
        inner.rules.sends(uid(&body), now);
    }
    world.travel(&place, "there").await;
    let lost_on_the_way = if strike.is_none() { world.loses(me, &place) } else { None };
    let misconfigured = kind == Kind::Again && strike.is_none() && world.is_misconfigured();
    let trapped = if kind == Kind::Again { world.springs(uid(&body)) } else { None };
    let keeps_key = kind == Kind::DeleteKey && strike.is_none() && world.keeps_keys && world.is_rough();
    let answer = match strike {
        _ if trapped.is_some() => {
            world.squat(uid(&body), &trapped.unwrap_or_default());
            Err(lost())
        }
        None if lost_on_the_way == Some(super::Lost::There) => Err(lost()),
        None if keeps_key => at_iamport(&world, kind, &request, &body, Some(refuse())),
        None if misconfigured => at_iamport(&world, kind, &request, &body, Some(no_such_key())),
        None => at_iamport(&world, kind, &request, &body, None),
        Some(fault) => {
            world.say(|| format!("{} {}: {}", me.name, words(), fault.words()));
            struck(me, &world, &place, kind, fault, &request, &body, timeout).await
        }
    };
    let answer = if lost_on_the_way.is_some() { Err(lost()) } else { answer };
    if !matches!(strike, Some(Fault::FreezeBefore(_) | Fault::FreezeAfter(_))) {
        world.travel(&place, "back").await;
    }
    world.tread(&place, answer.as_ref().map_or(0, |answer| answer.status().as_u16()));
    if strike.is_none() {
        let said = || answer.as_ref().map(|answer| said(kind, answer)).unwrap_or_default();
        world.say(|| format!("{} {}: {}", me.name, words(), said()));
    }
    answer
}

/// What an answer says, in a few words.
fn said(kind: Kind, answer: &Response<Bytes>) -> String {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = &body["code"];
    match (kind, answer.status(), code.as_i64()) {
        (Kind::Token, StatusCode::OK, Some(0)) => "here it is".to_owned(),
        (Kind::Lookup, StatusCode::OK, Some(0)) => {
            let one = |payment: &Value| {
                let (uid, status) = (payment["imp_uid"].as_str(), payment["status"].as_str());
                format!("{} {}", uid.unwrap_or_default(), status.unwrap_or("there"))
            };
            match body["response"]["list"].as_array() {
                Some(list) => list.iter().map(one).collect::<Vec<_>>().join(", "),
                None => one(&body["response"]),
            }
        }
        (_, StatusCode::OK, Some(0)) => {
            let payment = &body["response"];
            let [status, imp_uid, why] = ["status", "imp_uid", "fail_reason"].map(|name| payment[name].as_str());
            format!("{} {} {}", status.unwrap_or("done"), imp_uid.unwrap_or_default(), why.unwrap_or_default())
        }
        (_, StatusCode::NOT_FOUND, _) => "nothing".to_owned(),
        (_, status, _) => format!("{status} code {code} {}", body["message"].as_str().unwrap_or_default()),
    }
}

#[allow(clippy::too_many_arguments)]
async fn struck(
    me: &Actor,
    world: &Arc<World>,
    place: &Place,
    kind: Kind,
    fault: Fault,
    request: &Request<Bytes>,
    body: &Value,
    timeout: Duration,
) -> Result<Response<Bytes>, TransportError> {
    let carry_out = |fault| at_iamport(world, kind, request, body, fault);
    let seconds = |s: u32| SignedDuration::from_secs(s.into());
    match fault {
        Fault::DieBefore => me.die().await,
        Fault::DieAfter => {
            let _ = carry_out(None);
            me.die().await
        }
        Fault::CutBefore => Err(lost()),
        Fault::CutAfter => {
            let _ = carry_out(None);
            Err(lost())
        }
        Fault::NotSent => Err(TransportError::NotSent("no connection".to_owned())),
        Fault::Late(s) => {
            let (request, body) = (request.clone(), body.clone());
            world.inner().rules.sets_out(uid(&body), s);
            later(world, s, move |world| {
                world.say(|| format!("what was asked for {} arrives at I'mport", uid(&body)));
                world.inner().rules.arrives(uid(&body));
                let _ = at_iamport(world, kind, &request, &body, None);
            });
            sleep(timeout.min(Duration::from_secs(s.into()))).await;
            Err(lost())
        }
        Fault::Twice => {
            let _ = carry_out(None);
            world.at_iamport(request, None).ok_or_else(lost)
        }
        Fault::FreezeBefore(s) => {
            world.freeze(me, place, s).await;
            match world.loses(me, place) {
                Some(super::Lost::There) => Err(lost()),
                Some(super::Lost::Back) => carry_out(None).and_then(|_| Err(lost())),
                None => carry_out(None),
            }
        }
        Fault::FreezeAfter(s) => {
            let answer = carry_out(None);
            world.freeze(me, place, s).await;
            answer
        }
        Fault::Slow(s) => {
            let answer = carry_out(None);
            let takes = Duration::from_secs(s.into());
            sleep(takes.min(timeout)).await;
            if takes >= timeout { Err(lost()) } else { answer }
        }
        Fault::ErrorBefore(status) => carry_out(Some(simulator::Fault::ErrorBeforeEffect(status))),
        Fault::ErrorAfter(status) => carry_out(Some(simulator::Fault::ErrorAfterEffect(status))),
        Fault::Garbled(garble) => carry_out(Some(simulator::Fault::Nonsense(garble.into()))),
        Fault::Decline => carry_out(Some(decline("잔액이 부족합니다."))),
        Fault::DeclineHard => carry_out(Some(decline("해지된 정기결제입니다."))),
        Fault::Refuse => carry_out(Some(refuse())),
        Fault::LatePaid(s) => carry_out(Some(simulator::Fault::LatePaid(seconds(s)))),
        Fault::Blind(s) => carry_out(blind(world, request, s)),
        Fault::ExpiredToken => carry_out(Some(simulator::Fault::ExpiredToken)),
        Fault::WrongAmount => {
            let amount = body["amount"].as_u64().unwrap_or_default() + 100;
            let mut wrong = body.clone();
            wrong["amount"] = amount.into();
            let mut mangled = request.clone();
            *mangled.body_mut() = Bytes::from(wrong.to_string());
            let answer = at_iamport(world, kind, &mangled, body, None);
            let mut inner = world.inner();
            let super::Inner { rules, iamport, .. } = &mut *inner;
            // Where the charge was refused or declined, nothing was taken.
            if iamport
                .books()
                .payments_of(uid(body))
                .any(|payment| payment.was_paid() && payment.order.amount == amount)
            {
                rules.takes_wrong_amount(uid(body));
            }
            answer
        }
        // DynamoDB's.
        Fault::Throttle | Fault::Conflict => Err(lost()),
    }
}

fn refuse() -> simulator::Fault {
    simulator::Fault::Refuse { code: -1, message: "PG사와의 통신에 실패하였습니다.".to_owned() }
}

impl World {
    /// Whether somebody waits to take the name `uid`: for which `customer_uid`.
    fn springs(&self, uid: &str) -> Option<String> {
        let mut inner = self.inner();
        let (id, own) = inner.trap.filter(|(id, _)| uid.starts_with(&id.to_string()))?;
        inner.trap = None;
        let subscription = inner.copy.accounts.get(&id)?.subscription.as_ref()?;
        Some(if own { subscription.customer_uid.to_string() } else { "somebody-else".to_owned() })
    }

    /// Whoever knows the merchant's code opens a window of 0 won under the name `name`, and approves. False: it isn't taken.
    pub fn squat(&self, name: &str, customer_uid: &str) -> bool {
        let request = json!({
            "user_code": crate::history::USER_CODE, "pg": "chai", "pay_method": "trans", "merchant_uid": name, "name": "아무거나",
            "amount": 0, "customer_uid": customer_uid, "m_redirect_url": "https://pay.example/elsewhere",
        });
        let post = |path: &str, body: String| {
            let request = http::Request::post(path).header("content-type", "application/json").body(Bytes::from(body));
            self.at_iamport(&request.ok()?, None)
        };
        let opened = post("/chai/window", request.to_string());
        let opened: Value = opened.and_then(|answer| serde_json::from_slice(answer.body()).ok()).unwrap_or_default();
        let window = opened["window_id"].as_str();
        let taken = window.and_then(|id| post(&format!("/chai/window/{id}/approve"), String::new())).is_some();
        self.say(|| format!("somebody takes the name {name} for {customer_uid}: {taken}"));
        taken
    }
}

/// A misconfigured channel's words are those of a missing key.
fn no_such_key() -> simulator::Fault {
    simulator::Fault::Refuse { code: 1, message: "등록되지 않은 사용자입니다".to_owned() }
}

fn decline(message: &str) -> simulator::Fault {
    simulator::Fault::Decline { message: message.to_owned() }
}

/// I'mport shows what it was asked for [`LONGEST_BLIND`] ago, whatever happens; a slow one, for what it may be slow.
fn blind(world: &World, request: &Request<Bytes>, seconds: u32) -> Option<simulator::Fault> {
    let now = world.time.now();
    let mut inner = world.inner();
    let path = request.uri().path().to_owned();
    let name = path.rsplit('/').next().unwrap_or_default();
    let known = inner.iamport.books().payment(name);
    let name = known.map_or(name, |payment| payment.order.merchant_uid.as_str()).to_owned();
    let longest = LONGEST_BLIND.max(SignedDuration::from_secs(seconds.into()));
    let overdue = inner.asked_at.get(&name).is_some_and(|at| now.duration_since(*at) >= longest);
    if longest > LONGEST_BLIND && !overdue {
        inner.rules.is_beyond(&name);
    }
    (!overdue).then(|| simulator::Fault::LookupMiss(SignedDuration::from_secs(seconds.into())))
}

fn at_iamport(
    world: &World,
    kind: Kind,
    request: &Request<Bytes>,
    body: &Value,
    fault: Option<simulator::Fault>,
) -> Result<Response<Bytes>, TransportError> {
    let now = world.time.now();
    let reaches = !matches!(
        fault,
        Some(simulator::Fault::ErrorBeforeEffect(_) | simulator::Fault::ExpiredToken | simulator::Fault::Refuse { .. })
    );
    if kind == Kind::Again && matches!(fault, Some(simulator::Fault::Refuse { .. })) {
        world.inner().rules.is_refused(uid(body));
    }
    if kind == Kind::Again && reaches {
        let mut inner = world.inner();
        let super::Inner { copy, rules, iamport, log, .. } = &mut *inner;
        rules.before_again(body, copy, crate::rules::Facts { iamport, log, now });
    }
    world.at_iamport(request, fault).ok_or_else(lost)
}
