//! Request dispatch: the warp filters decide on the head, then the body is forwarded, read or ignored.

use super::admission::{Admission, Peer, Refusal};
use super::idle_timeout::InFlight;
use super::request_ids::RequestIds;
use super::response_body::ResponseBody;
use super::warp_bridge::{self, Filters};
use crate::app::client_address::address_of;
use crate::app::request::{AuthorizedRequest, Decision, PeerConnection, ReadBody, RequestHead};
use crate::app::state::Gateway;
use crate::endpoints::mcp::access;
use crate::proxy::{Body, ClientBody, Proxy, ProxyConfig, takes_content};
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, HOST, RETRY_AFTER, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Timeout for reading the body of a request to one of the gateway's own endpoints.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Value of `Retry-After` for a request beyond the connection limits.
const RETRY_AFTER_SECONDS: &str = "5";
/// Paths of the health probes, which are answered for any `Host` and beyond the limits.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Request handler of one thread.
pub(super) struct Dispatch<F> {
    pub(super) proxy: Rc<Proxy>,
    filters: F,
    gateway: Arc<Gateway>,
    admission: Arc<Admission>,
    request_ids: RequestIds,
}

impl<F: Filters> Dispatch<F> {
    /// Creates a handler with these filters and its own upstream connection pool.
    pub(super) fn new(filters: F, gateway: &Arc<Gateway>, admission: &Arc<Admission>) -> Self {
        let config = ProxyConfig::new(gateway.upstream_tls.clone());
        let proxy = Proxy::new(config, gateway.base_url.shared());
        Self {
            proxy: Rc::new(proxy),
            filters,
            gateway: Arc::clone(gateway),
            admission: Arc::clone(admission),
            request_ids: RequestIds::new(gateway.entropy.clone()),
        }
    }
}

impl<F: Filters> Dispatch<F> {
    /// Handles one request. The future is boxed here because hyper and tower move it several times.
    pub(super) fn call(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Arc<PeerConnection>,
        mut in_flight: InFlight,
    ) -> Pin<Box<dyn Future<Output = Responded>>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = ClientBody::new(body, &parts);
            let address = address_of(connection.address, &parts.headers, self.gateway.site.trusted_proxies);
            let (from, request_id) = (connection.text_of(address), self.request_ids.next());
            let head = Box::new(RequestHead {
                parts,
                address,
                address_text: from,
                connection,
                request_id: request_id.clone(),
                undefined_content: false,
            });
            let admitted = self.admission.request(in_flight.peer(), address, in_flight.is_only);
            let mut response = match admitted {
                Err(refusal) if !is_probe(&head.parts) => refuse(refusal).map(Body::full),
                admitted => {
                    in_flight.hold(admitted.unwrap_or_default());
                    self.respond(head, body).await
                }
            };
            if let Peer::Refused(_) = in_flight.peer() {
                close_after(&mut response, &in_flight);
            }
            response.headers_mut().insert(REQUEST_ID, request_id.into_value());
            if self.gateway.base_url.is_https() {
                let year = HeaderValue::from_static("max-age=31536000");
                response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, year);
            }
            Ok(response.map(|body| ResponseBody::new(body, in_flight)))
        })
    }

    async fn respond(&self, mut head: Box<RequestHead>, mut body: ClientBody) -> Response<Body> {
        if let Some(refusal) = refuse_target(&head.parts) {
            return refusal.map(Body::full);
        }
        if !self.has_own_host(&head.parts) {
            let message = "this Host is not this gateway's: connect by its own URL";
            return access::error(StatusCode::FORBIDDEN, message).map(Body::full);
        }
        if !takes_content(&head.parts.method) && !body.is_end_stream() {
            // Boxed: rarely needed.
            head.undefined_content = Box::pin(body.has_content()).await;
        }
        let decided = warp_bridge::decide(self.filters.clone(), head).await;
        let mut decision = decided.unwrap_or_else(missing_decision);
        loop {
            decision = match decision {
                Decision::Respond(response) => return response.map(Body::full),
                Decision::Forward(AuthorizedRequest { forward, origin }) => {
                    return access::with_cors(self.proxy.forward(forward, body).await, origin.as_ref());
                }
                // Boxed: the future is large and rarely needed.
                Decision::ReadBody(read_body) => {
                    return Box::pin(self.read_body(read_body, body)).await.map(Body::full);
                }
                Decision::Deferred(decision) => decision.await,
            }
        }
    }

    /// Returns true if the request names the gateway's host and no other. Another name that resolves to the gateway is
    /// DNS rebinding; of two names, servers on the way may read different ones (RFC 9112 §3.2).
    fn has_own_host(&self, head: &Parts) -> bool {
        if is_probe(head) {
            return true;
        }
        let mut hosts = head.headers.get_all(HOST).iter();
        let (host, other) = (hosts.next(), hosts.next());
        let target = head.uri.authority().map(http::uri::Authority::as_str);
        other.is_none()
            && (host.is_some() || target.is_some())
            && host.is_none_or(|host| self.is_own_host(host.as_bytes()))
            && target.is_none_or(|target| self.is_own_host(target.as_bytes()))
    }

    fn is_own_host(&self, name: &[u8]) -> bool {
        let ours = self.gateway.base_url.authority().as_bytes();
        let default_port: &[u8] = if self.gateway.base_url.is_https() { b":443" } else { b":80" };
        name == ours
            || name.eq_ignore_ascii_case(ours)
            || name.strip_suffix(default_port).is_some_and(|name| name.eq_ignore_ascii_case(ours))
    }

    /// Reads the body, limited in size and time, and runs the endpoint on the control runtime.
    async fn read_body(&self, read_body: ReadBody, body: ClientBody) -> Response<Bytes> {
        let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, read_body.limit).collect());
        match read.await {
            Ok(Ok(body)) => {
                let response = self.gateway.on_control((read_body.then)(body.to_bytes())).await;
                response
                    .unwrap_or_else(|| access::error(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed"))
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                access::error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")
            }
            Ok(Err(_)) => access::error(StatusCode::BAD_REQUEST, "the body could not be read"),
            Err(_) => access::error(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        }
    }
}

fn is_probe(head: &Parts) -> bool {
    PROBES.contains(&head.uri.path())
}

/// Builds the response to a request beyond a connection limit.
fn refuse(refusal: Refusal) -> Response<Bytes> {
    let (status, message) = match refusal {
        Refusal::Full => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the gateway has all its connections in use: try again in a few seconds",
        ),
        Refusal::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many connections and concurrent requests from this address: close some, or try again later",
        ),
    };
    let mut response = access::error(status, message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}

/// Closes the connection after this response: `Connection: close` in HTTP/1.1, `GOAWAY` in HTTP/2.
fn close_after(response: &mut Response<Body>, in_flight: &InFlight) {
    if !in_flight.is_http_2() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    in_flight.close_connection();
}

/// Refuses CONNECT, TRACE, and request targets without a path.
fn refuse_target(head: &Parts) -> Option<Response<Bytes>> {
    if [Method::CONNECT, Method::TRACE].contains(&head.method) {
        let mut refusal = access::error(StatusCode::METHOD_NOT_ALLOWED, "no endpoint here has that method");
        let methods = HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS");
        refusal.headers_mut().insert(ALLOW, methods);
        return Some(refusal);
    }
    let message = "ask for a path: there is nothing that concerns the server as a whole";
    let has_path = head.uri.path().starts_with('/');
    (!has_path).then(|| access::error(StatusCode::BAD_REQUEST, message))
}

/// Response for hyper; failures are responses, too.
pub(super) type Responded = Result<Response<ResponseBody>, Infallible>;

/// Handles a programming error: the filters returned a reply that is no decision.
fn missing_decision() -> Decision {
    tracing::error!("internal error: a filter replied without a decision");
    Decision::Respond(access::error(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed"))
}
