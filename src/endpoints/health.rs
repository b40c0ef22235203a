//! `GET /healthz` and `GET /readyz`: liveness and readiness probes, exempt from the `Host` check.

use crate::app::reply;
use crate::app::state::Gateway;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

/// Liveness: the process responds.
pub fn healthz(gateway: &Gateway) -> Response<Bytes> {
    let body = json!({
        "status": "ok",
        "environment": gateway.site.environment,
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": gateway.site.digest,
    });
    reply::json(StatusCode::OK, &body)
}

/// Readiness: 503 only before the first successful store request and while draining. A later store outage does not
/// make all replicas unready at once.
pub fn readyz(gateway: &Gateway) -> Response<Bytes> {
    let (status, text) = if gateway.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    reply::json(status, &json!({ "status": text }))
}
