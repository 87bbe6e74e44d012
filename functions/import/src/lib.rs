//! `import`: subscriptions that a merchant brings from elsewhere, chunk by chunk. A queue message is a turn: as many rows as
//! fit into the function's time, then a message to itself.
//!
//! *Crash anywhere*: the message comes again, and the import goes on from the last place that was written. The lines since
//! then come again, and find what they made.

mod source;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use maedal::billing::{Billing, ImportError, Importing, Pace, Schedules};
use maedal::import::{Columns, Format, Import, ImportId, Outcome, lines, parse};
use maedal::queue::{Message, Queue, QueueError, Turn};
use maedal::store::StoreError;
use object_store::ObjectStore;
use tokio::time::Instant;
use tracing::{error, info, warn};

use source::{Chunk, Found, SourceError};

/// Rows that are done between two places that are written: with their refusals, one transaction holds them.
const ROWS_A_STEP: usize = 90;

/// What the function works with.
#[derive(Debug)]
pub struct App {
    /// The use cases.
    pub billing: Arc<Billing>,
    /// Where files are.
    pub bucket: Arc<dyn ObjectStore>,
    /// Where the next turn is asked for.
    pub queue: Arc<dyn Queue>,
    /// The bound on calls to I'mport.
    pub pace: Pace,
    /// What I'mport has scheduled, as it was listed last.
    pub schedules: Schedules,
    /// How long a turn may take; what is left is the next one's.
    pub budget: Duration,
}

/// A turn that could not be taken to its end. What was done is written; the message comes again.
#[derive(Debug)]
enum TurnError {
    Rows(ImportError),
    Source(SourceError),
    Queue(QueueError),
}

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        Self::Rows(error.into())
    }
}

impl From<ImportError> for TurnError {
    fn from(error: ImportError) -> Self {
        Self::Rows(error)
    }
}

impl From<SourceError> for TurnError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl std::fmt::Display for TurnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows(error) => error.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

/// Handles messages, and says which must come again.
pub async fn handle(app: &App, event: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        // They are of one group: after a failure the rest goes back untried.
        let done = response.batch_item_failures.is_empty() && handle_message(app, &message).await;
        if !done {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.unwrap_or_default();
            response.batch_item_failures.push(failure);
        }
    }
    response
}

async fn handle_message(app: &App, message: &SqsMessage) -> bool {
    let message_id = message.message_id.as_deref().unwrap_or_default();
    let turn = match serde_json::from_str(message.body.as_deref().unwrap_or_default()) {
        Ok(Message::Import(turn)) => turn,
        Ok(Message::Step(_) | Message::Hint(_)) | Err(_) => {
            error!(message_id, outcome = "dropped", "a message that is none of ours");
            return true;
        }
    };
    match take_turn(app, turn.id).await {
        Ok(()) => true,
        Err(problem) => {
            warn!(import = %turn.id, %problem, outcome = "again", "an import can't go on now");
            false
        }
    }
}

/// Goes on with an import until it is over or the time is.
async fn take_turn(app: &App, id: ImportId) -> Result<(), TurnError> {
    let begun = Instant::now();
    let Some(mut import) = app.billing.store.import(id).await? else {
        warn!(import = %id, outcome = "unknown", "an import that isn't there");
        return Ok(());
    };
    while !import.is_over() {
        // Something is written in each turn: so the next one's message is another than this one's, which the queue would drop.
        read_on(app, &mut import, begun).await?;
        if begun.elapsed() >= app.budget && !import.is_over() {
            let turn = Message::Import(Turn { id, version: import.version });
            let sent = app.queue.send(&[turn]).await.map_err(TurnError::Queue)?;
            return match sent.is_empty() {
                true => Ok(()),
                false => Err(TurnError::Queue(QueueError("the next turn was not taken".to_owned()))),
            };
        }
    }
    Ok(())
}

/// Does what one read of the source holds, step by step, until the time is over.
async fn read_on(app: &App, import: &mut Import, begun: Instant) -> Result<(), TurnError> {
    let now = || app.billing.clock.now();
    let chunk = match source::read(app, import).await? {
        Found::Begun { size, etag } => {
            import.begin(size, etag, now());
            return Ok(app.billing.store.put_import(import, &[]).await?);
        }
        Found::Chunk(chunk) => chunk,
        Found::End => {
            import.finish(now());
            app.billing.store.put_import(import, &[]).await?;
            info!(import = %import.id, counts = ?import.counts, outcome = "done", "import");
            return Ok(());
        }
        Found::Unusable(why) => return fail(app, import, why).await,
    };
    let Chunk { bytes, last } = chunk;
    let mut whole = lines(&bytes, last).peekable();
    if whole.peek().is_none() {
        return fail(app, import, format!("line {} is too long to be a row", import.line + 1)).await;
    }
    while whole.peek().is_some() {
        let mut rows = Vec::new();
        for line in whole.by_ref().take(ROWS_A_STEP) {
            import.offset += line.length as u64;
            import.line += 1;
            if import.format == Format::Csv && import.columns.is_none() {
                match Columns::read(line.text) {
                    Ok(columns) => import.columns = Some(columns),
                    Err(why) => return fail(app, import, why).await,
                }
                continue;
            }
            rows.extend(parse(line.text, import.format, import.columns.as_ref()).map(|row| (import.line, row)));
        }
        let (pace, schedules) = (&app.pace, &app.schedules);
        let importing = Importing { import: import.id, unschedule: import.unschedule, pace, schedules };
        let outcomes = match app.billing.import_rows(importing, rows).await {
            Ok(outcomes) => outcomes,
            Err(error @ ImportError::TooManySchedules) => return fail(app, import, error.to_string()).await,
            Err(error @ (ImportError::Store(_) | ImportError::Iamport(_))) => return Err(error.into()),
        };
        let mut refused = Vec::new();
        for (_, outcome) in outcomes {
            import.count(&outcome);
            if let Outcome::Refused(row) = outcome {
                refused.push(row);
            }
        }
        app.billing.store.put_import(import, &refused).await?;
        if begun.elapsed() >= app.budget {
            break;
        }
    }
    let counts = import.counts;
    info!(import = %import.id, line = import.line, ?counts, outcome = "running", "import");
    Ok(())
}

async fn fail(app: &App, import: &mut Import, why: String) -> Result<(), TurnError> {
    warn!(import = %import.id, why, outcome = "failed", "import");
    import.fail(why, app.billing.clock.now());
    Ok(app.billing.store.put_import(import, &[]).await?)
}
