use jiff::SignedDuration;
use serde_json::{Value, json};
use simulator::{Call, Fault, Nonsense, Rule};

use crate::merchant::{Answer, Merchant};

/// A charge under a fault: its answer, and how many payments are in the books.
fn charged_under(fault: Fault) -> (Option<Answer>, usize) {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::once(Call::Again, fault));
    let answer = merchant.try_again("order", 1000);
    (answer, merchant.simulator.books().payments().len())
}

#[test]
fn before_its_effect_a_call_leaves_the_books_alone() {
    let (answer, payments) = charged_under(Fault::CutBeforeEffect);
    assert_eq!((answer, payments), (None, 0));
    let (answer, payments) = charged_under(Fault::ErrorBeforeEffect(503));
    assert_eq!((answer.unwrap().status, payments), (503, 0));
    let (answer, payments) = charged_under(Fault::ExpiredToken);
    assert_eq!((answer.unwrap().failure(), payments), ((401, "Unauthorized"), 0));
    let (answer, payments) = charged_under(Fault::Refuse { code: -1, message: "점검 중".into() });
    assert_eq!((answer.unwrap().refusal(), payments), ((-1, "점검 중"), 0));
    let (answer, payments) = charged_under(Fault::Down(SignedDuration::from_mins(1)));
    assert_eq!((answer, payments), (None, 0));
}

#[test]
fn after_its_effect_the_payment_is_in_the_books_whatever_the_client_saw() {
    let (answer, payments) = charged_under(Fault::CutAfterEffect);
    assert_eq!((answer, payments), (None, 1));
    let (answer, payments) = charged_under(Fault::ErrorAfterEffect(502));
    assert_eq!((answer.unwrap().status, payments), (502, 1));
    for kind in [Nonsense::Html, Nonsense::Truncated, Nonsense::Empty] {
        let (answer, payments) = charged_under(Fault::Nonsense(kind));
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body, payments), (200, Value::Null, 1));
    }
    let (answer, payments) = charged_under(Fault::Slow(SignedDuration::from_secs(40)));
    let answer = answer.unwrap();
    assert_eq!((answer.is_ok(), answer.delay.as_secs(), payments), (true, 40, 1));
}

#[test]
fn a_late_payment_fails_first_and_is_paid_later_under_the_same_imp_uid() {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_secs(30))));
    let failed = merchant.again("order", 1000);
    assert_eq!(failed.response()["status"], "failed");
    assert!(merchant.webhooks_due().is_empty());

    merchant.wait(30);
    assert_eq!(merchant.webhooks_due().len(), 1);
    let paid = merchant.get("/payments/find/order");
    assert_eq!(paid.response()["status"], "paid");
    assert_eq!(paid.response()["imp_uid"], failed.response()["imp_uid"]);
    assert_eq!(paid.response()["fail_reason"], Value::Null);
}

#[test]
fn a_late_payment_and_a_second_attempt_can_both_be_paid() {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::once(Call::Again, Fault::LatePaid(SignedDuration::from_secs(30))));
    merchant.again("order", 1000);
    merchant.again("order", 1000);
    merchant.wait(30);
    merchant.simulator.tick(merchant.now);
    assert_eq!(merchant.statuses("order"), ["paid", "paid"]);
}

#[test]
fn a_charge_may_be_made_after_its_connection_was_cut() {
    let mut merchant = Merchant::new();
    let later = Fault::CutThenEffect(SignedDuration::from_secs(30));
    merchant.simulator.faults().add(Rule::once(Call::Again, later));
    assert_eq!(merchant.try_again("order", 1000), None);
    assert_eq!(merchant.get("/payments/findAll/order").status, 404);
    merchant.wait(30);
    assert_eq!(merchant.webhooks_due().len(), 1);
    assert_eq!(merchant.statuses("order"), ["paid"]);
}

#[test]
fn a_charge_that_comes_late_is_refused_where_its_order_was_paid_meanwhile() {
    let mut merchant = Merchant::new();
    let later = Fault::CutThenEffect(SignedDuration::from_secs(30));
    merchant.simulator.faults().add(Rule::once(Call::Again, later));
    merchant.try_again("order", 1000);
    merchant.again("order", 1000);
    merchant.wait(30);
    merchant.simulator.tick(merchant.now);
    assert_eq!(merchant.statuses("order"), ["paid"]);
}

#[test]
fn lookups_may_not_see_a_fresh_payment() {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::always(Fault::LookupMiss(SignedDuration::from_secs(20))));
    merchant.again("order", 1000);
    assert_eq!(merchant.get("/payments/findAll/order").status, 404);
    merchant.wait(20);
    assert!(merchant.get("/payments/findAll/order").is_ok());
}

#[test]
fn an_outage_cuts_every_call_until_it_is_over() {
    let mut merchant = Merchant::new();
    merchant.simulator.faults().add(Rule::once(Call::Again, Fault::Down(SignedDuration::from_secs(60))));
    assert_eq!(merchant.try_again("order", 1000), None);
    merchant.wait(59);
    let lookup = merchant.try_call(http::Method::GET, "/payments/imp_1", "", String::new());
    assert_eq!(lookup, None);
    merchant.wait(1);
    assert!(merchant.again("order", 1000).is_ok());
}

#[test]
fn a_rule_is_about_one_call_one_order_so_many_times() {
    let mut merchant = Merchant::new();
    let rule = Rule::once(Call::Again, Fault::CutBeforeEffect).times(2).merchant_uid("unlucky");
    merchant.simulator.faults().add(rule);
    assert!(merchant.try_again("lucky", 1).is_some());
    assert!(merchant.try_again("unlucky", 1).is_none());
    assert!(merchant.try_again("also unlucky", 1).is_none());
    assert!(merchant.try_again("unlucky", 1).is_some());
}

#[test]
fn a_rule_about_a_customer_strikes_its_lookups_too() {
    let mut merchant = Merchant::new();
    let imp_uid = merchant.again("order", 1).response()["imp_uid"].as_str().unwrap().to_owned();
    merchant.simulator.faults().add(Rule::always(Fault::ErrorBeforeEffect(500)).customer_uid("buyer"));
    for path in [format!("/payments/{imp_uid}"), "/payments/findAll/order".into(), "/subscribe/customers/buyer".into()]
    {
        assert_eq!(merchant.get(&path).status, 500, "{path}");
    }
    assert_eq!(merchant.get("/payments/findAll/other").status, 404);
}

#[test]
fn two_rules_are_two_bad_calls_in_a_row_and_slowness_adds_to_either() {
    let mut merchant = Merchant::new();
    merchant
        .simulator
        .faults()
        .add(Rule::once(Call::Again, Fault::ErrorBeforeEffect(500)))
        .add(Rule::always(Fault::Slow(SignedDuration::from_secs(2))))
        .add(Rule::once(Call::Again, Fault::ErrorBeforeEffect(502)));
    let first = merchant.again("order", 1);
    let second = merchant.again("order", 1);
    let third = merchant.again("order", 1);
    assert_eq!([first.status, second.status, third.status], [500, 502, 200]);
    assert_eq!([first.delay, second.delay, third.delay].map(|delay| delay.as_secs()), [2, 2, 2]);
}

#[test]
fn a_rule_may_hold_for_a_span_only() {
    let mut merchant = Merchant::new();
    let (from, until) = (merchant.now + SignedDuration::from_secs(10), merchant.now + SignedDuration::from_secs(20));
    merchant.simulator.faults().add(Rule::always(Fault::ErrorBeforeEffect(500)).between(from, until));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(merchant.get("/payments/imp_1").status);
        merchant.wait(10);
    }
    assert_eq!(statuses, [404, 500, 404]);
}

#[test]
fn the_window_can_break_before_and_after_the_key_is_stored() {
    for (fault, stored) in [(Fault::CutBeforeEffect, false), (Fault::CutAfterEffect, true)] {
        let mut merchant = Merchant::new();
        let opened = merchant.post("/chai/window", Merchant::window_params("issue", "new")).body;
        merchant.simulator.faults().add(Rule::once(Call::Window, fault).merchant_uid("issue"));
        let path = format!("/chai/window/{}/approve", opened["window_id"].as_str().unwrap());
        assert!(merchant.try_call(http::Method::POST, &path, "", String::new()).is_none());
        assert_eq!(merchant.simulator.books().key("new").is_some(), stored);
    }
}

#[test]
fn rules_are_set_and_cleared_over_http() {
    let mut merchant = Merchant::new();
    let rules = json!([
        {"call": "again", "times": 1, "fault": "cut_after_effect"},
        {"call": "lookup", "chance": 1.0, "fault": {"slow": "2s"}},
        {"merchant_uid": "x", "fault": {"decline": {"message": "한도 초과"}}},
        {"from": "2026-01-01T00:00:00Z", "fault": {"nonsense": "html"}, "call": "cancel"},
    ]);
    assert_eq!(merchant.post("/_simulator/faults", rules).body.as_array().unwrap().len(), 4);
    assert_eq!(merchant.try_again("order", 1000), None);
    assert_eq!(merchant.get("/payments/find/order").delay.as_secs(), 2);
    assert_eq!(merchant.post("/_simulator/faults", json!({"fault": "no_such"})).status, 400);
    assert_eq!(merchant.post("/_simulator/faults", json!({"fault": "cut_after_effect", "time": 1})).status, 400);
    assert_eq!(merchant.delete("/_simulator/faults").status, 200);
    assert_eq!(merchant.get("/_simulator/faults").body, json!([]));
    assert_eq!(merchant.get("/_simulator/books").body["totals"], json!({"paid": 1000, "cancelled": 0, "net": 1000}));
}
