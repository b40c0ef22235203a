//! `GET /healthz` and `GET /readyz`: for probes, whatever `Host` they send.

use crate::app::reply;
use crate::app::state::Gateway;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

/// The process is alive.
pub fn healthz(gateway: &Gateway) -> Response<Bytes> {
    let body = json!({
        "status": "ok",
        "environment": gateway.site.environment,
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": gateway.site.digest,
    });
    reply::json(StatusCode::OK, &body)
}

/// Requests may come: 503 only before the first contact with the store, and while draining. An outage later does
/// not evict every replica at once.
pub fn readyz(gateway: &Gateway) -> Response<Bytes> {
    let (status, word) = if gateway.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    reply::json(status, &json!({ "status": word }))
}
