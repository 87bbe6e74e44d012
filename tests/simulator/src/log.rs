//! What was asked of the simulator, in a file: the same requests at the same times give the same books again. So a simulator
//! can be killed, and go on where it was.
//!
//! *Crash anywhere*: a request's line is written before the request is handled. One that was killed in between is handled
//! at the next start, as one whose answer was lost; a torn last line was never handled, and is cut off. A webhook whose answer
//! isn't in the file is sent again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use http::{Request, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use crate::simulator::Simulator;

/// The headers that the simulator looks at.
const KEPT: [header::HeaderName; 3] = [header::AUTHORIZATION, header::CONTENT_TYPE, header::HOST];
/// What of a body isn't written as it is; whatever isn't ASCII comes to that.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Request {
        at: Timestamp,
        method: String,
        uri: String,
        headers: Vec<(String, String)>,
        /// Percent-encoded: any bytes.
        body: String,
    },
    Webhook {
        at: Timestamp,
        id: usize,
        answer: Option<u16>,
    },
}

/// A log that is open.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Opens the log at `path`, makes it where there is none, and lets `simulator` do all that it says. The simulator must be
    /// new, and set up as at the first start.
    ///
    /// # Errors
    /// Where the file can't be used, or isn't such a log.
    pub fn open(path: &Path, simulator: &mut Simulator) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let whole = Self::replay(path, simulator)?;
        file.set_len(whole)?;
        Ok(Self(file))
    }

    /// As [`Log::open`], where somebody else writes it. Returns how many bytes of it are whole lines.
    ///
    /// # Errors
    /// Where the file can't be read, or isn't such a log.
    pub fn replay(path: &Path, simulator: &mut Simulator) -> io::Result<u64> {
        let bytes = fs::read(path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line)? {
                Line::Request { at, method, uri, headers, body } => {
                    let mut request = Request::builder().method(method.as_str()).uri(uri);
                    for (name, value) in headers {
                        request = request.header(name, value);
                    }
                    let body = Bytes::from_iter(percent_decode_str(&body));
                    drop(simulator.handle(&request.body(body).map_err(io::Error::other)?, at));
                }
                Line::Webhook { at, id, answer } => simulator.webhook_was_sent(id, answer, at),
            }
        }
        Ok(whole as u64)
    }

    /// A request that is about to be handled.
    pub(crate) fn request(&self, request: &Request<Bytes>, at: Timestamp) -> io::Result<()> {
        let headers = KEPT.iter().filter_map(|name| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some((name.to_string(), value.to_owned()))
        });
        self.write(&Line::Request {
            at,
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            headers: headers.collect(),
            body: percent_encode(request.body(), ESCAPED).to_string(),
        })
    }

    /// A webhook that was sent, and what came of it.
    pub(crate) fn webhook(&self, id: usize, answer: Option<u16>, at: Timestamp) -> io::Result<()> {
        self.write(&Line::Webhook { at, id, answer })
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        (&self.0).write_all(&text)
    }
}
