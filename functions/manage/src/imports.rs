//! `/v1/imports`: subscriptions that the merchant brings from elsewhere. They are worked on behind the queue; here an import
//! is asked for and looked at.

use jiff::Timestamp;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use maedal::billing::{ImportRequest, LONGEST_REQUEST, RowsFrom};
use maedal::import::{Counts, Format, Import, ImportId, ImportStatus, Source};
use maedal::queue::{Message, Turn};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::problem::Problem;
use super::{App, answer, input};

/// What else a JSON body has around its rows.
const AROUND_ROWS: usize = 1_024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    rows: Option<Vec<Value>>,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    unschedule: bool,
}

/// `GET /v1/imports/{import}`.
#[derive(Debug, Serialize)]
struct View<'a> {
    id: ImportId,
    status: ImportStatus,
    file: Option<&'a str>,
    format: Format,
    unschedule: bool,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Why it can't go on.
    failure: Option<&'a str>,
    /// The file's length; null until it was found.
    bytes: Option<u64>,
    bytes_done: u64,
    lines_done: u64,
    rows: Counts,
    /// Where the refused rows are listed.
    refused: String,
}

impl<'a> View<'a> {
    fn of(import: &'a Import) -> Self {
        Self {
            id: import.id,
            status: import.status,
            file: match &import.source {
                Source::File(key) => Some(key),
                Source::Request => None,
            },
            format: import.format,
            unschedule: import.unschedule,
            created_at: import.created_at,
            started_at: import.started_at,
            finished_at: import.finished_at,
            failure: import.failure.as_deref(),
            bytes: import.size,
            bytes_done: import.offset,
            lines_done: import.line,
            rows: import.counts,
            refused: format!("/v1/imports/{}/refused", import.id),
        }
    }
}

/// Writes it down, and then tells who works on it. A repeat tells again, so that nothing is left lying where the first
/// could not.
pub(crate) async fn begin(app: &App, request: &Request) -> Result<Response<Body>, Problem> {
    let key = input::idempotency_key(request)?;
    let import = app.billing.begin_import(asked(request)?, key).await?;
    if !import.is_over() {
        let turn = Message::Import(Turn { id: import.id, version: import.version });
        let sent = app.imports.send(&[turn]).await;
        if !sent.is_ok_and(|failed| failed.is_empty()) {
            return Err(Problem::unavailable(
                "the import can't begin now. Send the same request again, with its Idempotency-Key",
            ));
        }
    }
    let mut response = answer(StatusCode::ACCEPTED, &View::of(&import));
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/imports/{}", import.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn asked(request: &Request) -> Result<ImportRequest, Problem> {
    let format = match input::media(request).as_str() {
        "text/csv" => Format::Csv,
        "application/x-ndjson" | "application/jsonl" => Format::Jsonl,
        "application/json" => return asked_in_json(request),
        _ => {
            let detail = "rows come as application/json, text/csv or application/x-ndjson. Set Content-Type";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let text = String::from_utf8(input::body(request, LONGEST_REQUEST)?.to_vec())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))?;
    Ok(ImportRequest { rows: RowsFrom::Request { format, text }, unschedule: false })
}

fn asked_in_json(request: &Request) -> Result<ImportRequest, Problem> {
    let Asked { rows, file, format, unschedule } = input::json_of(request, LONGEST_REQUEST + AROUND_ROWS)?;
    match (rows, file) {
        (Some(rows), None) if format.is_none() => {
            // A row is a line, so that what is refused is named by the row's place, from 1.
            let text = rows.iter().map(|row| format!("{row}\n")).collect();
            Ok(ImportRequest { rows: RowsFrom::Request { format: Format::Jsonl, text }, unschedule })
        }
        (Some(_), None) => Err(Problem::invalid("format", "only where a file has it")),
        (None, Some(key)) => Ok(ImportRequest { rows: RowsFrom::File { key, format }, unschedule }),
        (Some(_), Some(_)) | (None, None) => Err(Problem::invalid("rows", "either rows or a file")),
    }
}

/// How far it has come.
pub(crate) async fn show(app: &App, id: &str) -> Result<Response<Body>, Problem> {
    Ok(answer(StatusCode::OK, &View::of(&find(app, id).await?)))
}

/// The rows that were not taken, by line.
pub(crate) async fn refused(app: &App, id: &str, request: &Request) -> Result<Response<Body>, Problem> {
    let [limit, cursor] = input::query(request, ["limit", "cursor"])?;
    let (limit, after) = (input::limit(limit)?, input::cursor::<u64>(cursor)?);
    let import = find(app, id).await?;
    let page = app.billing.store.refused_rows(import.id, after, limit).await?;
    let next_cursor = page.next.map(|next| next.to_string());
    Ok(answer(StatusCode::OK, &serde_json::json!({ "rows": page.rows, "next_cursor": next_cursor })))
}

async fn find(app: &App, id: &str) -> Result<Import, Problem> {
    let unknown = || Problem::not_found("there is no such import. They can be read for 90 days");
    let id = id.parse::<ImportId>().map_err(|_| unknown())?;
    app.billing.store.import(id).await?.ok_or_else(unknown)
}
