//! `charge` under load, in real time: a batch against a slow I'mport, and very many due subscriptions with ten workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use journeys::World;
use sandbox::stack::{CHARGE_TIME, sqs_event};
use simulator::{Call, Fault, Rule};

use crate::Failure;
use crate::capacity::UTILISATION;
use crate::figure::{Budget, Figure, Kind};
use crate::tally::Tally;
use crate::work::counted;
use sandbox::crowd::copies;

/// What I'mport takes to answer a batch.
const LATENCY: Duration = Duration::from_millis(300);
/// And ten workers: nearer to what I'mport takes in truth, so that the emulators on the same cores, which do one write after the
/// other, aren't the limit. (At 600 ms ten workers in step wait for them for a fifth of the time.)
const LATENCY_UNDER_LOAD: Duration = Duration::from_millis(1_500);
/// What SQS hands to a worker.
const BATCH: usize = 10;
/// How many workers there are.
const WORKERS: usize = 10;
/// How often the batch is measured; the best run is told, as the others were disturbed by the machine.
const RUNS: usize = 5;

/// Both; `due` subscriptions for the second.
pub(crate) async fn measure(due: usize) -> Result<Vec<Figure>, Failure> {
    let world = World::new().await;
    world.stack.stop_stream()?;
    let model = world.subscribed("coffee").await;
    let due_at = world.subscription(model).await.listed_at.ok_or("nothing is listed")?;
    let warm = (RUNS + 1) * BATCH + WORKERS * BATCH;
    copies(&world.stack, model, due + warm)?;
    world.stack.clock.set(due_at.checked_add(SignedDuration::from_mins(1))?);
    world.stack.tick().await?;
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::always(slow(LATENCY)?).on(Call::Again));

    let mut ratios = Vec::new();
    let tally = Arc::new(Tally::default());
    let worker = charge::App { billing: Arc::new(counted(&world, &tally)) };
    for run in 0..=RUNS {
        let batch = world.stack.queue.receive(BATCH);
        tally.take_slowest();
        let started = Instant::now();
        let response = charge::handle(&worker, sqs_event(&batch), CHARGE_TIME).await;
        let elapsed = started.elapsed();
        world.stack.queue.settle(&batch, &Default::default());
        if !response.batch_item_failures.is_empty() {
            return Err("a batch had failures".into());
        }
        // The first opens the connections.
        if run > 0 {
            ratios.push(elapsed.as_secs_f64() / tally.take_slowest().as_secs_f64());
        }
    }
    let best = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let batch = Figure::judged(
        "a batch of 10, over its slowest call to I'mport",
        best,
        "times",
        Budget::AtMost(1.15),
        Kind::Ratio,
    );

    world.no_faults();
    world.fault(Rule::always(Fault::WebhookLost).on(Call::Webhook));
    world.fault(Rule::always(slow(LATENCY_UNDER_LOAD)?).on(Call::Again));
    let throughput = throughput(&world, due).await?;
    let limit = (WORKERS * BATCH) as f64 / LATENCY_UNDER_LOAD.as_secs_f64();
    Ok(vec![
        batch,
        Figure::told(format!("{due} due, 10 workers: charged"), throughput, "per second", Kind::Machine),
        Figure::judged(
            format!("{due} due, 10 workers: of the limit"),
            throughput / limit,
            "times",
            Budget::AtLeast(UTILISATION),
            Kind::Ratio,
        ),
    ])
}

fn slow(latency: Duration) -> Result<Fault, Failure> {
    Ok(Fault::Slow(SignedDuration::try_from(latency)?))
}

/// Charges per second of ten workers, each with connections of its own, until `due` are charged.
async fn throughput(world: &World, due: usize) -> Result<f64, Failure> {
    let workers: Vec<charge::App> =
        (0..WORKERS).map(|_| charge::App { billing: Arc::new(counted(world, &Arc::default())) }).collect();
    // Each opens its connections before the clock starts.
    futures::future::try_join_all(workers.iter().map(|worker| work(world, worker, Some(1)))).await?;
    let started = Instant::now();
    let charged: usize =
        futures::future::try_join_all(workers.iter().map(|worker| work(world, worker, None))).await?.iter().sum();
    if charged < due {
        return Err(format!("{charged} of {due} were charged").into());
    }
    Ok(charged as f64 / started.elapsed().as_secs_f64())
}

/// One worker: batch after batch, `most` of them or until nothing is left. Returns how many it charged.
async fn work(world: &World, worker: &charge::App, most: Option<usize>) -> Result<usize, Failure> {
    let mut charged = 0;
    let mut batches = 0;
    while most.is_none_or(|most| batches < most) {
        let batch = world.stack.queue.receive(BATCH);
        if batch.is_empty() {
            break;
        }
        let response = charge::handle(worker, sqs_event(&batch), CHARGE_TIME).await;
        if !response.batch_item_failures.is_empty() {
            return Err("a batch had failures".into());
        }
        world.stack.queue.settle(&batch, &Default::default());
        charged += batch.len();
        batches += 1;
    }
    Ok(charged)
}
