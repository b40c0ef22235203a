//! Request dispatch: the warp filters decide on the head, then the body is forwarded, read or ignored.

use super::admission::{Admission, Refusal};
use super::connection_state::InFlight;
use super::rejection;
use super::request_ids::RequestIds;
use super::response_body::{OpenCall, ResponseBody};
use super::warp_bridge::{self, Filters};
use crate::app::call;
use crate::app::client_address::address_of;
use crate::app::decision::{AuthorizedRequest, Decision, GrantCheck, ReadBody, Then};
use crate::app::request::{HeaderText, PeerConnection, RequestHead};
use crate::app::request_error::{HostMismatch, RequestError};
use crate::app::state::Gateway;
use crate::endpoints::mcp::access;
use crate::proxy::{Body, ClientBody, Proxy, ProxyConfig, takes_content};
use bytes::Bytes;
use http::header::{CONNECTION, HOST, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Timeout for reading the body of a request to one of the gateway's own endpoints.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum number and length of the names that are logged of a refused `Host`.
const MAX_LOGGED_HOSTS: usize = 3;
const MAX_LOGGED_HOST_CHARS: usize = 255;
/// Paths of the health probes, which get a response for any `Host` and beyond the limits.
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
        let mut config = ProxyConfig::new(gateway.upstream_tls.clone());
        config.upstream_headers = Arc::clone(&gateway.upstream_headers);
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
            let Reply { mut response, call } = match admitted {
                Err(refusal) if !is_probe(&head.parts) => self.reject(&head, refusal),
                admitted => {
                    in_flight.hold(admitted.unwrap_or_default());
                    self.respond(head, &request_id, body, &in_flight).await
                }
            };
            if in_flight.is_last() || self.gateway.is_draining() {
                close_after(&mut response, &in_flight);
            }
            response.headers_mut().insert(REQUEST_ID, request_id.into_value());
            if self.gateway.base_url.is_https() {
                let year = HeaderValue::from_static("max-age=31536000");
                response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, year);
            }
            Ok(response.map(|body| ResponseBody::new(body, in_flight, call)))
        })
    }

    async fn respond(
        &self,
        mut head: Box<RequestHead>,
        id: &HeaderText,
        mut body: ClientBody,
        in_flight: &InFlight,
    ) -> Reply {
        if let Some(error) = self.check_target(&head.parts) {
            return self.reject(&head, error);
        }
        if !takes_content(&head.parts.method) && !body.is_end_stream() {
            // Boxed: rarely needed.
            let mut content = Box::pin(body.has_content());
            match in_flight.until_end(content.as_mut()).await {
                Some(has_content) => head.undefined_content = has_content,
                None => return self.reject(&head, RequestError::ShutDown),
            }
        }
        let mut decided = warp_bridge::decide(self.filters.clone(), head).await;
        loop {
            decided = match decided {
                Some(Decision::Respond(response)) => return response.into(),
                Some(Decision::Forward(AuthorizedRequest { forward, call })) => {
                    let route = forward.route;
                    let forwarded = pin!(self.proxy.forward(forward, body));
                    return match in_flight.until_end(forwarded).await {
                        Some(Ok(mut response)) => {
                            let call = call.allow(&mut response);
                            let call = OpenCall::of(call, response.body(), &self.gateway);
                            Reply { response, call }
                        }
                        Some(Err(error)) => {
                            let error = access::not_forwarded(&self.gateway, route, error);
                            call.reject(&self.gateway, error).into()
                        }
                        None => call.reject(&self.gateway, RequestError::ShutDown).into(),
                    };
                }
                // Boxed: the future is large and rarely needed.
                Some(Decision::ReadBody(ReadBody { limit, then, fail })) => {
                    let mut handled = Box::pin(self.read_body(limit, then, body));
                    let handled = in_flight.until_end(handled.as_mut()).await;
                    return handled.unwrap_or(Err(RequestError::ShutDown)).unwrap_or_else(fail).into();
                }
                Some(Decision::CheckGrant(GrantCheck { mut status, decide })) => {
                    let status = in_flight.until_end(status.as_mut()).await;
                    Some(decide(status.unwrap_or(Err(RequestError::ShutDown))))
                }
                None => {
                    let error = RequestError::NoDecision;
                    return call::error_response(&self.gateway, id.as_str(), &error).into();
                }
            }
        }
    }

    /// Refuses a request before the filters.
    fn reject(&self, head: &RequestHead, error: impl Into<RequestError>) -> Reply {
        rejection::reject(&self.gateway, head, error.into()).into()
    }

    /// Checks method, request target and `Host`.
    fn check_target(&self, head: &Parts) -> Option<RequestError> {
        if [Method::CONNECT, Method::TRACE].contains(&head.method) {
            return Some(RequestError::UnsupportedMethod);
        }
        if !head.uri.path().starts_with('/') {
            return Some(RequestError::TargetWithoutPath);
        }
        (!self.has_own_host(head)).then(|| self.foreign_host(head))
    }

    fn foreign_host(&self, head: &Parts) -> RequestError {
        let target = head.uri.authority().map(http::uri::Authority::as_str);
        let hosts = head.headers.get_all(HOST).iter().map(|host| String::from_utf8_lossy(host.as_bytes()));
        let hosts: Vec<_> = target.map(Into::into).into_iter().chain(hosts).take(MAX_LOGGED_HOSTS).collect();
        let received = hosts.join(", ").chars().take(MAX_LOGGED_HOST_CHARS).collect();
        let expected = self.gateway.base_url.authority().to_owned();
        RequestError::ForeignHost(Box::new(HostMismatch { received, expected }))
    }

    /// Returns `true` if the request names the gateway's host and no other. Another name that resolves to the gateway is
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
    async fn read_body(
        &self,
        limit: usize,
        then: Then,
        body: ClientBody,
    ) -> Result<Response<Bytes>, RequestError> {
        let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect());
        let body = read.await.map_err(|_| RequestError::BodyTimeout)?.map_err(|error| {
            if error.is::<LengthLimitError>() {
                RequestError::BodyTooLong
            } else {
                RequestError::BodyUnreadable(error)
            }
        })?;
        self.gateway.on_control(then(body.to_bytes())).await.ok_or(RequestError::HandlerAborted)
    }
}

/// Response, and the call that its body belongs to while it is being sent.
struct Reply {
    response: Response<Body>,
    call: Option<Box<OpenCall>>,
}

impl From<Response<Bytes>> for Reply {
    fn from(response: Response<Bytes>) -> Self {
        Self { response: response.map(Body::full), call: None }
    }
}

impl From<Refusal> for RequestError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::ConnectionLimit,
            Refusal::Address => Self::AddressLimit,
        }
    }
}

fn is_probe(head: &Parts) -> bool {
    PROBES.contains(&head.uri.path())
}

/// Closes the connection after this response: `Connection: close` in HTTP/1.1, `GOAWAY` in HTTP/2.
fn close_after(response: &mut Response<Body>, in_flight: &InFlight) {
    if !in_flight.is_http_2() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    in_flight.close_connection();
}

/// Response for hyper; failures are responses, too.
pub(super) type Responded = Result<Response<ResponseBody>, Infallible>;
