//! One request with a JSON response.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::ClientError;
use crate::net::read_body;

/// Response with its complete body.
pub(super) struct HttpResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) async fn send(request: RequestBuilder) -> Result<HttpResponse, ClientError> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(HttpResponse { status, headers, body: read_body(response).await? })
}

impl HttpResponse {
    /// Returns the body as JSON if the status is `wanted`; `what` names the document in errors.
    pub(super) fn json(&self, wanted: StatusCode, what: &str) -> Result<Value, ClientError> {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let document = serde_json::from_slice(&self.body);
        match document {
            Ok(document) if self.status == wanted && kind.starts_with("application/json") => Ok(document),
            _ => {
                let body = String::from_utf8_lossy(&self.body);
                Err(ClientError::new(format!("{what}: {} {kind}: {body}", self.status)))
            }
        }
    }
}

/// Required string member of a document.
pub(super) fn text(document: &Value, member: &str) -> Result<String, ClientError> {
    let found = document[member].as_str().map(str::to_owned);
    found.ok_or_else(|| ClientError::new(format!("no {member} in {document}")))
}

/// List of strings; empty if the member is absent.
pub(super) fn texts(document: &Value, member: &str) -> Vec<String> {
    let list = document[member].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Fails with this message unless `held`.
pub(super) fn check(held: bool, words: impl FnOnce() -> String) -> Result<(), ClientError> {
    if held { Ok(()) } else { Err(ClientError::new(words())) }
}
