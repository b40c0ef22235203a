//! From a request to its answer: the filters decide on the head, the body goes where the decision says.

use super::filters::{Filters, HeadSlot};
use crate::access;
use crate::decision::{Admitted, Decision, Head, Inspect, address_of};
use crate::encoding;
use crate::gateway::Gateway;
use crate::proxy::{Body, ClientBody, Proxy};
use crate::reply::Outcome;
use bytes::Bytes;
use http::header::{ALLOW, HOST, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a body that must be read first may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Probes send whatever `Host` they were made with.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// What one thread answers requests with.
pub(super) struct Dispatch<F> {
    pub(super) filters: F,
    pub(super) proxy: Rc<Proxy>,
    pub(super) gateway: Arc<Gateway>,
}

impl<F: Filters> Dispatch<F> {
    /// Answers one request.
    pub(super) async fn call(self: Rc<Self>, request: Request<Incoming>, peer: IpAddr) -> Answered {
        let (parts, body) = request.into_parts();
        let body = ClientBody::new(body, &parts);
        let request_id = encoding::encode(self.gateway.entropy.bytes::<12>());
        let mut response = if let Some(refusal) = refuse_target(&parts) {
            refusal.map(Body::full)
        } else if self.is_for_us(&parts) {
            let address = address_of(peer, &parts.headers, self.gateway.site.trusted_proxies);
            let head = Head { parts, address, request_id: request_id.clone() };
            self.answer(head, body).await
        } else {
            let message = "this Host is not this gateway's: connect by its own URL";
            access::error(StatusCode::FORBIDDEN, message).map(Body::full)
        };
        if let Ok(request_id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        if self.gateway.base_url.is_https() {
            let year = HeaderValue::from_static("max-age=31536000");
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, year);
        }
        Ok(response)
    }

    /// Whether the request names our own host, and no other: another name that leads here is DNS rebinding, and of
    /// two names each server on the way may believe another one (RFC 9112 §3.2).
    fn is_for_us(&self, head: &Parts) -> bool {
        if PROBES.contains(&head.uri.path()) {
            return true;
        }
        let in_target = head.uri.authority().map(http::uri::Authority::as_str);
        let in_headers = head.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let mut names = in_target.into_iter().chain(in_headers).peekable();
        names.peek().is_some() && names.all(|name| self.is_own_host(name)) && has_one_host(head)
    }

    fn is_own_host(&self, name: &str) -> bool {
        let default_port = if self.gateway.base_url.is_https() { ":443" } else { ":80" };
        let name = name.strip_suffix(default_port).unwrap_or(name);
        name.eq_ignore_ascii_case(self.gateway.base_url.authority())
    }

    async fn answer(&self, head: Head, body: ClientBody) -> Response<Body> {
        match self.decide(head).await {
            Decision::Answer(response) => response.map(Body::full),
            Decision::Forward(admitted) => {
                let Admitted { forward, origin } = *admitted;
                access::with_cors(self.proxy.forward(forward, body).await, origin.as_ref())
            }
            Decision::Inspect(inspect) => self.inspect(inspect, body).await.map(Body::full),
        }
    }

    async fn decide(&self, head: Head) -> Decision {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = head.parts.method.clone();
        *request.uri_mut() = head.parts.uri.clone();
        request.extensions_mut().insert(HeadSlot::new(head));
        let Ok(mut response) = self.filters.call(request).await;
        let outcome = response.extensions_mut().remove::<Outcome>().and_then(Outcome::take);
        outcome.unwrap_or_else(|| broken("a filter answered without a decision"))
    }

    /// Reads the body, bounded in size and time, and goes on where the store and Okta are.
    async fn inspect(&self, inspect: Inspect, body: ClientBody) -> Response<Bytes> {
        let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, inspect.limit).collect());
        match read.await {
            Ok(Ok(body)) => {
                let answered = self.gateway.on_control((inspect.then)(body.to_bytes())).await;
                answered
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

/// What no endpoint here is asked with: tunnels, echoes of the request, and targets that have no path.
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

fn has_one_host(head: &Parts) -> bool {
    head.headers.get_all(HOST).iter().nth(1).is_none()
}

/// An answer always comes; a failure is one too.
pub(super) type Answered = Result<Response<Body>, Infallible>;

fn broken(cause: &str) -> Decision {
    tracing::error!(cause, "broken");
    Decision::Answer(access::error(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed"))
}
