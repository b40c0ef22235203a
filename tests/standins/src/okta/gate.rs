//! Every request passes here first: it is logged, then it meets the outage, if there is one.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::json;

use super::org::Org;
use super::received::Received;
use crate::params::Params;

const LARGEST_FORM: usize = 64 * 1024;

/// How an org fails as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It works.
    None,
    /// 503 to everything.
    Refuse503,
    /// 429 to everything, with Okta's rate-limit headers.
    RateLimited429,
    /// Requests are accepted and never answered.
    Hang,
    /// 200 with a body that is not what was asked for.
    Garbage,
}

pub(super) async fn gate(State(org): State<Arc<Org>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_FORM).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = head.uri.path().to_owned();
    let authorization = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    org.log.push(Received {
        method: head.method.to_string(),
        path: path.clone(),
        query: Params::parse(head.uri.query().unwrap_or_default().as_bytes()).0,
        form: Params::parse(&body).0,
        authorization: authorization.and_then(|value| value.split(' ').next()).map(str::to_owned),
    });
    match outage_at(&org, &path) {
        Outage::None => next.run(Request::from_parts(head, Body::from(body))).await,
        Outage::Refuse503 => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response(),
        Outage::RateLimited429 => rate_limited(org.now()),
        Outage::Hang => std::future::pending().await,
        Outage::Garbage => "<html><body>maintenance</body></html>".into_response(),
    }
}

fn outage_at(org: &Org, path: &str) -> Outage {
    let memory = org.memory();
    let single = memory.outages.iter().find(|(end, _)| path.ends_with(end.as_str()));
    single.map_or(memory.outage, |(_, outage)| *outage)
}

fn rate_limited(now: u64) -> Response {
    let headers = [
        ("x-rate-limit-limit", "1".to_owned()),
        ("x-rate-limit-remaining", "0".to_owned()),
        ("x-rate-limit-reset", (now + 30).to_string()),
    ];
    let body = json!({
        "errorCode": "E0000047", "errorSummary": "API call exceeded rate limit due to too many requests.",
        "errorLink": "E0000047", "errorId": "oaestandin", "errorCauses": [],
    });
    (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response()
}
