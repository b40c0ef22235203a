//! Middleware that logs every request and applies outages.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Json, Response};
use bytes::Bytes;
use http_body::Frame;
use serde_json::json;

use super::org::Org;
use super::received::Received;
use crate::params::Params;

const MAX_FORM_BYTES: usize = 64 * 1024;

/// Kind of outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// No outage.
    None,
    /// Every response is a 503.
    Refuse503,
    /// Every response is a 429 with Okta's rate limit headers.
    RateLimited429,
    /// Requests are accepted without a response.
    Hang,
    /// Every response has this status and this JSON body.
    Respond(u16, &'static str),
    /// Every response is a 200 with an unexpected body.
    Garbage,
    /// Requests take effect at once; the response is delayed.
    Late(Duration),
    /// Requests take effect; the connection breaks instead of a response.
    Lost,
}

pub(super) async fn log_and_apply(State(org): State<Arc<Org>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_FORM_BYTES).await else {
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
    let request = Request::from_parts(head, Body::from(body));
    match outage_at(&org, &path) {
        Outage::None => next.run(request).await,
        Outage::Late(late) => {
            let response = next.run(request).await;
            tokio::time::sleep(late).await;
            response
        }
        Outage::Lost => next.run(request).await.map(|_| Body::new(BrokenBody)),
        Outage::Refuse503 => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response(),
        Outage::RateLimited429 => rate_limited(org.now()),
        Outage::Respond(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Outage::Hang => std::future::pending().await,
        Outage::Garbage => "<html><body>maintenance</body></html>".into_response(),
    }
}

fn outage_at(org: &Org, path: &str) -> Outage {
    let memory = org.memory();
    let single = memory.outages.iter().find(|(end, _)| path.ends_with(end.as_str()));
    single.map_or(memory.outage, |(_, outage)| *outage)
}

/// Body of a response whose connection breaks.
struct BrokenBody;

impl http_body::Body for BrokenBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(Some(Err(io::Error::other("the connection broke"))))
    }
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
