//! Reading what the merchant sends: a small JSON document, and the key that makes its repeat harmless.

use std::str::FromStr;

use lambda_http::Request;
use lambda_http::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;

/// No request comes near this.
const LONGEST_BODY: usize = 16 * 1024;
const LONGEST_KEY: usize = 255;
/// What is on a page, where the caller doesn't say; and at most.
const USUAL: u8 = 20;
const MOST: u8 = 100;
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The `Idempotency-Key`, where there is one.
pub(crate) fn idempotency_key(request: &Request) -> Result<Option<&str>, Problem> {
    let mut keys = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), more) = (keys.next(), keys.next()) else { return Ok(None) };
    let good = (1..=LONGEST_KEY).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    match key.to_str() {
        Ok(key) if good && more.is_none() => Ok(Some(key)),
        Ok(_) | Err(_) => {
            Err(Problem::malformed(IDEMPOTENCY_KEY, "one key of 1 to 255 visible ASCII characters, such as a UUID"))
        }
    }
}

/// What the body is, without its parameters and in small letters.
pub(crate) fn media(request: &Request) -> String {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The body, where it isn't longer than `most`.
pub(crate) fn body(request: &Request, most: usize) -> Result<&[u8], Problem> {
    let body: &[u8] = request.body();
    match body.len() <= most {
        true => Ok(body),
        false => Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body must be at most {most} bytes"))),
    }
}

/// The body, as JSON.
pub(crate) fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    json_of(request, LONGEST_BODY)
}

/// The body, as JSON of at most so many bytes.
pub(crate) fn json_of<T: DeserializeOwned>(request: &Request, most: usize) -> Result<T, Problem> {
    if media(request) != "application/json" {
        let detail = "the body must be JSON. Send it with Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = body(request, most)?;
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    source.end().map_err(|error| explain(".", &error))?;
    Ok(value)
}

/// The body of a command that needs none: nothing is as good as `{}`.
pub(crate) fn json_or_nothing<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Problem> {
    if request.body().is_empty() { Ok(T::default()) } else { json(request) }
}

/// The version that the caller has seen, by `If-Match`: what `ETag` said.
pub(crate) fn if_match(request: &Request) -> Result<Option<u64>, Problem> {
    let Some(tag) = request.headers().get(header::IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    match tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Problem::malformed("If-Match", "one ETag as a subscription's answer had it, such as \"7\"")),
    }
}

/// Why something is done, for the record.
pub(crate) fn reason(reason: String) -> Result<String, Problem> {
    let length = reason.trim().chars().count();
    match (1..=200).contains(&length) && !reason.chars().any(char::is_control) {
        true => Ok(reason),
        false => Err(Problem::invalid("reason", "1 to 200 characters, without control characters")),
    }
}

/// How many of a list are on a page.
pub(crate) fn limit(limit: Option<String>) -> Result<u8, Problem> {
    let Some(limit) = limit else { return Ok(USUAL) };
    let number = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    number.ok_or_else(|| Problem::malformed("limit", "a number from 1 to 100"))
}

/// Where a page goes on.
pub(crate) fn cursor<T: FromStr>(cursor: Option<String>) -> Result<Option<T>, Problem> {
    let parse = |cursor: String| cursor.parse();
    cursor.map(parse).transpose().map_err(|_| Problem::malformed("cursor", "next_cursor, as a page had it"))
}

/// A query's parameters, each at most once and each one of `known`.
pub(crate) fn query<const N: usize>(
    request: &Request,
    known: [&'static str; N],
) -> Result<[Option<String>; N], Problem> {
    let mut found = [const { None }; N];
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        let Some(place) = known.iter().position(|known| *known == name) else {
            return Err(Problem::malformed(
                name.into_owned(),
                &format!("no such parameter. There are {}", known.join(", ")),
            ));
        };
        if found[place].replace(value.into_owned()).is_some() {
            return Err(Problem::malformed(known[place], "once at most"));
        }
    }
    Ok(found)
}

fn explain(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    match error.classify() {
        Category::Data => {
            let rule = text.rsplit_once(" at line ").map_or(text.as_str(), |(rule, _)| rule);
            let field = field(path, rule);
            Problem::invalid(field, rule)
        }
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {text}"))
        }
    }
}

/// serde names a field that is missing in its message, not in its path.
fn field(path: &str, rule: &str) -> String {
    let missing = rule.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (path, missing) {
        (".", Some(missing)) => missing.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(missing)) => format!("{path}.{missing}"),
        (path, None) => path.to_owned(),
    }
}
