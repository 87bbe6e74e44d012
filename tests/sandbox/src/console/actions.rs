//! What all forms of the console have in common: they come from its own pages, and lead back to where they were sent from.

use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};

use super::view::View;

/// Whether a form was sent by a page of this origin, or by no page at all.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, None | Some(b"same-origin" | b"none"))
}

/// The answer to a form of another site.
pub(super) fn foreign() -> Response {
    (StatusCode::FORBIDDEN, "this form was sent by another site's page").into_response()
}

/// Leads back to `path`, where that is one of ours.
pub(super) fn back_to(path: &str) -> Response {
    let ours = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n']);
    Redirect::to(if ours { path } else { "/" }).into_response()
}

/// The field that says where to.
pub(super) fn back(view: &View) -> Markup {
    html! { input type="hidden" name="back" value=(view.path()); }
}
