//! A request taken apart: I'mport takes parameters from the query, from a form and from JSON alike.

use bytes::Bytes;
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName},
};
use percent_encoding::percent_decode_str;

use crate::{envelope::Envelope, params::Params};

/// A request, taken apart.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// The parts of the path, percent-decoded.
    pub(crate) path: Vec<String>,
    pub(crate) params: Params,
    pub(crate) authorization: Option<String>,
    /// Where the client thinks that we are, for absolute links.
    pub(crate) host: Option<String>,
    pub(crate) body: Bytes,
}

impl Incoming {
    pub(crate) fn read(request: &Request<Bytes>) -> Result<Self, Envelope> {
        let header = |name: HeaderName| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let mut params = Params::default();
        params.add_form(request.uri().query().unwrap_or_default().as_bytes());
        let form = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let body = request.body();
        if form {
            params.add_form(body);
        } else if body.starts_with(b"{")
            || header(CONTENT_TYPE).is_some_and(|kind| kind.contains("json"))
                && !body.is_empty()
                && !body.starts_with(b"[")
        {
            params.add_json(body)?;
        }
        let path = request.uri().path().split('/').filter(|part| !part.is_empty());
        Ok(Self {
            method: request.method().clone(),
            path: path.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect(),
            params,
            authorization: header(AUTHORIZATION),
            host: header(HOST),
            body: body.clone(),
        })
    }
}
