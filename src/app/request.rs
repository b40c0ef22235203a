//! What the filters decide from the head of a request alone. The body never goes through them: it is answered,
//! forwarded or read first by the server that asked.

use crate::app::audit::Audit;
use crate::credential::LastToken;
use crate::proxy::{self, Forward};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

/// The head of a request, and what the server knows of it.
pub struct RequestHead {
    /// Method, URI and headers.
    pub parts: Parts,
    /// Where it comes from: the peer, or whom a trusted proxy names.
    pub address: IpAddr,
    /// The same as text.
    pub from: HeaderText,
    /// The connection that it came on.
    pub connection: Arc<PeerConnection>,
    /// Names the request in logs, pages and answers.
    pub request_id: HeaderText,
    /// Whether the request has content that its method does not define.
    pub undefined_content: bool,
}

/// Who is at the other end of a connection, and what its requests have in common.
pub struct PeerConnection {
    /// The peer.
    pub address: IpAddr,
    /// The token of its last request.
    pub token: LastToken,
    address_text: HeaderText,
}

/// What is needed as text and as a header's value.
#[derive(Clone)]
pub struct HeaderText(HeaderValue);

impl PeerConnection {
    /// Nothing has been asked for yet.
    pub fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, token: LastToken::default(), address_text: HeaderText(proxy::address_value(address)) }
    }

    /// The address as text, made once for what comes from the peer itself.
    pub fn text_of(&self, address: IpAddr) -> HeaderText {
        if address == self.address {
            self.address_text.clone()
        } else {
            HeaderText(proxy::address_value(address))
        }
    }
}

impl HeaderText {
    /// From visible ASCII; whatever else it were would be left out.
    pub fn new(text: Bytes) -> Self {
        Self(HeaderValue::from_maybe_shared(text).unwrap_or(HeaderValue::from_static("")))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As a header's value.
    pub fn into_value(self) -> HeaderValue {
        self.0
    }
}

impl RequestHead {
    /// An audit event of what was allowed, as far as the head tells.
    pub fn allowed(&self, event: &'static str) -> Audit<'_> {
        let method = self.parts.method.as_str();
        let address = self.from.as_str();
        Audit { event, request_id: self.request_id.as_str(), address, method, ..Audit::default() }
    }

    /// An audit event of what was refused.
    pub fn refused<'a>(&'a self, event: &'static str, reason: &'a str) -> Audit<'a> {
        Audit { refused: true, reason, ..self.allowed(event) }
    }
}

/// What to do with a request.
pub enum Decision {
    /// Answer at once; the body is not read.
    Respond(Response<Bytes>),
    /// Forward it, body and all.
    Forward(AuthorizedRequest),
    /// Read the body first, then go on.
    ReadBody(ReadBody),
    /// Wait for whoever must be asked first.
    Later(Later),
}

/// Decides, after it has waited.
pub type Later = Pin<Box<dyn Future<Output = Decision> + Send>>;

/// A request that may go to its MCP server.
pub struct AuthorizedRequest {
    /// What to forward.
    pub forward: Box<Forward>,
    /// The origin of the browser that asks; its answer gets CORS headers.
    pub origin: Option<HeaderValue>,
}

/// A body is needed before anything can be decided.
pub struct ReadBody {
    /// The longest body that is read, in bytes; a longer one is answered with 413.
    pub limit: usize,
    /// What to do with it.
    pub then: Then,
}

/// Goes on with the body. Answers are all that needs one so far.
pub type Then = Box<dyn FnOnce(Bytes) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send>;

impl ReadBody {
    /// Reads at most `limit` bytes and goes on with `then`.
    pub fn first<F>(limit: usize, then: impl FnOnce(Bytes) -> F + Send + 'static) -> Decision
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        Decision::ReadBody(Self { limit, then: Box::new(move |body| Box::pin(then(body))) })
    }
}
