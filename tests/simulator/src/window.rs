//! The payment window that the SDK opens, and its buttons. Approving it stores a billing key and sends the buyer to
//! `m_redirect_url`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::LOCATION};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    envelope::{json_response, text_response},
    incoming::Incoming,
    order::Order,
    params::Params,
    payment::{Payment, Usage},
    route::Button,
    simulator::Simulator,
};

/// What `encodeURIComponent` leaves alone, so that a redirect's query looks as JavaScript would write it.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'!').remove(b'~').remove(b'*');

/// A payment window. Its payment is in the books from the start, as `ready`.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) imp_uid: String,
    /// `m_redirect_url`
    back: String,
    /// Where a pressed button has sent the buyer. Pressing again leads there, and does nothing more.
    left_for: Option<String>,
}

/// Why a window does not open. F1002 is I'mport's, F400 and its words are ours.
struct Refusal {
    code: &'static str,
    message: String,
}

impl Simulator {
    /// `POST /chai/window`: what the SDK sends for `IMP.request_pay`, with `user_code`.
    pub(crate) fn open_window(&mut self, call: &Incoming, now: Timestamp) -> Response<Bytes> {
        let params = &call.params;
        let answer = match self.try_open(params, now) {
            Ok(id) => {
                let path = format!("/chai/window/{id}");
                let url = call.host.as_ref().map_or(path.clone(), |host| format!("http://{host}{path}"));
                json!({"success": true, "window_id": id, "url": url})
            }
            Err(refusal) => {
                let merchant_uid = params.text("merchant_uid");
                let failure = [("error_code", refusal.code), ("error_msg", &refusal.message)];
                let known = merchant_uid.as_deref().map(|merchant_uid| ("merchant_uid", merchant_uid));
                let query = known.into_iter().chain([("imp_success", "false")]).chain(failure);
                json!({
                    "success": false,
                    "imp_uid": null,
                    "merchant_uid": merchant_uid,
                    "error_code": refusal.code,
                    "error_msg": refusal.message,
                    // Not the merchant's to see: the SDK goes there if it has no callback.
                    "redirect_url": redirect_url(params).map(|back| with_query(&back, query)),
                })
            }
        };
        json_response(StatusCode::OK, &answer)
    }

    fn try_open(&mut self, params: &Params, now: Timestamp) -> Result<String, Refusal> {
        let ours = |message: &str| Refusal { code: "F400", message: message.into() };
        if params.text("user_code").as_ref() != Some(&self.config.user_code) {
            return Err(ours("가맹점 식별코드(user code)가 올바르지 않습니다."));
        }
        // Since 2024-03-15 the types matter, too.
        if !matches!(params.raw("merchant_uid"), Some(Value::String(_))) {
            return Err(ours("merchant_uid는 문자열이어야 합니다."));
        }
        if !matches!(params.raw("amount"), Some(Value::Number(_))) {
            return Err(ours("amount는 숫자여야 합니다."));
        }
        let pg = params.text("pg");
        let pay_method = params.text("pay_method").unwrap_or_else(|| "card".into());
        let channel = self.channel(pg.as_deref(), &pay_method);
        let chosen_by_key = params.text("channelKey").is_some();
        if channel.pg_provider == "chai" && !chosen_by_key && pay_method != "trans" {
            return Err(ours("차이는 pay_method로 trans만 지원합니다."));
        }
        let back = redirect_url(params).ok_or_else(|| ours("m_redirect_url이 필요합니다."))?;
        let order = params
            .required_text("customer_uid", 80)
            .and_then(|customer_uid| Order::read(params, customer_uid))
            .map_err(|refusal| ours(refusal.message()))?;
        if self.books.was_paid(&order.merchant_uid) {
            return Err(Refusal { code: "F1002", message: "이미 결제가 이루어진 거래건입니다.".into() });
        }
        let payment = self.start(order, Usage::Issue, channel, now);
        let id = self.ids.hex(24);
        self.windows.insert(id.clone(), Window { imp_uid: payment.imp_uid.clone(), back, left_for: None });
        self.books.record(payment);
        Ok(id)
    }

    /// `GET /chai/window/{id}`
    pub(crate) fn show_window(&self, id: &str) -> Response<Bytes> {
        let window = self.windows.get(id).filter(|window| window.left_for.is_none());
        match window.and_then(|window| self.books.payment(&window.imp_uid)) {
            Some(payment) => html_response(StatusCode::OK, &window_page(&self.config.merchant_name, id, payment)),
            None => html_response(StatusCode::NOT_FOUND, &closed_page()),
        }
    }

    /// `POST /chai/window/{id}/approve`, `decline` or `close`: 302 to `m_redirect_url`.
    pub(crate) fn press(&mut self, id: &str, button: Button, now: Timestamp) -> Response<Bytes> {
        let Some(window) = self.windows.get_mut(id) else {
            return html_response(StatusCode::NOT_FOUND, &closed_page());
        };
        let imp_uid = window.imp_uid.clone();
        if window.left_for.is_none()
            && let Some(payment) = self.books.payment_mut(&imp_uid)
        {
            let failure = match button {
                Button::Approve => None,
                Button::Decline => {
                    Some(("F0004", format!("PG사 결제요청에 실패하여 중단합니다.({imp_uid}) 결제가 거절되었습니다.")))
                }
                Button::Close => {
                    Some(("F0005", format!("결제가 중단되었습니다({imp_uid}).01 | 사용자가 결제를 취소 하였습니다.")))
                }
            };
            let ids = [("imp_uid", imp_uid.as_str()), ("merchant_uid", payment.order.merchant_uid.as_str())];
            let outcome = match &failure {
                None => vec![("imp_success", "true")],
                Some((code, message)) => vec![("imp_success", "false"), ("error_code", code), ("error_msg", message)],
            };
            window.left_for = Some(with_query(&window.back, ids.into_iter().chain(outcome)));
            match failure {
                Some((_, message)) => payment.fail(message, now),
                None => {
                    payment.pay(now);
                    let Order { customer_uid, buyer, .. } = payment.order.clone();
                    let channel = payment.channel.clone();
                    self.store_key(customer_uid, channel, buyer, now);
                    self.notify(&imp_uid, None, now);
                }
            }
        }
        let left_for = self.windows.get(id).and_then(|window| window.left_for.as_deref()).unwrap_or("/");
        let mut response = text_response(StatusCode::FOUND, "text/plain", "");
        let location = HeaderValue::from_str(left_for).unwrap_or(HeaderValue::from_static("/"));
        response.headers_mut().insert(LOCATION, location);
        response
    }
}

/// The merchant's `m_redirect_url`, if it is one that a browser may be sent to.
fn redirect_url(params: &Params) -> Option<String> {
    let url = params.text("m_redirect_url")?;
    let scheme = url.split("://").next()?.to_ascii_lowercase();
    // What is not ASCII has no place in a header.
    matches!(scheme.as_str(), "http" | "https").then(|| utf8_percent_encode(&url, CONTROLS).to_string())
}

/// Adds to a URL's query, which is kept, in front of its fragment.
fn with_query<'a>(url: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let mut whole = url.to_owned();
    for (name, value) in pairs {
        whole.push(if whole.contains('?') { '&' } else { '?' });
        whole.push_str(&format!("{name}={}", utf8_percent_encode(value, QUERY_VALUE)));
    }
    whole + &fragment
}

pub(crate) fn html_response(status: StatusCode, page: &Markup) -> Response<Bytes> {
    text_response(status, "text/html; charset=UTF-8", page.0.clone())
}

fn window_page(merchant: &str, id: &str, payment: &Payment) -> Markup {
    let order = &payment.order;
    let button = |action: &str, class: &str, text: &str| {
        html! {
            form method="post" action={ "/chai/window/" (id) "/" (action) } {
                button id=(action) class=(class) type="submit" { (text) }
            }
        }
    };
    phone_page(
        "CHAI 정기결제",
        &html! {
            h1 { "CHAI 정기결제" }
            p { strong { (merchant) } "에서 정기결제 수단 등록을 요청했습니다." }
            dl {
                dt { "상품" } dd { (order.name) }
                dt { "금액" } dd { (order.amount) "원" }
                @if let Some(name) = &order.buyer.name { dt { "구매자" } dd { (name) } }
            }
            (button("approve", "main", "동의하고 등록하기"))
            (button("decline", "", "거절 (잔액 부족 등)"))
            (button("close", "", "창 닫기"))
            p.small { "모의 결제창입니다. 실제 결제나 등록은 일어나지 않습니다." }
        },
    )
}

fn closed_page() -> Markup {
    phone_page("CHAI 정기결제", &html! { h1 { "이미 끝났거나 존재하지 않는 결제창입니다." } })
}

fn phone_page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="ko" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(include_str!("window.css"))) }
            }
            body { main { (content) } }
        }
    }
}
