//! The error page: what is wrong with a request, and the way out. Nothing was changed where it is shown.

use http::{HeaderValue, Response, StatusCode};
use maud::html;

use super::Pages;
use super::layout::Content;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Not a session's id, or no session has it: one text for both.
    UnknownSession,
    /// No page is there.
    NotFound,
    /// A link to a buyer's own page that opens none: forged, expired, or of nothing that is there. One text for all.
    UnknownLink,
    /// The request came from another site's page.
    Foreign,
    /// There is a page, for this method only.
    WrongMethod {
        /// The `Allow` header.
        allow: &'static str,
    },
    /// The query is longer than any of I'mport's.
    TooLong,
    /// A parameter isn't there.
    Missing(&'static str),
    /// A parameter is there more than once.
    Repeated(&'static str),
    /// A parameter can't be as it is.
    Unreadable(&'static str),
    /// The payment isn't this session's.
    Mismatch,
    /// The session closed.
    SessionExpired,
}

impl Pages<'_> {
    /// The page that says so.
    pub fn problem(&self, problem: &Problem) -> Response<String> {
        let words = self.language.words();
        let bad = |meaning| (StatusCode::BAD_REQUEST, words.bad_request, meaning);
        let plain = |status, text: super::words::Text| (status, text.heading, text.meaning.to_owned());
        let (status, heading, meaning) = match problem {
            Problem::UnknownSession => plain(StatusCode::NOT_FOUND, words.unknown_session),
            Problem::UnknownLink => plain(StatusCode::NOT_FOUND, words.unknown_link),
            Problem::Foreign => plain(StatusCode::FORBIDDEN, words.foreign),
            Problem::NotFound => plain(StatusCode::NOT_FOUND, words.not_found),
            Problem::WrongMethod { .. } => plain(StatusCode::METHOD_NOT_ALLOWED, words.wrong_method),
            Problem::TooLong => plain(StatusCode::URI_TOO_LONG, words.too_long),
            Problem::Missing(field) => bad((words.missing)(field)),
            Problem::Repeated(field) => bad((words.repeated)(field)),
            Problem::Unreadable(field) => bad((words.unreadable)(field)),
            Problem::Mismatch => plain(StatusCode::BAD_REQUEST, words.mismatch),
            Problem::SessionExpired => plain(StatusCode::GONE, words.over),
        };
        let main = html! { h1 { (heading) } p { (meaning) } };
        let content = Content { status, title: heading, waits: false, path: None, main, scripts: None };
        let mut response = self.show(content);
        if let Problem::WrongMethod { allow } = problem {
            response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
