//! A function: some processes of its binary, each of which handles one event at a time and may be killed at any moment. Then its
//! event has failed, and a new process takes its place, as on Lambda.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sandbox::lambda::{Instance, Unanswered};
use tokio::process::Command;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::tally::Tally;

/// Where a process can't be started, the next is tried a little later.
const PAUSE: Duration = Duration::from_millis(200);

/// How its processes are started.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) binary: PathBuf,
    pub(crate) environment: Arc<[(String, String)]>,
    pub(crate) log: Option<PathBuf>,
}

/// An event that got no answer.
#[derive(Debug)]
pub(crate) struct Cut;

struct Job {
    event: String,
    answer: oneshot::Sender<Result<String, Cut>>,
}

/// A function that takes events.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    jobs: mpsc::UnboundedSender<Job>,
    /// Where its processes are.
    pub(crate) places: Vec<Arc<Place>>,
}

/// Room for one process at a time.
#[derive(Debug)]
pub(crate) struct Place {
    function: &'static str,
    at_work: AtomicBool,
    kill: Notify,
}

impl Place {
    /// Whether an event is being handled.
    pub(crate) fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::SeqCst)
    }

    /// Kills whatever process is here.
    pub(crate) fn kill(&self) {
        self.kill.notify_one();
    }
}

impl Function {
    /// Starts `places` processes of a function.
    pub(crate) fn start(
        name: &'static str,
        places: usize,
        setup: Arc<Setup>,
        tally: &Arc<Tally>,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let (jobs, next_jobs) = mpsc::unbounded_channel();
        let next_jobs = Arc::new(Mutex::new(next_jobs));
        let new = || Arc::new(Place { function: name, at_work: AtomicBool::new(false), kill: Notify::new() });
        let places: Vec<Arc<Place>> = (0..places).map(|_| new()).collect();
        for place in &places {
            tasks.spawn(keep(place.clone(), setup.clone(), next_jobs.clone(), tally.clone()));
        }
        Arc::new(Self { name, jobs, places })
    }

    /// Hands an event to one of them.
    pub(crate) async fn invoke(&self, event: String) -> Result<String, Cut> {
        let (answer, answered) = oneshot::channel();
        let _ = self.jobs.send(Job { event, answer });
        answered.await.unwrap_or(Err(Cut))
    }
}

/// Keeps a process alive at a place.
async fn keep(place: Arc<Place>, setup: Arc<Setup>, jobs: Arc<Mutex<mpsc::UnboundedReceiver<Job>>>, tally: Arc<Tally>) {
    loop {
        let ended = live(&place, &setup, &jobs, &tally).await;
        place.at_work.store(false, Ordering::SeqCst);
        if let Err(problem) = ended {
            tally.count(|counts| &mut counts.ended_by_themselves, place.function);
            eprintln!("        {}: {problem}", place.function);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One process, until it is killed. An error: it ended otherwise.
async fn live(
    place: &Place,
    setup: &Setup,
    jobs: &Mutex<mpsc::UnboundedReceiver<Job>>,
    tally: &Tally,
) -> Result<(), Unanswered> {
    let mut command = Command::new(&setup.binary);
    let log = match &setup.log {
        Some(path) => Stdio::from(OpenOptions::new().create(true).append(true).open(path)?),
        None => Stdio::null(),
    };
    command.stdin(Stdio::null()).stdout(log);
    let mut instance = Instance::start(command, place.function, &setup.environment).await?;
    let ready = tokio::select! {
        ready = instance.ready() => Some(ready),
        () = place.kill.notified() => None,
    };
    match ready {
        Some(ready) => ready?,
        None => return idle(&mut instance, place, tally).await,
    };
    loop {
        let job = async { jobs.lock().await.recv().await };
        let Job { event, answer } = tokio::select! {
            job = job => match job {
                Some(job) => job,
                None => std::future::pending().await,
            },
            () = place.kill.notified() => return idle(&mut instance, place, tally).await,
        };
        place.at_work.store(true, Ordering::SeqCst);
        let handled = tokio::select! {
            handled = instance.invoke(event) => handled,
            () = place.kill.notified() => {
                instance.kill().await?;
                tally.count(|counts| &mut counts.killed_at_work, place.function);
                let _ = answer.send(Err(Cut));
                return Ok(());
            }
        };
        place.at_work.store(false, Ordering::SeqCst);
        match handled {
            Ok(text) => drop(answer.send(Ok(text))),
            Err(Unanswered::Failed(_)) => {
                tally.count(|counts| &mut counts.failed, place.function);
                let _ = answer.send(Err(Cut));
            }
            Err(problem @ (Unanswered::Io(_) | Unanswered::Ended(_) | Unanswered::Late)) => {
                let _ = answer.send(Err(Cut));
                return Err(problem);
            }
        }
    }
}

async fn idle(instance: &mut Instance, place: &Place, tally: &Tally) -> Result<(), Unanswered> {
    instance.kill().await?;
    tally.count(|counts| &mut counts.killed_idle, place.function);
    Ok(())
}
