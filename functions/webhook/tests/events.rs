//! Every sample event through the handler as Lambda runs it, while I'mport can't be asked.

use std::sync::Arc;

use maedal::queue::Message;
use maedal::store::Guard;
use maedal::subscription::SubscriptionId;
use stack::{Error, Sent, text};
use webhook::{App, Recent, handle};

/// Whom the sample events are about: the first session of a stack.
const SAMPLE: &str = "01M835H6W031GV1X6H4Q60TTAA";

/// A session whose window was opened and, where `charged`, whose first charge is in doubt.
async fn app(charged: bool) -> Result<(App, Arc<Sent>), Error> {
    let billing = stack::billing().await?;
    stack::monthly_plan(&billing, "월간 구독", 0).await?;
    let id: SubscriptionId = stack::open_session(&billing).await?.id;
    assert_eq!(id.to_string(), SAMPLE);
    billing.open_window(id, &stack::site(), "https://pay.example").await?;
    if charged {
        let seen = stack::confirm(&billing, id).await?;
        let intent = seen.next_charge(billing.clock.now(), &billing.policy).ok_or("a charge that is due")?;
        assert_eq!(intent.merchant_uid, seen.charge_name(1, 1));
        billing.charge(id, &Guard::Seen(seen.version, Box::new(intent))).await?;
    }
    let sent = Arc::new(Sent::default());
    Ok((App { billing, queue: sent.clone(), recent: Recent::default() }, sent))
}

#[tokio::test]
async fn every_sample_event_gets_its_answer_and_none_is_lost() -> Result<(), Error> {
    let mut answers = Vec::new();
    for (name, event) in stack::events("webhook")? {
        let window = name.starts_with("issued") || name.starts_with("ready");
        let (app, sent) = app(!window).await?;
        let response = handle(&app, event).await;
        let kept = sent.take();
        for message in &kept {
            let Message::Hint(hint) = message else { return Err(format!("{name}: {message:?}").into()) };
            assert!(hint.merchant_uid.starts_with(SAMPLE), "{name}: {hint:?}");
        }
        answers.push((name, response.status().as_u16(), text(&response), kept.len()));
    }
    let kept = (200, "kept for later", 1);
    let not_ours = (200, "not ours", 0);
    let expected = [
        ("cancelled-before-2024.json", kept),
        ("cancelled-form.json", kept),
        ("cancelled.json", kept),
        ("failed.json", kept),
        ("issued-form.json", kept),
        ("issued.json", kept),
        ("paid-form.json", kept),
        ("paid.json", kept),
        ("partly-cancelled.json", kept),
        ("ready.json", kept),
        ("scheduled.json", kept),
        ("test-call-form.json", not_ours),
        ("test-call.json", not_ours),
    ];
    let expected = expected
        .map(|(name, (status, said, kept))| (name.to_owned(), status, format!("{{\"result\":\"{said}\"}}"), kept));
    assert_eq!(answers, expected);
    Ok(())
}

#[tokio::test]
async fn an_event_about_nobody_asks_nobody() -> Result<(), Error> {
    let billing = stack::billing().await?;
    let sent = Arc::new(Sent::default());
    let app = App { billing, queue: sent.clone(), recent: Recent::default() };
    for (name, event) in stack::events("webhook")? {
        let response = handle(&app, event).await;
        assert_eq!(
            (response.status().as_u16(), text(&response)),
            (200, "{\"result\":\"not ours\"}".to_owned()),
            "{name}"
        );
    }
    assert_eq!((sent.take(), app.billing.iamport.calls()), (Vec::new(), 0));
    Ok(())
}
