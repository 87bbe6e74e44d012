//! I'mport refuses for hours: workers slow down, the due list waits, and then everybody is charged once.

use jiff::SignedDuration;
use journeys::{World, no_money, seoul};
use maedal::clock::Clock;
use maedal::subscription::{Status, SubscriptionId};
use sandbox::Options;
use sandbox::crowd::copies;
use simulator::{Call, Fault, Rule};

#[tokio::test]
async fn an_outage_is_not_hammered_and_everybody_is_charged_once_after_it() {
    const SUBSCRIBERS: usize = 40;
    let world = World::new().await;
    let model = world.subscribed("coffee").await;
    copies(&world.stack, model, SUBSCRIBERS - 1).unwrap();

    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Again));
    world.fault(Rule::always(Fault::ErrorBeforeEffect(503)).on(Call::Lookup));
    let before = world.stack.billing.iamport.calls();
    world.stack.clock.set(seoul("2026-12-23T10:05"));
    let first = world.stack.tick().await.unwrap();
    while !world.stack.charge_batch().await.is_empty() {}
    let asked = world.stack.billing.iamport.calls() - before;
    assert_eq!(first.sent, SUBSCRIBERS);
    assert!((5..=10).contains(&asked), "one batch at most, then the brake: {asked} calls");

    // Two hours of it: a probe now and then, and the metric of what waits grows.
    let mut last = first;
    for _ in 0..24 {
        world.stack.clock.set(world.stack.clock.now() + SignedDuration::from_mins(5));
        last = world.stack.tick().await.unwrap();
        while !world.stack.charge_batch().await.is_empty() {}
    }
    let asked = world.stack.billing.iamport.calls() - before;
    assert!(asked < 100, "{asked} calls in two hours for {SUBSCRIBERS} subscribers");
    assert!(last.oldest_ms >= SignedDuration::from_mins(110).as_millis() as i64, "{last:?}");
    assert_eq!(world.payments(), 1, "nobody was charged");

    world.no_faults();
    // What was sent into the outage is in doubt, and is looked up within a day.
    world.live_until(seoul("2026-12-24T20:00")).await;
    assert_eq!(world.payments(), 1 + SUBSCRIBERS, "everybody was, once");
    let books = world.stack.iamport();
    let paid: std::collections::BTreeSet<_> = books.books().payments().iter().map(|p| &p.order.merchant_uid).collect();
    assert_eq!(paid.len(), 2 + SUBSCRIBERS, "the billing key, the first charge, and one renewal each");
}

/// The key is really gone: the same words count.
#[tokio::test]
async fn a_key_that_is_gone_is_a_hard_decline_as_its_own_look_up_shows() {
    let world = World::new().await;
    let id = world.subscribed("coffee").await;
    let customer_uid = id.to_string().parse().unwrap();
    world.stack.billing.iamport.delete_billing_key(&customer_uid, "by hand").await.unwrap().unwrap();
    world.live_until(seoul("2026-12-23T12:00")).await;
    let s = world.subscription(id).await;
    assert_eq!((s.status, s.payment_method.map(|method| method.broken)), (Status::PastDue, Some(true)));
}

const MANY: usize = 16;

async fn many(world: &World) -> Vec<SubscriptionId> {
    let mut ids = Vec::new();
    for _ in 0..MANY {
        ids.push(world.subscribed("coffee").await);
    }
    ids
}

/// All are refused or declined alike for longer than dunning goes on, which ends a day after the first decline here.
async fn an_incident_in_which_nobody_is_canceled(fault: Fault) {
    let mut options = Options::default();
    options.policy.dunning.retry_days = Vec::new();
    let world = World::with(options).await;
    let ids = many(&world).await;
    world.fault(Rule::always(fault).on(Call::Again));
    world.live_until(seoul("2026-12-24T13:00")).await;
    let incident = world.stack.billing.store.charging().await.unwrap().incident;
    assert!(incident.is_some_and(|incident| incident.until.is_none()));
    for id in &ids {
        let status = world.subscription(*id).await.status;
        assert!(matches!(status, Status::Active | Status::PastDue), "{status:?} while it goes on");
    }
    let tried: Vec<_> = world.stack.iamport().books().payments().iter().map(|payment| payment.started_at).collect();
    // What is refused leaves no payment.
    let tried: Vec<_> = tried.into_iter().filter(|at| *at >= seoul("2026-12-23T00:00")).collect();
    let probes = tried.iter().skip(tried.len().saturating_sub(MANY)).collect::<Vec<_>>();
    assert!(probes.windows(2).all(|two| two[1].duration_since(*two[0]) >= SignedDuration::from_secs(59)), "{probes:?}");
    world.no_faults();
    world.live_until(seoul("2026-12-27T12:00")).await;
    for id in &ids {
        let s = world.subscription(*id).await;
        let last = world.outcomes(*id).await.last().copied();
        assert_eq!((s.status, last), (Status::Active, Some("paid")), "{s:?}");
    }
    let incident = world.stack.billing.store.charging().await.unwrap().incident;
    assert!(incident.is_some_and(|incident| incident.until.is_some()), "it is over");
    world.reconciled(&ids).await;
}

#[tokio::test]
async fn what_all_are_refused_for_alike_is_an_incident_in_which_nobody_is_canceled() {
    let message = "비인증결제모듈 사용정보를 찾을 수 없습니다.".to_owned();
    an_incident_in_which_nobody_is_canceled(Fault::Refuse { code: 1, message }).await;
}

#[tokio::test]
async fn what_all_are_declined_for_alike_is_an_incident_in_which_nobody_is_canceled() {
    let message = "해지된 정기결제입니다.".to_owned();
    an_incident_in_which_nobody_is_canceled(Fault::Decline { message }).await;
}

#[tokio::test]
async fn buyers_without_money_among_others_are_no_incident() {
    let world = World::new().await;
    let ids = many(&world).await;
    for id in ids.iter().step_by(3) {
        world.fault(Rule::always(no_money()).on(Call::Again).merchant_uid(id.to_string()));
    }
    world.live_until(seoul("2027-01-08T12:00")).await;
    assert_eq!(world.stack.billing.store.charging().await.unwrap().incident, None);
    for (nth, id) in ids.iter().enumerate() {
        let wanted = if nth % 3 == 0 { Status::Canceled } else { Status::Active };
        assert_eq!(world.subscription(*id).await.status, wanted);
    }
}
