//! What the simulator hands to its server: an answer or a cut connection, and how long to wait before it.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

/// What a client gets, and after how long.
#[derive(Debug)]
pub struct Reply {
    /// How long the client waits. What the call does has been done at once.
    pub delay: Duration,
    /// What it gets then.
    pub outcome: Outcome,
}

/// How a call ends.
#[derive(Debug)]
pub enum Outcome {
    /// With an answer, good or bad.
    Answer(Response<Bytes>),
    /// The connection closes without one.
    Cut,
}

impl Reply {
    pub(crate) fn at_once(response: Response<Bytes>) -> Self {
        Self { delay: Duration::ZERO, outcome: Outcome::Answer(response) }
    }

    /// The answer, or `None` where the connection was cut.
    pub fn answer(self) -> Option<Response<Bytes>> {
        match self.outcome {
            Outcome::Answer(response) => Some(response),
            Outcome::Cut => None,
        }
    }
}
