//! What a renewal, a first charge, a webhook and a declined renewal cost: network calls, units of the table, bytes.

use std::sync::Arc;

use jiff::SignedDuration;
use journeys::{World, no_money};
use maedal::aws::http_client;
use maedal::billing::{Billing, Charged, Confirmation, Heard, Worked};
use maedal::iamport::Https;
use maedal::queue::Hint;
use maedal::subscription::{ImpUid, MerchantUid, SubscriptionId};
use sandbox::buyer::Button;
use simulator::{Call, Rule};

use crate::Failure;
use crate::capacity::WRITE_UNITS;
use crate::figure::{Figure, Kind};
use crate::tally::{CountedHttp, CountedTransport, Tally};

/// A worker on `world`'s table and I'mport, all of whose network calls are counted in `tally`.
pub(crate) fn counted(world: &World, tally: &Arc<Tally>) -> Billing {
    let transport = CountedTransport { inner: Https::new(), tally: tally.clone() };
    world.worker_over(CountedHttp::over(http_client(), tally.clone()), transport)
}

/// All of it.
pub(crate) async fn measure() -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for (name, calls, write_units, read_units) in [
        ("renewal", 3, WRITE_UNITS, 0.0),
        ("declined renewal", 3, 9.0, 0.0),
        ("first charge", 6, 11.0, 1.0),
        ("webhook that tells news", 4, 7.0, 2.0),
    ] {
        let world = World::new().await;
        let tally = Arc::new(Tally::default());
        let billing = counted(&world, &tally);
        let work = Work { world: &world, billing: &billing };
        let before = match name {
            "first charge" => work.at_the_redirect().await?,
            "webhook that tells news" => work.paid_behind_our_back().await?,
            _ => work.due(name == "declined renewal").await?,
        };
        // The token is one call for half an hour of work.
        billing.iamport.payments_of(MerchantUid::window(before.id(), 1)).await?;
        let (sent, table) = ((tally.calls(), tally.bytes()), billing.store.meter().usage());
        work.run(before).await?;
        let used = billing.store.meter().usage() - table;
        figures.push(Figure::count(
            format!("{name}: network calls"),
            (tally.calls() - sent.0) as f64,
            "calls",
            f64::from(calls),
        ));
        figures.push(Figure::count(format!("{name}: written"), used.write_units, "write units", write_units));
        figures.push(Figure::count(format!("{name}: read"), used.read_units, "read units", read_units));
        figures.push(Figure::told(format!("{name}: sent"), (tally.bytes() - sent.1) as f64, "bytes", Kind::Count));
    }
    Ok(figures)
}

/// What is about to be done.
enum Task {
    Due(SubscriptionId),
    ComeBack(MerchantUid, ImpUid),
    Hear(SubscriptionId, Hint),
}

impl Task {
    fn id(&self) -> SubscriptionId {
        match self {
            Self::Due(id) | Self::Hear(id, _) => *id,
            Self::ComeBack(name, _) => name.subscription,
        }
    }
}

struct Work<'a> {
    world: &'a World,
    billing: &'a Billing,
}

impl Work<'_> {
    async fn due(&self, declined: bool) -> Result<Task, Failure> {
        let id = self.world.subscribed("coffee").await;
        self.a_month_passes(id).await?;
        if declined {
            self.world.fault(Rule::once(Call::Again, no_money()));
        }
        Ok(Task::Due(id))
    }

    async fn at_the_redirect(&self) -> Result<Task, Failure> {
        let id = self.world.session("coffee").await;
        let window = self.world.buyer.open_window(id).await?;
        let back = self.world.buyer.press(&window, Button::Approve).await?.ok_or("the window did not open")?;
        let query = back.split_once('?').ok_or("no query")?.1;
        let imp_uid = url_value(query, "imp_uid").ok_or("no imp_uid")?;
        Ok(Task::ComeBack(self.world.window_name(id, 1).await, imp_uid.parse()?))
    }

    /// The answer of a renewal was lost, and I'mport's webhook tells of it.
    async fn paid_behind_our_back(&self) -> Result<Task, Failure> {
        let id = self.world.subscribed("coffee").await;
        self.a_month_passes(id).await?;
        self.world.fault(Rule::once(Call::Again, simulator::Fault::CutAfterEffect));
        self.billing.work(&self.world.due(id).await).await?;
        let hint = {
            let iamport = self.world.stack.iamport();
            let payment = iamport.books().payments().last().ok_or("no payment")?;
            Hint {
                imp_uid: payment.imp_uid.clone(),
                merchant_uid: payment.order.merchant_uid.clone(),
                mark: "paid".to_owned(),
            }
        };
        Ok(Task::Hear(id, hint))
    }

    async fn a_month_passes(&self, id: SubscriptionId) -> Result<(), Failure> {
        let due_at = self.world.subscription(id).await.listed_at.ok_or("nothing is listed")?;
        self.world.stack.clock.set(due_at.checked_add(SignedDuration::from_mins(1))?);
        Ok(())
    }

    async fn run(&self, task: Task) -> Result<(), Failure> {
        match task {
            Task::Due(id) => match self.billing.work(&self.world.due(id).await).await? {
                Worked::Charged(Charged::Paid(_) | Charged::Declined(_)) => Ok(()),
                other => Err(format!("the renewal came to {other:?}").into()),
            },
            Task::ComeBack(name, imp_uid) => match self.billing.confirm(name, &imp_uid).await? {
                Confirmation::Confirmed(subscription) if subscription.paid_through == 1 => Ok(()),
                other => Err(format!("the first charge came to {other:?}").into()),
            },
            Task::Hear(_, hint) => match self.billing.hear(&hint).await? {
                Heard::Handled(_) => Ok(()),
                other => Err(format!("the webhook came to {other:?}").into()),
            },
        }
    }
}

fn url_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}
