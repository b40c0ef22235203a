//! The data plane: carries an authenticated request to its MCP server, and the answer back. Knows no OAuth.
//!
//! Each proxy thread has one [`Proxy`] with connections of its own; nothing is shared on the way, and no body is
//! copied or held back.

mod body;
mod cancel;
mod client_body;
mod connect;
mod deadline;
mod endpoint_event;
mod events;
mod headers;
mod http1;
mod location;
mod names;
mod path;
mod pool;
mod records;
mod request_body;
mod request_writer;
mod stream;
mod tls;
mod upstream;
mod upstream_connection;
mod upstream_error;

pub use body::{Body, BodyError};
pub use cancel::{CancelHandle, CancelSignal};
pub use client_body::{ClientBody, takes_content};
pub use events::Boundary;
pub use headers::{
    ForwardedHeaders, Identity, PublicOrigin, address_value, repeats_mcp_header, toward_server,
};
pub use http1::{BodyFraming, ParsedHead, ResponseHead, parse_response_head};
pub use location::rewritten;
pub use path::{is_normal, target};
pub use tls::UpstreamTls;
pub use upstream_error::UpstreamError;

use gateway_routes::Route;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use pool::Pool;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A request that may go to its MCP server.
pub struct Forward {
    /// Where it goes.
    pub route: &'static Route,
    /// Where in the path the rest behind the route's pattern begins.
    pub rest: usize,
    /// Method, URI and headers as they came.
    pub head: Parts,
    /// Where it comes from, as [`address_value`] puts it.
    pub forwarded_for: HeaderValue,
    /// What the server behind learns of the user.
    pub identity: Option<Arc<Identity>>,
    /// Ends the answer when it is cancelled.
    pub cancel: CancelSignal,
}

/// How a [`Proxy`] behaves.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Idle connections kept for each target.
    pub max_idle: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// After how much silence an event stream gets a comment frame.
    pub keep_alive: Duration,
    /// How TLS targets are trusted.
    pub tls: UpstreamTls,
}

impl ProxyConfig {
    /// The defaults.
    pub fn new(tls: UpstreamTls) -> Self {
        Self {
            max_idle: 512,
            idle_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            tls,
        }
    }
}

/// One thread's connections to all targets. Its futures stay on that thread.
pub struct Proxy {
    pool: Pool,
    keep_alive: Duration,
    base_url: Arc<str>,
    public_origin: PublicOrigin,
}

/// Why a request did not reach its server or got no answer that may be passed on. Details go to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProxyError {
    /// The path would leave the route.
    BadPath,
    /// The body is longer than the route takes.
    TooLong,
    /// The body cannot be read.
    BadBody,
    /// The client stopped in the middle of its body.
    TooSlow,
    /// No connection, or it broke.
    Unreachable,
    /// No connection, or no answer, in time.
    TimedOut,
    /// An answer that a client cannot do anything with.
    BadAnswer,
}

impl Proxy {
    /// A proxy without connections, for a gateway whose own origin is such as `https://mcp.example.com`.
    pub fn new(config: ProxyConfig, base_url: Arc<str>) -> Self {
        let (keep_alive, public_origin) = (config.keep_alive, PublicOrigin::new(&base_url));
        Self { pool: Pool::new(config), keep_alive, base_url, public_origin }
    }

    /// Closes connections that have been idle for too long; never ends.
    pub async fn reap_idle(&self) {
        self.pool.reap_idle().await;
    }

    /// Forwards a request and its body; the answer's head is returned as soon as it is there. Dropping the
    /// future, or the answer's body, ends the call upstream.
    pub async fn forward(&self, forward: Box<Forward>, body: ClientBody) -> Response<Body> {
        let route = forward.route;
        match upstream::call(self, forward, body).await {
            Ok(response) => response,
            Err(failed) => {
                tracing::warn!(route = route.pattern, failed = ?failed, "a request was not forwarded");
                failed.response()
            }
        }
    }
}

impl ProxyError {
    fn response(self) -> Response<Body> {
        let (status, message) = match self {
            Self::BadPath => (StatusCode::BAD_REQUEST, "the path leaves its MCP server"),
            Self::BadBody => (StatusCode::BAD_REQUEST, "the request body is malformed"),
            Self::TooLong => {
                (StatusCode::PAYLOAD_TOO_LARGE, "the request body is longer than this server takes")
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the request body took too long"),
            Self::Unreachable => (StatusCode::BAD_GATEWAY, "the MCP server cannot be reached"),
            Self::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "the MCP server did not answer in time"),
            Self::BadAnswer => {
                (StatusCode::BAD_GATEWAY, "the MCP server gave an answer that cannot be passed on")
            }
        };
        let error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32_000, "message": message } });
        let mut response = Response::new(Body::full(error.to_string().into()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }
}
