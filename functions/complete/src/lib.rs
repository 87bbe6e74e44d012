//! Placeholder.
use lambda_http::{Body, Request, Response};
use std::sync::Arc;
/// App.
#[derive(Debug)]
pub struct App {
    /// B.
    pub billing: Arc<maedal::billing::Billing>,
    /// S.
    pub site: maedal::config::Site,
}
/// Handle.
pub async fn handle(_app: &App, _request: Request) -> Response<Body> {
    Response::new(Body::Empty)
}
