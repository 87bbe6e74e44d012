//! Pairs of images, and what they mean.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_dynamo::{AttributeValue, Item, to_item};

use super::{DomainEvent, Image, Kind, events};
use crate::key::Key;
use crate::subscription::settle::Proof;
use crate::subscription::{
    Bill, Charge, Checkout, EndReason, Finding, FindingKind, ImpUid, Interval, MerchantUid, PaymentMethod, Plan,
    Policy, RepairAction, Side, Status, Subscription, Terms, Won,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn opened() -> Subscription {
    let id: crate::subscription::SubscriptionId = "01KAPPYEAR0000000000000000".parse().unwrap();
    let terms = Terms {
        name: "매달 커피".into(),
        amount: Won::new(9_900),
        tax_free: Won::ZERO,
        interval: Interval::MONTHLY,
        trial_days: 0,
        dunning: None,
    };
    let plan = Plan { id: "coffee".parse().unwrap(), version: 1, terms };
    let checkout =
        Checkout { expires_at: at(3_600), success_url: None, cancel_url: None, decline: None, replaces: None };
    Subscription::open(id, "customer-1".parse().unwrap(), id.into(), plan, checkout, at(0))
}

fn method(window: u32) -> PaymentMethod {
    PaymentMethod {
        window,
        imp_uid: Some(format!("imp_{window:012}").parse().unwrap()),
        provider: Some("chai".into()),
        confirmed_at: at(1),
        broken: false,
        deleted: false,
    }
}

fn next(before: &Subscription, change: impl FnOnce(&mut Subscription)) -> Subscription {
    let mut after = before.clone();
    change(&mut after);
    after.version += 1;
    after
}

fn claimed(before: &Subscription) -> Subscription {
    next(before, |s| {
        let now = s.due_at(at(0), &Policy::default()).unwrap();
        s.in_flight = s.next_charge(now, &Policy::default());
        s.claimed_at = Some(at(2));
    })
}

fn payment(name: &str) -> crate::subscription::charge::Payment {
    crate::subscription::charge::Payment {
        imp_uid: name.parse().unwrap(),
        paid_at: Some(at(3)),
        receipt_url: Some("https://receipt.example/1".into()),
    }
}

fn settled(before: &Subscription, proof: Proof) -> (Subscription, Charge) {
    let mut charge = None;
    let after = next(before, |s| charge = s.settle(proof, at(3), &Policy::default()));
    let mut charge = charge.unwrap();
    charge.bill = Some(Bill::of(&after, charge.period));
    (after, charge)
}

fn paid(before: &Subscription) -> (Subscription, Charge) {
    settled(&claimed(before), Proof::Paid(payment("imp_000000000007")))
}

fn declined(before: &Subscription, reason: &str) -> (Subscription, Charge) {
    settled(&claimed(before), Proof::Declined { reason: reason.into(), imp_uid: None })
}

fn active() -> Subscription {
    paid(&next(&opened(), |s| s.payment_method = Some(method(1)))).0
}

fn keyed(mut item: Item, key: &Key) -> Item {
    for (name, value) in [("pk", &key.pk), ("sk", &key.sk)] {
        item.inner_mut().insert(name.into(), AttributeValue::S(value.clone()));
    }
    item
}

fn image(subscription: &Subscription) -> Item {
    let mut item = keyed(to_item(subscription).unwrap(), &Key::subscription(subscription.id));
    let now = at(10);
    if let Some(due_at) = subscription.due_at(now, &Policy::default()) {
        item.inner_mut().insert("due_at".into(), AttributeValue::N(due_at.as_millisecond().to_string()));
    }
    if let Some(intent) = subscription.next_charge(now, &Policy::default()) {
        item.inner_mut().insert("next_charge".into(), serde_dynamo::to_attribute_value(intent).unwrap());
    }
    item
}

fn charge_image(charge: &Charge) -> Item {
    keyed(to_item(charge).unwrap(), &Key::of(charge))
}

fn told(old: Option<&Subscription>, new: &Subscription) -> Vec<DomainEvent> {
    events(old.map(image), Some(image(new)), at(10)).unwrap()
}

fn told_of_charge(old: Option<&Charge>, new: &Charge) -> Vec<DomainEvent> {
    events(old.map(charge_image), Some(charge_image(new)), at(10)).unwrap()
}

fn kinds(events: &[DomainEvent]) -> Vec<Kind> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn a_session_that_opens_is_created() {
    let told = told(None, &opened());
    assert_eq!(kinds(&told), [Kind::Created]);
    assert_eq!(told[0].subscription.period, None, "nothing is paid yet");
    assert_eq!(told[0].id, "01KAPPYEAR0000000000000000-1-created");
    assert_eq!(told[0].subscription.status, Some(Status::Pending));
}

#[test]
fn a_billing_key_and_the_first_payment_activate() {
    let opened = opened();
    let keyed = next(&opened, |s| s.payment_method = Some(method(1)));
    assert_eq!(kinds(&told(Some(&opened), &keyed)), [Kind::PaymentMethodChanged]);

    let claimed = claimed(&keyed);
    assert_eq!(told(Some(&keyed), &claimed), [], "a claim is nobody's business");

    let (active, charge) = settled(&claimed, Proof::Paid(payment("imp_000000000007")));
    let subscription = told(Some(&claimed), &active);
    assert_eq!(kinds(&subscription), [Kind::Activated]);
    let facts = &subscription[0].subscription;
    assert_eq!(facts.period.as_ref().map(|p| (p.number, p.starts_at)), Some((1, Some(at(2)))));
    assert_eq!(facts.next_charge.as_ref().map(|next| (next.period, next.amount)), Some((2, Won::new(9_900))));

    let told = told_of_charge(None, &charge);
    assert_eq!(kinds(&told), [Kind::ChargePaid]);
    assert_eq!(told[0].version, active.version, "one write, one version");
    assert_eq!(told[0].subscription.id, active.id);
    assert_eq!(told[0].subscription.customer_id, Some("customer-1".parse().unwrap()));
    assert_eq!(told[0].subscription.customer_uid, Some(active.customer_uid));
    let facts = told[0].charge.as_ref().unwrap();
    assert_eq!(facts.imp_uid, Some("imp_000000000007".parse::<ImpUid>().unwrap()));
    assert_eq!(facts.receipt_url.as_deref(), Some("https://receipt.example/1"));
    assert_eq!(facts.period.starts_at, Some(at(2)));
}

#[test]
fn a_trial_starts_without_a_payment_and_its_end_activates() {
    let opened = next(&opened(), |s| {
        s.plan.terms.trial_days = 14;
        s.payment_method = Some(method(1));
    });
    let trialing = next(&opened, |s| s.start_trial(at(2)));
    let started = told(Some(&opened), &trialing);
    assert_eq!(kinds(&started), [Kind::TrialStarted]);
    assert_eq!(started[0].subscription.trial_ends_at, trialing.anchor);
    let claimed = claimed(&trialing);
    let (active, _) = settled(&claimed, Proof::Paid(payment("imp_000000000007")));
    assert_eq!(kinds(&told(Some(&claimed), &active)), [Kind::Activated]);
}

#[test]
fn a_renewal_and_a_recovery_renew() {
    let active = active();
    let renewing = claimed(&active);
    let (renewed, _) = settled(&renewing, Proof::Paid(payment("imp_000000000008")));
    assert_eq!(kinds(&told(Some(&renewing), &renewed)), [Kind::Renewed]);

    let (past_due, charge) = declined(&active, "잔액이 부족합니다.");
    let fell = told(Some(&claimed(&active)), &past_due);
    assert_eq!(kinds(&fell), [Kind::PastDue]);
    assert_eq!(fell[0].subscription.dunning.as_ref().map(|d| d.declines), Some(1));
    assert!(fell[0].subscription.next_charge.is_some(), "when it is tried again");
    let said = told_of_charge(None, &charge);
    assert_eq!(kinds(&said), [Kind::ChargeDeclined]);
    assert_eq!(said[0].charge.as_ref().unwrap().decline_reason.as_deref(), Some("잔액이 부족합니다."));

    let (recovered, _) = paid(&past_due);
    let recovered = told(Some(&claimed(&past_due)), &recovered);
    assert_eq!(kinds(&recovered), [Kind::Renewed]);
    assert_eq!(recovered[0].subscription.previous_status, Some(Status::PastDue));
}

#[test]
fn a_second_decline_is_not_past_due_again() {
    let (past_due, _) = declined(&active(), "잔액이 부족합니다.");
    let claimed = claimed(&past_due);
    let (still, _) = settled(&claimed, Proof::Declined { reason: "잔액이 부족합니다.".into(), imp_uid: None });
    assert_eq!(told(Some(&claimed), &still), []);
}

#[test]
fn a_hard_decline_breaks_the_payment_method_and_a_new_one_changes_it() {
    let active = active();
    let (past_due, _) = declined(&active, "삭제된 빌링키입니다.");
    assert_eq!(kinds(&told(Some(&claimed(&active)), &past_due)), [Kind::PaymentMethodBroken, Kind::PastDue]);
    let renewed = next(&past_due, |s| s.payment_method = Some(method(2)));
    assert_eq!(kinds(&told(Some(&past_due), &renewed)), [Kind::PaymentMethodChanged]);
    let removed = next(&renewed, |s| s.payment_method = None);
    assert_eq!(kinds(&told(Some(&renewed), &removed)), [Kind::PaymentMethodRemoved]);
}

#[test]
fn a_doubt_is_told_once() {
    let claimed = claimed(&active());
    let doubted = next(&claimed, |s| s.keep_in_doubt(false, None, at(3)));
    let first = told(Some(&claimed), &doubted);
    assert_eq!(kinds(&first), [Kind::ChargeInDoubt]);
    let charge = first[0].charge.as_ref().unwrap();
    assert_eq!(charge.merchant_uid, claimed.in_flight.as_ref().unwrap().merchant_uid);
    let looked = next(&doubted, |s| s.keep_in_doubt(false, None, at(400)));
    assert_eq!(told(Some(&doubted), &looked), []);
}

#[test]
fn a_pause_a_resumption_a_plan_and_an_end() {
    let active = active();
    let paused = next(&active, |s| s.status = Status::Paused);
    assert_eq!(kinds(&told(Some(&active), &paused)), [Kind::Paused]);
    let resumed = next(&paused, |s| s.status = Status::Active);
    assert_eq!(kinds(&told(Some(&paused), &resumed)), [Kind::Resumed]);
    let changed = next(&resumed, |s| s.plan.version = 2);
    assert_eq!(kinds(&told(Some(&resumed), &changed)), [Kind::PlanChanged]);
    let leaving = next(&changed, |s| s.cancel_at_period_end = true);
    assert_eq!(kinds(&told(Some(&changed), &leaving)), [Kind::CancelScheduled]);
    let staying = next(&leaving, |s| s.cancel_at_period_end = false);
    assert_eq!(kinds(&told(Some(&leaving), &staying)), [Kind::CancelWithdrawn]);
    let canceled = next(&leaving, |s| {
        s.cancel_at_period_end = false;
        s.end(EndReason::Requested, at(9));
    });
    let ended = told(Some(&leaving), &canceled);
    assert_eq!(kinds(&ended), [Kind::Canceled]);
    assert_eq!(ended[0].subscription.ended.as_ref().map(|e| e.reason), Some(EndReason::Requested));
    let opened = opened();
    let expired = next(&opened, |s| s.end(EndReason::CheckoutExpired, at(9)));
    assert_eq!(kinds(&told(Some(&opened), &expired)), [Kind::Expired]);
}

/// While a person has it, the machine's states pass behind the scenes, and are told all the same.
#[test]
fn a_review_hides_no_change_behind_it() {
    let active = active();
    let review = next(&active, |s| s.needs_review("the amounts differ".into(), at(5)));
    let handed = told(Some(&active), &review);
    assert_eq!(kinds(&handed), [Kind::NeedsReview]);
    assert_eq!(handed[0].subscription.review.as_ref().map(|r| r.was), Some(Status::Active));
    let worse = next(&review, |s| s.review.as_mut().unwrap().was = Status::PastDue);
    assert_eq!(kinds(&told(Some(&review), &worse)), [Kind::PastDue]);
    let released = next(&worse, |s| {
        s.review = None;
        s.status = Status::PastDue;
    });
    assert_eq!(kinds(&told(Some(&worse), &released)), [Kind::ReviewEnded]);
}

#[test]
fn late_truth_turns_a_decline_into_a_payment() {
    let (_, charge) = declined(&active(), "잔액이 부족합니다.");
    let mut paid = charge.clone();
    paid.status = crate::subscription::ChargeStatus::Paid(payment("imp_000000000009"));
    assert_eq!(kinds(&told_of_charge(Some(&charge), &paid)), [Kind::ChargePaid]);
}

/// An operator has struck out the payment of a period: what it came to stands elsewhere, and leaves the place to another.
#[test]
fn what_takes_the_place_of_a_payment_that_has_moved_is_told_by_an_id_of_its_own() {
    let (_, charge) = paid(&active());
    let moved = Charge { moved: true, ..charge.clone() };
    assert_eq!(told_of_charge(Some(&charge), &moved), []);
    let (_, mut other) = paid(&active());
    other.status = crate::subscription::ChargeStatus::Paid(payment("imp_000000000012"));
    let (first, second) = (told_of_charge(None, &charge), told_of_charge(Some(&moved), &other));
    assert_eq!(kinds(&second), [Kind::ChargePaid]);
    assert_eq!(first[0].charge.as_ref().unwrap().merchant_uid, second[0].charge.as_ref().unwrap().merchant_uid);
    assert_ne!(first[0].id, second[0].id);
}

#[test]
fn each_refund_of_a_payment_is_an_event_of_its_own() {
    let (_, charge) = paid(&active());
    let part = Charge { refunded: Won::new(3_000), ..charge.clone() };
    let whole = Charge { refunded: Won::new(9_900), ..charge.clone() };
    let (first, second) = (told_of_charge(Some(&charge), &part), told_of_charge(Some(&part), &whole));
    assert_eq!((kinds(&first), first[0].refund), (vec![Kind::ChargeRefunded], Some(Won::new(3_000))));
    assert_eq!((kinds(&second), second[0].refund), (vec![Kind::ChargeRefunded], Some(Won::new(6_900))));
    assert_ne!(first[0].id, second[0].id);
    assert_eq!(told_of_charge(Some(&whole), &whole), []);
}

#[test]
fn a_payment_that_bought_nothing_says_so() {
    let (_, charge) = paid(&active());
    let mut further = Charge { duplicate: true, further: true, ..charge.clone() };
    further.status = crate::subscription::ChargeStatus::Paid(payment("imp_000000000010"));
    let told = told_of_charge(None, &further);
    assert_eq!(kinds(&told), [Kind::ChargePaid, Kind::ChargeDuplicate]);
    assert_ne!(told[0].id, told_of_charge(None, &charge)[0].id, "another payment of the same name");
}

/// What a person decides of it later is told by what follows from it.
#[test]
fn a_finding_is_told_when_it_is_made() {
    let merchant_uid = MerchantUid::charge(opened().id, 2, 1);
    let finding = Finding {
        subscription: merchant_uid.subscription,
        merchant_uid: merchant_uid.into(),
        imp_uid: "imp_000000000011".parse().unwrap(),
        kind: FindingKind::Differs,
        detail: "the amount is 100 at I'mport".into(),
        here: None,
        there: Some(Side { amount: Won::new(100), refunded: Won::ZERO }),
        found_at: at(5),
        closed: None,
    };
    let key = Key::finding(finding.subscription, finding.imp_uid.as_str());
    let image = |finding: &Finding| keyed(to_item(finding).unwrap(), &key);
    let told = events(None, Some(image(&finding)), at(10)).unwrap();
    assert_eq!(kinds(&told), [Kind::BooksDiffer]);
    assert_eq!(told[0].finding.as_ref().map(|facts| facts.there), Some(finding.there));
    let closed = Finding { closed: Some(RepairAction::Accept), ..finding.clone() };
    assert_eq!(events(Some(image(&finding)), Some(image(&closed)), at(11)), Ok(vec![]));
}

#[test]
fn nothing_else_is_an_event() {
    let id = opened().id;
    let mut buyer = Item::default();
    buyer.inner_mut().insert("name".into(), AttributeValue::S("홍길동".into()));
    let strange = Key { pk: format!("SUB#{id}"), sk: "NOTE#1".into() };
    for key in [Key::buyer(id), Key::customer_uid(&id.into()), Key::idempotency("open", "key-1"), strange] {
        assert_eq!(events(None, Some(keyed(buyer.clone(), &key)), at(10)), Ok(vec![]));
    }
    assert_eq!(events(None, Some(Item::default()), at(10)), Ok(vec![]), "no key");
    assert_eq!(events(Some(image(&active())), None, at(10)), Ok(vec![]), "deleted, by TTL or by hand");
    assert_eq!(Image::read(Item::default()), Ok(Image::Other));
}

#[test]
fn a_subscription_that_does_not_read_as_one_is_an_error_with_its_key() {
    let mut item = image(&active());
    item.inner_mut().remove("status");
    let error = events(None, Some(item), at(10)).unwrap_err();
    assert!(error.key.contains("SUB#01KAPPYEAR"), "{error}");
}

#[test]
fn no_two_kinds_share_a_word() {
    let words: BTreeSet<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
    assert_eq!(words.len(), Kind::ALL.len());
}

prop_compose! {
    fn any_subscription()(
        status in prop_oneof![
            Just(Status::Pending), Just(Status::Trialing), Just(Status::Active), Just(Status::PastDue),
            Just(Status::Paused), Just(Status::Canceled), Just(Status::Expired),
        ],
        review in any::<bool>(),
        paid_through in 0_u32..4,
        window in proptest::option::of(1_u32..3),
        broken in any::<bool>(),
        leaving in any::<bool>(),
        plan_version in 1_u32..3,
        doubt in any::<bool>(),
    ) -> Subscription {
        let mut s = opened();
        s.status = status;
        s.anchor = (paid_through > 0).then(|| at(2));
        s.paid_through = paid_through;
        s.period = paid_through + 1;
        s.plan.version = plan_version;
        s.cancel_at_period_end = leaving;
        s.payment_method = window.map(|window| PaymentMethod { broken, ..method(window) });
        if doubt {
            s.in_flight = Some(crate::subscription::Intent {
                period: s.period,
                attempt: 1,
                merchant_uid: MerchantUid::charge(s.id, s.period, 1),
                amount: Won::new(9_900),
                credit: Won::ZERO,
                carried: Won::ZERO,
                left: Won::ZERO,
                window,
                until: at(9_000),
            });
            s.claimed_at = Some(at(2));
            s.keep_in_doubt(false, None, at(3));
        }
        if review {
            s.needs_review("the books disagree".into(), at(4));
        }
        s
    }
}

proptest! {
    #[test]
    fn the_same_write_tells_the_same_and_every_event_has_its_version(
        old in proptest::option::of(any_subscription()), mut new in any_subscription(), version in 2_u64..1_000,
    ) {
        new.version = version;
        let first = told(old.as_ref(), &new);
        prop_assert_eq!(&first, &told(old.as_ref(), &new));
        prop_assert!(first.iter().all(|event| event.version == version));
        let ids: BTreeSet<&str> = first.iter().map(|event| event.id.as_str()).collect();
        prop_assert_eq!(ids.len(), first.len());

        // The next write tells under other ids.
        new.version += 1;
        prop_assert!(told(old.as_ref(), &new).iter().all(|event| !ids.contains(event.id.as_str())));
        prop_assert_eq!(told(Some(&new), &new), []);
    }
}
