//! The data plane: forwards authorized requests to their MCP server and streams the responses back. No OAuth here.
//!
//! Each proxy thread has one [`Proxy`] with its own connection pool. Threads share no state, and bodies are streamed,
//! not buffered.

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
mod path;
mod pool;
mod proxy_error;
mod removed_headers;
mod request_body;
mod request_writer;
mod single_valued;
mod stream;
#[cfg(test)]
mod test_route;
mod tls;
mod tls_records;
mod upload;
mod upstream;
mod upstream_connection;
mod upstream_error;

pub use body::{Body, BodyError};
pub use cancel::{CancelHandle, CancelReason, CancelSignal};
pub use client_body::{ClientBody, takes_content};
pub use endpoint_event::{EndpointError, rewrite_endpoint_events};
pub use headers::{ForwardedHeaders, Identity, PublicOrigin, address_value, toward_client, toward_server};
pub use http1::{BodyFraming, KeepAlive, ParsedHead, ResponseHead, Violation, parse_response_head};
pub use location::{OutsideTarget, rewritten};
pub use path::{is_normal, target};
pub use proxy_error::ProxyError;
pub use request_body::RequestBodyError;
pub use single_valued::{ConflictingHeader, is_ambiguous};
pub use tls::UpstreamTls;
pub use upstream_error::{ConnectError, UpstreamError};

use crate::base::secret::Secret;
use gateway_routes::Route;
use http::request::Parts;
use http::{HeaderValue, Response};
use pool::Pool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An authorized request, ready to be forwarded.
pub struct Forward {
    /// Route that matched the request.
    pub route: &'static Route,
    /// Byte offset in the path where the part below the route's pattern begins.
    pub rest: usize,
    /// Method, URI and headers as the client sent them.
    pub head: Parts,
    /// Value of `X-Forwarded-For`: the client address as [`address_value`] formats it.
    pub forwarded_for: HeaderValue,
    /// Identity headers for the MCP server; `None` on routes with `identity: none`.
    pub identity: Option<Arc<Identity>>,
    /// Cancellation signal, raised when the grant is revoked or expires.
    pub cancel: CancelSignal,
}

impl Forward {
    /// Returns the error of this request after its cancellation.
    fn cancelled(&self, reason: CancelReason) -> ProxyError {
        ProxyError::Cancelled { reason, path: self.head.uri.path().into() }
    }
}

/// Configuration of a [`Proxy`].
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Maximum number of idle connections per target.
    pub max_idle: usize,
    /// Idle timeout of a pooled connection.
    pub idle_timeout: Duration,
    /// Maximum age of a connection that takes another request. Connections in use are not closed.
    pub max_age: Duration,
    /// Interval after which a silent event stream gets a comment frame.
    pub keep_alive: Duration,
    /// TLS client configurations, one per set of certificate authorities.
    pub tls: UpstreamTls,
    /// Serialized `upstream_headers` of routes, by pattern.
    pub upstream_headers: Arc<BTreeMap<&'static str, Secret>>,
}

impl ProxyConfig {
    /// Default configuration with these TLS settings.
    pub fn new(tls: UpstreamTls) -> Self {
        Self {
            max_idle: 512,
            idle_timeout: Duration::from_secs(30),
            max_age: Duration::from_mins(10),
            keep_alive: Duration::from_secs(15),
            tls,
            upstream_headers: Arc::default(),
        }
    }
}

/// Reverse proxy of one thread, with its own connection pool. Its futures stay on that thread.
pub struct Proxy {
    pool: Pool,
    keep_alive: Duration,
    base_url: Arc<str>,
    public_origin: PublicOrigin,
    upstream_headers: Arc<BTreeMap<&'static str, Secret>>,
}

impl Proxy {
    /// Creates a proxy with an empty pool for a gateway at `base_url`, such as `https://mcp.example.com`.
    pub fn new(config: ProxyConfig, base_url: Arc<str>) -> Self {
        let (keep_alive, public_origin) = (config.keep_alive, PublicOrigin::new(&base_url));
        let upstream_headers = Arc::clone(&config.upstream_headers);
        Self { pool: Pool::new(config), keep_alive, base_url, public_origin, upstream_headers }
    }

    /// Returns the serialized `upstream_headers` of a route.
    fn upstream_headers(&self, route: &Route) -> &str {
        // Most routes have none, and need no lookup.
        let found = (!route.upstream_headers.is_empty()).then(|| self.upstream_headers.get(route.pattern));
        found.flatten().map_or("", Secret::expose)
    }

    /// Closes upstream connections whose idle timeout has expired; never returns.
    pub async fn reap_idle(&self) {
        self.pool.reap_idle().await;
    }

    /// Forwards a request and returns the response as soon as its head has arrived. Dropping the future, or the
    /// response body, cancels the upstream request.
    ///
    /// # Errors
    /// There is no response head that may be passed on. The caller logs the error and responds.
    pub async fn forward(
        &self,
        forward: Box<Forward>,
        body: ClientBody,
    ) -> Result<Response<Body>, ProxyError> {
        upstream::forward(self, forward, body).await
    }
}
