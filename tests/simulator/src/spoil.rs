//! Answers that no client can read: a load balancer's error page, half a JSON document, an empty body.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::{envelope::text_response, fault::Nonsense};

/// What a load balancer in front of I'mport would say.
pub(crate) fn error_page(status: u16) -> Response<Bytes> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    text_response(status, "text/html", format!("<html><body><h1>{status}</h1></body></html>"))
}

/// A good answer that the client can't read.
pub(crate) fn spoil(mut answer: Response<Bytes>, kind: Nonsense) -> Response<Bytes> {
    match kind {
        Nonsense::Html => error_page(200),
        Nonsense::Truncated => {
            let half = answer.body().len() / 2;
            answer.body_mut().truncate(half);
            answer
        }
        Nonsense::Empty => {
            answer.body_mut().clear();
            answer
        }
    }
}
