//! Reading what the merchant sends: a small JSON document, and the key that makes its repeat harmless.

use lambda_http::Request;
use lambda_http::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;

/// No request comes near this.
const LONGEST_BODY: usize = 16 * 1024;
const LONGEST_KEY: usize = 255;
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

/// The body.
pub(crate) fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let detail = "the body must be JSON. Send it with Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body: &[u8] = request.body();
    if body.len() > LONGEST_BODY {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body must be at most {LONGEST_BODY} bytes"),
        ));
    }
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    source.end().map_err(|error| explain(".", &error))?;
    Ok(value)
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
